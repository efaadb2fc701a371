"""What more trials would buy: the learning curve of the decoder in use.

The folds' training sets are cut down to parts of their trials, and balanced accuracy is fitted as
``a - b / sqrt(n)`` with b not below 0: a curve that only rises, and flattens.  (An inverse power
law as in Figueroa et al. 2012, doi:10.1186/1472-6947-12-8, with its exponent held at a half: two
or three points on a few dozen trials can't tell an exponent.)  The interval is of a bootstrap
over the scored trials, within classes, so it holds the noise of the score itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from rtbci.calibration.scoring.cross_validation import Folds
from rtbci.calibration.selection.auto import Choice, combine
from rtbci.calibration.selection.contest import Contest, Evidence
from rtbci.types import IndexArray

PARTS = (0.5, 0.75)
"""Shares of a fold's training trials, beside all of them."""
MORE = 10
RESAMPLES = 2000
INTERVAL = (0.025, 0.975)
MIN_PART = 2
"""Fewest trials of a class that a part may have."""


@dataclass(frozen=True)
class LearningCurve:
    """Balanced accuracy by number of trials fitted on, and what ten more would give.

    Attributes
    ----------
    trials : tuple of int
        Mean size of the training, ascending.
    balanced : tuple of float
        Score at each.
    more : int
        So many more than all.
    expected, low, high : float
        Score to be expected then, and its 95 % interval.
    lows, highs : tuple of float
        95 % interval of the score at each number of trials.
    """

    trials: tuple[int, ...]
    balanced: tuple[float, ...]
    more: int
    expected: float
    low: float
    high: float
    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()

    def line(self) -> str:
        """``with 10 more trials expect 0.71 [0.58, 0.84]``."""
        return (
            f"with {self.more} more trials expect {self.expected:.2f} "
            f"[{self.low:.2f}, {self.high:.2f}]"
        )


def learning_curve(
    contest: Contest, choice: Choice, folds: Folds, full: Evidence, seed: int = 0
) -> LearningCurve | None:
    """Score the chosen decoder on parts of its training and extrapolate.

    Parameters
    ----------
    full : ndarray, shape (n_trials, n_classes)
        Evidence with the whole training, on the same folds.

    Returns
    -------
    curve : LearningCurve | None
        None where there are too few trials for parts of them.
    """
    rng = np.random.default_rng(seed)
    y = contest.y
    sizes, right = [], []
    for part in PARTS:
        found = np.zeros_like(full)
        used = []
        for fold in folds.folds:
            train = _part(fold.train, y, part, contest.n_classes, rng)
            if train is None:
                return None
            used.append(len(train))
            members = {m: contest.evidence(m, train, fold.test) for m in choice.members}
            found[fold.test] = combine(choice, members)
        sizes.append(float(np.mean(used)))
        right.append(np.argmax(found, axis=1) == y)
    sizes.append(float(np.mean([len(f.train) for f in folds.folds])))
    right.append(np.argmax(full, axis=1) == y)
    return _extrapolate(np.array(sizes), np.array(right), y, contest.n_classes, rng)


def _part(
    train: IndexArray, y: IndexArray, part: float, n_classes: int, rng: np.random.Generator
) -> IndexArray | None:
    """Some of the trials of each class, picked at random, in order of time."""
    kept = []
    for c in range(n_classes):
        own = train[y[train] == c]
        n = round(part * len(own))
        if n < MIN_PART:
            return None
        kept.append(rng.permutation(own)[:n])
    return np.sort(np.concatenate(kept))


def _extrapolate(
    sizes: npt.NDArray[np.float64],
    right: npt.NDArray[np.bool_],
    y: IndexArray,
    n_classes: int,
    rng: np.random.Generator,
) -> LearningCurve:
    picked = np.concatenate(
        [
            rng.choice(np.flatnonzero(y == c), (RESAMPLES, int((y == c).sum())))
            for c in range(n_classes)
        ],
        axis=1,
    )
    truth = y[picked]
    scores = np.stack([_balanced(r[picked], truth, n_classes) for r in right], axis=1)
    every = _balanced_one(right, y, n_classes)
    target = len(y) + MORE
    expected = float(_curve(sizes, every[np.newaxis], target)[0])
    low, high = _widened(np.quantile(_curve(sizes, scores, target), INTERVAL), expected, len(y))
    spans = zip(np.quantile(scores, INTERVAL, axis=0).T, every, strict=True)
    lows, highs = zip(*(_widened(span, score, len(y)) for span, score in spans), strict=True)
    return LearningCurve(
        tuple(round(s) for s in sizes),
        tuple(round(float(s), 4) for s in every),
        MORE,
        round(expected, 4),
        round(float(low), 4),
        round(float(high), 4),
        tuple(round(float(v), 4) for v in lows),
        tuple(round(float(v), 4) for v in highs),
    )


def _widened(span: npt.NDArray[np.float64], share: float, n: int) -> tuple[float, float]:
    """Make an interval no narrower than Wilson's for so many trials.

    Where every trial is right, so is every resample of them; but the trials are few.
    """
    few = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return min(float(span[0]), few.low), max(float(span[1]), few.high)


def _balanced(
    right: npt.NDArray[np.bool_], truth: IndexArray, n_classes: int
) -> npt.NDArray[np.float64]:
    """Balanced accuracy of each resample, shape (n_resamples,)."""
    each = [
        (right & (truth == c)).sum(axis=1) / np.maximum(1, (truth == c).sum(axis=1))
        for c in range(n_classes)
    ]
    return np.asarray(np.mean(each, axis=0))


def _balanced_one(
    right: npt.NDArray[np.bool_], y: IndexArray, n_classes: int
) -> npt.NDArray[np.float64]:
    return np.asarray(np.mean([right[:, y == c].mean(axis=1) for c in range(n_classes)], axis=0))


def _curve(
    sizes: npt.NDArray[np.float64], scores: npt.NDArray[np.float64], target: float
) -> npt.NDArray[np.float64]:
    """Least squares of ``a - b / sqrt(n)``, b not below 0, at ``target``; scores (n, n_sizes)."""
    x = -1.0 / np.sqrt(sizes)
    centred = x - x.mean()
    slope = np.maximum(0.0, scores @ centred / np.sum(centred**2))
    at = -1.0 / np.sqrt(target) - x.mean()
    return np.asarray(np.clip(scores.mean(axis=1) + slope * at, 0.0, 1.0))
