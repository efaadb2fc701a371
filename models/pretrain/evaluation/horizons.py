"""At which horizons forecasts are scored: single samples, and the bins of :mod:`rtbci.skill`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.skill import BINS_MS, bin_edges

Float64Array = npt.NDArray[np.float64]

POINTS_MS = (8, 20, 50, 100, 150, 200, 300, 500, 750, 1000)
"""Single horizons.  Where no sample lies at one, the last sample before it is meant."""

LABELS: tuple[str, ...] = (
    *(f"{low}–{high}" for low, high in BINS_MS),
    *(str(point) for point in POINTS_MS),
)
"""Columns of every sum, in milliseconds: five bins, then ten single horizons."""

N_BINS = len(BINS_MS)
BINS, POINTS = slice(0, N_BINS), slice(N_BINS, None)
"""Which of the columns are bins and which single horizons."""


@dataclass(frozen=True)
class Horizons:
    """Sums what is known of every horizon into the columns :data:`LABELS`.

    Attributes
    ----------
    points : ndarray, shape (10,), int64
        Samples ahead, counted from 0, of :data:`POINTS_MS`.
    edges : ndarray, shape (6,), int64
        As :func:`rtbci.skill.bin_edges` gives them.
    """

    points: npt.NDArray[np.int64]
    edges: npt.NDArray[np.int64]

    @classmethod
    def of(cls, rate_hz: float, n_horizons: int) -> Horizons:
        """Horizons of forecasts at ``rate_hz``, ``n_horizons`` samples long."""
        samples = np.floor(np.array(POINTS_MS) * rate_hz / 1000 + 1e-9).astype(np.int64)
        points = np.clip(samples, 1, n_horizons) - 1
        return cls(points, bin_edges(rate_hz, n_horizons))

    @property
    def counts(self) -> Float64Array:
        """Samples in each column, shape (15,)."""
        return np.concatenate([np.diff(self.edges), np.ones(len(self.points))])

    def sum(self, x: npt.NDArray[np.floating]) -> Float64Array:
        """Sum over the samples of each column: (..., n_horizons, E) -> (..., 15, E)."""
        starts = self.edges[:-1]
        filled = starts < self.edges[1:]
        bins = np.zeros((*x.shape[:-2], N_BINS, x.shape[-1]))
        bins[..., filled, :] = np.add.reduceat(x, starts[filled], axis=-2, dtype=np.float64)
        return np.concatenate([bins, x[..., self.points, :]], axis=-2)
