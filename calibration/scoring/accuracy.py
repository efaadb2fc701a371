"""Accuracy of a session over cues that say what was wanted: one decision a trial.

    cue ----- 0.5 s ----------------------------- 3.5 s
                [window of a decode]                      every decode whose window lies inside
                  [window of a decode]                    adds its log-probabilities
                         ...  [window of a decode]        the largest sum is the decision

Owned by the thread that delivers results; nothing here blocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from rtbci.errors import BadInputError
from rtbci.types import CUE_ORIGIN, Decode, Marker

SLACK_S = 1e-6
"""Times of cues and tokens are sums of floats; a window that ends on the edge is inside."""
FLOOR_P = 1e-9
"""Probabilities below this count as this: no single decode decides a trial for good."""
KEEP_S = 30.0
"""Decodes are kept for so long, for a marker that arrives after them."""


def in_trial(cue: float, time: float, window_s: float, trial_s: tuple[float, float]) -> bool:
    """Whether the window that ends at ``time`` lies in the trial of a cue.

    Parameters
    ----------
    cue, time : float
        Seconds of the same clock.
    window_s : float
        How far back from ``time`` the decode looks.
    trial_s : tuple of float
        First and last instant of the trial, seconds after the cue.
    """
    begins = time - window_s >= cue + trial_s[0] - SLACK_S
    return begins and time <= cue + trial_s[1] + SLACK_S


def trial_begin(marker: Marker) -> float:
    """Instant from which the interval of a trial counts.

    A cue that this program showed counts from when it had gone: while there is something to
    look at, the eyes tell what it was.  Any other marker counts from its own time, since
    its duration may be that of the whole trial.
    """
    return marker.time + (marker.duration if marker.origin == CUE_ORIGIN else 0.0)


def log_evidence(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Logarithms of probabilities; summed over decodes, their differences are log-odds.

    Parameters
    ----------
    p : ndarray, shape (..., n_classes)
    """
    return np.asarray(np.log(np.maximum(p, FLOOR_P)))


def binomial_p(correct: int, truth: Sequence[int] | npt.NDArray[np.intp]) -> float:
    """Probability of at least so many correct trials by chance (exact, one-sided).

    Chance is the largest share of a class, which is what always answering that class would
    reach.  Trials count as independent: so it holds for a decoder that was fitted on other
    recordings, and it is too small for cross-validated scores, whose folds share their training.
    """
    counts = np.bincount(np.asarray(truth, dtype=np.intp))
    return float(binom.sf(correct - 1, int(counts.sum()), counts.max() / counts.sum()))


def balanced_accuracy(
    truth: npt.NDArray[np.intp], decided: npt.NDArray[np.intp], n_classes: int
) -> float:
    """Mean over the classes present of the share of their trials that were decided right.

    Parameters
    ----------
    truth, decided : ndarray, shape (n_trials,), int
        Class numbers; -1 in ``decided`` is a trial without a decision, which counts as wrong.
    """
    present = [c for c in range(n_classes) if np.any(truth == c)]
    return float(np.mean([np.mean(decided[truth == c] == c) for c in present]))


@dataclass
class Trial:
    """One cue and the evidence so far.

    Attributes
    ----------
    cue : float
        Time of the cue, seconds of the session's clock.
    wanted : int
        Number of the class that was asked for.
    evidence : ndarray, shape (n_classes,)
        Sum of log-probabilities.
    decodes : int
        How many were summed.
    """

    cue: float
    wanted: int
    evidence: npt.NDArray[np.float64]
    decodes: int = 0

    @property
    def decision(self) -> int:
        """Number of the class with the most evidence; -1 where there is none."""
        return int(np.argmax(self.evidence)) if self.decodes else -1


@dataclass
class ScoreState:
    """The session's trials, and the newest decodes.

    Attributes
    ----------
    trials : list of Trial
        All so far, in the order in which their cues became known.
    open : list of Trial
        Those that a coming decode can still belong to.
    recent : deque of Decode
        Valid decodes of the last :data:`KEEP_S` seconds.
    """

    trials: list[Trial] = field(default_factory=list)
    open: list[Trial] = field(default_factory=list)
    recent: deque[Decode] = field(default_factory=deque)

    def reset(self) -> None:
        """Forget the session."""
        self.trials.clear()
        self.open.clear()
        self.recent.clear()


class TrialScorer:
    """Scores a session's decodes against its cues.

    Parameters
    ----------
    classes : sequence of str
        Classes of the decodes, in the order of their probabilities.
    labels : mapping of str to str
        What each marker label stands for (``{"T1": "left_hand"}``).  Cues of a class that the
        decoder does not know are no trials.
    trial_s : tuple of float
        First and last instant of a trial, seconds after the cue.
    window_s : float
        How far back a decode looks.

    Raises
    ------
    BadInputError
        Where no window fits into the trial.
    """

    def __init__(
        self,
        classes: Sequence[str],
        labels: Mapping[str, str],
        trial_s: tuple[float, float],
        window_s: float,
    ) -> None:
        if trial_s[1] - trial_s[0] < window_s:
            raise BadInputError(
                f"decode.trial_s is {trial_s[0]:g} to {trial_s[1]:g} s, but the decoder looks "
                f"back {window_s:g} s, so no decode fits into a trial; make the trial longer."
            )
        self._numbers = {name: i for i, name in enumerate(classes)}
        self._labels = dict(labels)
        self._trial_s = trial_s
        self._window_s = window_s
        self.state = ScoreState()

    def on_marker(self, marker: Marker) -> None:
        """Take a cue; other markers are passed over.  It may come after its decodes."""
        wanted = self._numbers.get(self._labels.get(marker.label, ""))
        if wanted is None:
            return
        trial = Trial(trial_begin(marker), wanted, np.zeros(len(self._numbers)))
        self.state.trials.append(trial)
        self.state.open.append(trial)
        for decode in self.state.recent:
            self._add(trial, decode)

    def on_decode(self, decode: Decode) -> None:
        """Take a decode; one that abstains adds nothing."""
        state = self.state
        state.open = [t for t in state.open if decode.time <= t.cue + self._trial_s[1] + SLACK_S]
        if not decode.valid:
            return
        for trial in state.open:
            self._add(trial, decode)
        state.recent.append(decode)
        while decode.time - state.recent[0].time > KEEP_S:
            state.recent.popleft()

    def _add(self, trial: Trial, decode: Decode) -> None:
        if in_trial(trial.cue, decode.time, self._window_s, self._trial_s):
            trial.evidence += log_evidence(decode.p)
            trial.decodes += 1

    def summary(self) -> dict[str, Any]:
        """Accuracy so far.

        Returns
        -------
        summary : dict
            ``accuracy``: None where there was no cue, else ``balanced`` (a trial without a
            decision counts as wrong), ``trials``, ``abstained`` (trials without a decision) and
            ``p_value`` (:func:`binomial_p`).
        """
        trials = self.state.trials
        if not trials:
            return {"accuracy": None}
        truth = np.array([t.wanted for t in trials], dtype=np.intp)
        decided = np.array([t.decision for t in trials], dtype=np.intp)
        return {
            "accuracy": {
                "balanced": round(balanced_accuracy(truth, decided, len(self._numbers)), 4),
                "trials": len(trials),
                "abstained": int(np.sum(decided < 0)),
                "p_value": binomial_p(int(np.sum(truth == decided)), truth),
            }
        }
