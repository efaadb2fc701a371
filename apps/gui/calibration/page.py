"""From a live session to a calibration: the session ends, since a source belongs to one of them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QPushButton,
    QWidget,
)

from rtbci.apps import window_session
from rtbci.apps.gui import theme
from rtbci.apps.gui.calibration.opening import HIGH_PX, WIDE_PX, make_window
from rtbci.apps.gui.calibration.store import Plan
from rtbci.apps.gui.calibration.window import CalibrationWindow
from rtbci.apps.gui.live.attached import AttachedWindow
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.view_models.reads import list_subjects
from rtbci.apps.gui.widgets.card import Card
from rtbci.apps.texts import t
from rtbci.calibration.names import check_subject
from rtbci.errors import BadInputError

SIZE_PX = (520, 220)
LOOK_MS = 100


def calibration_page(session: Session, parent: QWidget) -> QWidget:
    """Ask whom to calibrate, end the session, and open the calibration on its source."""
    window = parent.window()
    if not isinstance(window, AttachedWindow):
        raise BadInputError(t("setup.source.only_shown"))
    page = CalibrationPage(window, session)
    page.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    page.resize(theme.px(SIZE_PX[0]), theme.px(SIZE_PX[1]))
    return page


class CalibrationPage(QMainWindow):
    """Leads over; the live window waits behind the calibration and goes on after it.

    Parameters
    ----------
    window : AttachedWindow
    session : Session
        That runs.
    """

    def __init__(self, window: AttachedWindow, session: Session) -> None:
        super().__init__(window)
        self._window = window
        self._session = session
        self._settings = window_session.settings_of(window.entry)
        self.calibration: CalibrationWindow | None = None
        self._plan: Plan | None = None
        self.setWindowTitle(t("calibration.page.title"))
        card = Card(t("calibration.page.title"))
        words = QLabel(t("calibration.page.words"))
        words.setWordWrap(True)
        self.subject = QComboBox()
        self.subject.setEditable(True)
        self.subject.addItems(list_subjects())
        self.subject.setCurrentText(self._settings.subject or "")
        self.subject.setAccessibleName(t("calibration.subject.subject"))
        name = QLabel(t("calibration.subject.subject"))
        name.setBuddy(self.subject)
        self.problem = QLabel()
        self.problem.setObjectName("bad")
        self.problem.setWordWrap(True)
        self.go = QPushButton(t("calibration.page.go"))
        self.go.setObjectName("primary")
        self.go.clicked.connect(self.begin)
        row = QHBoxLayout()
        row.addWidget(name)
        row.addWidget(self.subject, 1)
        row.addWidget(self.go)
        card.body.addWidget(words)
        card.body.addStretch(1)
        card.body.addWidget(self.problem)
        card.body.addLayout(row)
        self.setCentralWidget(card)
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)

    def begin(self) -> None:
        """End the session; the calibration opens when its source is free."""
        settings, subject = self._settings, self.subject.currentText().strip()
        try:
            check_subject(subject)
            if settings.source.is_file:
                raise BadInputError(t("calibration.page.no_file"))
        except BadInputError as err:
            self.problem.setText(str(err))
            return
        record = settings.record or self._window.remembered.recordings or self._ask()
        if not record:
            return
        self._window.remembered.recordings = self._record = record
        self._plan = Plan(subject, settings.source, settings.montage)
        if self._session.view.alive and not self._session.send({"command": "stop"}):
            return
        self.go.setEnabled(False)
        self._timer.start()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Wait for nothing any more."""
        self._timer.stop()
        super().closeEvent(event)

    def _ask(self) -> str:
        return QFileDialog.getExistingDirectory(self, t("shell.record.folder"), str(Path.home()))

    def _look(self) -> None:
        if self._session.view.alive or self._plan is None:
            return
        self._timer.stop()
        try:
            made = make_window(
                self._plan, Path(self._record), config=self._settings.session, closed=self._over
            )
        except BadInputError as err:
            self.problem.setText(str(err))
            self.go.setEnabled(True)
            return
        self.calibration = made
        theme.fit(made, WIDE_PX, HIGH_PX)
        self.hide()
        made.show()

    def _over(self) -> None:
        """Go on live; with the new profile where one was saved."""
        assert self.calibration is not None
        assert self._plan is not None
        if self.calibration.session.state.saved:
            self._window.change({"subject": self._plan.subject, "profile": None})
        else:
            self._window.begin_again()
        self.close()
