"""Means over subjects, differences and ratios of them, with bootstrap intervals.

Subjects are what was sampled, so subjects are resampled; trials, seconds and runs of one subject
are not independent of each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

RESAMPLES = 10_000
LEVEL = 0.95
FEW_SUBJECTS = 6
"""With fewer, a bootstrap interval is too narrow to be believed."""


@dataclass(frozen=True)
class Interval:
    """A mean over subjects and its bootstrap interval (percentiles).

    Attributes
    ----------
    mean, low, high : float
        NaN where there is no subject; ``low`` and ``high`` also where there is one.
    subjects : int
    """

    mean: float
    low: float
    high: float
    subjects: int

    def text(self, signed: bool = False, digits: int = 3) -> str:
        """``0.57 [0.53, 0.61]``."""
        if not self.subjects:
            return "–"
        form = f"{'+' if signed else ''}.{digits}f"
        if self.subjects < 2:
            return f"{self.mean:{form}}"
        return f"{self.mean:{form}} [{self.low:{form}}, {self.high:{form}}]"


def bootstrap(values: npt.ArrayLike, seed: int = 0) -> Interval:
    """Mean of some subjects' values with its 95 % interval.

    Parameters
    ----------
    values : array_like, shape (n_subjects,)
    """
    x = np.asarray(values, dtype=np.float64)
    return _summary(x, np.ones(len(x)), seed)


def paired(one: Mapping[str, float], other: Mapping[str, float]) -> Interval:
    """Mean difference of one decoder to another over the subjects that both have."""
    both = sorted(set(one) & set(other))
    return bootstrap([one[s] - other[s] for s in both])


def ratio(values: npt.ArrayLike, against: npt.ArrayLike, seed: int = 0) -> Interval:
    """Ratio of two means over the same subjects, who are resampled together.

    Parameters
    ----------
    values, against : array_like, shape (n_subjects,)
    """
    return _summary(np.asarray(values, np.float64), np.asarray(against, np.float64), seed)


@lru_cache(maxsize=4)
def _resamples(n_subjects: int, seed: int) -> npt.NDArray[np.int64]:
    """Whom each resample draws; tables ask for the same ones in every cell."""
    return np.random.default_rng(seed).integers(0, n_subjects, (RESAMPLES, n_subjects))


def _summary(x: npt.NDArray[np.float64], over: npt.NDArray[np.float64], seed: int) -> Interval:
    """Sum of one over the sum of the other, with its interval."""
    if not len(x):
        return Interval(np.nan, np.nan, np.nan, 0)
    mean = float(x.sum() / over.sum())
    if len(x) == 1:
        return Interval(mean, np.nan, np.nan, 1)
    picked = _resamples(len(x), seed)
    edge = (1 - LEVEL) / 2
    drawn = x[picked].sum(axis=1) / over[picked].sum(axis=1)
    low, high = np.quantile(drawn, [edge, 1 - edge])
    return Interval(mean, float(low), float(high), len(x))
