"""A head seen from above with the decoder's pattern."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath
from PySide6.QtWidgets import QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.widgets.chart import Painted, pen
from rtbci.apps.gui.widgets.colours import image
from rtbci.apps.gui.widgets.scalp_map import flat_places

GRID = 120
"""Points of the pattern's image along a side."""
WIDTH = 0.17
"""Of an electrode's glow, in radii of the head."""


class Head(Painted):
    """An outline with the nose up; a subclass paints inside."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumSize(theme.px(120), theme.px(120))

    def paint(self, painter: QPainter) -> None:
        """Paint what is inside, then the outline, then the electrodes."""
        side = min(self.width(), self.height() - theme.px(10)) - theme.px(4)
        radius = side / 2
        centre = QPointF(self.width() / 2, (self.height() + theme.px(8)) / 2)
        head = QRectF(centre.x() - radius, centre.y() - radius, side, side)
        self.inside(painter, head)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(pen(theme.palette().secondary, 1.3))
        painter.drawEllipse(head)
        nose = QPainterPath(QPointF(centre.x() - 0.09 * radius, head.top() + 1))
        nose.lineTo(centre.x(), head.top() - theme.px(8))
        nose.lineTo(centre.x() + 0.09 * radius, head.top() + 1)
        painter.drawPath(nose)
        self.electrodes(painter, centre, radius)

    def inside(self, painter: QPainter, head: QRectF) -> None:
        """Paint what lies under the electrodes."""

    def electrodes(self, painter: QPainter, centre: QPointF, radius: float) -> None:
        """Paint the electrodes."""
        raise NotImplementedError


class PatternMap(Head):
    """The decoder's pattern on the head: electrodes glow in the colour of their class."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values: dict[str, float] = {}
        self._others: tuple[str, ...] = ()
        self._image: QImage | None = None
        theme.look.changed.connect(self._make)

    def show_pattern(self, values: dict[str, float], others: tuple[str, ...]) -> None:
        """Show values of electrodes, and the places of ``others`` that are not decoded from."""
        self._values, self._others = values, others
        self._make()
        said = ", ".join(f"{name} {value:+.2f}" for name, value in values.items())
        self.setAccessibleDescription(said)
        self.update()

    def _make(self) -> None:
        """Draw the glow anew: each electrode's value, fading with the distance from it."""
        places = flat_places(tuple(self._values)) if self._values else np.zeros((0, 2))
        known = np.isfinite(places).all(axis=1)
        if not known.any():
            self._image = None
            return
        values = np.asarray(list(self._values.values()))[known]
        axis = np.linspace(-1.0, 1.0, GRID)
        x, y = np.meshgrid(axis, axis[::-1])
        away = (x[..., None] - places[known, 0]) ** 2 + (y[..., None] - places[known, 1]) ** 2
        weight = np.exp(-away / (2 * WIDTH**2))
        strength = (weight * values).sum(axis=2) / np.maximum(weight.sum(axis=2), 1.0)
        top = max(float(np.abs(values).max()), 1e-9)
        colours = theme.palette()
        ends = [QColor(colours.left), QColor(colours.right)]
        rgb = np.where(
            (strength < 0)[..., None],
            np.array([ends[0].red(), ends[0].green(), ends[0].blue()]),
            np.array([ends[1].red(), ends[1].green(), ends[1].blue()]),
        )
        alpha = 255 * np.clip(np.abs(strength) / top, 0, 1) ** 1.3
        self._image = image(np.concatenate([rgb, alpha[..., None]], axis=2).astype(np.uint8))

    def inside(self, painter: QPainter, head: QRectF) -> None:
        """Paint the glow."""
        if self._image is None:
            return
        shape = QPainterPath()
        shape.addEllipse(head)
        painter.save()
        painter.setClipPath(shape)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
        painter.drawImage(head, self._image)
        painter.restore()

    def electrodes(self, painter: QPainter, centre: QPointF, radius: float) -> None:
        """Paint dots: brighter where the decoder reads."""
        colours = theme.palette()
        painter.setPen(Qt.PenStyle.NoPen)
        for names, colour, size in (
            (self._others, colours.faint, 2.0),
            (tuple(self._values), colours.text, 2.6),
        ):
            painter.setBrush(QColor(colour))
            for x, y in flat_places(names) if names else ():
                if np.isfinite(x):
                    at = QPointF(centre.x() + radius * x, centre.y() - radius * y)
                    painter.drawEllipse(at, theme.px(size), theme.px(size))
