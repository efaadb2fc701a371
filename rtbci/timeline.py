"""From what drivers give to rows with even times, with every gap and marker at its row.

    RawChunk -> number on the grid -> regression of time -> Chunk
                losses.py             clockfit.py           gaps, markers (markers.py)

Three kinds of clock (:class:`rtbci.types.SourceClock`): EXACT times are passed on; HOST receive
times come in bunches and are regressed on the row numbers; REMOTE stamps are de-jittered the
same way.  Times of a session never run backwards, and never ahead of ``received``.

A row's counter may force it to wait for the next one, and a silence that may be a loss can hold
rows back for a quarter of a second (:mod:`rtbci.losses`); nothing is ever made up or reordered.

Concurrency: none; the acquisition thread owns it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from rtbci.clock import Clock
from rtbci.clockfit import GATE_S, PHASE_S, ClockFit
from rtbci.config import TimelineConfig
from rtbci.errors import BadInputError, SourceError
from rtbci.exact import ExactTimes, Missing
from rtbci.losses import CLEAN_S, LossDetector, Waiting
from rtbci.markers import MarkerPlacer
from rtbci.types import (
    Chunk,
    Gap,
    GapCause,
    IndexArray,
    Marker,
    RawChunk,
    SourceClock,
    StreamInfo,
    TimeArray,
)

SETTLE_S = 0.5
"""Times approach the regression with this time constant, so that its steps don't show."""
SLEW = 0.25
"""Most that a row's time is corrected by, in samples: losses can still be counted from times."""
LEAST_STEP_S = 1e-6
"""Rows are at least so far apart, where the clock leaves the room."""
RESET_S = 0.5
"""Stamps that lie behind for so long have been reset (the sender was restarted)."""


@dataclass
class TimelineState:
    """Where the session's rows stand.

    Attributes
    ----------
    rows : int
        Delivered so far.
    time : float
        Of the newest delivered row, s.
    repeats : int
        Rows that were dropped because their counter repeated the one before.
    shift : float
        Added to the source's stamps since they were last reset, s.
    behind : float | None
        Since when stamps lie behind, s.
    broken : bool
        Whether a break came without rows; it stands before the next one.
    row_markers : list of (int, Marker)
        Markers that the source gave to a row which still waits, by its place in the queue.
    """

    rows: int = 0
    time: float = -np.inf
    repeats: int = 0
    shift: float = 0.0
    behind: float | None = None
    broken: bool = False
    row_markers: list[tuple[int, Marker]] = field(default_factory=list)


