"""What the live window opens of the set-up: another source, another montage, impedances.

Source and montage are fixed while a session runs, since a recording has one of each; so a choice
begins a new session, which takes the source over once it is ready.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMainWindow, QPushButton, QVBoxLayout, QWidget

from rtbci.apps import window_session
from rtbci.apps.gui import theme
from rtbci.apps.gui.live.attached import AttachedWindow
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.setup.impedance_page import ImpedancePage
from rtbci.apps.gui.setup.montage_editor import MontageEditor
from rtbci.apps.gui.setup.start_window import StartWindow
from rtbci.apps.gui.widgets.card import Card
from rtbci.apps.settings import RunSettings
from rtbci.apps.texts import t
from rtbci.errors import BadInputError
from rtbci.montage import parse_montage

SIZE_PX, REFUSAL_PX = (900, 620), (460, 150)
LOOK_MS = 100


def source_page(_session: Session, parent: QWidget) -> QWidget:
    """Choose another source; the session goes on with it."""
    window = _attached(parent)
    base = window_session.settings_of(window.entry)

    def take(settings: RunSettings) -> None:
        window.change({field.name: getattr(settings, field.name) for field in fields(settings)})

    recordings = base.record or window.remembered.recordings
    page = StartWindow(
        base,
        recordings=Path(recordings) if recordings else None,
        can_cancel=True,
        take=take,
        parent=window,
    )
    return _window(page)


def montage_page(session: Session, parent: QWidget) -> QWidget:
    """Name the channels anew; the session goes on with it."""
    window = _attached(parent)
    settings = window_session.settings_of(window.entry)
    editor = MontageEditor(_names(settings, session))
    frame = _frame(editor, t("setup.montage.window"), window)

    def take(text: str) -> None:
        window.change({"montage": text})
        frame.close()

    editor.done.connect(take)
    editor.cancelled.connect(frame.close)
    return frame


def impedance_page(session: Session, parent: QWidget) -> QWidget:
    """Measure the impedances of the session's board: the session ends for it, and goes on after."""
    window = _attached(parent)
    settings = window_session.settings_of(window.entry)
    if session.info.kind != "brainflow":
        frame = _frame(_Refusal(), t("setup.impedance.window"), window)
        frame.resize(theme.px(REFUSAL_PX[0]), theme.px(REFUSAL_PX[1]))
        return frame
    return _window(_ImpedanceWindow(window, session, settings))


class _Refusal(QWidget):
    """Says that this source's impedances can't be measured."""

    def __init__(self) -> None:
        super().__init__()
        card = Card(t("setup.impedance.title"))
        words = QLabel(t("setup.impedance.not_possible"))
        words.setWordWrap(True)
        card.body.addWidget(words)
        card.body.addStretch(1)
        QVBoxLayout(self).addWidget(card)


class _ImpedanceWindow(QMainWindow):
    """Ends the session when a check is begun, and begins it again when it is closed."""

    def __init__(self, window: AttachedWindow, session: Session, settings: RunSettings) -> None:
        super().__init__(window)
        self._window = window
        self._session = session
        self._settings = settings
        self._ended = False
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)
        self.setWindowTitle(t("setup.impedance.window"))
        card = Card(t("setup.impedance.title"), t("setup.impedance.sub"))
        words = QLabel(t("setup.impedance.in_use"))
        words.setWordWrap(True)
        self.go = QPushButton(t("setup.impedance.end_and_measure"))
        self.go.setObjectName("primary")
        self.go.clicked.connect(self.begin)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.go)
        card.body.addWidget(words)
        card.body.addStretch(1)
        card.body.addLayout(row)
        self.setCentralWidget(card)

    def begin(self) -> None:
        """End the session, then measure."""
        if self._session.send({"command": "stop"}):
            self._ended = True
            self.go.setEnabled(False)
            self._timer.start()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Let the session go on, where it was ended for the check; the proof comes first."""
        page = self.centralWidget()
        if isinstance(page, ImpedancePage) and page.model.running:
            event.ignore()
            page.leave()  # closes this window once it is through
            return
        self._timer.stop()
        super().closeEvent(event)
        if self._ended:
            self._window.begin_again()

    def _look(self) -> None:
        if self._session.view.alive:
            return
        self._timer.stop()
        page = ImpedancePage(self._settings)
        page.closed.connect(self.close)
        self.setCentralWidget(page)
        page.switch()


def _attached(parent: QWidget) -> AttachedWindow:
    window = parent.window()
    if not isinstance(window, AttachedWindow):
        raise BadInputError(t("setup.source.only_shown"))
    return window


def _names(settings: RunSettings, session: Session) -> tuple[str, ...]:
    """Names of all channels of the device, those without electrode included."""
    if settings.montage is None:
        return session.info.electrodes
    try:
        return parse_montage(settings.montage)
    except BadInputError:  # its file has gone meanwhile
        return session.info.electrodes


def _frame(widget: QWidget, title: str, parent: QWidget) -> QMainWindow:
    frame = QMainWindow(parent)
    frame.setWindowTitle(title)
    frame.setCentralWidget(widget)
    return _window(frame)


def _window(page: QMainWindow) -> QMainWindow:
    page.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    page.resize(theme.px(SIZE_PX[0]), theme.px(SIZE_PX[1]))
    return page
