"""How far off a forecast may be: intervals that a session keeps honest while it runs.

The direct head says how wide the central 50 % and 90 % intervals are, from the same features as
the forecast.  What it learned on other people and amplifiers need not hold here, so each electrode
and each 50 ms of horizon has a factor that follows what was missed (adaptive conformal inference,
Gibbs and Candès, arXiv 2106.00170, on the logarithm of the width):

    log factor += rate (share missed - (1 - level))

Everything it learns from has come before the token that it is used at.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from rtbci.errors import BadInputError
from rtbci.models.awaited import Float64Array, Stretches
from rtbci.tick import Tick
from rtbci.types import BoolArray, FloatArray

LEVELS = (0.5, 0.9)
"""Central intervals whose widths are learned; others follow from these two."""
RATE = 0.02
"""Of the factors' logarithm, once a session has gone on for a while."""
FIRST_RATE = 0.2
"""At the first forecast; falls with the square root of their number down to ``RATE``."""


@dataclass
class _Pending:
    """A forecast whose future has not come yet: mean and half widths, µV."""

    index: int
    mean: FloatArray
    half: FloatArray


@dataclass
class IntervalState:
    """What the session has learned.

    Attributes
    ----------
    log_factor : ndarray, shape (n_levels, n_bins, n_electrodes)
    count : ndarray, shape (n_electrodes,)
        Forecasts learned from.
    pending : deque
        Forecasts that wait for their future, oldest first; the last one is the newest.
    """

    log_factor: Float64Array
    count: npt.NDArray[np.int64]
    pending: deque[_Pending] = field(default_factory=deque)

    def reset(self, electrodes: BoolArray | None = None) -> None:
        """Forget these electrodes; all of them, and what waits, where None."""
        chosen = slice(None) if electrodes is None else electrodes
        self.log_factor[:, :, chosen] = 0.0
        self.count[chosen] = 0
        if electrodes is None:
            self.pending.clear()
        for waiting in self.pending:
            waiting.mean[:, chosen] = np.nan


class Intervals:
    """Central intervals around forecasts.

    Parameters
    ----------
    n_horizons, n_electrodes, hop, bins : int
        Samples ahead; electrodes; samples from a token to the next; stretches of the forecast
        that have a factor of their own.
    """

    def __init__(self, n_horizons: int, n_electrodes: int, hop: int, bins: int) -> None:
        self._stretches = Stretches(n_horizons, hop, bins)
        shape = (len(LEVELS), bins, n_electrodes)
        self.state = IntervalState(np.zeros(shape), np.zeros(n_electrodes, dtype=np.int64))

    def reset(self, electrodes: BoolArray | None = None) -> None:
        """Forget these electrodes; everything at a new segment (None)."""
        self.state.reset(electrodes)

    def learn(self, tick: Tick) -> None:
        """Compare the forecasts whose last horizon came with this token."""
        for waiting, future in self._stretches.come(self.state.pending, tick):
            self._learn(waiting, future, tick.good)

    def _learn(self, waiting: _Pending, future: FloatArray, good: BoolArray) -> None:
        state = self.state
        known = good & np.isfinite(waiting.mean).all(axis=0)
        if not known.any():
            return
        off = np.abs(future[:, known] - waiting.mean[:, known])
        missed = (off > waiting.half[:, :, known]).astype(np.float64)
        share = self._stretches.means(missed)
        allowed = 1.0 - np.array(LEVELS)[:, None, None]
        rate = np.maximum(RATE, FIRST_RATE / np.sqrt(1.0 + state.count[known]))
        state.log_factor[:, :, known] += rate * (share - allowed)
        state.count[known] += 1

    def put(self, tick: Tick, mean: FloatArray, log_width: FloatArray) -> None:
        """Take a token's forecast and what the head says of its error.

        Parameters
        ----------
        tick : Tick
        mean : ndarray, shape (n_horizons, n_electrodes), float32, µV
            As it is published.
        log_width : ndarray, shape (n_levels, n_horizons, n_electrodes), float32
            Logarithm of the intervals' half width, in deviations.
        """
        half = np.exp(log_width + self._stretches.spread(self.state.log_factor)) * tick.scale
        # The wider interval holds the narrower one, whatever was learned.
        half = np.maximum.accumulate(half, axis=0)
        self.state.pending.append(_Pending(tick.index, mean.copy(), half))

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Ends of a central interval of the newest forecast.

        Between and beyond the two levels that are learned, widths go with a power of the normal
        distribution's: exact for errors that are normal, and for the two levels in any case.

        Parameters
        ----------
        level : float
            Share of what comes that the interval is to hold, above 0 and below 1.

        Returns
        -------
        low, high : ndarray, shape (n_horizons, n_electrodes), float32, µV

        Raises
        ------
        BadInputError
            On a level outside, and before the first forecast.
        """
        if not 0.0 < level < 1.0:
            raise BadInputError(f"an interval's level lies between 0 and 1, got {level:g}.")
        if not self.state.pending:
            raise BadInputError("there is no forecast yet that could have an interval.")
        newest = self.state.pending[-1]
        narrow, wide = newest.half
        place, first, last = np.log(ndtri(0.5 + 0.5 * np.array([level, *LEVELS])))
        share = np.float32((place - first) / (last - first))
        half = narrow * (wide / narrow) ** share
        return newest.mean - half, newest.mean + half
