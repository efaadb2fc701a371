"""The engine of a guided session: a process of its own, which outlives a window that is killed.

start ---> engine process --view, events--> poll()
                <--commands-- a thread that sends: the window never waits for an answer
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rtbci.apps import window_session
from rtbci.apps.gui.calibration.store import Plan
from rtbci.apps.settings import RunSettings
from rtbci.apps.texts import t
from rtbci.apps.window_session import DetachedEngine
from rtbci.calibration.protocol.config import ProtocolConfig
from rtbci.calibration.protocol.rehearsal import class_map
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError, RtbciError
from rtbci.live import registry
from rtbci.live.control import SessionLink, end_session
from rtbci.live.reader import LiveView
from rtbci.live.view import View

TASK = "calibration"
MODEL = "ar"
"""Forecasts are no part of a calibration, and this model costs least."""
STATUS_S = 0.1
ENDS = ("summary", "error")
"""Events after which there are no more."""
LOST_S = 2.0
"""An engine that has not beaten for so long has ended or hangs."""


class SessionEngine:
    """An engine that is started for this window, or that an earlier window has left running.

    Parameters
    ----------
    begin : callable
        Gives the session's folder, and the engine where it was started for this; called in a
        thread of its own, since it may wait until an earlier engine has let go of the source.
    """

    def __init__(self, begin: Callable[[], tuple[Path, DetachedEngine | None]]) -> None:
        self._begin = begin
        self._folder: Path | None = None
        self._started: DetachedEngine | None = None
        self._view: LiveView | None = None
        self._position = 0
        self._over = False
        self._status_s = -1.0
        self._commands: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._notes: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="rtbci-engine-link")
        self._thread.start()

    @property
    def view(self) -> View | None:
        """What it shows of itself, as soon as it does."""
        return self._view

    def poll(self) -> list[dict[str, Any]]:
        """Events since the last call, the newest status among them; nothing after its end."""
        if self._over:
            return []
        events: list[dict[str, Any]] = []
        while not self._notes.empty():
            events.append(self._notes.get())
        if self._view is not None or self._open():
            events += self._seen()
        elif self._started is not None and self._started.ended:
            events.append({"event": "error", "message": self._why()})
        self._over = any(e["event"] in ENDS for e in events)
        return events

    def send(self, command: dict[str, Any]) -> None:
        """Send a command; never waits."""
        self._commands.put(command)

    def close(self) -> None:
        """Ask it to stop; never waits."""
        self._over = True
        self._commands.put(None)

    def wait(self) -> None:
        """Wait until it has stopped: its source and its recording are free then."""
        self._thread.join()

    def _seen(self) -> list[dict[str, Any]]:
        view = self._view
        assert view is not None
        events, self._position = view.events(self._position)
        status = view.status()
        if status is not None and status["t_s"] != self._status_s:
            self._status_s = status["t_s"]
            events.append(status)
        if not view.alive and view.heartbeat_age() > LOST_S:
            more, self._position = view.events(self._position)
            events += more
            if not any(e["event"] in ENDS for e in events):
                events.append({"event": "error", "message": self._why()})
        return events

    def _open(self) -> bool:
        if self._folder is None or (self._started is not None and not self._started.ready):
            return False
        with contextlib.suppress(BadInputError):
            self._view = LiveView.open(self._folder)
        return self._view is not None

    def _why(self) -> str:
        why = None if self._started is None else self._started.failure
        return why or t("calibration.say.engine_ended")

    # A thread of its own

    def _serve(self) -> None:
        try:
            folder, self._started = self._begin()
        except (RtbciError, OSError) as err:
            self._notes.put({"event": "error", "message": str(err)})
            return
        self._folder = folder
        link = SessionLink(folder)
        while (command := self._commands.get()) is not None:
            try:
                link.send(command)
            except BadInputError as err:
                self._notes.put({"event": "note", "message": str(err)})
        link.close()
        if self._started is not None:
            self._started.end()
            self._started.close()
        else:
            with contextlib.suppress(RtbciError):
                end_session(folder)
        if self._view is not None:
            self._view.close()


def starter(recordings: Callable[[], Sequence[str]]) -> Callable[[RunSettings], SessionEngine]:
    """Give what starts engines for a session, one after the other.

    Parameters
    ----------
    recordings : callable
        Folders of the session's recordings: an engine that records to one of them still runs
        where a window was killed, and is taken over.
    """
    last: list[SessionEngine] = []

    def start(settings: RunSettings) -> SessionEngine:
        before = last[-1:]

        def begin() -> tuple[Path, DetachedEngine | None]:
            for engine in before:
                engine.wait()
            for entry in registry.sessions():
                same = entry.settings.get("decodes") == settings.decodes
                if entry.detached and same and entry.recording in recordings():
                    return entry.folder, None
            made = window_session.start(settings)
            return made.folder, made

        last[:] = [SessionEngine(begin)]
        return last[0]

    return start


def run_settings(
    plan: Plan,
    block: ProtocolConfig,
    *,
    record: Path,
    profile: Path | None,
    config: SessionConfig,
) -> RunSettings:
    """Settings of an engine.

    Parameters
    ----------
    plan : Plan
    block : ProtocolConfig
        Whose classes are cued.
    record : Path
    profile : Path | None
        What decodes; nothing does where None.
    config : SessionConfig
    """
    labels = class_map((block,))
    return RunSettings(
        source=replace(plan.source, scripted=False),
        session=config,
        montage=plan.montage,
        classes=",".join(f"{k}={v}" for k, v in labels.items()),
        subject=plan.subject,
        profile=None if profile is None else str(profile),
        decodes=profile is not None,
        task=TASK,
        model=MODEL,
        record=str(record),
        status_s=STATUS_S,
    )
