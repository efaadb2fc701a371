"""Eyes and muscle are flagged when they come, nothing else is, and cutting the stream is free."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt

from rtbci.calibration.reading.track import play
from rtbci.calibration.signal.artefacts import (
    EYES,
    MUSCLE,
    ArtefactConfig,
    ArtefactMonitor,
    monitor_for,
)
from rtbci.config import SessionConfig
from rtbci.montage import MONTAGES
from rtbci.types import BoolArray, FloatArray, StreamInfo

RATE, HOP = 250.0, 25
CAP = ("Fp1", "Fp2", "F7", "F8", "T9", "T10", "C3", "Cz", "C4", "CP3", "CP4")
BARE = MONTAGES["motor-8"]
Rows = npt.NDArray[np.float64]


def background(names: tuple[str, ...], seconds: float, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    white = rng.standard_normal((round(seconds * RATE), len(names)))
    slow = np.asarray(sosfilt(butter(1, 3.0, fs=RATE, output="sos"), white, axis=0))
    return 10 * slow + 3 * white


def put(x: Rows, names: tuple[str, ...], at_s: float, wave: Rows, gains: dict[str, float]) -> None:
    row = round(at_s * RATE)
    for name, gain in gains.items():
        x[row : row + len(wave), names.index(name)] += gain * wave


BLINK = 150 * np.hanning(75)
SACCADE = 60 * np.exp(-np.arange(150) / 100)
CLENCH = 40 * np.random.default_rng(9).standard_normal(250)
TEMPLES = {"F7": 1.0, "F8": 1.0, "T9": 1.0, "T10": 1.0, "C3": 0.5, "C4": 0.5}


def flagged(monitor: ArtefactMonitor, x: Rows) -> list[tuple[str, ...]]:
    """Flags at every hop."""
    found = []
    for at in range(0, len(x), HOP):
        monitor.push(x[at : at + HOP].astype(np.float32))
        found.append(monitor.flags())
    return found


def seen(found: list[tuple[str, ...]], start_s: float, stop_s: float) -> set[str]:
    return set(itertools.chain.from_iterable(found[round(10 * start_s) : round(10 * stop_s)]))


def test_what_happens_is_what_is_flagged() -> None:
    x = background(CAP, 60)
    put(x, CAP, 30.0, BLINK, {"Fp1": 1.0, "Fp2": 1.0, "F7": 0.4, "F8": 0.4})
    put(x, CAP, 40.0, SACCADE, {"F7": 1.0, "F8": -1.0})
    put(x, CAP, 50.0, CLENCH, TEMPLES)
    found = flagged(ArtefactMonitor(CAP, RATE), x)
    assert seen(found, 12, 30) == set()
    assert seen(found, 30, 30.6) == {EYES}
    assert sum(map(bool, found[315:400])) <= 0.05 * 85
    assert seen(found, 40, 40.6) == {EYES}
    assert MUSCLE in seen(found, 50, 51)
    assert all(MUSCLE in flags for flags in found[505:525])
    assert seen(found, 54, 60) == set()


def test_motor_electrodes_alone_show_them_too() -> None:
    x = background(BARE, 50)
    put(x, BARE, 30.0, BLINK, dict.fromkeys(BARE, 0.5))
    put(x, BARE, 40.0, CLENCH, dict.fromkeys(BARE, 0.5))
    found = flagged(ArtefactMonitor(BARE, RATE), x)
    assert seen(found, 12, 30) == set()
    assert EYES in seen(found, 30, 30.6)
    assert MUSCLE in seen(found, 40, 41)


def test_names_that_say_nothing_are_read_all_the_same() -> None:
    names = ("one", "two", "three")
    x = background(names, 40)
    put(x, names, 30.0, BLINK, dict.fromkeys(names, 1.0))
    assert EYES in seen(flagged(ArtefactMonitor(names, RATE), x), 30, 30.6)


def test_what_is_usual_is_learned() -> None:
    """Ten times the amplitude throughout is a noisier signal, not an artefact that lasts."""
    x = 10 * background(CAP, 60)
    found = flagged(ArtefactMonitor(CAP, RATE), x)
    assert sum(map(bool, found[200:])) < 0.02 * len(found)


def test_before_the_usual_is_known_a_large_blink_is_flagged() -> None:
    x = background(CAP, 6)
    put(x, CAP, 4.0, 2 * BLINK, {"Fp1": 1.0, "Fp2": 1.0})
    found = flagged(ArtefactMonitor(CAP, RATE), x)
    assert seen(found, 4, 4.6) == {EYES}
    assert seen(found, 1, 4) == set()


def test_an_eog_channel_is_read() -> None:
    names = ("C3", "Cz", "C4", "EOG")
    x = background(names, 40)
    put(x, names, 30.0, BLINK, {"EOG": 1.0})
    assert EYES in seen(flagged(ArtefactMonitor(names, RATE), x), 30, 30.6)


def test_a_muscle_flag_lasts_as_long_as_the_decoder_looks_back() -> None:
    x = background(CAP, 50)
    put(x, CAP, 30.0, CLENCH, TEMPLES)
    short, long = monitor_for(CAP, RATE, 1.0), monitor_for(CAP, RATE, 3.0)
    assert short is not None
    assert long is not None
    assert MUSCLE not in seen(flagged(short, x), 32.8, 33.5)
    assert MUSCLE in seen(flagged(long, x), 32.8, 33.5)
    assert monitor_for((), RATE) is None


def test_a_new_segment_knows_nothing() -> None:
    x = background(CAP, 30)
    monitor = ArtefactMonitor(CAP, RATE)
    first = flagged(monitor, x)
    monitor.reset()
    assert monitor.flags() == ()
    assert flagged(monitor, x) == first


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 5000), max_size=8))
def test_however_it_is_cut_the_flags_are_the_same(cuts: list[int]) -> None:
    x = background(CAP, 20, seed=3)
    put(x, CAP, 15.0, BLINK, {"Fp1": 1.0, "Fp2": 1.0})
    put(x, CAP, 17.0, CLENCH, TEMPLES)
    whole, parts = ArtefactMonitor(CAP, RATE), ArtefactMonitor(CAP, RATE)
    rows = x.astype(np.float32)
    whole.push(rows)
    for a, b in itertools.pairwise([0, *sorted(cuts), len(rows)]):
        parts.push(rows[a:b])
    assert parts.flags() == whole.flags()
    np.testing.assert_array_equal(parts.state.limits, whole.state.limits)
    np.testing.assert_array_equal(parts.state.since, whole.state.since)


class Watcher:
    """Stands where a decoder stands, and keeps the flags of every token."""

    name, classes, calibrated, window_s = "watcher", ("none",), False, 0.0

    def __init__(self, info: StreamInfo) -> None:
        self.monitor = ArtefactMonitor(info.electrodes, RATE, ArtefactConfig())
        self.found: list[tuple[str, ...]] = []

    def reset(self) -> None:
        self.monitor.reset()

    def push(self, block: FloatArray) -> None:
        self.monitor.push(block)

    def decode(self, good: BoolArray) -> tuple[npt.NDArray[np.float64], str]:
        self.found.append(self.monitor.flags())
        return np.full(1, np.nan), "watching"


@pytest.mark.parametrize("montage", ["openbci-cyton", None])
def test_on_a_real_recording_blinks_and_clenches_are_flagged(
    data_dir: Path, montage: str | None
) -> None:
    """Blinks from 15 and 79 s on, the jaw from 9 to 14 and 82 to 85 s, rest in between."""
    path = data_dir / "formats" / "openbci_txt" / "OpenBCI_GUI-v6-blinks-jawClench-alpha.txt"
    made: list[Any] = []

    def watch(info: StreamInfo) -> Watcher:
        made.append(Watcher(info))
        watcher: Watcher = made[0]
        return watcher

    for _ in play(path, watch, SessionConfig(), montage):
        pass
    found = [()] * 9 + made[0].found  # the first token ends at 1 s
    assert MUSCLE in seen(found, 9, 14)
    assert MUSCLE in seen(found, 82, 86)
    rest = found[300:750]
    assert sum(map(bool, rest)) < 0.02 * len(rest)
    if montage is not None:
        assert EYES in seen(found, 15, 17)
        assert EYES in seen(found, 79, 82)
