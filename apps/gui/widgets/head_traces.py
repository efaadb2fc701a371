"""The last seconds of every electrode, where it lies on the head."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.forecast import ForecastModel
from rtbci.apps.gui.view_models.signals import SignalsModel, breaks
from rtbci.apps.gui.widgets.scalp_map import flat_places
from rtbci.apps.gui.widgets.traces import path

SECONDS = 2.0
MOST_POINTS = 160
_NAME = re.compile(r"(?P<chain>[A-Za-z]+?)(?P<number>z|\d+)")
_CHAINS = {"T": "C", "FT": "FC", "TP": "CP"}
"""Chains that go on under another name at the side of the head."""


def head_cells(names: Sequence[str], places: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Give each electrode a cell (row, column) of a grid that keeps how they lie to each other.

    A row for each chain across the head (Fp, F, C), a column for each number (odd ones left);
    rows and columns without electrodes take no room.
    """
    rows, columns = [], []
    for name, (_, y) in zip(names, places, strict=True):
        match = _NAME.fullmatch(name)
        chain, number = (match["chain"], match["number"]) if match else (name, "z")
        chain = _CHAINS.get(chain, chain)
        rows.append((chain, y))
        side = 0 if number == "z" else int(number)
        columns.append(-(side + 1) // 2 if side % 2 else side // 2)
    heights = {c: np.mean([y for other, y in rows if other == c]) for c, _ in rows}
    order = sorted(heights, key=lambda chain: -heights[chain])
    across = sorted(set(columns))
    return np.array(
        [(order.index(c), across.index(x)) for (c, _), x in zip(rows, columns, strict=True)],
        dtype=np.int64,
    ).reshape(-1, 2)


class HeadTraces(QWidget):
    """Small traces with the forecast behind them, laid out as the electrodes are.

    Parameters
    ----------
    signals : SignalsModel
    forecast : ForecastModel
    """

    def __init__(
        self, signals: SignalsModel, forecast: ForecastModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._signals, self._forecast = signals, forecast
        names = signals.names[: signals.n_electrodes]
        places = flat_places(names)
        self._known = np.flatnonzero(np.isfinite(places).all(axis=1))
        self._cells = head_cells([names[i] for i in self._known], places[self._known])
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def boxes(self) -> list[QRectF]:
        """Where each electrode's trace is."""
        rows, columns = self._cells.max(axis=0) + 1 if len(self._cells) else (1, 1)
        wide, tall = self.width() / columns, self.height() / rows
        gap = theme.px(6)
        return [
            QRectF(c * wide, r * tall, max(wide - gap, 4.0), max(tall - gap, 4.0))
            for r, c in self._cells
        ]

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002
        """Paint all traces."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        signals, colours = self._signals, theme.palette()
        newest = signals.newest
        boxes = self.boxes()
        if not np.isfinite(newest) or not boxes:
            painter.end()
            return
        ahead = signals.settings.ahead_s if self._forecast.n_horizons else 0.0
        piece = signals.between(newest - SECONDS, newest)
        step = max(1, len(piece.times) // MOST_POINTS)
        times, data = piece.times[::step], piece.data[::step]
        joined = breaks(times, signals.rate / step)
        common = signals.settings.scale_uv
        scales = signals.own_scales() if common is None else np.full(len(signals.names), common)
        painter.setFont(theme.font(min(11, boxes[0].height() * 0.3 / theme.look.scale)))
        label = painter.fontMetrics().height()
        shown = self._forecast.shown
        for box, i in zip(boxes, self._known, strict=True):
            name = signals.names[i]
            out = name in signals.left_out
            per_s = box.width() / (SECONDS + ahead)
            middle = box.center().y() + label / 2
            limit = (box.height() - label) / 2
            per_uv = limit / scales[i]
            x_now = box.left() + SECONDS * per_s
            painter.setPen(QPen(QColor(colours.line), 1))
            painter.drawLine(
                int(x_now), int(box.top() + label * 0.8), int(x_now), int(box.bottom())
            )
            painter.setPen(QColor(colours.faint if out else colours.secondary))
            painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, name)
            x = x_now + (times - newest) * per_s
            y = middle - np.clip(data[:, [i]] * per_uv, -limit, limit)
            inside = x >= box.left()
            painter.setPen(_hairline(colours.faint if out else colours.signal))
            painter.drawPath(path(x[inside], y[inside], joined[inside]))
            if shown is not None and ahead and np.isfinite(shown.mean[:, i]).all():
                x = x_now + (shown.times[::step] - newest) * per_s
                y = middle - np.clip(shown.mean[::step, [i]] * per_uv, -limit, limit)
                inside = (x >= x_now) & (x <= box.right())
                painter.setPen(_hairline(colours.good))
                painter.drawPath(path(x[inside], y[inside], np.ones(inside.sum(), dtype=bool)))
        painter.end()


def _hairline(ink: str) -> QPen:
    """Make a pen of one device pixel, the only one that Qt draws fast."""
    pen = QPen(QColor(ink), 1.0)
    pen.setCosmetic(True)
    return pen
