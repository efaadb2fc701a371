"""Recordings as a source: any file that users have, at any speed.

One thread owns the source; ``read`` never blocks (it reads a slice of the file now and then).
Rows are due on an absolute schedule: a late ``read`` gives all that has become due.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rtbci.clock import Clock, MonotonicClock
from rtbci.errors import BadInputError, SourceError
from rtbci.montage import apply_montage
from rtbci.sources.base import Source
from rtbci.sources.formats import open_file
from rtbci.sources.formats.common import Opened
from rtbci.sources.pace import Speed, rows_due, times_life
from rtbci.types import FloatArray, Marker, RawChunk, StreamInfo, TimeArray

_ROWS_AT_ONCE = 1000
_ROWS_IN_MEMORY = 8192
_ROUNDING_S = 1e-6


@dataclass(frozen=True)
class Recording:
    """A recording in memory, for what works offline (pretraining, calibration).

    Attributes
    ----------
    info : StreamInfo
    data : ndarray, shape (n_times, n_channels), float32
    times : ndarray, shape (n_times,), float64
        Seconds from row 0.
    markers : tuple of Marker
        In order, times in seconds from row 0, ``sample`` set to the row they belong to (the
        last row that is not later); those after the end are left out.
    breaks : tuple of int
        Rows before which something is missing.
    """

    info: StreamInfo
    data: FloatArray
    times: TimeArray
    markers: tuple[Marker, ...]
    breaks: tuple[int, ...]


@dataclass
class ReplayState:
    """Where the replay stands.

    Attributes
    ----------
    opened : Opened
    start : float | None
        Time of row 0, seconds of the session's clock; None until the first read.
    row, marker : int
        The next row and the next marker.
    held : ndarray
        Rows of the file that are in memory, from ``held_from`` on.
    """

    opened: Opened
    start: float | None = None
    row: int = 0
    marker: int = 0
    held: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    held_from: int = 0


class ReplaySource(Source):
    """Plays a recording.

    Parameters
    ----------
    path : str | Path
        EDF, BDF, GDF, BrainVision, FIF, EEGLAB, XDF, OpenBCI GUI text, BrainFlow CSV, CSV.
    speed : float | "max"
        1 is life; ``max`` gives the next block at every ``read``.
    montage : sequence of str | None
        Names of the EEG channels, in their order; those of the file where None.
    clock : Clock | None
        The session's clock; the machine's where None.
    board, stream : str | None
        The board of a BrainFlow file, the stream of an XDF file.

    Raises
    ------
    BadInputError
        On a speed that is none.

    Notes
    -----
    Times are those of the recording from the first ``read`` on, so that what is loaded between
    ``open`` and then (a model) costs no row its punctuality.  At speed 1 they are never ahead of
    the clock; faster replays run ahead of it.
    """

    def __init__(
        self,
        path: str | Path,
        speed: Speed = 1.0,
        montage: Sequence[str] | None = None,
        clock: Clock | None = None,
        board: str | None = None,
        stream: str | None = None,
    ) -> None:
        self._path = Path(path)
        self._speed = times_life(speed)
        self._montage = montage
        self._clock = clock or MonotonicClock()
        self._board = board
        self._stream = stream
        self._state: ReplayState | None = None

    def open(self) -> StreamInfo:
        """Open the file; row 0 will be at the first read.

        Raises
        ------
        BadInputError
            Where the file is missing, empty, damaged, of an unknown kind or without EEG, or
            the montage does not fit.
        """
        self.close()
        opened = open_eeg(self._path, self._montage, self._board, self._stream)
        self._state = ReplayState(opened)
        return opened.info

    def read(self) -> RawChunk | None:
        """Take the rows that are due; None after the last one.

        Raises
        ------
        SourceError
            Where the file is damaged further on, or was not opened.
        """
        s = self._state
        if s is None:
            raise SourceError(f"{self._path} is not open; call open() before read().")
        now = self._clock.now()
        s.start = start = now if s.start is None else s.start
        first, opened = s.row, s.opened
        if first >= opened.n_rows:
            return None
        stop = self._stop(s, start, now)
        data = self._rows(s, first, stop)
        times = _times(opened, first, stop)
        s.row = stop
        markers = []
        until = math.inf if stop == opened.n_rows else (times[-1] if stop > first else -math.inf)
        while s.marker < len(opened.markers) and opened.markers[s.marker].time <= until:
            marker = opened.markers[s.marker]
            markers.append(dataclasses.replace(marker, time=start + marker.time))
            s.marker += 1
        return RawChunk(
            data,
            start + times,
            received=now,
            counters=None if opened.counters is None else opened.counters[first:stop],
            markers=tuple(markers),
            breaks=tuple(b - first for b in opened.breaks if first <= b < stop),
        )

    def close(self) -> None:
        """Let go of the file."""
        if self._state is not None:
            self._state.opened.close()
            self._state = None

    def _stop(self, s: ReplayState, start: float, now: float) -> int:
        """Row up to which this read gives rows."""
        last = min(s.row + _ROWS_AT_ONCE, s.opened.n_rows)
        return s.row + rows_due(_times(s.opened, s.row, last), start, now, self._speed)

    def _rows(self, s: ReplayState, start: int, stop: int) -> FloatArray:
        """Give rows of the file, read in larger slices than they are asked for."""
        if start < s.held_from or stop > s.held_from + len(s.held):
            s.held_from = start
            s.held = s.opened.read(start, min(start + _ROWS_IN_MEMORY, s.opened.n_rows))
        return s.held[start - s.held_from : stop - s.held_from]


def open_eeg(
    path: str | Path,
    montage: Sequence[str] | None = None,
    board: str | None = None,
    stream: str | None = None,
) -> Opened:
    """Open a recording and see to it that it has EEG.

    Raises
    ------
    BadInputError
        See :meth:`ReplaySource.open`.
    """
    opened = open_file(Path(path), board, stream)
    try:
        if montage is not None:
            return dataclasses.replace(opened, info=apply_montage(opened.info, montage))
        if not opened.info.eeg:
            held = ", ".join(f"{c.name} ({c.type})" for c in opened.info.channels[:6])
            raise BadInputError(
                f"{path} has no EEG channel, it holds {held}; "
                "if they are EEG after all, name them by --montage."
            )
    except BadInputError:
        opened.close()
        raise
    return opened


def read_recording(
    path: str | Path,
    montage: Sequence[str] | None = None,
    board: str | None = None,
    stream: str | None = None,
) -> Recording:
    """Read a whole recording, as :class:`ReplaySource` would play it.

    Parameters
    ----------
    path, montage, board, stream
        As for :class:`ReplaySource`.

    Raises
    ------
    BadInputError
        See :meth:`ReplaySource.open`.
    SourceError
        Where the file is damaged further on.
    """
    opened = open_eeg(path, montage, board, stream)
    try:
        blocks = [
            opened.read(start, min(start + _ROWS_IN_MEMORY, opened.n_rows))
            for start in range(0, opened.n_rows, _ROWS_IN_MEMORY)
        ]
    finally:
        opened.close()
    times = _times(opened, 0, opened.n_rows)
    # A marker on a row belongs to that row, however its time was rounded.
    at = np.array([m.time for m in opened.markers]) + _ROUNDING_S
    rows = np.searchsorted(times, at, side="right") - 1
    end = times[-1] + 1 / opened.info.rate
    markers = tuple(
        dataclasses.replace(m, sample=max(int(row), 0))
        for m, row in zip(opened.markers, rows, strict=True)
        if m.time < end
    )
    return Recording(opened.info, np.concatenate(blocks), times, markers, opened.breaks)


def _times(opened: Opened, start: int, stop: int) -> TimeArray:
    """Give times of rows in seconds from row 0."""
    if opened.times is not None:
        return opened.times[start:stop]
    return np.arange(start, stop) / opened.info.rate
