"""EDF, BDF, GDF, BrainVision, FIF and EEGLAB files, read by MNE in slices."""

from __future__ import annotations

import dataclasses
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from rtbci.errors import BadInputError, SourceError
from rtbci.montage import guess_type, is_standard, normalise
from rtbci.sites import nearest_sites
from rtbci.sources.formats.common import (
    Opened,
    add_note,
    foreign,
    plain_label,
    repair_units,
    stream_info,
)
from rtbci.types import Channel, ChannelType, FloatArray, Marker

SUFFIXES = {
    ".edf": "EDF",
    ".bdf": "BDF",
    ".gdf": "GDF",
    ".vhdr": "BrainVision",
    ".fif": "FIF",
    ".set": "EEGLAB",
}
_VOLTS = frozenset({"eeg", "eog", "emg", "ecg", "bio", "ref_eeg", "seeg", "ecog", "dbs"})
_TYPES = {
    "eog": ChannelType.EOG,
    "emg": ChannelType.EMG,
    "ecg": ChannelType.ECG,
    "stim": ChannelType.TRIG,
    "ref_eeg": ChannelType.REF,
}
_BREAKS = frozenset({"boundary", "bad boundary", "edge boundary", "bad_acq_skip", "new segment"})
_TIME_KEEPING = re.compile(r"^\+\d+(?:\.\d*)?$")
_BRAINVISION_KINDS = re.compile(
    r"^(?P<kind>New Segment|Comment|Stimulus|Response|SyncStatus|Optic|Pulse Artifact|Toggle)/"
    r"(?P<text>.*)$"
)
_STIM_ROWS = 100_000
_MOST_CODES_WITHOUT_REST = 64


def open_mne(path: Path, *, cut_off: bool = False) -> Opened:
    """Open a recording that MNE reads, without loading it.

    Parameters
    ----------
    path : Path
    cut_off : bool
        Take a file that ends too early for what is there, and say so in its notes.

    Raises
    ------
    BadInputError
        Where MNE can't make sense of the file.
    """
    kind = SUFFIXES[Path(path.name.lower().removesuffix(".gz")).suffix]
    raw, missing = _open_raw(path, kind, cut_off)
    rate, first = float(raw.info["sfreq"]), float(raw.first_time)
    channels, scale = _channels(raw)
    channels, placed = _placed(raw, channels)
    markers, breaks = _annotations(raw, first, rate)
    markers += _stim_markers(raw, rate, path, kind)
    info = stream_info(path, rate, channels, format=kind, rows=int(raw.n_times))
    for note in filter(None, [missing, placed]):
        info = add_note(info, note)

    def read(start: int, stop: int) -> FloatArray:
        volts = _slice(raw, None, start, stop, path, kind)
        return np.ascontiguousarray((volts * scale[:, None]).T, dtype=np.float32)

    opened = Opened(
        info=info,
        n_rows=int(raw.n_times),
        read=read,
        markers=tuple(sorted(markers, key=lambda m: m.time)),
        breaks=tuple(sorted(set(breaks))),
        close=raw.close,
    )
    try:
        # What is cut off shall be said now, not when the session gets there.
        read(opened.n_rows - 1, opened.n_rows)
        return repair_units(opened, trusted=True)
    except SourceError as err:
        if cut_off:
            return opened
        raw.close()
        raise foreign(path, kind, err.__cause__ or err) from err


def _open_raw(path: Path, kind: str, cut_off: bool) -> tuple[Any, str]:
    """Open by the reader for its kind, silently; MNE picks it by the suffix.

    With what is missing at the file's end, where ``cut_off`` allows that.
    """
    import mne

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options: dict[str, Any] = {"preload": False, "verbose": "ERROR"}
        try:
            missing = _missing(path, kind)
            if missing and not cut_off:
                raise ValueError(missing)
            try:
                raw = mne.io.read_raw(path, **options)
            except UnicodeDecodeError:
                raw = mne.io.read_raw(path, encoding="latin1", **options)
        except FileNotFoundError as err:
            raise BadInputError(
                f"{path} belongs to {err.filename or err}, which is not there; copy all files of "
                "the recording into one folder, under their own names."
            ) from err
        except MemoryError as err:
            raise foreign(path, kind, "its header asks for more memory than there is") from err
        except Exception as err:
            # A parser that meets foreign bytes raises whatever it trips over.
            raise foreign(path, kind, err) from err
    if raw.n_times == 0 or not raw.ch_names:
        raise foreign(path, kind, "it holds no samples")
    return raw, missing


def _missing(path: Path, kind: str) -> str:
    """Say how much an EDF or BDF is shorter than its header says; empty where it is whole.

    Raises
    ------
    ValueError
        Where the header itself is cut off.
    """
    if kind not in ("EDF", "BDF"):
        return ""
    with path.open("rb") as file:
        head = file.read(256)
        if len(head) < 256:
            raise ValueError(f"its header is cut off after {len(head)} bytes")
        fields = head[184:192], head[236:244], head[252:256]
        if not all(field.strip().removeprefix(b"-").isdigit() for field in fields):
            raise ValueError(f"its header is none: it begins with {head[:8]!r}")
        header_bytes, n_records, n_signals = map(int, fields)
        file.seek(256 + n_signals * 216)
        samples = file.read(n_signals * 8)
    if len(samples) < n_signals * 8:
        raise ValueError("its header is cut off")
    per_record = sum(int(samples[i * 8 : i * 8 + 8]) for i in range(n_signals))
    record_bytes = per_record * (3 if kind == "BDF" else 2)
    whole = (path.stat().st_size - header_bytes) // max(record_bytes, 1)
    return f"it ends after {max(whole, 0)} of {n_records} records" if whole < n_records else ""


