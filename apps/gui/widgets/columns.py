"""A picture of time that grows at its end: every column of pixels is drawn once.

Columns are counted on from any instant; column ``c`` lies at ``c mod capacity`` of the picture, so
nothing is ever moved, and a window of the newest columns is two pieces at most::

    picture   8 9 2 3 4 5 6 7       capacity 8, columns 2 to 9 drawn
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPixmap

Render = Callable[[QPainter, int, int], None]
"""Draws columns [first, last); the painter has column ``first`` at x = 0, in device pixels."""

CHUNK = 48
"""Columns that are drawn at once where many are missing."""


@dataclass
class Drawn:
    """Columns [first, last) are in the picture."""

    first: int = 0
    last: int = 0


class ColumnCache:
    """The picture.

    Attributes
    ----------
    capacity, height : int
        Size in device pixels.
    """

    def __init__(self) -> None:
        self.capacity = 0
        self.height = 0
        self.drawn = Drawn()
        self._picture = QPixmap()

    def resize(self, capacity: int, height: int) -> None:
        """Make room for so many columns; what was drawn is dropped where that is a change."""
        if (capacity, height) != (self.capacity, self.height):
            self.capacity, self.height = max(capacity, 1), max(height, 1)
            self._picture = QPixmap(self.capacity, self.height)
            self._picture.fill(Qt.GlobalColor.transparent)
            self.drop()

    def drop(self) -> None:
        """Forget what was drawn."""
        self.drawn = Drawn()

    def ensure(self, first: int, last: int, render: Render, budget_s: float = 0.012) -> bool:
        """Draw what is missing of columns [first, last), the newest first.

        Returns
        -------
        whole : bool
            False where the time was up before all was drawn; ask again at the next frame.
        """
        first = max(first, last - self.capacity)
        drawn = self.drawn
        if last < drawn.first or first > drawn.last:
            drawn.first = drawn.last = last
        if last > drawn.last:
            for start in range(drawn.last, last, CHUNK):
                self._draw(start, min(start + CHUNK, last), render)
            drawn.last = last
            drawn.first = max(drawn.first, last - self.capacity)
        until = time.perf_counter() + budget_s
        while drawn.first > first:
            if time.perf_counter() > until:
                return False
            start = max(first, drawn.first - CHUNK)
            self._draw(start, drawn.first, render)
            drawn.first = start
            drawn.last = min(drawn.last, start + self.capacity)
        return True

    def blit(
        self, painter: QPainter, first: int, last: int, x: float, y: float, dpr: float
    ) -> None:
        """Show columns [first, last) with the first one at ``x``, as far as they are drawn."""
        start, stop = max(first, self.drawn.first), min(last, self.drawn.last)
        while start < stop:
            place = start % self.capacity
            n = min(stop - start, self.capacity - place)
            target = QRectF(x + (start - first) / dpr, y, n / dpr, self.height / dpr)
            painter.drawPixmap(target, self._picture, QRectF(place, 0, n, self.height))
            start += n

    def _draw(self, first: int, last: int, render: Render) -> None:
        painter = QPainter(self._picture)
        while first < last:
            place = first % self.capacity
            n = min(last - first, self.capacity - place)
            painter.save()
            painter.setClipRect(place, 0, n, self.height)
            painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
            painter.fillRect(place, 0, n, self.height, Qt.GlobalColor.transparent)
            painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceOver)
            painter.translate(place, 0)
            render(painter, first, first + n)
            painter.restore()
            first += n
        painter.end()
