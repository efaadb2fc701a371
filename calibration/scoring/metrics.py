"""What a decoder's trials say of it: balanced accuracy, kappa, AUC, information transfer rate.

One decision a trial; a trial without a decision counts as wrong.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from rtbci.calibration.scoring.accuracy import balanced_accuracy
from rtbci.types import IndexArray

Evidence = npt.NDArray[np.float64]
MINUTE_S = 60.0


@dataclass(frozen=True)
class Metrics:
    """Scores of one set of trials.

    Attributes
    ----------
    balanced : float
        Balanced accuracy per trial.
    kappa : float
        Cohen's: 0 at chance, 1 without error.
    auc : float
        Area under the ROC curve of the trial's evidence; with more than two classes the mean
        over all pairs of classes (Hand & Till 2001, doi:10.1023/A:1010920819831).
    itr_bits : float
        Information of a decision, bits (:func:`wolpaw_bits`).
    itr_bits_min : float
        The same a minute, where a decision takes ``decision_s``.
    trials : int
    """

    balanced: float
    kappa: float
    auc: float
    itr_bits: float
    itr_bits_min: float
    trials: int

    def rounded(self) -> Metrics:
        """As it is written: four decimals."""
        values = {k: round(v, 4) for k, v in asdict(self).items()}
        return Metrics(**values)


def measure(evidence: Evidence, y: IndexArray, decision_s: float) -> Metrics:
    """All scores of some trials.

    Parameters
    ----------
    evidence : ndarray, shape (n_trials, n_classes)
        Summed log-probabilities of each trial.
    y : ndarray, shape (n_trials,)
        Class numbers.
    decision_s : float
        Seconds from a cue to its decision.
    """
    n_classes = evidence.shape[1]
    decided = np.argmax(evidence, axis=1).astype(np.intp)
    balanced = balanced_accuracy(y, decided, n_classes)
    bits = wolpaw_bits(balanced, n_classes)
    return Metrics(
        balanced=balanced,
        kappa=kappa(y, decided, n_classes),
        auc=auc(evidence, y),
        itr_bits=bits,
        itr_bits_min=bits * MINUTE_S / decision_s,
        trials=len(y),
    )


def kappa(truth: IndexArray, decided: IndexArray, n_classes: int) -> float:
    """Cohen's kappa (1960, doi:10.1177/001316446002000104); 0 where it is not defined."""
    table = np.zeros((n_classes, n_classes))
    made = decided >= 0
    np.add.at(table, (truth[made], decided[made]), 1.0)
    observed = np.trace(table) / len(truth)
    expected = float(np.bincount(truth, minlength=n_classes) @ table.sum(axis=0) / len(truth) ** 2)
    return float((observed - expected) / (1 - expected)) if expected < 1 else 0.0


def auc(evidence: Evidence, y: IndexArray) -> float:
    """Area under the ROC curve of the log-odds, mean over pairs of classes; ties count half."""
    areas = []
    for a in range(evidence.shape[1]):
        for b in range(a):
            odds = evidence[:, a] - evidence[:, b]
            one, other = odds[y == a], odds[y == b]
            if len(one) and len(other):
                ranks = rankdata(np.concatenate([one, other]))[: len(one)]
                wins = ranks.sum() - len(one) * (len(one) + 1) / 2
                areas.append(wins / (len(one) * len(other)))
    return float(np.mean(areas)) if areas else 0.5


def wolpaw_bits(accuracy: float, n_classes: int) -> float:
    """Bits of one decision (Wolpaw et al. 2002, doi:10.1016/S1388-2457(02)00057-3).

    It takes classes as equally likely and errors as evenly spread; at chance and below it is 0.
    """
    p = min(max(accuracy, 0.0), 1.0)
    if p <= 1 / n_classes:
        return 0.0
    bits = np.log2(n_classes) + p * np.log2(p)
    if p < 1:
        bits += (1 - p) * np.log2((1 - p) / (n_classes - 1))
    return float(bits)
