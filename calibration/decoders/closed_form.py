"""A ridge classifier in closed form, for many more features than trials.

features --standardise, blocks of equal weight--> z --ridge on +-1, dual form--> scores
penalty and sharpness: what the trials are given by fits without them, also in closed form
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin

from rtbci.calibration.decoders.grouping import trial_groups

Array = npt.NDArray[np.float64]

PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""In units of the mean of the kernel's diagonal times the number of rows."""
SHARPNESS = np.logspace(-2, 2, 81)
TINY = 1e-12


class RidgeHead(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge on standardised features, with probabilities.

    Penalty and sharpness are chosen by leaving out one trial (all of its windows) after the
    other: residuals of rows g are ``G_gg^-1 (G t)_g`` with ``G = (K + penalty I)^-1``, the block
    form of the formula for one row (Allen 1974; Rifkin & Lippert 2007, MIT-CSAIL-TR-2007-025).

    Parameters
    ----------
    blocks : tuple of int
        Lengths of the kinds of features, in order; each kind weighs the same.  All are one kind
        where empty.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    centre_, gain_ : ndarray, shape (n_features,)
        Taken off, and multiplied by.
    weight_ : ndarray, shape (n_features, n_classes)
    offset_ : ndarray, shape (n_classes,)
    penalty_, sharpness_ : float
    """

    def __init__(self, blocks: tuple[int, ...] = ()) -> None:
        self.blocks = blocks

    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Self:
        """Fit to rows (n_rows, n_features) in order of time, trials whole."""
        x = np.asarray(X, dtype=np.float64)
        self.classes_, labels = np.unique(y, return_inverse=True)
        self.centre_ = x.mean(axis=0)
        spread = x.std(axis=0)
        sizes = np.array(self.blocks or (x.shape[1],))
        each = np.repeat(sizes * np.count_nonzero(sizes), sizes).astype(np.float64)
        self.gain_ = np.where(spread > TINY, 1.0 / np.maximum(spread, TINY), 0.0) / np.sqrt(each)
        z = (x - self.centre_) * self.gain_
        counts = np.bincount(labels)
        wanted = np.eye(len(counts))[labels]
        # Classes weigh the same, however many trials each has: rows are scaled, not targets.
        weight = np.sqrt(len(labels) / (len(counts) * counts))[labels][:, None]
        self.offset_ = np.full(len(counts), 1.0 / len(counts))
        rows, targets = z * weight, (wanted - self.offset_) * weight
        values, vectors = np.linalg.eigh(rows @ rows.T)
        groups = trial_groups(np.asarray(y))
        best = np.inf
        for penalty in PENALTIES:
            inverse = (vectors / (values + penalty * max(values.sum(), TINY))) @ vectors.T
            dual = inverse @ targets
            out = np.empty_like(targets)
            for g in np.unique(groups):
                own = np.flatnonzero(groups == g)
                out[own] = targets[own] - np.linalg.solve(inverse[np.ix_(own, own)], dual[own])
            error = float(np.square(targets - out).mean())
            if error < best:
                best, self.penalty_ = error, penalty
                self.weight_, left_out = rows.T @ dual, out / weight
        self.sharpness_ = sharpness(left_out, labels)
        return self

    def scores(self, X: npt.NDArray[Any]) -> Array:
        """Scores of the classes, shape (n_rows, n_classes)."""
        z = (np.asarray(X, dtype=np.float64) - self.centre_) * self.gain_
        # NB: row by row, so that one window gives bit for bit what many give.
        return np.stack([self.offset_ + row @ self.weight_ for row in z])

    def predict_proba(self, X: npt.NDArray[Any]) -> Array:
        """Probabilities of the classes, shape (n_rows, n_classes)."""
        return np.asarray(softmax(self.sharpness_ * self.scores(X), axis=1))

    def predict(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Classes, shape (n_rows,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


def sharpness(scores: Array, labels: npt.NDArray[np.intp]) -> float:
    """Factor on left-out scores that makes the labels most likely; small where none helps.

    Parameters
    ----------
    scores : ndarray, shape (n_rows, n_classes)
    labels : ndarray, shape (n_rows,)
        Class numbers.
    """
    rows = np.arange(len(labels))
    fit = [log_softmax(s * scores, axis=1)[rows, labels].mean() for s in SHARPNESS]
    return float(SHARPNESS[int(np.argmax(fit))])
