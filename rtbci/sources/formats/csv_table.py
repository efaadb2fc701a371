"""CSV files with a header: a time column, channels, perhaps a marker column.

EEG-ExPy, muse-lsl and Notion's exporters write them (``timestamps,TP9,...,Marker0``).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtbci.montage import guess_type
from rtbci.sources.formats.common import (
    Opened,
    foreign,
    plain_label,
    repair_units,
    slicer,
    stream_info,
)
from rtbci.sources.formats.text import TextTable, numbers, read_table
from rtbci.sources.formats.times import even_times, nominal_rate
from rtbci.types import Channel, ChannelType, Marker, TimeArray

KIND = "CSV"
_TIMES = frozenset(
    {"timestamps", "timestamp", "time", "times", "t", "time (s)", "time_s", "time:256hz", "seconds"}
)
_MARKERS = ("marker", "stim", "trigger", "event", "label")
_EPOCH_MS = 1e11


def looks_like_csv(beginning: str) -> bool:
    """Whether a text begins with a header that has a time column, and a row of numbers."""
    lines = beginning.lstrip("\ufeff").splitlines()[:2]
    if len(lines) < 2:
        return False
    names, cells = (re.split(r"[,;\t]", line) for line in lines)
    timed = any(n.strip().strip('"').lower() in _TIMES for n in names)
    try:
        float(cells[0])
    except ValueError:
        return False
    return timed and len(names) == len(cells) > 2


def open_csv(path: Path) -> Opened:
    """Load a CSV file with a header.

    Raises
    ------
    BadInputError
        Where it has no time column, no channel, or no numbers.
    """
    table = read_table(path, KIND)
    names = _header(table)
    time_column = next((i for i, n in enumerate(names) if n.lower() in _TIMES), None)
    if time_column is None:
        said = ", ".join(n or "?" for n in names[:6]) or "none"
        raise foreign(path, KIND, f"no column is named timestamps or time (columns: {said})")
    marker_column = next((i for i, n in enumerate(names) if n.lower().startswith(_MARKERS)), None)
    columns = [i for i in range(len(names)) if i not in (time_column, marker_column)]
    if not columns:
        raise foreign(path, KIND, "it has no channel beside its time column")
    values = numbers(table, [time_column, *columns], path, KIND)
    stamps = _seconds(values[:, 0])
    try:
        times, measured, breaks = even_times(stamps)
    except ValueError as err:
        raise foreign(path, KIND, err) from err
    rate = nominal_rate(measured)
    channels = [_channel(names[c]) for c in columns]
    info = stream_info(
        path,
        rate,
        channels,
        ["the last line is cut off and left out"] if table.cut_off else [],
        format=KIND,
        rows=len(values),
        measured_rate=round(measured, 4),
    )
    opened = Opened(
        info=info,
        n_rows=len(values),
        read=slicer(np.ascontiguousarray(values[:, 1:], dtype=np.float32)),
        times=times,
        markers=() if marker_column is None else _markers(table.cells(marker_column), times),
        breaks=breaks,
    )
    return repair_units(opened, trusted=False)


def _header(table: TextTable) -> list[str]:
    """Read the column names, which stand right above the numbers."""
    last = table.header[-1] if table.header else ""
    names = [n.strip().strip('"') for n in last.split(table.delimiter)]
    return names if len(names) == table.n_columns else []


def _seconds(stamps: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Convert stamps in milliseconds to seconds."""
    step = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 0.0
    return stamps / 1e3 if stamps[0] > _EPOCH_MS or step >= 0.5 else stamps


def _channel(name: str) -> Channel:
    """Type a column by its name."""
    kind = guess_type(name)
    volts = kind in (ChannelType.EEG, ChannelType.EOG, ChannelType.EMG, ChannelType.ECG)
    return Channel(name, kind, "µV" if volts else "n/a")


def _markers(cells: list[str], times: TimeArray) -> tuple[Marker, ...]:
    """Make markers of the rows where the marker column changes to something."""
    labels = [plain_label(cell) for cell in cells]
    none = {"", "0", "nan", "NaN", "None"}
    return tuple(
        Marker(float(times[i]), label)
        for i, label in enumerate(labels)
        if label not in none and (i == 0 or labels[i - 1] != label)
    )
