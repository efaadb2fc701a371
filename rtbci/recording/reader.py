"""Opens recordings, to read them or to play them again as a source.

One thread owns a :class:`RecordingSource`; its ``read`` never blocks, except for the disk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rtbci.clock import Clock, MonotonicClock
from rtbci.errors import BadInputError, SourceError
from rtbci.montage import apply_montage
from rtbci.recording.landmarks import ArrivedMarker
from rtbci.recording.layout import find_recording, is_recording
from rtbci.recording.recording import Recording, read_recording
from rtbci.recording.stream_reader import Upcoming
from rtbci.sources.pace import Speed, rows_due, times_life
from rtbci.types import Gap, Marker, RawChunk, SourceClock, StreamInfo

__all__ = ["Recording", "RecordingSource", "is_recording", "open_recording"]

ROWS_AT_ONCE = 1000


def open_recording(path: Path | str) -> Recording:
    """Open a recording: its folder, or any file in it.

    Raises
    ------
    BadInputError
        Where there is none, or it was written by a later version.
    RecordingError
        Where its session file is damaged.
    """
    return read_recording(find_recording(Path(path)))


@dataclass
class ReplayState:
    """Where a replay stands.

    Attributes
    ----------
    recording : Recording
    gaps, markers : Upcoming
        Those whose rows are still to come.
    first : float
        Time of row 0 in the recording.
    begun : bool
        Whether anything has been read.
    start : float
        Time of row 0 now, seconds of the session's clock: that of the first read.
    row : int
        The next row.
    """

    recording: Recording
    gaps: Upcoming[Gap]
    markers: Upcoming[Marker]
    first: float
    begun: bool = False
    start: float = 0.0
    row: int = 0


class RecordingSource:
    """Plays a recording of ours as if its device were here again.

    Times, counters, gaps and markers are the recorded ones, moved to now: what was missing has
    been decided once, live, and is not judged again.  (``rtbci replay --verify`` does not come
    through here: it reads :meth:`Recording.chunks`.)

    Parameters
    ----------
    path : Path
    speed : float | "max"
        1 is life; ``max`` gives the next block at every ``read``.
    montage : sequence of str | None
        Names of the EEG channels, in their order; the recorded ones where None.
    clock : Clock | None
        The session's clock; the machine's where None.

    Raises
    ------
    BadInputError
        On a speed that is none.

    Notes
    -----
    At speed 1 times are never ahead of the clock; faster replays run ahead of it.
    """

    def __init__(
        self,
        path: Path | str,
        speed: Speed = 1.0,
        montage: Sequence[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._path = Path(path)
        self._speed = times_life(speed)
        self._montage = montage
        self._clock = clock or MonotonicClock()
        self._state: ReplayState | None = None

    def open(self) -> StreamInfo:
        """Open the recording; row 0 will be at the first read.

        Raises
        ------
        BadInputError
            Where there is none, it holds no row, a later version wrote it, or the montage does
            not fit.
        RecordingError
            Where it is damaged.
        """
        recording = open_recording(self._path)
        if recording.n_rows == 0:
            raise BadInputError(f"{self._path} holds no rows, so there is nothing to replay.")
        info = recording.info
        if self._montage is not None:
            info = apply_montage(info, self._montage)
        landmarks = recording.main.landmarks()
        self._state = ReplayState(
            recording,
            Upcoming((g, g.sample) for g in landmarks if isinstance(g, Gap)),
            Upcoming((m.marker, m.arrived) for m in landmarks if isinstance(m, ArrivedMarker)),
            first=float(recording.main.times(0, 1)[0]),
        )
        name = f"replay of {recording.files.stem} ({info.name})"
        return replace(info, name=name, kind="replay", clock=SourceClock.EXACT)

    def read(self) -> RawChunk | None:
        """Take the rows that are due; None after the last one.

        Raises
        ------
        SourceError
            Where it was not opened.
        """
        s = self._state
        if s is None:
            raise SourceError(f"{self._path} is not open; call open() before read().")
        main, now = s.recording.main, self._clock.now()
        if not s.begun:
            s.begun, s.start = True, now
        if s.row >= main.n_rows:
            return None
        stop = s.markers.until(s.row, min(s.row + ROWS_AT_ONCE, main.n_rows))
        times = main.times(s.row, stop) - s.first
        stop = s.row + rows_due(times, s.start, now, self._speed)
        counters, known = main.counters(s.row, stop)
        start, s.row = s.row, stop
        return RawChunk(
            main.data(start, stop),
            s.start + times[: stop - start],
            received=now,
            counters=counters if known.all() else None,
            markers=self._markers(s, start, stop),
            gaps=tuple(
                replace(gap, sample=gap.sample - start, start=s.start + (gap.start - s.first))
                for gap in s.gaps.take(stop)
            ),
        )

    def close(self) -> None:
        """Let go of the recording."""
        self._state = None

    def reconnect(self) -> None:
        """Go on: a file is never lost."""

    def _markers(self, s: ReplayState, start: int, stop: int) -> tuple[Marker, ...]:
        """Markers that came with these rows; with the last ones also what came after them."""
        return tuple(
            replace(
                marker,
                time=s.start + (marker.time - s.first),
                sample=None if marker.sample is None else marker.sample - start,
            )
            for marker in s.markers.take(math.inf if stop == s.recording.n_rows else stop)
        )
