"""Running mean and standard deviation, by exponential moving averages (FoME).

m_t = a m_(t-1) + (1 - a) x_t, s_t likewise on x², scale_t = sqrt(s_t - m_t²)
(FoME, arXiv 2409.12454; that s - m² is meant is inferred, and a is chosen here by a time
constant).  Both start at zero and are divided by 1 - a^t, the weight they have gathered, so the
first seconds are weighted averages of what has come instead of leaning on an arbitrary start
(Kingma and Ba, arXiv 1412.6980, section 3).  The weight is filtered like the signal: no power
function whose last bit could depend on the block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

Array64 = npt.NDArray[np.float64]

FLOOR_UV = 0.1
"""Least scale: a flat electrode must not be blown up to noise."""


@dataclass
class NormaliseState:
    """What :class:`RunningNorm` carries from row to row.

    Attributes
    ----------
    zi : ndarray, shape (1, 3 * n_electrodes), float64
        Filter delays of the averages of x, x² and 1 (the weight).
    good : ndarray, shape (n_electrodes,), bool
        Electrodes that were good at the last row.
    """

    zi: Array64
    good: npt.NDArray[np.bool_]

    def reset(self) -> None:
        """Begin a segment."""
        self.zi = np.zeros_like(self.zi)
        self.good = np.ones_like(self.good)


class RunningNorm:
    """Bias-corrected EMA of mean and variance of every electrode.

    An electrode that is taken back after having been left out starts afresh: what it measured
    while it was bad says nothing about its signal.

    Parameters
    ----------
    rate : float
        Hz.
    time_constant_s : float
        After which a value's weight has fallen to 1/e.
    n_electrodes : int
    """

    def __init__(self, rate: float, time_constant_s: float, n_electrodes: int) -> None:
        self._a = float(np.exp(-1.0 / (rate * time_constant_s)))
        self.state = NormaliseState(
            np.zeros((1, 3 * n_electrodes)), np.ones(n_electrodes, dtype=np.bool_)
        )

    def reset(self) -> None:
        """Begin a segment."""
        self.state.reset()

    def push(self, x: Array64, good: npt.NDArray[np.bool_]) -> tuple[Array64, Array64]:
        """Mean and scale at every row.

        Parameters
        ----------
        x : ndarray, shape (n_times, n_electrodes), float64, µV
        good : ndarray, shape (n_electrodes,), bool
            Electrodes that count now.

        Returns
        -------
        mean, scale : ndarray, shape (n_times, n_electrodes), float64, µV
            Including the row itself; ``scale`` is at least ``FLOOR_UV``.
        """
        if x.size == 0:
            return x, x
        state = self.state
        back = good & ~state.good
        if back.any():
            state.zi[:, np.tile(back, 3)] = 0.0
        state.good = good.copy()
        both = np.hstack((x, x * x, np.ones_like(x)))
        averages, state.zi = lfilter([1.0 - self._a], [1.0, -self._a], both, axis=0, zi=state.zi)
        mean, square, weight = np.split(averages, 3, axis=1)
        mean = mean / weight
        variance = square / weight - mean * mean
        return mean, np.sqrt(np.maximum(variance, FLOOR_UV**2))
