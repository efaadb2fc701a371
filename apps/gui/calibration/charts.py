"""What a verdict rests on: learning curve, control table, the block's trials."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.trials import Fate, TrialMark
from rtbci.apps.gui.view_models.verdict import CurveLine, Row
from rtbci.apps.gui.widgets.chart import Axes, Chart, Painted, pen
from rtbci.apps.texts import t

ARROWS = {
    "left_hand": "←",
    "right_hand": "→",
    "feet": "↓",
    "both_feet": "↓",
    "tongue": "↑",
    "both_hands": "↔",
    "rest": "○",
}


class LearningCurve(Chart):
    """Balanced accuracy against trials, its interval, chance, and what more trials would bring."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curve = CurveLine()
        self._chance = 0.5
        self.empty = t("calibration.curve.empty")

    def show_curve(self, curve: CurveLine, chance: float) -> None:
        """Show a curve; one without points is none."""
        self._curve, self._chance = curve, chance
        self.empty = "" if curve.trials else t("calibration.curve.empty")
        if curve.trials:
            last = max(curve.ahead)
            lowest = min([chance, *curve.low, *curve.balanced]) - 0.04
            bottom = np.floor(10 * max(0.0, lowest)) / 10
            marks = np.arange(bottom, 1.001, 0.1)
            step = 20 if last > 60 else 10
            self.axes = Axes(
                (0.0, last * 1.04),
                (float(bottom), 1.0),
                [(float(n), f"{n:g}") for n in range(0, int(last) + 1, step)],
                [(float(v), f"{v:.1f}".rstrip("0").rstrip(".") or "0") for v in marks],
            )
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        """Draw band, curve, points and chance."""
        curve, colours = self._curve, theme.palette()
        x = np.asarray(curve.trials)
        if curve.low:
            edge = [self.point(area, a, b) for a, b in zip(curve.trials, curve.high, strict=True)]
            edge += [
                self.point(area, a, b)
                for a, b in zip(reversed(curve.trials), reversed(curve.low), strict=True)
            ]
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour(colours.good, 0.22))
            painter.drawPolygon(QPolygonF(edge))
        painter.setPen(pen(colours.good, 2.0))
        self.line(painter, area, x, np.asarray(curve.fitted))
        dotted = pen(colours.good, 2.2)
        dotted.setDashPattern([0.1, 2.6])
        painter.setPen(dotted)
        self.line(painter, area, np.asarray(curve.ahead), np.asarray(curve.expected))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.good))
        for i, (a, b) in enumerate(zip(curve.trials, curve.balanced, strict=True)):
            size = theme.px(4.5 if i == len(curve.trials) - 1 else 3)
            painter.drawEllipse(self.point(area, a, b), size, size)
        self._chance_line(painter, area)
        self._label(painter, area)

    def _chance_line(self, painter: QPainter, area: QRectF) -> None:
        bad = theme.palette().bad
        dashes = pen(bad, 1.0)
        dashes.setDashPattern([4, 4])
        painter.setPen(dashes)
        a = self.point(area, self.axes.x[0], self._chance)
        b = self.point(area, self.axes.x[1], self._chance)
        painter.drawLine(a, b)
        painter.setPen(QColor(bad))
        metrics = painter.fontMetrics()
        words = t("calibration.curve.chance")
        at = QPointF(b.x() - metrics.horizontalAdvance(words) - theme.px(3), b.y() - theme.px(5))
        painter.drawText(at, words)

    def _label(self, painter: QPainter, area: QRectF) -> None:
        """What more trials would bring, above the dotted line where there is room."""
        curve = self._curve
        metrics = painter.fontMetrics()
        at = self.point(area, *curve.label_at)
        width = metrics.horizontalAdvance(curve.label)
        x = min(at.x(), area.right() - width - theme.px(4))
        y = at.y() - theme.px(12)
        if y - metrics.ascent() < area.top():
            y = at.y() + metrics.height() + theme.px(8)
        painter.setPen(QColor(theme.palette().secondary))
        painter.drawText(QPointF(x, y), curve.label)


