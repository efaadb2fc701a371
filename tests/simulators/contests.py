"""Made-up trials for tests of evaluation: windows whose first channel is louder in class 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.pipeline import Pipeline, make_pipeline

from rtbci.calibration.reading.trials import Windows
from rtbci.calibration.selection.contest import Contest, Entry

Labels = npt.NDArray[np.int64]


def labels(n: int) -> Labels:
    return np.arange(n, dtype=np.int64) % 2


def windows(y: Labels, run: Labels, effect: float, seed: int = 0, each: int = 3) -> Windows:
    """Windows whose first channel is louder in class 1."""
    rng = np.random.default_rng(seed)
    trial = np.repeat(np.arange(len(y)), each)
    x = rng.standard_normal((len(trial), 4, 100))
    x[y[trial] == 1, 0] *= 1 + effect
    fit = np.tile(np.arange(each) % 2 == 0, len(y))
    return Windows(x.astype(np.float32), trial, fit, y, run)


class LogPower(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Log power of some channels; learns nothing, so it is done once for all splits."""

    stateless = True

    def __init__(self, channels: Sequence[int] = (0, 1, 2, 3)) -> None:
        self.channels = channels

    def fit(self, x: npt.NDArray[Any], y: Labels | None = None) -> LogPower:
        return self

    def transform(self, x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return np.asarray(np.log(x[:, list(self.channels)].astype(np.float64).var(axis=2)))


class NearestMean(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Nearest class mean; fits in microseconds."""

    def fit(self, x: npt.NDArray[Any], y: Labels) -> NearestMean:
        self.classes_ = np.unique(y)
        self.means_ = np.stack([x[y == c].mean(axis=0) for c in self.classes_])
        self.spread_ = float(x.std()) or 1.0
        return self

    def predict_proba(self, x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        apart = x[:, None] - self.means_[None]
        p = np.exp(-0.5 * np.sum((apart / self.spread_) ** 2, axis=2))
        return np.asarray(p / p.sum(axis=1, keepdims=True))


def near(channels: Sequence[int] = (0, 1, 2, 3)) -> Pipeline:
    """Nearest class mean of log power."""
    return make_pipeline(LogPower(channels), NearestMean())


def fast_contest(n: int, effect: float, seed: int = 0, runs: int = 1) -> Contest:
    """Two fast decoders, of all channels and of two, on made-up trials."""
    y = labels(n)
    run = np.repeat(np.arange(runs), n // runs)
    own = windows(y, run, effect, seed)
    entries = {"near": Entry(near, own), "two": Entry(lambda: near((0, 1)), own)}
    return Contest(entries, 2)
