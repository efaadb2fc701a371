"""Small pictures that a style sheet can only take from files: drawn in the theme's colours."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap, QPolygonF

SIZE = 48
"""Pixels; they are shown smaller."""


@cache
def _folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="rtbci-icons-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def arrow(ink: str, *, up: bool = False) -> str:
    """Draw an arrow down, or up; give its path as style sheets take it."""
    name, base, tip = ("up", 0.64, 0.34) if up else ("arrow", 0.36, 0.66)
    points = [QPointF(x * SIZE, y * SIZE) for x, y in ((0.22, base), (0.78, base), (0.5, tip))]
    return _draw(name, ink, points, filled=True)


def tick(ink: str) -> str:
    """Draw a check mark; give its path as style sheets take it."""
    points = [QPointF(0.2 * SIZE, 0.52 * SIZE), QPointF(0.42 * SIZE, 0.72 * SIZE)]
    return _draw("tick", ink, [*points, QPointF(0.8 * SIZE, 0.28 * SIZE)], filled=False)


def _draw(name: str, ink: str, points: list[QPointF], *, filled: bool) -> str:
    file = _folder() / f"{name}-{ink.lstrip('#')}.png"
    if not file.exists():
        picture = QPixmap(SIZE, SIZE)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if filled:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(ink))
            painter.drawPolygon(QPolygonF(points))
        else:
            painter.setPen(QPen(QColor(ink), SIZE / 9))
            painter.drawPolyline(QPolygonF(points))
        painter.end()
        picture.save(str(file))
    return file.as_posix()
