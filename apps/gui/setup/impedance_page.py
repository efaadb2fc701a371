"""The impedance check: contacts in colour on the head, numbers beside it, and the proof below.

The check runs in a process of its own (:mod:`rtbci.apps.impedance`); closing this page asks it to
stop, and the page stays until the test current is proved to be off.
"""

from __future__ import annotations

import json
import sys

from PySide6.QtCore import QProcess, Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.impedance import ImpedanceModel, Measured
from rtbci.apps.gui.widgets.card import Card
from rtbci.apps.gui.widgets.head_map import HeadMap, Spot
from rtbci.apps.settings import RunSettings
from rtbci.apps.texts import t
from rtbci.errors import BadInputError
from rtbci.montage import UNUSED, parse_montage

TONES = {"good": "good", "fair": "fair", "bad": "bad", "open": "bad"}


class ImpedancePage(QWidget):
    """Measures the impedances of a board's electrodes.

    Parameters
    ----------
    settings : RunSettings
        Of the session that the board is for: its port, and the montage that names the electrodes.

    Attributes
    ----------
    closed : Signal()
        The page can go: no check runs any more.
    finished : Signal()
        A check is over, whichever way.
    """

    closed = Signal()
    finished = Signal()

    def __init__(self, settings: RunSettings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("window")
        self.model = ImpedanceModel()
        self._settings = settings
        self._planned = planned(settings.montage)
        self._process: QProcess | None = None
        self._leaving = False
        self.head = HeadMap()
        self.head.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table = QTableWidget(0, 3)
        self.proof = QLabel()
        self.state = QLabel()
        self.start_button = QPushButton(t("setup.impedance.start"))
        self.close_button = QPushButton(t("setup.impedance.close"))
        self._build()
        self.show_model()

    def _build(self) -> None:
        card = Card(t("setup.impedance.title"), t("setup.impedance.sub"))
        self.table.setAccessibleName(t("setup.impedance.title"))
        self.table.horizontalHeader().hide()
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.table.horizontalHeader().setStretchLastSection(True)
        self.table.setMinimumWidth(theme.px(280))
        self.head.setMinimumSize(theme.px(300), theme.px(300))
        for label in (self.state, self.proof):
            label.setWordWrap(True)
        self.start_button.setObjectName("primary")
        self.start_button.clicked.connect(self.switch)
        self.close_button.clicked.connect(self.leave)
        columns = QHBoxLayout()
        columns.setSpacing(theme.px(16))
        columns.addWidget(self.head, 3)
        columns.addWidget(self.table, 2)
        legend = QHBoxLayout()
        legend.setSpacing(theme.px(16))
        for contact in ("good", "fair", "bad", "open"):
            word = QLabel(f"● {t(f'setup.impedance.{contact}')}")
            word.setObjectName(TONES[contact])
            legend.addWidget(word)
        legend.addStretch(1)
        ends = QHBoxLayout()
        ends.addWidget(self.state, 1)
        ends.addWidget(self.close_button)
        ends.addWidget(self.start_button)
        card.body.addLayout(columns, 1)
        card.body.addLayout(legend)
        card.body.addWidget(self.proof)
        card.body.addLayout(ends)
        gap = theme.px(theme.GAP_PX)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(gap, gap, gap, gap)
        outer.addWidget(card)

    def switch(self) -> None:
        """Begin a check, or ask the one that runs to stop."""
        if self._process is None:
            self._start()
        else:
            self.stop()

    def stop(self) -> None:
        """Ask the check to stop; it still proves that the current is off."""
        if self._process is not None:
            self._process.closeWriteChannel()
            self.model.stop()
            self.show_model()

    def leave(self) -> None:
        """Leave the page, once a check that runs has proved that the current is off."""
        self._leaving = True
        if self._process is None:
            self.closed.emit()
        else:
            self.stop()

    def show_model(self) -> None:
        """Show how far the check is."""
        model = self.model
        channels = model.channels or self._planned
        if self.head.names != channels and channels:
            self.head.set_names(channels)
            self.table.setRowCount(len(channels))
        colours = theme.palette()
        spots = {}
        for i, channel in enumerate(channels):
            made = model.measured.get(channel)
            tone = getattr(colours, TONES[made.contact]) if made else colours.faint
            if channel == model.current:
                tone = colours.text
            spots[channel] = Spot(tone, _ohms(made) if made else "")
            words = t(f"setup.impedance.{made.contact}").split(",")[0] if made else ""
            for j, text in enumerate((channel, _ohms(made) if made else "", words)):
                self._cell(i, j, text, tone)
        self.head.set_spots(spots)
        self._say()

    def _say(self) -> None:
        model = self.model
        key = {"measuring": "measuring", "opening": "opening", "proving": "proving"}.get(
            model.phase, "idle"
        )
        words, tone = t(f"setup.impedance.{key}", channel=model.current), "small"
        if model.phase == "failed":
            words, tone = model.error, "bad"
        elif model.phase == "done":
            worst = model.worst()
            words = (
                t("setup.impedance.advice_bad", channels=", ".join(worst))
                if worst
                else t("setup.impedance.advice_good")
            )
            tone = "fair" if worst else "good"
        _set(self.state, words, tone)
        proof, tone = "", "good"
        if model.off and model.residual_uv is not None:
            proof = t("setup.impedance.off", uv=model.residual_uv)
        elif model.off:
            proof = t("setup.impedance.off_mode")
        elif model.off is False:
            proof, tone = t("setup.impedance.not_off"), "bad"
        _set(self.proof, proof, tone)
        self.proof.setVisible(bool(proof))
        word = t("setup.impedance.stop" if model.running else "setup.impedance.start")
        self.start_button.setText(word)
        self.start_button.setEnabled(model.phase != "proving")

    def _cell(self, row: int, column: int, text: str, tone: str) -> None:
        item = self.table.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            self.table.setItem(row, column, item)
        item.setText(text)
        item.setForeground(QColor(tone if column else theme.palette().text))

    def _start(self) -> None:
        process = QProcess(self)
        process.setProcessChannelMode(QProcess.ProcessChannelMode.ForwardedErrorChannel)
        process.readyReadStandardOutput.connect(self._read)
        process.finished.connect(self._finished)
        process.errorOccurred.connect(self._broken)
        self._process = process
        self.model.begin()
        self.show_model()
        # -P: a queue.py or types.py in the user's folder is not ours to import.
        process.start(sys.executable, ["-P", "-m", "rtbci.apps.impedance"])
        process.write(self._settings.to_json().encode() + b"\n")

    def _read(self) -> None:
        process = self._process
        while process is not None and process.canReadLine():
            line = bytes(process.readLine().data())
            self.model.take(json.loads(line))
        self.show_model()

    def _finished(self, code: int) -> None:
        self._read()
        self._over(f"exit code {code}")

    def _broken(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart and self._process is not None:
            self._over(self._process.errorString())

    def _over(self, why: str) -> None:
        self.model.ended(t("setup.impedance.gone", why=why))
        if self._process is not None:
            self._process.deleteLater()
        self._process = None
        self.show_model()
        self.finished.emit()
        if self._leaving:
            self.closed.emit()


def planned(montage: str | None) -> tuple[str, ...]:
    """Electrodes that will be measured, where a montage names them."""
    try:
        names = () if montage is None else parse_montage(montage)
    except BadInputError:  # its file has gone meanwhile; the check will say so
        return ()
    return tuple(name for name in names if name != UNUSED)


def _ohms(made: Measured) -> str:
    if made.ohm is None:
        return t("setup.impedance.megohm")
    value = made.ohm / 1000.0
    return t(f"setup.impedance.{'kiloohm' if value < 100 else 'kiloohm_large'}", value=value)


def _set(label: QLabel, text: str, tone: str) -> None:
    label.setText(text)
    if label.objectName() != tone:
        label.setObjectName(tone)
        label.style().polish(label)
