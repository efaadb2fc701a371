"""Scores the forecasts of a recording against what then came.

A recording keeps each forecast at its published horizons.  Each is compared here with the filtered
signal of that instant, and with persistence: that the newest sample stays.  AR and ridge are not
recorded; the session's own table has them (:mod:`rtbci.skill`), and so has a replay.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtbci.apps.report.causal import Block
from rtbci.recording.results import RecordedForecast
from rtbci.types import FloatArray, TimeArray

Array64 = npt.NDArray[np.float64]

EXAMPLE_S = 2.0
"""Length of the stretch of signal that is shown with its forecasts."""
EXAMPLE_AT = 0.6
"""Where it begins, as a share of the session."""
NEAR = 0.75
"""A row that lies within so many rows of the wanted time is the one."""


@dataclass(frozen=True)
class Example:
    """A stretch of signal, and what was foretold of it.

    Attributes
    ----------
    times : ndarray, shape (n,), float64
        Seconds of the session's clock.
    signal : ndarray, shape (n, n_electrodes), float32, µV
    forecasts : list of (float, ndarray)
        Time of the newest sample seen, and the published horizons (n_horizons, n_electrodes), µV.
    """

    times: TimeArray
    signal: FloatArray
    forecasts: list[tuple[float, FloatArray]]


@dataclass(frozen=True)
class ForecastFacts:
    """How the forecasts did.

    Attributes
    ----------
    count, scored : int
        Forecasts recorded, and those whose last horizon came in the same segment.
    by : str
        Who published: ``direct``, ``rollout`` or ``ar``.
    horizons_ms : tuple of float
    error, persistence : ndarray, shape (n_horizons, n_electrodes)
        Mean squared error over the variance of what came; NaN where nothing was scored.
    example : Example | None
    """

    count: int
    scored: int
    by: str
    horizons_ms: tuple[float, ...]
    error: Array64
    persistence: Array64
    example: Example | None


@dataclass
class _Sums:
    count: Array64
    total: Array64
    square: Array64
    error: Array64
    persistence: Array64

    @classmethod
    def zeros(cls, shape: tuple[int, int]) -> _Sums:
        return cls(*(np.zeros(shape) for _ in range(5)))


@dataclass
class _Shown:
    """What is kept for the example: from ``start`` to ``stop``, seconds of the session's clock."""

    start: float
    stop: float
    times: list[TimeArray] = field(default_factory=list)
    signal: list[FloatArray] = field(default_factory=list)
    forecasts: list[tuple[float, FloatArray]] = field(default_factory=list)
    broken: bool = False


class ForecastGatherer:
    """Takes the blocks of a recording and reads its forecasts along.

    Parameters
    ----------
    forecasts : iterator of RecordedForecast
        In order.
    n_electrodes : int
    begun, ended : float
        Times of the first and last row, seconds of the session's clock.
    """

    def __init__(
        self,
        forecasts: Iterator[RecordedForecast],
        n_electrodes: int,
        begun: float,
        ended: float,
    ) -> None:
        self._forecasts = forecasts
        self._waiting: deque[RecordedForecast] = deque()
        self._first: RecordedForecast | None = None
        self._sums = _Sums.zeros((0, n_electrodes))
        self._counts = [0, 0]
        self._times: TimeArray = np.zeros(0)
        self._signal: FloatArray = np.zeros((0, n_electrodes), dtype=np.float32)
        length = min(EXAMPLE_S, ended - begun)
        start = min(begun + EXAMPLE_AT * (ended - begun), ended - length)
        self._shown = _Shown(start, start + length)

    def add(self, block: Block) -> None:
        """Take the next block: score the forecasts whose future has come."""
        if block.begins:
            self._times, self._signal = self._times[:0], self._signal[:0]
        self._show(block)
        if not len(block.signal_times):
            return
        self._times = np.concatenate([self._times, block.signal_times])
        self._signal = np.concatenate([self._signal, block.signal])
        newest = float(self._times[-1])
        while (forecast := self._next()) is not None:
            reach = forecast.time + (max(forecast.rows) + NEAR) / forecast.rate
            if reach > newest:
                break
            self._waiting.popleft()
            self._score(forecast, block)
        behind = newest - 2.0 if self._next() is None else self._waiting[0].time - 1.0
        keep = int(np.searchsorted(self._times, behind))
        self._times, self._signal = self._times[keep:], self._signal[keep:]

    def facts(self) -> ForecastFacts | None:
        """How they did; None where there are none."""
        while self._next() is not None:
            self._waiting.popleft()
        first = self._first
        if first is None:
            return None
        sums = self._sums
        # NB: of all horizons together: tokens come ten a second, so a rhythm of 10 Hz is met by
        # one horizon at one phase only, where it hardly varies.
        count, total, square = (x.sum(axis=0) for x in (sums.count, sums.total, sums.square))
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = square / count - (total / count) ** 2
            variance = np.where((count > 1) & (variance > 0), variance, np.nan)
            error = sums.error / sums.count / variance
            persistence = sums.persistence / sums.count / variance
        shown = self._shown
        example = None
        if shown.times and shown.forecasts and not shown.broken:
            example = Example(
                np.concatenate(shown.times), np.concatenate(shown.signal), shown.forecasts
            )
        return ForecastFacts(
            count=self._counts[0],
            scored=self._counts[1],
            by=first.by,
            horizons_ms=tuple(1000 * (row + 1) / first.rate for row in first.rows),
            error=error,
            persistence=persistence,
            example=example,
        )

    def _next(self) -> RecordedForecast | None:
        """The oldest forecast that is not scored yet."""
        if not self._waiting:
            forecast = next(self._forecasts, None)
            if forecast is None:
                return None
            if self._first is None:
                self._first = forecast
                self._sums = _Sums.zeros(forecast.published.shape)
            self._counts[0] += 1
            self._waiting.append(forecast)
            if self._shown.start <= forecast.time <= self._shown.stop:
                kept = forecast.published.astype(np.float32)
                self._shown.forecasts.append((forecast.time, kept))
        return self._waiting[0]

    def _score(self, forecast: RecordedForecast, block: Block) -> None:
        now = self._row_at(forecast.time, forecast.rate)
        if now is None:
            return  # its segment has ended, so what it foretold never came
        rows = now + 1 + np.array(forecast.rows)
        if rows[-1] >= len(self._times):
            return
        self._counts[1] += 1
        foretold = forecast.published.astype(np.float64)
        came = self._signal[rows].astype(np.float64)
        held = np.broadcast_to(self._signal[now].astype(np.float64), came.shape)
        usable = np.isfinite(foretold) & block.good & np.isfinite(came)
        foretold, came = np.where(usable, foretold, 0.0), np.where(usable, came, 0.0)
        sums = self._sums
        sums.count += usable
        sums.total += came
        sums.square += came**2
        sums.error += (foretold - came) ** 2
        sums.persistence += np.where(usable, held - came, 0.0) ** 2

    def _row_at(self, time: float, rate: float) -> int | None:
        after = int(np.searchsorted(self._times, time))
        near = [i for i in (after - 1, after) if 0 <= i < len(self._times)]
        best = min(near, key=lambda i: abs(float(self._times[i]) - time), default=None)
        if best is None or abs(float(self._times[best]) - time) > NEAR / rate:
            return None
        return best

    def _show(self, block: Block) -> None:
        shown = self._shown
        inside = (block.signal_times >= shown.start) & (block.signal_times <= shown.stop)
        if inside.any():
            shown.broken |= bool(block.broken and shown.times)
            shown.times.append(block.signal_times[inside])
            shown.signal.append(block.signal[inside])
