"""What a bank's subjects have in common, and how far a newcomer's own trials should move it.

    bank, cut to the user's electrodes -> halves' covariances -> re-centred, logarithm: x
    every trial also mirrored (left and right electrodes swapped, classes with them)
    w0 = argmin sum_i c_i (y_i - w'x_i)^2 + RIDGE |w|^2             c: imagined 1.4, executed 0.6
    w  = argmin sum_own (y - w'x)^2 + pull |w - w0|^2               pull: learned for so many trials

Re-centring by the Riemannian mean of a subject's own trials (Zanini et al. 2018,
doi:10.1109/TBME.2017.2742541), tangent vectors (Barachant et al. 2012,
doi:10.1109/TBME.2011.2172210).  The pull, and how sure the decoder may be, come from treating
each subject of the bank as if she were the new one, with the weights of all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from rtbci.calibration.bank import Bank, pack
from rtbci.calibration.online.spd import function, roots
from rtbci.errors import BadInputError
from rtbci.types import BoolArray

Array = npt.NDArray[np.float64]

RIDGE = 200.0
"""From 50 to 800 it makes 0.01 of difference."""
IMAGINED, EXECUTED = 1.4, 0.6
PULLS = (10.0, 20.0, 40.0, 80.0, 160.0, np.inf)
"""Weights of the population against the subject's own trials; without end: hers are not used."""
SHRINK = 0.002
"""Share of the identity in every covariance.  A common average leaves them singular, and more
than 0.01 costs: what is left of neighbours' differences tells the classes apart."""
MEAN_STEPS = 4
"""Of the Riemannian mean, from a start nearby; two more change probabilities by 0.001."""
MIN_TEST = 8
"""Trials that must be left of a subject of the bank to score her as the new one."""
SHARPEST = 20.0
UNLEARNED = (40.0, 1.0)
"""Pull and sharpness where the bank has too few subjects or trials to learn them."""
MIRRORED = {"left_hand": "right_hand", "right_hand": "left_hand"}
"""Classes that change places in the mirror; all others are their own."""


def mirror_electrode(name: str) -> str:
    """Electrode on the other side of the head (C3 -> C4, FCz -> FCz)."""
    digits = "".join(c for c in name if c.isdigit())
    if not digits:
        return name
    number = int(digits)
    return name.replace(digits, str(number + 1 if number % 2 else number - 1))


def mirror_sign(classes: Sequence[str]) -> int:
    """What the mirror makes of two classes: -1 swaps, 1 leaves them, 0 leads to a third."""
    seen = [MIRRORED.get(c, c) for c in classes]
    if seen == list(classes):
        return 1
    return -1 if seen == list(reversed(classes)) else 0


def mirror_columns(electrodes: Sequence[str]) -> list[int]:
    """Order of the electrodes in the mirror; empty where one has no counterpart."""
    mirrored = [mirror_electrode(e) for e in electrodes]
    if set(mirrored) != set(electrodes):
        return []
    return [list(electrodes).index(e) for e in mirrored]


def whole_band(covariances: Array) -> Array:
    """Covariances of all bands together, shrunk: (..., n_bands, n_parts, n, n) -> without bands."""
    whole = covariances.sum(axis=-4)
    n = whole.shape[-1]
    level = np.maximum(np.trace(whole, axis1=-2, axis2=-1) / n, 1e-12)
    shrunk: Array = (1 - SHRINK) * whole + SHRINK * level[..., None, None] * np.eye(n)
    return shrunk


def riemannian_mean(covariances: Array, weights: Array, steps: int = MEAN_STEPS) -> Array:
    """Weighted Riemannian mean over the first axis, from the arithmetic mean on.

    Moakher 2005, doi:10.1137/S0895479803436937: step along the mean of the tangent vectors.
    """
    share = weights / weights.sum()
    mean: Array = np.einsum("k,k...->...", share, covariances)
    for _ in range(steps):
        up, down = roots(mean)
        step = np.einsum("k,k...->...", share, log_at(down, covariances))
        mean = up @ function(np.exp, step) @ up
    return mean


def log_at(down: Array, covariances: Array) -> Array:
    """Logarithms of covariances as seen from a mean whose inverse square root is given."""
    seen = down @ covariances @ down
    return function(np.log, (seen + np.swapaxes(seen, -1, -2)) / 2)


