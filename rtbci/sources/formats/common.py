"""What all readers of recordings share: what an opened file is, names, units, times.

A reader turns a file into an :class:`Opened`; :mod:`rtbci.sources.replay` plays it.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfiltfilt

from rtbci.errors import BadInputError
from rtbci.montage import normalise
from rtbci.types import (
    Channel,
    ChannelType,
    FloatArray,
    IndexArray,
    Marker,
    StreamInfo,
    TimeArray,
)

IMPLAUSIBLE_UV = 2e5
"""Spread of high-passed EEG that no amplifier can give: the widest take in about 1 V."""
_IMPLAUSIBLY_SMALL_UV = 1e-3
_BIOSEMI = re.compile(r"^[A-H](?:[1-9]|[12][0-9]|3[0-2])$")


@dataclass(frozen=True)
class Opened:
    """A recording that can be read by rows.

    Attributes
    ----------
    info : StreamInfo
    n_rows : int
    read : callable
        ``read(start, stop)`` gives those rows, (n_times, n_channels) float32.
    times : ndarray, shape (n_rows,) | None
        Seconds from row 0; ``row / rate`` where None.
    counters : ndarray, shape (n_rows,) | None
    markers : tuple of Marker
        In order; times in seconds from row 0.
    breaks : tuple of int
        Rows before which the file says that something is missing.
    close : callable
    """

    info: StreamInfo
    n_rows: int
    read: Callable[[int, int], FloatArray]
    times: TimeArray | None = None
    counters: IndexArray | None = None
    markers: tuple[Marker, ...] = ()
    breaks: tuple[int, ...] = ()
    close: Callable[[], None] = field(default=lambda: None)


def foreign(path: Path, kind: str, why: object) -> BadInputError:
    """Say that a file is not what its name or its beginning promises."""
    reason = " ".join(str(why).split()).rstrip(".") or type(why).__name__
    return BadInputError(
        f"{path} can't be read as {kind}: {reason[:300]}; "
        "the file is damaged, cut off or of another kind."
    )


def slicer(data: FloatArray) -> Callable[[int, int], FloatArray]:
    """Make the ``read`` of a recording that is in memory."""
    return lambda start, stop: data[start:stop]


def stream_info(
    path: Path,
    rate: float,
    channels: Sequence[Channel],
    notes: Sequence[str] = (),
    **device: object,
) -> StreamInfo:
    """Build the StreamInfo of a file: electrodes normalised, every name once.

    Parameters
    ----------
    path : Path
    rate : float
        Hz.
    channels : sequence of Channel
        As the file labels them.
    notes : sequence of str
        What a user should know of how the file was read.
    device
        Facts of the recording.

    Raises
    ------
    BadInputError
        On a rate that is no rate.
    """
    if not (np.isfinite(rate) and rate > 0):
        raise BadInputError(f"{path} states a sampling rate of {rate:g} Hz; it can't be replayed.")
    said = list(notes)
    electrodes = [c.name.strip() for c in channels if c.type is ChannelType.EEG]
    biosemi = bool(electrodes) and sum(map(bool, map(_BIOSEMI.match, electrodes))) > 2
    if biosemi and {"A1", "A2", "A3"} <= set(electrodes):
        # BioSemi's cap positions A1, A2 are not the ears of the 10-20 system.
        said.append("channels bear BioSemi cap labels, not electrode names; name them by --montage")
        names = [f"BioSemi {c.name}" if _BIOSEMI.match(c.name) else c.name for c in channels]
    else:
        names = [
            normalise(c.name) if c.type is ChannelType.EEG else c.name.strip() for c in channels
        ]
    unique = _unique(names)
    doubled = [n for n, count in Counter(names).items() if count > 1]
    if doubled:
        said.append(f"channel names that came twice were numbered: {', '.join(doubled)}")
    named = tuple(dataclasses.replace(c, name=n) for c, n in zip(channels, unique, strict=True))
    facts = {"file": path.name, **device}
    if said:
        facts["notes"] = said
    return StreamInfo(name=path.name, kind="replay", rate=rate, channels=named, device=facts)


def _unique(names: Sequence[str]) -> list[str]:
    """Count repeated names up: ``Not Used``, ``Not Used (2)``."""
    seen: set[str] = set()
    out = []
    for i, name in enumerate(names):
        base = name or f"Ch{i + 1}"
        unique, n = base, 1
        while unique in seen:
            n += 1
            unique = f"{base} ({n})"
        seen.add(unique)
        out.append(unique)
    return out


def add_note(info: StreamInfo, note: str) -> StreamInfo:
    """Give the stream's facts one more note."""
    notes = [*info.device.get("notes", []), note]
    return dataclasses.replace(info, device={**info.device, "notes": notes})


def repair_units(opened: Opened, trusted: bool) -> Opened:
    """Undo a factor of a million where the values can't be the µV that they should be.

    Headers that claim volts for microvolts are common (GDF exporters, ``RawArray`` users).
    The test is the spread above 1 Hz, so that offsets of 1e5 µV stay what they are.

    Parameters
    ----------
    opened : Opened
    trusted : bool
        True where the file states its unit: then only impossible values are repaired, and
        faint ones are believed.

    Returns
    -------
    opened : Opened
        Rescaled, with a note in ``info.device``, or as it was.
    """
    spread = _spread(opened)
    if spread > IMPLAUSIBLE_UV:
        factor, claim = 1e-6, "volts"
    elif not trusted and 0 < spread < _IMPLAUSIBLY_SMALL_UV:
        factor, claim = 1e6, "microvolts"
    else:
        return opened
    columns = np.array(
        [
            c.type in (ChannelType.EEG, ChannelType.EOG, ChannelType.EMG, ChannelType.ECG)
            for c in opened.info.channels
        ]
    )
    scale = np.where(columns, factor, 1.0).astype(np.float32)
    read = opened.read
    actual = "microvolts" if claim == "volts" else "volts"
    note = (
        f"values said to be {claim} are {actual} (spread above 1 Hz was {spread:.3g} µV): "
        f"multiplied by {factor:g}"
    )
    return dataclasses.replace(
        opened,
        info=add_note(opened.info, note),
        read=lambda start, stop: np.asarray(read(start, stop) * scale, dtype=np.float32),
    )


def _spread(opened: Opened) -> float:
    """Typical robust SD above 1 Hz of the EEG channels, in what should be µV; 0 where unknown."""
    eeg, rate = list(opened.info.eeg), opened.info.rate
    n = min(opened.n_rows, round(10 * rate))
    if not eeg or rate < 4 or n < round(1.5 * rate):
        return 0.0
    high_pass = butter(2, 1.0, "highpass", fs=rate, output="sos")
    spreads = []
    for start in sorted({0, (opened.n_rows - n) // 2, opened.n_rows - n}):
        x = opened.read(start, start + n)[:, eeg].astype(float)
        x = np.where(np.isfinite(x), x, np.nanmedian(np.nan_to_num(x, posinf=0, neginf=0), axis=0))
        x = sosfiltfilt(high_pass, x, axis=0)
        deviation = np.median(np.abs(x - np.median(x, axis=0)), axis=0)
        spreads.append(float(np.median(1.4826 * deviation)))
    # One slice may lie in a pause; two thirds of a recording don't.
    return float(np.median(spreads))


def plain_label(label: object) -> str:
    """Spell a marker: blanks off, and whole numbers without the decimals that LSL adds."""
    text = str(label).strip()
    whole = re.fullmatch(r"(-?\d+)\.0*", text)
    return whole[1] if whole else text
