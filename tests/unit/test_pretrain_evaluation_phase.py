"""Phase of mu: right on a clean rhythm, silent without one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from rtbci.models.pretrain.evaluation.moments import CausalSignal, Moments
from rtbci.models.pretrain.evaluation.phase import (
    AHEAD_MS,
    EDUCATED,
    YULE_WALKER,
    MuPhase,
    PhaseSums,
    mu_phase,
    mu_ratio,
    stands_out,
)
from rtbci.models.pretrain.evaluation.phase_methods import (
    EducatedPrediction,
    yule_walker,
    yule_walker_phase,
)

RATE = 250.0
MU = (8.0, 13.0)
AHEAD = np.array([5, 12, 25, 37])


def rhythm(seconds: float, hz: float = 10.0, noise: float = 0.3) -> npt.NDArray[np.float64]:
    """One column: a sine that begins at its peak, and white noise."""
    n = round(seconds * RATE)
    x = np.cos(2 * np.pi * hz * np.arange(n) / RATE)
    return np.asarray(x + noise * np.random.default_rng(0).standard_normal(n))[:, None]


def apart(one: npt.NDArray[np.float64], other: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    return np.asarray(np.degrees(np.abs(np.angle(np.exp(1j * (one - other))))))


def test_the_truth_is_the_phase_of_the_rhythm() -> None:
    phase = mu_phase(rhythm(20.0), RATE)[1000:-1000, 0]
    known = 2 * np.pi * 10 * np.arange(1000, 4000) / RATE
    assert apart(phase, known).mean() < 5.0


def test_mu_stands_out_only_where_it_is() -> None:
    rng = np.random.default_rng(1)
    white = rng.standard_normal((8, 2500, 1))
    pink = white.cumsum(axis=1)
    assert not stands_out(white, RATE).any()
    assert not stands_out(pink, RATE).any(), "a spectrum that falls is no rhythm"
    assert np.abs(10 * np.log10(mu_ratio(pink, RATE))).mean() < 2.0
    assert stands_out(white + 2 * rhythm(10.0, 10.5)[None], RATE).all()


def test_yule_walker_finds_the_coefficients_of_an_autoregression() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 20_000))
    for t in range(2, x.shape[1]):
        x[:, t] += 1.5 * x[:, t - 1] - 0.8 * x[:, t - 2]
    np.testing.assert_allclose(yule_walker(x, 2), [[1.5, -0.8]] * 3, atol=0.03)


@pytest.mark.parametrize("hz", [9.0, 10.0, 12.0])
def test_both_methods_of_stimulation_follow_a_clean_rhythm(hz: float) -> None:
    signal = rhythm(80.0, hz)
    rows = np.arange(round(62 * RATE), len(signal) - 250, 61)
    past = np.stack([signal[row - 1000 : row, 0] for row in rows])
    known = 2 * np.pi * hz * ((rows - 1)[:, None] + AHEAD) / RATE
    taught = EducatedPrediction.train(signal[: round(60 * RATE)], RATE, MU)
    assert taught.period[0] == pytest.approx(RATE / hz, rel=0.03)
    found = {
        YULE_WALKER: yule_walker_phase(past, RATE, MU, AHEAD),
        EDUCATED: taught.phase(past, np.zeros(len(rows), np.int64), AHEAD),
    }
    for method, phase in found.items():
        off = apart(phase, known).mean(axis=0)
        assert (off < 30.0).all(), f"{method}: {off}"


def moments_on(
    signal: npt.NDArray[np.float64], forecasts: dict[str, npt.NDArray[np.float64]]
) -> tuple[CausalSignal, Moments]:
    x = signal.astype(np.float32)
    rows = np.arange(round(62 * RATE), len(x) - 250, 250)
    future = np.stack([x[row : row + 250] for row in rows])
    usable = np.ones((len(rows), x.shape[1]), np.bool_)
    electrodes = ("C3", "Fz")[: x.shape[1]]
    return CausalSignal("r", "s", electrodes, RATE, x, x, x), Moments(
        rows=rows,
        forecasts={
            "ar": future,
            **{m: (f * np.ones_like(future)).astype(np.float32) for m, f in forecasts.items()},
        },
        spreads={},
        quantiles=None,
        future=future,
        usable=usable,
        artefact=~usable,
    )


def test_a_perfect_forecast_has_the_true_phase_and_a_flat_one_does_not() -> None:
    signal = np.concatenate([rhythm(75.0, noise=1.0), rhythm(75.0, noise=1.0)], axis=1)
    stretch, some = moments_on(signal, {"model": np.zeros(1)})
    sums = PhaseSums()
    MuPhase(stretch, 60.0).add(some, sums)
    assert sums.moments == sums.all_moments == len(some.rows), "central electrodes alone"
    off = {m: x / sums.moments for m, x in sums.off.items()}
    assert len(off["ar"]) == len(AHEAD_MS)
    assert (off["ar"] < 6.0).all()
    assert off["model"][-1] > 25.0 > off["ar"][-1]
    assert set(off) == {"ar", "model", YULE_WALKER, EDUCATED}


def test_noise_is_asked_for_no_phase() -> None:
    noise = np.random.default_rng(0).standard_normal((round(75 * RATE), 1))
    stretch, some = moments_on(noise, {})
    sums = PhaseSums()
    MuPhase(stretch, 60.0).add(some, sums)
    assert (sums.moments, sums.off) == (0, {})
    assert sums.all_moments == len(some.rows)


def test_what_comes_after_a_moment_does_not_gate_it() -> None:
    """A rhythm that begins after now is not seen by the gate."""
    silent = np.random.default_rng(0).standard_normal((round(75 * RATE), 1))
    late = silent.copy()
    late[round(74 * RATE) :] += 50 * rhythm(1.0, noise=0.0)
    counts = []
    for signal in (silent, late):
        stretch, some = moments_on(signal, {})
        sums = PhaseSums()
        MuPhase(stretch, 60.0).add(some, sums)
        counts.append(sums.moments)
    assert counts == [0, 0]
