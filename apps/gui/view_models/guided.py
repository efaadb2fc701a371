"""The words of a guided calibration: its steps, how they stand, what is said and can be done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """A step of the path."""

    SUBJECT = "subject"
    CHECK = "check"
    PRACTICE = "practice"
    BLOCK = "block"
    FEEDBACK = "feedback"
    NO_CONTROL = "no_control"
    SAVE = "save"
    RECHECK = "recheck"
    """In place of all others, where there is a profile: does it still hold?"""


PARTS = tuple(part for part in Part if part is not Part.RECHECK)
"""The path."""
IN_WINDOW = (Part.CHECK, Part.RECHECK)
"""Whose steps the window itself says; cues are on the subject's screen."""


class Stand(StrEnum):
    """How a step stands."""

    READY = "ready"
    """It is explained, and can be begun."""
    STARTING = "starting"
    """The engine is starting."""
    RUNNING = "running"
    """Something is shown to the subject."""
    PAUSED = "paused"
    """What was shown waits."""
    WORKING = "working"
    """What was recorded is being worked on."""
    RESULT = "result"
    """There is a result to look at."""


@dataclass(frozen=True)
class Action:
    """A button.

    Attributes
    ----------
    do : str
        What it asks of the session.
    text : str
    key : str
        That does the same, as people read it; empty for none.
    primary : bool
        Whether it is what is proposed.
    """

    do: str
    text: str
    key: str = ""
    primary: bool = False


@dataclass(frozen=True)
class Say:
    """What is said at the top of a page.

    Attributes
    ----------
    before, headline : str
    tone : str
        ``text``, ``good``, ``fair`` or ``bad``.
    body : tuple of str
        Paragraphs.
    actions : tuple of Action
    """

    before: str
    headline: str
    tone: str = "text"
    body: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True)
class PathStep:
    """One step in the column at the left.

    Attributes
    ----------
    title, note : str
    done, current : bool
    """

    title: str
    note: str
    done: bool
    current: bool


@dataclass(frozen=True)
class Now:
    """Where the session stands now, beside what is on disk.

    Attributes
    ----------
    part : Part
    stand : Stand
    resumed : bool
        Whether it was taken up again, and nothing has been done since.
    problem : str
        What went wrong last, in words; empty where nothing did.
    working : str
        What is being worked on.
    share : float | None
        How much of it is done.
    prompt, prompt_say : str
        What the subject is to do now, in a step of the signal check.
    left_s : float
        Seconds until that ends.
    hits, trials : int
        Of the feedback run.
    known : str
        Date of the subject's profile; empty where there is none.
    """

    part: Part
    stand: Stand
    resumed: bool = False
    problem: str = ""
    working: str = ""
    share: float | None = None
    prompt: str = ""
    prompt_say: str = ""
    left_s: float = 0.0
    hits: int = 0
    trials: int = 0
    known: str = ""