class ControlTable(Painted):
    """Rows of dots: balanced accuracy of the decoder, and of what should be at chance."""

    ROW_PX = 29

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[Row, ...] = ()
        self._chance = 0.5

    def show_rows(self, rows: tuple[Row, ...], chance: float) -> None:
        """Show a control table."""
        self._rows, self._chance = rows, chance
        self.setMinimumHeight(theme.px(self.ROW_PX) * len(rows) + theme.px(2))
        self.setAccessibleDescription("; ".join(f"{r.name}: {_value(r)}" for r in rows))
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """As high as its rows."""
        return QSize(theme.px(300), theme.px(self.ROW_PX) * max(1, len(self._rows)))

    def paint(self, painter: QPainter) -> None:
        """Paint the rows."""
        colours = theme.palette()
        height = theme.px(self.ROW_PX)
        for i, row in enumerate(self._rows):
            line = QRectF(0, i * height, self.width(), height)
            painter.setPen(pen(colours.line, 1.0))
            painter.drawLine(line.topLeft(), line.topRight())
            self._row(painter, line, row)

    def _row(self, painter: QPainter, line: QRectF, row: Row) -> None:
        colours, width = theme.palette(), line.width()
        painter.setFont(theme.font(theme.SMALL_PX))
        middle = line.center().y()
        name = QRectF(line.left(), line.top(), 0.45 * width, line.height())
        track = QRectF(0.46 * width, middle - theme.px(4), 0.31 * width, theme.px(8))
        value = QRectF(0.79 * width, line.top(), 0.21 * width, line.height())
        painter.setPen(QColor(colours.text))
        _elided(painter, name, row.name)
        if row.balanced is None:
            painter.setPen(QColor(colours.secondary))
            rest = QRectF(track.left(), line.top(), width - track.left(), line.height())
            _elided(painter, rest, row.note)
            return
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.raised))
        painter.drawRoundedRect(track, theme.px(4), theme.px(4))
        low, high = max(0.0, self._chance - 0.15), 1.0

        def at(share: float) -> float:
            return track.left() + (min(max(share, low), high) - low) / (high - low) * track.width()

        painter.setPen(pen(colours.faint, 1.6))
        half = row.half
        painter.drawLine(
            QPointF(at(row.balanced - half), middle), QPointF(at(row.balanced + half), middle)
        )
        painter.setPen(pen(colours.bad, 1.2))
        x = at(self._chance)
        painter.drawLine(QPointF(x, middle - theme.px(7)), QPointF(x, middle + theme.px(7)))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.good if row.good else colours.secondary))
        painter.drawEllipse(QPointF(at(row.balanced), middle), theme.px(4.5), theme.px(4.5))
        self._number(painter, value, row)

    def _number(self, painter: QPainter, rect: QRectF, row: Row) -> None:
        colours, metrics = theme.palette(), QFontMetricsF(painter.font())
        error = f" ±{row.half:.2f}".replace("0.", ".")
        shown = f"{row.balanced:.2f}"
        wide = metrics.horizontalAdvance(error)
        flags = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        painter.setPen(QColor(colours.secondary))
        painter.drawText(rect, flags, error)
        painter.setPen(QColor(colours.text))
        painter.drawText(rect.adjusted(0, 0, -wide, 0), flags, shown)


def _value(row: Row) -> str:
    return row.note if row.balanced is None else f"{row.balanced:.2f} ± {row.half:.2f}"


def _elided(painter: QPainter, rect: QRectF, text: str) -> None:
    metrics = QFontMetricsF(painter.font())
    shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
    flags = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    painter.drawText(rect, flags, shown)


class TrialStrip(Painted):
    """A block's trials as arrows: pale where decoded wrongly, ringed where they came again."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._marks: tuple[TrialMark, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_trials(self, marks: tuple[TrialMark, ...]) -> None:
        """Show a block's trials, in order."""
        self._marks = marks
        said = ", ".join(f"{m.label.replace('_', ' ')}: {m.fate.value}" for m in marks)
        self.setAccessibleDescription(said)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Two rows at most."""
        return QSize(theme.px(400), theme.px(40))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """One row of tiles, as narrow as need be."""
        return QSize(theme.px(120), theme.px(40))

    def paint(self, painter: QPainter) -> None:
        """Paint a tile for each trial, as large as the width allows."""
        if not self._marks:
            return
        gap = theme.px(5)
        side = min(theme.px(34), (self.width() + gap) / len(self._marks) - gap)
        for i, mark in enumerate(self._marks):
            tile = QRectF(i * (side + gap), (self.height() - side) / 2, side, side)
            self._tile(painter, tile.adjusted(1, 1, -1, -1), mark)

    def _tile(self, painter: QPainter, tile: QRectF, mark: TrialMark) -> None:
        colours = theme.palette()
        own = theme.class_colour(mark.label)
        fate = mark.fate
        painter.setBrush(theme.colour(own, {Fate.RIGHT: 0.34, Fate.OPEN: 0.16}.get(fate, 0.07)))
        edge = pen(colours.line, 1.0)
        if fate is Fate.REPEATED:
            edge = pen(colours.fair, 1.6)
        elif fate is Fate.LEFT_OUT:
            edge = pen(colours.secondary, 1.2)
            edge.setDashPattern([2, 2])
        painter.setPen(edge)
        corner = theme.px(6)
        painter.drawRoundedRect(tile, corner, corner)
        painter.setPen(QColor(colours.text if fate is Fate.RIGHT else colours.secondary))
        if fate is Fate.WRONG:
            painter.setPen(QColor(colours.bad))
        font = theme.font(15, QFont.Weight.DemiBold)
        font.setPixelSize(max(8, round(0.5 * tile.height())))
        painter.setFont(font)
        sign = ARROWS.get(mark.label, mark.label[:1].upper())
        painter.drawText(tile, int(Qt.AlignmentFlag.AlignCenter), sign)
