"""Riemannian decoders and their filter-bank relatives, as scikit-learn pipelines.

    trial (bands * electrodes, times)
      --BandCovariances-->       (bands, electrodes, electrodes)   OAS, one for each band
      --BandTangent | BandCSP--> features                          logistic regression, LDA
    trial (electrodes, times)
      --Augmented-->             (order * electrodes, ...)         covariance with delayed copies
      --TangentSpace-->          features                          SVM

All covariances are shrunk by OAS (Chen et al. 2010, doi:10.1109/TSP.2010.2053029): a common
average takes one direction away, and short windows of many electrodes have few samples.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pyriemann.classification import MDM, FgMDM
from pyriemann.estimation import Covariances
from pyriemann.spatialfilters import CSP
from pyriemann.tangentspace import TangentSpace
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import SVC

from rtbci.calibration.decoders import spd
from rtbci.calibration.decoders.closed_form import sharpness
from rtbci.calibration.decoders.grouping import TrialBlocks
from rtbci.calibration.signal.streaming import ViewConfig

Array = npt.NDArray[np.float64]

BANK_HZ = ((8.0, 12.0), (12.0, 16.0), (16.0, 22.0), (22.0, 30.0))
"""Mu, and beta in three parts: wider than the 4 Hz of Ang et al., since a narrow causal band-pass
is slow (8-12 Hz of order 2 delays 10 Hz by about 0.1 s)."""
FILTER_BANK_VIEW = ViewConfig(bands_hz=BANK_HZ, order=2)
TANGENT_C = 0.01
"""Inverse strength of the logistic regression's ridge; from 0.003 to 0.03 it makes no difference
(leave one run out, EEGMMIDB: 0.56 for hands in 19 subjects, 0.78 for fists and feet in 4)."""
SVM_STRENGTH = 1.0
"""Of errors against the margin, in units of the mean squared length of the SVM's input.  From 3
electrodes to 21 that grows 25-fold, and where errors are too cheap all trials get one class."""
ORDER = 3
DELAY = 6
"""Delayed copies of a trial and samples between them: 24 ms at 250 Hz, a quarter of mu's period."""


def oas(x: Array) -> Array:
    """Covariances shrunk by OAS (:func:`rtbci.calibration.decoders.spd.oas_shrunk`).

    Parameters
    ----------
    x : ndarray, shape (n_trials, n_channels, n_times), µV

    Returns
    -------
    covariances : ndarray, shape (n_trials, n_channels, n_channels), µV²
    """
    z = x - x.mean(axis=2, keepdims=True)
    return spd.oas_shrunk(z @ z.transpose(0, 2, 1) / x.shape[2], x.shape[2])


