"""Blocked cross-validation over trials: everything that is fitted is fitted inside the fold.

    several recordings   folds are whole recordings                     "across runs"
    one recording        contiguous blocks, neighbours of a test        "within one run"
                         trial taken out of the training

One decision a trial, from the summed log-probabilities of its windows, as online.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline

from rtbci.calibration.accuracy import balanced_accuracy, log_evidence
from rtbci.calibration.decoders import LABEL_FREE
from rtbci.calibration.trials import Windows
from rtbci.errors import BadInputError
from rtbci.types import IndexArray

Evidence = npt.NDArray[np.float64]

MIN_TRIALS = 4
"""Fewest trials of each class that can be fitted and scored."""
BLOCKS = 5
"""Blocks of a single recording."""
ENOUGH = 20
"""So many permutations that did as well end the test: the score is no better than chance."""
ACROSS = "across runs"
WITHIN = "within one run"


@dataclass(frozen=True)
class Fold:
    """Trials to fit on and trials to score."""

    train: IndexArray
    test: IndexArray


@dataclass(frozen=True)
class Folds:
    """How the trials are split.

    Attributes
    ----------
    folds : tuple of Fold
    label : str
        Goes wherever the score goes: :data:`ACROSS` or :data:`WITHIN`.
    """

    folds: tuple[Fold, ...]
    label: str


def blocked_folds(y: IndexArray, run: IndexArray, n_classes: int) -> Folds:
    """Split trials by recordings, or one recording by contiguous blocks.

    Parameters
    ----------
    y, run : ndarray, shape (n_trials,)
        Class and recording of each trial, in order of time.

    Raises
    ------
    BadInputError
        Where a class has fewer than :data:`MIN_TRIALS` trials.
    """
    counts = np.bincount(y, minlength=n_classes)
    if counts.min() < MIN_TRIALS:
        raise BadInputError(
            f"a class has {counts.min()} usable trials, but each needs at least {MIN_TRIALS} to "
            "be fitted and scored; record more trials."
        )
    runs = np.unique(run)
    by_run = [
        Fold(np.flatnonzero(run != r).astype(np.int64), np.flatnonzero(run == r).astype(np.int64))
        for r in runs
    ]
    if len(runs) > 1 and all(_holds_all(y[f.train], n_classes) for f in by_run):
        return Folds(tuple(by_run), ACROSS)
    return Folds(_blocks(y, run, n_classes), WITHIN)


def _holds_all(y: IndexArray, n_classes: int) -> bool:
    return bool(np.bincount(y, minlength=n_classes).min() >= 2)


def _blocks(y: IndexArray, run: IndexArray, n_classes: int) -> tuple[Fold, ...]:
    """Contiguous blocks of every class, with the neighbours of test trials purged from training."""
    n_blocks = min(BLOCKS, int(np.bincount(y, minlength=n_classes).min()))
    block = np.empty(len(y), dtype=np.int64)
    for c in range(n_classes):
        for b, part in enumerate(np.array_split(np.flatnonzero(y == c), n_blocks)):
            block[part] = b
    folds = []
    for b in range(n_blocks):
        test = block == b
        beside = np.zeros(len(y), dtype=np.bool_)
        beside[1:] |= test[:-1] & (run[1:] == run[:-1])
        beside[:-1] |= test[1:] & (run[1:] == run[:-1])
        train = np.flatnonzero(~test & ~beside)
        if not _holds_all(y[train], n_classes):
            train = np.flatnonzero(~test)  # so few trials that purging would take a class away
        folds.append(Fold(train.astype(np.int64), np.flatnonzero(test).astype(np.int64)))
    return tuple(folds)


@dataclass(frozen=True)
class Prepared:
    """One fold with all done that does not depend on the labels.

    Attributes
    ----------
    estimator : object
        What is left to fit.
    train, test : ndarray
        Its input for the fitting and the scored windows.
    train_trial, test_trial : ndarray, shape (n_windows,)
        Trial of each window.
    """

    estimator: Any
    train: npt.NDArray[Any]
    test: npt.NDArray[Any]
    train_trial: IndexArray
    test_trial: IndexArray


def prepare(estimator: Any, windows: Windows, folds: Folds) -> list[Prepared]:
    """Fit the label-free steps of a pipeline in each fold, once for all permutations."""
    steps = [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else []
    free = 0
    while free < len(steps) - 1 and isinstance(steps[free], LABEL_FREE):
        free += 1
    rest = make_pipeline(*steps[free:]) if free else estimator
    made = []
    for fold in folds.folds:
        train = np.flatnonzero(np.isin(windows.trial, fold.train) & windows.fit)
        test = np.flatnonzero(np.isin(windows.trial, fold.test))
        x_train, x_test = windows.x[train], windows.x[test]
        for step in (clone(s) for s in steps[:free]):
            x_train = step.fit(x_train).transform(x_train)
            x_test = step.transform(x_test)
        made.append(Prepared(rest, x_train, x_test, windows.trial[train], windows.trial[test]))
    return made


def cross_validate(prepared: Sequence[Prepared], y: IndexArray, n_classes: int) -> Evidence:
    """Score every trial by what was fitted without it.

    Parameters
    ----------
    y : ndarray, shape (n_trials,)
        Labels to fit on (true or permuted).

    Returns
    -------
    evidence : ndarray, shape (n_trials, n_classes)
        Summed log-probabilities.
    """
    evidence = np.zeros((len(y), n_classes))
    # The windows are finite and the estimators were checked when they were made; checking both
    # again costs as much as the fits.
    with config_context(assume_finite=True, skip_parameter_validation=True):
        for fold in prepared:
            fitted = clone(fold.estimator).fit(fold.train, y[fold.train_trial])
            p = np.asarray(fitted.predict_proba(fold.test), dtype=np.float64)
            np.add.at(evidence, fold.test_trial, log_evidence(p))
    return evidence


def score(evidence: Evidence, y: IndexArray) -> float:
    """Balanced accuracy per trial."""
    decided = np.argmax(evidence, axis=1).astype(np.int64)
    return balanced_accuracy(y, decided, evidence.shape[1])


def choose(evidence: Mapping[str, Evidence], y: IndexArray) -> str:
    """Choose a decoder: the first, unless a later one is better by more than one standard error.

    The standard error is that of the paired difference in trials decided right.  Decoders come
    in order of simplicity, so the simpler one wins ties.
    """
    names = list(evidence)
    best = names[0]
    for name in names[1:]:
        old = np.argmax(evidence[best], axis=1) == y
        new = np.argmax(evidence[name], axis=1) == y
        difference = new.astype(float) - old.astype(float)
        error = float(np.std(difference, ddof=1) / np.sqrt(len(y)))
        if score(evidence[name], y) > score(evidence[best], y) + error:
            best = name
    return best


def permute_within(y: IndexArray, run: IndexArray, rng: np.random.Generator) -> IndexArray:
    """Shuffle the labels inside each recording, so that its share of classes stays."""
    shuffled = y.copy()
    for r in np.unique(run):
        inside = np.flatnonzero(run == r)
        shuffled[inside] = rng.permutation(shuffled[inside])
    return shuffled


@dataclass(frozen=True)
class PermutationTest:
    """What permuting the labels gave.

    Attributes
    ----------
    p_value : float
    permutations : int
        How many were made.
    """

    p_value: float
    permutations: int


def permutation_test(
    prepared: Mapping[str, Sequence[Prepared]],
    y: IndexArray,
    run: IndexArray,
    n_classes: int,
    *,
    most: int,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> PermutationTest:
    """How often the chosen decoder scores as well on permuted labels.

    The choice among the decoders is made again for every permutation, so that the best of
    several is not taken for better than chance.  It ends early once :data:`ENOUGH` permutations
    did as well, which is exact too (Besag & Clifford 1991, doi:10.1093/biomet/78.2.301);
    otherwise p = (1 + as good) / (1 + most), never 0 (Phipson & Smyth 2010,
    doi:10.2202/1544-6115.1585).

    Parameters
    ----------
    prepared : mapping of str to sequence of Prepared
        The folds of every decoder, simplest first.
    y, run : ndarray, shape (n_trials,)
    most : int
        Permutations at most.
    """

    def chosen_score(labels: IndexArray) -> float:
        evidence = {k: cross_validate(v, labels, n_classes) for k, v in prepared.items()}
        return score(evidence[choose(evidence, labels)], labels)

    reached, rng, as_good = chosen_score(y), np.random.default_rng(seed), 0
    for i in range(most):
        as_good += chosen_score(permute_within(y, run, rng)) >= reached - 1e-12
        if progress is not None:
            progress(i + 1)
        if as_good >= ENOUGH:
            return PermutationTest(as_good / (i + 1), i + 1)
    return PermutationTest((1 + as_good) / (1 + most), most)
