"""Forecast skill: exact sums, only on samples that came, only where nothing was left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rtbci.skill import BINS_MS, SkillTracker, bin_edges
from rtbci.types import BoolArray, FloatArray

RATE, HORIZONS, HOP = 250.0, 250, 25


def feed(
    tracker: SkillTracker,
    signal: FloatArray,
    forecasts: Callable[[int], dict[str, FloatArray]],
    good: Callable[[int], BoolArray] | None = None,
) -> None:
    """Run tokens over a signal; ``forecasts(end)`` gives what is expected after row ``end``."""
    n = signal.shape[1]
    for token, end in enumerate(range(HOP, len(signal) + 1, HOP)):
        mask = np.ones(n, dtype=bool) if good is None else good(token)
        tracker.observe(token, signal[:end], mask)
        tracker.expect(token, forecasts(end), mask)


def test_bins_hold_the_horizons_up_to_their_end() -> None:
    assert bin_edges(250.0, 250).tolist() == [0, 12, 25, 50, 125, 250]
    assert bin_edges(160.0, 160).tolist() == [0, 8, 16, 32, 80, 160]
    assert bin_edges(250.0, 100).tolist() == [0, 12, 25, 50, 100, 100]


def test_a_perfect_forecast_has_no_error_and_the_mean_has_one() -> None:
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((2000, 2)).astype(np.float32)
    padded = np.concatenate([signal, np.zeros((HORIZONS, 2), np.float32)])
    tracker = SkillTracker(RATE, HORIZONS, 2, HOP)
    feed(
        tracker,
        signal,
        lambda end: {
            "model": padded[end : end + HORIZONS],
            "ar": np.zeros((HORIZONS, 2), np.float32),
        },
    )
    for row in tracker.table():
        assert row["model"] == 0.0
        assert row["ar"] == pytest.approx(1.0, abs=0.02)
        assert row["ridge"] is None


def test_the_table_equals_a_direct_count() -> None:
    rng = np.random.default_rng(1)
    signal = (rng.standard_normal((1500, 3)) * [1, 10, 100]).astype(np.float32)
    tracker = SkillTracker(RATE, HORIZONS, 3, HOP)
    feed(tracker, signal, lambda end: {"persistence": np.repeat(signal[end - 1 : end], 250, 0)})
    edges = bin_edges(RATE, HORIZONS)
    ends = [e for e in range(HOP, 1501, HOP) if e + HORIZONS <= 1500]
    for i, row in enumerate(tracker.table()):
        future = np.stack([signal[e + edges[i] : e + edges[i + 1]] for e in ends]).astype(float)
        held = np.stack([signal[e - 1 : e] for e in ends]).astype(float)
        error = ((future - held) ** 2).sum((0, 1))
        deviation = ((future - future.mean((0, 1))) ** 2).sum((0, 1))
        assert row["horizon_ms"] == list(BINS_MS[i])
        assert row["persistence"] == pytest.approx((error / deviation).mean(), abs=1e-4)


def test_an_electrode_left_out_in_between_does_not_count() -> None:
    signal = np.random.default_rng(2).standard_normal((1000, 2)).astype(np.float32)
    signal[400:500, 1] = 1e6

    def good(token: int) -> BoolArray:
        return np.array([True, not 15 <= token < 20])

    def zero(_: int) -> dict[str, FloatArray]:
        return {"ar": np.zeros((HORIZONS, 2), np.float32)}

    tracker = SkillTracker(RATE, HORIZONS, 2, HOP)
    feed(tracker, signal, zero, good)
    assert tracker.state.square[:, 1].max() < 1e5


def test_a_reset_drops_what_waits_and_keeps_what_was_counted() -> None:
    signal = np.random.default_rng(3).standard_normal((600, 1)).astype(np.float32)
    tracker = SkillTracker(RATE, HORIZONS, 1, HOP)
    feed(tracker, signal, lambda _: {"ar": np.zeros((HORIZONS, 1), np.float32)})
    before = tracker.table()
    tracker.reset()
    tracker.observe(1000, signal, np.ones(1, dtype=bool))
    assert tracker.table() == before


def test_nothing_scored_is_null() -> None:
    rows = SkillTracker(RATE, HORIZONS, 2, HOP).table()
    assert [r["horizon_ms"] for r in rows] == [list(b) for b in BINS_MS]
    assert all(r[m] is None for r in rows for m in ("model", "ar", "ridge", "persistence"))
