"""How soon the calibration's own trials would have been decided, had their decoder not known them.

    fold: fit without some trials -> every token about each of those -> log-odds -> a course
    courses, evidence with these knobs -> time from the cue to the right decision

A profile keeps the courses, so that the knobs of the evidence can be set later, when a block
without control says what thresholds they need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.calibration.online.config import OnlineConfig
from rtbci.calibration.online.evidence import LeakyEvidence, Switch

BEFORE_S = 1.5
"""A course begins so long before its cue, so that evidence stands as it does in a session."""
MOST = 40
"""Courses of a profile, at most; spread evenly over the trials."""


@dataclass(frozen=True)
class Course:
    """Tokens about one trial.

    Attributes
    ----------
    wanted : int
        Number of its class.
    begin_s : float
        Time of the first token, seconds after the cue came (negative).
    odds : tuple of tuple of float, n_tokens by n_classes
        What each token adds: log-odds of each class
        (:func:`rtbci.calibration.online.evidence.meant_odds`); the last token ends the trial.
    """

    wanted: int
    begin_s: float
    odds: tuple[tuple[float, ...], ...]


def steps(courses: Sequence[Course], hop_s: float, config: OnlineConfig) -> list[list[list[float]]]:
    """Evidence along each course."""
    made = []
    for course in courses:
        leak = LeakyEvidence(len(course.odds[0]), hop_s, config)
        rows = [np.array(row) for row in course.odds]
        made.append([leak.step(row, valid=True, flagged=False).tolist() for row in rows])
    return made


def times_to_decision(
    courses: Sequence[Course],
    levels: Sequence[Sequence[Sequence[float]]],
    classes: Sequence[str],
    hop_s: float,
    config: OnlineConfig,
) -> npt.NDArray[np.float64]:
    """Seconds from each cue to the right decision; infinite where it never came.

    Parameters
    ----------
    levels : sequence
        As :func:`steps` gives them.
    """
    made = np.full(len(courses), np.inf)
    for i, (course, rows) in enumerate(zip(courses, levels, strict=True)):
        switch = Switch(classes, hop_s, config)
        for k, row in enumerate(rows):
            switch.step(row)
            after = course.begin_s + k * hop_s
            if after >= 0 and switch.state.active == course.wanted:
                made[i] = after
                break
    return made


def lateness(times: npt.NDArray[np.float64], courses: Sequence[Course], hop_s: float) -> float:
    """Mean time to the right decision, seconds; a trial without one counts as its whole length.

    The median of two dozen trials jumps; this does not, and where most trials are decided both
    fall together.
    """
    ends = [c.begin_s + (len(c.odds) - 1) * hop_s for c in courses]
    return float(np.mean(np.minimum(times, ends)))
