"""Forecasts as they are shown: the newest one with its bands, and past ones against what came.

    forecast --+--> passed through the display's filters -> the line beyond "now"
               |                                         -> past forecasts, some time ahead
               +--> kept until its second has come -> error by horizon and electrode
                                                        -> ring of the last minutes -> quantiles

The bands are no opinion of the model's: they are the empirical quantiles of the errors that its
forecasts of the last minutes had, by horizon and electrode, laid around the newest forecast.
Filters are linear, so an error as the display shows it is the error put through the display's
filter from rest.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rtbci.apps.gui.view_models.display import (
    DisplaySettings,
    filter_rows,
    rereference,
    sections,
)
from rtbci.ring import MirrorRing
from rtbci.types import BoolArray, FloatArray, Forecast, TimeArray

if TYPE_CHECKING:
    from rtbci.apps.gui.view_models.update import Update
    from rtbci.live.view import ViewInfo

QUANTILES = (0.05, 0.25, 0.75, 0.95)
"""Ends of the 90 % and of the 50 % band."""
EVERY_S = 0.5
"""The errors of one forecast are kept so often: those of neighbours hardly differ."""
MEMORY_S = 120.0
"""Errors are kept for so long."""
LEAST_S = 20.0
"""Bands are shown from so many seconds of errors on."""
POINTS = 50
"""Horizons at which bands are drawn, at most."""
HISTORY_S = 4.0
"""Signal that the display's filters see before a forecast."""
ROUND_TOKENS = 20
"""After so many forecasts the quantiles of every electrode are made anew, some at each."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A forecast as it is drawn.

    Attributes
    ----------
    time : float
        Of the newest sample that it has seen, seconds of the session's clock.
    token : int
    times : ndarray, shape (n_horizons,)
    mean : ndarray, shape (n_horizons, n_electrodes), µV
        As the display filters it; NaN for what is left out.
    band_times : ndarray, shape (n_points,)
    bands : ndarray, shape (4, n_points, n_electrodes), µV
        At ``QUANTILES``; NaN where there are too few errors yet.
    """

    time: float
    token: int
    times: TimeArray
    mean: FloatArray
    band_times: TimeArray
    bands: FloatArray


@dataclass
class ForecastState:
    """What :class:`ForecastModel` carries.

    Attributes
    ----------
    waiting : deque of Forecast
        Those whose second has not come yet, of which errors will be kept.
    errors : ndarray, shape (n_electrodes, n_kept, n_horizons), float32, µV
        What came less what was forecast, before the display's filters; a ring.
    count : int
        Errors ever written.
    next_time : float
        The first forecast at or after this time is kept.
    breaks : deque of float
        Times at which segments begin: nothing is compared over them.
    quantiles : ndarray, shape (4, n_points, n_electrodes)
    turn : int
        The next electrode to get new quantiles.
    stale : bool
        Whether all quantiles were made with other filters.
    """

    errors: FloatArray
    quantiles: FloatArray
    waiting: deque[Forecast] = field(default_factory=lambda: deque(maxlen=200))
    breaks: deque[float] = field(default_factory=lambda: deque(maxlen=100))
    count: int = 0
    next_time: float = -np.inf
    turn: int = 0
    stale: bool = False


