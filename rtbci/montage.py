"""Electrode names, their positions on the head, and montages given by name, file or list.

Names are those of the extended 10-20 system (10-05; Oostenveld & Praamstra 2001,
doi:10.1016/S1388-2457(00)00527-7).  Positions are the template of that paper as public
software ships it, in ``electrodes.tsv``: x to the right ear, y to the nose, z up.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtbci.errors import BadInputError
from rtbci.types import Channel, ChannelType, StreamInfo

HEAD_CENTRE_M = (0.0, -0.016, -0.001)
"""Centre of the sphere that fits all positions best (its radius is 99 mm)."""

UNUSED = "-"
"""In a montage: this channel has no electrode on the head; ``none`` says the same."""

_OLD_NAMES = {"t3": "T7", "t4": "T8", "t5": "P7", "t6": "P8"}
_EARS = frozenset({"A1", "A2", "M1", "M2"})
_PREFIX = re.compile(r"^(?:eeg)[\s:_-]+", re.IGNORECASE)
_REFERENCE = re.compile(
    r"^(?P<electrode>[a-z]+[0-9]{0,2}h?)\s*[-_]\s*"
    r"(?:(?P<ear>a1|a2|m1|m2|a1a2|a12)|ref|le|ler|ar|avg|av|car)$",
    re.IGNORECASE,
)
_TYPES = (
    (ChannelType.EOG, re.compile(r"eog|^(?:lhz|luv|loc|roc)$", re.IGNORECASE)),
    (ChannelType.EMG, re.compile(r"emg", re.IGNORECASE)),
    (ChannelType.ECG, re.compile(r"ecg|ekg", re.IGNORECASE)),
    (ChannelType.ACCEL, re.compile(r"^acc(?:el)?", re.IGNORECASE)),
    (ChannelType.TRIG, re.compile(r"^(?:status|sti\b.*|stim.*|trig.*|marker.*)$", re.IGNORECASE)),
    (ChannelType.REF, re.compile(r"^(?:eeg\s+)?[am][12]-[am][12]$", re.IGNORECASE)),
    (
        ChannelType.MISC,
        re.compile(
            r"\baux\b|\bdc\d+|^(?:resp.*|gsr|eda|ppg|spo2.*|sao2.*|pulse.*|photic.*)$",
            re.IGNORECASE,
        ),
    ),
)

_MOTOR_21 = "FC5 FC3 FC1 FCz FC2 FC4 FC6 C5 C3 C1 Cz C2 C4 C6 CP5 CP3 CP1 CPz CP2 CP4 CP6"
_CYTON = "Fp1 Fp2 C3 C4 P7 P8 O1 O2"
MONTAGES: dict[str, tuple[str, ...]] = {
    name: tuple(electrodes.split())
    for name, electrodes in {
        "openbci-cyton": _CYTON,
        "openbci-daisy": f"{_CYTON} F7 F8 F3 F4 T7 T8 P3 P4",
        "openbci-ganglion": "C3 Cz C4 Pz",
        "muse": "TP9 AF7 AF8 TP10",
        "motor-3": "C3 Cz C4",
        "motor-8": "FC3 FC4 C3 Cz C4 CP3 CPz CP4",
        "motor-21": _MOTOR_21,
        "bci-iv-2a": "Fz FC3 FC1 FCz FC2 FC4 C5 C3 C1 Cz C2 C4 C6 CP3 CP1 CPz CP2 CP4 P1 Pz P2 POz",
        "10-20": "Fp1 Fp2 F7 F3 Fz F4 F8 T7 C3 Cz C4 T8 P7 P3 Pz P4 P8 O1 O2",
        "eegmmidb-64": f"{_MOTOR_21} Fp1 Fpz Fp2 AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 "
        "FT7 FT8 T7 T8 T9 T10 TP7 TP8 P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2 Iz",
    }.items()
}
"""Montages that have a name, in the order of their channels."""


@cache
def positions() -> dict[str, tuple[float, float, float]]:
    """Positions of all standard electrodes, metres."""
    table = resources.files("rtbci").joinpath("electrodes.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines()[1:])
    return {name: (float(x) / 1e3, float(y) / 1e3, float(z) / 1e3) for name, x, y, z in rows}


@cache
def _canonical() -> dict[str, str]:
    """Give standard names by their lower-case spelling, old names of 10-20 included."""
    return {name.lower(): name for name in positions()} | _OLD_NAMES


def position(name: str) -> tuple[float, float, float] | None:
    """Position of a standard electrode in metres, None for any other name."""
    return positions().get(name)


def is_standard(name: str) -> bool:
    """Whether ``name`` is an electrode of the 10-05 system, spelled as :func:`normalise` does."""
    return name in positions()


def directions(names: Iterable[str]) -> npt.NDArray[np.float64]:
    """Give unit vectors from the centre of the head to electrodes, NaN where a name has none.

    Returns
    -------
    directions : ndarray, shape (n_electrodes, 3)
    """
    nowhere = (np.nan, np.nan, np.nan)
    xyz = np.array([positions().get(n, nowhere) for n in names], dtype=float).reshape(-1, 3)
    xyz -= HEAD_CENTRE_M
    return np.asarray(xyz / np.linalg.norm(xyz, axis=1, keepdims=True))


def normalise(name: str) -> str:
    """Spell an electrode's name as the 10-05 system does; any other name only loses blanks.

    Undone are padding (``C3..``), a type in front (``EEG Fp1``), a common reference behind
    (``Fp1-Ref``, ``F4-A1``), the old names of the temporal electrodes (``T3``) and capitals
    (``FCZ``).  A bipolar derivation (``Fp1-F7``, ``A2-A1``) is no electrode and stays.
    """
    plain = name.strip()
    bare = _PREFIX.sub("", plain.rstrip(". "))
    standard = _canonical().get(bare.lower())
    if standard is not None:
        return standard
    derived = _REFERENCE.match(bare)
    if derived is not None:
        standard = _canonical().get(derived["electrode"].lower())
        if standard is not None and not (derived["ear"] and standard in _EARS):
            return standard
    return plain


def guess_type(name: str, default: ChannelType = ChannelType.EEG) -> ChannelType:
    """Channel type that a label tells (``EOG-L``, ``ECG ECG``, ``Status``), else ``default``."""
    if is_standard(normalise(name)):
        return default
    return next((kind for kind, pattern in _TYPES if pattern.search(name.strip())), default)


def parse_montage(text: str) -> tuple[str, ...]:
    """Read a montage from its name, a text file, or a list with commas.

    Parameters
    ----------
    text : str
        ``openbci-cyton``, a path (names separated by blanks, commas or lines; ``#`` begins a
        comment), or ``C3,Cz,C4``, which named montages may be among.  ``-`` or ``none`` stands for
        a channel without electrode.

    Returns
    -------
    names : tuple of str
        Normalised; :data:`UNUSED` for channels without electrode.

    Raises
    ------
    BadInputError
        Where it is none of these, empty, or names a channel twice.
    """
    known = MONTAGES.get(text.strip().lower())
    if known is not None:
        return known
    if "," in text:
        parts = [
            name
            for part in map(str.strip, text.split(","))
            for name in MONTAGES.get(part.lower(), (part,))
        ]
    elif Path(text).is_file():
        try:
            lines = Path(text).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as err:
            raise BadInputError(f"montage file {text} can't be read as text: {err}.") from err
        parts = re.split(r"[\s,]+", " ".join(line.split("#")[0] for line in lines).strip())
    elif is_standard(normalise(text)):
        parts = [text]
    else:
        close = difflib.get_close_matches(text.lower(), MONTAGES, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(MONTAGES)}."
        raise BadInputError(
            f"montage {text!r} is neither a file nor a known montage; {hint} "
            "A list of electrodes needs commas: C3,Cz,C4."
        )
    names = tuple(UNUSED if p.lower() in (UNUSED, "none") else normalise(p) for p in parts)
    if not any(names) or "" in names:
        raise BadInputError(f"montage {text!r} has an empty name; use - for an unused channel.")
    if all(n == UNUSED for n in names):
        raise BadInputError(f"montage {text!r} names no electrode, so nothing could be decoded.")
    check_unique(names, f"montage {text!r}")
    return names


def check_unique(names: Sequence[str], where: str) -> None:
    """Refuse a channel that is named twice.

    Raises
    ------
    BadInputError
        With the name and both of its places, counted from 1.
    """
    first: dict[str, int] = {}
    for i, name in enumerate(names, start=1):
        if name == UNUSED:
            continue
        if name in first:
            raise BadInputError(
                f"{where} has a channel named twice: {name} is number {first[name]} and {i}."
            )
        first[name] = i


def apply_montage(info: StreamInfo, names: Sequence[str]) -> StreamInfo:
    """Name the EEG channels of a stream, in the order of its columns.

    Parameters
    ----------
    info : StreamInfo
        Where it has no EEG channel at all, the montage turns its other channels (all but
        triggers) into EEG: whoever names them vouches for them.
    names : sequence of str
        One a channel; :data:`UNUSED` (or ``none``) turns the channel into MISC.

    Returns
    -------
    info : StreamInfo
        The same stream with other names and types.

    Raises
    ------
    BadInputError
        Where the number of names differs from the number of channels, or a name comes twice.
    """
    columns = info.eeg or tuple(
        i for i, c in enumerate(info.channels) if c.type is not ChannelType.TRIG
    )
    if len(names) != len(columns):
        have = ", ".join(info.channels[i].name for i in columns[:8])
        more = ", ..." if len(columns) > 8 else ""
        raise BadInputError(
            f"the montage has {len(names)} names but {info.name} has {len(columns)} EEG channels "
            f"({have}{more}); give one name a channel, with - for an unused one."
        )
    wanted = [UNUSED if n.lower() in (UNUSED, "none") else normalise(n) for n in names]
    check_unique(wanted, "the montage")
    channels = list(info.channels)
    for column, name in zip(columns, wanted, strict=True):
        old = channels[column]
        if name == UNUSED:
            channels[column] = dataclasses.replace(old, type=ChannelType.MISC)
        else:
            channels[column] = Channel(name, ChannelType.EEG, "µV", old.full_scale)
    taken = {name for name in wanted if name != UNUSED}
    for column, channel in enumerate(channels):
        if channel.name in taken and channel.type is not ChannelType.EEG:
            # An unused or auxiliary channel must not keep a name that an electrode has now.
            channels[column] = dataclasses.replace(channel, name=f"{channel.name} (unused)")
    return dataclasses.replace(info, channels=tuple(channels))


def mirror_electrode(name: str) -> str:
    """Name of the electrode at the same place on the other side (C3 and C4, Cz and Cz)."""
    match = re.fullmatch(r"(\D+)(\d+)(\D*)", name)
    if match is None:
        return name
    number = int(match[2])
    return f"{match[1]}{number + 1 if number % 2 else number - 1}{match[3]}"
