"""A head on top of any decoder: ridge-held logistic regression on tangent vectors.

The decoder's own log-probabilities are its offset and nothing is its prior, so that without
labels, or with a strong pull, the decoder stays what it is; whatever estimator that may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax

from rtbci.calibration.decoders import spd

Values = npt.NDArray[np.float64]

MIN_TRIALS = 4
"""Labelled trials, at least one of each class, from which on there is a head."""


def features(inverse_root: Values, covariance: Values) -> Values:
    """Tangent vector of one window's covariances, all bands together.

    Parameters
    ----------
    inverse_root : ndarray, shape (n_bands, n_electrodes, n_electrodes)
        Of the reference.
    covariance : ndarray, same shape, µV²

    Returns
    -------
    features : ndarray, shape (n_bands * n_electrodes * (n_electrodes + 1) / 2,)
    """
    logs = spd.tangent(inverse_root, covariance)
    rows, columns = np.triu_indices(logs.shape[-1])
    scale = np.where(rows == columns, 1.0, np.sqrt(2.0))
    return np.asarray((logs[:, rows, columns] * scale).ravel())


@dataclass(frozen=True)
class Head:
    """Added to the log-probabilities of a decoder.

    Attributes
    ----------
    weights : ndarray, shape (n_classes, n_features)
    centre : ndarray, shape (n_features,)
        Middle between the classes, taken off before.
    trials : int
        How many it was fitted on.

    Notes
    -----
    Each class weighs the same, so that the head does not learn which one was more frequent so
    far.  Against an order of cues that alternates it is helpless: in EEGMMIDB a class follows
    itself in 23 % of the trials only, so what is learned of slow drifts from the last trials
    points to the wrong class in the next one (-0.11 there, 12 subjects at chance).
    """

    MEMORY: ClassVar[int] = 200
    """The newest trials that a head is fitted on."""

    weights: Values
    centre: Values
    trials: int

    def __call__(self, x: Values) -> Values:
        """What is added for one window's features; shape (n_classes,)."""
        return np.asarray(self.weights @ (x - self.centre))

    @classmethod
    def fit(
        cls, trials: Sequence[tuple[int, Values, Values]], n_classes: int, pull: float
    ) -> Head | None:
        """Fit a head.

        Parameters
        ----------
        trials : sequence of (int, ndarray, ndarray)
            Class, the decoder's own centred log-probabilities, and features of each.
        n_classes : int
        pull : float
            Half of it times the squared weights is added to the summed log-loss.

        Returns
        -------
        head : Head | None
            None with too few trials, or while a class has not come.
        """
        y = np.array([wanted for wanted, _, _ in trials], dtype=np.intp)
        if len(y) < MIN_TRIALS or len(np.unique(y)) < n_classes:
            return None
        offset = np.stack([scores for _, scores, _ in trials])
        x = np.stack([values for _, _, values in trials])
        centre = np.mean([x[y == c].mean(axis=0) for c in range(n_classes)], axis=0)
        x = x - centre
        weight = len(y) / (n_classes * np.bincount(y, minlength=n_classes))[y]
        gram, rows = x @ x.T, np.arange(len(y))

        # In the span of the trials, weights = alpha' x: as many unknowns as trials.
        def loss(flat: Values) -> tuple[float, Values]:
            alpha = flat.reshape(len(y), n_classes)
            added = gram @ alpha
            logs = log_softmax(offset + added, axis=1)
            slope = np.exp(logs)
            slope[rows, y] -= 1
            slope *= weight[:, None]
            value = -float(weight @ logs[rows, y]) + 0.5 * pull * float(np.sum(alpha * added))
            return value, (gram @ (slope + pull * alpha)).ravel()

        start = np.zeros(len(y) * n_classes)
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 100})
        alpha = found.x.reshape(len(y), n_classes)
        return cls(np.asarray(alpha.T @ x), np.asarray(centre), len(y))
