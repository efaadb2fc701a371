"""Edges of a photodiode's channel, on made-up rows."""

from __future__ import annotations

import numpy as np
import pytest

from rtbci.apps.photodiode import LightTiming, candidates, find_light
from rtbci.types import Channel, ChannelType

RATE, LIT_S = 250.0, 0.35


def rows(
    onsets: np.ndarray, delays: np.ndarray, *, dark: float, lit: float, noise: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Times and a channel that is lit a delay after each onset, for as long as a cue."""
    rng = np.random.default_rng(0)
    times = 100.0 + np.arange(round((onsets[-1] + 2.0 - 100.0) * RATE)) / RATE
    values = np.full(len(times), dark)
    for start in onsets + delays:
        values[(times >= start) & (times < start + LIT_S)] = lit
    return times, values + noise * rng.standard_normal(len(times))


@pytest.mark.parametrize(("dark", "lit", "noise"), [(90, 700, 6.0), (1, 0, 0.0), (0, -3e4, 900.0)])
def test_edges_are_found_to_a_row(dark: float, lit: float, noise: float) -> None:
    rng = np.random.default_rng(1)
    onsets = 101.0 + np.cumsum(rng.uniform(0.9, 1.1, 60))
    delays = rng.normal(0.021, 0.004, 60)
    times, light = rows(onsets, delays, dark=dark, lit=lit, noise=noise)
    hum = 40 * np.sin(2 * np.pi * 50 * times)
    found = find_light(times, np.column_stack([hum, light]), onsets, LIT_S, RATE)
    assert found is not None
    column, measured = found
    assert column == 1
    assert np.all(np.isfinite(measured))
    assert np.max(np.abs(measured - delays)) < 1 / RATE
    assert abs(np.mean(measured - delays)) < 0.2 / RATE  # half way between rows: no bias


def test_a_channel_that_does_not_follow_is_none() -> None:
    onsets = 101.0 + np.arange(40.0)
    times, light = rows(onsets, np.zeros(40), dark=0, lit=1)
    rng = np.random.default_rng(2)
    others = np.column_stack([rng.standard_normal(len(times)), np.zeros(len(times))])
    assert find_light(times, others, onsets, LIT_S, RATE) is None
    shuffled = onsets + rng.uniform(0.3, 0.7, 40)
    assert find_light(times, light[:, None], shuffled, LIT_S, RATE) is None


def test_an_edge_in_a_gap_is_not_known() -> None:
    onsets = 101.0 + np.arange(20.0)
    times, light = rows(onsets, np.full(20, 0.03), dark=0, lit=1)
    kept = ~((times > onsets[3]) & (times < onsets[3] + 0.05))
    found = find_light(times[kept], light[kept, None], onsets, LIT_S, RATE)
    assert found is not None
    assert np.flatnonzero(np.isnan(found[1])).tolist() == [3]


def timing(delays: np.ndarray) -> LightTiming:
    return LightTiming("ANALOG1", 50, RATE, 1 / 60, delays)


def test_what_it_means_is_said() -> None:
    rng = np.random.default_rng(3)
    steady = timing(rng.normal(0.025, 0.003, 50))
    lines = steady.lines()
    assert lines[0].startswith("50 of 50 cues seen")
    assert sum(int(line.rsplit(maxsplit=1)[1]) for line in lines if "…" in line) == 50
    assert "steady within a frame" in lines[-1]
    assert max(map(len, lines[:-1])) <= 100
    assert "scatters over" in timing(rng.uniform(0.0, 0.08, 50)).verdict()
    assert "before the onset" in timing(rng.normal(-0.02, 0.002, 50)).verdict()
    assert steady.to_dict()["delay_ms"]["p50"] == pytest.approx(25, abs=1.5)


def test_electrodes_and_motion_are_no_candidates() -> None:
    kinds = (ChannelType.EEG, ChannelType.ACCEL, ChannelType.MISC, ChannelType.TRIG)
    channels = [Channel(kind.value, kind) for kind in kinds]
    assert candidates(channels) == [2, 3]
