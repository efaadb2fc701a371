"""The signal while it is checked: the newest seconds of each electrode, as the model sees them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPolygonF
from PySide6.QtWidgets import QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.widgets.chart import LABEL_PX, Painted, pen
from rtbci.live.view import View

SECONDS = 8.0
POINTS = 500
"""Of a trace: no more than there are pixels."""
LANE_UV = 100.0
"""From one electrode's line to the next."""
FEWEST_PX = 13
"""Height of a lane, at least; where there are more electrodes, only some are drawn."""


class LiveTraces(Painted):
    """Lines, the newest at the right; electrodes that are left out are pale."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: tuple[str, ...] = ()
        self._rows: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._left_out: frozenset[str] = frozenset()
        self._after = 0
        self._view: View | None = None
        self.setMinimumHeight(theme.px(80))

    def sizeHint(self) -> QSize:  # noqa: N802
        """As large as there is room."""
        return QSize(theme.px(500), theme.px(220))

    def show_signal(self, view: View | None, left_out: frozenset[str]) -> None:
        """Take what is new of a view; another view begins anew, none leaves all as it was."""
        if view is None:
            return
        info = view.info
        if view is not self._view:
            self._view, self._names, self._after = view, info.electrodes, 0
            self._rows = np.zeros((0, len(info.electrodes)), np.float32)
        kept = round(SECONDS * info.model_rate)
        new = view.filtered(self._after)
        self._after = new.stop
        self._rows = np.concatenate([self._rows, new.data[-kept:]])[-kept:]
        self._left_out = left_out
        self.update()

    def paint(self, painter: QPainter) -> None:
        """Paint a lane for each electrode."""
        if self._view is None or len(self._rows) < 2:
            return
        colours = theme.palette()
        most = max(1, int(self.height() / theme.px(FEWEST_PX)))
        shown = _spread(len(self._names), most)
        lane = self.height() / len(shown)
        left = theme.px(40)
        kept = round(SECONDS * self._view.info.model_rate)
        step = max(1, kept // POINTS)
        first = len(self._rows) % step
        rows = self._rows[first::step]
        width = self.width() - left - theme.px(4)
        x = left + width * (1.0 - np.arange(len(rows))[::-1] * step / kept)
        painter.setFont(theme.font(LABEL_PX))
        for place, i in enumerate(shown):
            middle = (place + 0.5) * lane
            out = self._names[i] in self._left_out
            painter.setPen(QColor(colours.faint if out else colours.secondary))
            name = QRectF(0, middle - lane, left - theme.px(8), 2 * lane)
            flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(name, int(flags), self._names[i])
            y = np.clip(middle - rows[:, i] / LANE_UV * max(lane, 14), 0, self.height())
            painter.setPen(pen(colours.faint if out else colours.signal, 1.0))
            painter.drawPolyline(QPolygonF([QPointF(*p) for p in zip(x, y, strict=True)]))


def _spread(n: int, most: int) -> list[int]:
    """At most so many of n, evenly."""
    return list(np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)))
