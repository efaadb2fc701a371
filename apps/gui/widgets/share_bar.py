"""One bar in parts: what the decoder reads above chance."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QColor, QPainter, QPainterPath
from PySide6.QtWidgets import QSizePolicy, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.widgets.chart import Painted

HEIGHT_PX = 10


class ShareBar(Painted):
    """Parts of a whole, side by side in one rounded bar."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._shares: tuple[tuple[float, str], ...] = ()

    def show_shares(self, shares: Sequence[tuple[float, str]]) -> None:
        """Show parts, each with the name of a colour of the palette; they come to 1 at most."""
        self._shares = tuple(shares)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Give a thin bar."""
        return QSize(theme.px(120), theme.px(HEIGHT_PX))

    def paint(self, painter: QPainter) -> None:
        """Paint the parts over their track."""
        rect = QRectF(self.rect())
        shape = QPainterPath()
        shape.addRoundedRect(rect, rect.height() / 2, rect.height() / 2)
        painter.fillPath(shape, QColor(theme.palette().line))
        painter.setClipPath(shape)
        left = rect.left()
        for share, role in self._shares:
            width = share * rect.width()
            part = QRectF(left, rect.top(), width, rect.height())
            painter.fillRect(part, QColor(getattr(theme.palette(), role)))
            left += width
