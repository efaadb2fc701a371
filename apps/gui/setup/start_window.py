"""The window that a session is started from: source panel, impedance check, then the live window.

SourcePanel --settings--> engine of its own --ready--> opened(folder): the live window
                               |
                               +-- failed: the reason, on the panel; nothing is closed
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QMainWindow, QStackedWidget, QWidget

from rtbci.apps import window_session
from rtbci.apps.gui import theme
from rtbci.apps.gui.setup.impedance_page import ImpedancePage
from rtbci.apps.gui.setup.source_panel import SourcePanel
from rtbci.apps.gui.view_models.sources import Scanner
from rtbci.apps.settings import RunSettings
from rtbci.apps.texts import t
from rtbci.errors import RtbciError

if TYPE_CHECKING:
    from rtbci.apps.window_session import DetachedEngine

POLL_MS = 100
SIZE_PX = (1000, 640)


class StartWindow(QMainWindow):
    """Chooses a source and starts a session on it.

    Parameters
    ----------
    base : RunSettings, optional
        What the command line said besides the source.
    recordings : Path, optional
        Folder whose recordings are offered.
    scanner : Scanner, optional
    can_cancel : bool
        Whether there is something to go back to.
    take : callable, optional
        Takes the settings in place of an engine of this window's own (a session that runs goes on
        with them).

    Attributes
    ----------
    opened : Signal(object)
        Folder of the session that has got ready (Path).
    """

    opened = Signal(object)

    def __init__(
        self,
        base: RunSettings | None = None,
        *,
        recordings: Path | None = None,
        scanner: Scanner | None = None,
        can_cancel: bool = False,
        take: Callable[[RunSettings], None] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._take = take
        self.setWindowTitle(t("setup.source.window"))
        self.engine: DetachedEngine | None = None
        self.panel = SourcePanel(
            base, recordings=recordings, scanner=scanner, can_cancel=can_cancel
        )
        self.panel.chosen.connect(self.start)
        self.panel.cancelled.connect(self.close)
        self.panel.impedance_asked.connect(self.measure)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.panel)
        self.setCentralWidget(self.pages)
        theme.fit(self, *SIZE_PX)
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._look)

    def start(self, settings: RunSettings) -> None:
        """Start an engine and wait for it without standing still."""
        if self._take is not None:
            self._take(settings)
            self.close()
            return
        try:
            self.engine = window_session.start(settings)
        except (RtbciError, OSError) as err:
            self._failed(str(err))
            return
        self._timer.start()

    def measure(self, settings: RunSettings) -> ImpedancePage:
        """Show the impedance check."""
        page = ImpedancePage(settings)

        def leave() -> None:
            self.pages.removeWidget(page)
            page.deleteLater()

        page.closed.connect(leave)
        self.pages.addWidget(page)
        self.pages.setCurrentWidget(page)
        return page

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """End what was begun here and has not got ready; a check ends with its proof first."""
        page = self.pages.currentWidget()
        if isinstance(page, ImpedancePage) and page.model.running:
            event.ignore()
            page.closed.connect(self.close)
            page.leave()
            return
        self._timer.stop()
        self.panel.end()
        if self.engine is not None:
            self.engine.end()
            self.engine = None
        super().closeEvent(event)

    def _look(self) -> None:
        engine = self.engine
        if engine is None:
            return
        if engine.ready:
            self._timer.stop()
            self.engine = None
            self.opened.emit(engine.folder)
            self.close()
        elif engine.failure is not None or engine.ended:
            self._failed(engine.failure or t("setup.source.ended"))

    def _failed(self, why: str) -> None:
        self._timer.stop()
        self.engine = None
        self.panel.set_busy(False)
        self.panel.say(why, "bad")
