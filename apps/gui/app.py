"""The program with windows: checks whether there can be one, then opens it.

Concurrency: one thread; the engine is another process, and what takes long happens there.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rtbci.apps.window_session import has_display
from rtbci.errors import BadInputError, RtbciError

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from rtbci.apps.gui.live.window import LiveWindow
    from rtbci.apps.settings import RunSettings

PACKAGES = (
    "libegl1 libgl1 libxkbcommon0 libxkbcommon-x11-0 libdbus-1-3 libfontconfig1 libxcb-cursor0 "
    "libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 "
    "libxcb-xinerama0"
)
"""What Qt needs of a Debian or Ubuntu that has no desktop."""

ANSWER_S = 5.0
"""An X server that has not answered by then is not there."""

log = logging.getLogger(__name__)


def check_window() -> None:
    """Tell whether a window can be opened here.

    Raises
    ------
    BadInputError
        Where there is no display, or Qt can't be loaded; with the remedy.
    """
    try:
        from PySide6 import QtWidgets  # noqa: F401 - whether it can be loaded is the question
    except ImportError as err:
        from rtbci.apps.texts import t

        on_linux = sys.platform.startswith("linux")
        packages = f"{PACKAGES} (apt install)" if on_linux else "PySide6-Essentials (pip install)"
        raise BadInputError(t("shell.app.no_qt", error=err, packages=packages)) from err
    if not has_display():
        from rtbci.apps.texts import t

        raise BadInputError(t("shell.app.no_display"))
    if sys.platform.startswith("linux") and not answers(os.environ):
        from rtbci.apps.texts import t

        raise BadInputError(t("shell.app.dead_display", display=os.environ.get("DISPLAY", "")))


def answers(environment: Mapping[str, str]) -> bool:
    """Whether the X server that Qt would take is there: where it is not, Qt ends the process.

    Only servers of this machine are asked; of all others the answer is yes.
    """
    platform = environment.get("QT_QPA_PLATFORM", "").partition(":")[0]
    if platform not in ("", "xcb") or (not platform and environment.get("WAYLAND_DISPLAY")):
        return True
    host, _, number = environment.get("DISPLAY", "").rpartition(":")
    if host not in ("", "unix"):
        return True
    path = f"/tmp/.X11-unix/X{number.partition('.')[0]}"  # noqa: S108 - where X servers listen
    return any(_connects(place) for place in (path, f"\0{path}"))


def _connects(place: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.settimeout(ANSWER_S)
        return server.connect_ex(place) == 0


def application(theme: str = "auto") -> QApplication:
    """Give the process's application, in the theme that is asked for or remembered.

    Parameters
    ----------
    theme : str
        ``dark``, ``light`` or ``auto``.

    Raises
    ------
    BadInputError
        Where there can be none.
    """
    check_window()
    from PySide6.QtWidgets import QApplication

    from rtbci.apps.gui import theme as themes
    from rtbci.apps.gui.remembered import Remembered

    app = QApplication.instance()
    if not isinstance(app, QApplication):
        app = QApplication(sys.argv[:1])
        app.setApplicationName("rtbci")
        app.setStyle("Fusion")
    themes.apply(Remembered().theme if theme == "auto" else theme)
    return app


def open_live(
    folder: Path, *, ask_on_close: bool = True, theme: str = "auto", duration: bool = False
) -> int:
    """Open the window of a session that runs, and wait until it is closed.

    Parameters
    ----------
    folder : Path
        Of the session (:mod:`rtbci.live.registry`).
    ask_on_close : bool
        Whether to ask, at its closing, what becomes of the session.
    theme : str
        ``auto`` for the one that is remembered.
    duration : bool
        Whether the session ends by itself: then the window closes with it.

    Returns
    -------
    code : int
        Exit code of the program.

    Raises
    ------
    BadInputError
        Where there is no display, or no such session.
    """
    app = application(theme)
    window = live_window(folder, ask_on_close=ask_on_close, close_at_end=duration)
    window.show()
    sys.excepthook = _Survive(window)
    return app.exec()


def open_start(base: RunSettings, *, theme: str = "auto") -> int:
    """Open the source panel, then the window of the session that is started from it.

    Parameters
    ----------
    base : RunSettings
        What the command line said besides the source.
    theme : str
        ``auto`` for the one that is remembered.

    Returns
    -------
    code : int
        Exit code of the program.

    Raises
    ------
    BadInputError
        Where there is no display.
    """
    app = application(theme)
    from rtbci.apps.gui.remembered import Remembered
    from rtbci.apps.gui.setup.start_window import StartWindow

    recordings = base.record or Remembered().recordings
    start = StartWindow(base, recordings=Path(recordings) if recordings else None)
    shown: list[LiveWindow] = []

    def show(folder: Path) -> None:
        window = live_window(folder, ask_on_close=True, close_at_end=base.duration_s is not None)
        window.show()
        shown.append(window)
        sys.excepthook = _Survive(window)

    start.opened.connect(show)
    start.show()
    return app.exec()


def live_window(
    folder: Path, *, ask_on_close: bool = False, close_at_end: bool = False
) -> LiveWindow:
    """Make the window of a session that runs; the application must be there."""
    from rtbci.apps.gui.live.attached import AttachedWindow
    from rtbci.apps.gui.remembered import Remembered

    return AttachedWindow(
        folder, Remembered(), ask_on_close=ask_on_close, close_at_end=close_at_end
    )


class _Survive:
    """Says in the status line what went wrong in a slot, and writes all of it to the log."""

    def __init__(self, window: LiveWindow) -> None:
        self._window = window

    def __call__(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        from rtbci.apps.texts import t

        if issubclass(kind, KeyboardInterrupt):
            self._window.close()
            return
        log.error("%s", "".join(traceback.format_exception(kind, error, trace)))
        known = isinstance(error, RtbciError)
        sentence = str(error) if known else t("shell.app.broken", error=f"{kind.__name__}: {error}")
        self._window.session.say(sentence, "bad")
