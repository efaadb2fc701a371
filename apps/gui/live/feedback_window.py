"""What the subject sees: a cursor that evidence moves, or a bar that it fills; nothing else.

Two classes move the cursor to the left and to the right; others have a direction each.  The window
is dark and empty in either theme, so that it can stand on the subject's screen.
"""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.colours import DARK
from rtbci.apps.gui.live.decode_panels import spoken
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.view_models.live_feedback import FeedbackModel
from rtbci.apps.texts import t

FRAME_MS = 33
GLIDE = 0.35
"""Share of the way to the newest place that the cursor goes in a frame: it glides, ten a second."""
SIZE_PX = (760, 520)
PLACES = {"left_hand": 180.0, "right_hand": 0.0, "feet": 270.0, "both_feet": 270.0, "tongue": 90.0}
"""Directions of classes, degrees; ``rest`` has none."""


class FeedbackWindow(QWidget):
    """The subject's screen.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(t("decode.feedback.title"))
        self.setAccessibleName(t("decode.feedback.title"))
        self.resize(theme.px(SIZE_PX[0]), theme.px(SIZE_PX[1]))
        self._model = session.model(FeedbackModel)
        if self._model.mode == "off":
            self._model.mode = "cursor"
        self.shown = [0.0] * len(self._model.classes)
        self._timer = QTimer(self)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self.step)
        self._timer.start()

    def step(self) -> None:
        """Go on towards the newest decode; closed where feedback was switched off."""
        if self._model.mode == "off":
            self.close()
            return
        aim = self._model.shares()
        before = list(self.shown)
        self.shown = [s + GLIDE * (a - s) for s, a in zip(self.shown, aim, strict=True)]
        if max((abs(a - b) for a, b in zip(before, self.shown, strict=True)), default=0.0) > 1e-3:
            self.update()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Switch feedback off."""
        self._timer.stop()
        self._model.mode = "off"
        super().closeEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        """Paint targets, then cursor or bars."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(DARK.window))
        if not self._model.classes:
            painter.setPen(QColor(DARK.secondary))
            painter.drawText(
                self.rect(), int(Qt.AlignmentFlag.AlignCenter), t("decode.decode.nothing")
            )
        elif self._model.mode == "bar":
            self._bars(painter)
        else:
            self._cursor(painter)
        painter.end()

    def _directions(self) -> dict[str, float]:
        """Direction of each class, degrees; classes without one of their own share the circle."""
        classes = [c for c in self._model.classes if c != "rest"]
        if all(c in PLACES for c in classes):
            return {c: PLACES[c] for c in classes}
        return {c: 180.0 - 360.0 * i / max(1, len(classes)) for i, c in enumerate(classes)}

    def _cursor(self, painter: QPainter) -> None:
        centre = QPointF(self.width() / 2, self.height() / 2)
        reach = 0.4 * min(self.width(), 1.4 * self.height())
        x = y = 0.0
        colours = DARK
        for name, degrees in self._directions().items():
            way = QPointF(math.cos(math.radians(degrees)), -math.sin(math.radians(degrees)))
            colour = self._colour(name)
            decided = self._model.decision == name
            painter.setPen(QColor(colour))
            painter.setBrush(theme.colour(colour, 0.9 if decided else 0.18))
            size = reach / 6
            place = centre + way * reach
            painter.drawEllipse(place, size, size)
            share = self.shown[self._model.classes.index(name)]
            x, y = x + share * way.x(), y + share * way.y()
        painter.setPen(QColor(colours.faint))
        for way in (QPointF(1, 0), QPointF(0, 1)):
            painter.drawLine(centre - way * reach / 14, centre + way * reach / 14)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.text if self._model.alive else colours.faint))
        painter.drawEllipse(centre + QPointF(x, y) * reach, reach / 14, reach / 14)

    def _bars(self, painter: QPainter) -> None:
        names = [c for c in self._model.classes if c != "rest"]
        height = self.height() / (2 * len(names) + 1)
        wide = 0.7 * self.width()
        left = (self.width() - wide) / 2
        threshold = self._model.threshold
        painter.setFont(theme.font(18))
        for i, name in enumerate(names):
            track = QRectF(left, (2 * i + 1) * height, wide, height)
            colour = self._colour(name)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(DARK.raised))
            painter.drawRoundedRect(track, 8, 8)
            share = self.shown[self._model.classes.index(name)]
            decided = self._model.decision == name
            painter.setBrush(theme.colour(colour, 1.0 if decided else 0.55))
            painter.drawRoundedRect(
                QRectF(track.left(), track.top(), max(8.0, share * wide), height), 8, 8
            )
            painter.setPen(QColor(DARK.text))
            if threshold is not None:
                x = left + threshold * wide
                painter.drawLine(QPointF(x, track.top() - 6), QPointF(x, track.bottom() + 6))
            painter.drawText(
                track.adjusted(16, 0, 0, 0), int(Qt.AlignmentFlag.AlignVCenter), spoken(name)
            )

    def _colour(self, name: str) -> str:
        return theme.class_colour(name, self._model.classes)


def feedback_page(session: Session, parent: QWidget) -> QWidget:
    """Open the subject's screen."""
    return FeedbackWindow(session, parent)
