"""Means over subjects and paired differences, with bootstrap intervals.

Subjects are what was sampled, so subjects are resampled; trials and runs of one subject are not
independent of each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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

    def text(self, signed: bool = False) -> str:
        """``0.57 [0.53, 0.61]``."""
        if not self.subjects:
            return "–"
        sign = "+" if signed else ""
        mean = f"{self.mean:{sign}.3f}"
        if self.subjects < 2:
            return mean
        return f"{mean} [{self.low:{sign}.3f}, {self.high:{sign}.3f}]"


def bootstrap(values: npt.ArrayLike, seed: int = 0) -> Interval:
    """Mean of some subjects' values with its 95 % interval.

    Parameters
    ----------
    values : array_like, shape (n_subjects,)
    """
    x = np.asarray(values, dtype=np.float64)
    if not len(x):
        return Interval(np.nan, np.nan, np.nan, 0)
    if len(x) == 1:
        return Interval(float(x[0]), np.nan, np.nan, 1)
    picked = np.random.default_rng(seed).integers(0, len(x), (RESAMPLES, len(x)))
    edge = (1 - LEVEL) / 2
    low, high = np.quantile(x[picked].mean(axis=1), [edge, 1 - edge])
    return Interval(float(x.mean()), float(low), float(high), len(x))


def paired(one: Mapping[str, float], other: Mapping[str, float]) -> Interval:
    """Mean difference of one decoder to another over the subjects that both have."""
    both = sorted(set(one) & set(other))
    return bootstrap([one[s] - other[s] for s in both])
