"""The shadow: the decoder as it was before it changed, scored on the same trials.

    labelled trial -+-> log-loss of the changed decoder ----+-> after 20 or more:
                    +-> log-loss of its unchanged shadow ---+   the worse one goes

Both are scored on a trial before anything learns from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from rtbci.calibration.online.adaptation import Adapted

MOST_LOSS = 4.0
"""One trial that was decoded wrong for sure does not decide between the two."""


class Verdict(StrEnum):
    """What became of a change."""

    KEPT = "kept"
    REVERTED = "reverted"


def trial_loss(log_p: npt.NDArray[np.float64], wanted: int) -> float:
    """Log-loss of a trial.

    Parameters
    ----------
    log_p : ndarray, shape (n_windows, n_classes)
        Log-probabilities of its windows; they overlap, so they are averaged.
    wanted : int
    """
    return min(MOST_LOSS, -float(log_softmax(log_p.mean(axis=0))[wanted]))


@dataclass
class ShadowState:
    """The two decoders and their losses.

    Attributes
    ----------
    shadow : Adapted
        The one before the change.
    changed, unchanged : list of float
        Loss of either on each labelled trial since.
    """

    shadow: Adapted
    changed: list[float] = field(default_factory=list)
    unchanged: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Judgement:
    """The end of a comparison.

    Attributes
    ----------
    verdict : Verdict
    trials : int
    changed, unchanged : float
        Mean log-loss of the changed decoder and of its shadow.
    """

    verdict: Verdict
    trials: int
    changed: float
    unchanged: float


class Shadow:
    """Compares the decoder in use with what it was.

    Parameters
    ----------
    start : Adapted
        As calibrated.
    trials : int
        How many a comparison takes.
    """

    def __init__(self, start: Adapted, trials: int) -> None:
        self._trials = trials
        self.state = ShadowState(start)

    @property
    def adapted(self) -> Adapted:
        """The decoder without the change."""
        return self.state.shadow

    def score(self, changed: float, unchanged: float) -> None:
        """Take the losses of either on one trial."""
        self.state.changed.append(changed)
        self.state.unchanged.append(unchanged)

    def judge(self, now: Adapted) -> tuple[Adapted, Judgement | None]:
        """Give the better one, once there are enough trials; it is the next comparison's shadow.

        Parameters
        ----------
        now : Adapted
            The decoder in use.

        Returns
        -------
        better : Adapted
            ``now`` while nothing is decided.
        judgement : Judgement | None
        """
        state = self.state
        if len(state.changed) < self._trials:
            return now, None
        changed, unchanged = float(np.mean(state.changed)), float(np.mean(state.unchanged))
        verdict = Verdict.KEPT if changed <= unchanged else Verdict.REVERTED
        better = now if verdict is Verdict.KEPT else state.shadow
        judgement = Judgement(verdict, len(state.changed), changed, unchanged)
        self.state = ShadowState(better)
        return better, judgement
