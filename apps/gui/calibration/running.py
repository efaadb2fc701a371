"""What a guided session has running: one engine, and what is shown beside it.

tick(now):  engine's events ---> conductor ---> presenter paints ---> markers to the engine
what the session must know of ---> :class:`Told`
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from rtbci.apps.conductor_core import Conduct
from rtbci.apps.conductor_state import Stage
from rtbci.apps.gui.calibration.eyes import EyeWatch
from rtbci.apps.gui.view_models.feedback import winner
from rtbci.apps.gui.view_models.guided import Part
from rtbci.apps.settings import RunSettings
from rtbci.apps.texts import t
from rtbci.apps.view import describe
from rtbci.calibration.protocol.config import RELAX, ProtocolConfig
from rtbci.calibration.protocol.machine import STOPPED
from rtbci.calibration.protocol.plan import Kind
from rtbci.calibration.signal.learned import Learned
from rtbci.classes import parse_classes
from rtbci.clock import Clock
from rtbci.live.view import View
from rtbci.types import CUE_ORIGIN


class Engine(Protocol):
    """A running engine, as the session needs it."""

    @property
    def view(self) -> View | None:
        """What it shows of itself, as soon as it does."""

    def poll(self) -> list[dict[str, Any]]:
        """Events since the last call; the newest status among them."""

    def send(self, command: dict[str, Any]) -> None:
        """Send a command; never waits."""

    def close(self) -> None:
        """Ask it to stop; never waits."""

    def wait(self) -> None:
        """Wait until it has stopped."""


class Presenter(Protocol):
    """Shows a stage to the subject."""

    def show(self, part: Part, stage: Stage, *, tone: bool) -> None:
        """Paint; what it shows is to be seen when this returns."""


class Happening(StrEnum):
    """What a session must know of."""

    STARTED = "started"
    """The first rows have come."""
    OVER = "over"
    """What was shown has come to its end, or was stopped."""
    ENDED = "ended"
    """The engine has ended, as it was asked to."""
    FAILED = "failed"
    """The engine has ended, and nobody asked it to."""
    TROUBLE = "trouble"
    """The source gives no rows."""
    CALM = "calm"
    """It gives rows again."""


@dataclass(frozen=True)
class Told:
    """One thing that happened.

    Attributes
    ----------
    what : Happening
    words : str
        What went wrong.
    conduct : Conduct | None
        That is over.
    """

    what: Happening
    words: str = ""
    conduct: Conduct | None = None


@dataclass
class RunnerState:
    """Where a runner stands.

    Attributes
    ----------
    engine : Engine | None
    decodes : bool
        Whether that engine decodes.
    started : bool
        Whether its first rows have come.
    asked : bool
        Whether it was asked to end.
    conduct : Conduct | None
        What is shown.
    part : Part
        Whose that is.
    begun : float
        When that began; 0 before anything was shown.
    hits, trials : int
        Of a feedback run.
    eyes : EyeWatch
        On that engine's signal.
    cue_s : float | None
        When the cue of a trial was shown that has not ended yet, seconds of the session; None
        where no trial runs.
    """

    engine: Engine | None = None
    decodes: bool = False
    started: bool = False
    asked: bool = False
    conduct: Conduct | None = None
    part: Part = Part.SUBJECT
    begun: float = 0.0
    hits: int = 0
    trials: int = 0
    eyes: EyeWatch = field(default_factory=EyeWatch)
    cue_s: float | None = None


class Runner:
    """Runs engines one after the other, and shows protocols beside them.

    Parameters
    ----------
    start : callable
        Starts an engine; never waits.
    presenter : Presenter
    clock : Clock

    Attributes
    ----------
    state : RunnerState
    status : dict
        The engine's newest.
    recording : str
        The engine's, or of the last one.
    """

    def __init__(
        self, start: Callable[[RunSettings], Engine], presenter: Presenter, clock: Clock
    ) -> None:
        self._start = start
        self._presenter = presenter
        self._clock = clock
        self.state = RunnerState()
        self.status: dict[str, Any] = {}
        self.recording = ""
        self._classes: tuple[str, ...] = ()

    def runs(self, *, decodes: bool) -> bool:
        """Whether an engine of that kind gives rows."""
        s = self.state
        return s.engine is not None and s.started and s.decodes == decodes and not s.asked

    def connect(self, settings: RunSettings) -> None:
        """Start an engine in place of the one that there is."""
        self.drop()
        self.state.engine, self.state.decodes = self._start(settings), settings.decodes
        self._classes = () if settings.classes is None else tuple(parse_classes(settings.classes))

    def drop(self) -> Engine | None:
        """Let the engine end, whatever it does; gives it, so that one can wait for it."""
        engine, self.state = self.state.engine, RunnerState()
        self.status = {}
        if engine is not None:
            engine.close()
        return engine

    def learn_eyes(self, learned: Learned | None) -> None:
        """Take what a signal check has shown of the eyes."""
        self.state.eyes = EyeWatch(learned)

    def finish(self) -> None:
        """Ask the engine to end; it is told when it has."""
        if self.state.engine is not None:
            self.state.asked = True
            self.state.engine.send({"command": "stop"})

    def send(self, command: dict[str, Any]) -> None:
        """Send a command to the engine, if there is one."""
        if self.state.engine is not None:
            self.state.engine.send(command)

    def show(
        self,
        part: Part,
        config: ProtocolConfig,
        subject: str,
        seed: int,
        *,
        prefix: str = "",
        tones: bool = False,
    ) -> None:
        """Show a protocol to the subject."""
        s = self.state
        stage = Stage(subject, config.title, status=self.status, recording=self.recording)
        s.conduct = Conduct([config], seed, stage, self.send, prefix=prefix, tones=tones)
        s.part, s.begun, s.hits, s.trials = part, self._clock.now(), 0, 0
        s.conduct.begin(s.begun)

    def press(self, what: str) -> None:
        """Pause, go on, repeat or stop what is shown."""
        conduct, now = self.state.conduct, self._clock.now()
        if conduct is None:
            return
        phase = conduct.stage.phase
        paused = phase is not None and phase.paused
        key = {"stop": "q", "repeat": "r", "begin": "enter"}.get(what, "")
        if what == ("resume" if paused else "pause"):
            key = "space"
        if key:
            conduct.press(key, now)

    def tick(self) -> list[Told]:
        """Go on to now; gives what happened."""
        told: list[Told] = []
        s = self.state
        now = self._clock.now()
        for event in s.engine.poll() if s.engine is not None else ():
            if s.conduct is not None:
                s.conduct.hear(event, now)
            told += self._hear(event)
        self._watch()
        if s.begun == 0.0 and s.cue_s is not None:
            self._void()
        conduct = self.state.conduct
        if conduct is None:
            return told
        step = conduct.step(now)
        if step.paint:
            self._presenter.show(s.part, conduct.stage, tone=step.tone)
            conduct.painted(self._clock.now())
            self._judge(conduct)
        if conduct.done:
            s.conduct = None
            told.append(Told(Happening.OVER, conduct=conduct))
        return told

    def _watch(self) -> None:
        """Let a trial come again in which the eyes went with the cue."""
        s = self.state
        view = None if s.engine is None else s.engine.view
        if view is None or not s.started:
            return
        for time in s.eyes.take(view):
            if s.conduct is not None and s.part is Part.BLOCK:
                s.conduct.eyes(time)

    def _void(self) -> None:
        """A window was killed in the middle of a trial: that trial does not count."""
        s = self.state
        view, cue_s, s.cue_s = None if s.engine is None else s.engine.view, s.cue_s, None
        if view is None or view.info.begun is None or cue_s is None:
            return
        cue, now = view.info.begun + cue_s, self._clock.now()
        for label, time in ((RELAX, now), (STOPPED, cue)):
            duration = now - cue if label == STOPPED else 0.0
            mark = {"command": "mark", "label": label, "time": time, "duration": duration}
            self.send({**mark, "origin": CUE_ORIGIN})

    def break_off(self) -> Conduct | None:
        """Stop what is shown, at once; gives it."""
        conduct, now = self.state.conduct, self._clock.now()
        if conduct is not None:
            conduct.press("q", now)
            conduct.step(now)
            conduct.painted(now)
        self.state.conduct = None
        return conduct

    def _hear(self, event: dict[str, Any]) -> list[Told]:
        s, kind = self.state, event["event"]
        if kind == "status":
            self.status = event
        elif kind == "marker" and event["origin"] == CUE_ORIGIN:
            self._follow(str(event["label"]), float(event["t_s"]))
        elif kind == "started":
            s.started, self.recording = True, event["recording"] or ""
            return [Told(Happening.STARTED)]
        elif kind in ("lost", "stalled"):
            return [Told(Happening.TROUBLE, describe(event))]
        elif kind in ("reconnected", "flowing"):
            return [Told(Happening.CALM)]
        elif kind in ("summary", "error"):
            asked = s.asked and kind == "summary"
            conduct = s.conduct
            self.drop()
            why = str(event.get("message", "")) or t("calibration.say.engine_ended")
            return [Told(Happening.ENDED if asked else Happening.FAILED, why, conduct)]
        return []

    def _follow(self, label: str, time_s: float) -> None:
        """Know whether a trial runs, by the markers that the engine has taken."""
        if label in self._classes:
            self.state.cue_s = time_s
        elif label == RELAX:
            self.state.cue_s = None

    def _judge(self, conduct: Conduct) -> None:
        """Count whether the cursor was where it should be when a trial of feedback ended."""
        s, phase = self.state, conduct.stage.phase
        if s.part is not Part.FEEDBACK or phase is None or phase.slot.kind is not Kind.REST:
            return
        if phase.slot.trial <= s.trials or not phase.done:
            return
        s.trials = phase.slot.trial
        decode = self.status.get("decode")
        classes = tuple(decode["classes"]) if decode else ()
        s.hits += winner(decode, classes) == phase.done[-1]
