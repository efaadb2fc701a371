"""The screen that the subject sees: the cross, the cue, the cursor where there is feedback.

    show(part, stage)   paints at once and returns when that paint is on its way to the screen,
                        so that whoever asked for it can write down when it was shown

The background is the same in both themes: a bright screen in a dark room dazzles.  The patch in a
corner is white while a cue is shown, for a photodiode on the glass.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QCloseEvent, QColor, QFont, QKeyEvent, QPainter, QPaintEvent, QPolygonF
from PySide6.QtWidgets import QWidget

from rtbci.apps.conductor_state import Stage
from rtbci.apps.gui import theme
from rtbci.apps.gui.colours import DARK, class_role
from rtbci.apps.gui.view_models.feedback import position, shares
from rtbci.apps.gui.view_models.guided import Part
from rtbci.apps.texts import t
from rtbci.calibration.protocol.machine import Phase
from rtbci.calibration.protocol.plan import Kind

BACKGROUND, CROSS = "#0b0d11", "#c3ccd8"
PATCH_ON, PATCH_OFF = "#ffffff", "#000000"
PATCH = 0.06
"""Side of the patch, in heights of the screen."""
ARM = 0.11
"""Length of an arm of the cross, likewise: at an arm's length no eye has to move to see it all."""
THICK = 0.012
SIDES = {
    "left_hand": ((-1, 0),),
    "right_hand": ((1, 0),),
    "feet": ((0, 1),),
    "both_feet": ((0, 1),),
    "tongue": ((0, -1),),
    "both_hands": ((-1, 0), (1, 0)),
}
"""Which arms of the cross become arrows; x to the right, y down."""
REACH = 0.22
"""How far the cursor goes, in heights of the screen."""
KEYS = {
    Qt.Key.Key_Space: "pause",
    Qt.Key.Key_Escape: "pause",
    Qt.Key.Key_R: "repeat",
    Qt.Key.Key_Return: "begin",
    Qt.Key.Key_Enter: "begin",
}
FEEDBACK = (Kind.CUE, Kind.IMAGERY, Kind.NO_CONTROL, Kind.IGNORE)
"""What the cursor is shown with, in the parts that have one."""


