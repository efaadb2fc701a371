"""How a source is to be used: board, montage, subject, recording, outputs."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.reads import list_subjects
from rtbci.apps.gui.view_models.sources import AUTO_BOARD, Choice, Found, preset_for
from rtbci.apps.gui.widgets.card import Card
from rtbci.apps.gui.widgets.head_map import HeadMap, Spot
from rtbci.apps.settings import RunSettings
from rtbci.apps.texts import t
from rtbci.errors import BadInputError
from rtbci.montage import MONTAGES, UNUSED, parse_montage
from rtbci.sources.simulator import DEFAULT_MONTAGE

BOARDS = (AUTO_BOARD, "cyton", "cyton_daisy", "ganglion")
CHANNELS = {"cyton": 8, "cyton_daisy": 16, "ganglion": 4}
LINES_HZ = (None, 50.0, 60.0)


class SourceForm(QWidget):
    """What is asked about the source that is chosen, and about the session.

    Parameters
    ----------
    base : RunSettings
        What the fields begin with.
    source_only : bool
        Whether nothing is asked about the session.

    Attributes
    ----------
    changed : Signal()
    edit_montage, impedance_asked : Signal()
    """

    changed = Signal()
    edit_montage = Signal()
    impedance_asked = Signal()

    def __init__(
        self, base: RunSettings, *, source_only: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.board = _combo(t("setup.source.board"), BOARDS, editable=True)
        self.params = _line(t("setup.source.params"), tip=t("setup.source.params_tip"))
        self.address = _line(t("setup.source.address"), "127.0.0.1:1972")
        self.montage = _combo(t("setup.source.montage"), tuple(MONTAGES), editable=True)
        self.edit = QPushButton(t("setup.source.montage_edit"))
        self.head = HeadMap(labels=True)
        self.unnamed = QLabel(t("setup.source.unnamed"))
        self._simulated = False
        self.impedance = QPushButton(t("setup.source.impedance"))
        self.subject = _combo(t("setup.source.subject"), tuple(list_subjects()), editable=True)
        self.record = _line(t("setup.source.record"), tip=t("setup.source.record_tip"))
        self.choose_folder = QPushButton(t("setup.source.record_choose"))
        self.line = _combo(t("setup.source.line"), ())
        self.lsl_out = QCheckBox(t("setup.source.lsl_out"))
        self.osc = _line(t("setup.source.outputs"), tip=t("setup.source.osc_tip"))
        self._source = Card(t("setup.source.details"))
        self._session = Card(t("setup.source.title"))
        self._rows: dict[str, tuple[QWidget, ...]] = {}
        self._fill(base)
        self._build()
        self._session.setVisible(not source_only)
        self.show_source(None)

    def _fill(self, base: RunSettings) -> None:
        self.montage.setCurrentText(base.montage or "")
        self.subject.setCurrentText(base.subject or "")
        self.record.setText(base.record or "")
        self.lsl_out.setChecked(base.lsl_out)
        self.osc.setText(base.osc or "")
        for hertz in LINES_HZ:
            words = (
                t("setup.source.line_both")
                if hertz is None
                else t("setup.source.line_hz", hz=hertz)
            )
            self.line.addItem(words, hertz)
        lines = base.session.preprocess.line_hz
        self.line.setCurrentIndex(LINES_HZ.index(lines[0]) if len(lines) == 1 else 0)
        for combo, words in (
            (self.montage, "setup.source.as_source"),
            (self.subject, "setup.source.subject_none"),
        ):
            edit = combo.lineEdit()
            assert edit is not None
            edit.setPlaceholderText(t(words))
        self.record.setPlaceholderText(t("setup.source.record_none"))
        self.osc.setPlaceholderText(t("setup.source.osc_none"))
        self.montage.setToolTip(t("setup.source.montage_tip"))
        self.board.setToolTip(t("setup.source.board_tip"))
        self.address.setToolTip(t("setup.source.address_tip"))
        self.subject.setToolTip(t("setup.source.subject_tip"))
        self.line.setToolTip(t("setup.source.line_tip"))
        self.impedance.setToolTip(t("setup.source.impedance_tip"))

    def _build(self) -> None:
        source = QGridLayout()
        self._add_row(source, "board", self.board)
        self._add_row(source, "params", self.params)
        self._add_row(source, "address", self.address)
        self._add_row(source, "montage", self.montage, self.edit)
        self.head.setMinimumHeight(theme.px(150))
        self.head.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # a picture only
        below = QHBoxLayout()
        below.addStretch(1)
        below.addWidget(self.impedance)
        self._source.body.addLayout(source)
        self._source.body.addWidget(self.head, 1)
        self.unnamed.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.unnamed.setWordWrap(True)
        self.unnamed.setObjectName("secondary")
        self._source.body.addWidget(self.unnamed, 1)
        self._source.body.addLayout(below)
        session = QGridLayout()
        outputs = QWidget()
        row = QHBoxLayout(outputs)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.lsl_out)
        row.addWidget(self.osc, 1)
        self._add_row(session, "subject", self.subject)
        self._add_row(session, "record", self.record, self.choose_folder)
        self._add_row(session, "line", self.line)
        self._add_row(session, "outputs", outputs)
        self._session.body.addLayout(session)
        for grid in (source, session):
            grid.setColumnStretch(1, 1)
            grid.setHorizontalSpacing(theme.px(10))
            grid.setVerticalSpacing(theme.px(8))
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(theme.px(theme.GAP_PX))
        whole.addWidget(self._source, 1)
        whole.addWidget(self._session)
        self.edit.clicked.connect(self.edit_montage)
        self.impedance.clicked.connect(self.impedance_asked)
        self.choose_folder.clicked.connect(self._ask_folder)
        self.montage.currentTextChanged.connect(self._montage_changed)
        self.board.currentTextChanged.connect(self._board_changed)
        for edit in (self.address, self.osc, self.record, self.params):
            edit.textChanged.connect(self.changed)

    def _add_row(self, grid: QGridLayout, name: str, *widgets: QWidget) -> None:
        words = QLabel(t(f"setup.source.{name}"))
        words.setObjectName("name")
        words.setBuddy(widgets[0])
        at = grid.rowCount()
        grid.addWidget(words, at, 0)
        for column, widget in enumerate(widgets, 1):
            # One widget alone takes the room of two.
            grid.addWidget(widget, at, column, 1, 1 if len(widgets) > 1 else 2)
        self._rows[name] = (words, *widgets)

    def show_source(self, found: Found | None) -> None:
        """Ask what this source needs."""
        kind = "" if found is None else found.kind
        self._source.set_heading(found.title if found else t("setup.source.details"))
        self._source.set_sub(found.detail if found else t("setup.source.nothing"))
        self._simulated = kind == "simulator"
        self._show_row("board", kind == "board")
        self._show_row("params", kind == "board" and found is not None and not found.name)
        self._show_row("address", kind == "fieldtrip")
        self._show_row("montage", bool(kind))
        self.impedance.setVisible(kind == "board")
        self._offer_presets(found)
        self._board_changed()

    def choice(self, found: Found | None) -> Choice:
        """Everything as it is typed now."""
        return Choice(
            found=found,
            board=self.board.currentText().strip() or AUTO_BOARD,
            params=self.params.text(),
            montage=self.montage.currentText(),
            subject=self.subject.currentText(),
            record=self.record.text(),
            osc=self.osc.text(),
            fieldtrip=self.address.text(),
            line_hz=self.line.currentData(),
            lsl_out=self.lsl_out.isChecked(),
        )

    def set_montage(self, text: str) -> None:
        """Take a montage from the editor."""
        self.montage.setCurrentText(text)

    def montage_names(self, found: Found | None) -> tuple[tuple[str, ...], bool]:
        """Names to begin editing with, and whether their number is the device's."""
        n = self._n_channels(found)
        try:
            names = parse_montage(self.montage.currentText())
        except BadInputError:
            names = ()
        if n is not None:
            fits = len(names) == n
            return (names if fits else (UNUSED,) * n), True
        return names or (UNUSED,) * 8, False

    def _n_channels(self, found: Found | None) -> int | None:
        if found is not None and found.kind == "board":
            return CHANNELS.get(self.board.currentText().strip().lower())
        return None if found is None else found.n_channels

    def _offer_presets(self, found: Found | None) -> None:
        typed = self.montage.currentText()
        self.montage.blockSignals(True)
        self.montage.clear()
        self.montage.addItems(preset_for(self._n_channels(found) or 0))
        self.montage.setCurrentText(typed)
        self.montage.blockSignals(False)
        self._draw_head()

    def _show_row(self, name: str, there: bool) -> None:
        for widget in self._rows[name]:
            widget.setVisible(there)

    def _board_changed(self) -> None:
        name = self.board.currentText().strip().lower()
        self.impedance.setEnabled(name in BOARDS)
        self.changed.emit()

    def _montage_changed(self) -> None:
        self._draw_head()
        self.changed.emit()

    def _draw_head(self) -> None:
        try:
            names = [n for n in parse_montage(self.montage.currentText()) if n != UNUSED]
        except BadInputError:
            names = []
        if not self.montage.currentText().strip() and self._simulated:
            names = list(DEFAULT_MONTAGE)
        self.head.setVisible(bool(names))
        self.unnamed.setVisible(not names)
        self.head.set_names(names)
        self.head.set_spots({name: Spot(theme.palette().good) for name in names})

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(
            self, t("setup.source.record"), self.record.text() or str(Path.home())
        )
        if folder:
            self.record.setText(folder)


def _combo(name: str, items: tuple[str, ...], *, editable: bool = False) -> QComboBox:
    made = QComboBox()
    made.addItems(list(items))
    made.setEditable(editable)
    made.setAccessibleName(name)
    if editable:
        made.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
    return made


def _line(name: str, text: str = "", tip: str = "") -> QLineEdit:
    made = QLineEdit(text)
    made.setAccessibleName(name)
    made.setToolTip(tip)
    return made
