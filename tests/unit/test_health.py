"""Channel health: every reason, its words, recovery, and a real recording with railed channels."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from rtbci.config import HealthConfig, PreprocessConfig
from rtbci.errors import BadInputError
from rtbci.health import HealthMonitor
from rtbci.preprocess import Preprocessor
from rtbci.types import Channel, ChannelHealth, ChannelType, StreamInfo

RATE = 250.0
HOP = 25
FULL_SCALE = 187500.0


def stream(n: int, full_scale: float | None = None) -> StreamInfo:
    channels = [Channel("ACC", ChannelType.ACCEL, "g")]
    channels += [Channel(f"E{i}", full_scale=full_scale) for i in range(n)]
    return StreamInfo("test", "simulator", RATE, tuple(channels))


def eeg(seconds: float, n: int, seed: int = 0) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (rng.normal(scale=20.0, size=(round(seconds * RATE), n)) + 1e5).astype(np.float32)


def watch(
    x: npt.NDArray[np.float32], full_scale: float | None = None
) -> tuple[HealthMonitor, list[ChannelHealth]]:
    """Judge ``x`` hop by hop, behind the real filters."""
    n = x.shape[1]
    monitor = HealthMonitor(stream(n, full_scale), HealthConfig())
    pre = Preprocessor(RATE, n, PreprocessConfig())
    good = np.ones(n, dtype=np.bool_)
    changes: list[ChannelHealth] = []
    for at in range(0, len(x), HOP):
        rows = x[at : at + HOP]
        monitor.push(rows, pre.push(rows, good).filtered)
        good, new = monitor.judge(at + len(rows) - 1)
        changes += new
    return monitor, changes


def test_good_channels_with_an_offset_of_1e5_stay_in() -> None:
    monitor, changes = watch(eeg(5.0, 4), FULL_SCALE)
    assert changes == []
    assert monitor.good.all()
    assert watch(eeg(5.0, 4))[1] == []


def test_each_reason_in_words() -> None:
    x = eeg(3.0, 6)
    x[:, 1] = 1234.5
    x[:, 2] = FULL_SCALE
    x[:, 3] += np.random.default_rng(1).normal(scale=600.0, size=len(x)).astype(np.float32)
    x[400:403, 4] = np.nan
    x[500, 5] = np.inf
    monitor, changes = watch(x, FULL_SCALE)
    said = {c.channel: c.reason for c in changes}
    assert said["E1"] == "flat: 0.0 µV"
    assert said["E2"] == "railed: 100 % at full scale"
    assert said["E3"].startswith("noisy: ")
    assert said["E4"] == "not a number: 3 samples"
    assert said["E5"] == "not a number: 1 sample"
    assert "E0" not in said
    assert monitor.good.tolist() == [True, False, False, False, False, False]
    assert monitor.reasons[0] == ""
    assert monitor.reasons[2] == "railed: 100 % at full scale"


@pytest.mark.parametrize("full_scale", [FULL_SCALE, None])
def test_clipping_at_both_rails(full_scale: float | None) -> None:
    t = np.arange(750) / RATE
    wave = np.clip(3e5 * np.sin(2 * np.pi * 10 * t), -FULL_SCALE, FULL_SCALE)
    _, changes = watch(wave[:, None].astype(np.float32), full_scale)
    assert changes[0].reason.startswith("railed: ")


def test_coarse_steps_are_not_railed() -> None:
    """Without a known full scale a signal of few bits must not pass for a clipped one."""
    x = np.round(np.random.default_rng(2).normal(scale=10.0, size=(1500, 3)))
    assert watch(x.astype(np.float32))[1] == []


def test_left_out_at_once_and_taken_back_after_the_window_and_recover_s() -> None:
    x = eeg(8.0, 2)
    x[500:505, 1] = np.nan
    _, changes = watch(x)
    assert changes == [
        ChannelHealth(524, "E1", "not a number: 5 samples"),
        # Last bad verdict at row 749 (the newest NaN, 504, is in its window of 250), and then
        # recover_s = 2 s of good ones.
        ChannelHealth(1249, "E1", ""),
    ]


def test_one_bad_electrode_does_not_condemn_the_others_by_the_average() -> None:
    x = eeg(3.0, 4)
    x[:, 0] += np.random.default_rng(3).normal(scale=5e4, size=len(x)).astype(np.float32)
    assert [c.channel for c in watch(x)[1]] == ["E0"]


def test_a_new_segment_keeps_the_verdicts() -> None:
    x = eeg(3.0, 2)
    x[:, 1] = 0.0
    monitor, _ = watch(x)
    monitor.reset()
    good, changes = monitor.judge(1000)
    assert good.tolist() == [True, False]
    assert changes == []


def test_a_window_of_one_sample_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"window_s is 0\.001 s, which is 0 samples at 250 Hz"):
        HealthMonitor(stream(1), HealthConfig(window_s=0.001))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"window_s": 0.0}, r"health\.window_s must be above 0, got 0\.0"),
        ({"noisy_uv": -1.0}, r"health\.noisy_uv must be above 0, got -1\.0"),
        ({"noisy_uv": math.nan}, r"health\.noisy_uv must be above 0, got nan"),
        ({"flat_uv": -0.1}, r"health\.flat_uv must be 0 or more, got -0\.1"),
        ({"recover_s": math.inf}, r"health\.recover_s must be 0 or more, got inf"),
        ({"railed_share": 0.0}, r"railed_share is a share of the samples.* got 0\.0"),
        ({"railed_share": 1.5}, r"railed_share is a share of the samples.* got 1\.5"),
    ],
)
def test_limits_that_make_no_sense_are_refused(change: dict[str, float], says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        HealthMonitor(stream(1), HealthConfig(**change))


def test_railed_channels_of_a_real_openbci_recording(data_dir: Path) -> None:
    """OpenBCI 2016: four electrodes sit at a rail of ±187500 µV nearly all the time."""
    path = data_dir / "formats" / "openbci_txt" / "OpenBCI_2016-02-13_focus.txt"
    x = np.loadtxt(path, delimiter=",", skiprows=5, usecols=range(1, 9), max_rows=250 * 60)
    monitor, changes = watch(x.astype(np.float32), FULL_SCALE)
    first = {c.channel: c for c in reversed(changes)}
    for name in ("E2", "E4", "E5", "E7"):
        assert first[name].reason == "railed: 100 % at full scale"
        assert first[name].sample < 100
    assert monitor.good[[0, 1]].all()
    blind, said = watch(x.astype(np.float32))
    assert {c.channel for c in said} >= {"E2", "E4", "E5", "E7"}  # as flat, scale unknown
    assert not blind.good[[2, 4, 5, 7]].any()
