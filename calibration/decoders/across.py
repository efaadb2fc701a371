"""The foundation model's features, with a head that other people's trials have taught.

    window --frozen encoder--> deviations of states, levels --less the mean of own trials--> x
    bank of features (rtbci.calibration.population.feature_bank), the target left out
        --folded along the mirror, standardised, principal components--> ridge: w0
    own trials: w = argmin sum (y - w'x)^2 + pull |w - gain w0|^2
    p(second class) = logistic(sharpness * w'x)

That is supervised pretraining across subjects after alignment, in closed form: alignment is by
each session's own mean, and pull, gain and sharpness are what treating each subject of the bank
as the new one teaches (:mod:`rtbci.calibration.population.model`).  With weights in folds
(``eegpt-population@FOLDS``) neither weights nor head have seen the subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from rtbci.calibration.decoders.foundation import DEFAULT, StreamingFeatures, base
from rtbci.calibration.decoders.grouping import trial_groups
from rtbci.calibration.population.feature_bank import FeatureBank, Features, few, find_features
from rtbci.calibration.population.features import balanced, mirror_columns, mirror_sign
from rtbci.calibration.population.model import (
    EXECUTED,
    IMAGINED,
    Population,
    Seen,
    fit_population,
    personal,
)
from rtbci.errors import BadInputError
from rtbci.montage import mirror_electrode
from rtbci.types import FloatArray, IndexArray

Array = npt.NDArray[np.float64]

COMPONENTS = 200
"""Of the bank's trials: a ridge on these costs a thousandth of one on all features."""
SCALES = (2.0, 4.0, 8.0, 16.0, 32.0)
"""Root mean square length of a trial's vector: with a ridge of fixed strength, how much of the
bank is believed.  The one is taken that is best for the bank's subjects, each left out."""
SAME = 0.003
"""Two trials are one recording when their features differ by less, relative to their size:
float16 leaves a tenth of it, other trials of the same subject differ by fifty times as much."""
TINY = 1e-9


@dataclass(frozen=True)
class Prior:
    """What a bank says for some electrodes and two classes.

    Attributes
    ----------
    population : Population
        On the components.
    order : tuple of int
        Of the electrodes in the mirror; empty where they have none.
    basis : ndarray, shape (n_features, n_components)
        From folded features to components, standard deviations and scale included.
    """

    population: Population
    order: tuple[int, ...]
    basis: Array


def fold(rows: Array, order: Sequence[int], sign: int) -> Array:
    """Features of electrodes (n, E, f), folded along the mirror where there is one, flat.

    As for tangent vectors: x + sign * mirror(x) tells all that a pair of mirrored trials does.
    """
    if not len(order) or not sign:
        return rows.reshape(len(rows), -1)
    turned = np.asarray(order)
    pairs = np.flatnonzero(turned > np.arange(len(turned)))
    folded = (rows[:, pairs] + sign * rows[:, turned[pairs]]) / np.sqrt(2.0)
    alone = rows[:, turned == np.arange(len(turned))]
    made = np.concatenate([folded, alone], axis=1) if sign > 0 else folded
    return np.asarray(made.reshape(len(rows), -1))


def recognised(bank: FeatureBank, electrodes: Sequence[str], own: Array) -> set[str]:
    """Subjects of the bank whose recordings these trials are, shape (n, E, f)."""
    theirs, mine = (a.reshape(len(a), -1) for a in (bank.whole(electrodes), own))
    length = np.maximum(np.sum(theirs**2, axis=1), TINY)
    # |a - b|^2 = |a|^2 + |b|^2 - 2 ab
    apart = length[:, np.newaxis] + np.sum(mine**2, axis=1) - 2 * theirs @ mine.T
    found = apart.min(axis=1) < SAME**2 * length
    return {bank.subjects[s] for s in np.unique(bank.subject[found])}


@lru_cache(maxsize=3)
def _prior(
    identity: str,
    electrodes: tuple[str, ...],
    classes: tuple[str, ...],
    without: tuple[str, ...],
) -> Prior:
    return make_prior(find_features(identity, electrodes), electrodes, classes, without)


