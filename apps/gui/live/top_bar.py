"""The bar above the cards: source, subject, counts; markers, note, recording."""

from __future__ import annotations

import datetime

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QAction, QColor, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from rtbci.apps.gui import theme
from rtbci.apps.gui.live.marker_labels import MarkerLabels
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.remembered import Remembered
from rtbci.apps.gui.view_models.health import HealthModel
from rtbci.apps.gui.view_models.reads import find_reading
from rtbci.apps.gui.view_models.session_state import Life, SessionStateModel
from rtbci.apps.gui.widgets.card import ElidedLabel
from rtbci.apps.texts import t
from rtbci.apps.times import stop_watch

MARKERS = 4
LATE_MS = 100.0
"""From this 99th percentile on the latency is red: a token takes longer than until the next."""
HEIGHT_PX = 52


class Dot(QWidget):
    """A small filled circle."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ink = theme.palette().faint
        self.setFixedSize(theme.px(9), theme.px(9))

    def set_ink(self, ink: str) -> None:
        """Colour it."""
        if ink != self._ink:
            self._ink = ink
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002
        """Paint the circle."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._ink))
        painter.drawEllipse(self.rect().adjusted(0, 0, -1, -1))
        painter.end()


class Chip(QFrame):
    """A rounded strip with a few words in it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("chip")
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(theme.px(10), theme.px(5), theme.px(10), theme.px(5))
        self.row.setSpacing(theme.px(7))
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def add(self, text: str = "", name: str = "", *, elided: bool = False) -> QLabel:
        """Add words in a colour of the style sheet."""
        if elided:
            label: QLabel = ElidedLabel(text, name)
        else:
            label = QLabel(text)
            label.setObjectName(name)
        self.row.addWidget(label, 1 if elided else 0)
        return label


class NoteField(QLineEdit):
    """A line to write a note in; Enter sends it, Esc leaves it (and stops the outputs, as ever)."""

    left = Signal()

    def event(self, event: QEvent) -> bool:
        """Leave at Esc, and let the window's own shortcut have it, too."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() == Qt.Key.Key_Escape
        ):
            self.left.emit()
            event.ignore()
            return False
        return super().event(event)


