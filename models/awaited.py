"""Forecasts whose future has not come yet, and stretches of horizons that are learned together.

What a session learns of its own forecasts (:mod:`rtbci.models.trust`,
:mod:`rtbci.models.intervals`), it learns when their last horizon has come, from what came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from rtbci.tick import Tick
from rtbci.types import FloatArray

Float64Array = npt.NDArray[np.float64]


class _Waiting(Protocol):
    """A forecast that was made at a token of the segment."""

    index: int


W = TypeVar("W", bound=_Waiting)


class Stretches:
    """Equal stretches of the horizons, and tokens until a whole forecast has come.

    Parameters
    ----------
    n_horizons, hop, bins : int
        Samples ahead; samples from a token to the next; stretches.
    """

    def __init__(self, n_horizons: int, hop: int, bins: int) -> None:
        edges = np.linspace(0, n_horizons, bins + 1).round().astype(np.int64)
        self._starts = edges[:-1]
        self._lengths = np.diff(edges)
        self._n_horizons, self._hop = n_horizons, hop
        self._tokens_ahead = -(-n_horizons // hop)

    def means(self, x: Float64Array) -> Float64Array:
        """Means over each stretch: (..., n_horizons, n_electrodes) -> (..., bins, n_electrodes)."""
        return np.add.reduceat(x, self._starts, axis=-2) / self._lengths[:, None]

    def spread(self, x: Float64Array) -> FloatArray:
        """Give every horizon its stretch's value: (..., bins, E) -> (..., n_horizons, E)."""
        return np.repeat(x, self._lengths, axis=-2).astype(np.float32)

    def come(self, pending: deque[W], tick: Tick) -> Iterator[tuple[W, FloatArray]]:
        """Take out the forecasts whose last horizon came with a token, oldest first.

        Yields
        ------
        waiting : W
        future : ndarray, shape (n_horizons, n_electrodes), float32, µV
            What came, where the history still has it.
        """
        while pending and tick.index - pending[0].index >= self._tokens_ahead:
            oldest = pending.popleft()
            behind = (tick.index - oldest.index) * self._hop
            if behind <= len(tick.history):
                yield oldest, tick.history[len(tick.history) - behind :][: self._n_horizons]
