"""A head whose electrodes can be dragged from place to place."""

from __future__ import annotations

from PySide6.QtCore import QPointF, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.montage import offered_electrodes
from rtbci.apps.gui.widgets.head_map import HeadMap

DRAG_PX = 6
"""A press that moves less far is a click."""


class MontageHead(HeadMap):
    """All places that can be chosen.

    Attributes
    ----------
    moved : Signal(str, str)
        An electrode was dragged from one place to another.
    """

    moved = Signal(str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(offered_electrodes(), parent=parent)
        self._from: str | None = None
        self._pressed = QPointF()
        self._where: QPointF | None = None

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Take hold of a place."""
        found = self._nearest(event.position())
        self._from = None if found is None else self.names[found]
        self._pressed, self._where = event.position(), None
        if found is not None:
            self._at = found
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Drag what is held."""
        far = (event.position() - self._pressed).manhattanLength() >= theme.px(DRAG_PX)
        if self._from in self._spots and (far or self._where is not None):
            self._where = event.position()
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Let go: elsewhere is a move, on the spot is a choice."""
        held, dragged = self._from, self._where is not None
        self._from = self._where = None
        self.update()
        found = self._nearest(event.position())
        if held is None or found is None:
            return
        target = self.names[found]
        if dragged and target != held:
            self._at = found
            self.moved.emit(held, target)
        elif not dragged:
            self.chosen.emit(held, event.globalPosition().toPoint())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Paint the head, and what is dragged under the pointer."""
        super().paintEvent(event)
        if self._where is None or self._from is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        size = theme.px(13)
        painter.setPen(QColor(theme.palette().good))
        painter.setBrush(theme.colour(theme.palette().good, 0.5))
        painter.drawEllipse(self._where, size, size)
        painter.setPen(QColor(theme.palette().text))
        painter.setFont(theme.font(10))
        width = painter.fontMetrics().horizontalAdvance(self._from)
        painter.drawText(self._where + QPointF(-width / 2, theme.px(4)), self._from)
        painter.end()
