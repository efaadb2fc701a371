"""Gives every row of a live source its number on the sampling grid, so that losses show.

With a package counter, a row's number follows from it; what the counter can't tell (a loss of a
whole turn, or a row whose counter was corrupted) the clock decides.  Without one, a silence is a
loss unless the rows come later, all at once: delay is not loss.

    rows wait ----> number known ----> released
      |                 ^
      +-- a jump at the newest row waits for the next row: one odd counter is no loss
      +-- a silence that may hide a loss waits up to HOLD_S for a backlog to come

Nothing else waits; an undisturbed row is released in the call that brings it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.clockfit import GATE_S, ClockFit
from rtbci.types import FloatArray, IndexArray, StreamInfo, TimeArray

HOLD_S = 0.25
"""Longest wait for the backlog of a silence."""
SILENCE_S = 0.1
"""Shortest silence that may be a loss, where stamps scatter (USB batches come 23 ms apart)."""
CLEAN_S = 0.003
"""The same where stamps are clean, or 0.8 samples if that is more."""
FALLING = 0.25
"""A lag that falls by this share of the time waited is a backlog on its way."""
WHOLE = 0.25
"""How far from a whole number of counter turns a lag may be and still be one."""


@dataclass
class Waiting:
    """Rows that have come and are not released yet, oldest first.

    Attributes
    ----------
    data : ndarray, shape (n_times, n_channels), float32
    stamps : ndarray, shape (n_times,), float64
        What is known of their times, s.
    counters : ndarray, shape (n_times,), int64 | None
    breaks : ndarray, shape (n_times,), bool
        Rows before which the source knows of a discontinuity.
    """

    data: FloatArray
    stamps: TimeArray
    counters: IndexArray | None
    breaks: npt.NDArray[np.bool_]

    def append(self, more: Waiting) -> Waiting:
        """Rows of both."""
        if len(self.stamps) == 0:
            return more
        counters = self.counters
        if counters is not None and more.counters is not None:
            counters = np.concatenate((counters, more.counters))
        return Waiting(
            np.concatenate((self.data, more.data)),
            np.concatenate((self.stamps, more.stamps)),
            counters,
            np.concatenate((self.breaks, more.breaks)),
        )

    def part(self, start: int, stop: int) -> Waiting:
        """Rows from ``start`` to ``stop``."""
        counters = None if self.counters is None else self.counters[start:stop]
        return Waiting(
            self.data[start:stop], self.stamps[start:stop], counters, self.breaks[start:stop]
        )


@dataclass
class LossState:
    """The newest row that has a number.

    Attributes
    ----------
    number : int
        On the sampling grid; -1 before the first row.
    counter : int
        Its counter, or what it should have been.
    stamp : float
        When it came, s.
    since : float | None
        When the wait for a backlog began.
    """

    number: int = -1
    counter: int = 0
    stamp: float = 0.0
    since: float | None = None


class LossDetector:
    """Numbers the rows of one stream.

    Parameters
    ----------
    info : StreamInfo
    fit : ClockFit
        Where rows should be in time; anchored here at the first row and at breaks.
    late_only : bool
        Whether stamps err on the late side only (receive times).
    """

    def __init__(self, info: StreamInfo, fit: ClockFit, *, late_only: bool) -> None:
        self._fit = fit
        self._late_only = late_only
        self._step = info.counter_step
        self._modulus = info.counter_modulus
        self.state = LossState()

    def advance(self, rows: Waiting, received: float, *, final: bool) -> IndexArray:
        """Give numbers to as many rows as can have one now.

        Parameters
        ----------
        rows : Waiting
        received : float
            The clock, s.
        final : bool
            Whether no more rows will come.

        Returns
        -------
        steps : ndarray, shape (n,), int64
            For each of the oldest n rows, by how much its number grows: 1 where nothing is
            missing, 0 for a repeat, which is no row at all.  The rest has to wait.
        """
        steps = self._undisturbed(rows)
        if steps is not None:
            return steps
        made: list[int] = []
        owed: dict[int, int] = {}
        for i in range(len(rows.stamps)):
            step = self._next(rows, i, received, final, owed)
            if step is None:
                break
            made.append(step)
        return np.array(made, dtype=np.int64)

    def _undisturbed(self, rows: Waiting) -> IndexArray | None:
        """All ones where nothing at all is unusual (nearly always); None otherwise."""
        state, n = self.state, len(rows.stamps)
        if n == 0:
            return np.zeros(0, dtype=np.int64)
        if state.number < 0 or rows.breaks.any():
            return None
        silence = np.diff(rows.stamps, prepend=state.stamp)
        if silence.max() - self._fit.period >= self._trigger(rows):
            return None
        if rows.counters is not None:
            jumps = np.diff(rows.counters, prepend=state.counter)
            if self._modulus is not None:
                jumps %= self._modulus
            if np.any(jumps != self._step):
                return None
            state.counter = int(rows.counters[-1])
        state.number += n
        state.stamp = float(rows.stamps[-1])
        return np.ones(n, dtype=np.int64)

    def _next(
        self, rows: Waiting, i: int, received: float, final: bool, owed: dict[int, int]
    ) -> int | None:
        """Give row ``i`` its number; None where it has to wait."""
        state = self.state
        counter = None if rows.counters is None else int(rows.counters[i])
        if state.number < 0 or rows.breaks[i]:
            step = self._anchor(rows, i)
        else:
            step = 1 if counter is None else self._grown(counter - state.counter)
            silence = float(rows.stamps[i]) - state.stamp
            if silence - step * self._fit.period >= self._trigger(rows):
                lost = self._lost(rows, i, step, received, final)
                if lost is None:
                    return None
                at, missing = lost
                owed[at] = missing
            if step > 1 and counter is not None and i not in owed:
                if i + 1 == len(rows.stamps) and not final:
                    return None
                if self._odd(rows, i):  # keep counting as if it had been right
                    step, counter = 1, state.counter + self._step
                elif rows.stamps[i] - self._fit.predict(state.number + step) < -GATE_S:
                    step = 1  # so much time has not passed: the counter began anew
            step += owed.get(i, 0)
        state.number += step
        state.stamp = float(rows.stamps[i])
        state.since = None
        if counter is not None:
            state.counter = counter
        return step

    def _anchor(self, rows: Waiting, i: int) -> int:
        """Begin a line at row ``i``: the first one, or one behind a break of unknown length."""
        state, period = self.state, self._fit.period
        after = np.flatnonzero(rows.breaks[i + 1 :])
        stop = i + 1 + int(after[0]) if len(after) else len(rows.stamps)
        starts = rows.stamps[i:stop] - period * np.arange(stop - i)
        # A batch is late as a whole; its newest row is the least late.
        start = float(starts.min() if self._late_only else np.median(starts))
        step = 1
        if state.number >= 0:
            step = max(1, round((start - self._fit.predict(state.number)) / period))
        self._fit.anchor(state.number + step, start)
        return step

    def _grown(self, difference: int) -> int:
        """Rows from one counter to another: 0 for a repeat, less than a whole turn."""
        if self._modulus is not None:
            difference %= self._modulus
        return max(0, -(-difference // self._step))

    def _odd(self, rows: Waiting, i: int) -> bool:
        """Whether only this row's counter is out of order: the next one is where it should be."""
        if rows.counters is None or i + 1 == len(rows.counters):
            return False
        this, following = int(rows.counters[i]), int(rows.counters[i + 1])
        return following != this and self._grown(following - self.state.counter) == 2

    def _trigger(self, rows: Waiting) -> float:
        """Silence that may hide a loss, s; infinite for a counter that never wraps."""
        if rows.counters is None:
            if self._late_only:
                return SILENCE_S
            clean = max(CLEAN_S, 0.8 * self._fit.period)
            return max(clean, min(SILENCE_S, 8 * self._fit.state.spread))
        if self._modulus is None:
            return np.inf
        return max(SILENCE_S, 0.5 * self._modulus / self._step * self._fit.period)

    def _lost(
        self, rows: Waiting, i: int, step: int, received: float, final: bool
    ) -> tuple[int, int] | None:
        """Judge a silence before row ``i``.

        Returns
        -------
        lost : (int, int) | None
            The row before which more rows are missing than its counter says, and how many (0
            where they only came late); None where it is too early to tell.
        """
        state, period, trigger = self.state, self._fit.period, self._trigger(rows)
        numbers = self._tentative(rows, i, step)
        lags = rows.stamps[i:] - np.array([self._fit.predict(n) for n in numbers])
        least = float(lags.min())
        if least <= 0.5 * trigger:
            return i, 0
        if state.since is None:
            state.since = received
        waited = received - state.since
        silence = float(rows.stamps[i]) - state.stamp
        if waited < min(HOLD_S, SILENCE_S + silence) and not final:
            return None
        if waited > 0 and lags[0] - least > FALLING * waited:
            return i, 0
        lag = least if self._late_only else float(np.median(lags))
        if rows.counters is None or self._modulus is None:
            return i, round(lag / period)
        turn = self._modulus // self._step
        turns = lag / (turn * period)
        if abs(turns - round(turns)) > WHOLE:
            return i, 0
        jumps = np.flatnonzero(np.diff(numbers, prepend=state.number) > 1)
        return i + int(jumps[0]) if len(jumps) else i, round(turns) * turn

    def _tentative(self, rows: Waiting, i: int, step: int) -> npt.NDArray[np.int64]:
        """Numbers of the rows from ``i`` on if nothing but what the counters show is missing."""
        n = len(rows.stamps) - i
        steps = np.ones(n, dtype=np.int64)
        if rows.counters is not None:
            steps[1:] = [self._grown(int(d)) for d in np.diff(rows.counters[i:])]
        steps[0] = step
        return self.state.number + np.cumsum(steps)
