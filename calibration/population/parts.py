"""The population decoder in parts, for evaluation: what does not look at the labels is done once.

    window --stateless--> covariances --label-free--> vectors --head--> log-odds

Whole, a fit takes the mean of its trials with as much weight for each class, and so a little of
the labels; in parts each trial has the same weight.  Nothing else differs: a few hundred
permutations then cost as many small ridges and no mean of covariances.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin

from rtbci.calibration.decoders.spd import riemannian_mean, roots, tangent
from rtbci.calibration.population.estimator import PopulationDecoder
from rtbci.calibration.population.features import (
    MEAN_STEPS,
    vectors,
    whole_band,
)
from rtbci.calibration.population.model import Population, personal

Array = npt.NDArray[np.float64]


class Halves(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Covariances of the windows' halves, as a fitted decoder takes them."""

    stateless = True

    def __init__(self, decoder: PopulationDecoder) -> None:
        self.decoder = decoder

    def __sklearn_clone__(self) -> Halves:
        return Halves(self.decoder)

    def fit(self, _: npt.NDArray[Any], __: npt.NDArray[Any] | None = None) -> Self:
        """Learn nothing."""
        return self

    def transform(self, X: npt.NDArray[Any]) -> Array:
        """Covariances, shape (n_windows, n_parts, n_used, n_used)."""
        return whole_band(self.decoder._covariances(X))


class Recentred(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Tangent vectors at the mean of the training's covariances."""

    label_free = True

    def __init__(self, population: Population) -> None:
        self.population = population

    def __sklearn_clone__(self) -> Recentred:
        return Recentred(self.population)

    def fit(self, X: Array, _: npt.NDArray[Any] | None = None) -> Self:
        """Take the mean."""
        self.down_ = roots(riemannian_mean(X, np.ones(len(X)), steps=MEAN_STEPS))[1]
        return self

    def transform(self, X: Array) -> Array:
        """Vectors, shape (n_windows, n_features)."""
        return vectors(tangent(self.down_, X), self.population.order, self.population.sign)


class Personal(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The population's weights, moved by the own trials or as they are."""

    def __init__(self, population: Population, own: bool) -> None:
        self.population = population
        self.own = own

    def __sklearn_clone__(self) -> Personal:
        return Personal(self.population, self.own)

    def fit(self, X: Array, y: npt.NDArray[Any]) -> Self:
        """Fit the ridge about the population's weights."""
        self.classes_ = np.unique(y)
        signs = np.where(np.asarray(y) == self.classes_[-1], 1.0, -1.0)
        learned = self.population.learned(len(signs) if self.own else 0)
        prior = learned.gain * self.population.weights
        self.weights_ = personal(prior, X, signs, learned.pull) if self.own else prior
        self.sharpness_ = learned.sharpness
        return self

    def predict_proba(self, X: Array) -> Array:
        """Probabilities of both classes, shape (n_windows, 2)."""
        p = 1.0 / (1.0 + np.exp(-self.sharpness_ * (X @ self.weights_)))
        return np.stack([1.0 - p, p], axis=1)


def parts_of(decoder: PopulationDecoder, windows: npt.NDArray[Any]) -> list[Any]:
    """Steps of an unfitted decoder.

    Parameters
    ----------
    windows : ndarray, shape (n_windows, n_channels, n_times), µV
        All that will be fitted on or scored: a subject of the bank that they are of is left out
        by them, whatever she is called.

    Raises
    ------
    BadInputError
        As the decoder's own ``fit``.
    """
    population, _ = decoder._recentred(windows, np.ones(len(windows)))
    return [Halves(decoder), Recentred(population), Personal(population, decoder.own)]
