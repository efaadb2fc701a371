"""The montage editor: channels in a list, their places on a head, presets, and the text of it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from rtbci.apps.gui import theme
from rtbci.apps.gui.setup.montage_head import MontageHead
from rtbci.apps.gui.view_models.montage import MontageModel
from rtbci.apps.gui.widgets.card import Card
from rtbci.apps.gui.widgets.head_map import Spot
from rtbci.apps.texts import t
from rtbci.errors import BadInputError
from rtbci.montage import UNUSED

MOST_CHANNELS = 256


class MontageEditor(QWidget):
    """Names channels on a head.

    Parameters
    ----------
    names : sequence of str
        To begin with.
    fixed : bool
        Whether the number of channels is the device's.

    Attributes
    ----------
    done : Signal(str)
        The montage as text, once it is to be used.
    cancelled : Signal()
    """

    done = Signal(str)
    cancelled = Signal()

    def __init__(
        self, names: Sequence[str], *, fixed: bool = True, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("window")
        self.model = MontageModel(names, fixed=fixed)
        self.head = MontageHead()
        self.channels = QListWidget()
        self.preset = QComboBox()
        self.text = QLineEdit()
        self.count = QSpinBox()
        self.problem = QLabel()
        self.use = QPushButton(t("setup.montage.done"))
        self._card = Card(t("setup.montage.title"))
        self._build()
        self._connect()
        self.show_model()
        self.channels.setFocus()

    def _build(self) -> None:
        self.channels.setAccessibleName(t("setup.montage.count"))
        self.channels.setMinimumWidth(theme.px(170))
        self.preset.setAccessibleName(t("setup.montage.preset"))
        self.text.setAccessibleName(t("setup.montage.text"))
        self.text.setToolTip(t("setup.montage.text_tip"))
        self.count.setRange(1, MOST_CHANNELS)
        self.count.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.channels.setStyleSheet(f"QListWidget::item {{ padding: {theme.px(4)}px; }}")
        self.count.setAccessibleName(t("setup.montage.count"))
        self.problem.setObjectName("bad")
        self.problem.setWordWrap(True)
        self.head.setMinimumSize(theme.px(320), theme.px(320))
        self.head.setAccessibleName(t("setup.montage.title"))
        self.use.setObjectName("primary")
        back = QPushButton(t("setup.montage.cancel"))
        back.clicked.connect(self.cancelled)
        clear = QPushButton(t("setup.montage.clear"))
        clear.setToolTip(t("setup.montage.clear_tip"))
        clear.clicked.connect(self.clear)

        side = QVBoxLayout()
        side.setSpacing(theme.px(8))
        top = QHBoxLayout()
        top.addWidget(_name(t("setup.montage.count"), self.count))
        top.addWidget(self.count)
        top.addStretch(1)
        if not self.model.fixed:
            side.addLayout(top)
        side.addWidget(self.channels, 1)
        side.addWidget(clear)
        middle = QVBoxLayout()
        hint = QLabel(t("setup.montage.hint"))
        hint.setObjectName("small")
        middle.addWidget(hint)
        middle.addWidget(self.head, 1)
        columns = QHBoxLayout()
        columns.setSpacing(theme.px(16))
        columns.addLayout(side)
        columns.addLayout(middle, 1)
        below = QHBoxLayout()
        below.setSpacing(theme.px(8))
        below.addWidget(_name(t("setup.montage.preset"), self.preset))
        below.addWidget(self.preset)
        below.addWidget(_name(t("setup.montage.text"), self.text))
        below.addWidget(self.text, 1)
        ends = QHBoxLayout()
        ends.addWidget(self.problem, 1)
        ends.addWidget(back)
        ends.addWidget(self.use)
        self._card.body.addLayout(columns, 1)
        self._card.body.addLayout(below)
        self._card.body.addLayout(ends)
        outer = QVBoxLayout(self)
        gap = theme.px(theme.GAP_PX)
        outer.setContentsMargins(gap, gap, gap, gap)
        outer.addWidget(self._card)

    def _connect(self) -> None:
        self.channels.currentRowChanged.connect(self._choose_channel)
        self.channels.itemChanged.connect(self._rename)
        self.head.chosen.connect(self._assign)
        self.head.moved.connect(self._move)
        self.preset.activated.connect(self._take_preset)
        self.text.editingFinished.connect(self._read)
        self.count.valueChanged.connect(self._resize)
        self.use.clicked.connect(self._finish)
        # NB: on the list and the head alone, since Del has a meaning of its own in a text.
        for where in (self.channels, self.head):
            shortcut = QShortcut(QKeySequence(Qt.Key.Key_Delete), where)
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(self.clear)

    def show_model(self) -> None:
        """Show the montage as it is now."""
        model = self.model
        self._card.set_sub(t("setup.montage.sub", n=len(model.names)))
        for widget in (self.channels, self.preset, self.count):
            widget.blockSignals(True)
        while self.channels.count() > len(model.names):
            self.channels.takeItem(self.channels.count() - 1)
        while self.channels.count() < len(model.names):
            item = QListWidgetItem()
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
            self.channels.addItem(item)
        for i, name in enumerate(model.names):
            item = self.channels.item(i)
            shown = t("setup.montage.unused") if name == UNUSED else name
            item.setText(f"{i + 1:>2}   {shown}")
            item.setData(Qt.ItemDataRole.UserRole, name)
        self.channels.setCurrentRow(model.at)
        self.preset.clear()
        self.preset.addItems([t("setup.montage.own"), *model.presets()])
        self.preset.setCurrentText(model.preset or t("setup.montage.own"))
        self.count.setValue(len(model.names))
        for widget in (self.channels, self.preset, self.count):
            widget.blockSignals(False)
        if not self.text.hasFocus():
            self.text.setText(model.text)
        self._say(model.problem)
        self._colour()

    def clear(self) -> None:
        """Take the electrode away from the channel in hand."""
        self.model.assign(UNUSED)
        self.show_model()

    def _colour(self) -> None:
        colours, model = theme.palette(), self.model
        spots = {}
        for i, name in enumerate(model.names):
            if name != UNUSED:
                ink = colours.right if i == model.at else colours.good
                spots[name] = Spot(ink, t("setup.montage.taken", electrode=name, n=i + 1))
        self.head.set_spots(spots)

    def _say(self, sentence: str) -> None:
        self.problem.setText(sentence)
        self.use.setEnabled(not sentence)

    def _choose_channel(self, row: int) -> None:
        if row >= 0:
            self.model.at = row
            self._colour()

    def _rename(self, item: QListWidgetItem) -> None:
        """Take a name that was typed into the list."""
        typed = item.text().split()
        row = self.channels.row(item)
        name = typed[-1] if typed else UNUSED
        self.model.put(row, UNUSED if name.isdigit() else name)
        self.show_model()

    def _assign(self, electrode: str, _place: QPoint) -> None:
        self.model.assign(electrode)
        self.show_model()

    def _move(self, electrode: str, target: str) -> None:
        channel = self.model.channel_of(electrode)
        if channel is not None:
            self.model.put(channel, target)
            self.model.at = channel
            self.show_model()

    def _take_preset(self, index: int) -> None:
        if index > 0:
            self.model.read(self.preset.itemText(index))
        self.show_model()

    def _read(self) -> None:
        try:
            self.model.read(self.text.text())
        except BadInputError as err:
            self._say(str(err))
        else:
            self.show_model()

    def _resize(self, n: int) -> None:
        names = self.model.names
        self.model.names = [*names[:n], *[UNUSED] * (n - len(names))]
        self.model.at = min(self.model.at, n - 1)
        self.show_model()

    def _finish(self) -> None:
        self._read()
        if not self.problem.text():
            self.done.emit(self.model.text)


def _name(text: str, buddy: QWidget) -> QLabel:
    label = QLabel(text)
    label.setObjectName("name")
    label.setBuddy(buddy)
    return label
