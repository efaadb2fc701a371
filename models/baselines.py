"""The linear forecasts that the network stands on, and that every table shows beside it.

===============  ==============================================================================
AR               Burg on the electrode's own last minute (:mod:`rtbci.models.burg`)
pooled ridge     one map for all electrodes, fitted on other people (:mod:`rtbci.models.ridge`)
linear blend     of the two, with one weight for each horizon: the honest baseline
persistence      the newest sample, held
===============  ==============================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.models.burg import ARForecaster, burg, forecast_matrix
from rtbci.models.ridge import HistoryLayout, RidgeFit, RidgeForecaster, history_features
from rtbci.tick import Tick
from rtbci.types import FloatArray

__all__ = [
    "ARForecaster",
    "BlendFit",
    "HistoryLayout",
    "RidgeFit",
    "RidgeForecaster",
    "blend",
    "burg",
    "forecast_matrix",
    "history_features",
    "persistence",
]


def persistence(tick: Tick, n_horizons: int) -> FloatArray:
    """Hold the newest sample of every electrode.

    Returns
    -------
    forecast : ndarray, shape (n_horizons, n_electrodes), float32, µV
        NaN columns for electrodes that are left out.
    """
    forecast = np.repeat(tick.history[-1:].astype(np.float32), n_horizons, axis=0)
    forecast[:, ~tick.good] = np.nan
    return forecast


def blend(ar: FloatArray, ridge: FloatArray, weight: npt.NDArray[np.floating]) -> FloatArray:
    """Mix two forecasts; where AR has none (NaN: not fitted yet) the ridge stands alone.

    Parameters
    ----------
    ar, ridge : ndarray, shape (n_horizons, n_electrodes)
    weight : ndarray, shape (n_horizons,)
        Share of AR at each horizon.
    """
    share = weight.astype(np.float32)[:, None]
    return np.where(np.isnan(ar), ridge, share * ar + (1.0 - share) * ridge)


@dataclass
class BlendFit:
    """Least squares for the share of AR at each horizon, filled batch by batch.

    Attributes
    ----------
    square, cross : ndarray, shape (n_horizons,), float64
        Sums of ``(ar - ridge)²`` and of ``(ar - ridge)(truth - ridge)``.
    """

    square: npt.NDArray[np.float64]
    cross: npt.NDArray[np.float64]

    @classmethod
    def empty(cls, n_horizons: int) -> BlendFit:
        """Nothing seen yet."""
        return cls(np.zeros(n_horizons), np.zeros(n_horizons))

    def add(self, ar: FloatArray, ridge: FloatArray, truth: FloatArray) -> None:
        """Take forecasts and what came, each (n, n_horizons), normalised; NaN rows are skipped."""
        known = np.isfinite(ar).all(axis=-1)
        difference = (ar - ridge)[known].astype(np.float64)
        self.square += np.einsum("nh,nh->h", difference, difference)
        self.cross += np.einsum("nh,nh->h", difference, (truth - ridge)[known].astype(np.float64))

    def solve(self, smooth: int = 1) -> npt.NDArray[np.float64]:
        """Shares of AR within [0, 1], shape (n_horizons,); 0 where nothing was added.

        ``smooth`` horizons on each side are pooled, since neighbours see almost the same sample.
        """
        kernel = np.ones(2 * smooth + 1)
        square = np.convolve(self.square, kernel, "same")
        cross = np.convolve(self.cross, kernel, "same")
        return np.clip(np.divide(cross, square, out=np.zeros_like(cross), where=square > 0), 0, 1)
