"""Tracks without a file: a made-up signal through the causal views, or through leaking ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtbci.calibration.reading.cohort import Session, Trials
from rtbci.calibration.reading.track import Track
from rtbci.calibration.reading.trials import TrialConfig, find_cues, judge
from rtbci.calibration.signal.streaming import CausalView, ViewConfig
from rtbci.types import Marker

NAMES = ("FC3", "C3", "Cz", "C4", "FC4", "Fp1", "Fp2", "O1")
CLASSES = ("left", "right")
RATE = 250.0
FIRST_S, EVERY_S = 3.0, 6.0
Signal = npt.NDArray[np.float64]
Filter = Callable[[Signal, ViewConfig], npt.NDArray[np.float32]]


def causal(signal: Signal, view: ViewConfig) -> npt.NDArray[np.float32]:
    """What the stream gives."""
    made = CausalView(range(signal.shape[1]), RATE, view, NAMES)
    return made.push(signal.astype(np.float32))


def acausal(signal: Signal, view: ViewConfig) -> npt.NDArray[np.float32]:
    """The planted leak: what is louder within the next four seconds is louder now."""
    made, n = causal(signal, view), round(4.0 * RATE)
    power = np.cumsum(np.concatenate([made, np.zeros((n, *made.shape[1:]))]) ** 2, axis=0)
    coming = np.sqrt((power[n:] - power[:-n]) / n)
    return np.asarray(made * (1 + coming / coming.mean(axis=0)), dtype=np.float32)


def signal_of(
    y: npt.NDArray[np.int64], effect: float, after: float, rng: np.random.Generator
) -> Signal:
    """White noise, louder at C3 for class 1 in the trial, and for 1 s beginning 4 s after a cue.

    Parameters
    ----------
    effect, after : float
        By which factor more, in the trial and behind it.
    """
    n = round((FIRST_S + EVERY_S * len(y)) * RATE)
    made = 5.0 * rng.standard_normal((n, len(NAMES)))
    for k, wanted in enumerate(y):
        cue = FIRST_S + EVERY_S * k
        for start, stop, more in ((0.3, 3.6, effect), (4.0, 5.0, after)):
            rows = slice(round((cue + start) * RATE), round((cue + stop) * RATE))
            made[rows, NAMES.index("C3")] *= 1 + more * wanted
    return made


def made_trials(
    views: Mapping[str, ViewConfig],
    *,
    n_trials: int = 12,
    runs: int = 3,
    effect: float = 0.0,
    after: float = 0.0,
    shuffled: bool = False,
    filtered: Filter = causal,
    seed: int = 0,
    subject: str = "S900",
) -> Trials:
    """A session of several runs, judged.

    Parameters
    ----------
    shuffled : bool
        Whether the markers tell other classes than the signal has.
    """
    rng = np.random.default_rng(seed)
    tracks = []
    for run in range(runs):
        y = rng.permutation(np.arange(n_trials, dtype=np.int64) % 2)
        signal = signal_of(y, effect, after, rng)
        told = rng.permutation(y) if shuffled else y
        stops = np.arange(25, len(signal) + 1, 25)
        tracks.append(
            Track(
                path=Path(f"made{run}.edf"),
                rate=RATE,
                electrodes=NAMES,
                signals={name: filtered(signal, view) for name, view in views.items()},
                token_stop=stops,
                token_begin=np.zeros_like(stops),
                token_time=stops / RATE,
                token_good=np.ones((len(stops), len(NAMES)), dtype=np.bool_),
                markers=tuple(
                    Marker(FIRST_S + EVERY_S * k, CLASSES[c]) for k, c in enumerate(told)
                ),
                health=(),
            )
        )
    labels = [{name: name for name in CLASSES}] * runs
    trial, view = TrialConfig(), ViewConfig()
    cues = find_cues(tracks, labels, CLASSES, trial, view.window_s)
    used = NAMES[:5]
    judged = judge(tracks, cues, used, trial, view.key, view, 0.1, RATE)
    session = Session(subject, "cues", tuple(t.path for t in tracks))
    return Trials(session, tuple(tracks), tuple(judged), CLASSES, used, {})
