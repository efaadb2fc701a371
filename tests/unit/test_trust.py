"""How far a session trusts the network: as far as its past says, and no further."""

from __future__ import annotations

import numpy as np
import pytest

from rtbci.models.trust import Trust
from rtbci.tick import Tick
from rtbci.types import BoolArray, FloatArray

HORIZONS, HOP, BINS, N = 50, 5, 5, 3
RNG = np.random.default_rng(0)
SIGNAL = RNG.standard_normal((4000, N)).astype(np.float32) * 10
ALL = np.ones(N, dtype=np.bool_)


def tick(index: int, good: BoolArray = ALL) -> Tick:
    history = SIGNAL[: 100 + index * HOP]
    return Tick(index, index, history, np.zeros(N, np.float32), np.full(N, 10, np.float32), good)


def future(index: int) -> FloatArray:
    return SIGNAL[100 + index * HOP :][:HORIZONS]


def play(trust: Trust, tokens: int, error: list[float], ar_error: float = 5.0) -> FloatArray:
    """Forecasts with this much error on each electrode; gives the last published one's error."""
    rng = np.random.default_rng(1)
    for index in range(tokens):
        now = tick(index)
        trust.learn(now)
        noise = rng.standard_normal((HORIZONS, N)).astype(np.float32)
        network = future(index) + noise * np.array(error, np.float32)
        ar = future(index) + rng.standard_normal((HORIZONS, N)).astype(np.float32) * ar_error
        mixed = trust.mix(now, network, ar.astype(np.float32))
    return mixed - future(tokens - 1)


def test_a_better_network_is_trusted_and_a_worse_one_is_not() -> None:
    trust = Trust(HORIZONS, N, HOP, BINS)
    play(trust, 400, [1.0, 5.0, 50.0])
    weights = trust.weights().mean(axis=0)
    # Independent errors a and b stack best with w = b² / (a² + b²).
    np.testing.assert_allclose(weights, [25 / 26, 0.5, 25 / 2525], atol=0.06)


def test_the_mixture_is_at_least_as_good_as_either() -> None:
    trust = Trust(HORIZONS, N, HOP, BINS)
    error = play(trust, 400, [1.0, 5.0, 50.0]).std(axis=0)
    assert np.all(error < [1.3, 5.0, 6.0])


def test_without_evidence_the_network_stands() -> None:
    trust = Trust(HORIZONS, N, HOP, BINS)
    assert (trust.weights() == 1.0).all()
    network = RNG.standard_normal((HORIZONS, N)).astype(np.float32)
    ar = np.full((HORIZONS, N), np.nan, np.float32)
    np.testing.assert_array_equal(trust.mix(tick(0), network, ar), network)


def test_weights_stay_between_none_and_all() -> None:
    trust = Trust(HORIZONS, N, HOP, BINS)
    for index in range(60):
        now = tick(index)
        trust.learn(now)
        ar = future(index) + 1
        offset = np.array([3, -3, 0.5], np.float32)
        trust.mix(now, future(index) + offset, ar.astype(np.float32))
    weights = trust.weights()
    assert weights.min() >= 0
    assert weights.max() <= 1


def test_an_electrode_that_comes_back_begins_anew_and_the_others_do_not() -> None:
    trust = Trust(HORIZONS, N, HOP, BINS)
    play(trust, 200, [50.0, 50.0, 50.0])
    before = trust.weights()
    trust.reset(np.array([False, True, False]))
    after = trust.weights()
    assert (after[:, 1] == 1.0).all()
    np.testing.assert_array_equal(after[:, [0, 2]], before[:, [0, 2]])
    trust.reset()
    assert (trust.weights() == 1.0).all()
    assert not trust.state.pending


def test_the_future_is_not_looked_at() -> None:
    seen = []
    for change in (0.0, 1e3):
        trust = Trust(HORIZONS, N, HOP, BINS)
        play(trust, 100, [1.0, 5.0, 50.0])
        now = tick(100)
        longer = Tick(100, 100, now.history.copy(), now.mean, now.scale, ALL)
        trust.learn(longer)
        seen.append(trust.weights())
        SIGNAL[100 + 100 * HOP :] += np.float32(change)
    SIGNAL[100 + 100 * HOP :] -= np.float32(1e3)
    np.testing.assert_array_equal(seen[0], seen[1])


@pytest.mark.parametrize("bins", [1, 7, 20])
def test_any_number_of_bins_covers_all_horizons(bins: int) -> None:
    trust = Trust(250, N, 25, bins)
    ones = np.ones((250, N), np.float32)
    assert trust.mix(tick(0), ones, ones).shape == (250, N)