def _slice(raw: Any, picks: list[int] | None, start: int, stop: int, path: Path, kind: str) -> Any:
    """Read rows of a Raw, (n_channels, n_times) in MNE's units."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return raw.get_data(picks=picks, start=start, stop=stop, verbose="ERROR")
    except Exception as err:
        raise SourceError(
            f"{path} can't be read any further at row {start}: {err}; the {kind} file is damaged "
            "or was changed while it was open."
        ) from err


def _channels(raw: Any) -> tuple[list[Channel], Any]:
    """Tell channels with their types, and the factors from MNE's units to theirs."""
    channels, scale = [], []
    units: dict[str, str] = dict(getattr(raw, "_orig_units", None) or {})
    for label, mne_type in zip(raw.ch_names, raw.get_channel_types(), strict=True):
        kind = _TYPES.get(mne_type, ChannelType.MISC) if mne_type != "eeg" else _eeg_or_not(label)
        unit = units.get(label, "")
        if mne_type != "stim" and (unit in ("µV", "uV") or (mne_type in _VOLTS and unit != "n/a")):
            channels.append(Channel(label, kind, "µV"))
            scale.append(1e6)
        else:
            channels.append(Channel(label, kind, (mne_type != "stim" and unit) or "n/a"))
            scale.append(1.0)
    return channels, np.array(scale)


def _placed(raw: Any, channels: list[Channel]) -> tuple[list[Channel], str]:
    """Name electrodes with foreign names after the sites they are nearest to, and say so."""
    own = [normalise(c.name) for c in channels]
    where: dict[str, tuple[float, float, float]] = {}
    for i, channel in enumerate(channels):
        x, y, z = map(float, raw.info["chs"][i]["loc"][:3])
        known = np.isfinite([x, y, z]).all() and any((x, y, z))
        if known and channel.type is ChannelType.EEG and not is_standard(own[i]):
            where[channel.name] = (x, y, z)
    sites = nearest_sites(where, taken=own)
    if not sites:
        return channels, ""
    shown = ", ".join(f"{n} is {s}" for n, s in list(sites.items())[:4])
    note = f"{len(sites)} electrodes are named after the sites they are nearest to ({shown}, ...)"
    return [dataclasses.replace(c, name=sites.get(c.name, c.name)) for c in channels], note


def _eeg_or_not(label: str) -> ChannelType:
    """Type of a channel that MNE takes for EEG because the file does not say more."""
    polygraphic = re.match(r"^pol\s+(?P<name>.*)$", label.strip(), re.IGNORECASE)
    if polygraphic and not is_standard(normalise(polygraphic["name"])):
        return guess_type(polygraphic["name"], ChannelType.MISC)
    return guess_type(label)


def _annotations(raw: Any, first: float, rate: float) -> tuple[list[Marker], list[int]]:
    """Split annotations into markers and breaks."""
    markers, breaks = [], []
    for note in raw.annotations:
        label = str(note["description"]).strip()
        onset = float(note["onset"]) - first
        brainvision = _BRAINVISION_KINDS.match(label)
        if brainvision:
            label = brainvision["text"].strip() or brainvision["kind"]
            if brainvision["kind"] == "New Segment":
                label = "New Segment"
        if label.lower() in _BREAKS:
            row = round(onset * rate)
            if 0 < row < raw.n_times:
                breaks.append(row)
        elif label and not _TIME_KEEPING.match(label):
            markers.append(Marker(onset, plain_label(label), float(note["duration"])))
    return markers, breaks


def _stim_markers(raw: Any, rate: float, path: Path, kind: str) -> list[Marker]:
    """Make markers of the changes of trigger channels to another value than 0.

    A channel called trigger that is never 0 and takes many values was recorded by an analogue
    input: its noise is no events.
    """
    markers = []
    for pick in (i for i, t in enumerate(raw.get_channel_types()) if t == "stim"):
        rows, codes = [], []
        last: int | None = None
        resting = False
        for start in range(0, raw.n_times, _STIM_ROWS):
            stop = min(start + _STIM_ROWS, raw.n_times)
            values = np.nan_to_num(_slice(raw, [pick], start, stop, path, kind)[0])
            now = np.round(values).astype(np.int64)
            if kind == "BDF":
                now &= 0xFFFF  # The upper bits are BioSemi's status flags.
            before = np.concatenate([[now[0] if last is None else last], now[:-1]])
            changed = np.flatnonzero((now != before) & (now != 0))
            rows += (changed + start).tolist()
            codes += now[changed].tolist()
            resting |= bool((now == 0).any())
            last = int(now[-1])
        if resting or len(set(codes)) <= _MOST_CODES_WITHOUT_REST:
            markers += [Marker(r / rate, str(c)) for r, c in zip(rows, codes, strict=True)]
    return markers
