"""The whole session on one line of time: a slider that shows what is where."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractSlider, QSizePolicy, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.review import TimeLane
from rtbci.apps.report.lanes import time_ticks
from rtbci.apps.texts import t

STEPS_PER_S = 10
"""Of the slider: a step is a token."""
NAME_PX, LANE_PX, GAP_PX, AXIS_PX = 96, 15, 4, 20
LEAST_PX = 1.0
"""A stretch is at least so wide."""
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
BELOW = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop


class Timeline(QAbstractSlider):
    """Lanes of a session, with the instant that is looked at.

    Its value is that instant, in tenths of a second.

    Parameters
    ----------
    lanes : sequence of TimeLane
    seconds : float
        Length of the session.
    """

    def __init__(
        self, lanes: Sequence[TimeLane], seconds: float, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._lanes, self._seconds = tuple(lanes), max(seconds, 1.0 / STEPS_PER_S)
        self._picture = QPixmap()
        self.setOrientation(Qt.Orientation.Horizontal)
        self.setRange(0, max(0, int(seconds * STEPS_PER_S)))
        self.setSingleStep(1)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(t("review.time.name"))
        self.setToolTip(t("review.time.tip"))
        theme.look.changed.connect(self._drop)

    @property
    def time(self) -> float:
        """The instant, seconds after the first row."""
        return self.value() / STEPS_PER_S

    def go_to(self, time: float) -> None:
        """Go to an instant; to the nearest end where there is none."""
        self.setValue(round(time * STEPS_PER_S))

    def sizeHint(self) -> QSize:  # noqa: N802
        """A row for each lane, and the axis."""
        rows = max(len(self._lanes), 1) * (LANE_PX + GAP_PX)
        return QSize(theme.px(700), theme.px(rows + AXIS_PX + GAP_PX))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """As high as it is."""
        return QSize(theme.px(300), self.sizeHint().height())

    def _plot(self) -> QRectF:
        left = theme.px(NAME_PX)
        right = self.width() - theme.px(8)
        bottom = self.height() - theme.px(AXIS_PX)
        return QRectF(left, theme.px(GAP_PX), max(right - left, 10), bottom - theme.px(GAP_PX))

    def _x(self, time: float) -> float:
        plot = self._plot()
        return plot.left() + plot.width() * min(max(time / self._seconds, 0.0), 1.0)

    def time_at(self, x: float) -> float:
        """Instant at a place, pixels."""
        plot = self._plot()
        return self._seconds * min(max((x - plot.left()) / plot.width(), 0.0), 1.0)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002
        """Paint the lanes, and the instant over them."""
        dpr = self.devicePixelRatioF()
        if self._picture.isNull() or self._picture.size() != self.size() * dpr:
            self._paint_lanes(dpr)
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._picture)
        colours, plot = theme.palette(), self._plot()
        x = self._x(self.time)
        ink = QColor(colours.good if self.hasFocus() else colours.text)
        painter.setPen(QPen(ink, max(1.0, 1.6 * theme.look.scale)))
        painter.drawLine(QLineF(x, plot.top() - theme.px(1), x, plot.bottom() + theme.px(2)))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ink)
        size = theme.px(5)
        tip = plot.bottom() + theme.px(1)
        corners = ((x, tip - size), (x - size, tip + size), (x + size, tip + size))
        painter.drawPolygon(QPolygonF([QPointF(a, b) for a, b in corners]))
        painter.end()

    def _paint_lanes(self, dpr: float) -> None:
        colours, plot = theme.palette(), self._plot()
        self._picture = QPixmap(self.size() * dpr)
        self._picture.setDevicePixelRatio(dpr)
        self._picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(self._picture)
        painter.setFont(theme.font(theme.SMALL_PX - 1))
        top, tall = plot.top(), theme.px(LANE_PX)
        for lane in self._lanes:
            row = QRectF(plot.left(), top, plot.width(), tall)
            painter.fillRect(row, QColor(colours.raised))
            painter.setPen(QColor(colours.secondary))
            name = QRectF(0, top, plot.left() - theme.px(8), tall)
            painter.drawText(name, RIGHT, t(f"review.lane.{lane.name}"))
            for part in lane.stretches:
                left = self._x(part.start)
                wide = max(self._x(part.stop) - left, LEAST_PX * theme.look.scale)
                high = tall * part.high
                box = QRectF(left, top + tall - high, wide, high)
                painter.fillRect(box, QColor(getattr(colours, part.role)))
            top += tall + theme.px(GAP_PX)
        painter.setPen(QColor(colours.secondary))
        for time, text in time_ticks(0.0, self._seconds):
            x = self._x(time)
            wide = painter.fontMetrics().horizontalAdvance(text) + 4
            left = min(max(x - wide / 2, 0.0), self.width() - wide)
            place = QRectF(left, plot.bottom() + theme.px(4), wide, theme.px(AXIS_PX))
            painter.drawText(place, BELOW, text)
        painter.end()

    def _drop(self) -> None:
        self._picture = QPixmap()
        self.updateGeometry()
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Paint anew at the other size."""
        super().resizeEvent(event)
        self._drop()

    def sliderChange(self, change: QAbstractSlider.SliderChange) -> None:  # noqa: N802
        """Move the line."""
        super().sliderChange(change)
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Go to where it is clicked."""
        if event.button() is Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            self.go_to(self.time_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Go along with the mouse."""
        if self.isSliderDown():
            self.go_to(self.time_at(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802, ARG002
        """End dragging."""
        self.setSliderDown(False)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Take page up as back, as everywhere time goes to the right."""
        pages = {
            Qt.Key.Key_PageUp: QAbstractSlider.SliderAction.SliderPageStepSub,
            Qt.Key.Key_PageDown: QAbstractSlider.SliderAction.SliderPageStepAdd,
        }
        action = pages.get(Qt.Key(event.key()))
        if action is None:
            super().keyPressEvent(event)
        else:
            self.triggerAction(action)
