"""The top bar and the status line of the calibration window."""

from __future__ import annotations

import shutil
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.widgets.card import ElidedLabel
from rtbci.apps.texts import t

BYTES_A_ROW = 4
"""Of each channel, in the recording; times and counters add about as much as two channels."""


class Chip(QFrame):
    """A title and what is to be said of it, in a small frame; a dot tells how it is."""

    def __init__(self, name: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("chip")
        self._dot, self._name = QLabel(), QLabel(name)
        self._dot.setTextFormat(Qt.TextFormat.RichText)
        self._value = ElidedLabel("", "secondary")
        self._line = QHBoxLayout(self)
        self._line.addWidget(self._dot)
        self._line.addWidget(self._name)
        self._line.addWidget(self._value, 1)
        self._dot.hide()
        theme.look.changed.connect(self._style)
        self._style()

    def show_words(self, name: str, value: str, dot: str = "", *, quiet: bool = False) -> None:
        """Show a name, a value, and a dot in the colour of a role (``good``), or none.

        The name stands out, or the value where the name is ``quiet``.
        """
        self._name.setObjectName("secondary" if quiet else "")
        self._value.setObjectName("" if quiet else "secondary")
        self._name.setText(name)
        self._value.set_text(value)
        self._value.setVisible(bool(value))
        self._dot.setVisible(bool(dot))
        if dot:
            self._dot.setText(f'<span style="color:{getattr(theme.palette(), dot)}">●</span>')

    def _style(self) -> None:
        self._line.setContentsMargins(theme.px(11), theme.px(5), theme.px(11), theme.px(5))
        self._line.setSpacing(theme.px(8))


class TopBar(QWidget):
    """What is calibrated, on which source; that nothing is lost; pause."""

    pause_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("topBar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        name = QLabel(t("shell.name"))
        name.setObjectName("title")
        self._what, self._source, self._saved = Chip(), Chip(), Chip()
        self._saved.show_words(
            t("calibration.window.saved_here"), t("calibration.window.saved"), quiet=True
        )
        self.pause = QPushButton(f"❚❚  {t('calibration.window.pause')}   Space")
        self.pause.clicked.connect(self.pause_asked)
        self._line = QHBoxLayout(self)
        for widget in (name, self._what, self._source):
            self._line.addWidget(widget)
        self._line.addStretch(1)
        self._line.addWidget(self._saved)
        self._line.addWidget(self.pause)
        theme.look.changed.connect(self._style)
        self._style()

    def show_session(self, what: str, source: str, rate: str, dot: str, *, running: bool) -> None:
        """Show the session; pause can be asked for while something runs."""
        self._what.show_words(t("calibration.window.chip"), what)
        self._source.show_words(source, rate, dot)
        self.pause.setEnabled(running)

    def _style(self) -> None:
        self._line.setContentsMargins(theme.px(16), theme.px(8), theme.px(16), theme.px(8))
        self._line.setSpacing(theme.px(14))


class StatusLine(QWidget):
    """What is recorded, or what is wrong; and what comes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("statusBar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._left, self._words, self._right = QLabel(), ElidedLabel("", "secondary"), QLabel()
        self._right.setObjectName("secondary")
        self._left.setTextFormat(Qt.TextFormat.RichText)
        self._line = QHBoxLayout(self)
        self._line.addWidget(self._left)
        self._line.addWidget(self._words, 1)
        self._line.addWidget(self._right)
        theme.look.changed.connect(self._style)
        self._style()

    def show_words(self, recording: str, words: str, right: str, *, trouble: bool) -> None:
        """Show the recording's folder (empty for none), a sentence, and what comes next."""
        colours = theme.palette()
        said = t(
            "calibration.window.recording" if recording else "calibration.window.not_recording"
        )
        colour = colours.bad if recording else colours.secondary
        self._left.setText(f'<span style="color:{colour}">●&nbsp;{said}</span>')
        self._words.setObjectName("bad" if trouble else "secondary")
        self._words.style().polish(self._words)
        self._words.set_text(words)
        self._right.setText(right)

    def _style(self) -> None:
        self._line.setContentsMargins(theme.px(16), theme.px(6), theme.px(16), theme.px(6))
        self._line.setSpacing(theme.px(14))


def recording_words(folder: str, rate: float, channels: int) -> str:
    """``sub-P07_run-01 · 121 MB · 41 h free``."""
    path = Path(folder)
    try:
        size = sum(f.stat().st_size for f in path.iterdir() if f.is_file())
        free = shutil.disk_usage(path).free
    except OSError:
        return path.name
    a_second = rate * BYTES_A_ROW * (channels + 2)
    hours = free / a_second / 3600 if a_second > 0 else 0.0
    left = f"{hours:.0f} h" if hours < 1000 else "1000 h +"
    return t("calibration.window.free", folder=path.name, size=f"{size / 1e6:.1f} MB", hours=left)
