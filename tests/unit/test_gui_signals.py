"""What the signals panel shows: causal, the same however rows come, gaps left as gaps."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scenes
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import sosfilt

from rtbci.apps.gui.view_models.display import (
    BANDS,
    LINES_HZ,
    Band,
    DisplayFilter,
    DisplaySettings,
    sections,
    shown_columns,
)
from rtbci.apps.gui.view_models.signals import SignalsModel, breaks
from rtbci.apps.gui.view_models.update import Update
from rtbci.config import PreprocessConfig
from rtbci.live.view import Rows
from rtbci.preprocess import Preprocessor
from rtbci.types import Channel, ChannelType

RATE = 250.0
NAMES = ("C3", "Cz", "C4")


def noise(n: int, n_channels: int, seed: int = 0) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, n_channels)) * 20 + 1e4).astype(np.float32)


def update(
    start: int,
    data: np.ndarray[Any, Any],
    times: np.ndarray[Any, Any],
    *events: dict[str, Any],
    status: dict[str, Any] | None = None,
) -> Update:
    nothing = Rows(0, np.zeros((0, len(NAMES)), np.float32), np.zeros(0))
    rows = Rows(start, data, times)
    return Update(float("nan"), rows, nothing, events=events, status=status, begun=1000.0)


def model(**changed: Any) -> SignalsModel:
    channels = (
        *(Channel(name) for name in NAMES),
        Channel("EOG", ChannelType.EOG),
        Channel("TRIG", ChannelType.TRIG, ""),
    )
    info = replace(scenes.view_info(electrodes=NAMES), channels=channels)
    return SignalsModel(replace(info, **changed))


def feed(signals: SignalsModel, data: np.ndarray[Any, Any], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(data)]
    for start, stop in itertools.pairwise(edges):
        times = 1000.0 + np.arange(start, stop) / RATE
        signals.take(update(start, data[start:stop], times))


@given(
    cuts=st.lists(st.integers(0, 1000), max_size=12),
    band=st.sampled_from(BANDS),
    line=st.sampled_from(LINES_HZ),
    average=st.booleans(),
)
def test_the_display_does_not_depend_on_how_rows_come(
    cuts: list[int], band: Band, line: float | None, average: bool
) -> None:
    data = noise(1000, 5)
    settings = DisplaySettings(band=band, line_hz=line, average=average)
    whole, pieces = model(), model()
    for signals in (whole, pieces):
        signals.set(settings)
    feed(whole, data, [])
    feed(pieces, data, cuts)
    np.testing.assert_array_equal(
        whole.between(0, 2000).data.view(np.uint32), pieces.between(0, 2000).data.view(np.uint32)
    )


def test_only_signals_are_drawn_electrodes_first() -> None:
    channels = (
        Channel("ACC", ChannelType.ACCEL, "g"),
        Channel("EOG", ChannelType.EOG),
        Channel("C3"),
    )
    assert shown_columns(channels) == (2, 1)


@pytest.mark.parametrize("band", BANDS)
def test_the_future_never_reaches_the_screen(band: Band) -> None:
    data = noise(600, 5)
    other = data.copy()
    other[400:] += 500
    seen = []
    for rows in (data, other):
        shown = DisplayFilter(RATE, 5, 3, DisplaySettings(band=band, average=True))
        seen.append(shown.push(rows, np.ones(3, bool))[:400])
    np.testing.assert_array_equal(seen[0], seen[1])


def test_other_filters_are_put_on_what_is_on_screen() -> None:
    data = noise(1500, 5)
    settings = DisplaySettings(band=BANDS[2], line_hz=50.0, average=True)
    late, early = model(), model()
    early.set(settings)
    for signals in (late, early):
        feed(signals, data, [700])
    before = late.version
    late.set(settings)
    assert late.version == before + 1
    np.testing.assert_array_equal(late.between(0, 2000).data, early.between(0, 2000).data)
    late.set(replace(settings, scale_uv=20.0, sweep=True))
    assert late.version == before + 1, "what was drawn is as good as before"


def test_the_models_band_is_what_the_model_sees() -> None:
    """So a forecast joins the signal without a seam."""
    data = noise(2000, 3)
    shown = DisplayFilter(RATE, 3, 3, DisplaySettings()).push(data, np.ones(3, bool))
    pipeline = Preprocessor(RATE, 3, PreprocessConfig())
    filtered = pipeline.push(data, np.ones(3, dtype=np.bool_)).filtered
    np.testing.assert_allclose(shown, filtered, atol=1e-3)


def test_filters_begin_anew_behind_a_long_gap() -> None:
    data = noise(1000, 5)
    data[500:] += 3e4  # the electrode has drifted meanwhile
    times = 1000.0 + np.arange(1000) / RATE
    times[500:] += 5.0
    signals = model()
    signals.take(update(0, data[:600], times[:600]))
    signals.take(update(600, data[600:], times[600:]))
    after = signals.between(times[500], times[-1]).data[1:]
    alone = DisplayFilter(RATE, 4, 3, DisplaySettings()).push(data[500:, :4], np.ones(3, bool))
    np.testing.assert_array_equal(after, alone)
    assert not breaks(times, RATE)[499]
    assert breaks(times, RATE)[:499].all()


def test_marks_and_reasons_come_from_the_events() -> None:
    signals = model()
    times = 1000.0 + np.arange(10) / RATE
    signals.take(
        update(
            0,
            noise(10, 5),
            times,
            {"event": "marker", "t_s": 0.5, "label": "left_hand", "origin": "cue"},
            {"event": "gap", "start_s": 1.0, "length_s": 0.24, "cause": "lost frames"},
            {"event": "channel", "channel": "Cz", "reason": "railed: 99 % at full scale"},
        )
    )
    assert [(m.time, m.label) for m in signals.markers] == [(1000.5, "left_hand")]
    assert [(g.start, g.length) for g in signals.gaps] == [(1001.0, 0.24)]
    assert signals.left_out == {"Cz": "railed: 99 % at full scale"}
    np.testing.assert_array_equal(signals.good, [True, False, True])
    back = {"event": "channel", "channel": "Cz", "reason": ""}
    signals.take(update(10, noise(0, 5), times[:0], back))
    assert signals.left_out == {}


def test_what_is_left_out_is_not_part_of_the_reference() -> None:
    data = noise(500, 3)
    data[:, 1] += 1e5 * np.sin(np.arange(500))
    good = np.array([True, False, True])
    settings = DisplaySettings(average=True)
    shown = DisplayFilter(RATE, 3, 3, settings).push(data, good)
    plain = DisplayFilter(RATE, 3, 3, DisplaySettings()).push(data, good).astype(np.float64)
    np.testing.assert_allclose(
        shown[:, 0], plain[:, 0] - (plain[:, 0] + plain[:, 2]) / 2, atol=1e-2
    )


def test_a_channels_own_scale_follows_its_size() -> None:
    data = noise(1500, 5)
    data[:, 2] = (data[:, 2] - 1e4) * 10
    signals = model()
    feed(signals, data, [])
    scales = signals.own_scales()
    assert 6 < scales[2] / scales[0] < 14
    assert 4 * 15 < scales[0] < 8 * 20


@pytest.mark.parametrize(("sd", "scale"), [(15.0, 50.0), (60.0, 200.0), (0.1, 10.0)])
def test_the_common_scale_suits_the_signal(sd: float, scale: float) -> None:
    data = noise(1500, 5)
    data = ((data - 1e4) / 20 * sd).astype(np.float32)
    signals = model()
    assert signals.common_scale() is None
    feed(signals, data, [])
    assert signals.common_scale() == scale


def test_a_notch_takes_the_mains_out() -> None:
    times = np.arange(2000) / RATE
    wave = np.sin(2 * np.pi * 50 * times)
    sos = sections(RATE, DisplaySettings(band=BANDS[4], line_hz=50.0))
    assert np.abs(sosfilt(sos, wave)[-500:]).max() < 0.02
    assert len(sections(90.0, DisplaySettings(band=BANDS[1], line_hz=50.0))) < len(
        sections(250.0, DisplaySettings(band=BANDS[1], line_hz=50.0))
    ), "at 90 Hz there is nothing at 50 Hz to take out"
