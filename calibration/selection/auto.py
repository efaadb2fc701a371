"""``auto``: the decoder that a subject's own trials speak for, chosen without looking at the test.

    every candidate, blocked folds in order of time --> score and its standard error
        --> of those within one standard error of the best, the simplest
    two candidates whose views differ in bands alone --> their evidence added: a stack, less simple
    nested: the choice made again inside each outer fold, its own score from trials unseen by it

Simple is what learns few numbers from the subject's own labels: candidates come in that order.
The one-standard-error rule is that of Breiman et al. 1984; here the error is that of the paired
difference to the best, over trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from rtbci.calibration.scoring.accuracy import balanced_accuracy
from rtbci.calibration.scoring.cross_validation import MIN_TRIALS, Fold, Folds, blocked_folds
from rtbci.calibration.scoring.metrics import auc
from rtbci.calibration.selection.contest import Contest, Evidence
from rtbci.calibration.selection.stack import stackable
from rtbci.errors import BadInputError
from rtbci.types import IndexArray

JOIN = " & "
"""Between the names of a stack's members."""
TIE = 1e-3
"""One trial more or less changes balanced accuracy by more than this up to 500 trials a class."""
MIN_NESTED = 2
"""Trials of each class that a fold's training must hold."""


@dataclass(frozen=True)
class Choice:
    """What ``auto`` chose, and from what.

    Attributes
    ----------
    name : str
        Of a candidate, or of a stack (``population & ts+lr``).
    members : tuple of str
        Its decoders.
    weights : tuple of float
        Of each member's log-probabilities, summing to 1.
    scores : dict of str to float
        Balanced accuracy of every candidate on the folds of the choice, simplest first.
    errors : dict of str to float
        Standard error of each one's difference to the best.
    dropped : dict of str to str
        Candidates that could not be fitted here, and why.
    """

    name: str
    members: tuple[str, ...]
    weights: tuple[float, ...]
    scores: dict[str, float]
    errors: dict[str, float]
    dropped: dict[str, str] = field(default_factory=dict)

    def lines(self) -> tuple[str, str]:
        """Say what was chosen, what was left, and why."""
        best = max(self.scores, key=lambda k: self.scores[k])
        shown = f"{self.name}: {self.scores[self.name]:.2f} on the folds of the choice"
        if len(self.scores) == 1:
            why = "nothing else was tried"
        elif best == self.name:
            why = "the best, and no simpler one comes within its standard error"
        else:
            why = (
                f"{best} reaches {self.scores[best]:.2f}, within one standard error "
                f"({self.errors[self.name]:.2f}), and is less simple"
            )
        rest = [f"{k} {v:.2f}" for k, v in self.scores.items() if k not in (self.name, best)]
        rest += [f"{k} ({why_not})" for k, why_not in self.dropped.items()]
        return f"chose {shown}; {why}", f"left {', '.join(rest) or 'nothing else'}"


def choose(contest: Contest, trials: IndexArray | None = None) -> Choice:
    """Choose a decoder on some trials, or on all of a contest.

    Raises
    ------
    BadInputError
        Where no candidate can be fitted, or a class has too few trials.
    """
    used = np.arange(len(contest.y)) if trials is None else trials
    folds = folds_of(contest, used)
    evidence, dropped = _try(contest, folds.folds, None)
    return _chosen(contest, evidence, contest.y, used, dropped)


def folds_of(contest: Contest, trials: IndexArray, y: IndexArray | None = None) -> Folds:
    """Blocked folds over some of a contest's trials, by the true labels or others."""
    labels = contest.y if y is None else y
    folds = blocked_folds(labels[trials], contest.run[trials], contest.n_classes)
    return Folds(tuple(Fold(trials[f.train], trials[f.test]) for f in folds.folds), folds.label)


def nested_evidence(
    contest: Contest, folds: Folds, y: IndexArray | None = None
) -> tuple[Evidence, list[str]]:
    """Evidence of ``auto`` as a whole: in each outer fold the choice is made without its test.

    Parameters
    ----------
    folds : Folds
        The outer ones; the inner ones are the same blocks but for the outer's, where these are
        enough, so that a fit without blocks j and k serves both ways round.
    y : ndarray | None
        Other labels than the true ones.

    Returns
    -------
    evidence : ndarray, shape (n_trials, n_classes)
    chosen : list of str
        Name of the choice in each fold.
    """
    labels = contest.y if y is None else y
    made = np.zeros((len(contest.y), contest.n_classes))
    pairs: dict[tuple[str, int, int], Evidence] = {}
    chosen = []
    for k, outer in enumerate(folds.folds):
        inner = _inner(contest, folds, k, labels)
        if inner is None:
            again = _again(contest, outer.train, labels)
            names = contest.names if again else contest.names[:1]  # the simplest, unseen
            evidence = {n: contest.cross(n, again, y) for n in names}
        else:
            evidence = {}
            for name in contest.names:
                total = np.zeros_like(made)
                for j, fold in inner.items():
                    key = (name, min(j, k), max(j, k))
                    if key not in pairs:
                        both = np.concatenate([folds.folds[key[1]].test, folds.folds[key[2]].test])
                        pairs[key] = contest.cross(name, [Fold(fold.train, both)], y)
                    total[fold.test] = pairs[key][fold.test]
                evidence[name] = total
        choice = _chosen(contest, evidence, labels, outer.train, {})
        chosen.append(choice.name)
        members = {m: contest.cross(m, [outer], y) for m in choice.members}
        made[outer.test] = combine(choice, members)[outer.test]
    return made, chosen