class TopBar(QWidget):
    """The bar.

    Parameters
    ----------
    session : Session
    menu : QMenu
        Of the window: what is reached by the program's name.
    remembered : Remembered | None
        Has the labels of the markers.

    Attributes
    ----------
    period_s : float
    widget : QWidget
        Itself, as a panel has it.
    record_asked : Signal(bool)
        Recording is to begin, or to end.
    """

    record_asked = Signal(bool)
    period_s = 0.2

    def __init__(
        self,
        session: Session,
        menu: QMenu,
        remembered: Remembered | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._remembered = remembered
        self.setObjectName("topBar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.widget = self
        self._session = session
        self._model = session.model(SessionStateModel)
        self._health = session.model(HealthModel)
        known = () if remembered is None else remembered.markers
        plain = [t("shell.marker.label", n=i + 1) for i in range(MARKERS)]
        self.labels = list(known) if len(known) == MARKERS else plain
        self.setFixedHeight(theme.px(HEIGHT_PX))
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(theme.px(12), 0, theme.px(12), 0)
        self._row.setSpacing(theme.px(10))
        self._row.addWidget(self._menu_button(menu))
        self._row.addWidget(self._source_chip(), 2)
        self._row.addWidget(self._subject_chip(), 2)
        self._row.addStretch(0)
        self._row.addWidget(self._counts_chip())
        self._add_marker_button()
        self._add_note()
        self._add_record_button()
        self.tick()

    def _menu_button(self, menu: QMenu) -> QToolButton:
        button = QToolButton()
        button.setObjectName("title")
        button.setText(f"{t('shell.name')} ▾")
        button.setMenu(menu)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setToolTip(t("shell.menu.tip"))
        return button

    def _source_chip(self) -> Chip:
        info, chip = self._session.info, Chip()
        self.dot = Dot()
        chip.row.addWidget(self.dot)
        chip.add(info.source, elided=True)
        facts = t("shell.top.source", n=len(info.electrodes), rate=f"{info.rate:g}")
        self.facts = chip.add(facts, "sub")
        self.battery = chip.add("", "sub")
        self.battery.setToolTip(t("shell.top.battery_tip"))
        self.battery.setVisible(False)
        return chip

    def _subject_chip(self) -> Chip:
        info, chip = self._session.info, Chip()
        if info.subject:
            chip.add(t("shell.top.subject"), "sub")
            chip.add(info.subject)
        if not info.classes:
            words = t("shell.top.no_decoder")
        else:
            classes = " / ".join(c.replace("_", " ") for c in info.classes)
            words = f"{classes} · {self._score()}"
        chip.setToolTip(t("shell.top.subject_tip") if info.calibrated else "")
        chip.add(words if not info.subject else f"· {words}", "sub", elided=True)
        return chip

    def _score(self) -> str:
        """How good the decoder was when it was calibrated, and when that was."""
        info = self._session.info
        found = find_reading(info.recording, info.subject) if info.calibrated else None
        if found is None:
            return t(f"shell.top.{'calibrated' if info.calibrated else 'uncalibrated'}")
        low, high = found.interval
        day = found.created[:10]
        when = t("shell.top.today") if day == today() else day
        return t("shell.top.score", when=when, balanced=found.decoder, low=low, high=high)

    def _counts_chip(self) -> Chip:
        chip = Chip()
        chip.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.counts: dict[str, QLabel] = {}
        for name in ("gaps", "dropped", "latency"):
            chip.add(t(f"shell.top.{name}"), "sub").setToolTip(t(f"shell.top.{name}_tip"))
            self.counts[name] = chip.add("–")
            self.counts[name].setToolTip(t(f"shell.top.{name}_tip"))
        return chip

    def _add_marker_button(self) -> None:
        self.marker = QPushButton(t("shell.marker.button"))
        self.marker.setToolTip(t("shell.marker.tip"))
        menu = QMenu(self)
        self.acts = [QAction(label, self) for label in self.labels]
        for i, act in enumerate(self.acts):
            act.setShortcut(f"F{i + 1}")
            act.triggered.connect(lambda _=False, n=i: self.mark(n))
            self.addAction(act)
            menu.addAction(act)
        menu.addSeparator()
        menu.addAction(t("shell.marker.edit")).triggered.connect(self.edit_markers)
        self.marker.setMenu(menu)
        self._row.addWidget(self.marker)

    def edit_markers(self) -> MarkerLabels:
        """Let the labels of F1 to F4 be typed; the session goes on."""
        page = MarkerLabels(self.labels, self)
        page.changed.connect(self._take_labels)
        page.show()
        return page

    def _take_labels(self, labels: tuple[str, ...]) -> None:
        self.labels = list(labels)
        for act, label in zip(self.acts, labels, strict=True):
            act.setText(label)
        if self._remembered is not None:
            self._remembered.markers = labels

    def mark(self, number: int) -> None:
        """Put marker F1 to F4 (counted from 0) on the session, now."""
        label = self.labels[number]
        self._session.send({"command": "mark", "label": label})

    def _add_note(self) -> None:
        self.note = QPushButton(t("shell.note.button"))
        self.note.setToolTip(t("shell.note.tip"))
        self.note.setShortcut("Ctrl+N")
        self.note.clicked.connect(self.write_note)
        self.note_field = NoteField()
        self.note_field.setPlaceholderText(t("shell.note.placeholder"))
        self.note_field.setAccessibleName(t("shell.note.button"))
        self.note_field.setFixedWidth(theme.px(240))
        self.note_field.setVisible(False)
        self.note_field.returnPressed.connect(self._send_note)
        self.note_field.left.connect(self._close_note)
        self._row.addWidget(self.note_field)
        self._row.addWidget(self.note)

    def write_note(self) -> None:
        """Open the field for a note."""
        self.note_field.setVisible(True)
        self.note.setVisible(False)
        self.note_field.setFocus()

    def _close_note(self) -> None:
        self.note_field.clear()
        self.note_field.setVisible(False)
        self.note.setVisible(True)
        self.note.setFocus()

    def _send_note(self) -> None:
        text = self.note_field.text().strip()
        if text and self._session.send(
            {"command": "note", "kind": "note", "values": {"text": text}}
        ):
            self._session.say(t("shell.note.written", text=text))
        self._close_note()

    def _add_record_button(self) -> None:
        self.record = QPushButton()
        self.record.setShortcut("Ctrl+R")
        self.record.clicked.connect(lambda: self.record_asked.emit(not self._model.state.recording))
        self._row.addWidget(self.record)

    def tick(self) -> None:
        """Show the numbers of now."""
        colours, life = theme.palette(), self._model.life
        inks = {
            Life.WAITING: colours.faint,
            Life.RUNNING: colours.good,
            Life.TROUBLED: colours.fair,
            Life.ENDED: colours.faint,
            Life.GONE: colours.bad,
        }
        self.dot.set_ink(inks[life])
        self.dot.setToolTip(t(f"shell.life.{life.value}"))
        self._show_battery()
        gaps, dropped, latency = self._model.counts
        self._show("gaps", str(gaps), "fair" if gaps else "")
        self._show("dropped", str(dropped), "fair" if dropped else "")
        late = latency is not None and latency > LATE_MS
        words = "–" if latency is None else t("shell.top.ms", value=f"{latency:.0f}")
        self._show("latency", words, "bad" if late else "")
        self._show_recording(life)

    def _show_battery(self) -> None:
        """Show the charge of a board that gives it; others have no such channel."""
        line = next((n for n in self._health.lines() if n.key == "battery"), None)
        self.battery.setVisible(line is not None)
        if line is not None:
            text = t("shell.top.battery", value=line.values["value"])
            _put(self.battery, text, "sub" if line.level == "good" else line.level)

    def _show(self, name: str, text: str, tone: str) -> None:
        _put(self.counts[name], text, tone)

    def _show_recording(self, life: Life) -> None:
        seconds = self._model.recorded_s
        recording = seconds is not None and life in (Life.RUNNING, Life.TROUBLED, Life.WAITING)
        name = "alarm" if recording else ""
        text = f"●  {stop_watch(seconds or 0.0)}" if recording else t("shell.record.start")
        if self.record.objectName() != name:
            self.record.setObjectName(name)
            self.record.style().polish(self.record)
        if self.record.text() != text:
            self.record.setText(text)
            self.record.setShortcut("Ctrl+R")
        key = "stop_tip" if recording else "start_tip"
        self.record.setToolTip(t(f"shell.record.{key}", path=self._model.state.recording or ""))


def today() -> str:
    """The date, as cards have it (UTC)."""
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def _put(label: QLabel, text: str, tone: str) -> None:
    """Set words and their colour where they are others."""
    if (label.text(), label.objectName()) != (text, tone):
        label.setText(text)
        label.setObjectName(tone)
        label.style().polish(label)