def make_prior(
    bank: FeatureBank,
    electrodes: Sequence[str],
    classes: Sequence[str],
    without: Sequence[str] = (),
) -> Prior:
    """Fit what a bank's subjects have in common.

    Parameters
    ----------
    electrodes : sequence of str
        All of the bank's.
    classes : sequence of str
        Two.
    without : sequence of str
        Subjects that are left out, in whatever case their names are written.

    Raises
    ------
    BadInputError
        Where the bank lacks a class, or nobody is left.
    """
    if len(classes) != 2 or not set(classes) <= set(bank.classes):
        raise BadInputError(
            f"the bank of features has {', '.join(bank.classes)}, and two of these are wanted, "
            f"not {', '.join(classes)}; make another with: rtbci bank features DATA..."
        )
    sign, order = mirror_sign(classes), tuple(mirror_columns(electrodes))
    out = {name.casefold() for name in without}
    numbers = [bank.classes.index(c) for c in classes]
    kept = np.isin(bank.wanted, numbers)
    kept &= ~np.isin(bank.subject, [k for k, s in enumerate(bank.subjects) if s.casefold() in out])
    if not kept.any():
        raise BadInputError(
            f"the bank of features has no subject with both {' and '.join(classes)} but the one "
            "that is scored; make it of more people with: rtbci bank features DATA..."
        )
    flat = fold(bank.rows(electrodes)[kept], order, sign)
    names = [mirror_electrode(e) for e in electrodes]
    image = None
    if sign and not order and set(names) <= set(bank.electrodes):
        image = fold(bank.rows(names)[kept], order, sign)
    # Every electrode has d numbers for its states and one for its level, which weighs as they do.
    per = bank.states.shape[2] + 1
    share = np.ones(per)
    share[-1] = np.sqrt(per - 1)
    spread = np.maximum(flat.std(axis=0), TINY)
    gain = np.tile(share, flat.shape[1] // per) / spread
    _, values, turned = np.linalg.svd(flat * gain, full_matrices=False)
    turned = turned[: min(COMPONENTS, int(np.sum(values > TINY * values[0])))]
    basis = gain[:, np.newaxis] * turned.T
    x = flat @ basis
    basis /= np.sqrt(np.mean(np.sum(x**2, axis=1)))
    made = []
    for scale in SCALES:
        into = scale * basis
        seen = _seen(
            bank, kept, flat @ into, None if image is None else image @ into, numbers, sign
        )
        population = fit_population(seen, electrodes, classes)
        made.append((population.left_out_loss(), Prior(population, order, into)))
    return min(made, key=lambda one: one[0])[1]


def _seen(
    bank: FeatureBank,
    kept: npt.NDArray[np.bool_],
    x: Array,
    image: Array | None,
    numbers: Sequence[int],
    sign: int,
) -> list[Seen]:
    """Subjects as :func:`rtbci.calibration.population.model.fit_population` takes them."""
    subject, wanted, imagined = bank.subject[kept], bank.wanted[kept], bank.imagined[kept]
    made = []
    for number in np.unique(subject):
        hers = subject == number
        y = np.where(wanted[hers] == numbers[1], 1.0, -1.0)
        if len(np.unique(y)) < 2:
            continue
        rows, target = x[hers], y
        weight = np.where(imagined[hers], IMAGINED, EXECUTED)
        if image is not None:
            rows, target = np.concatenate([rows, image[hers]]), np.concatenate([y, sign * y])
            weight = np.concatenate([weight, weight]) / 2
        scored = imagined[hers] if imagined[hers].any() else np.ones(len(y), dtype=np.bool_)
        made.append(Seen(bank.subjects[number], x[hers], y, rows, target, weight, scored))
    return made


class AcrossHead(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A head on the features of :class:`StreamingFeatures`, with the bank as its prior.

    Parameters
    ----------
    electrodes, classes : tuple of str
        As the decoder gets them.
    weights : str
        Name in the zoo, or a path.
    without : tuple of str
        Subjects of the bank that must not be known.

    Attributes
    ----------
    classes_ : ndarray, shape (2,)
    centre_ : ndarray, shape (E, d + 1)
        Mean of the own trials.
    order_, sign_
        The mirror.
    direction_ : ndarray, shape (n_features,)
        Log-odds of the second class for each folded feature.
    left_out_ : list of str
        Subjects of the bank whose recordings the trials turned out to be.
    """

    def __init__(
        self,
        electrodes: tuple[str, ...] = (),
        classes: tuple[str, ...] = (),
        weights: str = DEFAULT,
        without: tuple[str, ...] = (),
    ) -> None:
        self.electrodes = electrodes
        self.classes = classes
        self.weights = weights
        self.without = without

    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Self:
        """Fit to windows' features (n_windows, n) in order of time, trials whole.

        Raises
        ------
        BadInputError
            Where there is one class only, or as :func:`make_prior`.
        """
        self.classes_ = np.unique(y)
        if len(self.classes_) != 2:
            raise BadInputError(
                "eegpt-population tells two classes apart, and the trials are of "
                f"{len(self.classes_)}; name two with --classes, or use another decoder."
            )
        rows, at = self._rows(X), _trials_of(np.asarray(y))
        trials = np.stack([rows[k].mean(axis=0) for k in at])
        signs = np.where(np.asarray(y)[[k[0] for k in at]] == self.classes_[1], 1.0, -1.0)
        prior = self._begin(rows, at, trials, balanced(signs))
        learned = prior.population.learned(len(signs))
        x = fold(trials - self.centre_, prior.order, self.sign_) @ prior.basis
        w = personal(learned.gain * prior.population.weights, x, signs, learned.pull)
        return self._finish(prior, w, learned.sharpness)

    def fit_unlabelled(self, X: npt.NDArray[Any]) -> Self:
        """Centre on trials whose classes nobody knows, and take the bank's head as it is."""
        self.classes_ = np.arange(2)
        rows = self._rows(X)
        prior = self._begin(rows, _trials_of(np.zeros(len(X))), rows, np.ones(len(X)))
        learned = prior.population.learned(0)
        return self._finish(prior, learned.gain * prior.population.weights, learned.sharpness)

    def _begin(self, rows: Array, at: Sequence[IndexArray], trials: Array, weight: Array) -> Prior:
        identity = base(self.weights).identity
        electrodes, classes = tuple(self.electrodes), tuple(self.classes)
        bank = find_features(identity, electrodes)
        own = np.stack([rows[few(k)].mean(axis=0) for k in at])
        self.left_out_ = sorted(recognised(bank, electrodes, own))
        out = tuple(sorted({s.casefold() for s in (*self.without, *self.left_out_)}))
        prior = _prior(identity, electrodes, classes, out)
        self.centre_ = np.average(trials, axis=0, weights=weight)
        self.order_ = np.array(prior.order, dtype=np.int64)
        self.sign_ = mirror_sign(classes)
        return prior

    def _finish(self, prior: Prior, weights: Array, sharpness: float) -> Self:
        self.direction_ = sharpness * (prior.basis @ weights)
        return self

    def _rows(self, X: npt.NDArray[Any]) -> Array:
        """Features by electrode, shape (n, E, d + 1); the graph's are left aside."""
        states, levels = split(np.asarray(X, dtype=np.float64), len(self.electrodes))
        return np.concatenate([states, levels[:, :, np.newaxis]], axis=2)

    def decision_function(self, X: npt.NDArray[Any]) -> Array:
        """Log-odds of the second class, shape (n_windows,)."""
        x = fold(self._rows(X) - self.centre_, self.order_.tolist(), self.sign_)
        # NB: row by row, so that one window alone gives what it gives among others.
        return np.array([float(row @ self.direction_) for row in x])

    def predict_proba(self, X: npt.NDArray[Any]) -> Array:
        """Probabilities of both classes, shape (n_windows, 2)."""
        p = 1.0 / (1.0 + np.exp(-self.decision_function(X)))
        return np.stack([1.0 - p, p], axis=1)

    def predict(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Class numbers."""
        chosen: npt.NDArray[Any] = self.classes_[(self.decision_function(X) > 0).astype(int)]
        return chosen


def _trials_of(y: npt.NDArray[Any]) -> list[IndexArray]:
    """Rows of each trial, in order of time."""
    groups = trial_groups(y)
    made = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    return sorted(made, key=lambda rows: int(rows[0]))


class Across(Pipeline):  # type: ignore[misc]
    """Frozen features and :class:`AcrossHead`; also without labels."""

    def fit_unlabelled(self, X: npt.NDArray[Any]) -> Self:
        """As that of the head."""
        features, head = (step for _, step in self.steps)
        head.fit_unlabelled(features.fit(X).transform(X))
        return self


def maker(weights: str) -> tuple[str, Features]:
    """Hash of weights, and what makes the features of a bank with them.

    Parameters
    ----------
    weights : str
        Name in the zoo, or a path.
    """

    def make(electrodes: tuple[str, ...], x: FloatArray) -> tuple[FloatArray, FloatArray]:
        made = StreamingFeatures(electrodes, weights).fit(x).transform(x)
        return split(made, len(electrodes))

    return base(weights).identity, make


def split(features: npt.NDArray[Any], n_electrodes: int) -> tuple[Any, Any]:
    """Deviations of states (n, E, d) and levels (n, E); the graph's features are left aside."""
    d = (features.shape[1] - n_electrodes) // (n_electrodes + 1)
    states = features[:, : n_electrodes * d].reshape(len(features), n_electrodes, d)
    return states, features[:, -n_electrodes:]


def across(
    electrodes: Sequence[str],
    classes: Sequence[str],
    without: Sequence[str] = (),
    weights: str = DEFAULT,
) -> Across:
    """Make the decoder.

    Raises
    ------
    BadInputError
        Where there is no bank of features for these weights and electrodes.
    """
    find_features(base(weights).identity, electrodes)
    names, wanted = tuple(electrodes), tuple(classes)
    return Across(
        [
            ("features", StreamingFeatures(names, weights)),
            ("head", AcrossHead(names, wanted, weights, tuple(without))),
        ]
    )
