"""AR by Burg, pooled ridge, blend: against closed forms and slow references."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import lfilter

from rtbci.models.baselines import (
    ARForecaster,
    BlendFit,
    HistoryLayout,
    RidgeFit,
    RidgeForecaster,
    blend,
    burg,
    forecast_matrix,
    history_features,
    persistence,
)
from rtbci.tick import Tick

F64 = npt.NDArray[np.float64]
HOP = 25


def ar_signal(coefficients: F64, n: int, seed: int = 0) -> F64:
    noise = np.random.default_rng(seed).standard_normal(n + 500)
    signal: F64 = lfilter([1.0], np.r_[1.0, -coefficients], noise)[500:]
    return signal


def slow_burg(x: F64, order: int) -> F64:
    """Burg's recursion as the textbook writes it, every energy summed anew."""
    a = np.ones(1)
    f, b = x.copy(), x.copy()
    for _ in range(order):
        forward, backward = f[1:], b[:-1]
        k = -2 * forward @ backward / (forward @ forward + backward @ backward)
        a = np.r_[a, 0.0] + k * np.r_[a, 0.0][::-1]
        f, b = forward + k * backward, backward + k * forward
    return -a[1:]


def tick(signal: F64, stop: int, index: int, good: npt.NDArray[np.bool_] | None = None) -> Tick:
    history = np.ascontiguousarray(signal[:stop], np.float32)
    n = signal.shape[1]
    return Tick(
        token=index + 7,
        index=index,
        history=history,
        mean=np.full(n, 0.5, np.float32),
        scale=np.full(n, 2.0, np.float32),
        good=np.ones(n, np.bool_) if good is None else good,
    )


def test_burg_recovers_the_coefficients_of_a_known_process() -> None:
    true = np.array([1.6, -1.1, 0.5, -0.2])
    found = burg(ar_signal(true, 40_000), 4)
    np.testing.assert_allclose(found, true, atol=0.02)


@pytest.mark.parametrize("order", [1, 7, 100])
def test_burg_equals_the_textbook(order: int) -> None:
    x = ar_signal(np.array([1.2, -0.6]), 2000, seed=order)
    np.testing.assert_allclose(burg(x, order, 0.0), slow_burg(x, order), rtol=1e-8, atol=1e-10)


def test_the_running_energy_of_burg_is_right_with_a_floor() -> None:
    x = ar_signal(np.array([1.2, -0.6]), 500)
    f, b, a = x[1:], x[:-1], np.zeros(0)
    floor = 0.1 * (f @ f + b @ b)
    for _ in range(5):
        k = 2 * f @ b / (f @ f + b @ b + floor)
        a = np.r_[a - k * a[::-1], k]
        f, b = (f - k * b)[1:], (b - k * f)[:-1]
    np.testing.assert_allclose(burg(x, 5, 0.1), a, rtol=1e-10)


def test_burg_fits_a_batch_as_it_fits_each_signal() -> None:
    batch = np.stack([ar_signal(np.array([0.9]), 300, s) for s in range(6)]).reshape(2, 3, 300)
    found = burg(batch, 5)
    assert found.shape == (2, 3, 5)
    np.testing.assert_array_equal(found[1, 2], burg(batch[1, 2], 5))


def test_burg_of_silence_predicts_silence() -> None:
    np.testing.assert_array_equal(burg(np.zeros(100), 10), np.zeros(10))


def test_burg_stays_stable_on_an_oversampled_signal() -> None:
    """Noise-free and low-passed far below half the rate, plain Burg gave coefficients of 3e4."""
    x = ar_signal(np.array([2.7, -2.5, 0.78]), 15_000)
    for _ in range(4):
        x = np.convolve(x, np.ones(8) / 8, "valid")
    matrix = forecast_matrix(burg(x, 156), 250)
    assert np.abs(matrix @ x[-156:]).max() < 10 * np.abs(x).max()


@pytest.mark.parametrize("order", [0, 10])
def test_burg_refuses_an_order_that_does_not_fit(order: int) -> None:
    with pytest.raises(ValueError, match=f"order of {order} does not fit a signal of 10 samples"):
        burg(np.zeros(10), order)


