"""Charts of spectra: PSD of all electrodes, and a spectrogram of one."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.widgets.chart import LABEL_PX, Axes, Chart, pen
from rtbci.apps.gui.widgets.colours import ramp

Values = npt.NDArray[np.float64]

HERTZ_TICKS = (4, 8, 13, 20, 30, 40)
"""Edges of the bands first: they are what one looks for."""
LEAST_DB, MOST_DB = -30.0, 40.0


def level_axis(low: float, high: float) -> tuple[tuple[float, float], list[tuple[float, str]]]:
    """Give an axis in dB that holds two levels, in steps of 10 or 20, and its ticks."""
    low, high = max(low, LEAST_DB), min(high, MOST_DB)
    step = 10 if high - low <= 30 else 20
    bottom = math.floor(low / step) * step
    top = max(math.ceil(high / step) * step, bottom + step)
    ticks = [(float(v), f"{v:d}".replace("-", "−")) for v in range(bottom, top + 1, step)]
    return (bottom - 0.03 * (top - bottom), top + 0.03 * (top - bottom)), ticks


class SpectrumChart(Chart):
    """A faint line an electrode, two of them (C3, C4) in colour."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._freqs: Values = np.zeros(0)
        self._levels: Values = np.zeros((0, 0))
        self._electrodes: tuple[str, ...] = ()
        self._left_out: frozenset[str] = frozenset()

    def show_levels(
        self,
        freqs: Values,
        levels: Values,
        electrodes: Sequence[str],
        left_out: Collection[str] = (),
    ) -> None:
        """Show densities, dB, shape (n_freqs, n_electrodes)."""
        self._freqs, self._levels = freqs, levels
        self._electrodes, self._left_out = tuple(electrodes), frozenset(left_out)
        used = [i for i, name in enumerate(self._electrodes) if name not in self._left_out]
        shown = levels[:, used] if used else levels
        y, ticks = level_axis(float(np.percentile(shown, 1)), float(np.percentile(shown, 99.5)))
        self.axes = Axes(
            x=(float(freqs[0]), float(freqs[-1])),
            y=y,
            x_ticks=[(float(f), str(f)) for f in HERTZ_TICKS if freqs[0] <= f <= freqs[-1]],
            y_ticks=ticks,
        )
        self.update()

    def named(self) -> list[tuple[str, str]]:
        """Electrodes in colour, with the colour: those over the hand areas, where they are."""
        colours = theme.palette()
        wanted = (("C3", colours.left), ("C4", colours.right))
        there = set(self._electrodes) - self._left_out
        return [(name, colour) for name, colour in wanted if name in there]

    def draw(self, painter: QPainter, area: QRectF) -> None:
        """Draw the faint lines first, then those in colour."""
        named = dict(self.named())
        painter.setPen(pen(theme.palette().secondary, 1.0, 0.45 if len(named) else 0.8))
        for i, name in enumerate(self._electrodes):
            if name not in named and name not in self._left_out:
                self.line(painter, area, self._freqs, self._levels[:, i])
        for name, colour in reversed(named.items()):
            painter.setPen(pen(colour, 1.7))
            i = self._electrodes.index(name)
            self.line(painter, area, self._freqs, self._levels[:, i])
        self._legend(painter, area)

    def _legend(self, painter: QPainter, area: QRectF) -> None:
        metrics = painter.fontMetrics()
        right = area.right() - theme.px(2)
        for name, colour in self.named():
            width = metrics.horizontalAdvance(name)
            painter.setPen(QColor(colour))
            painter.drawText(QPointF(right - width, area.top() + metrics.ascent()), name)
            right -= width + theme.px(6)


class SpectrogramChart(Chart):
    """Density over time as an image; the newest column at the right."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self._since = 0.0
        self._level = (0.0, 1.0)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Give a wide chart."""
        return QSize(theme.px(360), theme.px(130))

    def show_density(
        self, ends: Values, density: Values, freqs: Values, seconds: float, now: str
    ) -> None:
        """Show columns of dB; ``ends`` are seconds before the newest, ``density`` is by column."""
        low, high = (float(v) for v in np.percentile(density, (5, 99)))
        high = max(high, low + 10.0)
        self._level = (low, high)
        self._image = ramp((density - low) / (high - low), theme.palette().name)
        self._since = float(ends[0])
        steps = [s for s in (60, 45, 30, 15) if s <= seconds]
        self.axes = Axes(
            x=(-seconds, 0.0),
            y=(float(freqs[0]), float(freqs[-1])),
            x_ticks=[*((-float(s), f"−{s} s") for s in steps), (0.0, now)],
            y_ticks=[(float(f), str(f)) for f in (8, 13, 30) if freqs[0] <= f <= freqs[-1]],
        )
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        """Draw the image, its oldest column where it belongs."""
        if self._image is None:
            return
        left = self.point(area, max(self._since, self.axes.x[0]), self.axes.y[0]).x()
        target = QRectF(left, area.top(), area.right() - left, area.height())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
        painter.drawImage(target, self._image)
        line = pen("#ffffff", 1.0, 0.35)
        line.setStyle(Qt.PenStyle.DotLine)
        painter.setPen(line)
        for hertz, _ in self.axes.y_ticks:
            y = self.point(area, 0.0, hertz).y()
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        painter.setFont(theme.font(LABEL_PX))
