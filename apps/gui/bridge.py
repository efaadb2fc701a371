"""From the engine's view to the window: one timer polls, thirty times a second.

    View --poll--> Update --> Session.take (all view models) --> panels whose time it is

Concurrency: all of it runs in the window's thread.  A poll copies what is new; when it comes late
nothing is lost but what the view has dropped meanwhile, which ``Update.missed`` counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, Qt, QTimer, Signal

from rtbci.apps.gui.live.panel import Panel, Session
from rtbci.apps.gui.view_models.update import Update

if TYPE_CHECKING:
    from rtbci.live.view import View

POLL_MS = 33
BACK_S = 60.0
"""So much of the past is taken when the window attaches to a session that runs already."""


@dataclass
class Position:
    """What has been read of a view: the next row, token and event to ask for."""

    row: int = 0
    filtered: int = 0
    forecast: int = -1
    decode: int = -1
    event: int = 0
    status_s: float = -1.0


class Reader:
    """Reads what is new; no Qt.

    Parameters
    ----------
    view : View
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self.position = Position()
        self._begun = False

    def read(self) -> Update:
        """Give all that is new since the last call."""
        view, at = self._view, self.position
        if not self._begun:
            self._skip()
        before = at.row
        rows = view.rows(at.row)
        filtered = view.filtered(at.filtered)
        missed = max(0, rows.start - before) if self._begun else 0
        breaks = view.filtered_breaks(at.filtered)
        forecasts, decodes = view.forecasts(at.forecast), view.decodes(at.decode)
        events, at.event = view.events(at.event)
        status = view.status()
        if status is not None and status["t_s"] == at.status_s:
            status = None
        if status is not None:
            at.status_s = status["t_s"]
        at.row, at.filtered = max(at.row, rows.stop), max(at.filtered, filtered.stop)
        at.forecast = forecasts[-1].token if forecasts else at.forecast
        at.decode = decodes[-1].token if decodes else at.decode
        self._begun = self._begun or len(rows.times) > 0
        return Update(
            time=float(rows.times[-1]) if len(rows.times) else float("nan"),
            rows=rows,
            filtered=filtered,
            breaks=tuple(int(row) for row in breaks if row < filtered.stop),
            forecasts=tuple(forecasts),
            decodes=tuple(decodes),
            status=status,
            events=tuple(events),
            missed=missed,
            beat_age=view.heartbeat_age(),
            alive=view.alive,
            begun=view.info.begun,
        )

    def _skip(self) -> None:
        """Of what the view keeps take the last seconds only."""
        view, info = self._view, self._view.info
        for name, rate in (("row", info.rate), ("filtered", info.model_rate)):
            ask = view.rows if name == "row" else view.filtered
            newest = ask(np.iinfo(np.int64).max // 2, 0).start
            oldest = ask(0, 1).start
            setattr(self.position, name, max(oldest, newest - round(BACK_S * rate), 0))


class Bridge(QObject):
    """Polls, feeds the session's view models, and lets panels show them.

    Parameters
    ----------
    session : Session
    panels : callable
        Gives the panels there are now.

    Attributes
    ----------
    polled : Signal(object)
        After each poll, with the :class:`Update`.
    """

    polled = Signal(object)

    def __init__(
        self,
        session: Session,
        panels: Callable[[], Sequence[Panel]],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._panels = panels
        self._reader = Reader(session.view)
        self._next: dict[int, float] = {}
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self.poll)

    def start(self) -> None:
        """Begin to poll."""
        self._timer.start()

    def stop(self) -> None:
        """Poll no more."""
        self._timer.stop()

    def attach(self, view: View) -> None:
        """Go on with another view of the same kind of session (the engine was started anew)."""
        self._reader = Reader(view)

    def poll(self) -> None:
        """Take what is new, and show it where it is time to."""
        update = self._reader.read()
        self._session.take(update)
        self.polled.emit(update)
        self.show(time.monotonic())

    def show(self, now: float) -> None:
        """Let those panels show what there is whose time has come and that can be seen."""
        for i, panel in enumerate(self._panels()):
            due = self._next.get(id(panel))
            if due is None:
                # NB: each slow panel begins at another poll, so that they don't all fall on one.
                due = now if panel.period_s == 0 else now + (i % 7) * panel.period_s / 7
                self._next[id(panel)] = due
            if now >= due and panel.widget.isVisible():
                self._next[id(panel)] = max(due + panel.period_s, now)
                panel.tick()
