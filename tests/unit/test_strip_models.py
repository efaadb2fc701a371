"""View models of the strip: spectra, latency, forecast error, quality, health, outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenes import Scene, view_info

from rtbci.apps.gui.view_models.health import HealthModel
from rtbci.apps.gui.view_models.latency import LatencyModel
from rtbci.apps.gui.view_models.outputs import read_outputs
from rtbci.apps.gui.view_models.quality import Grade, QualityModel, line_noise
from rtbci.apps.gui.view_models.skill import SkillModel
from rtbci.apps.gui.view_models.spectrum import SpectrumModel
from rtbci.types import Channel, ChannelType

RATE = 250.0
INFO = view_info(electrodes=("C3", "C4"))


def status(token: int = 100, **changed: Any) -> dict[str, Any]:
    *_, last = Scene(view_info()).updates(token / 10)
    assert last.status is not None
    return last.status | changed


def test_a_sine_stands_where_it_belongs_with_its_power() -> None:
    """A sine of amplitude A has power A² / 2, whatever the window."""
    model = SpectrumModel(INFO)
    t = np.arange(round(30 * RATE)) / RATE
    data = np.stack([8 * np.sin(2 * np.pi * 10 * t), 2 * np.sin(2 * np.pi * 20 * t)], axis=1)
    model.take_rows(0, data.astype(np.float32))
    levels = model.psd()
    assert levels is not None
    assert model.freqs[np.argmax(levels[:, 0])] == 10.0
    assert model.freqs[np.argmax(levels[:, 1])] == 20.0
    power = (10 ** (levels / 10)).sum(axis=0) * (model.freqs[1] - model.freqs[0])
    np.testing.assert_allclose(power, [32.0, 2.0], rtol=0.02)
    alpha, beta = model.band_power((8.0, 13.0)), model.band_power((13.0, 30.0))
    assert alpha is not None
    assert beta is not None
    assert alpha[0] > beta[0] + 30
    assert beta[1] > alpha[1] + 20


@pytest.mark.parametrize("chunk", [1, 7, 250, 5000])
def test_chunks_do_not_matter(chunk: int) -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(5000, 2)).astype(np.float32)
    whole, parts = SpectrumModel(INFO), SpectrumModel(INFO)
    whole.take_rows(0, data)
    for first in range(0, len(data), chunk):
        parts.take_rows(first, data[first : first + chunk])
    np.testing.assert_array_equal(whole.state.power, parts.state.power)
    np.testing.assert_array_equal(whole.state.times, parts.state.times)


@pytest.mark.parametrize("missing", [0, 400])
def test_no_segment_reaches_over_a_break(missing: int) -> None:
    model = SpectrumModel(INFO)
    loud = np.full((700, 2), 500.0, dtype=np.float32)
    model.take_rows(0, loud)
    rng = np.random.default_rng(1)
    quiet = rng.normal(size=(700, 2)).astype(np.float32)
    breaks = (700,) if not missing else ()
    before = model.state.count
    model.take_rows(700 + missing, quiet, breaks)
    made = model.state.times[before : model.state.count]
    assert len(made) == 2
    assert made[0] == 700 + missing + 500
    assert model.state.power[before : model.state.count].max() < 1.0


def test_the_spectrogram_is_in_order_once_the_ring_is_full() -> None:
    model = SpectrumModel(INFO)
    t = np.arange(round(100 * RATE)) / RATE
    data = np.stack([t * np.sin(2 * np.pi * 10 * t)] * 2, axis=1).astype(np.float32)
    model.take_rows(0, data)
    found = model.spectrogram("C4")
    assert found is not None
    ends, density = found
    assert ends[-1] == 0
    np.testing.assert_allclose(np.diff(ends), 0.5)
    at = int(np.argmin(np.abs(model.freqs - 10)))
    assert np.all(np.diff(density[:, at]) > 0), "it grows all the time"
    assert model.seconds() == 20.0


def test_every_token_has_its_latency_once() -> None:
    model = LatencyModel(INFO, deadline_ms=50.0)
    assert model.take_status(status(latency_last={"count": 3, "ms": [9.0, 10.0, 11.0]})) == 3
    assert model.take_status(status(latency_last={"count": 3, "ms": [9.0, 10.0, 11.0]})) == 0
    assert model.take_status(status(latency_last={"count": 5, "ms": [10.0, 11.0, 80.0, 12.0]})) == 2
    assert list(model.state.bars) == [9.0, 10.0, 11.0, 80.0, 12.0]
    assert model.state.late == 1


def late(model: LatencyModel) -> bool:
    return model.missed


def test_a_deadline_that_was_missed_is_said() -> None:
    model = LatencyModel(INFO)
    assert not late(model)
    model.take_status(status())
    assert not late(model)
    slow = status()
    slow["latency_ms"]["max"] = 140.0
    model.take_status(slow)
    assert late(model)
    assert [s.name for s in model.stages()] == ["driver", "queue", "compute"]


def test_methods_that_a_session_does_not_have_are_no_bars() -> None:
    model = SkillModel(view_info())
    rows = status()["skill"]
    for update in Scene(view_info()).updates(1.0):
        model.take(update)
    every = len(model.bars.methods)
    assert every == 4
    for row in rows:
        row["ridge"] = None
    *_, last = Scene(view_info()).updates(0.1)
    assert last.status is not None
    last.status["skill"] = rows
    model.take(last)
    assert list(model.bars.methods) == ["model", "ar", "persistence"]
    assert [len(errors) for errors in model.bars.errors] == [3] * 5


def test_line_noise_has_its_amplitude() -> None:
    t = np.arange(250) / RATE
    rng = np.random.default_rng(2)
    data = rng.normal(size=(250, 2))
    data[:, 1] += 40 * np.sin(2 * np.pi * 60 * t)
    found = line_noise(data.astype(np.float32), RATE)
    assert found[1, 1] == pytest.approx(40, rel=0.02)
    assert found[0].max() < 1.5
    assert np.isnan(line_noise(data[:100].astype(np.float32), RATE)).all()
    assert np.isnan(line_noise(data.astype(np.float32), 125.0)[1]).all(), "60 Hz is too fast"


def test_electrodes_are_graded_and_a_column_keeps_the_worst() -> None:
    info = view_info()
    model = QualityModel(info)
    for update in Scene(info).updates(12.0):
        model.take(update)
    grades = {q.name: q.grade for q in model.state.now}
    assert grades["Fp2"] is Grade.FAIR
    assert grades["T7"] is Grade.OUT
    assert grades["C3"] is Grade.GOOD
    assert next(q.reason for q in model.state.now if q.name == "T7") == "noisy: 412 µV"
    strip = model.strip()
    assert strip.shape == (16, 6)
    out = strip[info.electrodes.index("T7")]
    assert list(out == Grade.OUT) == [False, False, False, True, True, True]


def test_health_knows_the_rate_and_says_what_needs_a_hand(tmp_path: Path) -> None:
    room = 5e9
    model = HealthModel(view_info(recording=str(tmp_path)), free=lambda _: int(room))
    assert model.lines() == ()
    for update in Scene(view_info()).updates(20.0):
        model.take(update)
    lines = {line.key: line for line in model.lines()}
    assert lines["rate"].values["measured"] == pytest.approx(250.0)
    assert lines["rate"].level == "good"
    assert lines["gaps"].level == "fair"
    assert lines["latency"].level == "good"
    assert lines["disk"].values["hours"] == pytest.approx(room / (250 * 84) / 3600)
    assert model.worst == "fair"
    bad = status(200, backlog_tokens=30, t_s=40.0, samples=5000)
    bad["latency_ms"] = bad["latency_ms"] | {"max": 300.0}
    room = 1e6
    model.take_status(bad)
    lines = {line.key: line for line in model.lines()}
    assert {k for k, line in lines.items() if line.level == "bad"} == {
        "rate",
        "latency",
        "tokens",
        "disk",
    }


def test_a_board_that_knows_its_battery_says_so() -> None:
    plain = view_info()
    channels = (*plain.channels[:-1], Channel("BATTERY", ChannelType.MISC, "n/a"))
    model = HealthModel(view_info(channels=channels))
    *_, last = Scene(plain).updates(0.1)
    last.rows.data[-1, -1] = 12.0
    model.take(last)
    line = next(line for line in model.lines() if line.key == "battery")
    assert (line.values["value"], line.level) == (12.0, "fair")


@pytest.mark.parametrize(
    ("changed", "states"),
    [
        ({}, ["sends", "sends"]),
        ({"stopped": True}, ["stopped", "stopped"]),
        ({"decode": {"calibrated": False}}, ["uncalibrated", "uncalibrated"]),
        ({"sinks": []}, ["off", "off"]),
        ({"sinks": [{"kind": "lsl", "where": "rtbci-decode", "heard": False}]}, ["waits", "off"]),
    ],
)
def test_outputs_say_how_they_stand(changed: dict[str, Any], states: list[str]) -> None:
    found = read_outputs(status(**changed))
    assert [line.state for line in found.lines] == states
    assert found.stopped is bool(changed.get("stopped"))