def vectors(logs: Array, order: Sequence[int], sign: int) -> Array:
    """Tangent vectors, folded along the mirror where there is one.

    Parameters
    ----------
    logs : ndarray, shape (n, n_parts, p, p)
    order : sequence of int
        Of the electrodes in the mirror; empty for none.
    sign : int
        What the mirror does to the classes.

    Returns
    -------
    x : ndarray, shape (n, n_features)
        Shortened by the number of parts, so that the ridge means the same for any.

    Notes
    -----
    A ridge on trials and mirrored trials has weights that the mirror takes to ``sign`` times
    themselves.  The same comes of one row a trial with x + sign * mirror(x) instead of x: half
    the features, and none that a mirrored pair of trials contradicts.
    """
    p, n_parts = logs.shape[-1], logs.shape[-3]
    rows, columns = np.triu_indices(p)
    weight = np.where(rows == columns, 1.0, np.sqrt(2.0)) / np.sqrt(n_parts)
    flat = pack(logs) * weight
    if len(order) and sign:
        place = np.zeros((p, p), dtype=np.int64)
        place[rows, columns] = place[columns, rows] = np.arange(len(rows))
        turned = place[np.asarray(order)[rows], np.asarray(order)[columns]]
        pairs = np.flatnonzero(turned > np.arange(len(rows)))
        folded = (flat[..., pairs] + sign * flat[..., turned[pairs]]) / np.sqrt(2.0)
        alone = np.flatnonzero(turned == np.arange(len(rows)))
        flat = np.concatenate([folded, flat[..., alone]], axis=-1) if sign > 0 else folded
    made: Array = flat.reshape(len(logs), -1)
    return made


def balanced(y: Array) -> Array:
    """Weights of trials that give every class the same, and one on average."""
    weights = np.ones(len(y))
    for value in np.unique(y):
        weights[y == value] = len(y) / (len(np.unique(y)) * np.sum(y == value))
    return weights


@dataclass(frozen=True)
class Seen:
    """One subject of the bank, as tangent vectors at her own mean.

    Attributes
    ----------
    name : str
    x : ndarray, shape (n_trials, n_features)
        Her trials in order.
    y : ndarray, shape (n_trials,)
        -1 for the first class, 1 for the second.
    rows, wanted, weight : ndarray, shapes (n_rows, n_features), (n_rows,), (n_rows,)
        What the ridge gets of her: her trials; and mirrored ones, where they can't be folded.
    target : ndarray, shape (n_trials,), bool
        What she would calibrate and be scored with: imagined trials, all where there are none.
    """

    name: str
    x: Array
    y: Array
    rows: Array
    wanted: Array
    weight: Array
    target: BoolArray

    def equations(self) -> tuple[Array, Array]:
        """Her part of the normal equations."""
        scaled = self.rows.T * self.weight
        return scaled @ self.rows, scaled @ self.wanted


@dataclass
class Population:
    """Model of a bank for some electrodes and two classes.

    Attributes
    ----------
    order : tuple of int
        Of the electrodes in the mirror; empty where they have none.
    sign : int
        What the mirror does to the classes, as :func:`mirror_sign`.
    subjects : tuple of Seen
    weights : ndarray, shape (n_features,)
        Of all subjects together.
    """

    order: tuple[int, ...]
    sign: int
    subjects: tuple[Seen, ...]
    weights: Array
    _left_out: list[Array] = field(default_factory=list)
    _learned: dict[int, tuple[float, float]] = field(default_factory=dict)

    def learned(self, n_trials: int) -> tuple[float, float]:
        """Pull and sharpness for a newcomer with so many trials; 0 for trials without labels."""
        if n_trials not in self._learned:
            self._learned[n_trials] = self._learn(n_trials)
        return self._learned[n_trials]

    def _learn(self, n_trials: int) -> tuple[float, float]:
        if not self._left_out and len(self.subjects) > 1:
            self._left_out = [
                ridge([s for s in self.subjects if s is not one]) for one in self.subjects
            ]
        pulls = PULLS if n_trials else (np.inf,)
        margins: dict[float, list[Array]] = {pull: [] for pull in pulls}
        shares: list[Array] = []
        for subject, prior in zip(self.subjects, self._left_out, strict=False):
            x, y = subject.x[subject.target], subject.y[subject.target]
            for own in calibrations(len(y), n_trials):
                if len(np.unique(y[own])) < 2:
                    continue
                # NB: to the first order, what re-centring by these trials alone would give.
                shift = (balanced(y[own])[:, None] * x[own]).mean(axis=0)
                for pull in pulls:
                    w = personal(prior, x[own] - shift, y[own], pull)
                    margins[pull].append(y[~own] * ((x[~own] - shift) @ w))
                shares.append(np.full(np.sum(~own), 1.0 / np.sum(~own)))
        if not shares:
            return UNLEARNED
        weight = np.concatenate(shares)
        fits = {p: sharpness(np.concatenate(m), weight) for p, m in margins.items()}
        best = min(fits, key=lambda p: (round(fits[p][1], 4), -p))
        return best, fits[best][0]


