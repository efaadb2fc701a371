"""Folds in order of time, and the permutation test of a score.

    several recordings   folds are whole recordings                     "across runs"
    one recording        contiguous blocks, neighbours of a test        "within one run"
                         trial taken out of the training

The blocks are cut by time alone, never by label, so that permuted labels meet the same folds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.errors import BadInputError
from rtbci.types import IndexArray

MIN_TRIALS = 4
"""Fewest trials of each class that can be fitted and scored."""
BLOCKS = 5
"""Blocks of a single recording."""
PERMUTED = 10
"""Labels are permuted within contiguous blocks of about so many trials: slow changes stay."""
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
    n_blocks = min(BLOCKS, int(counts.min()))
    by_time = np.concatenate(
        [np.full(len(part), b) for b, part in enumerate(np.array_split(y, n_blocks))]
    )
    folds = _blocks(by_time, y, run, n_classes)
    if not all(_holds_all(y[f.train], n_classes) for f in folds):
        folds = _blocks(_by_class(y, n_blocks, n_classes), y, run, n_classes)
    return Folds(folds, WITHIN)


def _holds_all(y: IndexArray, n_classes: int) -> bool:
    return bool(np.bincount(y, minlength=n_classes).min() >= 2)


def _by_class(y: IndexArray, n_blocks: int, n_classes: int) -> IndexArray:
    """Contiguous blocks of every class by itself, for classes that come one after the other."""
    block = np.empty(len(y), dtype=np.int64)
    for c in range(n_classes):
        for b, part in enumerate(np.array_split(np.flatnonzero(y == c), n_blocks)):
            block[part] = b
    return block


def _blocks(block: IndexArray, y: IndexArray, run: IndexArray, n_classes: int) -> tuple[Fold, ...]:
    """Leave out each block, with the neighbours of its trials purged from the training."""
    folds = []
    for b in np.unique(block):
        test = block == b
        beside = np.zeros(len(y), dtype=np.bool_)
        beside[1:] |= test[:-1] & (run[1:] == run[:-1])
        beside[:-1] |= test[1:] & (run[1:] == run[:-1])
        train = np.flatnonzero(~test & ~beside)
        if not _holds_all(y[train], n_classes):
            train = np.flatnonzero(~test)  # so few trials that purging would take a class away
        folds.append(Fold(train.astype(np.int64), np.flatnonzero(test).astype(np.int64)))
    return tuple(folds)


def permute_within(y: IndexArray, block: IndexArray, rng: np.random.Generator) -> IndexArray:
    """Shuffle the labels inside each block, so that its share of classes stays."""
    shuffled = y.copy()
    for b in np.unique(block):
        inside = np.flatnonzero(block == b)
        shuffled[inside] = rng.permutation(shuffled[inside])
    return shuffled


def permutation_blocks(run: IndexArray) -> IndexArray:
    """Number contiguous blocks of about :data:`PERMUTED` trials, none across recordings."""
    block, begun = np.empty(len(run), dtype=np.int64), 0
    for r in np.unique(run):
        inside = np.flatnonzero(run == r)
        parts = np.array_split(inside, max(1, round(len(inside) / PERMUTED)))
        for part in parts:
            block[part] = begun
            begun += 1
    return block


@dataclass(frozen=True)
class PermutationTest:
    """What permuting the labels gave.

    Attributes
    ----------
    p_value : float
    permutations : int
        How many were made.
    null_sd : float
        Standard deviation of the statistic over them.
    """

    p_value: float
    permutations: int
    null_sd: float


def permutation_test(
    statistic: Callable[[IndexArray], float],
    y: IndexArray,
    run: IndexArray,
    *,
    most: int,
    folds: Sequence[Fold] = (),
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> PermutationTest:
    """How often a statistic of the labels is as large on permuted labels.

    It ends early once :data:`ENOUGH` permutations did as well, which is exact too (Besag &
    Clifford 1991, doi:10.1093/biomet/78.2.301); otherwise p = (1 + as good) / (1 + most), never
    0 (Phipson & Smyth 2010, doi:10.2202/1544-6115.1585).

    Parameters
    ----------
    statistic : callable
        Does all again that looks at the labels, the choice among decoders included.
    y, run : ndarray, shape (n_trials,)
    most : int
        Permutations at most.
    folds : sequence of Fold
        Labellings are drawn anew until each of these trains on every class, as the true one does:
        with few trials a shuffle can leave nothing to fit.
    """
    reached, rng, as_good = statistic(y), np.random.default_rng(seed), 0
    block, n_classes = permutation_blocks(run), int(y.max()) + 1
    fitted = [f.train for f in folds if _holds_all(y[f.train], n_classes)]
    made: list[float] = []
    for i in range(most):
        labels = permute_within(y, block, rng)
        while not all(_holds_all(labels[train], n_classes) for train in fitted):
            labels = permute_within(y, block, rng)
        made.append(statistic(labels))
        as_good += made[-1] >= reached - 1e-12
        if progress is not None:
            progress(i + 1)
        if as_good >= ENOUGH:
            return PermutationTest(as_good / (i + 1), i + 1, _sd(made))
    return PermutationTest((1 + as_good) / (1 + most), most, _sd(made))


def _sd(made: list[float]) -> float:
    values: npt.NDArray[np.float64] = np.array(made)
    return float(np.std(values, ddof=1)) if len(made) > 1 else 0.0
