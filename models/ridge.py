"""Pooled ridge regression: one linear map from four seconds of any electrode to the next second.

The history is seen through averages that get longer into the past (the newest samples one by
one), in the deviations of :mod:`rtbci.models.tokens`, so that one map fitted on many
people serves an electrode that it has never seen.  Solved in float64: the low-passed signal is
so smooth that its covariance is almost singular.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtbci.models.tokens import token_window
from rtbci.tick import Tick
from rtbci.types import FloatArray

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HistoryLayout:
    """Which averages of the past are the features, newest block first.

    Attributes
    ----------
    blocks : tuple of (int, int)
        Number of averages and samples in each, from the newest sample backwards: at 250 Hz
        0.4 s sample by sample, 1.2 s in steps of 20 ms, 2.4 s in steps of 100 ms.
    """

    blocks: tuple[tuple[int, int], ...] = ((100, 1), (60, 5), (24, 25))

    @property
    def n_rows(self) -> int:
        """Samples of history that are looked at."""
        return sum(count * length for count, length in self.blocks)

    @property
    def n_features(self) -> int:
        """Averages in all."""
        return sum(count for count, _ in self.blocks)


LAYOUT = HistoryLayout()

PENALTY = 1e-5
"""In units of the mean eigenvalue.  Less (1e-7) fits the spectrum above the low-pass that the
training subjects happen to have: at 25 ms the worst stranger's error was 1.7 of the variance
instead of 0.8.  More (1e-3) loses the first 50 ms of everybody."""


def history_features(
    history: npt.NDArray[np.floating], layout: HistoryLayout = LAYOUT
) -> FloatArray:
    """Averages of the normalised past.

    Parameters
    ----------
    history : ndarray, shape (..., n_rows)
        Normalised samples of each electrode, oldest first.
    layout : HistoryLayout

    Returns
    -------
    features : ndarray, shape (..., n_features), float32
        Newest block first, oldest first within a block.
    """
    parts = []
    stop = history.shape[-1]
    for count, length in layout.blocks:
        start = stop - count * length
        block = history[..., start:stop].reshape(*history.shape[:-1], count, length)
        parts.append(block.mean(axis=-1, dtype=np.float32) if length > 1 else block[..., 0])
        stop = start
    return np.concatenate(parts, axis=-1, dtype=np.float32)


class RidgeForecaster:
    """The pooled ridge on a stream.

    It has no state: rows that the segment does not have yet count as the running mean.

    Parameters
    ----------
    weight : ndarray, shape (n_features, n_horizons)
        As :meth:`RidgeFit.solve` gives it.
    layout : HistoryLayout

    Raises
    ------
    ValueError
        Where the weight was fitted on another layout.
    """

    def __init__(self, weight: npt.ArrayLike, layout: HistoryLayout = LAYOUT) -> None:
        self.weight = np.ascontiguousarray(weight, np.float32)
        if self.weight.ndim != 2 or len(self.weight) != layout.n_features:
            raise ValueError(
                f"a ridge weight of shape {self.weight.shape} does not fit a history of "
                f"{layout.n_features} features; it was fitted on another layout"
            )
        self.layout = layout
        self.n_horizons = self.weight.shape[1]

    def forecast(self, tick: Tick) -> FloatArray:
        """Forecast every electrode from the last four seconds.

        Returns
        -------
        forecast : ndarray, shape (n_horizons, n_electrodes), float32, µV
            NaN columns for electrodes that are left out.
        """
        past = token_window(tick.history, tick.mean, tick.scale, self.layout.n_rows)
        predicted = history_features(past.T, self.layout) @ self.weight
        forecast = np.ascontiguousarray(predicted.T * tick.scale + tick.mean)
        forecast[:, ~tick.good] = np.nan
        return forecast


@dataclass
class RidgeFit:
    """Normal equations of the pooled ridge, filled batch by batch (memory does not grow).

    Attributes
    ----------
    gram : ndarray, shape (n_features, n_features), float64
    cross : ndarray, shape (n_features, n_horizons), float64
    rows : int
        Examples so far.
    """

    gram: Float64Array
    cross: Float64Array
    rows: int = field(default=0)

    @classmethod
    def empty(cls, n_features: int, n_horizons: int) -> RidgeFit:
        """Nothing seen yet."""
        return cls(np.zeros((n_features, n_features)), np.zeros((n_features, n_horizons)))

    def add(self, features: FloatArray, targets: FloatArray) -> None:
        """Take examples: features (n, n_features) and normalised futures (n, n_horizons)."""
        x = features.astype(np.float64)
        self.gram += x.T @ x
        self.cross += x.T @ targets.astype(np.float64)
        self.rows += len(x)

    def solve(self, penalty: float = PENALTY) -> Float64Array:
        """Weights (n_features, n_horizons) for a penalty in units of the mean eigenvalue.

        Raises
        ------
        ValueError
            Where nothing was added.
        """
        if not self.rows:
            raise ValueError("the ridge has seen no example; add some before solving")
        size = len(self.gram)
        ridge = penalty * np.trace(self.gram) / size
        weight: Float64Array = np.linalg.solve(self.gram + ridge * np.eye(size), self.cross)
        return weight
