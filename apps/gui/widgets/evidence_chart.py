"""The last seconds of evidence, on their way to the thresholds."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.decode import EvidenceTrace
from rtbci.apps.gui.widgets.chart import Axes, Chart, pen

ROOM = 1.35
"""The axis ends at so many times the upper threshold, or at the largest evidence."""
WASH = 0.13
PATTERNS: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2))
"""Dashes of the classes' lines, where there are more than two."""


class EvidenceChart(Chart):
    """Two classes as one signed line, the second upwards; more than two as a line each."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._trace: EvidenceTrace | None = None
        self._classes: tuple[str, ...] = ()
        self._words: dict[str, str] = {}
        self._seconds = 20.0

    def show_trace(
        self,
        trace: EvidenceTrace,
        classes: tuple[str, ...],
        words: dict[str, str],
        seconds: float,
    ) -> None:
        """Show a trace; ``words`` has what is written for classes and flags."""
        self._trace, self._classes, self._words = trace, classes, words
        self._seconds = seconds
        end = float(trace.times[-1]) if len(trace.times) else 0.0
        self.axes = Axes(x=(end - seconds, end), y=self._range(trace))
        self.update()

    @property
    def signed(self) -> bool:
        """Whether one line says it all: two classes, one against the other."""
        return len(self._classes) == 2

    def _range(self, trace: EvidenceTrace) -> tuple[float, float]:
        if not trace.accumulated:
            return (-0.02, 1.02)
        on = trace.thresholds[0] if trace.thresholds else 1.0
        known = trace.levels[np.isfinite(trace.levels)]
        top = max(ROOM * on, 1.08 * float(np.max(np.abs(known), initial=0.0)))
        return (-top, top)

    def draw(self, painter: QPainter, area: QRectF) -> None:
        """Draw thresholds, flagged spans and lines."""
        trace = self._trace
        if trace is None:
            return
        self._thresholds(painter, area, trace)
        self._spans(painter, area, trace)
        painter.setPen(pen(theme.palette().line, 1.0))
        centre = 0.0 if trace.accumulated else 0.5
        level = self.point(area, self.axes.x[0], centre).y()
        painter.drawLine(QPointF(area.left(), level), QPointF(area.right(), level))
        if not len(trace.times):
            return
        if self.signed:
            painter.setPen(pen(theme.palette().text, 1.6))
            self.line(painter, area, trace.times, trace.levels[:, 1])
            self._dot(painter, area, trace, 1)
            return
        for i in range(trace.levels.shape[1]):
            painter.setPen(self._line_pen(i))
            self.line(painter, area, trace.times, trace.levels[:, i])
        best = trace.levels[-1]
        if np.isfinite(best).any():
            self._dot(painter, area, trace, int(np.nanargmax(best)))

    def _thresholds(self, painter: QPainter, area: QRectF, trace: EvidenceTrace) -> None:
        if not trace.accumulated or trace.thresholds is None:
            if self.signed:
                self._name(painter, area, 1, top=True)
                self._name(painter, area, 0, top=False)
            return
        on = trace.thresholds[0]
        sides = [(1, on, True), (0, -on, False)] if self.signed else [(-1, on, True)]
        for which, value, top in sides:
            colour = self._colour(which) if which >= 0 else theme.palette().secondary
            y = self.point(area, self.axes.x[0], value).y()
            edge = area.top() if top else area.bottom()
            wash = QRectF(QPointF(area.left(), min(y, edge)), QPointF(area.right(), max(y, edge)))
            painter.fillRect(wash, theme.colour(colour, WASH))
            line = pen(colour, 1.2)
            line.setStyle(Qt.PenStyle.CustomDashLine)
            line.setDashPattern([3, 3])
            line.setCapStyle(Qt.PenCapStyle.FlatCap)
            painter.setPen(line)
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            if which >= 0:
                self._name(painter, area, which, top=top)

    def _name(self, painter: QPainter, area: QRectF, which: int, *, top: bool) -> None:
        if which >= len(self._classes):
            return
        name = self._classes[which]
        painter.setPen(QColor(self._colour(which)))
        edge = Qt.AlignmentFlag.AlignTop if top else Qt.AlignmentFlag.AlignBottom
        inside = area.adjusted(theme.px(5), theme.px(3), -theme.px(5), -theme.px(3))
        painter.drawText(
            inside, int(edge | Qt.AlignmentFlag.AlignLeft), self._words.get(name, name)
        )

    def _line_pen(self, which: int) -> QPen:
        """Give each class a colour and a pattern: none is told by colour alone."""
        made = pen(self._colour(which), 1.6)
        pattern = PATTERNS[which % len(PATTERNS)]
        if pattern:
            made.setCapStyle(Qt.PenCapStyle.FlatCap)
            made.setDashPattern(list(pattern))
        return made

    def area(self) -> QRectF:
        """Give the plot's area, with room above for the legend where there is one."""
        above = 0 if self.signed else self._metrics().height() + theme.px(4)
        return super().area().adjusted(0, above, 0, 0)

    def paint(self, painter: QPainter) -> None:
        """Paint the chart, and its legend where one line does not say it all."""
        super().paint(painter)
        if not self.empty and not self.signed:
            self._legend(painter)

    def _legend(self, painter: QPainter) -> None:
        metrics = painter.fontMetrics()
        x, y = 0.0, metrics.height() / 2
        for i, name in enumerate(self._classes):
            word = self._words.get(name, name)
            painter.setPen(self._line_pen(i))
            painter.drawLine(QPointF(x, y), QPointF(x + theme.px(16), y))
            painter.setPen(QColor(self._colour(i)))
            x += theme.px(20)
            painter.drawText(QPointF(x, y + metrics.ascent() / 2 - 1), word)
            x += metrics.horizontalAdvance(word) + theme.px(10)

    def _spans(self, painter: QPainter, area: QRectF, trace: EvidenceTrace) -> None:
        metrics = painter.fontMetrics()
        free_from = area.left()
        if self.signed:  # the lower class has its name there
            name = self._words.get(self._classes[0], self._classes[0])
            free_from += metrics.horizontalAdvance(name) + theme.px(12)
        for span in trace.spans:
            left = max(area.left(), self.point(area, span.start, 0.0).x())
            right = self.point(area, span.stop, 0.0).x()
            if right <= area.left():
                continue
            painter.fillRect(
                QRectF(left, area.top(), max(1.0, right - left), area.height()),
                theme.colour(theme.palette().secondary, 0.22),
            )
            word = self._words.get(span.flag, span.flag)
            width = metrics.horizontalAdvance(word)
            # Beside a short span there is room for its word, where no other word stands.
            x = min(max((left + right - width) / 2, area.left()), area.right() - width)
            if x >= free_from:
                painter.setPen(QColor(theme.palette().secondary))
                painter.drawText(QPointF(x, area.bottom() - theme.px(4)), word)
                free_from = x + width + theme.px(6)

    def _dot(self, painter: QPainter, area: QRectF, trace: EvidenceTrace, which: int) -> None:
        value = float(trace.levels[-1, which])
        if not np.isfinite(value):
            return
        on = trace.thresholds[0] if trace.thresholds else np.inf
        colour = theme.palette().text
        if self.signed and abs(value) >= on:
            colour = self._colour(1 if value > 0 else 0)
        elif not self.signed:
            colour = self._colour(which)
        centre = self.point(area, self.axes.x[1], value) - QPointF(theme.px(4), 0)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colour))
        painter.drawEllipse(centre, theme.px(4), theme.px(4))
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _colour(self, which: int) -> str:
        return theme.class_colour(self._classes[which], self._classes)
