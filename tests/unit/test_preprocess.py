"""The causal chain: what it passes, what it stops, when, and how it starts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import sosfreqz

from rtbci.config import PreprocessConfig
from rtbci.errors import BadInputError
from rtbci.filters import design
from rtbci.normalise import FLOOR_UV, RunningNorm
from rtbci.preprocess import Preprocessed, Preprocessor, bridge_rows

RATES = (100.0, 125.0, 128.0, 150.0, 160.0, 200.0, 249.87, 250.0, 256.0, 500.0, 512.0, 1000.0,
         2048.0, 5000.0)  # fmt: skip
CONFIG = PreprocessConfig()


def tone(rate: float, hz: float, seconds: float, uv: float = 100.0) -> npt.NDArray[np.float32]:
    t = np.arange(int(rate * seconds)) / rate
    return (uv * np.sin(2 * np.pi * hz * t))[:, None].astype(np.float32)


def run(
    rate: float, x: npt.NDArray[np.float32], config: PreprocessConfig = CONFIG
) -> tuple[Preprocessor, Preprocessed]:
    pre = Preprocessor(rate, x.shape[1], config)
    return pre, pre.push(x, np.ones(x.shape[1], dtype=np.bool_))


def rms(x: npt.NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def positions(pre: Preprocessor, n: int) -> npt.NDArray[np.float64]:
    return np.array([pre.source_position(m) for m in range(n)])


@pytest.mark.parametrize("rate", RATES)
def test_phase_and_gain_at_the_compensated_times(rate: float) -> None:
    """At the times that source_position gives, a tone is what the filters alone make of it."""
    hz = 10.0
    pre, out = run(rate, tone(rate, hz, 8.0))
    t = positions(pre, len(out.signal)) / rate
    late = t > 5.0
    basis = np.stack([np.sin(2 * np.pi * hz * t), np.cos(2 * np.pi * hz * t)], axis=1)[late]
    s, c = np.linalg.lstsq(basis, out.signal[late, 0].astype(np.float64), rcond=None)[0]
    _, expected = sosfreqz(design(rate, CONFIG), worN=[hz], fs=rate)
    assert complex(s, c) / 100.0 == pytest.approx(complex(expected[0]), abs=0.02)


@pytest.mark.parametrize("rate", [r for r in RATES if r >= 256.0])
@pytest.mark.parametrize("alias", [5.0, 10.0, 40.0, 100.0])
def test_content_above_the_new_nyquist_frequency_does_not_alias(rate: float, alias: float) -> None:
    """Under -60 dB of an in-band tone of the same size."""
    for hz in (250.0 - alias, 250.0 + alias):
        if hz < rate / 2:
            _, out = run(rate, tone(rate, hz, 6.0))
            assert rms(out.signal[750:]) < 1e-3 * rms(tone(250.0, 10.0, 1.0))


@pytest.mark.parametrize("rate", [r for r in RATES if r < 249.0])
def test_images_of_a_slower_source_stay_small(rate: float) -> None:
    """Alpha at 10 Hz throws an image at rate - 10 Hz: under -45 dB."""
    pre, out = run(rate, tone(rate, 10.0, 8.0))
    x = out.signal[1000:, 0].astype(np.float64)
    t = positions(pre, len(out.signal))[1000:] / rate
    basis = np.stack([np.sin(20 * np.pi * t), np.cos(20 * np.pi * t)], axis=1)
    rest = x - basis @ np.linalg.lstsq(basis, x, rcond=None)[0]
    assert rms(rest.astype(np.float32)) < 10 ** (-45 / 20) * rms(out.signal[1000:])


@pytest.mark.parametrize("rate", RATES)
def test_ready_and_delay_are_true(rate: float) -> None:
    """Output m exists after exactly ready(m) rows and looks back by delay_s."""
    pre = Preprocessor(rate, 1, CONFIG)
    good = np.ones(1, dtype=np.bool_)
    given = 0
    for n in range(1, pre.ready(30) + 1):
        given += len(pre.push(np.ones((1, 1), dtype=np.float32), good).signal)
        assert given == sum(pre.ready(m) <= n for m in range(given + 2))
    assert given in (31, 32)  # one row can complete two where the model's rate is higher
    assert pre.source_position(0) >= 0.0
    newest = pre.ready(30) - 1
    step = round(rate) / 250.0 if rate != 249.87 else 1.0
    assert newest - pre.source_position(30) <= pre.delay_s * rate + 1e-9
    assert newest - pre.source_position(30) > pre.delay_s * rate - 1.0
    assert pre.source_position(30) - pre.source_position(29) == pytest.approx(step)
    assert pre.delay_s <= 0.03
    if rate == 160.0:
        assert pre.delay_s == pytest.approx(0.021, abs=0.001)


def test_equal_rates_are_not_resampled() -> None:
    x = tone(250.0, 10.0, 2.0)
    pre, out = run(250.0, x)
    assert pre.delay_s == 0.0
    assert pre.ready(7) == 8
    assert pre.source_position(7) == 7.0
    np.testing.assert_array_equal(out.signal, out.filtered)


def test_mains_are_notched_and_notches_above_nyquist_skipped() -> None:
    for hz in (50.0, 60.0):
        _, out = run(250.0, tone(250.0, hz, 10.0))
        assert rms(out.signal[1500:]) < 0.1
    assert len(design(100.0, CONFIG)) == len(design(100.0, replace(CONFIG, line_hz=())))
    assert len(design(125.0, CONFIG)) == len(design(125.0, replace(CONFIG, line_hz=()))) + 2


def test_an_offset_of_1e5_microvolts_does_not_ring() -> None:
    x = tone(250.0, 10.0, 4.0, uv=10.0)
    _, plain = run(250.0, x)
    _, lifted = run(250.0, x + np.float32(1e5))
    np.testing.assert_allclose(lifted.signal, plain.signal, atol=0.02)  # float32 steps at 1e5
    _, late = run(250.0, np.vstack([np.full((50, 1), np.nan), x + 1e5]).astype(np.float32))
    np.testing.assert_allclose(late.signal[50:], plain.signal, atol=0.02)
    assert np.all(late.signal[:50] == 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_what_is_not_finite_is_held_over(bad: float) -> None:
    x = tone(250.0, 10.0, 2.0) + np.float32(500.0)
    held = x.copy()
    x[100:103] = bad
    held[100:103] = held[99]
    _, got = run(250.0, x)
    _, expected = run(250.0, held)
    np.testing.assert_array_equal(got.signal, expected.signal)
    assert np.isfinite(got.scale).all()


def test_a_channel_of_nothing_but_nan_gives_zeros() -> None:
    _, out = run(160.0, np.full((400, 2), np.nan, dtype=np.float32))
    assert np.all(out.signal == 0.0)
    np.testing.assert_allclose(out.scale, FLOOR_UV)


def test_average_reference_leaves_bad_electrodes_out() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 4)).astype(np.float32)
    x[:, 2] *= 1e4
    pre = Preprocessor(250.0, 4, replace(CONFIG, reference="average"))
    good = np.array([True, True, False, True])
    out = pre.push(x, good)
    expected = out.filtered - out.filtered[:, good].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(out.signal, expected, atol=1e-3)
    none = Preprocessor(250.0, 4, replace(CONFIG, reference="average"))
    out = none.push(x, np.zeros(4, dtype=np.bool_))
    np.testing.assert_array_equal(out.signal, out.filtered)


def test_named_reference() -> None:
    x = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32)
    pre = Preprocessor(250.0, 3, replace(CONFIG, reference="m1, M2"), names=("C3", "M1", "M2"))
    out = pre.push(x, np.ones(3, dtype=np.bool_))
    expected = out.filtered - out.filtered[:, 1:].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(out.signal, expected, atol=1e-5)


def test_running_mean_and_scale_are_weighted_averages() -> None:
    rate, tau = 250.0, 2.0
    x = np.random.default_rng(2).normal(3.0, 20.0, size=(300, 1))
    mean, scale = RunningNorm(rate, tau, 1).push(x, np.ones(1, dtype=np.bool_))
    weight = np.exp(-np.arange(300)[::-1] / (rate * tau))
    m = np.average(x[:, 0], weights=weight)
    assert mean[-1, 0] == pytest.approx(m)
    assert scale[-1, 0] == pytest.approx(np.sqrt(np.average((x[:, 0] - m) ** 2, weights=weight)))
    assert scale[0, 0] == FLOOR_UV
    assert 10.0 < scale[24, 0] < 30.0  # sane after the first hop


def test_an_electrode_that_is_taken_back_is_normalised_afresh() -> None:
    rng = np.random.default_rng(3)
    norm = RunningNorm(250.0, 10.0, 2)
    good = np.array([True, True])
    norm.push(rng.normal(size=(250, 2)), good)
    norm.push(rng.normal(scale=[1.0, 1e4], size=(250, 2)), np.array([True, False]))
    _, scale = norm.push(rng.normal(size=(250, 2)), good)
    np.testing.assert_allclose(scale[-1], 1.0, rtol=0.2)


def test_reset_begins_anew() -> None:
    x = np.random.default_rng(4).normal(size=(700, 3)).astype(np.float32)
    pre, first = run(160.0, x)
    pre.reset()
    again = pre.push(x, np.ones(3, dtype=np.bool_))
    for name in ("signal", "mean", "scale", "filtered"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


def test_bridge_is_a_straight_line() -> None:
    last, first = np.array([0.0, 5.0, np.nan]), np.array([4.0, 5.0, 1.0])
    rows = bridge_rows(last.astype(np.float32), first.astype(np.float32), 3)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, [[1, 5, np.nan], [2, 5, np.nan], [3, 5, np.nan]])
    assert bridge_rows(last.astype(np.float32), first.astype(np.float32), 0).shape == (0, 3)


@pytest.mark.parametrize(
    ("rate", "change", "match"),
    [
        (0.0, {}, r"sampling rate of 0\.0 Hz"),
        (250.0, {"high_pass_hz": 0.0}, r"high_pass_hz is 0\.0 Hz"),
        (250.0, {"high_pass_hz": 50.0}, "below the low-pass, which is 45 Hz"),
        (250.0, {"line_hz": (0.0,)}, r"line_hz holds 0\.0 Hz"),
        (250.0, {"low_pass_order": 0}, "orders of at least 1"),
        (250.0, {"rate_hz": -1.0}, r"rate_hz is -1\.0 Hz"),
        (250.0, {"ema_s": 0.0}, r"ema_s is 0\.0 s"),
        (250.0, {"reference": "M1,Cz"}, "'Cz', which is not recorded.*some of: C3, M1"),
        (250.0, {"reference": ","}, "names no electrode"),
    ],
)
def test_settings_that_cannot_be(rate: float, change: dict[str, object], match: str) -> None:
    with pytest.raises(BadInputError, match=match):
        Preprocessor(rate, 2, replace(CONFIG, **change), names=("C3", "M1"))  # type: ignore[arg-type]