class CueScreen(QWidget):
    """A window of its own, empty but for what the subject needs."""

    asked = Signal(str)
    """A key: ``pause``, ``repeat`` or ``begin``."""

    def __init__(self, classes: tuple[str, ...] = ()) -> None:
        super().__init__(None, Qt.WindowType.Window)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setCursor(Qt.CursorShape.BlankCursor)
        self.setWindowTitle(t("calibration.window.chip"))
        self._classes = classes
        self._phase: Phase | None = None
        self._left_s = 0.0
        self._part = Part.BLOCK
        self._decode: dict[str, Any] | None = None
        self._closing = False

    def show_stage(self, part: Part, stage: Stage, classes: tuple[str, ...]) -> None:
        """Paint a stage now; it is painted when this returns."""
        self._part, self._phase, self._classes = part, stage.phase, classes
        self._left_s, self._decode = stage.left_s, stage.status.get("decode")
        self.repaint()

    def show_decode(self, decode: dict[str, Any] | None) -> None:
        """Move the cursor, where there is one; it is painted when there is time."""
        self._decode = decode
        if self._with_cursor():
            self.update()

    @property
    def patch_is_on(self) -> bool:
        """Whether the patch is white."""
        phase = self._phase
        return phase is not None and not phase.paused and phase.slot.kind is Kind.CUE

    def close_for_good(self) -> None:
        """Close it, because the session's window is closed."""
        self._closing = True
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Closed by the user: a pause, since the subject's screen is no place to end anything."""
        if self._closing:
            event.accept()
        else:
            event.ignore()
            self.asked.emit("pause")

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Pause, repeat, go on."""
        what = KEYS.get(Qt.Key(event.key()))
        if what is None or event.isAutoRepeat():
            super().keyPressEvent(event)
        else:
            self.asked.emit(what)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Paint all of it: it is little, and nothing of an earlier cue must stay."""
        del event
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(BACKGROUND))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        phase = self._phase
        if phase is not None and not phase.paused:
            self._shown(painter, phase)
        self._patch(painter)
        painter.end()

    def _shown(self, painter: QPainter, phase: Phase) -> None:
        slot = phase.slot
        if slot.kind is Kind.READY:
            self._text(painter, slot.say)
            return
        if slot.kind in (Kind.REST, Kind.BREAK, Kind.DONE, Kind.INSTRUCTIONS, Kind.STEP):
            return
        self._cross(painter)
        if self._with_cursor():
            self._feedback(painter)
        if slot.kind is Kind.CUE or (slot.kind is Kind.IGNORE and slot.label):
            self._cue(painter, slot.label)

    def _unit(self) -> float:
        return float(min(self.height(), self.width()))

    def _middle(self) -> QPointF:
        return QPointF(self.width() / 2, self.height() / 2)

    def _cross(self, painter: QPainter) -> None:
        unit, at = self._unit(), self._middle()
        arm, thick = ARM * unit, max(2.0, THICK * unit)
        colour = QColor(CROSS)
        painter.fillRect(QRectF(at.x() - arm, at.y() - thick / 2, 2 * arm, thick), colour)
        painter.fillRect(QRectF(at.x() - thick / 2, at.y() - arm, thick, 2 * arm), colour)

    def _cue(self, painter: QPainter, label: str) -> None:
        """An arm of the cross becomes an arrow; rest is a circle, other words are said."""
        unit, at = self._unit(), self._middle()
        arm, thick = ARM * unit, max(2.0, THICK * unit)
        colour = QColor(getattr(DARK, class_role(label, self._classes)))
        if label == "rest":
            pen = painter.pen()
            pen.setColor(colour)
            pen.setWidthF(thick)
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(at, 0.7 * arm, 0.7 * arm)
            return
        sides = SIDES.get(label)
        if sides is None:
            self._text(painter, label.replace("_", " "), below=True)
            return
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        for x, y in sides:
            head, wide = 0.42 * arm, 0.34 * arm
            along, across = QPointF(x, y), QPointF(-y, x)
            tip, back = at + along * (1.12 * arm), at + along * (1.12 * arm - head)
            half = thick / 2
            painter.drawPolygon(
                QPolygonF(
                    [
                        at + across * half,
                        back + across * half,
                        back + across * wide,
                        tip,
                        back - across * wide,
                        back - across * half,
                        at - across * half,
                    ]
                )
            )

    def _with_cursor(self) -> bool:
        phase = self._phase
        live = self._part in (Part.FEEDBACK, Part.NO_CONTROL)
        return live and phase is not None and not phase.paused and phase.slot.kind in FEEDBACK

    def _feedback(self, painter: QPainter) -> None:
        """A cursor between two classes; bars below the cross where there are more."""
        unit, at = self._unit(), self._middle()
        reach, radius = REACH * unit, 0.018 * unit
        painter.setPen(Qt.PenStyle.NoPen)
        if len(self._classes) == 2:
            left, right = (
                QColor(getattr(DARK, class_role(c, self._classes))) for c in self._classes
            )
            for side, colour in ((-1, left), (1, right)):
                colour.setAlphaF(0.8)
                painter.setBrush(colour)
                end = QRectF(0, 0, 0.008 * unit, 0.09 * unit)
                end.moveCenter(QPointF(at.x() + side * (reach + 2 * radius), at.y()))
                painter.drawRoundedRect(end, 2, 2)
            painter.setBrush(QColor(DARK.good))
            value = position(self._decode, self._classes)
            painter.drawEllipse(QPointF(at.x() + value * reach, at.y()), radius, radius)
            return
        told = shares(self._decode, self._classes)
        for i, name in enumerate(self._classes):
            top = at.y() + 0.2 * unit + i * 0.035 * unit
            whole = QRectF(at.x() - reach, top, 2 * reach, 0.018 * unit)
            painter.setBrush(QColor(DARK.raised))
            painter.drawRoundedRect(whole, 3, 3)
            painter.setBrush(QColor(getattr(DARK, class_role(name, self._classes))))
            whole.setWidth(told[name] * whole.width())
            painter.drawRoundedRect(whole, 3, 3)

    def _text(self, painter: QPainter, words: str, *, below: bool = False) -> None:
        font = QFont(theme.font())
        font.setPixelSize(max(12, round(0.035 * self._unit())))
        painter.setFont(font)
        painter.setPen(QColor(CROSS))
        rect = QRectF(self.rect()).adjusted(0.1 * self.width(), 0, -0.1 * self.width(), 0)
        if below:
            rect.setTop(rect.center().y() + 1.6 * ARM * self._unit())
        flags = Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap
        flags |= Qt.AlignmentFlag.AlignTop if below else Qt.AlignmentFlag.AlignVCenter
        painter.drawText(rect, int(flags), words)

    def _patch(self, painter: QPainter) -> None:
        side = PATCH * self._unit()
        colour = QColor(PATCH_ON if self.patch_is_on else PATCH_OFF)
        painter.fillRect(QRectF(0, self.height() - side, side, side), colour)
