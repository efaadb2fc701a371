"""The signals of all channels with the forecast beyond "now".

Columns of pixels are drawn once, into a picture that grows at its end
(:mod:`.columns`); what stands still (names, grid) is a picture, too.  A frame is these pictures,
laid over each other, and a few marks.
"""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.forecast import ForecastModel
from rtbci.apps.gui.view_models.history import History
from rtbci.apps.gui.view_models.signals import SignalsModel, breaks
from rtbci.apps.gui.widgets import sweep_marks
from rtbci.apps.gui.widgets.columns import ColumnCache
from rtbci.apps.gui.widgets.forecast_picture import ForecastPicture
from rtbci.apps.gui.widgets.time_axis import Motion, TimeAxis
from rtbci.apps.gui.widgets.traces import Lanes, butterfly, condense, draw, path, stacked

TOP_PX, BOTTOM_PX, RIGHT_PX = 24, 22, 2
LABEL_LANE_PX = 11
"""Where lanes are lower than this, names stand in two columns."""
SCALE_LABEL_PX = 46
"""Room for the scale's value below short names."""
PEN_GAP_PX = 14
"""In a sweep: columns that are empty before the oldest ones."""


class SweepView(QWidget):
    """Signals, sweeping or scrolling.

    Parameters
    ----------
    signals : SignalsModel
    forecast : ForecastModel
    history : History
        Where rows come from while it is paused.

    Attributes
    ----------
    moved : Signal
        While it is paused, another instant is shown.
    wheeled : Signal(int)
        The wheel was turned over the signals: scale up or down.
    chosen : Signal(str, QPoint)
        A channel's name was clicked on, at a place on the screen.
    """

    moved = Signal()
    wheeled = Signal(int)
    chosen = Signal(str, QPoint)

    def __init__(
        self,
        signals: SignalsModel,
        forecast: ForecastModel,
        history: History,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.signals, self.forecast, self.history = signals, forecast, history
        self.overlaid = False
        self.gains: dict[str, float] = {}
        self.paused_at: float | None = None
        self.looking_at = float("nan")
        self._cache = ColumnCache()
        self._picture = ForecastPicture()
        self._backdrop = QPixmap()
        self._backdrop_key: tuple[object, ...] = ()
        self._lanes: Lanes | None = None
        self._lanes_key: tuple[object, ...] = ()
        self._axis: TimeAxis | None = None
        self._seen: tuple[object, ...] = ()
        self._drag: tuple[float, float] | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        theme.look.changed.connect(self.restart)

    def sizeHint(self) -> QSize:  # noqa: N802
        """As large as there is room."""
        return QSize(theme.px(800), theme.px(480))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Still legible."""
        return QSize(theme.px(320), theme.px(200))

    def restart(self) -> None:
        """Draw everything anew."""
        self._lanes_key = self._backdrop_key = ()
        self._cache.drop()
        self.update()

    def pause(self, paused: bool) -> None:
        """Stand still at the newest row, or go on; the session does not notice."""
        newest = self.signals.newest
        self.paused_at = newest if paused and np.isfinite(newest) else None
        self.looking_at = newest
        self.restart()
        self.moved.emit()

    def look_at(self, time: float) -> None:
        """While it is paused: show the seconds up to an instant."""
        if self.paused_at is None:
            return
        first = self.history.first() + min(1.0, self.signals.settings.window_s)
        self.looking_at = float(np.clip(time, min(first, self.paused_at), self.paused_at))
        self.tick()
        self.moved.emit()

    def tick(self) -> None:
        """Draw the columns that are new."""
        axis = self._make_axis()
        if axis is None:
            return
        before, self._axis = self._axis, axis
        self._layout(axis)
        # NB: the next line to come reaches half a pixel into the newest column.
        last = axis.end - 1
        if axis.motion is Motion.STILL and self.paused_at is not None:
            last = min(axis.end + axis.ahead, int(axis.column(self.paused_at)))
        whole = self._cache.ensure(axis.first, last, self._render)
        shown = self.forecast.shown
        if shown is not None and self._lanes is not None:
            self._picture.prepare(
                shown,
                self._lanes,
                axis,
                axis.ahead + round(0.15 * axis.per_s),
                self._cache.height,
                overlaid=self.overlaid,
            )
        self._ask_for_paint(before, axis, whole)

    def _ask_for_paint(self, before: TimeAxis | None, axis: TimeAxis, whole: bool) -> None:
        marks = self.signals
        seen = (len(marks.markers), len(marks.gaps), self._lanes_key, self._backdrop_key, whole)
        turned = before is None or axis.motion is not Motion.SWEEP or before.page != axis.page
        if before is None or turned or not whole or seen != self._seen:
            self._seen = seen
            self.update()
            return
        left = int(before.x_pen) - 2
        right = int(axis.x_pen) + theme.px(PEN_GAP_PX) + 3
        self.update(QRect(left, 0, right - left, self.height()))
        x = int(axis.x_now) - 2
        self.update(QRect(x, 0, self.width() - x, self.height()))

    @property
    def axis(self) -> TimeAxis | None:
        """Where instants are on the screen; None before there is a row."""
        return self._axis

    def _make_axis(self) -> TimeAxis | None:
        signals, settings = self.signals, self.signals.settings
        newest = signals.newest
        if not np.isfinite(newest) or signals.begun is None:
            return None
        dpr = self.devicePixelRatioF()
        left = self._label_width()
        room = self.width() - left - theme.px(RIGHT_PX)
        ahead_s = settings.ahead_s if self.forecast.n_horizons else 0.0
        per_s = max(room, 50) * dpr / (settings.window_s + ahead_s)
        past = int(settings.window_s * per_s)
        motion = Motion.SWEEP if settings.sweep else Motion.SCROLL
        now = newest
        if self.paused_at is not None:
            motion, now = Motion.STILL, self.looking_at
        return TimeAxis(motion, signals.begun, now, left, past, int(ahead_s * per_s), per_s, dpr)

    def _label_width(self) -> int:
        names = self.signals.names
        longest = max((len(n) for n in names), default=3)
        width = max(min(longest, 8) * 8 + 12, SCALE_LABEL_PX)
        two = self._lane_height() < theme.px(LABEL_LANE_PX) and not self.overlaid
        return theme.px(width * (1.8 if two else 1.0))

    def _lane_height(self) -> float:
        return self._plot_height() / max(len(self.signals.names), 1)

    def _plot_height(self) -> int:
        return max(self.height() - theme.px(TOP_PX) - theme.px(BOTTOM_PX), 40)

    def _layout(self, axis: TimeAxis) -> None:
        """Place the lanes, and drop what was drawn with other ones."""
        signals = self.signals
        height = round(self._plot_height() * axis.dpr)
        key = (
            height,
            axis.per_s,
            axis.left,
            signals.version,
            signals.settings.scale_uv,
            signals.settings.past_s,
            tuple(sorted(signals.left_out)),
            tuple(sorted(self.gains.items())),
            self.overlaid,
        )
        if key != self._lanes_key:
            self._lanes_key = key
            self._lanes = self._make_lanes(height)
            self._cache.resize(axis.past + axis.ahead + 64, height)
            self._cache.drop()

    def _make_lanes(self, height: float) -> Lanes:
        signals = self.signals
        common = signals.settings.scale_uv
        n = len(signals.names)
        scales = signals.own_scales() if common is None else np.full(n, common, dtype=np.float64)
        # NB: eyes, muscles and heart are larger than the brain: those have a size of their own.
        if common is not None and n > signals.n_electrodes:
            others = slice(signals.n_electrodes, None)
            scales[others] = np.maximum(scales[others], signals.own_scales()[others])
        gains = np.array([self.gains.get(name, 1.0) for name in signals.names])
        if self.overlaid:
            return butterfly(height, scales / gains)
        quiet = np.array([name in signals.left_out for name in signals.names], dtype=np.bool_)
        return stacked(height, scales / gains, quiet)

    def _render(self, painter: QPainter, first: int, last: int) -> None:
        """Draw columns of the signals, :data:`rtbci.apps.gui.widgets.columns.Render`."""
        axis, lanes, signals = self._axis, self._lanes, self.signals
        assert axis is not None
        assert lanes is not None
        start, stop = axis.time(first - 2), axis.time(last + 2)
        source = signals if self.paused_at is None else self.history
        piece = source.between(start, stop)
        if len(piece.times) < 2:
            return
        x = (piece.times - axis.origin) * axis.per_s - first
        joined = breaks(piece.times, signals.rate)
        colours = theme.palette()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        # Letters that are twice as large want lines that are.
        width = max(axis.dpr, theme.look.scale)
        bad = np.array([name in signals.left_out for name in signals.names], dtype=np.bool_)
        groups = ((bad, colours.faint, 1.0), (~bad, colours.signal, 0.5 if self.overlaid else 1.0))
        for which, ink, alpha in groups:
            index = np.flatnonzero(which)
            if len(index):
                reduced = condense(x, lanes.y(piece.data[:, index], index), joined)
                draw(painter, path(*reduced), theme.colour(ink, alpha), width)
        if signals.settings.past_s and not self.overlaid:
            times, values = self.forecast.past(start, stop)
            if len(times) > 1:
                index = np.arange(values.shape[1])
                there = breaks(times, self.forecast.rate)
                x = (times - axis.origin) * axis.per_s - first
                lines = path(x, lanes.y(values, index), there)
                draw(painter, lines, theme.colour(colours.good, 0.85), width)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Lay the pictures over each other."""
        painter = QPainter(self)
        axis, lanes = self._axis, self._lanes
        if axis is None or lanes is None:
            painter.fillRect(event.rect(), theme.colour(theme.palette().card))
            sweep_marks.waiting(painter, self.rect())
            painter.end()
            return
        self._prepare_backdrop(axis, lanes)
        painter.setClipRect(event.rect())
        painter.drawPixmap(0, 0, self._backdrop)
        top = theme.px(TOP_PX)
        plot = QRectF(axis.left, top, (axis.past + axis.ahead) / axis.dpr, self._plot_height())
        sweep_marks.gaps(painter, self.signals.gaps, axis, plot)
        self._blit(painter, axis, top)
        shown = self.forecast.shown
        if shown is not None and axis.ahead:
            painter.save()
            x_now, now = axis.x_now, axis.now
            if axis.motion is Motion.STILL and self.paused_at is not None:
                now = self.paused_at
                x_now = axis.left + (axis.column(now) - axis.first) / axis.dpr
            painter.setClipRect(
                QRectF(x_now, top, max(plot.right() - x_now, 0.0), plot.height()),
                Qt.ClipOperation.IntersectClip,
            )
            self._picture.blit(painter, x_now, top, now, axis)
            painter.restore()
        sweep_marks.now(painter, axis, plot, self.paused_at)
        sweep_marks.markers(painter, self.signals.markers, axis, plot)
        if not self.overlaid:
            sweep_marks.left_out(painter, self.signals, lanes, axis, plot)
        sweep_marks.times(painter, axis, plot)
        painter.end()

    def _blit(self, painter: QPainter, axis: TimeAxis, top: int) -> None:
        blit, left, dpr = self._cache.blit, axis.left, axis.dpr
        if axis.motion is Motion.SWEEP:
            blit(painter, axis.page, axis.end, left, top, dpr)
            gap = round(theme.px(PEN_GAP_PX) * dpr)
            start = min(axis.first + gap, axis.page)
            x = left + (start - (axis.page - axis.past)) / dpr
            blit(painter, start, axis.page, x, top, dpr)
            return
        last = axis.end + (axis.ahead if axis.motion is Motion.STILL else 0)
        blit(painter, axis.first, last, left, top, dpr)

    def _prepare_backdrop(self, axis: TimeAxis, lanes: Lanes) -> None:
        key = (self.size(), self._lanes_key, axis.motion, theme.palette().name, theme.look.scale)
        if key == self._backdrop_key:
            return
        self._backdrop_key = key
        self._backdrop = QPixmap(self.size() * axis.dpr)
        self._backdrop.setDevicePixelRatio(axis.dpr)
        self._backdrop.fill(theme.colour(theme.palette().card))
        painter = QPainter(self._backdrop)
        plot = QRectF(
            axis.left, theme.px(TOP_PX), (axis.past + axis.ahead) / axis.dpr, self._plot_height()
        )
        sweep_marks.backdrop(painter, self.signals, lanes, axis, plot, overlaid=self.overlaid)
        painter.end()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Draw anew at the other size."""
        super().resizeEvent(event)
        self.restart()
        self.tick()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        """Look back where it is paused, else change the scale."""
        delta = event.angleDelta()
        if self.paused_at is not None and self._axis is not None:
            steps = (delta.y() or -delta.x()) / 120
            self.look_at(self.looking_at - steps * self.signals.settings.window_s / 8)
        elif delta.y():
            self.wheeled.emit(1 if delta.y() > 0 else -1)
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Begin to drag, or choose the channel whose name is clicked on."""
        axis, lanes = self._axis, self._lanes
        if axis is None or lanes is None:
            return
        x, y = event.position().x(), event.position().y()
        if x < axis.left and not self.overlaid:
            away = np.abs(lanes.centres - (y - theme.px(TOP_PX)) * axis.dpr)
            if away.size and away.min() <= lanes.height / 2:
                name = self.signals.names[int(np.argmin(away))]
                self.chosen.emit(name, event.globalPosition().toPoint())
        elif self.paused_at is not None:
            self._drag = (x, self.looking_at)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Drag the past along."""
        if self._drag is not None and self._axis is not None:
            x, at = self._drag
            moved = (event.position().x() - x) * self._axis.dpr / self._axis.per_s
            self.look_at(at - moved)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802, ARG002
        """End dragging."""
        self._drag = None