class Timeline:
    """Times, gaps and markers of one stream.

    Parameters
    ----------
    info : StreamInfo
    config : TimelineConfig
    clock : Clock
        Stamps markers of the user.

    Raises
    ------
    BadInputError
        Where the stream has no positive rate or its counter can't count.
    """

    def __init__(self, info: StreamInfo, config: TimelineConfig, clock: Clock) -> None:
        if not (info.rate > 0 and np.isfinite(info.rate)):
            raise BadInputError(
                f"{info.name} gives a sampling rate of {info.rate} Hz; the timeline needs a "
                "positive one: choose a stream that is sampled regularly."
            )
        if info.counter_step < 1 or (info.counter_modulus or 1) % info.counter_step:
            raise BadInputError(
                f"{info.name} counts in steps of {info.counter_step} modulo "
                f"{info.counter_modulus}, which never returns to the same numbers."
            )
        self._info = info
        self._clock = clock
        self._bridge_rows = round(config.bridge_s * info.rate)
        late_only = info.clock is SourceClock.HOST
        self._exact = ExactTimes(info)
        self._fit = ClockFit(info.rate, late_only=late_only)
        self._losses = LossDetector(info, self._fit, late_only=late_only)
        self._markers = MarkerPlacer(info.rate)
        self._waiting = _no_rows(len(info.channels))
        self.state = TimelineState()

    @property
    def rate(self) -> float:
        """Sampling rate as estimated so far, Hz; the nominal one where times are exact."""
        return 1.0 / self._fit.period

    @property
    def waiting(self) -> int:
        """Rows that have come and wait for a decision."""
        return len(self._waiting.stamps)

    def mark(self, label: str) -> None:
        """Stamp a marker of the user now; it comes with the chunk that has its row."""
        self.place(Marker(self._clock.now(), label, origin="user"))

    def place(self, marker: Marker) -> None:
        """Take a marker whose time is known; it comes with the next rows that go as far."""
        self._markers.state.pending.append(marker)

    def push(self, raw: RawChunk) -> Chunk:
        """Take what a source has read.

        Parameters
        ----------
        raw : RawChunk
            A marker whose ``sample`` is set belongs to that row of the chunk, whatever its time;
            a negative one counts back from the chunk's first row to one that came earlier.

        Returns
        -------
        chunk : Chunk
            The rows that are certain now, possibly none.

        Raises
        ------
        SourceError
            Where a source gives times or counters that are no numbers, or not one for each row.
        """
        self._check(raw)
        if self._info.clock is SourceClock.EXACT:
            return self._push_exact(raw)
        stamps = raw.times + self.state.shift
        if len(stamps) and stamps.max() > raw.received + CLEAN_S:
            self._fit.state.spread = PHASE_S  # stamps of the future: small jumps mean nothing now
        stamps = np.minimum(stamps, raw.received)
        breaks = np.zeros(len(stamps), dtype=np.bool_)
        if len(breaks):
            breaks[list(raw.breaks)] = True
            breaks[0] |= self.state.broken
        self.state.broken = not len(breaks) and (self.state.broken or bool(raw.breaks))
        for marker in raw.markers:
            if marker.sample is not None:
                self.state.row_markers.append((self.waiting + marker.sample, marker))
        if len(raw.data):
            counters = raw.counters if self._counts else None
            self._waiting = self._waiting.append(Waiting(raw.data, stamps, counters, breaks))
        return self._release(raw.received, raw.markers, final=False)

    def flush(self) -> Chunk:
        """Give what still waits: no more rows will come."""
        chunk = self._release(self._clock.now(), (), final=True)
        return replace(chunk, markers=chunk.markers + self._markers.flush())

    @property
    def _counts(self) -> bool:
        return self._info.counter_modulus is not None

    def _check(self, raw: RawChunk) -> None:
        n = len(raw.data)
        if raw.data.ndim != 2 or raw.data.shape[1] != len(self._info.channels):
            raise SourceError(
                f"{self._info.name} gave rows of shape {raw.data.shape[1:]}, but has "
                f"{len(self._info.channels)} channels: open the source again."
            )
        if len(raw.times) != n or (raw.counters is not None and len(raw.counters) != n):
            raise SourceError(
                f"{self._info.name} gave {n} rows but {len(raw.times)} times: open it again."
            )
        if n and self._counts and raw.counters is None:
            raise SourceError(
                f"{self._info.name} gave {n} rows without the package counter that it has; "
                "losses can't be counted: open it again."
            )
        if not np.isfinite(raw.times).all():
            at = int(np.flatnonzero(~np.isfinite(raw.times))[0])
            raise SourceError(
                f"{self._info.name} gave {raw.times[at]} s as the time of row {at} of a chunk; "
                "without times rows can't be placed: check the sender's clock or the file."
            )

    def _push_exact(self, raw: RawChunk) -> Chunk:
        """Pass exact times on."""
        times, found = self._exact.push(raw)
        if raw.gaps is not None:
            found = [Missing(g.sample, g.start, g.length, g.missing, g.cause) for g in raw.gaps]
        start = self.state.rows
        gaps = tuple(self._gap(missing) for missing in found)
        self.state.rows += len(times)
        own = [_at_row(m, start) for m in raw.markers]
        markers = self._markers.push(times, own)
        return Chunk(start, raw.data, times, raw.received, raw.counters, gaps, markers)

    def _release(self, received: float, markers: tuple[Marker, ...], *, final: bool) -> Chunk:
        """Give rows numbers and times as far as they can have them, and keep the rest waiting."""
        state, fit = self.state, self._fit
        before = self._losses.state.number
        steps = self._losses.advance(self._waiting, received, final=final)
        rows = self._waiting.part(0, len(steps))
        self._waiting = self._waiting.part(len(steps), self.waiting)
        numbers = before + np.cumsum(steps)
        self._regress(rows, numbers, steps, received)
        kept = np.flatnonzero(steps)
        state.repeats += len(steps) - len(kept)
        period = fit.period
        times = self._spread(numbers[kept], steps[kept], rows.breaks[kept], received)
        gaps = []
        for k, i in enumerate(kept):
            broken = bool(rows.breaks[i])
            missing = int(steps[i]) - 1
            if (missing or broken) and state.rows + k > 0:
                cause = GapCause.LOST_FRAMES if rows.counters is not None else GapCause.STALL
                cause = GapCause.RECONNECT if broken else cause
                last = times[k - 1] if k else state.time
                found = Missing(k, float(last + period), missing * period, missing, cause)
                gaps.append(self._gap(found))
        start = state.rows
        state.rows += len(kept)
        if len(kept):
            state.time = float(times[-1])
        own = [m for m in markers if m.sample is None]
        placed = self._markers.push(times, own + self._row_markers(kept, len(steps), start))
        counters = None if rows.counters is None else rows.counters[kept]
        return Chunk(start, rows.data[kept], times, received, counters, tuple(gaps), placed)

    def _row_markers(self, kept: npt.NDArray[np.intp], released: int, start: int) -> list[Marker]:
        """Markers of released rows, with their rows; those of a dropped row go to the next."""
        state = self.state
        done = [
            replace(m, sample=max(0, start + (int(np.searchsorted(kept, row)) if row > 0 else row)))
            for row, m in state.row_markers
            if row < released
        ]
        state.row_markers = [(row - released, m) for row, m in state.row_markers if row >= released]
        return done

    def _regress(
        self, rows: Waiting, numbers: IndexArray, steps: IndexArray, received: float
    ) -> None:
        """Feed the line: the least late row of a read, or some of its stamps."""
        breaks = np.flatnonzero(rows.breaks)
        first = int(breaks[-1]) if len(breaks) else 0
        at = first + np.flatnonzero(steps[first:])
        if len(at) == 0:
            return
        stamps, n = rows.stamps[at], numbers[at]
        if self._info.clock is SourceClock.HOST:
            best = int(np.argmin(stamps - (n - n[0]) * self._fit.period))
            self._fit.update(int(n[best]), float(stamps[best]))
            return
        for k in range(len(at) - 1, -1, -max(1, len(at) // 8))[::-1]:
            self._fit.update(int(n[k]), float(stamps[k]))
        off = self._fit.predict(int(n[-1])) - float(stamps[-1])
        state = self.state
        if off <= GATE_S:
            state.behind = None
        elif state.behind is None:
            state.behind = received
        elif received - state.behind >= RESET_S:
            state.shift += off
            state.behind = None
            self._losses.state.stamp += off
            self._waiting.stamps = np.minimum(self._waiting.stamps + off, received)

    def _spread(
        self,
        numbers: IndexArray,
        steps: IndexArray,
        breaks: npt.NDArray[np.bool_],
        received: float,
    ) -> TimeArray:
        """Give rows their times: along the line, smoothly, forwards, and not in the future."""
        fit, last, n = self._fit, self.state.time, len(numbers)
        times = np.empty(n)
        period = fit.period
        room = received - last
        least = min(LEAST_STEP_S, room / (n + 1)) if room > 0 else 1e-3 * LEAST_STEP_S
        for k in range(n):
            target = fit.predict(int(numbers[k]))
            if last != -np.inf and not breaks[k]:
                expected = last + int(steps[k]) * period
                share = min(1.0, int(steps[k]) * period / SETTLE_S)
                fix = (target - expected) * share
                target = expected + max(-SLEW * period, min(SLEW * period, fix))
            last = max(min(target, received - (n - 1 - k) * least), last + least)
            times[k] = last
        return times

    def _gap(self, found: Missing) -> Gap:
        """Decide what becomes of a gap before a row that is about to be delivered."""
        bridged = 1 <= found.rows <= self._bridge_rows
        sample = self.state.rows + found.before
        return Gap(sample, found.start, found.length, found.rows, found.cause, bridged)


def _at_row(marker: Marker, start: int) -> Marker:
    return (
        marker if marker.sample is None else replace(marker, sample=max(0, start + marker.sample))
    )


def _no_rows(n_channels: int) -> Waiting:
    return Waiting(
        np.zeros((0, n_channels), dtype=np.float32),
        np.zeros(0),
        None,
        np.zeros(0, dtype=np.bool_),
    )
