"""Small pictures: one trial from left to right, and how far each class is wanted."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.widgets.chart import Painted, pen
from rtbci.apps.texts import t
from rtbci.calibration.protocol.config import ProtocolConfig


class TrialPicture(Painted):
    """One trial from left to right: what is seen, for how long, and what to do."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stages: list[tuple[str, str, str]] = []
        self.setMinimumHeight(theme.px(150))

    def sizeHint(self) -> QSize:  # noqa: N802
        """Wide and low."""
        return QSize(theme.px(600), theme.px(190))

    def show_trial(self, config: ProtocolConfig) -> None:
        """Show a protocol's trial, with its first class."""
        trial = config.trial
        low, high = trial.rest_s
        self._stages = [
            ("cross", _seconds(trial.fixation_s), t("calibration.practice.fixation")),
            (config.classes[0], _seconds(trial.cue_s), t("calibration.practice.cue")),
            ("cross", _seconds(trial.imagery_s), t("calibration.practice.imagery")),
            (
                "",
                t("calibration.practice.between", low=low, high=high),
                t("calibration.practice.rest"),
            ),
        ]
        self.setAccessibleDescription("; ".join(f"{s}: {w}" for _, s, w in self._stages))
        self.update()

    def paint(self, painter: QPainter) -> None:
        """Paint the stages side by side."""
        if not self._stages:
            return
        gap = theme.px(14)
        width = (self.width() - gap * (len(self._stages) - 1)) / len(self._stages)
        tall = min(self.height() - theme.px(60), width * 0.7)
        top = max(0.0, (self.height() - tall - theme.px(60)) / 3)
        for i, (what, seconds, words) in enumerate(self._stages):
            box = QRectF(i * (width + gap), top, width, tall)
            painter.setPen(pen(theme.palette().line, 1.0))
            painter.setBrush(QColor("#0b0d11"))
            painter.drawRoundedRect(box, theme.px(8), theme.px(8))
            self._screen(painter, box, what)
            painter.setFont(theme.font(theme.BODY_PX, QFont.Weight.DemiBold))
            painter.setPen(QColor(theme.palette().text))
            line = QRectF(box.left(), box.bottom() + theme.px(8), width, theme.px(18))
            painter.drawText(line, int(Qt.AlignmentFlag.AlignLeft), seconds)
            painter.setFont(theme.font(theme.SMALL_PX))
            painter.setPen(QColor(theme.palette().secondary))
            line = QRectF(box.left(), line.bottom(), width, theme.px(34))
            flags = Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextWordWrap
            painter.drawText(line, int(flags), words)

    def _screen(self, painter: QPainter, box: QRectF, what: str) -> None:
        if not what:
            return
        at, arm = box.center(), 0.26 * box.height()
        painter.setPen(pen("#c3ccd8", 2.2))
        painter.drawLine(at - QPointF(arm, 0), at + QPointF(arm, 0))
        painter.drawLine(at - QPointF(0, arm), at + QPointF(0, arm))
        if what != "cross":
            painter.setPen(pen(theme.class_colour(what), 3.0))
            side = 1 if what == "right_hand" else -1
            tip = at + QPointF(side * 1.1 * arm, 0)
            painter.drawLine(at, tip)
            for y in (-0.3, 0.3):
                painter.drawLine(tip, tip + QPointF(-side * 0.3 * arm, y * arm))


def _seconds(seconds: float) -> str:
    return t("calibration.practice.seconds", seconds=seconds)


class ClassShares(Painted):
    """One bar a class: how far it is wanted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shares: dict[str, float] = {}

    def show_shares(self, told: dict[str, float]) -> None:
        """Show shares from 0 to 1."""
        if told != self._shares:
            self._shares = told
            self.update()

    def paint(self, painter: QPainter) -> None:
        """Paint the bars."""
        colours = theme.palette()
        for i, (name, share) in enumerate(self._shares.items()):
            top = theme.px(12) + i * theme.px(44)
            painter.setFont(theme.font())
            painter.setPen(QColor(colours.text))
            text = QRectF(0, top, theme.px(110), theme.px(22))
            flags = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
            painter.drawText(text, flags, name.replace("_", " "))
            whole = QRectF(theme.px(120), top, self.width() - theme.px(130), theme.px(22))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.raised))
            painter.drawRoundedRect(whole, theme.px(5), theme.px(5))
            whole.setWidth(share * whole.width())
            painter.setBrush(QColor(theme.class_colour(name, tuple(self._shares))))
            painter.drawRoundedRect(whole, theme.px(5), theme.px(5))
