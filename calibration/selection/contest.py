"""Decoders on the same trials: each sees its own view, and none is fitted on what it is scored on.

    trials (judged once) -> windows of each view -> stateless steps, once for all splits
                                                 -> label-free steps, once for each training set
                                                 -> head, once for each labelling

A cross-validation, a nested one and a few hundred permutations of it differ in the labels and in
the training sets alone, so almost all of their work is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from pyriemann.estimation import Covariances
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline

from rtbci.calibration.decoders import riemann
from rtbci.calibration.decoders.catalogue import LABEL_FREE, Recipe, Task, make_decoder
from rtbci.calibration.population.estimator import PopulationDecoder
from rtbci.calibration.population.parts import parts_of
from rtbci.calibration.reading.trials import Windows
from rtbci.calibration.scoring.accuracy import log_evidence
from rtbci.calibration.scoring.cross_validation import Fold
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.errors import BadInputError
from rtbci.types import IndexArray

Evidence = npt.NDArray[np.float64]

STATELESS = (Covariances, riemann.BandCovariances, riemann.Augmented)
"""Steps whose fit learns nothing."""


def is_stateless(step: Any) -> bool:
    """Whether a step's output for a trial depends on nothing but that trial."""
    return isinstance(step, STATELESS) or bool(getattr(step, "stateless", False))


def is_label_free(step: Any) -> bool:
    """Whether a step's fit does not look at the labels."""
    return (
        is_stateless(step)
        or isinstance(step, LABEL_FREE)
        or bool(getattr(step, "label_free", False))
    )


@dataclass(frozen=True)
class Entry:
    """One decoder of a contest.

    Attributes
    ----------
    make : callable
        Gives an unfitted estimator.
    windows : Windows
        Of its view; all entries of a contest have the same trials.
    view : ViewConfig | None
        What its windows are of; a decoder without one is never stacked with another.
    """

    make: Callable[[], Any]
    windows: Windows
    view: ViewConfig | None = None


@dataclass(frozen=True)
class Prepared:
    """One split with all done that does not depend on the labels.

    Attributes
    ----------
    estimator : object
        What is left to fit.
    x : ndarray
        Input of what is left; of all windows where the rows are picked, else of the split's.
    train, test : ndarray
        Rows of ``x`` that are fitted on and scored.
    train_trial : ndarray
        Trial of each row of ``train``.
    test_place : ndarray
        Place of each row of ``test`` among the scored trials.
    """

    estimator: Any
    x: npt.NDArray[Any]
    train: IndexArray
    test: IndexArray
    train_trial: IndexArray
    test_place: IndexArray


def enter(
    recipes: Mapping[str, Recipe], task: Task, windows: Callable[[ViewConfig], Windows]
) -> tuple[dict[str, Entry], dict[str, str]]:
    """Entries of those recipes that can be made for a task.

    Parameters
    ----------
    recipes : mapping of str to Recipe
    task : Task
    windows : callable
        Gives the trials in a view; called once for each view.

    Returns
    -------
    entries : dict of str to Entry
    refused : dict of str to str
        Why the others can't be made.
    """
    cut = {view: windows(view) for view in {r.view for r in recipes.values()}}
    entries, refused = {}, {}
    for name, recipe in recipes.items():
        try:
            make_decoder(name, task)
        except BadInputError as err:
            refused[name] = str(err)
            continue
        make = partial(make_decoder, name, task)
        entries[name] = Entry(make, cut[recipe.view], recipe.view)
    return entries, refused


