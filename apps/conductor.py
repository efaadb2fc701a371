"""Conducts a protocol beside a live session: shows what is due, writes down when it was shown.

    keys ---> protocol --phase--> presenter (screen, lines)
                 |                     | onset: when the paint had ended
                 +--events-------------+--> {"command": "mark", ...} --> engine --> recording

The conductor has a thread of its own, so that the caller's is free for the session's events and
for Ctrl-C.  What comes from the session reaches it through a queue; it alone owns protocol,
presenter, keys and scorer.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from rtbci.apps.calibration_score import BlockScorer
from rtbci.apps.calibration_screen import STILL, Stage
from rtbci.apps.host import Send
from rtbci.apps.keys import Keys
from rtbci.apps.view import describe
from rtbci.calibration.protocol import machine
from rtbci.calibration.protocol.config import ProtocolConfig
from rtbci.calibration.protocol.machine import Due, Event
from rtbci.calibration.protocol.plan import Kind
from rtbci.clock import Clock
from rtbci.errors import RtbciError
from rtbci.types import Marker

TICK_S = 0.01
"""Longest wait between two looks at keys and clock."""
REFRESH_S = 0.2
"""Between two paints where something moves."""
LEAD_S = 1.0
"""From the first rows to the first phase."""


class Presenter(Protocol):
    """Shows a stage to the user."""

    def show(self, stage: Stage, *, tone: bool) -> None:
        """Paint; what it shows is to be seen when this returns."""


@dataclass(frozen=True)
class Conducted:
    """How it ended.

    Attributes
    ----------
    complete : bool
        Whether the protocol came to its end.
    stopped : bool
        Whether the user stopped it (q); not where the session ended under it.
    looked : tuple of int
        Numbers of trials at which scores were shown.
    """

    complete: bool
    stopped: bool
    looked: tuple[int, ...]


class Conductor:
    """Runs protocols in time with a session.

    Parameters
    ----------
    configs : sequence of ProtocolConfig
    seed : int
        Of order and jitter.
    stage : Stage
        With subject and title.
    presenter : callable
        Makes what shows the stage; entered in the conductor's thread.
    keys : callable
        Makes what reads the keys; likewise.
    scorer : BlockScorer | None
    clock : Clock
        The session's.
    """

    def __init__(
        self,
        configs: Sequence[ProtocolConfig],
        seed: int,
        stage: Stage,
        presenter: Callable[[], AbstractContextManager[Presenter]],
        keys: Callable[[], AbstractContextManager[Keys]],
        *,
        scorer: BlockScorer | None,
        clock: Clock,
    ) -> None:
        self._configs = tuple(configs)
        self._seed = seed
        self._stage = stage
        self._make_presenter = presenter
        self._make_keys = keys
        self._scorer = scorer
        self._clock = clock
        self._inbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._send: Send = lambda _: None
        self._thread = threading.Thread(target=self._run, name="rtbci-conductor", daemon=True)
        self._ended = False
        self._stopped = False
        self._complete = False
        self._error: Exception | None = None

    # The caller's thread

    def ready(self, send: Send) -> None:
        """Begin; to be given to :func:`rtbci.apps.host.run_session`."""
        self._send = send
        self._thread.start()

    def on_event(self, event: dict[str, Any]) -> None:
        """Take an event of the session."""
        self._inbox.put(event)

    def finish(self) -> Conducted:
        """Wait until the conductor has ended, because the session has.

        Raises
        ------
        RtbciError
            Where it failed.
        """
        self._inbox.put(None)
        if self._thread.ident is not None:
            self._thread.join()
        if self._error is not None:
            raise RtbciError(f"the calibration could not be shown: {self._error}") from self._error
        looked = tuple(self._scorer.looked) if self._scorer is not None else ()
        return Conducted(self._complete, self._stopped, looked)

    # The conductor's thread

    def _run(self) -> None:
        try:
            with self._make_keys() as keys, self._make_presenter() as presenter:
                self._stage.keys = type(keys) is not Keys
                self._conduct(keys, presenter)
        except Exception as err:  # noqa: BLE001 - a thread's boundary: finish() raises it
            self._error = err
        finally:
            if self._scorer is not None:
                self._scorer.close()
            self._send({"command": "stop"})

    def _conduct(self, keys: Keys, presenter: Presenter) -> None:
        presenter.show(self._stage, tone=False)
        while not self._ended and self._stage.recording is None:
            self._hear(None, block=True)
        protocol = machine.Protocol(self._configs, self._seed, self._clock.now() + LEAD_S)
        titles = [c.title for c in self._configs]
        self._note("begin", {"protocols": titles, "seed": self._seed})
        painted, shown = -REFRESH_S, None
        while not self._ended:
            self._hear(protocol)
            for key in keys.poll():
                self._press(key, protocol)
            now = self._clock.now()
            phase, events = protocol.at(now)
            self._rate(events)
            changed = phase != shown
            moves = phase.slot.kind not in STILL or phase.paused
            if changed or (moves and now - painted >= REFRESH_S) or self._score():
                stage = self._stage
                stage.phase, stage.remaining_s = phase, protocol.remaining_s(now)
                stage.left_s = max(0.0, phase.until - now) if not phase.paused else 0.0
                # A tone tells those whose eyes are closed.
                tone = changed and Kind.STEP in (phase.slot.kind, shown.slot.kind if shown else "")
                presenter.show(stage, tone=tone)
                painted, shown = now, phase
            onset = self._clock.now()
            for event in events:
                self._mark(event, onset if event.time == phase.since else None)
            if protocol.done:
                self._complete = not self._stopped
                return
            self._clock.sleep(min(TICK_S, max(0.0, phase.until - self._clock.now())))

    def _hear(self, protocol: machine.Protocol | None, *, block: bool = False) -> None:
        """Take what the session has said."""
        while True:
            try:
                event = self._inbox.get(block)
            except queue.Empty:
                return
            stage = self._stage
            if event is None or event["event"] in ("summary", "error"):
                self._ended = True
                return
            if event["event"] == "status":
                stage.status = event
            elif event["event"] == "started":
                stage.recording = event["recording"] or ""
            elif sentence := describe(event):
                stage.message, stage.alarm = sentence, event["event"] in ("lost", "stalled")
            if event["event"] == "lost" and protocol is not None:
                self._pause(protocol, "the source is lost")
            if block:
                return

    def _press(self, key: str, protocol: machine.Protocol) -> None:
        now = self._clock.now()
        if key == "space" and protocol.phase.paused:
            protocol.resume(now)
            self._stage.message, self._stage.alarm = "", False
            self._note("resume", {"time": now})
        elif key == "space":
            self._pause(protocol, "key")
        elif key == "r":
            protocol.repeat(now)
            self._note("repeat", {"time": now, "section": protocol.phase.section})
        elif key == "enter":
            protocol.skip(now)
        elif key == "q":
            self._stopped = True
            protocol.stop(now)
            self._note("stop", {"time": now})

    def _pause(self, protocol: machine.Protocol, why: str) -> None:
        now = self._clock.now()
        protocol.pause(now)
        self._note("pause", {"time": now, "why": why})

    def _rate(self, events: Sequence[Event]) -> None:
        """Ask for a score where a block is complete."""
        stage = self._stage
        if self._scorer is None or not stage.recording:
            return
        if any(event.due is Due.BLOCK_DONE for event in events):
            stage.score = ()
            self._scorer.begin(stage.recording)

    def _score(self) -> bool:
        """Whether a score has come."""
        lines = self._scorer.poll() if self._scorer is not None else None
        if lines is None:
            return False
        self._stage.score = lines
        return True

    def _mark(self, event: Event, onset: float | None) -> None:
        """Write down what was shown when, and which spans nobody should use."""
        if event.due is Due.SHOW:
            if onset is None:  # its time was over before it could be painted
                self._stage.message = f"{event.label} came too late and was left out."
                self._note("missed", {"label": event.label, "due": event.time})
                return
            self._send(_command(event.marker(onset)))
        elif event.due is Due.SPAN:
            self._send(_command(event.marker()))

    def _note(self, what: str, values: dict[str, Any]) -> None:
        self._send({"command": "note", "kind": "protocol", "values": {"what": what, **values}})


def _command(marker: Marker) -> dict[str, Any]:
    return {
        "command": "mark",
        "label": marker.label,
        "time": marker.time,
        "duration": marker.duration,
        "origin": marker.origin,
    }
