"""Charts of how well the machine keeps up: forecast error by horizon, latency by token."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath
from PySide6.QtWidgets import QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.skill import SkillBars
from rtbci.apps.gui.widgets.chart import Axes, Chart, pen

METHOD_ROLES = {"model": "good", "ar": "signal", "ridge": "secondary", "persistence": "faint"}
"""Colours of the palette; the model's own is the forecast's everywhere."""
MOST = 2.0
"""Errors beyond this are cut off: persistence reaches it, and hides what matters."""


def method_colour(method: str) -> str:
    """Give a method's colour; all but the model's are shades of grey."""
    colour: str = getattr(theme.palette(), METHOD_ROLES[method])
    return colour


class SkillChart(Chart):
    """Groups of bars, one a horizon, one bar a method."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bars = SkillBars()
        self._words: dict[str, str] = {}

    def show_bars(self, bars: SkillBars, words: dict[str, str]) -> None:
        """Show these errors; ``words`` names the methods."""
        self._bars, self._words = bars, words
        known = [v for row in bars.errors for v in row if v is not None]
        top = min(MOST, max([1.05, *known]))
        ticks = [(0.0, "0"), (0.5, "0.5"), (1.0, "1")]
        n = len(bars.horizons)
        self.axes = Axes(
            x=(0.0, float(max(1, n))),
            y=(0.0, top * 1.02),
            x_ticks=(),
            y_ticks=[*ticks, (1.5, "1.5")] if top > 1.6 else ticks,
        )
        self.update()

    def area(self) -> QRectF:
        """Give the plot's area, with room for the legend above and the horizons below."""
        line = self._metrics().height() + theme.px(2)
        return super().area().adjusted(0, line, 0, -line)

    def draw(self, painter: QPainter, area: QRectF) -> None:
        """Draw the bars; one that is cut off has an open end."""
        bars = self._bars
        if not bars.methods:
            return
        group = area.width() / max(1, len(bars.horizons))
        width = min(theme.px(18), 0.78 * group / len(bars.methods))
        for i, row in enumerate(bars.errors):
            left = area.left() + (i + 0.5) * group - 0.5 * width * len(row)
            for j, value in enumerate(row):
                if value is None:
                    continue
                top = self.point(area, 0.0, min(value, self.axes.y[1])).y()
                rect = QRectF(left + j * width, top, width - theme.px(1.5), area.bottom() - top)
                shape = QPainterPath()
                shape.addRoundedRect(rect.adjusted(0, 0, 0, theme.px(3)), 2, 2)
                painter.fillPath(shape, QColor(method_colour(bars.methods[j])))

    def paint(self, painter: QPainter) -> None:
        """Paint the chart, its legend, and the horizons in the middle of their groups."""
        super().paint(painter)
        if self.empty or not self._bars.horizons:
            return
        area = self.area()
        metrics = painter.fontMetrics()
        x = area.left()
        for method in self._bars.methods:
            word = self._words.get(method, method)
            painter.setPen(QColor(method_colour(method)))
            painter.drawText(QPointF(x, metrics.ascent()), word)
            x += metrics.horizontalAdvance(word) + theme.px(7)
        group = area.width() / len(self._bars.horizons)
        painter.setPen(QColor(theme.palette().secondary))
        words = [f"{low}–{high}" for low, high in self._bars.horizons]
        if max(metrics.horizontalAdvance(w) for w in words) > group - theme.px(4):
            words = [str(high) for _, high in self._bars.horizons]
        for i, word in enumerate(words):
            place = QRectF(
                area.left() + i * group, area.bottom() + theme.px(2), group, metrics.height()
            )
            painter.drawText(place, int(Qt.AlignmentFlag.AlignCenter), word)


class LatencyChart(Chart):
    """A bar a token, the newest at the right; one behind its deadline is red."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bars: tuple[float, ...] = ()
        self._deadline = 100.0
        self._kept = 300

    def show_bars(self, bars: Sequence[float], deadline: float, kept: int) -> None:
        """Show latencies in ms; ``kept`` bars fill the chart."""
        self._bars, self._deadline, self._kept = tuple(bars), deadline, kept
        longest = max(self._bars, default=1.0)
        top = next(
            (v for v in (5, 10, 20, 40, 60, 120, 200, 500, 1000, 2000, 5000) if longest <= v),
            longest,
        )
        ticks = [(0.0, "0"), (top / 2, f"{top / 2:g}"), (float(top), f"{top:g}")]
        self.axes = Axes(x=(0.0, float(kept)), y=(0.0, 1.04 * top), y_ticks=ticks)
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        """Draw the bars, and the deadline where the axis reaches it."""
        colours = theme.palette()
        # Bars stand on whole pixels: unequal gaps would look like news.
        width = max(1, int(area.width() / self._kept))
        shown = self._bars[-int(area.width() / width) :]
        gap = 1 if width > 2 else 0
        right = int(area.right())
        high, most = area.height() / self.axes.y[1], self.axes.y[1]
        bottom = round(area.bottom())
        bars: dict[bool, list[QRect]] = {False: [], True: []}
        for i, value in enumerate(reversed(shown)):
            tall = max(1, round(min(value, most) * high))
            rect = QRect(right - (i + 1) * width, bottom - tall, width - gap, tall)
            bars[value > self._deadline].append(rect)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(Qt.PenStyle.NoPen)
        for late, rects in bars.items():
            painter.setBrush(theme.colour(colours.bad if late else colours.good, 0.85))
            painter.drawRects(rects)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        if self._deadline < self.axes.y[1]:
            line = pen(colours.bad, 1.0)
            line.setStyle(Qt.PenStyle.DashLine)
            painter.setPen(line)
            y = self.point(area, 0.0, self._deadline).y()
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
