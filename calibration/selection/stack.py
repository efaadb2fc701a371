"""A stack: several fitted decoders whose log-probabilities are added with fixed weights.

windows of the union view, bands one after the other
    -> the bands of each member's own view -> its log-probabilities -> weighted sum
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin

from rtbci.calibration.scoring.accuracy import log_evidence
from rtbci.calibration.signal.streaming import ViewConfig


def stackable(one: ViewConfig | None, other: ViewConfig | None) -> bool:
    """Whether two views differ in nothing but their bands."""
    if one is None or other is None:
        return False
    return replace(one, bands_hz=other.bands_hz) == other


def union_view(views: Sequence[ViewConfig]) -> ViewConfig:
    """The view that holds every band of some stackable ones once."""
    bands = tuple(dict.fromkeys(band for view in views for band in view.bands_hz))
    return replace(views[0], bands_hz=bands)


class Stack(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Fitted decoders as one.

    Parameters
    ----------
    members : list of object
        Fitted, of the same classes.
    bands : list of list of int
        Bands of the union view that each member sees, in its order.
    weights : list of float
        Of each member's log-probabilities.
    n_bands : int
        Of the union view.
    """

    def __init__(
        self, members: list[Any], bands: list[list[int]], weights: list[float], n_bands: int
    ) -> None:
        self.members = members
        self.bands = bands
        self.weights = weights
        self.n_bands = n_bands

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """Classes in the order of the probabilities."""
        return np.asarray(self.members[0].classes_)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> Stack:
        """Fit every member anew on its bands; weights stay."""
        for member, bands in zip(self.members, self.bands, strict=True):
            member.fit(self._own(x, bands), y)
        return self

    def predict_proba(self, x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Probabilities, shape (n_trials, n_classes)."""
        total: Any = sum(
            weight * log_evidence(np.asarray(member.predict_proba(self._own(x, bands))))
            for member, bands, weight in zip(self.members, self.bands, self.weights, strict=True)
        )
        p = np.exp(total - total.max(axis=1, keepdims=True))
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    def predict(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Classes of the largest probability."""
        return np.asarray(self.classes_[np.argmax(self.predict_proba(x), axis=1)])

    def _own(self, x: npt.NDArray[Any], bands: list[int]) -> npt.NDArray[Any]:
        n = x.shape[1] // self.n_bands
        return np.concatenate([x[:, b * n : (b + 1) * n] for b in bands], axis=1)


def stack(
    members: Sequence[Any], views: Sequence[ViewConfig], weights: Sequence[float]
) -> tuple[Stack, ViewConfig]:
    """Make a stack of fitted decoders, and the view that it sees."""
    whole = union_view(views)
    bands = [[whole.bands_hz.index(b) for b in view.bands_hz] for view in views]
    return Stack(list(members), bands, list(weights), len(whole.bands_hz)), whole
