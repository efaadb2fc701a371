"""The line below the cards: recording, model, decoder; at the right the newest message."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.view_models.health import HealthModel
from rtbci.apps.gui.view_models.session_state import Message, SessionStateModel, duration, size
from rtbci.apps.gui.widgets.card import ElidedLabel
from rtbci.apps.texts import t

HEIGHT_PX = 30


class StatusBar(QWidget):
    """The line; a panel, too.

    Parameters
    ----------
    session : Session
    """

    period_s = 0.25

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("statusBar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.widget = self
        self._session = session
        self._model = session.model(SessionStateModel)
        self._health = session.model(HealthModel)
        self._seen = -1
        self.setFixedHeight(theme.px(HEIGHT_PX))
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(16), 0, theme.px(16), 0)
        row.setSpacing(theme.px(18))
        self.recording = QLabel()
        self.path = ElidedLabel("", "sub")
        info = session.info
        self.model = ElidedLabel(t("shell.status.model", model=info.model), "sub")
        words = t("shell.status.decoder", decoder=info.decoder) if info.decoder else ""
        self.decoder = ElidedLabel(words, "sub")
        self.message = ElidedLabel("", "sub")
        self.message.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for widget, stretch in (
            (self.recording, 0),
            (self.path, 0),
            (self.model, 0),
            (self.decoder, 0),
            (self.message, 1),
        ):
            row.addWidget(widget, stretch)
        session.said.connect(self.say)
        self.tick()

    def say(self, sentence: str, tone: str = "") -> None:
        """Show a sentence until the next one."""
        name = tone or "sub"
        if self.message.objectName() != name:
            self.message.setObjectName(name)
            self.message.style().polish(self.message)
        self.message.set_text(sentence)

    def tick(self) -> None:
        """Show what is recorded, and the newest message of the engine."""
        model = self._model
        seconds = model.recorded_s
        name = "sub" if seconds is None else "bad"
        word = t("shell.status.not_recording") if seconds is None else t("shell.status.recording")
        if self.recording.text() != word:
            self.recording.setObjectName(name)
            self.recording.style().polish(self.recording)
            self.recording.setText(word)
        if seconds is not None:
            parts = [model.recording_name, size(model.recorded_bytes)]
            disk = self._health.state.disk
            if disk is not None:
                parts.append(t("shell.status.free", time=duration(disk.seconds)))
            self.path.set_text(" · ".join(parts))
        self.path.setVisible(seconds is not None)
        state = model.state
        if state.messages != self._seen:
            self._seen = state.messages
            message = state.message or Message("")
            self.say(message.text, message.tone)
