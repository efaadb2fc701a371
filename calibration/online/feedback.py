"""From markers to labelled trials: cues, labels that come later, the error button.

    T1 (a class by ``--classes``)   a cue: its trial is labelled when it has ended
    label:left_hand                 what was wanted at the last activation
    error                           the last activation was wrong; names the other one of two
    BAD_paused                      a span in which no trial counts

Everything is known from a row on (:class:`rtbci.tick.Moment`), never earlier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rtbci.calibration.online.learner import Seen
from rtbci.calibration.scoring.accuracy import SLACK_S, in_trial, trial_begin
from rtbci.types import Marker

LABEL = "label:"
"""Markers that begin so name what was wanted."""
ERROR = "error"
"""Marker of the error button."""
VOID = "BAD_"
"""Markers that begin so are spans that nobody should use (MNE's convention)."""
MIN_WINDOWS = 3
"""A trial with fewer windows (gaps, flags) teaches nothing."""
LABEL_S = 10.0
"""A label or an error means an activation that began no longer ago."""


@dataclass
class OpenTrial:
    """A trial whose windows are being collected.

    Attributes
    ----------
    begin : float
        Time of the cue, or of the token at which an activation began.
    stop : float
        Windows that end later do not belong to it.
    wanted : int
        Number of its class; -1 while it is not known (an activation).
    decided : int
        What was decided, for an activation; else -1.
    seen : list of Seen
    """

    begin: float
    stop: float
    wanted: int
    decided: int = -1
    seen: list[Seen] = field(default_factory=list)


@dataclass
class FeedbackState:
    """Trials that are still open, and the last activation.

    Attributes
    ----------
    open : list of OpenTrial
        Cued ones.
    activation : OpenTrial | None
        The last one; None once a label has named its class.
    """

    open: list[OpenTrial] = field(default_factory=list)
    activation: OpenTrial | None = None


class Feedback:
    """Collects the windows of trials and gives them with their labels.

    Parameters
    ----------
    classes : sequence of str
    labels : mapping of str to str
        What each marker label stands for; labels of other classes are no cues.
    trial_s : tuple of float
        First and last instant of a trial, seconds after its cue.
    window_s : float
        How far back a decode looks.
    """

    def __init__(
        self,
        classes: Sequence[str],
        labels: Mapping[str, str],
        trial_s: tuple[float, float],
        window_s: float,
    ) -> None:
        numbers = {name: i for i, name in enumerate(classes)}
        self._numbers = numbers
        self._cues = {k: numbers[name] for k, name in labels.items() if name in numbers}
        self._trial_s = trial_s
        self._window_s = window_s
        self.state = FeedbackState()

    def break_off(self) -> None:
        """A new segment: an activation ends with the old one."""
        activation = self.state.activation
        if activation is not None:
            activation.stop = -np.inf

    def take(self, markers: Sequence[Marker], time: float) -> list[OpenTrial]:
        """Take markers that are known at a token.

        Parameters
        ----------
        markers : sequence of Marker
        time : float
            Of the token.

        Returns
        -------
        labelled : list of OpenTrial
            Activations whose class has become known, and cued trials that have ended.
        """
        state, labelled = self.state, []
        for marker in markers:
            cue = self._cues.get(marker.label)
            if cue is not None:
                begin = trial_begin(marker)
                state.open.append(OpenTrial(begin, begin + self._trial_s[1], cue))
            elif marker.label.startswith(VOID):
                stop = marker.time + marker.duration
                state.open = [t for t in state.open if not marker.time <= t.begin <= stop]
            elif marker.label == ERROR or marker.label.startswith(LABEL):
                labelled += self._named(marker)
        ended = [t for t in state.open if time > t.stop + SLACK_S]
        state.open = [t for t in state.open if time <= t.stop + SLACK_S]
        return [t for t in (*labelled, *ended) if len(t.seen) >= MIN_WINDOWS]

    def wants(self, time: float) -> list[OpenTrial]:
        """Trials that the window that ends at ``time`` belongs to."""
        state = self.state
        found = [t for t in state.open if in_trial(t.begin, time, self._window_s, self._trial_s)]
        if not found and state.activation is not None and time <= state.activation.stop:
            found = [state.activation]
        return found

    def begin(self, decided: int, time: float) -> None:
        """An activation begins; inside a cued trial the cue says what was wanted."""
        cued = any(t.begin <= time for t in self.state.open)
        length = self._trial_s[1] - self._trial_s[0] - self._window_s
        stop = -np.inf if cued else time + length
        self.state.activation = OpenTrial(time, stop, -1, decided)

    def _named(self, marker: Marker) -> list[OpenTrial]:
        """The last activation with the class that a label or an error gives it."""
        last = self.state.activation
        if last is None or not 0 <= marker.time - last.begin <= LABEL_S:
            return []
        if marker.label == ERROR:
            others = [c for c in range(len(self._numbers)) if c != last.decided]
            wanted = others[0] if len(others) == 1 else -1
        else:
            wanted = self._numbers.get(marker.label.removeprefix(LABEL), -1)
        if wanted < 0:
            return []
        self.state.activation = None
        last.wanted = wanted
        return [last]
