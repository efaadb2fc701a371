"""Which rows of a fit belong together: the windows of a trial overlap, so they stay on one side.

A decoder gets ``fit(X, y)`` with the same number of windows of each trial, one trial after the
other, and no trial numbers.  So rows of a class are taken together by that number, in order of
time.  Where the rows are whole trials already, contiguous groups of trials do no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

from rtbci.types import IndexArray

WINDOWS_A_TRIAL = 5
"""Rows that a trial has in a fit (``TrialConfig.fit_windows``)."""


def trial_groups(y: npt.NDArray[Any], per_trial: int = WINDOWS_A_TRIAL) -> IndexArray:
    """Number the groups of rows that may not be parted.

    Parameters
    ----------
    y : ndarray, shape (n_rows,)
        Labels, in order of time.
    per_trial : int
        Rows of a trial; halved for a class that would have fewer than two groups.

    Returns
    -------
    groups : ndarray, shape (n_rows,), int64
        From 0; no group has two classes.
    """
    groups = np.zeros(len(y), dtype=np.int64)
    begun = 0
    for c in np.unique(y):
        rows = np.flatnonzero(y == c)
        size = per_trial
        while size > 1 and len(rows) < 2 * size:
            size //= 2
        own = np.arange(len(rows)) // size
        groups[rows] = begun + own
        begun += int(own[-1]) + 1
    return groups


class TrialBlocks(BaseEstimator):  # type: ignore[misc]
    """Splits for scikit-learn: contiguous blocks of every class, trials kept whole.

    Parameters
    ----------
    n_blocks : int
        At most; no more than the rarest class has trials.
    """

    def __init__(self, n_blocks: int = 5) -> None:
        self.n_blocks = n_blocks

    def get_n_splits(self, X: Any, y: npt.NDArray[Any], groups: Any = None) -> int:  # noqa: ARG002
        """Give the number of blocks that :meth:`split` makes of these labels."""
        return int(_blocks(np.asarray(y), self.n_blocks).max()) + 1

    def split(
        self,
        X: Any,  # noqa: ARG002
        y: npt.NDArray[Any],
        groups: Any = None,  # noqa: ARG002
    ) -> Iterator[tuple[IndexArray, IndexArray]]:
        """Rows to fit on and rows to score, block by block."""
        block = _blocks(np.asarray(y), self.n_blocks)
        for b in range(int(block.max()) + 1):
            yield np.flatnonzero(block != b), np.flatnonzero(block == b)


def last_part(y: npt.NDArray[Any], share: float) -> npt.NDArray[np.bool_]:
    """Rows of the last trials of every class, about this share of them but not all."""
    groups = trial_groups(y)
    late = np.zeros(len(y), dtype=np.bool_)
    for c in np.unique(y):
        own = np.unique(groups[y == c])
        n = min(max(1, round(share * len(own))), len(own) - 1)
        late |= np.isin(groups, own[len(own) - n :]) & (n > 0)
    return late


def _blocks(y: npt.NDArray[Any], n_blocks: int) -> IndexArray:
    groups = trial_groups(y)
    own = [np.unique(groups[y == c]) for c in np.unique(y)]
    n = min(n_blocks, *(len(g) for g in own))
    block_of = np.zeros(int(groups.max()) + 1, dtype=np.int64)
    for members in own:
        for b, part in enumerate(np.array_split(members, n)):
            block_of[part] = b
    return block_of[groups]
