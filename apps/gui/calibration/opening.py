"""Opens the calibration window: a new session, or one that was closed in the middle."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType

from rtbci.apps.calibration_score import Worker
from rtbci.apps.gui.app import application
from rtbci.apps.gui.calibration.engine import SessionEngine, starter
from rtbci.apps.gui.calibration.presenter import QtPresenter
from rtbci.apps.gui.calibration.protocols import Protocols, protocols_of
from rtbci.apps.gui.calibration.session import GuidedSession
from rtbci.apps.gui.calibration.store import Plan, find_state, new_state, session_folder
from rtbci.apps.gui.calibration.window import CalibrationWindow
from rtbci.apps.gui.theme import fit
from rtbci.apps.texts import t
from rtbci.clock import MonotonicClock
from rtbci.config import SessionConfig
from rtbci.errors import RtbciError

WIDE_PX, HIGH_PX = 1600, 900
"""Of the window, where the screen has so much room."""
log = logging.getLogger(__name__)


def open_calibration(
    plan: Plan, record: Path, *, config: SessionConfig | None = None, theme: str = "auto"
) -> int:
    """Open the calibration window, and wait until it is closed.

    Returns
    -------
    code : int
        Exit code of the program.

    Raises
    ------
    BadInputError
        Where there is no display, and as :func:`make_window` does.
    """
    app = application(theme)
    window = make_window(plan, record, config=config)
    sys.excepthook = partial(_say, window)
    fit(window, WIDE_PX, HIGH_PX)
    window.show()
    return app.exec()


def _say(
    window: CalibrationWindow,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    """Say on the window what went wrong in a slot, and write all of it to the log."""
    if issubclass(kind, KeyboardInterrupt):
        window.close()
        return
    log.error("%s", "".join(traceback.format_exception(kind, error, trace)))
    known = isinstance(error, RtbciError)
    sentence = str(error) if known else t("shell.app.broken", error=f"{kind.__name__}: {error}")
    window.session.say_problem(sentence)


def make_window(
    plan: Plan,
    record: Path,
    *,
    config: SessionConfig | None = None,
    presenter: QtPresenter | None = None,
    make_protocols: Callable[[Plan], Protocols] = protocols_of,
    closed: Callable[[], None] = lambda: None,
) -> CalibrationWindow:
    """Make the window; the session of that subject beside these recordings is taken up again.

    ``closed`` is told when the window has closed.

    Raises
    ------
    BadInputError
        Where the protocol can't be used, or what was left of a session is damaged.
    """
    folder = session_folder(record, plan.subject)
    state = find_state(folder) or new_state(plan)
    if not plan.source.simulated:  # a board may have another port than when it was closed
        state.plan = replace(state.plan, source=plan.source)
    presenter = presenter or QtPresenter()
    session: GuidedSession

    def recordings() -> list[str]:
        return [*session.state.recordings, *session.state.feedback]

    start: Callable[..., SessionEngine] = starter(recordings)
    session = GuidedSession(
        state,
        folder,
        record,
        start=start,
        presenter=presenter,
        clock=MonotonicClock(),
        worker=Worker(),
        make_protocols=make_protocols,
        config=config,
    )
    return CalibrationWindow(session, presenter, closed)