def choice_score(contest: Contest, folds: Folds, y: IndexArray) -> float:
    """Score of the whole of ``auto`` on the folds of its choice: what permutations repeat.

    Balanced accuracy has few values, and every tie makes a permutation as good as the truth; so
    the area under the ROC curve, far too small to turn any order, breaks the ties.
    """
    evidence = {n: contest.cross(n, folds.folds, y) for n in contest.names}
    choice = _chosen(contest, evidence, y, np.arange(len(y)), {})
    return choice.scores[choice.name] + TIE * auc(combine(choice, evidence), y)


def auto_evidence(contest: Contest, train: IndexArray, test: IndexArray) -> tuple[Evidence, Choice]:
    """Let ``auto`` choose and fit on some trials and decide others."""
    choice = choose(contest, train)
    members = {m: contest.evidence(m, train, test) for m in choice.members}
    return combine(choice, members), choice


def one_standard_error(
    decided: Mapping[str, IndexArray], truth: IndexArray, n_classes: int
) -> tuple[str, dict[str, float], dict[str, float]]:
    """Of those within one standard error of the best, the simplest.

    Parameters
    ----------
    decided : mapping of str to ndarray, shape (n_trials,)
        Class that each candidate decided for each trial, the simplest candidate first.
    truth : ndarray, shape (n_trials,)

    Returns
    -------
    name : str
    scores : dict of str to float
        Balanced accuracy.
    errors : dict of str to float
        Standard error of each one's difference to the best, paired over trials.
    """
    scores = {k: balanced_accuracy(truth, d, n_classes) for k, d in decided.items()}
    best = max(scores, key=lambda k: scores[k])
    errors = {
        k: float(
            np.std((decided[best] == truth).astype(float) - (d == truth), ddof=1)
            / np.sqrt(len(truth))
        )
        for k, d in decided.items()
    }
    return next(k for k in scores if scores[k] >= scores[best] - errors[k]), scores, errors


def combine(choice: Choice, members: Mapping[str, Evidence]) -> Evidence:
    """Weighted sum of the members' evidence."""
    total: Evidence = sum(
        (w * members[m] for m, w in zip(choice.members, choice.weights, strict=True)),
        np.zeros_like(members[choice.members[0]]),
    )
    return total


def _again(contest: Contest, trials: IndexArray, labels: IndexArray) -> tuple[Fold, ...]:
    """Folds over an outer fold's training by itself; none where it has too few trials for that."""
    if np.bincount(labels[trials], minlength=contest.n_classes).min() < MIN_TRIALS:
        return ()
    return folds_of(contest, trials, labels).folds


def _inner(contest: Contest, folds: Folds, k: int, labels: IndexArray) -> dict[int, Fold] | None:
    """Folds inside the training of outer fold k, by block; None where these are too few."""
    made = {}
    for j, other in enumerate(folds.folds):
        if j == k:
            continue
        train = np.intersect1d(folds.folds[k].train, other.train)
        counts = np.bincount(labels[train], minlength=contest.n_classes)
        if counts.min() < MIN_NESTED:
            return None
        # NB: the purged neighbours of block k are not scored either.
        made[j] = Fold(train, np.intersect1d(other.test, folds.folds[k].train))
    return made if len(made) > 1 else None


def _try(
    contest: Contest, folds: Sequence[Fold], y: IndexArray | None
) -> tuple[dict[str, Evidence], dict[str, str]]:
    """Evidence of every candidate; those that can't be fitted here leave the contest."""
    evidence, dropped = {}, {}
    for name in contest.names:
        try:
            evidence[name] = contest.cross(name, folds, y)
        except BadInputError as err:
            dropped[name] = str(err)
    for name in dropped:
        contest.drop(name)
    if not evidence:
        raise BadInputError(next(iter(dropped.values())))
    return evidence, dropped


def _scale(evidence: Evidence) -> float:
    """How large a decoder's log-odds are; their size says little of how often it is right."""
    centred = evidence - evidence.mean(axis=1, keepdims=True)
    return float(np.sqrt(np.mean(centred**2))) or 1.0


def _chosen(
    contest: Contest,
    evidence: Mapping[str, Evidence],
    y: IndexArray,
    used: IndexArray,
    dropped: Mapping[str, str],
) -> Choice:
    """Apply the one-standard-error rule to single decoders and stacks of two."""
    candidates: dict[str, tuple[tuple[str, ...], tuple[float, ...]]] = {
        name: ((name,), (1.0,)) for name in evidence
    }
    for pair in combinations(evidence, 2):
        if not stackable(contest.entry(pair[0]).view, contest.entry(pair[1]).view):
            continue
        inverse = [1.0 / _scale(evidence[name][used]) for name in pair]
        weights = tuple(w / sum(inverse) for w in inverse)
        candidates[JOIN.join(pair)] = (pair, weights)
    truth, n_classes = y[used], next(iter(evidence.values())).shape[1]
    decided = {}
    for name, (members, weights) in candidates.items():
        total: Any = sum(w * evidence[m][used] for m, w in zip(members, weights, strict=True))
        decided[name] = np.argmax(total, axis=1).astype(np.int64)
    name, scores, errors = one_standard_error(decided, truth, n_classes)
    members, weights = candidates[name]
    return Choice(name, members, weights, scores, errors, dict(dropped))
