"""The signal-quality strip: a row an electrode, a column two seconds, the newest at the right."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QFontMetricsF, QPainter
from PySide6.QtWidgets import QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.quality import COLUMNS, ElectrodeQuality, Grade
from rtbci.apps.gui.widgets.chart import LABEL_PX, Painted
from rtbci.apps.gui.widgets.colours import image

ROLES = {
    Grade.UNKNOWN: "raised",
    Grade.GOOD: "good",
    Grade.FAIR: "fair",
    Grade.POOR: "bad",
    Grade.OUT: "faint",
}
"""Colours of the palette; words and the electrodes' names say it, too."""
TALL_PX, SPLIT_PX = 11, 5
"""A row that has room for its name; one that is set off from its neighbours."""


class QualityStrip(Painted):
    """How good each electrode has been over the last minutes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grades: npt.NDArray[np.int8] = np.zeros((0, 0), dtype=np.int8)
        self._now: tuple[ElectrodeQuality, ...] = ()
        self.setMinimumHeight(theme.px(48))

    def show_grades(self, grades: npt.NDArray[np.int8], now: tuple[ElectrodeQuality, ...]) -> None:
        """Show grades, shape (n_electrodes, n_columns), oldest first."""
        self._grades, self._now = grades, now
        self.update()

    def paint(self, painter: QPainter) -> None:
        """Paint names where they have room, and the grades as an image."""
        n = len(self._now)
        if not n:
            return
        height = self.height() / n
        metrics = QFontMetricsF(theme.font(LABEL_PX))
        named = height >= theme.px(TALL_PX)
        words = [q.name for q in self._now] if named else self._few_names(n)
        left = max(metrics.horizontalAdvance(w) for w in words if w) + theme.px(6)
        for i, word in enumerate(words):
            if word:
                painter.setPen(QColor(getattr(theme.palette(), _text_role(self._now[i].grade))))
                y = max((i + 0.5) * height + metrics.ascent() / 2 - 1, metrics.capHeight() + 1)
                painter.drawText(QPointF(0, y), word)
        grades = self._grades[:, -COLUMNS:]
        area = QRectF(left, 0, self.width() - left, self.height())
        if not grades.shape[1]:
            return
        colours = np.array(
            [_rgb(getattr(theme.palette(), ROLES[grade])) for grade in Grade], dtype=np.uint8
        )
        width = area.width() * grades.shape[1] / COLUMNS
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        painter.setOpacity(0.8)
        painter.fillRect(area, QColor(theme.palette().raised))
        painter.drawImage(
            QRectF(area.right() - width, 0, width, area.height()), image(colours[grades])
        )
        painter.setOpacity(1.0)
        if height >= theme.px(SPLIT_PX):  # a line of the card's colour between rows
            painter.setPen(QColor(theme.palette().card))
            for i in range(1, n):
                y = round(i * height)
                painter.drawLine(QPointF(left, y), QPointF(self.width(), y))

    def _few_names(self, n: int) -> list[str]:
        """Give names of some electrodes, so far apart that they don't touch."""
        every = max(1, int(np.ceil(theme.px(TALL_PX + 2) / (self.height() / n))))
        return [q.name if i % every == 0 else "" for i, q in enumerate(self._now)]


def _rgb(value: str) -> tuple[int, int, int]:
    colour = QColor(value)
    return colour.red(), colour.green(), colour.blue()


def _text_role(grade: Grade) -> str:
    return {Grade.OUT: "bad", Grade.POOR: "bad", Grade.FAIR: "fair"}.get(grade, "secondary")
