"""From the UNIX time at which a driver received rows to the session's clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.clock import Clock
from rtbci.types import TimeArray

WALL_STEP_S = 0.005
"""A wall clock that differs by more from what it was has been set."""


@dataclass
class WallClock:
    """Moves UNIX stamps onto the session's clock, also when somebody sets the wall clock.

    Attributes
    ----------
    offset : float
        Session's clock minus UNIX time, s.
    newest : float
        Newest time that was given out, s of the session's clock.
    """

    clock: Clock
    unix: Callable[[], float] = time.time
    offset: float = 0.0
    newest: float = -np.inf

    def reset(self) -> None:
        """Measure the offset; the tightest of some readings."""
        self.offset = min((self._measure() for _ in range(5)), key=lambda m: m[1])[0]
        self.newest = -np.inf

    def convert(self, stamps: npt.NDArray[np.float64], received: float) -> TimeArray:
        """Convert stamps to times that never run backwards or ahead of ``received``."""
        offset, width = self._measure()
        if abs(offset - self.offset) > WALL_STEP_S + width:
            self.offset = offset
        times = np.minimum(stamps + self.offset, received)
        times = np.maximum.accumulate(np.maximum(times, min(self.newest, received)))
        if len(times):
            self.newest = float(times[-1])
        return times

    def _measure(self) -> tuple[float, float]:
        before = self.clock.now()
        unix = self.unix()
        after = self.clock.now()
        return (before + after) / 2 - unix, after - before