def test_forecast_matrix_is_the_recursion() -> None:
    coefficients = burg(ar_signal(np.array([1.6, -0.9]), 3000), 12)
    past = list(np.random.default_rng(1).standard_normal(12))
    expected = forecast_matrix(coefficients, 40) @ np.array(past)
    for _ in range(40):
        past.append(float(coefficients @ past[: -len(coefficients) - 1 : -1]))
    np.testing.assert_allclose(expected, past[12:], rtol=1e-9, atol=1e-12)


def test_ar_is_refitted_one_electrode_a_tick_and_forecasts_by_its_coefficients() -> None:
    signal = np.stack([ar_signal(np.array([1.5, -0.8]), 4000, s) for s in range(3)], axis=1)
    ar = ARForecaster(3, order=20, n_horizons=30, min_s=2.0)
    for index in range(3):
        now = tick(signal, 1000 + HOP * index, index)
        ar.update(now)
        known = np.isfinite(ar.forecast(now)).all(axis=0)
        assert known.tolist() == [e <= index for e in range(3)]
    forecast = ar.forecast(now)
    assert forecast.shape == (30, 3)
    assert forecast.dtype == np.float32
    fitted_at = [1000, 1025, 1050]
    for e, stop in enumerate(fitted_at):
        series = signal[:stop, e].astype(np.float32)
        newest = now.history[-20:, e].astype(np.float64)
        expected = forecast_matrix(burg(series, 20), 30) @ newest
        np.testing.assert_allclose(forecast[:, e], expected, rtol=1e-5, atol=1e-5)


def test_ar_order_grows_with_the_rows_at_hand() -> None:
    signal = ar_signal(np.array([1.5, -0.8]), 4000)[:, None]
    ar = ARForecaster(1, rate_hz=250.0)
    assert ar.order == 156
    ar.update(tick(signal, 499, 0))
    assert not ar.state.fitted.any(), "less than two seconds"
    ar.update(tick(signal, 800, 1))
    used = np.abs(ar.state.matrix[0]).sum(axis=0) > 0
    assert used.sum() == 800 // 16
    assert used[-50:].all()
    ar.update(tick(signal, 2500, 2))
    assert (np.abs(ar.state.matrix[0]).sum(axis=0) > 0).all()


def test_ar_looks_back_no_further_than_its_memory() -> None:
    signal = ar_signal(np.array([1.5, -0.8]), 3000)[:, None]
    other = signal.copy()
    other[:1000] *= -30.0
    forecasts = []
    for s in (signal, other):
        ar = ARForecaster(1, order=20, memory_s=8.0)
        ar.update(tick(s, 3000, 0))
        forecasts.append(ar.forecast(tick(s, 3000, 0)))
    np.testing.assert_array_equal(forecasts[0], forecasts[1])


def test_ar_starts_anew_on_an_electrode_that_was_bad() -> None:
    signal = np.stack([ar_signal(np.array([1.5, -0.8]), 9000, s) for s in range(2)], axis=1)
    ar = ARForecaster(2, order=20, min_s=2.0)
    for index in range(4):
        ar.update(tick(signal, 3000 + HOP * index, index))
    bad = tick(signal, 3100, 4, np.array([True, False]))
    ar.update(bad)
    assert np.isnan(ar.forecast(bad)[:, 1]).all()
    assert np.isfinite(ar.forecast(bad)[:, 0]).all()
    back = [tick(signal, 3125 + HOP * i, 5 + i) for i in range(24)]
    for now in back:
        ar.update(now)
        assert ar.state.fitted.tolist() == [True, now.index >= 5 + 20]
    own = ARForecaster(2, order=20, min_s=2.0)
    own.update(tick(signal[3100 : back[20].history.shape[0]], 525, 1))
    assert ar.state.usable.tolist() == [15_000, 24 * HOP]


def test_ar_reset_forgets_all_or_some() -> None:
    signal = np.stack([ar_signal(np.array([0.9]), 3000, s) for s in range(2)], axis=1)
    ar = ARForecaster(2, order=10)
    for index in range(2):
        ar.update(tick(signal, 2000, index))
    ar.reset(np.array([True, False]))
    assert ar.state.fitted.tolist() == [False, True]
    ar.reset()
    assert np.isnan(ar.forecast(tick(signal, 2000, 0))).all()


def test_ar_of_a_replay_is_identical() -> None:
    signal = np.random.default_rng(3).standard_normal((4000, 5)).cumsum(axis=0)
    runs = []
    for _ in range(2):
        ar = ARForecaster(5)
        made = []
        for index in range(60):
            now = tick(signal, 600 + HOP * index, index)
            ar.update(now)
            made.append(ar.forecast(now))
        runs.append(np.stack(made))
    np.testing.assert_array_equal(runs[0], runs[1])


