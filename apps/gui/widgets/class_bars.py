"""A bar for each class, with its name inside and its probability at the end."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPainterPath
from PySide6.QtWidgets import QSizePolicy, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.decode import ClassBar
from rtbci.apps.gui.widgets.chart import Painted

BAR_PX, GAP_PX = 27, 8
FILL_ALPHA, FILL_ALPHA_LIGHT = 0.34, 0.38


class ClassBars(Painted):
    """Probabilities as bars in the classes' colours; empty tracks while nothing is decoded."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._bars: tuple[ClassBar, ...] = ()
        self._words: dict[str, str] = {}
        self._chosen = ""

    def show_bars(self, bars: Sequence[ClassBar], words: dict[str, str], chosen: str = "") -> None:
        """Show these; ``chosen`` is the class that is decided."""
        made = tuple(bars)
        if (made, words, chosen) == (self._bars, self._words, self._chosen):
            return
        if len(made) != len(self._bars):
            self.updateGeometry()
        self._bars, self._words, self._chosen = made, dict(words), chosen
        said = ", ".join(
            f"{words.get(b.name, b.name)} {'–' if b.p is None else f'{b.p:.2f}'}" for b in made
        )
        self.setAccessibleDescription(said)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """As high as all bars."""
        n = max(1, len(self._bars))
        return QSize(theme.px(200), n * theme.px(BAR_PX) + (n - 1) * theme.px(GAP_PX))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """As high as all bars."""
        return QSize(theme.px(120), self.sizeHint().height())

    def paint(self, painter: QPainter) -> None:
        """Paint the bars, one below the other."""
        height, gap = theme.px(BAR_PX), theme.px(GAP_PX)
        classes = tuple(bar.name for bar in self._bars)
        for i, bar in enumerate(self._bars):
            rect = QRectF(0, i * (height + gap), self.width(), height)
            self._paint_bar(painter, rect, bar, theme.class_colour(bar.name, classes))

    def _paint_bar(self, painter: QPainter, rect: QRectF, bar: ClassBar, colour: str) -> None:
        colours, inside = theme.palette(), theme.px(10)
        track = QPainterPath()
        track.addRoundedRect(rect, theme.px(6), theme.px(6))
        painter.fillPath(track, QColor(colours.raised))
        if bar.p is not None:
            painter.save()
            painter.setClipPath(track)
            alpha = FILL_ALPHA if colours.name == "dark" else FILL_ALPHA_LIGHT
            filled = QRectF(rect)
            filled.setWidth(max(theme.px(6), bar.p * rect.width()))
            shape = QPainterPath()
            shape.addRoundedRect(filled, theme.px(6), theme.px(6))
            painter.fillPath(shape, theme.colour(colour, alpha))
            # The end of the bar in full colour: where it stands can be read without a number.
            edge = QRectF(filled.right() - theme.px(3), rect.top(), theme.px(3), rect.height())
            painter.setClipPath(shape.intersected(track))
            painter.fillRect(edge, QColor(colour))
            painter.restore()
        strong = bar.name == self._chosen
        weight = QFont.Weight.DemiBold if strong else QFont.Weight.Medium
        painter.setFont(theme.font(theme.BODY_PX, weight))
        painter.setPen(QColor(colours.text if bar.p is not None else colours.secondary))
        text = rect.adjusted(inside, 0, -inside, 0)
        middle = Qt.AlignmentFlag.AlignVCenter
        name = self._words.get(bar.name, bar.name)
        painter.drawText(text, int(middle | Qt.AlignmentFlag.AlignLeft), name)
        value = "–" if bar.p is None else f"{bar.p:.2f}"
        painter.drawText(text, int(middle | Qt.AlignmentFlag.AlignRight), value)
