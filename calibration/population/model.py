"""What a bank's subjects have in common, and how far a newcomer's own trials should move it.

    bank, cut to the user's electrodes -> halves' covariances -> re-centred, logarithm: x
    every trial also mirrored (left and right electrodes swapped, classes with them)
    w0 = argmin sum_i c_i (y_i - w'x_i)^2 + RIDGE |w|^2             c: imagined 1.4, executed 0.6
    w  = argmin sum_own (y - w'x)^2 + pull |w - gain w0|^2          for so many trials: learned

Re-centring by the Riemannian mean of a subject's own trials (Zanini et al. 2018,
doi:10.1109/TBME.2017.2742541), tangent vectors (Barachant et al. 2012,
doi:10.1109/TBME.2011.2172210).  Pull, gain, and how sure the decoder may be come from treating
each subject of the bank as if she were the new one, with the weights of all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from rtbci.calibration.decoders.spd import riemannian_mean, roots, tangent
from rtbci.calibration.population.bank import Bank
from rtbci.calibration.population.features import (
    MEAN_STEPS,
    balanced,
    mirror_columns,
    mirror_sign,
    vectors,
    whole_band,
)
from rtbci.errors import BadInputError
from rtbci.montage import mirror_electrode
from rtbci.types import BoolArray

Array = npt.NDArray[np.float64]

RIDGE = 200.0
"""From 50 to 800 it makes 0.01 of difference."""
IMAGINED, EXECUTED = 1.4, 0.6
PULLS = (20.0, 40.0, 80.0, 160.0, np.inf)
"""Weights of the population against the subject's own trials; without end: hers are not used."""
MIN_SUBJECTS = 5
"""From so many on the bank's subjects teach pull, gain and sharpness; three (those with fists and
feet) led to a gain that cost a newcomer 0.07."""
MIN_TEST = 8
"""Trials that must be left of a subject of the bank to score her as the new one."""
SHARPEST = 20.0
MOST_GAIN = 5.0


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


@dataclass(frozen=True)
class Learned:
    """What the bank's subjects teach about a newcomer with so many trials.

    Attributes
    ----------
    pull : float
        Of the population on her own weights; without end where she has none.
    gain : float
        By which a ridge of so many people's noise predicts too little of one subject.
    sharpness : float
        Log-odds for each unit of the decision value.
    """

    pull: float = 20.0
    gain: float = 1.0
    sharpness: float = 2.0


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
    _learned: dict[int, Learned] = field(default_factory=dict)

    def learned(self, n_trials: int) -> Learned:
        """Pull, gain and sharpness for a newcomer with so many trials; 0 for none with labels.

        Where the bank has too few subjects or trials to learn them, usual ones.
        """
        if n_trials not in self._learned:
            self._learned[n_trials] = self._learn(n_trials)
        return self._learned[n_trials]

    def left_out_loss(self) -> float:
        """Mean log-loss of the bank's subjects without labels of their own, each left out.

        Infinite where the bank has too few.
        """
        learned = self.learned(0)
        losses = [
            np.logaddexp(0.0, -learned.sharpness * learned.gain * new.margins(new.prior)).mean()
            for subject, prior in zip(self.subjects, self._left_out, strict=False)
            for new in _as_new(subject, prior, 0)
        ]
        return float(np.mean(losses)) if losses else float("inf")

    def _learn(self, n_trials: int) -> Learned:
        if not self._left_out and len(self.subjects) >= MIN_SUBJECTS:
            self._left_out = [
                ridge([s for s in self.subjects if s is not one]) for one in self.subjects
            ]
        newcomers = [
            newcomer
            for subject, prior in zip(self.subjects, self._left_out, strict=False)
            for newcomer in _as_new(subject, prior, n_trials)
        ]
        if not newcomers:
            return Learned(np.inf if n_trials == 0 else Learned.pull)
        weight = np.concatenate([np.full(len(n.y), 1.0 / len(n.y)) for n in newcomers])
        plain = np.concatenate([n.margins(n.prior) for n in newcomers])
        gain = float(np.clip((weight @ plain) / (weight @ plain**2), 0.0, MOST_GAIN))
        tried = []
        for pull in PULLS if n_trials else (np.inf,):
            margins = [n.margins(personal(gain * n.prior, n.own, n.own_y, pull)) for n in newcomers]
            steep = sharpness(np.concatenate(margins), weight)
            losses = np.array([np.logaddexp(0.0, -steep * m).mean() for m in margins])
            tried.append((pull, steep, losses))
        pull, steep, _ = _cautious(tried)
        return Learned(pull, gain, steep)


