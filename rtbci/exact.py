"""Times that are known already (a file, the simulator): passed on, and read for gaps.

A gap shows as a step in the times, as a jump of the package counter (files whose times were
made up from the row number have only that), or as a break that the source itself names.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.types import BoolArray, GapCause, IndexArray, RawChunk, StreamInfo, TimeArray

JUMP = 1.5
"""A time further on than so many samples is a gap."""
AGREE = 0.1
"""Time and counter agree on a loss where they differ by no more than this share (or 2 rows)."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Rows that are missing before a row of the chunk at hand.

    Attributes
    ----------
    before : int
        Row of the chunk.
    start : float
        Time of the first missing row, s.
    length : float
        Seconds that are missing.
    rows : int
    cause : GapCause
    """

    before: int
    start: float
    length: float
    rows: int
    cause: GapCause


@dataclass
class ExactState:
    """The newest row.

    Attributes
    ----------
    begun : bool
        Whether there was any.
    time : float
        As passed on, s.
    counter : int
    shift : float
        Added to times since they last ran backwards, s.
    """

    begun: bool = False
    time: float = 0.0
    counter: int = 0
    shift: float = 0.0


class ExactTimes:
    """Passes times on bit for bit, unless they run backwards.

    Parameters
    ----------
    info : StreamInfo
    """

    def __init__(self, info: StreamInfo) -> None:
        self._period = 1.0 / info.rate
        self._step = info.counter_step
        self._modulus = info.counter_modulus
        self.state = ExactState()

    def push(self, raw: RawChunk) -> tuple[TimeArray, list[Missing]]:
        """Take rows.

        Returns
        -------
        times : ndarray, shape (n_times,), float64
            Strictly increasing.  Where the source's run backwards (a clock was set back), they
            go on one sample behind the last row, and so does all that follows.
        missing : list of Missing
            In order.
        """
        state = self.state
        if len(raw.data) == 0:
            return np.zeros(0), []
        times = raw.times.astype(np.float64)
        times += state.shift
        last = state.time if state.begun else times[0] - self._period
        steps = np.diff(times, prepend=last)
        back = steps <= 0
        if back.any():
            late = np.where(back, self._period - steps, 0.0)
            state.shift += late.sum()
            times += np.cumsum(late)
            steps = np.where(back, self._period, steps)
        found = self._missing(raw, times, steps, back)
        state.begun = True
        state.time = float(times[-1])
        if raw.counters is not None:
            state.counter = int(raw.counters[-1])
        return times, found

    def _missing(
        self, raw: RawChunk, times: TimeArray, steps: TimeArray, back: BoolArray
    ) -> list[Missing]:
        period = self._period
        named = back.copy()
        named[list(raw.breaks)] = True
        found = named | (steps > JUMP * period)
        counted = self._counted(raw.counters)
        if counted is not None:
            found |= counted > 0
        if not self.state.begun:
            found[0] = False
        made = []
        for i in np.flatnonzero(found):
            rows = max(0, round(steps[i] / period) - 1)
            cause = GapCause.SOURCE if named[i] else GapCause.STALL
            if counted is not None and (rows or not named[i]):  # a break may reset the counter
                rows, sure = self._agree(rows, int(counted[i]))
                cause = GapCause.LOST_FRAMES if sure and not named[i] else cause
            length = steps[i] - period if steps[i] > JUMP * period else rows * period
            start = times[i] - steps[i] + period
            made.append(Missing(int(i), float(start), float(length), rows, cause))
        return made

    def _counted(self, counters: IndexArray | None) -> npt.NDArray[np.int64] | None:
        """Rows missing before each row by its counter; None where there is none that wraps."""
        if counters is None or self._modulus is None:
            return None
        before = self.state.counter if self.state.begun else counters[0]
        grown = np.diff(counters, prepend=before) % self._modulus
        missing: npt.NDArray[np.int64] = np.maximum(-(-grown // self._step) - 1, 0)
        return missing

    def _agree(self, timed: int, counted: int) -> tuple[int, bool]:
        """Bring rows missing by time and by a counter that can't tell whole turns together.

        The counter decides where both agree, or where the times show nothing (made up from the
        row number); otherwise the time does.
        """
        if timed == 0 or self._modulus is None:
            return counted, True
        turn = self._modulus // self._step
        best = counted + max(0, round((timed - counted) / turn)) * turn
        if abs(best - timed) <= max(2.0, AGREE * timed):
            return best, True
        return timed, False
