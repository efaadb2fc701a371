"""Signals of a recording around an instant, and what was foretold then, laid over what came."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, QTimer
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.forecast import ForecastModel
from rtbci.apps.gui.view_models.history import History
from rtbci.apps.gui.view_models.review import Foretold
from rtbci.apps.gui.view_models.signals import SignalsModel
from rtbci.apps.gui.widgets.sweep import BOTTOM_PX, RIGHT_PX, TOP_PX, SweepView
from rtbci.apps.gui.widgets.traces import path

DOT_PX, DOT_LANES = 1.6, 0.12
"""Radius of a dot: in pixels, and at most, in lanes."""
JOINED_S = 0.11
"""Horizons up to here are joined by a line; between farther ones nobody knows what was foretold."""
NEAR_S = 0.02
"""A forecast is drawn from the row that lies so close to the newest one it had seen."""
AGAIN_MS = 10
"""Columns that there was no time for are drawn so much later."""


class ReviewSignals(SweepView):
    """The signals, standing still.

    Parameters
    ----------
    signals : SignalsModel
        Fed with the end of the recording.
    forecast : ForecastModel
        Fed with nothing: it says how far ahead the axis goes.
    history : History
        Reads the recording.

    Attributes
    ----------
    foretold : Foretold | None
        What is drawn beyond the instant.
    """

    def __init__(
        self,
        signals: SignalsModel,
        forecast: ForecastModel,
        history: History,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(signals, forecast, history, parent)
        self.foretold: Foretold | None = None
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.setInterval(AGAIN_MS)
        self._again.timeout.connect(self.tick)
        self.pause(True)

    @property
    def whole(self) -> bool:
        """Whether every column on screen has been drawn."""
        return self._axis is None or self._cache.drawn.first <= self._axis.first

    def tick(self) -> None:
        """Draw the columns that are missing, as many as there is time for, then the others."""
        super().tick()
        if not self.whole:
            self._again.start()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Paint the signals, the line of the instant, and the forecast."""
        super().paintEvent(event)
        axis = self._axis
        if axis is None or self._lanes is None:
            return
        painter = QPainter(self)
        bottom = self.height() - theme.px(BOTTOM_PX)
        right = self.width() - theme.px(RIGHT_PX)
        painter.setClipRect(QRectF(axis.left, 0, right - axis.left, bottom))
        x = axis.x_now
        colours = theme.palette()
        ahead = QRectF(x, theme.px(TOP_PX), right - x, bottom - theme.px(TOP_PX))
        painter.fillRect(ahead, theme.colour(colours.good, 0.06))
        painter.setPen(QPen(theme.colour(colours.text), max(1.0, 1.5 * theme.look.scale)))
        painter.drawLine(QLineF(x, theme.px(TOP_PX), x, bottom))
        if self.foretold is not None and not self.overlaid:
            self._paint_forecast(painter, self.foretold)
        painter.end()

    def _paint_forecast(self, painter: QPainter, foretold: Foretold) -> None:
        axis, lanes = self._axis, self._lanes
        assert axis is not None
        assert lanes is not None
        n = foretold.values.shape[1]
        before = self.history.between(foretold.time - NEAR_S, foretold.time + NEAR_S)
        if not len(before.times):
            return
        nearest = int(np.argmin(np.abs(before.times - foretold.time)))
        begin = before.data[nearest, :n]
        values = np.concatenate([begin[None], foretold.values]).astype(np.float64)
        values[:, ~np.isfinite(foretold.values).all(axis=0)] = np.nan
        times = np.concatenate([[foretold.time], foretold.times])
        x = axis.left + (times - axis.time(axis.first)) * axis.per_s / axis.dpr
        y = theme.px(TOP_PX) + lanes.y(values, slice(0, n)) / axis.dpr
        colours = theme.palette()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme.colour(colours.good), max(1.2, 1.4 * theme.look.scale)))
        near = times - foretold.time <= JOINED_S
        painter.drawPath(path(x[near], y[near], np.ones(int(near.sum()), dtype=np.bool_)))
        painter.setBrush(theme.colour(colours.good))
        size = min(DOT_PX * theme.look.scale, DOT_LANES * lanes.height / axis.dpr)
        for column in y[1:].T:
            for a, b in zip(x[1:], column, strict=True):
                if np.isfinite(b):
                    painter.drawEllipse(QPointF(a, b), size, size)