def _cautious(tried: list[tuple[float, float, Array]]) -> tuple[float, float, Array]:
    """Of several pulls, in rising order, the strongest that is as good as the best.

    As good: its loss is more by at most one standard error of the difference over newcomers.  The
    mean loss is ruled by a few whose own trials are worth much; most lose by too weak a pull.
    """
    best = min(tried, key=lambda t: float(t[2].mean()))[2]
    near = [
        t for t in tried if (t[2] - best).mean() <= (t[2] - best).std() / np.sqrt(len(best)) + 1e-12
    ]
    return near[-1]


@dataclass(frozen=True)
class _New:
    """A subject of the bank in the place of the new one: own trials, and others to be scored."""

    prior: Array
    own: Array
    own_y: Array
    x: Array
    y: Array

    def margins(self, weights: Array) -> Array:
        """Decision values on the side of the truth."""
        made: Array = self.y * (self.x @ weights)
        return made


def _as_new(subject: Seen, prior: Array, n_trials: int) -> list[_New]:
    x, y = subject.x[subject.target], subject.y[subject.target]
    made = []
    for own in calibrations(len(y), n_trials):
        if len(np.unique(y[own])) == 2:
            # NB: to the first order, what re-centring by these trials alone would give.
            shift = (balanced(y[own])[:, None] * x[own]).mean(axis=0)
            made.append(_New(prior, x[own] - shift, y[own], x[~own] - shift, y[~own]))
    return made


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


def sharpness(margins: Array, weight: Array) -> float:
    """How steep the logistic function must be for its probabilities to come true."""

    def loss(steep: float) -> float:
        return float(np.sum(weight * np.logaddexp(0.0, -steep * margins)))

    return float(minimize_scalar(loss, bounds=(0.0, SHARPEST), method="bounded").x)


def ridge(subjects: Sequence[Seen]) -> Array:
    """Weights of some subjects together."""
    n = subjects[0].rows.shape[1]
    gram, product = RIDGE * np.eye(n), np.zeros(n)
    for subject in subjects:
        hers = subject.equations()
        gram, product = gram + hers[0], product + hers[1]
    return np.asarray(np.linalg.solve(gram, product), dtype=np.float64)


def see(
    banks: Sequence[Bank], electrodes: Sequence[str], classes: Sequence[str], average: bool
) -> tuple[Seen, ...]:
    """Tangent vectors of all subjects who have trials of both classes.

    Parameters
    ----------
    electrodes : sequence of str
        All of every bank given.
    classes : sequence of str
        Two.
    average : bool
        Trials are referenced to the average of these electrodes.
    """
    sign, order = mirror_sign(classes), mirror_columns(electrodes)
    names = [mirror_electrode(e) for e in electrodes]
    seen: list[Seen] = []
    for bank in banks:
        if not set(classes) <= set(bank.classes):
            continue
        numbers = [bank.classes.index(c) for c in classes]
        for number, name in enumerate(bank.subjects):
            hers = (bank.subject == number) & np.isin(bank.wanted, numbers)
            if len(np.unique(bank.wanted[hers])) < 2:
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
    return tuple(seen)


def fit_population(
    seen: Sequence[Seen],
    electrodes: Sequence[str],
    classes: Sequence[str],
    without: Sequence[str] = (),
) -> Population:
    """Fit what subjects have in common.

    Parameters
    ----------
    seen : sequence of Seen
        As :func:`see` gives them.
    electrodes, classes : sequence of str
        What they were seen with.
    without : sequence of str
        Subjects that are left out, in whatever case their names are written.

    Raises
    ------
    BadInputError
        Where nobody is left.
    """
    out = {name.casefold() for name in without}
    left = tuple(s for s in seen if s.name.casefold() not in out)
    if not left:
        raise BadInputError(
            f"the population bank has no subject with both {' and '.join(classes)} but the one "
            "that is scored; use a decoder of the subject's own trials, or add subjects with: "
            "rtbci bank add"
        )
    order = tuple(mirror_columns(electrodes))
    return Population(order, mirror_sign(classes), left, ridge(left))


def _own_logs(covariances: Array, y: Array) -> Array:
    """Logarithms of a subject's trials at her own mean, shape (n_trials, n_parts, p, p)."""
    whole = whole_band(covariances)
    down = roots(riemannian_mean(whole, balanced(y), steps=MEAN_STEPS))[1]
    return tangent(down, whole)
