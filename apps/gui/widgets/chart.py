"""A small chart that paints itself: axes with few ticks, lines, and whatever a subclass adds.

Charts here hold a few hundred points and change at most ten times a second; painting them
directly keeps them sharp, in the theme's colours, and without a scene behind each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyqtgraph.functions import arrayToQPolygonF
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from rtbci.apps.gui import theme

LABEL_PX = 11
"""Of numbers at the axes."""
TEXT_GAP_PX = 5


@dataclass(frozen=True)
class Axes:
    """What an axis shows.

    Attributes
    ----------
    x, y : tuple of float
        First and last value.
    x_ticks, y_ticks : sequence of (value, label)
    """

    x: tuple[float, float] = (0.0, 1.0)
    y: tuple[float, float] = (0.0, 1.0)
    x_ticks: Sequence[tuple[float, str]] = ()
    y_ticks: Sequence[tuple[float, str]] = ()


class Painted(QWidget):
    """A widget that paints itself, and again when the theme changes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme.look.changed.connect(self.update)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        """Paint all of it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(LABEL_PX))
        self.paint(painter)
        painter.end()

    def paint(self, painter: QPainter) -> None:
        """Paint what the widget shows."""
        raise NotImplementedError

    def words(self, painter: QPainter, rect: QRectF, text: str, colour: str | None = None) -> None:
        """Write a text in the middle, in lines, where there is nothing to draw."""
        painter.setPen(QColor(colour or theme.palette().secondary))
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(rect, int(flags), text)


class Chart(Painted):
    """Axes and a plot area; a subclass draws into it by :meth:`draw`.

    Attributes
    ----------
    axes : Axes
    empty : str
        Shown in place of everything else, where it is not empty.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.axes = Axes()
        self.empty = ""
        self.setMinimumHeight(theme.px(60))

    def sizeHint(self) -> QSize:  # noqa: N802
        """Give a chart's usual size."""
        return QSize(theme.px(240), theme.px(130))

    def draw(self, painter: QPainter, area: QRectF) -> None:
        """Draw the data inside ``area``."""
        raise NotImplementedError

    def area(self) -> QRectF:
        """Give the plot's area inside the widget."""
        metrics = self._metrics()
        labels = [label for _, label in self.axes.y_ticks]
        left = max((metrics.horizontalAdvance(label) for label in labels), default=0)
        left += theme.px(TEXT_GAP_PX) if labels else 0
        below = metrics.height() + theme.px(2) if self.axes.x_ticks else 0
        above = metrics.height() / 2 if labels else 0
        below = max(below, above)
        rect = QRectF(self.rect())
        return rect.adjusted(left, above, -theme.px(2), -below - theme.px(1))

    def point(self, area: QRectF, x: float, y: float) -> QPointF:
        """Where a value lies."""
        (x0, x1), (y0, y1) = self.axes.x, self.axes.y
        return QPointF(
            area.left() + (x - x0) / (x1 - x0) * area.width(),
            area.bottom() - (y - y0) / (y1 - y0) * area.height(),
        )

    def line(
        self,
        painter: QPainter,
        area: QRectF,
        x: npt.NDArray[np.float64],
        y: npt.NDArray[np.float64],
    ) -> None:
        """Draw a line through points; NaN interrupts it."""
        (x0, x1), (y0, y1) = self.axes.x, self.axes.y
        px = area.left() + (x - x0) / (x1 - x0) * area.width()
        py = area.bottom() - (y - y0) / (y1 - y0) * area.height()
        known = np.isfinite(px) & np.isfinite(py)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
        for first, stop in zip(edges[::2], edges[1::2], strict=True):
            painter.drawPolyline(polygon(px[first:stop], py[first:stop]))

    def paint(self, painter: QPainter) -> None:
        """Paint grid, data and labels."""
        if self.empty:
            self.words(painter, QRectF(self.rect()), self.empty)
            return
        area = self.area()
        self._grid(painter, area)
        painter.save()
        painter.setClipRect(area.adjusted(-1, -1, 1, 1))
        self.draw(painter, area)
        painter.restore()
        self._labels(painter, area)

    def _grid(self, painter: QPainter, area: QRectF) -> None:
        pen = QPen(QColor(theme.palette().line))
        pen.setWidthF(1.0)
        painter.setPen(pen)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for value, _ in self.axes.y_ticks:
            y = self.point(area, self.axes.x[0], value).y()
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        for value, _ in self.axes.x_ticks:
            x = self.point(area, value, self.axes.y[0]).x()
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)

    def _labels(self, painter: QPainter, area: QRectF) -> None:
        metrics = painter.fontMetrics()
        painter.setPen(QColor(theme.palette().secondary))
        for value, label in self.axes.y_ticks:
            y = self.point(area, self.axes.x[0], value).y()
            x = area.left() - theme.px(TEXT_GAP_PX) - metrics.horizontalAdvance(label)
            painter.drawText(QPointF(x, y + metrics.ascent() / 2 - 1), label)
        free_from = 0.0
        for value, label in self.axes.x_ticks:
            width = metrics.horizontalAdvance(label)
            x = self.point(area, value, self.axes.y[0]).x() - width / 2
            x = min(max(x, 0.0), self.width() - width)
            if x < free_from:  # it would touch the one before
                continue
            free_from = x + width + theme.px(3)
            painter.drawText(QPointF(x, area.bottom() + metrics.ascent() + theme.px(3)), label)

    def _metrics(self) -> QFontMetricsF:
        return QFontMetricsF(theme.font(LABEL_PX))


def polygon(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> QPolygonF:
    """Make a line of points without a Python object for each."""
    made: QPolygonF = arrayToQPolygonF(np.ascontiguousarray(x), np.ascontiguousarray(y))
    return made


def pen(colour: str, width: float = 1.4, alpha: float = 1.0) -> QPen:
    """Make a pen of a colour; width before scaling."""
    made = QPen(theme.colour(colour, alpha))
    made.setWidthF(width * theme.look.scale)
    made.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    made.setCapStyle(Qt.PenCapStyle.RoundCap)
    return made
