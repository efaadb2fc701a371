"""The list of what a session can be started on: groups with headings, two lines an entry."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import (
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.sources import Found

HEADING = Qt.ItemDataRole.UserRole + 1
DETAIL = Qt.ItemDataRole.UserRole + 2
FOUND = Qt.ItemDataRole.UserRole + 3
PROBLEM = Qt.ItemDataRole.UserRole + 4
ROW_PX, HEADING_PX = 44, 30


class SourceList(QListWidget):
    """Groups of sources; refreshing keeps what is chosen.

    Attributes
    ----------
    picked : Signal(object)
        The :class:`Found` that is chosen now, or None.
    """

    picked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: list[tuple[str, str, tuple[Found, ...]]] = []
        self.setItemDelegate(_TwoLines(self))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.currentItemChanged.connect(lambda now, _: self.picked.emit(_found(now)))

    @property
    def chosen(self) -> Found | None:
        """What is chosen."""
        return _found(self.currentItem())

    def show_groups(self, groups: Sequence[tuple[str, str, Sequence[Found]]]) -> None:
        """Show groups: heading, what is said where there is none, and their sources."""
        made = [(heading, none, tuple(found)) for heading, none, found in groups]
        if made == self._shown:
            return
        self._shown = made
        chosen = self.chosen
        where = self.verticalScrollBar().value()
        self.blockSignals(True)
        self.clear()
        again: QListWidgetItem | None = None
        for heading, none, found in made:
            self._add_line(heading, heading=True)
            if not found:
                self._add_line(none, heading=False)
            for one in found:
                item = self._add_found(one)
                if chosen is not None and one.key == chosen.key:
                    again = item
        self.setCurrentItem(again) if again is not None else self.setCurrentRow(-1)
        self.blockSignals(False)
        self.verticalScrollBar().setValue(where)
        if _found(again) != chosen:
            self.picked.emit(_found(again))

    def choose(self, key: str) -> bool:
        """Choose a source by its key; False where it is not there."""
        for i in range(self.count()):
            found = _found(self.item(i))
            if found is not None and found.key == key:
                self.setCurrentRow(i)
                return True
        return False

    def _add_line(self, text: str, *, heading: bool) -> None:
        item = QListWidgetItem(text)
        item.setFlags(Qt.ItemFlag.NoItemFlags)
        item.setData(HEADING, heading)
        self.addItem(item)

    def _add_found(self, found: Found) -> QListWidgetItem:
        item = QListWidgetItem(found.title)
        item.setData(DETAIL, found.detail)
        item.setData(FOUND, found)
        item.setData(PROBLEM, found.problem)
        item.setToolTip(found.problem or found.name)
        self.addItem(item)
        return item


class _TwoLines(QStyledItemDelegate):
    """Paints headings, empty groups and sources."""

    def sizeHint(  # noqa: N802
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        """Give headings less height than sources."""
        high = ROW_PX if index.data(FOUND) is not None else HEADING_PX
        return QSize(option.rect.width(), theme.px(high))

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Paint one entry."""
        colours = theme.palette()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = option.rect.adjusted(theme.px(8), 0, -theme.px(8), 0)
        if index.data(FOUND) is None:
            heading = bool(index.data(HEADING))
            weight = QFont.Weight.DemiBold if heading else QFont.Weight.Normal
            painter.setFont(theme.font(theme.SMALL_PX, weight))
            painter.setPen(QColor(colours.secondary))
            low = Qt.AlignmentFlag.AlignBottom if heading else Qt.AlignmentFlag.AlignVCenter
            _line(painter, rect.adjusted(0, 0, 0, -theme.px(4)), index.data(), low)
            painter.restore()
            return
        state = option.state
        if state & QStyle.StateFlag.State_Selected or state & QStyle.StateFlag.State_MouseOver:
            chosen = bool(state & QStyle.StateFlag.State_Selected)
            back = option.rect.adjusted(1, 1, -1, -1)
            painter.setPen(QColor(colours.good) if chosen else Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.raised))
            painter.drawRoundedRect(back, theme.px(6), theme.px(6))
        half = rect.height() // 2
        upper = QRect(rect.left(), rect.top() + theme.px(3), rect.width(), half - theme.px(3))
        lower = QRect(rect.left(), rect.top() + half, rect.width(), half - theme.px(3))
        problem = index.data(PROBLEM)
        painter.setFont(theme.font(theme.BODY_PX))
        painter.setPen(QColor(colours.text if not problem else colours.secondary))
        _line(painter, upper, index.data(), Qt.AlignmentFlag.AlignVCenter)
        painter.setFont(theme.font(11))
        painter.setPen(QColor(colours.bad if problem else colours.secondary))
        _line(painter, lower, problem or index.data(DETAIL), Qt.AlignmentFlag.AlignVCenter)
        painter.restore()


def _line(painter: QPainter, rect: QRect, text: str, edge: Qt.AlignmentFlag) -> None:
    shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
    painter.drawText(rect, int(edge | Qt.AlignmentFlag.AlignLeft), shown)


def _found(item: QListWidgetItem | None) -> Found | None:
    found = None if item is None else item.data(FOUND)
    return found if isinstance(found, Found) else None
