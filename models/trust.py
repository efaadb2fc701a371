"""How far a session trusts the network over AR: learned while it runs, electrode by electrode.

The network was trained on some amplifiers and some people; AR knows only this electrode, now.
On an amplifier with another noise floor the network's forecast can be the worse one.  So what is
published is ``w network + (1 - w) AR``, with the weight that would have been best so far:

    w = E[(x - ar) (net - ar)] / E[(net - ar)^2],  kept within 0 and 1,

the least-squares stacking of two forecasts (Breiman 1996, doi:10.1007/BF00117832), with a running
mean over the past, for each electrode and each 50 ms of horizon.  Without evidence it is 1.
Everything it learns from has come before the token that it is used at.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtbci.models.awaited import Float64Array, Stretches
from rtbci.tick import Tick
from rtbci.types import BoolArray, FloatArray

MEMORY = 600
"""Forecasts after which what was learned has lost two thirds of its weight."""
PRIOR = 0.02
"""Mean squared difference, over variance, below which the network is simply trusted."""


@dataclass
class _Pending:
    """Two forecasts whose future has not come yet."""

    index: int
    network: FloatArray
    ar: FloatArray


@dataclass
class TrustState:
    """What the session has learned.

    Attributes
    ----------
    agreement, difference : ndarray, shape (n_bins, n_electrodes)
        Running means of ``(x - ar) (net - ar)`` and ``(net - ar)^2``, over the variance.
    count : ndarray, shape (n_electrodes,)
        Forecasts learned from.
    pending : deque
        Forecasts that wait for their future, oldest first.
    """

    agreement: Float64Array
    difference: Float64Array
    count: npt.NDArray[np.int64]
    pending: deque[_Pending] = field(default_factory=deque)

    def reset(self, electrodes: BoolArray | None = None) -> None:
        """Forget these electrodes; all of them, and what waits, where None."""
        chosen = slice(None) if electrodes is None else electrodes
        self.agreement[:, chosen] = 0.0
        self.difference[:, chosen] = 0.0
        self.count[chosen] = 0
        if electrodes is None:
            self.pending.clear()
        for waiting in self.pending:
            waiting.ar[:, chosen] = np.nan


class Trust:
    """Mixes the network's forecast with AR.

    Parameters
    ----------
    n_horizons, n_electrodes, hop, bins : int
        Samples ahead; electrodes; samples from a token to the next; stretches of the forecast
        that have a weight of their own.
    """

    def __init__(self, n_horizons: int, n_electrodes: int, hop: int, bins: int) -> None:
        self._stretches = Stretches(n_horizons, hop, bins)
        shape = (bins, n_electrodes)
        self.state = TrustState(
            np.zeros(shape), np.zeros(shape), np.zeros(n_electrodes, dtype=np.int64)
        )

    def reset(self, electrodes: BoolArray | None = None) -> None:
        """Forget these electrodes; everything at a new segment (None)."""
        self.state.reset(electrodes)

    def learn(self, tick: Tick) -> None:
        """Compare the forecasts whose last horizon came with this token."""
        for waiting, future in self._stretches.come(self.state.pending, tick):
            self._learn(waiting, future, tick)

    def _learn(self, waiting: _Pending, future: FloatArray, tick: Tick) -> None:
        state = self.state
        network, ar = waiting.network.astype(np.float64), waiting.ar.astype(np.float64)
        known = np.isfinite(network).all(axis=0) & np.isfinite(ar).all(axis=0) & tick.good
        if not known.any():
            return
        variance = tick.scale[known].astype(np.float64) ** 2
        apart = network[:, known] - ar[:, known]
        agreement = self._stretches.means(apart * (future[:, known] - ar[:, known])) / variance
        difference = self._stretches.means(apart * apart) / variance
        state.count[known] += 1
        rate = 1.0 / np.minimum(state.count[known], MEMORY)
        state.agreement[:, known] += rate * (agreement - state.agreement[:, known])
        state.difference[:, known] += rate * (difference - state.difference[:, known])

    def weights(self) -> Float64Array:
        """Share of the network, shape (n_bins, n_electrodes), from 0 to 1."""
        state = self.state
        prior = PRIOR + 1.0 / np.maximum(state.count, 1)
        share: Float64Array = (state.agreement + prior) / (state.difference + prior)
        return np.clip(np.where(state.count > 0, share, 1.0), 0.0, 1.0)

    def mix(self, tick: Tick, network: FloatArray, ar: FloatArray) -> FloatArray:
        """Mix two forecasts of a token and remember them.

        Parameters
        ----------
        tick : Tick
        network, ar : ndarray, shape (n_horizons, n_electrodes), float32, µV
            Where AR has none (NaN), the network's stands.

        Returns
        -------
        mixed : ndarray, shape (n_horizons, n_electrodes), float32, µV
        """
        self.state.pending.append(_Pending(tick.index, network.copy(), ar.copy()))
        share = self._stretches.spread(self.weights())
        return np.where(np.isfinite(ar), share * network + (1.0 - share) * ar, network)
