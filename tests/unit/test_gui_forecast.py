"""Forecasts as they are shown: bands from errors that were made, filters put on them likewise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scenes
from scipy.signal import sosfilt

from rtbci.apps.gui.view_models.display import BANDS, DisplaySettings, sections
from rtbci.apps.gui.view_models.forecast import EVERY_S, LEAST_S, ForecastModel
from rtbci.apps.gui.view_models.update import Update
from rtbci.live.view import Rows
from rtbci.types import Forecast

RATE, HORIZONS, HOP = 50.0, 50, 5
NAMES = ("C3", "Cz")


def model() -> ForecastModel:
    info = scenes.view_info(electrodes=NAMES)
    return ForecastModel(replace(info, model_rate=RATE, n_horizons=HORIZONS))


def run(
    shown: ForecastModel,
    rows: np.ndarray[Any, Any],
    means: np.ndarray[Any, Any],
    *,
    breaks: tuple[int, ...] = (),
    left_out: tuple[str, ...] = (),
) -> None:
    """Give rows and a forecast every hop; ``means`` are (n_tokens, n_horizons, n_electrodes)."""
    nothing = Rows(0, np.zeros((0, 3), np.float32), np.zeros(0))
    for token, mean in enumerate(means):
        start = token * HOP
        times = 1000.0 + np.arange(start, start + HOP) / RATE
        forecast = Forecast(
            token, start + HOP - 1, float(times[-1]), RATE, mean.astype(np.float32), "direct"
        )
        shown.take(
            Update(
                float(times[-1]),
                nothing,
                Rows(start, rows[start : start + HOP].astype(np.float32), times),
                breaks=tuple(b for b in breaks if start <= b < start + HOP),
                forecasts=(forecast,),
                status={"left_out": dict.fromkeys(left_out, "noisy")},
            )
        )


def test_bands_hold_the_share_that_they_say() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(4000, 2)) * (1.0, 5.0)
    shown = model()
    run(shown, rows, np.zeros((800, HORIZONS, 2)))
    assert shown.shown is not None
    low90, low50, high50, high90 = np.median(shown.shown.bands, axis=1)
    for size, i in ((1.0, 0), (5.0, 1)):
        np.testing.assert_allclose(
            [low90[i], low50[i], high50[i], high90[i]],
            size * np.array([-1.645, -0.674, 0.674, 1.645]),
            rtol=0.25,
        )


def test_bands_lie_around_the_newest_forecast() -> None:
    rng = np.random.default_rng(2)
    means = np.zeros((400, HORIZONS, 2))
    means[-1] = 100.0
    shown = model()
    run(shown, rng.normal(size=(2000, 2)), means)
    assert shown.shown is not None
    assert (shown.shown.bands[0] > 90).all()
    assert (shown.shown.bands[3] < 110).all()
    np.testing.assert_allclose(shown.shown.times[0], shown.shown.time + 1 / RATE)


def test_there_are_no_bands_from_a_few_errors() -> None:
    shown = model()
    run(shown, np.zeros((250, 2)), np.zeros((50, HORIZONS, 2)))
    assert 0 < shown.errors * EVERY_S < LEAST_S
    assert not shown.banded
    assert shown.shown is not None
    assert np.isnan(shown.shown.bands).all()


def test_nothing_is_compared_over_a_break() -> None:
    """A forecast whose second holds the first row of a new segment says nothing of that row."""
    rows = np.zeros((500, 2))
    rows[260:] = 1e4
    with_break, without = model(), model()
    run(with_break, rows, np.zeros((100, HORIZONS, 2)), breaks=(260,))
    run(without, rows, np.zeros((100, HORIZONS, 2)))
    assert with_break.errors < without.errors
    # NB: those behind the break are off by 1e4 from beginning to end; those over it are not.
    kept = with_break.state.errors[0, : with_break.errors]
    assert all(len(set(np.round(error))) == 1 for error in kept)


def test_what_is_left_out_has_no_band_and_spoils_none() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(2000, 2))
    rows[:, 1] = 1e5
    means = np.zeros((400, HORIZONS, 2))
    means[..., 1] = np.nan
    shown = model()
    run(shown, rows, means, left_out=("Cz",))
    assert shown.shown is not None
    assert np.isfinite(shown.shown.bands[..., 0]).all()
    assert np.isnan(shown.shown.bands[..., 1]).all()


def test_a_forecast_passes_the_displays_filter_behind_the_signal() -> None:
    """As if the second that is forecast had come: the filter has the signal's state."""
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(400, 2)) * 10
    means = rng.normal(size=(80, HORIZONS, 2)) * 10
    settings = DisplaySettings(band=BANDS[3])
    shown = model()
    shown.set(settings)
    run(shown, rows, means)
    assert shown.shown is not None
    whole = np.concatenate([rows, means[-1]])
    wanted = sosfilt(sections(RATE, settings, after_model=True), whole, axis=0)[-HORIZONS:]
    np.testing.assert_allclose(shown.shown.mean, wanted, atol=0.1)


def test_bands_are_those_of_the_filtered_errors() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(3000, 2))
    plain, narrow = model(), model()
    narrow.set(DisplaySettings(band=BANDS[3]))
    for shown in (plain, narrow):
        run(shown, rows, np.zeros((600, HORIZONS, 2)))
    assert plain.shown is not None
    assert narrow.shown is not None
    late = slice(-10, None)
    wide = (plain.shown.bands[3] - plain.shown.bands[0])[late].mean()
    filtered = (narrow.shown.bands[3] - narrow.shown.bands[0])[late].mean()
    sos = sections(RATE, DisplaySettings(band=BANDS[3]), after_model=True)
    gain = sosfilt(sos, rng.normal(size=20_000)).std()
    np.testing.assert_allclose(filtered / wide, gain, rtol=0.2)


def test_past_forecasts_are_one_line_without_a_seam() -> None:
    """Each part is what was forecast last for that time, at most so far ahead as is asked for."""
    tokens = 40
    means = np.zeros((tokens, HORIZONS, 2))
    means[:] = np.arange(tokens)[:, None, None]
    shown = model()
    shown.set(DisplaySettings(past_s=0.5))
    run(shown, np.zeros((200, 2)), means)
    times, values = shown.past(1001.0, 1003.0)
    assert np.allclose(np.diff(times), 1 / RATE)
    made = 1000.0 + (values[:, 0] * HOP + HOP - 1) / RATE  # when each was forecast
    ahead = times - made
    assert (ahead > 0.5 - HOP / RATE).all()
    assert (ahead < 0.5 + 0.5 / RATE).all()