def test_history_features_are_averages_of_the_past() -> None:
    layout = HistoryLayout(((3, 1), (2, 2), (1, 4)))
    assert (layout.n_rows, layout.n_features) == (11, 6)
    history = np.arange(20.0)[None]
    found = history_features(history, layout)
    np.testing.assert_allclose(found, [[17, 18, 19, 13.5, 15.5, 10.5]])
    assert (HistoryLayout().n_rows, HistoryLayout().n_features) == (1000, 184)


def test_ridge_equals_the_closed_form_however_it_is_fed() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 9)).astype(np.float32)
    y = rng.standard_normal((400, 4)).astype(np.float32)
    fit = RidgeFit.empty(9, 4)
    for part in (slice(0, 1), slice(1, 130), slice(130, 400)):
        fit.add(x[part], y[part])
    gram = x.T.astype(np.float64) @ x
    penalty = 0.3 * np.trace(gram) / 9 * np.eye(9)
    expected = np.linalg.inv(gram + penalty) @ (x.T.astype(np.float64) @ y)
    np.testing.assert_allclose(fit.solve(0.3), expected, rtol=1e-6, atol=1e-9)


def test_ridge_without_examples_says_so() -> None:
    with pytest.raises(ValueError, match="has seen no example"):
        RidgeFit.empty(3, 2).solve()


def test_ridge_forecasts_in_microvolts_of_each_electrode() -> None:
    layout = HistoryLayout(((2, 1), (1, 2)))
    weight = np.array([[0.0], [1.0], [0.0]])
    history = np.array([[9.0, 1.0], [2.5, 3.0], [4.5, -1.0], [6.5, 1e6]])
    now = tick(history, 4, 0)
    forecast = RidgeForecaster(weight, layout).forecast(now)
    assert forecast.dtype == np.float32
    # A weight of 1 on the newest sample gives it back; a spike is held at 12 deviations.
    np.testing.assert_allclose(forecast, [[6.5, 24.5]])


def test_ridge_takes_missing_history_for_the_mean() -> None:
    layout = HistoryLayout(((2, 1), (1, 2)))
    weight = np.array([[0.0], [0.0], [1.0]])
    forecast = RidgeForecaster(weight, layout).forecast(tick(np.full((3, 1), 4.5), 3, 0))
    np.testing.assert_allclose(forecast, [[0.5 + 2.0 * (0.0 + 2.0) / 2]])


def test_ridge_leaves_bad_electrodes_out() -> None:
    weight = np.zeros((HistoryLayout().n_features, 5))
    now = tick(np.zeros((1200, 3)), 1200, 0, np.array([True, False, True]))
    missing = np.isnan(RidgeForecaster(weight).forecast(now))
    np.testing.assert_array_equal(missing, np.broadcast_to([False, True, False], (5, 3)))


def test_ridge_refuses_a_weight_of_another_layout() -> None:
    with pytest.raises(ValueError, match=r"shape \(12, 4\) does not fit a history of 184 features"):
        RidgeForecaster(np.zeros((12, 4)))


def test_persistence_holds_the_newest_sample() -> None:
    now = tick(np.array([[1.0, 2.0], [3.0, 4.0]]), 2, 0, np.array([True, False]))
    np.testing.assert_array_equal(persistence(now, 3), [[3.0, np.nan]] * 3)


def test_blend_is_least_squares_at_each_horizon() -> None:
    rng = np.random.default_rng(0)
    ar, ridge = rng.standard_normal((2, 500, 4)).astype(np.float32)
    share = np.array([0.9, 0.5, 0.1, 0.0], np.float32)
    truth = share * ar + (1 - share) * ridge
    ar[7] = np.nan
    fit = BlendFit.empty(4)
    fit.add(ar[:100], ridge[:100], truth[:100])
    fit.add(ar[100:], ridge[100:], truth[100:])
    found = fit.solve(smooth=0)
    np.testing.assert_allclose(found, share, atol=1e-6)
    mixed = blend(ar.T, ridge.T, found)
    np.testing.assert_allclose(mixed[:, :7], truth.T[:, :7], atol=1e-5)
    np.testing.assert_array_equal(mixed[:, 7], ridge[7])