class Contest:
    """Evidence of several decoders on trials that they were not fitted on.

    Parameters
    ----------
    entries : mapping of str to Entry
        Simplest first, at least one.
    n_classes : int
    """

    def __init__(self, entries: Mapping[str, Entry], n_classes: int) -> None:
        if not entries:
            raise ValueError("a contest needs a decoder")
        first = next(iter(entries.values())).windows
        self.names = tuple(entries)
        self.n_classes = n_classes
        self.y, self.run = first.y, first.run
        self._entries = dict(entries)
        self._inputs: dict[str, tuple[list[Any], npt.NDArray[Any]]] = {}
        self._covariances: dict[int, npt.NDArray[Any]] = {}
        self._prepared: dict[tuple[str, bytes, bytes], Prepared] = {}

    def entry(self, name: str) -> Entry:
        """Entry of a decoder."""
        return self._entries[name]

    def only(self, names: Sequence[str]) -> Contest:
        """Some of the decoders, in the order given; what was prepared is shared."""
        part = Contest({n: self._entries[n] for n in names if n in self._entries}, self.n_classes)
        part._inputs, part._prepared = self._inputs, self._prepared
        part._covariances = self._covariances
        return part

    def drop(self, name: str) -> None:
        """Take a decoder out, as one that can't be fitted on these trials."""
        del self._entries[name]
        self.names = tuple(self._entries)

    def evidence(
        self, name: str, train: IndexArray, test: IndexArray, y: IndexArray | None = None
    ) -> Evidence:
        """Fit a decoder on some trials and let it decide others.

        Parameters
        ----------
        name : str
        train, test : ndarray of int
            Trials.
        y : ndarray, shape (n_trials,) | None
            Labels to fit on where they are not the true ones (a permutation).

        Returns
        -------
        evidence : ndarray, shape (n_test, n_classes)
            Summed log-probabilities.
        """
        log_p, place = self.log_probabilities(name, train, test, y)
        evidence = np.zeros((len(test), self.n_classes))
        np.add.at(evidence, place, log_p)
        return evidence

    def cross(self, name: str, folds: Iterable[Fold], y: IndexArray | None = None) -> Evidence:
        """Evidence of each trial from the fold that it is tested in; 0 where it is in none.

        Returns
        -------
        evidence : ndarray, shape (n_trials, n_classes)
        """
        total = np.zeros((len(self.y), self.n_classes))
        for fold in folds:
            total[fold.test] = self.evidence(name, fold.train, fold.test, y)
        return total

    def log_probabilities(
        self, name: str, train: IndexArray, test: IndexArray, y: IndexArray | None = None
    ) -> tuple[Evidence, IndexArray]:
        """As :meth:`evidence`, window by window.

        Returns
        -------
        log_p : ndarray, shape (n_windows, n_classes)
        place : ndarray, shape (n_windows,)
            Place of each window's trial in ``test``.
        """
        split = self._split(name, train, test)
        labels = self.y if y is None else y
        # The windows are finite and the estimators were checked when they were made; checking
        # both again costs as much as the fits.
        with config_context(assume_finite=True, skip_parameter_validation=True):
            fitted = clone(split.estimator).fit(split.x[split.train], labels[split.train_trial])
            p = np.asarray(fitted.predict_proba(split.x[split.test]), dtype=np.float64)
        return log_evidence(p), split.test_place

    def zero_shot(self, name: str, train: IndexArray, test: IndexArray) -> Evidence | None:
        """Evidence of a decoder that gets the training trials without labels.

        None where the decoder can't be used so.
        """
        entry = self._entries[name]
        estimator = entry.make()
        if not hasattr(estimator, "fit_unlabelled"):
            return None
        w = entry.windows
        fitted = estimator.fit_unlabelled(w.x[np.isin(w.trial, train) & w.fit])
        rows = np.flatnonzero(np.isin(w.trial, test))
        evidence = np.zeros((len(test), self.n_classes))
        p = np.asarray(fitted.predict_proba(w.x[rows]), dtype=np.float64)
        np.add.at(evidence, _places(w.trial[rows], test), log_evidence(p))
        return evidence

    def fit(self, name: str, trials: IndexArray | None = None) -> Any:
        """Fit a whole decoder on some trials, or on all."""
        entry = self._entries[name]
        w = entry.windows
        used = w.fit if trials is None else w.fit & np.isin(w.trial, trials)
        return entry.make().fit(w.x[used], w.y[w.trial[used]])

    def forget(self) -> None:
        """Free what was kept of the splits so far."""
        self._prepared.clear()

    def _input(self, name: str) -> tuple[list[Any], npt.NDArray[Any]]:
        """Steps after the stateless ones, and what these give for every window."""
        if name not in self._inputs:
            entry = self._entries[name]
            estimator = entry.make()
            steps = _steps(estimator, entry.windows.x)
            x: npt.NDArray[Any] = entry.windows.x
            with config_context(assume_finite=True, skip_parameter_validation=True):
                while len(steps) > 1 and is_stateless(steps[0]):
                    x = self._transformed(entry.windows, steps.pop(0), x)
            self._inputs[name] = (steps or [estimator], x)
        return self._inputs[name]

    def _transformed(self, windows: Windows, step: Any, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Apply a stateless step to all windows; covariances are shared by those who want them."""
        if not (isinstance(step, Covariances) and step.estimator == "oas" and x is windows.x):
            return np.asarray(clone(step).fit_transform(x))
        if id(windows) not in self._covariances:
            self._covariances[id(windows)] = riemann.oas(x)
        return self._covariances[id(windows)]

    def _split(self, name: str, train: IndexArray, test: IndexArray) -> Prepared:
        key = (name, train.tobytes(), test.tobytes())
        if key not in self._prepared:
            self._prepared[key] = self._prepare(name, train, test)
        return self._prepared[key]

    def _prepare(self, name: str, train: IndexArray, test: IndexArray) -> Prepared:
        steps, x = self._input(name)
        w = self._entries[name].windows
        fitted_on = np.flatnonzero(np.isin(w.trial, train) & w.fit)
        scored = np.flatnonzero(np.isin(w.trial, test))
        trial, place = w.trial[fitted_on], _places(w.trial[scored], test)
        free = 0
        while free < len(steps) - 1 and is_label_free(steps[free]):
            free += 1
        rest = make_pipeline(*steps[free:]) if len(steps) - free > 1 else steps[-1]
        if not free:
            return Prepared(rest, x, fitted_on, scored, trial, place)
        x_train, x_test = x[fitted_on], x[scored]
        for step in (clone(s) for s in steps[:free]):
            x_train = step.fit(x_train).transform(x_train)
            x_test = step.transform(x_test)
        return Prepared(
            rest,
            np.concatenate([x_train, x_test]),
            np.arange(len(x_train)),
            np.arange(len(x_train), len(x_train) + len(x_test)),
            trial,
            place,
        )


def _steps(estimator: Any, x: npt.NDArray[Any]) -> list[Any]:
    """Steps of an estimator that has some; none of any other."""
    if isinstance(estimator, Pipeline):
        return [step for _, step in estimator.steps]
    if isinstance(estimator, PopulationDecoder):
        return parts_of(estimator, x)
    return []


def _places(trial: IndexArray, test: IndexArray) -> IndexArray:
    """Place of each window's trial in the list of scored trials."""
    order = np.argsort(test)
    return np.asarray(order[np.searchsorted(test[order], trial)], dtype=np.int64)
