"""Intervals around forecasts: what they hold, whatever the head said at first."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from rtbci.errors import BadInputError
from rtbci.models.intervals import LEVELS, Intervals
from rtbci.tick import Tick
from rtbci.types import BoolArray, FloatArray

HORIZONS, HOP, BINS, N = 50, 5, 5, 3
SCALE = 10.0
ALL = np.ones(N, dtype=np.bool_)
RIGHT = np.log(norm.ppf(0.5 + 0.5 * np.array(LEVELS))).astype(np.float32)
"""Half widths, in deviations, that are right for errors of one deviation."""


def signal(tokens: int) -> FloatArray:
    return np.random.default_rng(0).standard_normal((tokens * HOP + HORIZONS, N)).astype(np.float32)


def play(intervals: Intervals, x: FloatArray, said: float, good: BoolArray = ALL) -> FloatArray:
    """Forecast the mean of noise with widths ``said`` times too large; give shares held."""
    tokens = (len(x) - HORIZONS) // HOP
    levels = (*LEVELS, 0.7)
    held = np.zeros((len(levels), HORIZONS, N))
    widths = np.broadcast_to((RIGHT + np.log(said))[:, None, None], (2, HORIZONS, N))
    for index in range(tokens):
        history = x[: index * HOP]
        tick = Tick(
            index, index, history, np.zeros(N, np.float32), np.full(N, SCALE, np.float32), good
        )
        intervals.learn(tick)
        mean = np.zeros((HORIZONS, N), np.float32)
        intervals.put(tick, mean, widths.astype(np.float32))
        if index >= tokens // 2:
            future = x[index * HOP :][:HORIZONS]
            for i, level in enumerate(levels):
                low, high = intervals.interval(level)
                held[i] += (low <= future) & (future <= high)
    by_bin = held.reshape(len(levels), BINS, -1, N).mean(axis=2) / (tokens - tokens // 2)
    shares: FloatArray = by_bin.astype(np.float32)
    return shares


@pytest.mark.parametrize("said", [0.2, 1.0, 5.0])
def test_intervals_hold_what_they_say_whatever_the_head_said(said: float) -> None:
    intervals = Intervals(HORIZONS, N, HOP, BINS)
    held = play(intervals, signal(1200) * SCALE, said)
    np.testing.assert_allclose(held[0], 0.5, atol=0.05)
    np.testing.assert_allclose(held[1], 0.9, atol=0.03)
    np.testing.assert_allclose(held[2], 0.7, atol=0.05)


def test_an_electrode_that_is_left_out_learns_nothing() -> None:
    intervals = Intervals(HORIZONS, N, HOP, BINS)
    play(intervals, signal(100) * SCALE, 0.2, np.array([True, False, True]))
    assert (intervals.state.log_factor[:, :, 1] == 0).all()
    assert (intervals.state.log_factor[:, :, [0, 2]] > 0).all()


def test_a_new_segment_forgets() -> None:
    intervals = Intervals(HORIZONS, N, HOP, BINS)
    play(intervals, signal(100) * SCALE, 0.2)
    intervals.reset(np.array([False, True, False]))
    assert (intervals.state.log_factor[:, :, 1] == 0).all()
    assert intervals.state.pending
    intervals.reset()
    assert (intervals.state.log_factor == 0).all()
    assert not intervals.state.pending


def test_a_wider_interval_holds_the_narrower_one() -> None:
    intervals = Intervals(HORIZONS, N, HOP, BINS)
    zeros, ones = np.zeros(N, np.float32), np.ones(N, np.float32)
    tick = Tick(0, 0, np.zeros((5, N), np.float32), zeros, ones, ALL)
    crossed = np.stack([np.ones((HORIZONS, N)), np.zeros((HORIZONS, N))]).astype(np.float32)
    intervals.put(tick, np.zeros((HORIZONS, N), np.float32), crossed)
    (low50, high50), (low90, high90) = intervals.interval(0.5), intervals.interval(0.9)
    assert (low90 <= low50).all()
    assert (high90 >= high50).all()


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 90.0])
def test_levels_are_shares(level: float) -> None:
    with pytest.raises(BadInputError, match="between 0 and 1"):
        Intervals(HORIZONS, N, HOP, BINS).interval(level)


def test_before_the_first_forecast_there_is_none() -> None:
    with pytest.raises(BadInputError, match="no forecast yet"):
        Intervals(HORIZONS, N, HOP, BINS).interval(0.9)
