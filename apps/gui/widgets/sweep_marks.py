"""What is written around and over the signals: names, grid, gaps, markers, "now", the time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PySide6.QtCore import QLineF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.signals import GapMark, Mark, SignalsModel
from rtbci.apps.gui.widgets.time_axis import Motion, TimeAxis
from rtbci.apps.gui.widgets.traces import Lanes
from rtbci.apps.texts import t
from rtbci.apps.times import on_an_axis
from rtbci.classes import CLASSES

NAME_PX, SMALL_PX = 12, 11
CENTRE = Qt.AlignmentFlag.AlignCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
LEAST_GAP_S = 0.02
"""A shorter gap is a break in the lines, and no band."""


def backdrop(
    painter: QPainter,
    signals: SignalsModel,
    lanes: Lanes,
    axis: TimeAxis,
    plot: QRectF,
    *,
    overlaid: bool,
) -> None:
    """Paint what stands still: the grid, the forecast's ground, names and the scale."""
    colours = theme.palette()
    painter.setPen(QPen(theme.colour(colours.line), 1))
    for second in range(1, int(axis.past / axis.per_s + 0.999)):
        x = round(axis.x_now - second * axis.per_s / axis.dpr) + 0.5
        painter.drawLine(QLineF(x, plot.top(), x, plot.bottom()))
    if axis.ahead and axis.motion is not Motion.STILL:
        ahead = QRectF(axis.x_now, plot.top(), axis.ahead / axis.dpr, plot.height())
        painter.fillRect(ahead, theme.colour(colours.good, 0.07))
    if overlaid:
        _microvolts(painter, lanes, axis, plot)
    else:
        _names(painter, signals, lanes, axis, plot)
        _scale_bar(painter, signals, lanes, axis, plot)


def _names(
    painter: QPainter, signals: SignalsModel, lanes: Lanes, axis: TimeAxis, plot: QRectF
) -> None:
    colours, lane = theme.palette(), lanes.height / axis.dpr
    two = lane < theme.px(NAME_PX) * 0.92
    size = min(NAME_PX, (2 if two else 1) * lane * 0.95 / theme.look.scale)
    painter.setFont(theme.font(size))
    width = plot.left() - theme.px(8)
    for i, name in enumerate(signals.names):
        middle = plot.top() + lanes.centres[i] / axis.dpr
        tall = max(lane, painter.fontMetrics().height())
        column = QRectF(0, middle - tall / 2, width, tall)
        if two:
            column.setWidth(width * (0.46 if i % 2 else 1.0))
        faint = name in signals.left_out
        painter.setPen(QColor(colours.faint if faint else colours.text))
        painter.drawText(column, RIGHT, name)


def _scale_bar(
    painter: QPainter, signals: SignalsModel, lanes: Lanes, axis: TimeAxis, plot: QRectF
) -> None:
    """Show how high one scale is: beside the last names, its value below them."""
    scale = signals.settings.scale_uv
    if scale is None:
        return
    colours = theme.palette()
    height = lanes.height / axis.dpr
    while height < theme.px(14):
        height, scale = 2 * height, 2 * scale
    x, bottom = plot.left() - theme.px(3.5), plot.bottom()
    painter.setPen(QPen(theme.colour(colours.secondary), max(1.0, theme.look.scale)))
    painter.drawLine(QLineF(x, bottom - height, x, bottom))
    painter.setFont(theme.font(SMALL_PX))
    place = QRectF(0, bottom + theme.px(2), x + theme.px(1), theme.px(18))
    painter.drawText(place, RIGHT, t("shell.signals.microvolts", value=f"{scale:g}"))


def _microvolts(painter: QPainter, lanes: Lanes, axis: TimeAxis, plot: QRectF) -> None:
    """Write µV at the left of overlaid signals."""
    colours = theme.palette()
    painter.setFont(theme.font(SMALL_PX))
    px_per_uv = float(np.median(lanes.px_per_uv)) / axis.dpr
    uv = lanes.height / axis.dpr / px_per_uv
    middle = plot.center().y()
    for k in (-1, 0, 1):
        y = round(middle - k * uv * px_per_uv) + 0.5
        painter.setPen(QPen(theme.colour(colours.line), 1))
        painter.drawLine(QLineF(plot.left(), y, plot.right(), y))
        painter.setPen(QColor(colours.secondary))
        label = f"{k * uv:+.0f}" if k else t("shell.signals.microvolts", value="0")
        tall = theme.px(16)
        place = QRectF(0, y - tall / 2, plot.left() - theme.px(6), tall)
        painter.drawText(place, RIGHT, label.replace("-", "−"))


def waiting(painter: QPainter, room: QRect) -> None:
    """Say that no row has come yet."""
    painter.setFont(theme.font())
    painter.setPen(QColor(theme.palette().secondary))
    painter.drawText(room, CENTRE, t("shell.signals.waiting"))


def gaps(painter: QPainter, marks: Iterable[GapMark], axis: TimeAxis, plot: QRectF) -> None:
    """Fill the time in which rows never came."""
    colours = theme.palette()
    for gap in marks:
        if gap.length < LEAST_GAP_S:
            continue
        low, high = axis.x(gap.start), axis.x(gap.start + gap.length)
        if low is None and high is None:
            continue
        left = plot.left() if low is None else low
        right = axis.x_pen if high is None else high
        if right < left:  # it goes over the edge of a sweep
            left = plot.left()
        painter.fillRect(
            QRectF(left, plot.top(), max(right - left, 1.0), plot.height()),
            theme.colour(colours.bad, 0.13),
        )
        _tag(
            painter,
            (left + right) / 2,
            plot,
            t("shell.signals.gap", seconds=f"{gap.length:.2f}"),
            colours.bad,
            ground=False,
        )


