"""Forecast skill so far: error over variance on samples that the forecast had not seen.

A forecast waits here until its last horizon has come; then it is scored against what came.
For each electrode and each bin of horizons the error is the sum of squared differences over
the sum of squared deviations of the same samples from their mean; the table averages this
over electrodes.  1 is what predicting the mean would get.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.types import BoolArray, FloatArray

BINS_MS: tuple[tuple[int, int], ...] = ((0, 50), (50, 100), (100, 200), (200, 500), (500, 1000))
"""Horizons are reported in these bins, (from, to] in milliseconds."""

METHODS = ("model", "ar", "ridge", "persistence")
"""Columns of the table; a method that a session does not have is null."""


def bin_edges(rate: float, n_horizons: int) -> npt.NDArray[np.int64]:
    """Give the first horizon (from 0) of each bin and, last, one past the end.

    Horizon ``h`` is the sample ``(h + 1) / rate`` seconds ahead; it belongs to the bin with
    ``from < 1000 (h + 1) / rate <= to``.
    """
    ends = [int(np.floor(high * rate / 1000 + 1e-9)) for _, high in BINS_MS]
    return np.array([min(end, n_horizons) for end in (0, *ends)], dtype=np.int64)


@dataclass
class _Pending:
    """A forecast whose future has not come yet."""

    token: int
    good: BoolArray
    forecasts: dict[str, FloatArray]


@dataclass
class SkillState:
    """Sums since the session began, per bin and electrode.

    Attributes
    ----------
    count : ndarray, shape (n_bins, n_electrodes)
        Samples scored.
    total, square : ndarray, shape (n_bins, n_electrodes)
        Sum and sum of squares of those samples, µV and µV².
    error : dict of ndarray, shape (n_bins, n_electrodes)
        Sum of squared errors by method, µV².
    pending : deque
        Forecasts that wait for their future, oldest first.
    """

    count: npt.NDArray[np.float64]
    total: npt.NDArray[np.float64]
    square: npt.NDArray[np.float64]
    error: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    pending: deque[_Pending] = field(default_factory=deque)


class SkillTracker:
    """Scores forecasts while a session runs.

    Parameters
    ----------
    rate : float
        Samples a second of the forecasts, Hz.
    n_horizons, n_electrodes, hop : int
        Samples ahead; electrodes; samples from a token to the next.
    """

    def __init__(self, rate: float, n_horizons: int, n_electrodes: int, hop: int) -> None:
        self._rate = rate
        self._n_horizons = n_horizons
        self._tokens_ahead = -(-n_horizons // hop)
        self._hop = hop
        self._edges = bin_edges(rate, n_horizons)
        shape = (len(BINS_MS), n_electrodes)
        self.state = SkillState(np.zeros(shape), np.zeros(shape), np.zeros(shape))

    def reset(self) -> None:
        """Drop forecasts whose future will never come (a new segment); keep the sums."""
        self.state.pending.clear()

    def observe(self, token: int, history: FloatArray, good: BoolArray) -> None:
        """Score the forecasts whose last horizon came with this token.

        Parameters
        ----------
        token : int
            The token just completed.
        history : ndarray, shape (n_history, n_electrodes), float32, µV
            The preprocessed signal, newest row last.
        good : ndarray, shape (n_electrodes,), bool
            An electrode that was left out at any token of a forecast does not count in it.
        """
        for waiting in self.state.pending:
            waiting.good &= good
        while self.state.pending and token - self.state.pending[0].token >= self._tokens_ahead:
            oldest = self.state.pending.popleft()
            behind = (token - oldest.token) * self._hop
            future = history[len(history) - behind :][: self._n_horizons]
            self._score(oldest, future)

    def expect(self, token: int, forecasts: dict[str, FloatArray], good: BoolArray) -> None:
        """Remember the forecasts of a token, each (n_horizons, n_electrodes) in µV."""
        self.state.pending.append(_Pending(token, good.copy(), dict(forecasts)))

    def _score(self, waiting: _Pending, future: FloatArray) -> None:
        usable = waiting.good.copy()
        for forecast in waiting.forecasts.values():
            usable &= np.isfinite(forecast).all(axis=0)
        if not usable.any():
            return
        starts = self._edges[:-1]
        filled = starts < self._edges[1:]
        x = future.astype(np.float64) * usable
        state = self.state
        state.count[filled] += np.diff(self._edges)[filled, None] * usable
        state.total[filled] += np.add.reduceat(x, starts[filled])
        state.square[filled] += np.add.reduceat(x * x, starts[filled])
        for method, forecast in waiting.forecasts.items():
            difference = np.where(usable, forecast - x, 0.0)
            sums = state.error.setdefault(method, np.zeros_like(state.count))
            sums[filled] += np.add.reduceat(difference * difference, starts[filled])

    def table(self) -> list[dict[str, Any]]:
        """One row a bin: ``horizon_ms`` and each method's error over variance, or None."""
        state = self.state
        with np.errstate(invalid="ignore", divide="ignore"):
            deviation = state.square - state.total**2 / state.count
        rows: list[dict[str, Any]] = []
        for i, (low, high) in enumerate(BINS_MS):
            row: dict[str, Any] = {"horizon_ms": [low, high]}
            scored = (state.count[i] > 0) & (deviation[i] > 0)
            for method in METHODS:
                sums = state.error.get(method)
                row[method] = (
                    None
                    if sums is None or not scored.any()
                    else round(float(np.mean(sums[i, scored] / deviation[i, scored])), 4)
                )
            rows.append(row)
        return rows
