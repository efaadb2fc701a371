"""Decodes against cues: one decision a trial, as live (:class:`TrialScorer`), with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.apps.report.decodes import DecodeFacts
from rtbci.calibration.scoring.accuracy import (
    TrialScorer,
    balanced_accuracy,
    binomial_p,
    trial_begin,
)
from rtbci.types import Marker

DRAWS = 20_000
SEED = 0
INTERVAL = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One cue: when it came (and went), what it asked for, what was decided.

    ``decided`` is None where no decode lay in the trial.  Times are seconds of the session's
    clock; ``begin`` is the instant from which the trial counts.
    """

    cue: float
    begin: float
    wanted: str
    decided: str | None
    decodes: int


@dataclass(frozen=True)
class TrialFacts:
    """How well the decodes met the cues.

    Attributes
    ----------
    classes : tuple of str
    trials : tuple of TrialRow
    confusion : ndarray, shape (n_classes, n_classes + 1), int
        Cue by decision; the last column is no decision.
    balanced : float
        Balanced accuracy; a trial without a decision is wrong.
    interval : tuple of float
        95 % interval of it.
    p_value : float
        Of so many right decisions by always answering the most frequent class.
    trial_s : tuple of float
    window_s : float
    """

    classes: tuple[str, ...]
    trials: tuple[TrialRow, ...]
    confusion: npt.NDArray[np.int64]
    balanced: float
    interval: tuple[float, float]
    p_value: float
    trial_s: tuple[float, float]
    window_s: float

    @property
    def right(self) -> int:
        """Trials that were decided as asked for."""
        return int(np.trace(self.confusion[:, :-1]))


def score_trials(
    decodes: DecodeFacts,
    markers: Sequence[Marker],
    labels: Mapping[str, str],
    trial_s: tuple[float, float],
    window_s: float,
) -> TrialFacts | None:
    """Score a session's decodes; None where no marker is a cue of a class that is decoded.

    Raises
    ------
    BadInputError
        Where no decode's window fits into a trial.
    """
    scorer = TrialScorer(decodes.classes, labels, trial_s, window_s)
    cues = [m for m in markers if labels.get(m.label, "") in decodes.classes]
    if not cues:
        return None
    for marker in cues:
        scorer.on_marker(marker)
    for i in np.flatnonzero(decodes.valid):
        scorer.on_decode(decodes.decode(int(i)))
    classes, trials = decodes.classes, scorer.state.trials
    truth = np.array([t.wanted for t in trials], dtype=np.intp)
    decided = np.array([t.decision for t in trials], dtype=np.intp)
    confusion = np.zeros((len(classes), len(classes) + 1), dtype=np.int64)
    np.add.at(confusion, (truth, np.where(decided < 0, len(classes), decided)), 1)
    rows = [
        TrialRow(
            cue=marker.time,
            begin=trial_begin(marker),
            wanted=classes[t.wanted],
            decided=None if t.decision < 0 else classes[t.decision],
            decodes=t.decodes,
        )
        for marker, t in zip(cues, trials, strict=True)
    ]
    return TrialFacts(
        classes=classes,
        trials=tuple(rows),
        confusion=confusion,
        balanced=balanced_accuracy(truth, decided, len(classes)),
        interval=balanced_interval(confusion),
        p_value=binomial_p(int(np.sum(truth == decided)), truth),
        trial_s=trial_s,
        window_s=window_s,
    )


def balanced_interval(confusion: npt.NDArray[np.int64]) -> tuple[float, float]:
    """95 % interval of the balanced accuracy of a table (cue by decision, last column none).

    Each class's accuracy is Beta-distributed (Jeffreys' prior), the balanced accuracy is their
    mean (Brodersen et al. 2010, doi:10.1109/ICPR.2010.764); drawn, so that it holds for any
    number of classes.
    """
    random = np.random.default_rng(SEED)
    shown = [
        random.beta(row[i] + 0.5, row.sum() - row[i] + 0.5, DRAWS)
        for i, row in enumerate(confusion)
        if row.sum()
    ]
    low, high = np.quantile(np.mean(shown, axis=0), INTERVAL)
    return float(low), float(high)
