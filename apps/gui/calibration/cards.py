"""The cards that every step has: the path at the left, and what is said at the top."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.guided import Action, PathStep, Say
from rtbci.apps.gui.widgets.card import Card
from rtbci.apps.gui.widgets.chart import Painted, pen
from rtbci.apps.texts import t

ROW_PX = 48
WORDS_PX = 840
"""Longest line of a paragraph: longer ones are hard to read."""


class PathCard(Card):
    """The steps of the session, from top to bottom."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(t("calibration.session.heading"), parent=parent)
        self._path = PathColumn()
        self.body.addWidget(self._path)
        self.body.addStretch(1)

    def show_steps(self, steps: tuple[PathStep, ...], minutes: int) -> None:
        """Show the path, and how long it has taken so far."""
        self._path.show_steps(steps)
        self.set_sub(t.plural("calibration.session.minutes", minutes) if minutes else "")


class PathColumn(Painted):
    """One row a step: a ring, or a tick where it is done; its title, and a note."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._steps: tuple[PathStep, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_steps(self, steps: tuple[PathStep, ...]) -> None:
        """Show steps."""
        if steps == self._steps:
            return
        self._steps = steps
        self.setFixedHeight(theme.px(ROW_PX) * len(steps))
        said = "; ".join(f"{s.title}: {'done' if s.done else s.note}" for s in steps)
        self.setAccessibleDescription(said)
        self.update()

    def paint(self, painter: QPainter) -> None:
        """Paint the rows."""
        for i, step in enumerate(self._steps):
            self._row(
                painter, QRectF(0, i * theme.px(ROW_PX), self.width(), theme.px(ROW_PX)), step
            )

    def _row(self, painter: QPainter, row: QRectF, step: PathStep) -> None:
        colours = theme.palette()
        if step.current:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.raised))
            painter.drawRoundedRect(row.adjusted(0, 1, 0, -1), theme.px(6), theme.px(6))
        radius = theme.px(9)
        at = QPointF(row.left() + theme.px(18), row.top() + theme.px(19))
        if step.done:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.good))
            painter.drawEllipse(at, radius, radius)
            painter.setPen(pen(colours.on_good, 1.8))
            a, b, c = (-0.42, 0.02), (-0.1, 0.34), (0.44, -0.32)
            points = [QPointF(at.x() + x * radius, at.y() + y * radius) for x, y in (a, b, c)]
            painter.drawPolyline(points)
        else:
            painter.setPen(pen(colours.good if step.current else colours.faint, 1.8))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(at, radius - 1, radius - 1)
        left = theme.px(37)
        weight = QFont.Weight.DemiBold if step.current else QFont.Weight.Normal
        painter.setFont(theme.font(theme.BODY_PX, weight))
        lively = step.done or step.current
        painter.setPen(QColor(colours.text if lively else colours.secondary))
        self._line(painter, row, left, theme.px(19), step.title)
        painter.setFont(theme.font(theme.SMALL_PX - 0.5))
        painter.setPen(QColor(colours.secondary if lively else colours.faint))
        self._line(painter, row, left, theme.px(35), step.note)

    def _line(self, painter: QPainter, row: QRectF, left: int, middle: int, text: str) -> None:
        metrics = painter.fontMetrics()
        shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, int(row.width()) - left - 2)
        base = row.top() + middle + (metrics.ascent() - metrics.descent()) / 2
        painter.drawText(QPointF(row.left() + left, base), shown)


class SayCard(QFrame):
    """A line before, a headline, paragraphs, and what can be done; the proposal first."""

    asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("card")
        self._said: Say | None = None
        self._before, self._headline, self._body = QLabel(), QLabel(), QLabel()
        for label in (self._before, self._headline, self._body):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
        self._before.setObjectName("secondary")
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress_words = QLabel()
        self._progress_words.setObjectName("secondary")
        self._buttons = QHBoxLayout()
        self.buttons: list[QPushButton] = []
        self._outer = QVBoxLayout(self)
        self._words = QVBoxLayout()
        for widget in (self._before, self._headline, self._body):
            self._words.addWidget(widget)
        self._outer.addLayout(self._words)
        self._outer.addSpacing(theme.px(8))
        self._outer.addStretch(1)
        line = QHBoxLayout()
        line.addWidget(self._progress)
        line.addWidget(self._progress_words, 1)
        self._outer.addLayout(line)
        self._outer.addLayout(self._buttons)
        self.show_progress("", None, working=False)
        theme.look.changed.connect(self._style)
        self._style()

    @property
    def headline(self) -> str:
        """The headline that is shown."""
        return self._headline.text()

    @property
    def body(self) -> str:
        """The paragraphs that are shown."""
        return self._body.text()

    def show_say(self, said: Say) -> None:
        """Say something else; what is said already stays as it is, focus included."""
        if said == self._said:
            return
        before = self._said
        self._said = said
        self._before.setText(said.before)
        self._before.setVisible(bool(said.before))
        self._headline.setText(said.headline)
        self._body.setText("\n".join(said.body))
        self.setAccessibleName(said.headline)
        self.setAccessibleDescription(" ".join(said.body))
        if before is None or before.actions != said.actions:
            self._make_buttons(said.actions)
        self._style()

    def show_progress(self, what: str, share: float | None, *, working: bool) -> None:
        """Show how far the work is; nothing where there is none."""
        self._progress.setVisible(working)
        self._progress_words.setVisible(working)
        self._progress_words.setText(what)
        self._progress.setRange(0, 0 if share is None else 1000)
        if share is not None:
            self._progress.setValue(round(1000 * share))

    def _make_buttons(self, actions: tuple[Action, ...]) -> None:
        while (item := self._buttons.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        self.buttons = []
        for action in actions:
            button = QPushButton(f"{action.text}   {action.key}" if action.key else action.text)
            button.setObjectName("primary" if action.primary else "")
            button.setMinimumHeight(theme.px(38))
            button.setAutoDefault(action.primary)
            button.setProperty("do", action.do)
            button.clicked.connect(lambda _=False, what=action.do: self.asked.emit(what))
            self._buttons.addWidget(button)
            self.buttons.append(button)
        self._buttons.addStretch(1)
        if self.buttons and actions[0].primary:
            self.buttons[0].setFocus(Qt.FocusReason.OtherFocusReason)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Keep lines short enough to read."""
        super().resizeEvent(event)
        self._narrow()

    def _narrow(self) -> None:
        # NB: by a margin, since the height that a label asks for is that of the whole width.
        free = self.width() - 2 * theme.px(24) - theme.px(WORDS_PX)
        self._words.setContentsMargins(0, 0, max(0, free), 0)

    def _style(self) -> None:
        inside = theme.px(24)
        self._outer.setContentsMargins(inside, theme.px(20), inside, theme.px(20))
        self._outer.setSpacing(theme.px(6))
        self._buttons.setSpacing(theme.px(8))
        self._progress.setFixedSize(theme.px(220), theme.px(8))
        self._words.setSpacing(theme.px(6))
        self._narrow()
        self._headline.setFont(theme.font(theme.DECISION_PX, QFont.Weight.Bold))
        colours = theme.palette()
        tone = self._said.tone if self._said is not None else "text"
        colour = getattr(colours, tone)
        size = theme.px(theme.DECISION_PX - 1)
        self._headline.setStyleSheet(
            f"color: {colour}; font-size: {size}px; font-weight: 700; background: transparent;"
        )
        self._body.setStyleSheet(f"font-size: {theme.px(14)}px; line-height: 140%;")
