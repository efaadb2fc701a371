"""Where a conducted protocol stands, and what a screen shows of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rtbci.calibration.protocol import machine
from rtbci.calibration.protocol.machine import Event, Phase

REFRESH_S = 0.2
"""Between two paints where something moves."""


@dataclass
class Stage:
    """What the screen shows.

    Attributes
    ----------
    subject, title : str
        Who; what.
    phase : Phase | None
        None before the first.
    left_s, remaining_s : float
        Seconds until the end of the phase, and of all.
    status : dict
        Newest ``status`` event of the engine.
    recording : str | None
    message : str
        The newest thing that a person should know of.
    alarm : bool
        Whether it is trouble.
    score : tuple of str
        Of the blocks so far.
    keys : bool
        Whether keys are read.
    """

    subject: str
    title: str
    phase: Phase | None = None
    left_s: float = 0.0
    remaining_s: float = 0.0
    status: dict[str, Any] = field(default_factory=dict)
    recording: str | None = None
    message: str = ""
    alarm: bool = False
    score: tuple[str, ...] = ()
    keys: bool = False


@dataclass(frozen=True)
class Step:
    """What is to be done now.

    Attributes
    ----------
    paint : bool
        Whether the stage is to be painted anew.
    tone : bool
        Whether a tone goes with it: to those whose eyes are closed, and where cues are heard.
    wait_s : float
        Seconds until something is due.
    """

    paint: bool
    tone: bool
    wait_s: float


@dataclass
class Shown:
    """One trial as it was shown.

    Attributes
    ----------
    trial : int
        Number in its block.
    label : str
        Its class.
    cue, relax : float | None
        When it was shown, seconds of the session's clock; None before.
    cue_s : float
        For how long its cue is shown.
    repeated : bool
        Whether it does not count and comes again.
    why : str
        ``gap``, ``pause`` or ``eyes``, where it is repeated.
    """

    trial: int
    label: str
    cue: float | None = None
    relax: float | None = None
    cue_s: float = 0.0
    repeated: bool = False
    why: str = ""


@dataclass
class ConductState:
    """Where a conducted protocol stands.

    Attributes
    ----------
    protocol : machine.Protocol | None
        None before it has begun.
    shown : Phase | None
        As painted last.
    painted : float
        When that was.
    due : list of Event
        Of the phase that is being painted.
    origin : float | None
        Time of the session's first row; known from the first marker that comes back.
    sent : dict of str to float
        When a label was sent last.
    section : str
        Of which the trials are.
    trials : list of Shown
        Of the block that runs.
    blocks : int
        Blocks that are complete.
    fresh : bool
        Whether something beside the phase has changed.
    stopped : bool
        Whether the user stopped it.
    ended : bool
        Whether the session ended under it.
    """

    protocol: machine.Protocol | None = None
    shown: Phase | None = None
    painted: float = -REFRESH_S
    due: list[Event] = field(default_factory=list)
    origin: float | None = None
    sent: dict[str, float] = field(default_factory=dict)
    section: str = ""
    trials: list[Shown] = field(default_factory=list)
    blocks: int = 0
    fresh: bool = False
    stopped: bool = False
    ended: bool = False
