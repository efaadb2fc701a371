"""XDF files (LabRecorder): one stream of signals, the text streams as markers.

Clock offsets are applied and time stamps de-jittered by pyxdf: a stream from a board over
LSL has stamps that bunch and run backwards (4461 of 33370 in one real recording), while the
straight line through each segment is what the board did.
"""

from __future__ import annotations

import gzip
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from rtbci.errors import BadInputError
from rtbci.montage import guess_type
from rtbci.sources.formats.common import (
    Opened,
    foreign,
    plain_label,
    repair_units,
    slicer,
    stream_info,
)
from rtbci.sources.formats.times import even_times
from rtbci.types import Channel, ChannelType, Marker

_MICROVOLTS = {
    "": 1.0, "uv": 1.0, "µv": 1.0, "μv": 1.0, "microvolt": 1.0, "microvolts": 1.0,
    "nv": 1e-3, "nanovolts": 1e-3, "mv": 1e3, "millivolts": 1e3, "v": 1e6, "volts": 1e6,
}  # fmt: skip
_TYPES = {t.value.lower(): t for t in ChannelType} | {
    "accelerometer": ChannelType.ACCEL,
    "acc": ChannelType.ACCEL,
    "ekg": ChannelType.ECG,
    "stim": ChannelType.TRIG,
    "trigger": ChannelType.TRIG,
    "aux": ChannelType.MISC,
}
_RATE_TOLERANCE = 0.02


def open_xdf(path: Path, stream: str | None = None) -> Opened:
    """Load an XDF file.

    Parameters
    ----------
    path : Path
    stream : str | None
        Name of the stream of signals; the one of type EEG with most channels where None, else
        the numeric one with most channels.

    Raises
    ------
    BadInputError
        Where the file is no XDF or holds no such stream.
    """
    streams = _load(path)
    chosen, others = _choose(path, streams, stream)
    stamps = np.asarray(chosen["time_stamps"], dtype=float)
    try:
        times, measured, breaks = even_times(stamps)
    except ValueError as err:
        raise foreign(path, "XDF", err) from err
    nominal = float(_text(chosen, "nominal_srate") or 0.0)
    notes = []
    if others:
        listed = ", ".join(map(repr, others))
        name = _text(chosen, "name")
        notes.append(f"{name!r} is played; --file-stream takes another stream of EEG: {listed}")
    rate = nominal
    if nominal <= 0 or abs(measured / nominal - 1) > _RATE_TOLERANCE:
        rate = measured
        notes.append(f"rate is the measured {measured:.2f} Hz, not the nominal {nominal:g} Hz")
    channels, scale, stated = _channels(chosen)
    data = np.asarray(chosen["time_series"], dtype=np.float64) * scale
    info = stream_info(
        path,
        rate,
        channels,
        notes,
        format="XDF",
        rows=len(data),
        stream=_text(chosen, "name"),
        streams=[_describe(s) for s in streams],
        measured_rate=round(measured, 4),
    )
    opened = Opened(
        info=info,
        n_rows=len(data),
        read=slicer(data.astype(np.float32)),
        times=times,
        markers=_markers(streams, chosen, stamps, times),
        breaks=breaks,
    )
    return repair_units(opened, trusted=stated)


def _load(path: Path) -> list[dict[str, Any]]:
    """Load all streams, without what pyxdf likes to log."""
    import pyxdf

    with (gzip.open if path.suffix.lower() == ".xdfz" else open)(path, "rb") as file:
        if file.read(4) != b"XDF:":
            raise foreign(path, "XDF", "it does not begin with 'XDF:'")
    logger = logging.getLogger("pyxdf")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            streams, _ = pyxdf.load_xdf(str(path), dejitter_timestamps=True, verbose=None)
    except Exception as err:
        # A parser that meets foreign bytes raises whatever it trips over.
        raise foreign(path, "XDF", err) from err
    finally:
        logger.setLevel(level)
    return list(streams)


