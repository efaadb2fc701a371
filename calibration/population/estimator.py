"""Decoders that stand on other people's trials: with own trials, or with none.

    trial --halves, whole band--> covariances --re-centred by own mean, logarithm--> x
    p(second class) = logistic(sharpness * w'x)

``population`` takes the weights of the bank's subjects as the prior mean of the user's own ridge,
``zero-shot`` takes them as they are and needs trials only to re-centre by, whatever they were of.
:mod:`rtbci.calibration.population.model` says how weights, pull and sharpness are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin

from rtbci.calibration.decoders.recipe import Recipe, Task
from rtbci.calibration.decoders.spd import riemannian_mean, roots, tangent
from rtbci.calibration.population.bank import (
    BANK_VIEW,
    Bank,
    check_bands,
    matching,
    part_covariances,
)
from rtbci.calibration.population.features import (
    MEAN_STEPS,
    balanced,
    vectors,
    whole_band,
)
from rtbci.calibration.population.model import Population, Seen, fit_population, personal, see
from rtbci.calibration.population.store import State, banks_at_hand, load_banks
from rtbci.calibration.signal.streaming import MIN_AVERAGE
from rtbci.errors import BadInputError

Array = npt.NDArray[np.float64]

MIN_SHARED = 2
"""Electrodes that bank and user must have in common: between two there is one difference."""
KEPT = 3
"""Fitted populations that a process keeps."""


class PopulationDecoder(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The bank's subjects as a prior for one's own trials.

    Parameters
    ----------
    electrodes : sequence of str
        Channels of a trial; those that the bank has are used.
    classes : sequence of str
        Two, in the order of the class numbers in ``y``.
    without : sequence of str
        Subjects of the bank that must not be known.
    own : bool
        Learn of the own trials; otherwise they are only re-centred by.

    Attributes
    ----------
    classes_ : ndarray, shape (2,)
        Class numbers.
    used_ : ndarray, shape (n_used,), int64
        Positions of the electrodes that are used.
    down_ : ndarray, shape (n_parts, n_used, n_used)
        Inverse square roots of the means that trials are re-centred by.
    order_ : ndarray, shape (n_used,) or (0,), int64
        Of the electrodes used in the mirror.
    sign_ : int
        What the mirror does to the classes.
    weights_ : ndarray, shape (n_features,)
    sharpness_, pull_ : float
    left_out_ : list of str
        Subjects of the bank whose recordings the trials themselves turned out to be.
    """

    def __init__(
        self,
        electrodes: Sequence[str] = (),
        classes: Sequence[str] = (),
        without: Sequence[str] = (),
        own: bool = True,
    ) -> None:
        self.electrodes = electrodes
        self.classes = classes
        self.without = without
        self.own = own

    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Self:
        """Fit to own trials with their classes.

        Parameters
        ----------
        X : ndarray, shape (n_windows, n_bands * n_electrodes, n_times), µV
            As seen through :data:`BANK_VIEW`.
        y : ndarray, shape (n_windows,)
            Class numbers, the first class's the smaller one.

        Raises
        ------
        BadInputError
            Where there is one class only, or as :meth:`fit_unlabelled`.
        """
        self.classes_ = np.unique(y)
        if len(self.classes_) != 2:
            raise BadInputError(
                f"the population decoder tells two classes apart, and the trials are of "
                f"{len(self.classes_)}; name two with --classes, or use another decoder."
            )
        signs = np.where(np.asarray(y) == self.classes_[1], 1.0, -1.0)
        population, logs = self._recentred(X, balanced(signs))
        if not self.own:
            return self._unlabelled(population)
        learned = population.learned(len(signs))
        self.pull_, self.sharpness_ = learned.pull, learned.sharpness
        x = vectors(logs, population.order, population.sign)
        self.weights_ = personal(learned.gain * population.weights, x, signs, learned.pull)
        return self

    def fit_unlabelled(self, X: npt.NDArray[Any]) -> Self:
        """Re-centre by trials whose classes nobody knows, or by windows of rest.

        Parameters
        ----------
        X : ndarray, shape (n_windows, n_bands * n_electrodes, n_times), µV

        Raises
        ------
        BadInputError
            Where bank and trials do not fit together.
        """
        self.classes_ = np.arange(2)
        population, _ = self._recentred(X, np.ones(len(X)))
        return self._unlabelled(population)

    def _unlabelled(self, population: Population) -> Self:
        learned = population.learned(0)
        self.pull_, self.sharpness_ = learned.pull, learned.sharpness
        self.weights_ = learned.gain * population.weights
        return self

    def _recentred(self, X: npt.NDArray[Any], weights: Array) -> tuple[Population, Array]:
        electrodes, classes = tuple(self.electrodes), tuple(self.classes)
        n_bands = len(BANK_VIEW.bands_hz)
        if X.shape[1] != n_bands * len(electrodes) or not len(X):
            raise BadInputError(
                f"the population decoder needs trials of {len(electrodes)} electrodes in "
                f"{n_bands} bands, and got {len(X)} trials of {X.shape[1]} channels; use its own "
                "view."
            )
        task = Task(electrodes, classes, tuple(self.without))
        used = shared_electrodes(task)
        self.used_ = np.array([electrodes.index(e) for e in used], dtype=np.int64)
        self.average_ = len(electrodes) >= MIN_AVERAGE
        covariances = self._covariances(X)
        self.left_out_ = sorted(_recognised(used, classes, self.average_, covariances))
        out = tuple(sorted({name.casefold() for name in (*self.without, *self.left_out_)}))
        population = _population(banks_at_hand(), used, classes, self.average_, out)
        self.order_ = np.array(population.order, dtype=np.int64)
        self.sign_ = population.sign
        whole = whole_band(covariances)
        self.down_ = roots(riemannian_mean(whole, weights, steps=MEAN_STEPS))[1]
        return population, tangent(self.down_, whole)

    def _covariances(self, X: npt.NDArray[Any]) -> Array:
        """Covariances of bands and parts between the electrodes that are used."""
        n_bands = len(BANK_VIEW.bands_hz)
        bands = np.asarray(X).reshape(len(X), n_bands, -1, X.shape[2])[:, :, self.used_]
        if self.average_:
            bands = bands - bands.mean(axis=2, keepdims=True)
        return part_covariances(bands.reshape(len(X), -1, X.shape[2]), n_bands)

    def decision_function(self, X: npt.NDArray[Any]) -> Array:
        """Log-odds of the second class, shape (n_windows,)."""
        logs = tangent(self.down_, whole_band(self._covariances(X)))
        x = vectors(logs, self.order_.tolist(), self.sign_)
        # NB: row by row, so that one window alone gives what it gives among others.
        return np.array([float(row @ self.weights_) for row in x]) * self.sharpness_

    def predict_proba(self, X: npt.NDArray[Any]) -> Array:
        """Probabilities of both classes, shape (n_windows, 2)."""
        p = 1.0 / (1.0 + np.exp(-self.decision_function(X)))
        return np.stack([1.0 - p, p], axis=1)

    def predict(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Class numbers."""
        chosen: npt.NDArray[Any] = self.classes_[(self.decision_function(X) > 0).astype(int)]
        return chosen


def shared_electrodes(task: Task) -> tuple[str, ...]:
    """Electrodes of a task that the banks have, in the task's order.

    Raises
    ------
    BadInputError
        Where there are too few, or no bank knows both classes.
    """
    return _usable(banks_at_hand(), task.electrodes, task.classes)[1]


def _usable(
    state: State, electrodes: tuple[str, ...], classes: tuple[str, ...]
) -> tuple[tuple[Bank, ...], tuple[str, ...]]:
    """Banks for a task, and the electrodes used: the shipped bank's, then whoever has them all."""
    if len(classes) != 2:
        raise BadInputError(
            f"the population decoder tells two classes apart, and there are {len(classes)} "
            f"({', '.join(classes)}); use another decoder, or two of them."
        )
    banks = load_banks(state)
    knowing = [b for b in banks if set(classes) <= set(b.classes)]
    if not knowing:
        known = sorted({c for b in banks for c in b.classes})
        raise BadInputError(
            f"the population bank does not know both {' and '.join(classes)}; it has "
            f"{', '.join(known) or 'no class'}; use another decoder, or add subjects with: "
            "rtbci bank add"
        )
    shared = max((tuple(e for e in electrodes if e in b.electrodes) for b in knowing), key=len)
    if len(shared) < MIN_SHARED:
        raise BadInputError(
            f"the population bank shares {', '.join(shared) or 'no electrode'} with this montage "
            f"({', '.join(electrodes)}) and needs {MIN_SHARED}; it has "
            f"{', '.join(knowing[0].electrodes)}; name the channels with --montage, or use "
            "another decoder."
        )
    fitting = tuple(b for b in knowing if set(shared) <= set(b.electrodes))
    check_bands(fitting)
    return fitting, shared


@lru_cache(maxsize=KEPT)
def _trials(
    state: State,
    used: tuple[str, ...],
    classes: tuple[str, ...],
    average: bool,
) -> tuple[tuple[Bank, Array], ...]:
    banks, _ = _usable(state, used, classes)
    return tuple((b, b.cut(used, average).astype(np.float32)) for b in banks)


def _recognised(
    used: tuple[str, ...], classes: tuple[str, ...], average: bool, own: Array
) -> set[str]:
    """Subjects of the banks whose recordings these trials are."""
    found: set[str] = set()
    for bank, covariances in _trials(banks_at_hand(), used, classes, average):
        found |= matching(covariances, bank.subject, bank.subjects, own)
    return found


@lru_cache(maxsize=KEPT)
def _seen(
    state: State, used: tuple[str, ...], classes: tuple[str, ...], average: bool
) -> tuple[Seen, ...]:
    return see(_usable(state, used, classes)[0], used, classes, average)


@lru_cache(maxsize=KEPT)
def _population(
    state: State,
    used: tuple[str, ...],
    classes: tuple[str, ...],
    average: bool,
    without: tuple[str, ...],
) -> Population:
    return fit_population(_seen(state, used, classes, average), used, classes, without)


def _make(task: Task, own: bool) -> PopulationDecoder:
    shared_electrodes(task)
    return PopulationDecoder(task.electrodes, task.classes, task.without, own)


RECIPES: dict[str, Recipe] = {
    "zero-shot": Recipe(lambda task: _make(task, own=False), BANK_VIEW),
    "population": Recipe(lambda task: _make(task, own=True), BANK_VIEW),
}
"""Simplest first."""
