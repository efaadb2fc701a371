"""Files of BrainFlow's streamer: all rows of a board, by tabs or commas, without a header.

The file does not name its board.  The number of columns leaves a few candidates; the time
stamps and the package counter tell which of them it was.
"""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.errors import BadInputError
from rtbci.sources.driver import load_brainflow
from rtbci.sources.formats.common import Opened, foreign, slicer, stream_info
from rtbci.sources.formats.text import numbers, read_table
from rtbci.sources.formats.times import counted_times, counter_step, even_times
from rtbci.types import Channel, ChannelType, Marker

KIND = "BrainFlow CSV"
_CYTON_FULL_SCALE_UV = 187_500.0
_RATE_TOLERANCE = 0.1
_PREFERRED = ("CYTON_BOARD", "CYTON_DAISY_BOARD", "GANGLION_BOARD", "SYNTHETIC_BOARD")
_ROWS = (
    ("eog_channels", ChannelType.EOG, "µV"),
    ("ecg_channels", ChannelType.ECG, "µV"),
    ("emg_channels", ChannelType.EMG, "µV"),
    ("accel_channels", ChannelType.ACCEL, "g"),
)


def open_brainflow(path: Path, board: str | None = None) -> Opened:
    """Load a file of BrainFlow.

    Parameters
    ----------
    path : Path
    board : str | None
        BrainFlow's name of the board (``CYTON_BOARD`` or ``cyton``); guessed where None.

    Raises
    ------
    BadInputError
        Where no board of BrainFlow writes so many columns, or several do and none fits.
    """
    table = read_table(path, KIND)
    values = numbers(table, range(table.n_columns), path, KIND)
    if len(values) < 2:
        raise foreign(path, KIND, "it has no rows of samples")
    name, described = _board(path, values, board)
    rate = float(described["sampling_rate"])
    eeg = list(described.get("eeg_channels") or described.get("exg_channels") or [])
    stamp, package = described["timestamp_channel"], described.get("package_num_channel")
    marker = described.get("marker_channel")
    columns = [c for c in range(table.n_columns) if c not in (stamp, package, marker)]
    stamps = values[:, stamp]
    counters = None if package is None else values[:, package].astype(np.int64)
    modulus = 256
    breaks: tuple[int, ...] = ()
    step = 0 if counters is None else counter_step(counters, modulus)
    if counters is not None and step and counters.max() < modulus:
        times = counted_times(counters, stamps, rate, step, modulus)
    else:
        counters, step, modulus = None, 1, 0
        try:
            times, _, breaks = even_times(stamps)
        except ValueError as err:
            raise foreign(path, KIND, err) from err
    notes = ["the last line is cut off and left out"] if table.cut_off else []
    if board is None:
        notes.append(
            f"board guessed from {table.n_columns} columns at {rate:g} Hz: {name} (another one: "
            "--file-board NAME)"
        )
    info = stream_info(
        path,
        rate,
        [_channel(c, described, eeg, name) for c in columns],
        notes,
        format=KIND,
        rows=len(values),
        board=name,
    )
    codes = np.zeros(0) if marker is None else np.nan_to_num(values[:, marker])
    return Opened(
        info=dataclasses.replace(info, counter_step=step, counter_modulus=modulus or None),
        n_rows=len(values),
        read=slicer(np.ascontiguousarray(values[:, columns], dtype=np.float32)),
        times=times,
        counters=counters,
        markers=tuple(
            Marker(float(times[r]), f"{codes[r]:g}", origin="board") for r in np.flatnonzero(codes)
        ),
        breaks=breaks,
    )


def _board(
    path: Path, values: npt.NDArray[np.float64], wanted: str | None
) -> tuple[str, dict[str, Any]]:
    """Find the board that wrote the rows."""
    known = _boards()
    if wanted is not None:
        names = {n: n for n in known} | {n.removesuffix("_BOARD"): n for n in known}
        name = names.get(wanted.strip().upper().replace("-", "_"))
        if name is None:
            close = difflib.get_close_matches(wanted.upper(), names, n=3, cutoff=0.4)
            raise BadInputError(
                f"BrainFlow has no board {wanted!r}; did you mean {' or '.join(close) or 'CYTON'}?"
            )
        if known[name]["num_rows"] != values.shape[1]:
            raise BadInputError(
                f"{path} has {values.shape[1]} columns, but {name} writes "
                f"{known[name]['num_rows']}; name another board or leave it out to have it guessed."
            )
        return name, known[name]
    same_width = {n: d for n, d in known.items() if d["num_rows"] == values.shape[1]}
    fitting = [n for n, d in same_width.items() if _fits(values, d)]
    if not fitting:
        listed = ", ".join(same_width)
        why = f"those that write so many ({listed}) do not fit its time stamps" if listed else ""
        raise BadInputError(
            f"{path} has {values.shape[1]} columns of numbers and no header, which no board of "
            f"BrainFlow writes{why and ': ' + why}; give it a first line that names its columns, "
            "as in timestamps,C3,C4."
        )
    name = min(fitting, key=lambda n: _PREFERRED.index(n) if n in _PREFERRED else len(_PREFERRED))
    return name, known[name]


def _boards() -> dict[str, dict[str, Any]]:
    """Describe all boards by name; those without rows of their own (playback) are left out."""
    shim = load_brainflow()
    known = {}
    for member in shim.BoardIds:
        try:
            described = shim.BoardShim.get_board_descr(member)
        except shim.BrainFlowError:
            continue
        if {"num_rows", "sampling_rate", "timestamp_channel"} <= set(described):
            known[member.name] = described
    return known


def _fits(values: npt.NDArray[np.float64], described: dict[str, Any]) -> bool:
    """Whether the time stamps and their rate are those of a board."""
    stamps = values[:, described["timestamp_channel"]]
    span = float(stamps[-1] - stamps[0])
    if stamps.min() < 1e9 or span <= 0:
        return False
    measured = (len(stamps) - 1) / span
    # NB: a short file is a few USB bunches, whose rate says little.
    tolerance = _RATE_TOLERANCE if span > 5 else 0.4
    return abs(measured / float(described["sampling_rate"]) - 1) < tolerance


def _channel(column: int, described: dict[str, Any], eeg: list[int], board: str) -> Channel:
    """Name and type one row of a board."""
    if column in eeg:
        place = eeg.index(column)
        names = str(described.get("eeg_names") or "").split(",")
        rail = _CYTON_FULL_SCALE_UV if board.startswith("CYTON") else None
        # NB: Cyton's names are those of a headset that the user may not have; DESIGN: ask.
        generic = board.startswith(("CYTON", "GANGLION", "FREEEEG", "KNIGHT"))
        label = f"Ch{place + 1}" if generic or place >= len(names) else names[place]
        return Channel(label or f"Ch{place + 1}", full_scale=rail)
    for key, kind, unit in _ROWS:
        rows = list(described.get(key) or [])
        if column in rows:
            return Channel(f"{kind.value.title()} {rows.index(column) + 1}", kind, unit)
    return Channel(f"Row {column}", ChannelType.MISC, "n/a")