class BandCovariances(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Covariances of each band of a trial; looks at no label.

    Parameters
    ----------
    n_bands : int
        Bands that lie one after the other along the channels.
    """

    def __init__(self, n_bands: int = 1) -> None:
        self.n_bands = n_bands

    def fit(self, X: npt.NDArray[Any], y: Any = None) -> Self:  # noqa: ARG002
        """Check that the channels divide into bands; nothing is learned."""
        self.n_electrodes_ = X.shape[1] // self.n_bands
        if X.shape[1] != self.n_electrodes_ * self.n_bands:
            raise ValueError(f"{X.shape[1]} channels do not divide into {self.n_bands} bands")
        return self

    def transform(self, X: npt.NDArray[Any]) -> Array:
        """Covariances of trials.

        Parameters
        ----------
        X : ndarray, shape (n_trials, n_bands * n_electrodes, n_times), µV

        Returns
        -------
        covariances : ndarray, shape (n_trials, n_bands, n_electrodes, n_electrodes), µV²
        """
        n, e = len(X), self.n_electrodes_
        flat = np.asarray(X, dtype=np.float64).reshape(n * self.n_bands, e, X.shape[2])
        return oas(flat).reshape(n, self.n_bands, e, e)


class BandTangent(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Tangent vectors of each band at its own mean, side by side; looks at no label."""

    def fit(self, X: Array, y: Any = None) -> Self:  # noqa: ARG002
        """Find the mean of every band; X as :class:`BandCovariances` gives it."""
        self.bands_ = [TangentSpace(metric="riemann").fit(X[:, b]) for b in range(X.shape[1])]
        return self

    def transform(self, X: Array) -> Array:
        """Tangent vectors, shape (n_trials, n_bands * n_electrodes * (n_electrodes + 1) / 2)."""
        return np.concatenate([s.transform(X[:, b]) for b, s in enumerate(self.bands_)], axis=1)


class BandCSP(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Common spatial patterns of each band, log-variances side by side (Ang et al. 2008).

    Without their selection of features: shrinkage does that work with few trials.

    Parameters
    ----------
    n_filters : int
        In each band.
    """

    def __init__(self, n_filters: int = 4) -> None:
        self.n_filters = n_filters

    def fit(self, X: Array, y: npt.NDArray[Any]) -> Self:
        """Find filters in every band; X as :class:`BandCovariances` gives it."""
        self.bands_ = [
            CSP(nfilter=self.n_filters, metric="euclid", log=True).fit(X[:, b], y)
            for b in range(X.shape[1])
        ]
        return self

    def transform(self, X: Array) -> Array:
        """Log-variances, shape (n_trials, n_bands * n_filters)."""
        return np.concatenate([s.transform(X[:, b]) for b, s in enumerate(self.bands_)], axis=1)


class Augmented(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Trials with delayed copies of their channels (Takens); looks at no label.

    Only samples for which all copies exist are kept: nothing is wrapped around.

    Parameters
    ----------
    order : int
        Copies, the trial itself included.
    delay : int
        Samples between them.
    """

    def __init__(self, order: int = ORDER, delay: int = DELAY) -> None:
        self.order = order
        self.delay = delay

    def fit(self, X: npt.NDArray[Any], y: Any = None) -> Self:  # noqa: ARG002
        """Check the length; nothing is learned."""
        self.n_times_ = X.shape[2] - (self.order - 1) * self.delay
        if self.n_times_ < 2:
            raise ValueError(f"{X.shape[2]} samples are too few for {self.order} delayed copies")
        return self

    def transform(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Stack the copies: (n_trials, order * n_channels, n_times - (order - 1) * delay)."""
        starts = [(self.order - 1 - k) * self.delay for k in range(self.order)]
        return np.concatenate([X[:, :, s : s + self.n_times_] for s in starts], axis=1)


class SharpenedSVM(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Linear SVM whose decision values become probabilities by one factor.

    The factor makes the labels most likely, on decision values of trials that the SVM has not
    seen.  Platt's sigmoid has an offset too: where the values tell nothing, it gives one class to
    everything (0.50 with C3 Cz C4).

    Parameters
    ----------
    strength : float
        Of errors against the margin, in units of the mean squared length of a row.
    """

    def __init__(self, strength: float = SVM_STRENGTH) -> None:
        self.strength = strength

    def fit(self, X: Array, y: npt.NDArray[Any]) -> Self:
        """Fit to features (n_trials, n_features), in order of time."""
        self.classes_, labels = np.unique(y, return_inverse=True)
        left_out = np.zeros((len(y), len(self.classes_)))
        for train, test in TrialBlocks().split(X, labels):
            left_out[test] = _decision(self._fit(X[train], labels[train]), X[test])
        self.sharpness_ = sharpness(left_out, labels)
        self.svm_ = self._fit(X, labels)
        return self

    def predict_proba(self, X: Array) -> Array:
        """Probabilities of the classes, shape (n_trials, n_classes)."""
        return np.asarray(softmax(self.sharpness_ * _decision(self.svm_, X), axis=1))

    def predict(self, X: Array) -> npt.NDArray[Any]:
        """Classes, shape (n_trials,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def _fit(self, x: Array, labels: npt.NDArray[Any]) -> SVC:
        power = max(float(np.square(x).sum(axis=1).mean()), 1e-12)
        return SVC(kernel="linear", C=self.strength / power, class_weight="balanced").fit(x, labels)


def _decision(svm: SVC, x: Array) -> Array:
    values = np.asarray(svm.decision_function(x))
    return values if values.ndim == 2 else np.stack([-values, values], axis=1) / 2


LABEL_FREE = (Covariances, TangentSpace, BandCovariances, BandTangent, Augmented)
"""Steps whose fit does not look at the labels."""


def mdm() -> Pipeline:
    """Make minimum distance to the mean (Barachant et al. 2012, doi:10.1109/TBME.2011.2172210)."""
    return make_pipeline(Covariances("oas"), MDM(metric="riemann"))


def fgmdm() -> Pipeline:
    """Make MDM after geodesic filtering (Barachant et al. 2010, hal-00602700)."""
    return make_pipeline(Covariances("oas"), FgMDM(metric="riemann"))


def acm_ts_svm() -> Pipeline:
    """Make augmented covariance, tangent space and SVM.

    Carrara & Papadopoulo 2023 (arXiv 2302.04508, doi:10.1109/TBME.2024.3386219), who search order
    and delay for each subject; with so few trials they are fixed here.
    """
    return make_pipeline(
        Augmented(),
        Covariances("oas"),
        TangentSpace(metric="riemann"),
        SharpenedSVM(),
    )


def fb_ts_lr(n_bands: int = len(BANK_HZ)) -> Pipeline:
    """Make filter-bank tangent space and logistic regression."""
    return make_pipeline(
        BandCovariances(n_bands),
        BandTangent(),
        LogisticRegression(C=TANGENT_C, class_weight="balanced", max_iter=1000),
    )


def fb_csp_lda(n_bands: int = len(BANK_HZ)) -> Pipeline:
    """Make filter-bank CSP (Ang et al. 2008, doi:10.1109/IJCNN.2008.4634130), shrinkage LDA."""
    return make_pipeline(
        BandCovariances(n_bands),
        BandCSP(),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    )
