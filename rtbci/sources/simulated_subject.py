"""The simulated subject: what she does after what she is shown, a moment later.

    marker --- reaction time ---> state (imagery, a deed of the signal check, rest)

Owned by the thread of its source.  The reaction times are drawn by the seed and the number of the
marker, so that the same markers give the same session.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rtbci.sources.simulated_signal import DEEDS, STATES
from rtbci.types import Marker

CALM = ("relax", "release", "eyes_open", "look_centre")
"""Markers that tell her to do nothing."""
REACTION_S = (0.35, 0.08)
"""Mean and standard deviation of the time from a marker to what she does."""
BLINK_S = 0.15
"""How long the lids stay down."""


@dataclass
class SubjectState:
    """What she is about to do.

    Attributes
    ----------
    coming : list of (float, str)
        Her next states by time, seconds of the session's clock.
    seen : int
        Markers that she has reacted to.
    """

    coming: list[tuple[float, str]] = field(default_factory=list)
    seen: int = 0

    def reset(self) -> None:
        """Begin a session."""
        self.coming, self.seen = [], 0


class SimulatedSubject:
    """Turns markers into states.

    Parameters
    ----------
    seed : int
    reaction_s : tuple of float
        Mean and standard deviation of the time from a marker to what she does.
    """

    def __init__(self, seed: int, reaction_s: tuple[float, float]) -> None:
        self._seed = seed
        self._reaction_s = reaction_s
        self.state = SubjectState()

    def react(self, marker: Marker) -> float:
        """See a marker.

        A class or a deed of a signal check is what she does next; ``relax`` and the like end
        it; all other markers say nothing to her.

        Returns
        -------
        time : float
            When she does it, seconds of the session's clock; NaN where the marker says nothing.
        """
        s, label = self.state, marker.label
        if label not in STATES and label not in CALM:
            return np.nan
        rng = np.random.default_rng([self._seed, s.seen])
        s.seen += 1
        at = marker.time + max(0.0, float(rng.normal(*self._reaction_s)))
        s.coming = [(time, state) for time, state in s.coming if time < at]
        s.coming.append((at, "rest" if label in CALM else label))
        if label in DEEDS:
            lasts = BLINK_S if label == "blink" else marker.duration
            s.coming.append((at + lasts, "rest"))
        return at

    @property
    def next_s(self) -> float:
        """When she does something else; infinite where nothing is to come."""
        return self.state.coming[0][0] if self.state.coming else np.inf

    def take(self) -> str:
        """Do what is next."""
        return self.state.coming.pop(0)[1]