def _choose(
    path: Path, streams: list[dict[str, Any]], name: str | None
) -> tuple[dict[str, Any], list[str]]:
    """Pick the stream of signals; give with it the names of those that it could have been, too."""
    listed = "; ".join(map(_describe, streams)) or "none at all"
    signals = [s for s in streams if not _is_text(s) and len(s["time_stamps"]) > 2]
    if name is not None:
        signals = [s for s in signals if _text(s, "name") == name]
    eeg = [s for s in signals if _text(s, "type").lower() == "eeg"]
    if not (eeg or signals):
        wanted = "stream of signals" if name is None else f"stream of signals called {name!r}"
        raise BadInputError(f"{path} has no {wanted} with samples; its streams: {listed}.")
    chosen = max(eeg or signals, key=lambda s: int(_text(s, "channel_count") or 0))
    others = [] if name is not None else [_text(s, "name") for s in eeg if s is not chosen]
    return chosen, others


def _channels(stream: dict[str, Any]) -> tuple[list[Channel], Any, bool]:
    """Tell channels, factors to µV, and whether the stream states its units."""
    try:
        described = list(stream["info"]["desc"][0]["channels"][0]["channel"])
    except (KeyError, IndexError, TypeError):
        described = []
    n = int(np.asarray(stream["time_series"]).shape[1])
    is_eeg = _text(stream, "type").lower() == "eeg"
    channels, scale = [], []
    stated = False
    for i in range(n):
        said = described[i] if i < len(described) and described[i] else {}
        label, unit, kind = (((said.get(k) or [""])[0] or "") for k in ("label", "unit", "type"))
        default = ChannelType.EEG if is_eeg else ChannelType.MISC
        channel_type = _TYPES.get(kind.strip().lower(), default)
        if channel_type is ChannelType.EEG and label:
            channel_type = guess_type(label)
        factor = _MICROVOLTS.get(unit.strip().lower())
        stated |= bool(unit) and factor is not None
        volts = channel_type in (
            ChannelType.EEG, ChannelType.EOG, ChannelType.EMG, ChannelType.ECG
        )  # fmt: skip
        channels.append(
            Channel(label or f"Ch{i + 1}", channel_type, "µV" if volts else unit or "n/a")
        )
        scale.append((factor or 1.0) if volts else 1.0)
    return channels, np.array(scale), stated


def _markers(
    streams: list[dict[str, Any]], chosen: dict[str, Any], stamps: Any, times: Any
) -> tuple[Marker, ...]:
    """Make markers of all text streams (and of numeric ones of type Markers)."""
    markers = []
    for stream in streams:
        if stream is chosen or not (_is_text(stream) or _text(stream, "type").lower() == "markers"):
            continue
        for stamp, row in zip(stream["time_stamps"], stream["time_series"], strict=True):
            label = plain_label(np.asarray(row, dtype=object).ravel()[0])
            if label:
                markers.append(Marker(_session_time(float(stamp), stamps, times), label))
    return tuple(sorted(markers, key=lambda m: m.time))


def _session_time(stamp: float, stamps: Any, times: Any) -> float:
    """Time of a marker on the signal's own axis, which differs from the stamps after breaks."""
    at = int(np.clip(np.searchsorted(stamps, stamp, side="right") - 1, 0, len(stamps) - 1))
    return float(times[at] + (stamp - stamps[at]))


def _is_text(stream: dict[str, Any]) -> bool:
    return _text(stream, "channel_format") == "string"


def _text(stream: dict[str, Any], key: str) -> str:
    """Read one field of a stream's header."""
    value = stream["info"].get(key) or [""]
    return str(value[0] if isinstance(value, list) else value)


def _describe(stream: dict[str, Any]) -> str:
    """Tell a stream in a few words."""
    rate = float(_text(stream, "nominal_srate") or 0.0)
    pace = f"{rate:g} Hz" if rate else "irregular"
    return (
        f"{_text(stream, 'name')} ({_text(stream, 'type')}, {_text(stream, 'channel_count')} "
        f"channels, {pace}, {len(stream['time_stamps'])} samples)"
    )
