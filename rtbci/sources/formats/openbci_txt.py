"""Text files of the OpenBCI GUI, three generations of them.

    to v4   % lines; index, EXG, 3 x acceleration, [time of day, UNIX ms]
    v5      % lines with the board; all rows of the board, UNIX time, time of day
    v6      the same with a line that names the columns, and a marker column

Times come from the sample index, which wraps at 256: the GUI's own stamps are receive times,
several rows at once.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtbci.sources.formats.common import Opened, foreign, slicer, stream_info
from rtbci.sources.formats.text import TextTable, numbers, read_table
from rtbci.sources.formats.times import counted_times, counter_step, even_times
from rtbci.types import Channel, ChannelType, IndexArray, Marker, TimeArray

KIND = "OpenBCI GUI text"
_CYTON_FULL_SCALE_UV = 187_500.0
_EPOCH_MS = 1e11
_EPOCH_S = 1e9
_N_ACCEL = 3


def looks_like_openbci(beginning: str) -> bool:
    """Whether a file begins like one of the GUI's."""
    return beginning.lstrip("\ufeff").startswith("%OpenBCI")


def open_openbci(path: Path) -> Opened:
    """Load a text file of the OpenBCI GUI.

    Raises
    ------
    BadInputError
        Where header or rows are not those of the GUI.
    """
    table = read_table(path, KIND)
    header = "\n".join(table.header)
    rate = _setting(header, r"%\s*Sample Rate\s*=\s*([0-9.,]+)")
    if rate is None:
        raise foreign(path, KIND, "its header has no '%Sample Rate = ... Hz'")
    names = _names(table)
    clock_text = _text_columns(table)
    numeric = [c for c in range(table.n_columns) if c not in clock_text]
    values = numbers(table, numeric, path, KIND)
    labels = [names[c] if names else "" for c in numeric]
    stamp = _stamp_column(values, labels)
    if stamp is not None:
        # The first row of v5 files is all zeros, its time too: nothing was sampled there.
        values = values[values[:, stamp] > 0]
    if len(values) < 2:
        raise foreign(path, KIND, "it has no rows of samples")
    marker = next((i for i, n in enumerate(labels) if n.lower().startswith("marker")), None)
    n_exg = _exg_count(header, labels, len(numeric), stamp)
    if not 0 < n_exg < len(numeric):
        raise foreign(path, KIND, f"{len(numeric)} columns can't hold {n_exg} channels")
    data_columns = [i for i in range(1, len(numeric)) if i not in (stamp, marker)]
    counters = values[:, 0].astype(np.int64)
    stamps = None if stamp is None else _seconds(values[:, stamp])
    times, step, modulus, breaks = _times(counters, stamps, rate)
    board = re.search(r"%\s*Board\s*=\s*(?:OpenBCI_GUI\$)?(\S+)", header)
    board_name = board[1] if board else f"OpenBCI, {n_exg} channels"
    notes = ["the last line is cut off and left out"] if table.cut_off else []
    info = stream_info(
        path,
        rate,
        _channels(labels, data_columns, n_exg, board_name),
        notes,
        format=KIND,
        rows=len(values),
        board=board_name,
    )
    if modulus:
        info = dataclasses.replace(info, counter_step=step, counter_modulus=modulus)
    markers = () if marker is None else _markers(values[:, marker], times)
    return Opened(
        info=info,
        n_rows=len(values),
        read=slicer(np.ascontiguousarray(values[:, data_columns], dtype=np.float32)),
        times=times,
        counters=counters if modulus else None,
        markers=markers,
        breaks=breaks,
    )


def _setting(header: str, pattern: str) -> float | None:
    """Read one number of the header; old GUIs wrote it with the system's comma."""
    match = re.search(pattern, header, re.IGNORECASE)
    return float(match[1].replace(",", ".").rstrip(".")) if match else None


def _names(table: TextTable) -> list[str]:
    """Read the column names of a v6 file; none before."""
    last = table.header[-1] if table.header else ""
    if last.startswith("%") or table.delimiter not in last:
        return []
    names = [n.strip() for n in last.split(table.delimiter)]
    return names if len(names) == table.n_columns else []


def _text_columns(table: TextTable) -> set[int]:
    """Find columns that hold a time of day."""
    return {
        c
        for row in (table.rows[0], table.rows[-1])
        for c, cell in enumerate(row.split(table.delimiter))
        if ":" in cell
    }


def _stamp_column(values: npt.NDArray[np.float64], labels: list[str]) -> int | None:
    """Find the column of UNIX times, by name or by size."""
    for i, name in enumerate(labels):
        if name.lower() == "timestamp":
            return i
    large = np.flatnonzero(values[len(values) // 2] > _EPOCH_S)
    return int(large[-1]) if len(large) else None


def _exg_count(header: str, labels: list[str], n_numeric: int, stamp: int | None) -> int:
    """Count the EXG channels: by name, by the header, or by what is left of an old row."""
    named = sum(n.lower().startswith(("exg channel", "eeg channel")) for n in labels)
    stated = _setting(header, r"%\s*Number of channels\s*=\s*([0-9]+)")
    if named:
        return named
    if stated:
        return int(stated)
    return n_numeric - 1 - _N_ACCEL - (stamp is not None)


def _channels(labels: list[str], columns: list[int], n_exg: int, board: str) -> list[Channel]:
    """Type the data columns; EXG channels are Ch1 to ChN in all generations."""
    rail = _CYTON_FULL_SCALE_UV if "cyton" in board.lower() or n_exg in (8, 16) else None
    channels = []
    for place, column in enumerate(columns):
        name = labels[column] or f"Aux {column}"
        if place < n_exg:
            channels.append(Channel(f"Ch{place + 1}", full_scale=rail))
        elif place < n_exg + _N_ACCEL and (not labels[column] or name.startswith("Accel")):
            channels.append(Channel(f"Accel {'XYZ'[place - n_exg]}", ChannelType.ACCEL, "g"))
        else:
            channels.append(Channel(name, ChannelType.MISC, "n/a"))
    return channels


def _seconds(stamps: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Convert UNIX milliseconds to seconds where they are milliseconds."""
    return stamps / 1e3 if stamps[0] > _EPOCH_MS else stamps


def _times(
    counters: IndexArray, stamps: npt.NDArray[np.float64] | None, rate: float
) -> tuple[TimeArray, int, int, tuple[int, ...]]:
    """Give times, step and modulus of the index (0 where it counts nothing), and breaks."""
    modulus = 256
    step = counter_step(counters, modulus) if 0 <= counters.min() <= counters.max() < 256 else 0
    if step:
        return counted_times(counters, stamps, rate, step, modulus), step, modulus, ()
    if stamps is not None:
        times, _, breaks = even_times(stamps)
        return times, 1, 0, breaks
    return np.arange(len(counters)) / rate, 1, 0, ()


def _markers(values: npt.NDArray[np.float64], times: TimeArray) -> tuple[Marker, ...]:
    """Make markers of the rows where the marker column is not 0."""
    rows = np.flatnonzero(np.nan_to_num(values))
    return tuple(Marker(float(times[r]), f"{values[r]:g}", origin="board") for r in rows)