def calibrations(n: int, wanted: int) -> list[BoolArray]:
    """Which of a subject's trials calibrate, when she is taken for the new one.

    The first so many and the last so many; fewer where too few would be left to be scored.
    """
    take = min(wanted or n // 2, n - MIN_TEST)
    if take < 2:
        return []
    first = np.arange(n) < take
    return [first, first[::-1]]


def personal(prior: Array, x: Array, y: Array, pull: float) -> Array:
    """Weights of a subject's own ridge about the population's.

    Parameters
    ----------
    prior : ndarray, shape (n_features,)
    x : ndarray, shape (n_trials, n_features)
    y : ndarray, shape (n_trials,)
        -1 or 1.
    pull : float
    """
    if not np.isfinite(pull):
        return prior
    root = np.sqrt(balanced(y))
    rows, rest = x * root[:, None], root * (y - x @ prior)
    # As many equations as trials: far fewer than features.
    dual = np.linalg.solve(rows @ rows.T + pull * np.eye(len(rows)), rest)
    moved: Array = prior + rows.T @ dual
    return moved


def sharpness(margins: Array, weight: Array) -> tuple[float, float]:
    """How steep the logistic function must be for its probabilities to come true, and the loss."""

    def loss(steep: float) -> float:
        return float(np.sum(weight * np.logaddexp(0.0, -steep * margins)) / weight.sum())

    found = minimize_scalar(loss, bounds=(0.0, SHARPEST), method="bounded")
    return float(found.x), float(found.fun)


def ridge(subjects: Sequence[Seen]) -> Array:
    """Weights of some subjects together."""
    n = subjects[0].rows.shape[1]
    gram, product = RIDGE * np.eye(n), np.zeros(n)
    for subject in subjects:
        hers = subject.equations()
        gram, product = gram + hers[0], product + hers[1]
    found: Array = np.linalg.solve(gram, product)
    return found


def fit_population(
    banks: Sequence[Bank],
    electrodes: Sequence[str],
    classes: Sequence[str],
    average: bool,
    without: Sequence[str] = (),
) -> Population:
    """Fit what the subjects of some banks have in common.

    Parameters
    ----------
    electrodes : sequence of str
        All of every bank given.
    classes : sequence of str
        Two.
    average : bool
        Trials are referenced to the average of these electrodes.
    without : sequence of str
        Subjects that are left out.

    Raises
    ------
    BadInputError
        Where no bank has trials of both classes.
    """
    sign = mirror_sign(classes)
    order = mirror_columns(electrodes)
    out = {name.casefold() for name in without}
    seen: list[Seen] = []
    for bank in banks:
        if not set(classes) <= set(bank.classes):
            continue
        numbers = [bank.classes.index(c) for c in classes]
        names = [mirror_electrode(e) for e in electrodes]
        for number, name in enumerate(bank.subjects):
            hers = (bank.subject == number) & np.isin(bank.wanted, numbers)
            if name.casefold() in out or len(np.unique(bank.wanted[hers])) < 2:
                continue
            part = bank.select(hers)
            y = np.where(part.wanted == numbers[1], 1.0, -1.0)
            x = vectors(_own_logs(part.cut(electrodes, average), y), order, sign)
            rows, wanted, weight = x, y, np.where(part.imagined, IMAGINED, EXECUTED)
            if sign and not order and set(names) <= set(bank.electrodes):
                image = vectors(_own_logs(part.cut(names, average), y), order, sign)
                rows, wanted = np.concatenate([x, image]), np.concatenate([y, sign * y])
                weight = np.concatenate([weight, weight]) / 2
            target = part.imagined if part.imagined.any() else np.ones(len(y), dtype=np.bool_)
            seen.append(Seen(name, x, y, rows, wanted, weight, target))
    if not seen:
        known = sorted({c for b in banks for c in b.classes})
        raise BadInputError(
            f"the population bank has no subject with both {' and '.join(classes)} (it knows "
            f"{', '.join(known) or 'no class'}, and never the subject that is scored); use a "
            "decoder of the subject's own trials, or add subjects: rtbci bank add."
        )
    return Population(tuple(order), sign, tuple(seen), ridge(seen))


def _own_logs(covariances: Array, y: Array) -> Array:
    """Logarithms of a subject's trials at her own mean, shape (n_trials, n_parts, p, p)."""
    whole = whole_band(covariances)
    down = roots(riemannian_mean(whole, balanced(y)))[1]
    return log_at(down, whole)
