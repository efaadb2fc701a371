"""Reads one stream of a recording, torn or whole, as the pipeline saw it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from rtbci.errors import RecordingError
from rtbci.recording.jsontext import read_lines
from rtbci.recording.landmarks import ArrivedMarker, read_gap, read_marker
from rtbci.recording.layout import StreamFiles
from rtbci.recording.stream_writer import NO_COUNTER, TIME_DTYPE
from rtbci.types import (
    BoolArray,
    Chunk,
    FloatArray,
    Gap,
    IndexArray,
    Marker,
    StreamInfo,
    TimeArray,
)

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Command:
    """A line of ``commands.jsonl``.

    Attributes
    ----------
    sample : int | None
        Row from which it holds; None for a marker that never had one.
    kind : str
        ``gap``, ``marker``, ``channel`` (left out or taken back), ``skip_forecast``,
        ``adaptation`` (the decoder has changed), or what a command was called.
    values : dict
    """

    sample: int | None
    kind: str
    values: dict[str, Any]


class Upcoming(Generic[Item]):
    """Gaps or markers, handed out once as their rows come.

    Parameters
    ----------
    items : iterable of (item, int)
        Each with the row that it comes with.
    """

    def __init__(self, items: Iterable[tuple[Item, int]]) -> None:
        self._items = deque(sorted(items, key=itemgetter(1)))

    def take(self, stop: float) -> tuple[Item, ...]:
        """Those that come before row ``stop`` and have not been taken yet, in order."""
        due = []
        while self._items and self._items[0][1] < stop:
            due.append(self._items.popleft()[0])
        return tuple(due)

    def until(self, start: int, stop: int) -> int:
        """Row before ``stop`` with which the next ones behind row ``start`` come, or ``stop``."""
        behind = (row for _, row in self._items if row > start)
        return min(stop, next(behind, stop))


@dataclass(frozen=True)
class StreamReader:
    """One stream of a recording.

    Attributes
    ----------
    files : StreamFiles
    info : StreamInfo
    n_rows : int
        Rows that are whole: signal, time and counter.
    """

    files: StreamFiles
    info: StreamInfo
    n_rows: int = field(init=False)

    def __post_init__(self) -> None:
        row = 4 * max(1, len(self.info.channels))
        rows = min(_size(self.files.data) // row, _size(self.files.times) // TIME_DTYPE.itemsize)
        object.__setattr__(self, "n_rows", rows)

    def data(self, start: int = 0, stop: int | None = None) -> FloatArray:
        """Rows as they came, shape (n_times, n_channels), float32."""
        n_channels = len(self.info.channels)
        values = _read(self.files.data, np.dtype("<f4"), start, self._stop(stop), n_channels)
        return values.astype(np.float32, copy=False).reshape(-1, n_channels)

    def times(self, start: int = 0, stop: int | None = None) -> TimeArray:
        """Times of rows, shape (n_times,), float64, seconds of the session's clock."""
        rows = _read(self.files.times, TIME_DTYPE, start, self._stop(stop))
        return rows["time"].astype(np.float64)

    def counters(self, start: int = 0, stop: int | None = None) -> tuple[IndexArray, BoolArray]:
        """Package counters of rows, and which rows came with one, each (n_times,)."""
        rows = _read(self.files.times, TIME_DTYPE, start, self._stop(stop))
        values = rows["counter"].astype(np.int64)
        return values, values != NO_COUNTER

    def commands(self) -> Iterator[Command]:
        """All that was decided while the stream ran, gaps and markers included, in order.

        Raises
        ------
        RecordingError
            Where a line before the last one is damaged.
        """
        for line, values in enumerate(read_lines(self.files.commands), 1):
            try:
                yield Command(values["sample"], values["kind"], values["values"])
            except (KeyError, TypeError) as err:
                raise RecordingError(
                    f"line {line} of {self.files.commands} is damaged: it lacks {err}."
                ) from err

    def gaps(self) -> list[Gap]:
        """Gaps before rows that are there."""
        return [item for item in self.landmarks() if isinstance(item, Gap)]

    def markers(self) -> list[Marker]:
        """Markers, in the order in which they came."""
        return [item.marker for item in self.landmarks() if isinstance(item, ArrivedMarker)]

    def landmarks(self) -> list[Gap | ArrivedMarker]:
        """Gaps and markers in the order in which they came.

        Those whose rows were lost in a crash are left out: they are written before their rows.
        """
        found: list[Gap | ArrivedMarker] = []
        for command in self.commands():
            if command.kind == "gap" and command.sample is not None:
                if command.sample < self.n_rows:
                    found.append(read_gap(command.sample, command.values))
            elif command.kind == "marker":
                item = read_marker(command.sample, command.values)
                if command.sample is None or command.sample < self.n_rows:
                    found.append(item)
        return found

    def chunks(self, max_rows: int = 1000) -> Iterator[Chunk]:
        """All rows, as the pipeline saw them, in chunks of at most ``max_rows``.

        Rows, times, counters, gaps and markers are those that were recorded, to the last bit;
        ``received`` is the time of a chunk's last row.  A marker comes with the row that it
        came with (a late one after its sample); what came after the last row comes in a chunk
        without rows.  A chunk begins where markers came: they are there before its first row.
        """
        if max_rows < 1:
            raise ValueError(f"a chunk holds at least one row, got {max_rows}")
        landmarks = self.landmarks()
        gaps = Upcoming((g, g.sample) for g in landmarks if isinstance(g, Gap))
        markers = Upcoming((m.marker, m.arrived) for m in landmarks if isinstance(m, ArrivedMarker))
        start, time = 0, 0.0
        while start < self.n_rows:
            stop = markers.until(start, min(start + max_rows, self.n_rows))
            counters, known = self.counters(start, stop)
            change = np.flatnonzero(known != known[0])
            if len(change):
                stop = start + int(change[0])
            times = self.times(start, stop)
            time = float(times[-1])
            yield Chunk(
                start,
                self.data(start, stop),
                times,
                time,
                counters[: stop - start] if known[0] else None,
                gaps.take(stop),
                markers.take(stop),
            )
            start = stop
        rest = markers.take(math.inf)
        if rest:
            nothing = np.zeros((0, len(self.info.channels)), dtype=np.float32)
            yield Chunk(self.n_rows, nothing, np.zeros(0), time, None, (), rest)

    def _stop(self, stop: int | None) -> int:
        return self.n_rows if stop is None else min(stop, self.n_rows)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read(
    path: Path, dtype: np.dtype[Any], start: int, stop: int, n_columns: int = 1
) -> np.ndarray[Any, Any]:
    """Read rows of a binary file."""
    count = max(0, stop - start) * n_columns
    if count == 0:
        return np.zeros(0, dtype=dtype)
    return np.fromfile(path, dtype, count, offset=start * n_columns * dtype.itemsize)
