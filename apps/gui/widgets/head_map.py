"""A head from above with its electrodes, each in a colour; chosen by mouse or keys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.widgets.scalp_map import flat_places

Array = npt.NDArray[np.float64]

NOSE = 0.11
LEAST_LABEL_PX = 7.5
"""A spot that is smaller than this has no name in it."""


@dataclass(frozen=True)
class Spot:
    """How an electrode is drawn.

    Attributes
    ----------
    colour : str
        Of the ring and, faintly, the inside.
    tip : str
        What is said about it when it is pointed at.
    """

    colour: str
    tip: str = ""


class HeadMap(QWidget):
    """A head with electrodes.

    Parameters
    ----------
    names : sequence of str
    labels : bool
        Whether names are written into the spots; else spots are small dots.

    Attributes
    ----------
    chosen : Signal(str, QPoint)
        An electrode was clicked on, or Enter was pressed on it; the place is on the screen.
    """

    chosen = Signal(str, QPoint)

    def __init__(
        self, names: Sequence[str] = (), *, labels: bool = True, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._labels = labels
        self._spots: dict[str, Spot] = {}
        self._at = 0
        self.set_names(names)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if labels else Qt.FocusPolicy.NoFocus)
        theme.look.changed.connect(self.update)

    def set_names(self, names: Sequence[str]) -> None:
        """Show other electrodes; those without a place on the head are left out."""
        places = flat_places(names) if len(names) else np.zeros((0, 2))
        known = np.isfinite(places).all(axis=1)
        self.names = tuple(names[int(i)] for i in np.flatnonzero(known))
        self._places = places[known]
        self._at = min(self._at, max(len(self.names) - 1, 0))
        self.update()

    def set_spots(self, spots: Mapping[str, Spot]) -> None:
        """Colour electrodes; those that are not named are faint."""
        if dict(spots) != self._spots:
            self._spots = dict(spots)
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Fill a column at the left."""
        return QSize(theme.px(220), theme.px(220))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Still legible."""
        return QSize(theme.px(90), theme.px(90))

    def _frame(self) -> tuple[QPointF, float]:
        """Centre and radius of the head, pixels."""
        reach = max(float(np.abs(self._places).max(initial=1.0)), 1.0)
        rim = self._spot_radius(1.0) if self._labels else theme.px(4)
        height = (self.height() - 2 * rim) / (reach + max(reach, 1 + NOSE))
        width = (self.width() - 2 * rim) / (2 * reach)
        radius = max(min(width, height), 10.0)
        nose = max(reach, 1 + NOSE)
        middle = (self.height() - radius * (reach + nose)) / 2 + radius * nose
        return QPointF(self.width() / 2, middle), radius

    def _spot_radius(self, radius: float) -> float:
        if not self._labels:
            return float(theme.px(2.5))
        near = 2.0
        if len(self._places) > 1 and radius > 1:
            apart = np.linalg.norm(self._places[:, None] - self._places[None], axis=-1)
            np.fill_diagonal(apart, np.inf)
            near = float(apart.min()) * radius
            return max(min(theme.px(11), 0.47 * near), theme.px(3))
        return theme.px(11) if len(self._places) <= 32 else theme.px(7)

    def _place(self, i: int) -> QPointF:
        centre, radius = self._frame()
        x, y = self._places[i]
        return QPointF(centre.x() + radius * x, centre.y() - radius * y)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002
        """Paint the head and the spots."""
        colours = theme.palette()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        centre, radius = self._frame()
        head = QRectF(centre.x() - radius, centre.y() - radius, 2 * radius, 2 * radius)
        painter.setPen(QPen(QColor(colours.faint), max(1.0, 1.4 * theme.look.scale)))
        nose = QPainterPath()
        nose.moveTo(centre.x() - 0.09 * radius, centre.y() - 0.996 * radius)
        nose.lineTo(centre.x(), centre.y() - (1 + NOSE) * radius)
        nose.lineTo(centre.x() + 0.09 * radius, centre.y() - 0.996 * radius)
        painter.drawPath(nose)
        painter.drawEllipse(head)
        self._paint_spots(painter, self._spot_radius(radius))
        painter.end()

    def _paint_spots(self, painter: QPainter, size: float) -> None:
        colours = theme.palette()
        named = self._labels and size >= theme.px(LEAST_LABEL_PX)
        painter.setFont(theme.font(9))
        for i, name in enumerate(self.names):
            place = self._place(i)
            spot = self._spots.get(name)
            if not self._labels and spot is None:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(colours.text))
                painter.drawEllipse(place, size, size)
                continue
            ink = colours.faint if spot is None else spot.colour
            painter.setBrush(QColor(colours.card))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.drawEllipse(place, size, size)
            painter.setBrush(theme.colour(ink, 0.22 if named else 0.6))
            painter.setPen(QPen(QColor(ink), max(1.0, 1.2 * theme.look.scale)))
            painter.drawEllipse(place, size, size)
            if named:
                painter.setPen(QColor(colours.text))
                box = QRectF(place.x() - 2 * size, place.y() - size, 4 * size, 2 * size)
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, name)
        if self.hasFocus() and self.names:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(colours.text), max(1.0, 1.6 * theme.look.scale)))
            painter.drawEllipse(self._place(self._at), size + 3, size + 3)

    def _nearest(self, where: QPointF) -> int | None:
        _, radius = self._frame()
        reach = max(self._spot_radius(radius), theme.px(8))
        best, found = reach, None
        for i in range(len(self.names)):
            away = self._place(i) - where
            distance = math.hypot(away.x(), away.y())
            if distance <= best:
                best, found = distance, i
        return found

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Choose the electrode that is clicked on."""
        found = self._nearest(event.position())
        if found is not None:
            self._at = found
            self.update()
            self.chosen.emit(self.names[found], event.globalPosition().toPoint())

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Move to the nearest electrode in a direction, or choose the one that is marked."""
        ways = {
            Qt.Key.Key_Left: (-1, 0),
            Qt.Key.Key_Right: (1, 0),
            Qt.Key.Key_Up: (0, 1),
            Qt.Key.Key_Down: (0, -1),
        }
        key = Qt.Key(event.key())
        if not self.names:
            super().keyPressEvent(event)
        elif key in ways:
            self._move(ways[key])
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            place = self.mapToGlobal(self._place(self._at).toPoint())
            self.chosen.emit(self.names[self._at], place)
        else:
            super().keyPressEvent(event)

    def _move(self, way: tuple[int, int]) -> None:
        away = self._places - self._places[self._at]
        along = away @ np.array(way, dtype=np.float64)
        across = np.abs(away @ np.array([way[1], way[0]], dtype=np.float64))
        cost = np.where(along > 1e-3, along + 2 * across, np.inf)
        if np.isfinite(cost).any():
            self._at = int(np.argmin(cost))
            self.update()
            self.setAccessibleDescription(self._tip(self._at))

    def _tip(self, i: int) -> str:
        spot = self._spots.get(self.names[i])
        return f"{self.names[i]}: {spot.tip}" if spot is not None and spot.tip else self.names[i]

    def event(self, event: QEvent) -> bool:
        """Say what is known of the electrode that is pointed at."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            found = self._nearest(QPointF(event.pos()))
            if found is None:
                QToolTip.hideText()
            else:
                QToolTip.showText(event.globalPos(), self._tip(found), self)
            return True
        return super().event(event)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """Show which electrode the keys are on."""
        super().focusInEvent(event)
        self.update()
