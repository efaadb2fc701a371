"""Doing nothing: what tells it from trials, where it is cut, and when it is not believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtbci.calibration.decoders.spd import transport
from rtbci.calibration.online.adaptation import Referenced
from rtbci.calibration.online.idle import (
    LONGEST_S,
    SETTLED_S,
    Idle,
    features,
    fit_idle,
    pauses,
)
from rtbci.calibration.online.recentred import Recentred
from rtbci.calibration.reading.track import Track
from rtbci.calibration.reading.trials import Cue
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.types import CUE_ORIGIN, Marker

N, CHANNELS, TIMES, WINDOWS = 20, 6, 250, 3


def windows(rng: np.random.Generator, gains: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """White noise, with a gain for each window and channel."""
    noise = rng.standard_normal((len(gains), CHANNELS, TIMES))
    return (noise * gains[:, :, np.newaxis]).astype(np.float32)


def material(
    effect: float, seed: int = 0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Trials of two classes, each of which makes one channel quieter, and pauses."""
    rng = np.random.default_rng(seed)
    y = np.tile([0, 1], N // 2)
    level = 1 + 0.1 * rng.standard_normal((N, CHANNELS))
    gains = level.copy()
    gains[np.arange(N), y] *= 1 - effect
    meant = windows(rng, np.repeat(gains, WINDOWS, axis=0))
    idle = windows(rng, np.repeat(level, WINDOWS, axis=0))
    return meant, np.repeat(y, WINDOWS), idle


def fitted(effect: float, seed: int = 0) -> Idle | None:
    meant, wanted, idle = material(effect, seed)
    at = np.repeat(np.arange(N), WINDOWS)
    return fit_idle(meant, wanted, at, idle, at)


def test_each_class_is_told_from_nothing_on_other_trials() -> None:
    model = fitted(0.5)
    assert model is not None
    meant, wanted, idle = material(0.5, seed=9)
    said = np.array([model(w) for w in meant])
    rows = np.arange(len(said))
    assert np.mean(said[rows, wanted] > 0) > 0.9
    assert np.mean(said[rows, 1 - wanted] < said[rows, wanted]) > 0.9
    assert np.mean(np.array([model(w) for w in idle]) < 0) > 0.9


def test_what_says_nothing_is_not_used() -> None:
    """Trials like pauses: two standard errors let about one seed in forty pass."""
    assert sum(fitted(0.0, seed) is not None for seed in range(20)) <= 3
    meant, wanted, idle = material(0.5)
    at = np.repeat(np.arange(N), WINDOWS)
    few = at < 5
    assert fit_idle(meant, wanted, at, idle[few], at[few]) is None
    rng = np.random.default_rng(1)
    both = np.concatenate([meant, idle])[rng.permutation(2 * len(meant))]
    shuffled = fit_idle(both[: len(meant)], wanted, at, both[len(meant) :], at)
    assert shuffled is None


def test_one_window_gives_the_same_bits_as_ever() -> None:
    model = fitted(0.5)
    assert model is not None
    meant, _, _ = material(0.5)
    first = model(meant[0])
    assert model(meant[:1][0].copy()).tobytes() == first.tobytes()
    assert np.array_equal(features(meant)[0], features(meant[0]))


def test_a_decoder_knows_nothing_of_it_unless_it_was_told() -> None:
    model = fitted(0.5)
    assert model is not None
    meant, _, _ = material(0.5)
    eye = np.eye(CHANNELS)[np.newaxis]
    plain = Referenced("fitted", eye, eye)
    assert plain.intent(meant[0]) is None
    plain.idle = model
    told = plain.intent(meant[0])
    assert told is not None
    # Brought to another day: what was turned is turned back first.
    today = 4.0 * eye
    moved = Recentred.to(plain, today)
    np.testing.assert_allclose(transport(today, eye), 0.5 * eye)
    again = moved.intent(2.0 * meant[0])
    assert again is not None
    np.testing.assert_allclose(again, told, rtol=1e-5)


def test_pauses_touch_neither_trial_nor_cue() -> None:
    rate, hop, view = 100.0, 10, ViewConfig(window_s=1.0)
    n = 4000
    signal = np.random.default_rng(0).standard_normal((n, 1, 2)).astype(np.float32)
    stop = np.arange(hop, n + 1, hop)
    cues = [Cue(0, t, 0, np.zeros(0, dtype=np.int64)) for t in (5.0, 12.0, 17.0, 34.0)]
    shown = [Marker(4.0, "a", 1.0, CUE_ORIGIN)]
    shown += [Marker(c.time, "a") for c in cues[1:]]
    track = Track(
        Path("x"),
        rate,
        ("C3", "C4"),
        {"v": signal},
        stop,
        np.zeros(len(stop), dtype=np.int64),
        stop / rate,
        np.ones((len(stop), 2), dtype=np.bool_),
        tuple(shown),
        (),
    )
    x, at = pauses([track], cues, ("C3", "C4"), 3.5, "v", view, rate)
    assert x.shape[1:] == (2, 100)
    wholes = {signal[s - 100 : s, 0, 0].tobytes(): s / rate for s in stop if s >= 100}
    ends = [wholes[np.ascontiguousarray(window[0]).tobytes()] for window in x]
    for end, number in zip(ends, at, strict=True):
        cue = cues[number]
        before = cues[number - 1].time + 3.5 + SETTLED_S if number else -np.inf
        latest = cue.time - 1.0 if number == 0 else cue.time
        assert end <= latest + 1e-9
        assert end - 1.0 >= max(before, cue.time - 1.0 * (number == 0) - LONGEST_S) - 1e-9
    assert set(at.tolist()) == {0, 1, 3}  # the third comes right behind the second's trial
