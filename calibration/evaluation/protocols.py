"""Which trials a decoder is fitted on and which it is scored on, by protocol.

    within                      whole runs in turn; one run: contiguous blocks, edges purged
    few-shot                    the first trials of the session, as a new user gives them; the
                                rest is test (arXiv 2601.17883 takes 30 %)
    leave-one-subject-out       one or two whole runs of her own, in turn, beside other people's
                                trials; her other runs are test

Nothing here sees a signal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np

from rtbci.calibration.scoring.cross_validation import MIN_TRIALS, Fold, blocked_folds
from rtbci.errors import BadInputError
from rtbci.types import IndexArray

SHARE = 0.3
"""Of a session, for calibration (arXiv 2601.17883)."""
PER_CLASS = (5, 10, 15, 20)
"""Trials of each class for calibration."""
RUNS = (1, 2)
"""Runs of the subject's own for calibration."""
ZERO = "no label"
"""Calibration on one run whose labels the decoder does not get."""


class Protocol(StrEnum):
    """How decoders are scored."""

    WITHIN = "within"
    """On the subject's other runs; where there is one run, on its other blocks."""
    FEW_SHOT = "few-shot"
    """On all that comes after the first trials of a session."""
    LEAVE_ONE_SUBJECT_OUT = "leave-one-subject-out"
    """On the subject's other runs; what is learned from others never saw her."""


@dataclass(frozen=True)
class Condition:
    """One way to split a subject's trials.

    Attributes
    ----------
    name : str
        What the decoder gets (``30 % of the session``, ``1 run``).
    splits : tuple of Fold
        Scored one by one; the subject's score is their mean.
    labelled : bool
        False where decoders get the calibration trials without their labels.
    """

    name: str
    splits: tuple[Fold, ...]
    labelled: bool = True


def conditions(
    protocol: Protocol, y: IndexArray, run: IndexArray, n_classes: int
) -> list[Condition]:
    """Split a subject's trials as a protocol wants it.

    Parameters
    ----------
    y, run : ndarray, shape (n_trials,)
        Class and recording of each trial, in order of time.

    Returns
    -------
    conditions : list of Condition
        Those for which the subject has enough trials.
    """
    if protocol is Protocol.WITHIN:
        if np.bincount(y, minlength=n_classes).min() < MIN_TRIALS:
            return []
        folds = blocked_folds(y, run, n_classes)
        return [Condition(folds.label, folds.folds)]
    if protocol is Protocol.FEW_SHOT:
        return _few_shot(y, n_classes)
    return _left_out(y, run, n_classes)


def _few_shot(y: IndexArray, n_classes: int) -> list[Condition]:
    """First trials of the session for calibration, all later ones for the test."""
    made = []
    n_first = round(SHARE * len(y))
    wanted = [(f"{SHARE:.0%} of the session", n_first)]
    for n in PER_CLASS:
        reached = np.array([np.cumsum(y == c) >= n for c in range(n_classes)]).all(axis=0)
        if reached.any():
            wanted.append((f"{n} trials a class", int(np.argmax(reached)) + 1))
    for name, first in wanted:
        fold = _first_trials(y, first, n_classes, None if "%" in name else int(name.split()[0]))
        if fold is not None:
            made.append(Condition(name, (fold,)))
    return made


def _first_trials(y: IndexArray, first: int, n_classes: int, per_class: int | None) -> Fold | None:
    """Train on the first trials (at most so many of a class); None where a class is missing."""
    train = np.arange(first)
    if per_class is not None:
        kept = [np.flatnonzero(y[:first] == c)[:per_class] for c in range(n_classes)]
        train = np.sort(np.concatenate(kept))
    test = np.arange(first, len(y))
    return _usable(Fold(train.astype(np.int64), test.astype(np.int64)), y, n_classes)


def _left_out(y: IndexArray, run: IndexArray, n_classes: int) -> list[Condition]:
    """One or two runs for calibration, each choice in turn, and the others for the test."""
    runs = np.unique(run)
    made = []
    for n in RUNS:
        folds = [_by_runs(y, run, own, n_classes) for own in combinations(runs.tolist(), n)]
        splits = tuple(f for f in folds if f is not None)
        if splits and n == 1:
            made.append(Condition(ZERO, splits, labelled=False))
        if splits:
            made.append(Condition(f"{n} run{'s' if n > 1 else ''}", splits))
    return made


def _by_runs(y: IndexArray, run: IndexArray, own: Sequence[int], n_classes: int) -> Fold | None:
    mine = np.isin(run, own)
    fold = Fold(np.flatnonzero(mine).astype(np.int64), np.flatnonzero(~mine).astype(np.int64))
    return _usable(fold, y, n_classes)


def _usable(fold: Fold, y: IndexArray, n_classes: int) -> Fold | None:
    """The fold, if each class can be fitted and scored."""
    fitted = np.bincount(y[fold.train], minlength=n_classes).min() >= 2
    scored = np.bincount(y[fold.test], minlength=n_classes).min() >= 2
    return fold if fitted and scored else None


def parse_protocols(text: str) -> tuple[Protocol, ...]:
    """Read ``within,few-shot``.

    Raises
    ------
    BadInputError
        On a name that is no protocol.
    """
    known = {p.value: p for p in Protocol}
    names = [part.strip() for part in text.split(",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BadInputError(f"there is no protocol {unknown[0]!r}; known are {', '.join(known)}.")
    return tuple(dict.fromkeys(known[name] for name in names))
