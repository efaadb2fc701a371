"""A strip below the top bar for what is wrong with the whole session: the engine has gone."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.session_state import Life, SessionStateModel
from rtbci.apps.texts import t
from rtbci.apps.times import stop_watch


class Banner(QWidget):
    """Says it in words, and offers to go on; hidden while all is well.

    Attributes
    ----------
    again : Signal
        The session is to go on as a new one.
    """

    again = Signal()

    def __init__(self, model: SessionStateModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.setObjectName("banner")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.button = QPushButton(t("shell.banner.again"))
        self.button.setObjectName("primary")
        self.button.setToolTip(t("shell.banner.again_tip"))
        self.button.clicked.connect(self.again)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(16), theme.px(8), theme.px(16), theme.px(8))
        row.setSpacing(theme.px(16))
        row.addWidget(self.text, 1)
        row.addWidget(self.button)
        self._said = ""
        self._starting = False
        self.setVisible(False)

    def starting(self, what: str) -> None:
        """Say that a new session is getting ready; empty once it is, or will never be."""
        self._starting = bool(what)
        self._said = what
        self.refresh()

    def refresh(self) -> None:
        """Show what there is to say now."""
        life = self._model.life
        if self._starting:
            self._show(self._said, "", button=False)
        elif life in (Life.GONE, Life.ENDED):
            self._show(self._words(life), "bad" if life is Life.GONE else "", button=True)
        elif life is Life.TROUBLED:
            trouble = str(self._model.state.status.get("trouble", ""))
            self._show(t("shell.banner.troubled", trouble=trouble), "fair", button=False)
        else:
            self.setVisible(False)

    def _words(self, life: Life) -> str:
        state = self._model.state
        if life is Life.ENDED:
            if state.recording:
                return t("shell.banner.ended_recorded", path=state.recording)
            return t("shell.banner.ended")
        when = stop_watch(self._model.time_s)
        key = "gone_error" if state.error else "gone"
        error = state.error.strip().splitlines()[-1] if state.error else ""
        parts = [t(f"shell.banner.{key}", when=when, error=error)]
        if state.recording:
            parts.append(t("shell.banner.recorded", path=state.recording))
            parts.append(t("shell.banner.recover", path=state.recording))
        else:
            parts.append(t("shell.banner.unrecorded"))
        return " ".join(parts)

    def _show(self, text: str, tone: str, *, button: bool) -> None:
        if self.text.text() != text:
            self.text.setText(text)
        if self.text.objectName() != tone:
            self.text.setObjectName(tone)
            self.text.style().polish(self.text)
        self.button.setVisible(button)
        self.setVisible(True)
