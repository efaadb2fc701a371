"""Conducts a protocol in the terminal: keys in, paints out, in a thread of its own.

The caller's thread stays free for the session's events and for Ctrl-C.  What comes from the
session reaches the conductor through a queue; it alone owns protocol, presenter, keys and scorer.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from rtbci.apps.calibration_score import BlockScorer
from rtbci.apps.conductor_core import Conduct, Send
from rtbci.apps.conductor_state import Stage
from rtbci.apps.keys import Keys
from rtbci.calibration.protocol.config import ProtocolConfig
from rtbci.clock import Clock
from rtbci.errors import RtbciError

TICK_S = 0.01
"""Longest wait between two looks at keys and clock."""


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
        self._stage = stage
        self._make_presenter = presenter
        self._make_keys = keys
        self._scorer = scorer
        self._clock = clock
        self._inbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._send: Send = lambda _: None
        self._conduct = Conduct(configs, seed, stage, lambda command: self._send(command))
        self._thread = threading.Thread(target=self._run, name="rtbci-conductor", daemon=True)
        self._ended = False
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
        return Conducted(self._conduct.complete, self._conduct.state.stopped, looked)

    # The conductor's thread

    def _run(self) -> None:
        try:
            with self._make_keys() as keys, self._make_presenter() as presenter:
                self._stage.keys = type(keys) is not Keys
                self._show(keys, presenter)
        except Exception as err:  # noqa: BLE001 - a thread's boundary: finish() raises it
            self._error = err
        finally:
            if self._scorer is not None:
                self._scorer.close()
            self._send({"command": "stop"})

    def _show(self, keys: Keys, presenter: Presenter) -> None:
        conduct = self._conduct
        presenter.show(self._stage, tone=False)
        while not self._ended and self._stage.recording is None:
            self._hear(block=True)
        conduct.begin(self._clock.now())
        blocks = 0
        while not self._ended and not conduct.done:
            self._hear()
            for key in keys.poll():
                conduct.press(key, self._clock.now())
            if self._score():
                conduct.refresh()
            step = conduct.step(self._clock.now())
            if step.paint:
                if conduct.state.blocks > blocks:
                    blocks = conduct.state.blocks
                    self._rate()
                presenter.show(self._stage, tone=step.tone)
                conduct.painted(self._clock.now())
            self._clock.sleep(min(TICK_S, step.wait_s))

    def _hear(self, *, block: bool = False) -> None:
        """Take what the session has said."""
        while True:
            try:
                event = self._inbox.get(block)
            except queue.Empty:
                return
            if event is None:
                self._ended = True
                return
            self._conduct.hear(event, self._clock.now())
            self._ended = self._conduct.state.ended
            if block or self._ended:
                return

    def _rate(self) -> None:
        """Ask for a score, since a block is complete."""
        if self._scorer is not None and self._stage.recording:
            self._stage.score = ()
            self._scorer.begin(self._stage.recording)

    def _score(self) -> bool:
        """Whether a score has come."""
        lines = self._scorer.poll() if self._scorer is not None else None
        if lines is None:
            return False
        self._stage.score = lines
        return True
