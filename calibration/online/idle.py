"""Meaning something or nothing: what tells a class's windows from those of doing nothing.

    windows of the trials  --log variance of each channel--+
    windows between trials --------------------------------+-> shrinkage LDA -> log-odds of each
                                                                class against doing nothing

A decoder of two hands says which of them is more like what it sees, and it says so in rest, too:
there its log-odds wander far, since nothing has told it that neither is an answer.  Thresholds
high enough to hold that down leave most trials undecided.  So the pauses between a calibration's
own trials are one more class.  Its scale comes from folds (Platt 1999), and it is used only where
these show that it says anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from rtbci.calibration.reading.track import Track
from rtbci.calibration.reading.trials import Cue
from rtbci.calibration.scoring.accuracy import trial_begin
from rtbci.calibration.signal.streaming import ViewConfig, as_trial
from rtbci.types import FloatArray, IndexArray

Values = npt.NDArray[np.float64]

SETTLED_S = 1.0
"""After a trial's end rhythms come back, and more of them than usual (Pfurtscheller & Lopes da
Silva 1999, doi:10.1016/S1388-2457(99)00141-8): what is idle begins later."""
LONGEST_S = 6.0
"""Before a cue; what lies further back may be anything."""
PER_PAUSE = 5
"""Windows of a pause, at most: they overlap."""
MIN_PAUSES = 8
FOLDS = 5
SCALES = (-4.0, 2.0)
"""Range of the log of the scale."""
CONVINCING = 2.0
"""Standard errors by which folds must say more than nothing."""
FLOOR = 1e-12


class Idle(BaseEstimator):  # type: ignore[misc]
    """Log-odds of each class against doing nothing.

    Parameters
    ----------
    weights : ndarray, shape (n_classes, n_channels)
        Of the log variances.
    offset : ndarray, shape (n_classes,)
    """

    def __init__(self, weights: Values | None = None, offset: Values | None = None) -> None:
        self.weights = weights
        self.offset = offset

    def __call__(self, window: FloatArray) -> Values:
        """Read one window, shape (n_channels, n_times), µV; gives shape (n_classes,)."""
        assert self.weights is not None
        assert self.offset is not None
        return np.asarray(self.weights @ features(window) + self.offset)


def features(x: FloatArray) -> Values:
    """Log variances, shape (..., n_channels), of windows (..., n_channels, n_times)."""
    return np.asarray(np.log(np.maximum(np.var(x, axis=-1, dtype=np.float64), FLOOR)))


def pauses(
    tracks: Sequence[Track],
    cues: Sequence[Cue],
    electrodes: Sequence[str],
    trial_end_s: float,
    view: str,
    config: ViewConfig,
    rate: float,
) -> tuple[FloatArray, IndexArray]:
    """Cut the windows in front of each cue that touch neither it nor the trial before.

    Parameters
    ----------
    cues : sequence of Cue
        All of them, also those that are left out.
    trial_end_s : float
        Seconds after the cue.
    view : str
        Name of the decoder's view in the tracks, and its settings.
    rate : float
        Of the views, Hz.

    Returns
    -------
    x : ndarray, shape (n_windows, n_channels, n_times), float32, µV
    cue : ndarray, shape (n_windows,)
        Place of the cue that each is in front of.
    """
    n_rows, made, place = config.rows(rate), [], []
    for number, cue in enumerate(cues):
        track = tracks[cue.run]
        shown = max((m.time for m in track.markers if trial_begin(m) == cue.time), default=cue.time)
        ends = [c.time + trial_end_s for c in cues if c.run == cue.run and c.time < cue.time]
        first = max([shown - LONGEST_S, *(end + SETTLED_S for end in ends)])
        time = track.token_time
        tokens = np.flatnonzero((time - config.window_s >= first) & (time <= shown))
        columns = track.columns(electrodes)
        tokens = tokens[track.token_good[tokens][:, columns].all(axis=1)]
        spread = np.linspace(0, len(tokens) - 1, min(PER_PAUSE, len(tokens)))
        for token in tokens[np.round(spread).astype(int)]:
            rows = track.window(view, int(token), n_rows, columns)
            if len(rows) == n_rows:
                made.append(as_trial(rows, config))
                place.append(number)
    shape = (0, len(config.bands_hz) * len(electrodes), n_rows)
    x = np.stack(made) if made else np.zeros(shape, dtype=np.float32)
    return x, np.array(place, dtype=np.int64)


def fit_idle(
    meant: FloatArray,
    wanted: IndexArray,
    meant_at: IndexArray,
    idle: FloatArray,
    idle_at: IndexArray,
    *,
    sure: bool = False,
) -> Idle | None:
    """Fit to windows of trials and of pauses; None where folds do not speak for it.

    Parameters
    ----------
    meant : ndarray, shape (n_meant, n_channels, n_times), µV
    wanted : ndarray, shape (n_meant,)
        Their class numbers.
    meant_at, idle_at : ndarray, shapes (n_meant,), (n_idle,)
        Place in time of each window's trial, and of the trial behind each pause; both counted
        alike.
    idle : ndarray, shape (n_idle, n_channels, n_times), µV
    sure : bool
        Fit whatever the folds say, where there is enough to fit to.
    """
    if len(np.unique(idle_at)) < MIN_PAUSES or not len(meant):
        return None
    x = features(np.concatenate([meant, idle]))
    labels = np.concatenate([wanted + 1, np.zeros(len(idle), dtype=np.int64)])
    at = np.concatenate([meant_at, idle_at])
    n_classes = int(wanted.max()) + 1
    blocks = np.array_split(np.unique(at), FOLDS)
    said = np.full((len(x), n_classes), np.nan)
    for block in blocks:
        out = np.isin(at, block)
        if len(np.unique(labels[~out])) < n_classes + 1:
            return None
        weights, offset = _lda(x[~out], labels[~out])
        said[out] = x[out] @ weights.T + offset
    scale = _scale(said, labels)
    gain = np.log(2.0) - _losses(scale * said, labels)
    each = np.array([gain[at == a].mean() for a in np.unique(at)])
    if not sure and each.mean() < CONVINCING * each.std(ddof=1) / np.sqrt(len(each)):
        return None
    weights, offset = _lda(x, labels)
    return Idle(scale * weights, scale * offset)


def _lda(x: Values, labels: IndexArray) -> tuple[Values, Values]:
    """Weights and offsets of the log-odds of each class against the first."""
    n = int(labels.max()) + 1
    made: Any = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage="auto", priors=np.full(n, 1.0 / n)
    ).fit(x, labels)
    if n == 2:  # scikit-learn gives one row then
        return np.asarray(made.coef_), np.asarray(made.intercept_)
    return made.coef_[1:] - made.coef_[0], made.intercept_[1:] - made.intercept_[0]


def _losses(said: Values, labels: IndexArray) -> Values:
    """Log-loss of each window: its own class against nothing, or nothing against each class."""
    rows = np.arange(len(labels))
    own = np.logaddexp(0.0, -said[rows, np.maximum(labels - 1, 0)])
    none = np.logaddexp(0.0, said).mean(axis=1)
    return np.asarray(np.where(labels > 0, own, none))


def _scale(said: Values, labels: IndexArray) -> float:
    """Factor on left-out log-odds that makes them come true; both sides weigh the same."""

    def loss(log: float) -> float:
        losses = _losses(np.exp(log) * said, labels)
        return float(losses[labels > 0].mean() + losses[labels == 0].mean())

    return float(np.exp(minimize_scalar(loss, bounds=SCALES, method="bounded").x))