def markers(painter: QPainter, marks: Iterable[Mark], axis: TimeAxis, plot: QRectF) -> None:
    """Draw a dashed line and a label at each marker."""
    colours = theme.palette()
    for mark in marks:
        x = axis.x(mark.time)
        if x is None or x < plot.left():
            continue
        ink = theme.class_colour(mark.label) if mark.label in CLASSES else colours.fair
        pen = QPen(theme.colour(ink, 0.8), max(1.0, theme.look.scale), Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.drawLine(QLineF(x, plot.top() - theme.px(2), x, plot.bottom()))
        _tag(painter, x, plot, mark.label.replace("_", " "), ink)


def _tag(
    painter: QPainter, x: float, plot: QRectF, text: str, ink: str, *, ground: bool = True
) -> None:
    """Write above the plot, kept inside it."""
    painter.setFont(theme.font(SMALL_PX))
    metrics = QFontMetricsF(painter.font())
    wide, tall = metrics.horizontalAdvance(text) + theme.px(12), theme.px(18)
    left = min(max(x - wide / 2, plot.left()), plot.right() - wide)
    place = QRectF(left, plot.top() - tall - theme.px(3), wide, tall)
    if ground:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.palette().card))
        painter.drawRoundedRect(place, theme.px(3), theme.px(3))
        painter.setBrush(theme.colour(ink, 0.25))
        painter.drawRoundedRect(place, theme.px(3), theme.px(3))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    painter.setPen(QColor(ink))
    painter.drawText(place, CENTRE, text)


def now(painter: QPainter, axis: TimeAxis, plot: QRectF, paused_at: float | None) -> None:
    """Draw the line at "now", in a sweep at the newest column."""
    x = axis.x_now
    if axis.motion is Motion.STILL:
        assert paused_at is not None
        x = axis.left + (axis.column(paused_at) - axis.first) / axis.dpr
        if x > plot.right():
            return
    painter.setPen(QPen(QColor(theme.palette().text), max(1.0, 1.5 * theme.look.scale)))
    painter.drawLine(QLineF(x, plot.top(), x, plot.bottom()))
    if axis.motion is Motion.SWEEP:
        painter.setPen(QPen(theme.colour(theme.palette().good), max(1.0, theme.look.scale)))
        painter.drawLine(QLineF(axis.x_pen + 1, plot.top(), axis.x_pen + 1, plot.bottom()))


def left_out(
    painter: QPainter, signals: SignalsModel, lanes: Lanes, axis: TimeAxis, plot: QRectF
) -> None:
    """Say on each channel that is left out, why."""
    colours = theme.palette()
    painter.setFont(theme.font(SMALL_PX))
    metrics = QFontMetricsF(painter.font())
    for i, name in enumerate(signals.names):
        reason = signals.left_out.get(name)
        if reason is None:
            continue
        text = t("shell.signals.left_out", reason=reason)
        tall = theme.px(18)
        middle = plot.top() + lanes.centres[i] / axis.dpr
        place = QRectF(
            plot.left() + theme.px(8),
            middle - tall / 2,
            metrics.horizontalAdvance(text) + theme.px(14),
            tall,
        )
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme.colour(colours.line), 1))
        painter.setBrush(theme.colour(colours.card, 0.94))
        painter.drawRoundedRect(place, theme.px(4), theme.px(4))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(QColor(colours.fair))
        painter.drawText(place, CENTRE, text)


def times(painter: QPainter, axis: TimeAxis, plot: QRectF) -> None:
    """Write the time below: before "now", or of the session where "now" moves or stands still."""
    colours = theme.palette()
    painter.setFont(theme.font(SMALL_PX))
    painter.setPen(QColor(colours.secondary))
    tall, wide = theme.px(18), theme.px(56)

    def write(x: float, text: str) -> None:
        left = min(max(x - wide / 2, 0.0), plot.right() - wide / 2)
        painter.drawText(QRectF(left, plot.bottom() + theme.px(2), wide, tall), CENTRE, text)

    seconds = range(1, int(axis.past / axis.per_s + 0.999))
    per_label = max(1, round(wide * 1.1 * axis.dpr / axis.per_s))
    for second in seconds:
        if second % per_label:
            continue
        x = axis.x_now - second * axis.per_s / axis.dpr
        if axis.motion is Motion.SCROLL:
            write(x, t("shell.signals.before", seconds=second))
        else:
            write(x, on_an_axis(axis.time_at(x) - axis.origin))
    if axis.motion is Motion.STILL:
        write(axis.x_now, on_an_axis(axis.now - axis.origin))
    elif axis.motion is Motion.SCROLL:
        write(axis.x_now, t("shell.signals.now"))
    if axis.ahead and axis.motion is not Motion.STILL:
        painter.setPen(QColor(colours.good))
        seconds_ahead = f"{axis.ahead / axis.per_s:.0f}"
        text = t("shell.signals.ahead", seconds=seconds_ahead)
        room = axis.ahead / axis.dpr
        if QFontMetricsF(painter.font()).horizontalAdvance(text) > room - wide / 2:
            text = t("shell.signals.ahead_short", seconds=seconds_ahead)
        place = QRectF(plot.right() - room, plot.bottom() + theme.px(2), room, tall)
        painter.drawText(place, RIGHT, text)