class ForecastModel:
    """Newest forecast, its bands, and past forecasts.

    Parameters
    ----------
    info : ViewInfo

    Attributes
    ----------
    shown : Shown | None
        The newest forecast; None before the first, and after a new segment began.
    version : int
        Grows with every forecast that is shown.
    """

    def __init__(self, info: ViewInfo) -> None:
        self.rate = info.model_rate
        self.n_horizons = info.n_horizons
        self.electrodes = info.electrodes
        self.settings = DisplaySettings()
        self.shown: Shown | None = None
        self.version = 0
        n = len(info.electrodes)
        self._rows = MirrorRing(round((HISTORY_S + 3.0) * self.rate), n)
        self._times = MirrorRing(self._rows.capacity, 1, np.float64)
        self._points = np.unique(
            np.linspace(0, max(info.n_horizons - 1, 0), POINTS).round().astype(np.int64)
        )
        kept = round(MEMORY_S / EVERY_S)
        self.state = ForecastState(
            np.zeros((n, kept, info.n_horizons), dtype=np.float32),
            np.full((len(QUANTILES), len(self._points), n), np.nan, dtype=np.float32),
        )
        self._past = MirrorRing(round(25.0 * self.rate), n)
        self._past_times = MirrorRing(self._past.capacity, 1, np.float64)
        self._good: BoolArray = np.ones(n, dtype=np.bool_)

    def set(self, settings: DisplaySettings) -> None:
        """Show forecasts as the signals are shown."""
        before, self.settings = self.settings, settings
        if not settings.same_filters(before):
            self.state.stale = True
        if not settings.same_filters(before) or settings.past_s != before.past_s:
            self._past.reset()
            self._past_times.reset()

    @property
    def errors(self) -> int:
        """Forecasts whose errors the bands rest on."""
        return min(self.state.count, int(self.state.errors.shape[1]))

    @property
    def banded(self) -> bool:
        """Whether there are enough errors for bands."""
        return self.errors * EVERY_S >= LEAST_S

    def take(self, update: Update) -> None:
        """Take new rows of the model's signal, and new forecasts."""
        if self.n_horizons == 0:
            return
        if update.status is not None:
            left_out = update.status["left_out"]
            self._good = np.array([name not in left_out for name in self.electrodes], dtype=bool)
        rows = update.filtered
        if len(rows.times):
            for index in update.breaks:
                place = index - rows.start
                if 0 <= place < len(rows.times):
                    self.state.breaks.append(float(rows.times[place]))
            self._rows.write(rows.data)
            self._times.write(rows.times[:, None])
            self._settle()
        for forecast in update.forecasts:
            if forecast.time >= self.state.next_time:
                self.state.next_time = forecast.time + EVERY_S - 0.5 / self.rate
                self.state.waiting.append(forecast)
        for forecast in update.forecasts if self.settings.past_s else ():
            self._add_past(forecast, self._display(forecast))
        if update.forecasts:
            self._show(update.forecasts[-1])

    def past(self, start: float, stop: float) -> tuple[TimeArray, FloatArray]:
        """Past forecasts in [start, stop], as they were ``settings.past_s`` ahead or a bit less."""
        times = self._past_times.view(self._past_times.size)[:, 0]
        first = max(int(np.searchsorted(times, start)) - 1, 0)
        last = int(np.searchsorted(times, stop, side="right")) + 1
        return times[first:last], self._past.view(self._past.size)[first:last]

    def _show(self, forecast: Forecast) -> None:
        mean = self._display(forecast)
        self._renew()
        times = forecast.time + np.arange(1, len(mean) + 1) / forecast.rate
        bands = mean[self._points] + self.state.quantiles
        self.shown = Shown(forecast.time, forecast.token, times, mean, times[self._points], bands)
        self.version += 1

    def _display(self, forecast: Forecast) -> FloatArray:
        """Put a forecast through the display's filters, behind the signal that came before it."""
        sos = sections(self.rate, self.settings, after_model=True)
        mean = forecast.mean
        if len(sos):
            stop = self._place(forecast.time) + 1
            before = self._rows.view(self._rows.size)[max(0, stop - self._history) : stop]
            whole = np.concatenate([before, np.nan_to_num(mean)]).astype(np.float64)
            filtered = filter_rows(sos, whole - whole[0])[len(before) :]
            mean = np.where(np.isfinite(mean), filtered, np.nan).astype(np.float32)
        if self.settings.average:
            good = self._good & np.isfinite(mean).all(axis=0)
            wide = np.asarray(mean, dtype=np.float64)
            mean = rereference(wide, wide.shape[1], good).astype(np.float32)
        return mean

    @property
    def _history(self) -> int:
        return round(HISTORY_S * self.rate)

    def _place(self, time: float) -> int:
        """Where the row of a time is among those that are kept; -1 where it is older."""
        times = self._times.view(self._times.size)[:, 0]
        return int(np.searchsorted(times, time + 0.5 / self.rate)) - 1

    def _add_past(self, forecast: Forecast, mean: FloatArray) -> None:
        """Keep the part of a forecast that ends ``past_s`` ahead, from where the last one ended."""
        assert self.settings.past_s is not None
        stop = min(round(self.settings.past_s * self.rate), len(mean))
        times = forecast.time + np.arange(1, stop + 1) / forecast.rate
        last = float(self._past_times.view(1)[0, 0]) if self._past_times.size else -np.inf
        first = int(np.searchsorted(times, last + 0.5 / self.rate))
        first = max(first, stop - round(0.5 * self.rate))
        self._past.write(mean[first:stop])
        self._past_times.write(times[first:, None])

    def _settle(self) -> None:
        """Compare the forecasts whose second has come by now."""
        state, length = self.state, self.n_horizons / self.rate
        newest = float(self._times.view(1)[0, 0])
        while state.waiting and state.waiting[0].time + length <= newest:
            forecast = state.waiting.popleft()
            first = self._place(forecast.time) + 1
            stop = first + self.n_horizons
            end = forecast.time + length + 0.5 / self.rate
            if first < 1 or stop > self._rows.size:
                continue
            if any(forecast.time < time <= end for time in state.breaks):
                continue
            came = self._rows.view(self._rows.size)[first:stop]
            error = came - forecast.mean
            error[:, ~self._good] = np.nan
            state.errors[:, state.count % state.errors.shape[1]] = error.T
            state.count += 1

    def _renew(self) -> None:
        """Make the quantiles of some electrodes anew, of all of them where filters have changed."""
        n, state = len(self.electrodes), self.state
        if not self.banded:
            return
        share = n if state.stale else max(1, -(-n // ROUND_TOKENS))
        if not np.isfinite(state.quantiles).any():
            share = n
        state.stale = False
        which = (state.turn + np.arange(min(share, n))) % n
        state.turn = int((which[-1] + 1) % n)
        state.quantiles[:, :, which] = self._quantiles(which)

    def _quantiles(self, which: npt.NDArray[np.intp]) -> FloatArray:
        """Quantiles of some electrodes' errors, shape (4, n_points, n_which)."""
        kept = self.state.errors[:, : self.errors]
        errors = kept[which].astype(np.float64)
        if self.settings.average and self._good.any():
            errors -= np.nanmean(kept[self._good], axis=0)
        sos = sections(self.rate, self.settings, after_model=True)
        made = np.full((len(QUANTILES), len(self._points), len(which)), np.nan, dtype=np.float32)
        for place, of_one in enumerate(errors):
            whole = of_one[np.isfinite(of_one).all(axis=1)]
            if len(whole) * EVERY_S >= LEAST_S:
                seen = filter_rows(sos, whole, axis=1)[:, self._points]
                made[:, :, place] = np.quantile(seen, QUANTILES, axis=0)
        return made
