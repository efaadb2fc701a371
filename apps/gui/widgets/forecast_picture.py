"""The forecast beyond "now": one picture, painted anew with every forecast."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QPainter, QPixmap

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.forecast import Shown
from rtbci.apps.gui.widgets.time_axis import TimeAxis
from rtbci.apps.gui.widgets.traces import Lanes, band, draw, path

BAND_ALPHAS = (0.17, 0.24)
"""Of the 90 % band, and of the 50 % band on top of it."""
DENSE_PX = 14
"""In lanes lower than this, bands lie over their neighbours' and are half as strong."""


class ForecastPicture:
    """Lines and bands of all electrodes, from the forecast's time on."""

    def __init__(self) -> None:
        self._picture = QPixmap()
        self._key: tuple[object, ...] = ()
        self._time = 0.0

    def prepare(
        self, shown: Shown, lanes: Lanes, axis: TimeAxis, width: int, height: int, *, overlaid: bool
    ) -> None:
        """Paint a forecast, unless it is the one that was painted last.

        Parameters
        ----------
        shown : Shown
        lanes : Lanes
            Of all channels; electrodes come first.
        axis : TimeAxis
            For its scale.
        width, height : int
            Of the picture, device pixels; it begins at ``shown.time``.
        overlaid : bool
            Whether channels lie over each other: then there are fine lines and no bands.
        """
        per_s = axis.per_s
        key = (shown.token, id(lanes), per_s, width, height, overlaid, theme.palette().name)
        if key == self._key:
            return
        self._key, self._time = key, shown.time
        if (self._picture.width(), self._picture.height()) != (width, height):
            self._picture = QPixmap(width, height)
        self._picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(self._picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        known = np.flatnonzero(np.isfinite(shown.mean).all(axis=0))
        if not overlaid:
            self._paint_bands(painter, shown, lanes, axis, known)
        x = (shown.times - shown.time) * per_s
        y = lanes.y(shown.mean[:, known], known)
        ink = theme.colour(theme.palette().good, 0.55 if overlaid else 1.0)
        draw(painter, path(x, y, np.ones(len(x), dtype=np.bool_)), ink, axis.dpr)
        painter.end()

    def blit(self, painter: QPainter, x_now: float, y: float, now: float, axis: TimeAxis) -> None:
        """Show it, as far as it lies beyond ``now``, whose place is ``x_now``."""
        dpr, skip = axis.dpr, (now - self._time) * axis.per_s
        if not self._picture.isNull() and skip < self._picture.width():
            self._picture.setDevicePixelRatio(dpr)
            painter.drawPixmap(QPointF(x_now - skip / dpr, y), self._picture)
            self._picture.setDevicePixelRatio(1.0)

    def _paint_bands(
        self,
        painter: QPainter,
        shown: Shown,
        lanes: Lanes,
        axis: TimeAxis,
        known: npt.NDArray[np.intp],
    ) -> None:
        x = (shown.band_times - shown.time) * axis.per_s
        strength = 0.5 if lanes.height < theme.px(DENSE_PX) * axis.dpr else 1.0
        painter.setPen(Qt.PenStyle.NoPen)
        for (low, high), alpha in zip(((0, 3), (1, 2)), BAND_ALPHAS, strict=True):
            painter.setBrush(theme.colour(theme.palette().good, strength * alpha))
            bottom, top = (
                lanes.y(shown.bands[low][:, known], known),
                lanes.y(shown.bands[high][:, known], known),
            )
            for i in np.flatnonzero(np.isfinite(bottom).all(axis=0)):
                painter.drawPolygon(band(x, bottom[:, i], top[:, i]))
        painter.setBrush(Qt.BrushStyle.NoBrush)
