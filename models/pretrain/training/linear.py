"""The linear floor under the network: pooled ridge, blend weights and their error by horizon.

Two passes over the training recordings; memory does not grow with them.  While blend and network
are trained, a subject is forecast by a ridge that has not seen it (four folds by subject): on its
own subjects a ridge looks better than it will be on a stranger, and would get too much say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rtbci.errors import BadInputError
from rtbci.models.baselines import BlendFit, RidgeFit, history_features
from rtbci.models.config import ModelConfig
from rtbci.models.pretrain.corpus.prepared import Prepared, score_weight
from rtbci.models.ridge import LAYOUT
from rtbci.models.tokens import bound, normalise, token_window
from rtbci.types import FloatArray

N_FOLDS = 4


@dataclass(frozen=True)
class LinearFloor:
    """What the network stands on.

    Attributes
    ----------
    ridge : ndarray, shape (n_features, n_horizons), float32
    blend : ndarray, shape (n_horizons,), float32
        Share of AR at each horizon.
    error : ndarray, shape (n_horizons,), float32
        Error over variance of the blend on subjects that its ridge has not seen.
    folds : ndarray, shape (n_folds, n_features, n_horizons), float32
        Ridges fitted without the subjects of one fold each.
    """

    ridge: FloatArray
    blend: FloatArray
    error: FloatArray
    folds: FloatArray

    def unseen(self, subject: str) -> FloatArray:
        """Give a ridge that this subject was not part of."""
        weight: FloatArray = self.folds[_fold(subject)]
        return weight


def fit_linear(
    recordings: Sequence[Prepared],
    config: ModelConfig,
    progress: Callable[[float], None] | None = None,
) -> LinearFloor:
    """Fit ridge and blend on these recordings.

    Raises
    ------
    BadInputError
        Where no position of any recording can be used.
    """
    folds = [RidgeFit.empty(LAYOUT.n_features, config.n_horizons) for _ in range(N_FOLDS)]
    for i, recording in enumerate(recordings):
        for features, target, _, root in _examples(recording, config):
            folds[_fold(recording.subject)].add(features * root, target * root)
        if progress is not None:
            progress(0.5 * (i + 1) / len(recordings))
    total = _sum(folds)
    if total.rows == 0:
        raise BadInputError(
            f"none of the {len(recordings)} recordings has a stretch of signal to train on: "
            "each needs 3 s and electrodes that are neither flat nor noise."
        )
    others = [_sum([f for j, f in enumerate(folds) if j != i]) for i in range(N_FOLDS)]
    # With subjects in one fold only there is no ridge of strangers; its own has to do.
    unseen = [(fit if fit.rows else total).solve().astype(np.float32) for fit in others]

    blend = BlendFit.empty(config.n_horizons)
    square = np.zeros(config.n_horizons)
    counted = 0.0
    for i, recording in enumerate(recordings):
        for features, target, ar, root in _examples(recording, config):
            ridge = features @ unseen[_fold(recording.subject)]
            blend.add(ar * root, ridge * root, target * root)
            square += np.square((target - ridge) * root, dtype=np.float64).sum(axis=0)
            counted += float(np.square(root).sum())
        if progress is not None:
            progress(0.5 + 0.5 * (i + 1) / len(recordings))
    share = blend.solve()
    # |y - r - w d|² summed = |y - r|² - 2 w <y - r, d> + w² |d|²; where AR has no forecast d is 0.
    error = (square - 2 * share * blend.cross + share**2 * blend.square) / counted
    return LinearFloor(
        ridge=total.solve().astype(np.float32),
        blend=share.astype(np.float32),
        error=error.astype(np.float32),
        folds=np.stack(unseen),
    )


def _fold(subject: str) -> int:
    return hashlib.sha256(f"rtbci fold: {subject}".encode()).digest()[0] % N_FOLDS


def _sum(fits: Sequence[RidgeFit]) -> RidgeFit:
    return RidgeFit(
        np.sum([f.gram for f in fits], axis=0),
        np.sum([f.cross for f in fits], axis=0),
        sum(f.rows for f in fits),
    )


def _examples(
    recording: Prepared, config: ModelConfig
) -> Iterator[tuple[FloatArray, FloatArray, FloatArray, FloatArray]]:
    """Features, future, AR forecast and root of the weight of usable electrodes, by position."""
    roots = np.sqrt(score_weight(recording))
    for at, h in enumerate(recording.positions):
        usable = recording.valid[h] & recording.valid[h + config.n_horizons // config.n_hop]
        if not usable.any():
            continue
        mean, scale = recording.mean[h], recording.scale[h]
        now = (h + 1) * config.n_hop
        past = token_window(recording.signal[:now], mean, scale, LAYOUT.n_rows)
        future = bound(normalise(recording.signal[now : now + config.n_horizons], mean, scale))
        ar = np.asarray(recording.ar[at], np.float32)
        root = roots[h, usable, None]
        yield history_features(past.T)[usable], future.T[usable], ar[usable], root
