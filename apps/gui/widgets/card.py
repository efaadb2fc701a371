"""A card: heading, what stands after it, room for buttons at the right, and a body."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from rtbci.apps.gui import theme


class ElidedLabel(QLabel):
    """A label of one line that ends in an ellipsis where there is no room; the tip has it all."""

    def __init__(self, text: str = "", name: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._whole = ""
        self.set_text(text)

    @property
    def whole(self) -> str:
        """The text as it was set."""
        return self._whole

    def set_text(self, text: str) -> None:
        """Show a text; nothing is done where it is the same."""
        if text != self._whole:
            self._whole = text
            self.updateGeometry()
            self._elide()

    def sizeHint(self) -> QSize:  # noqa: N802
        """As wide as the whole text."""
        width = self.fontMetrics().horizontalAdvance(self._whole) + 2
        return QSize(width, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """As narrow as an ellipsis."""
        width = min(self.fontMetrics().horizontalAdvance("…") + 2, self.sizeHint().width())
        return QSize(width, super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Elide anew."""
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        shown = self.fontMetrics().elidedText(
            self._whole, Qt.TextElideMode.ElideRight, max(self.width(), 0)
        )
        if self.width() <= 0 or not self._whole:
            shown = self._whole
        if shown != self.text():
            self.setText(shown)
        self.setToolTip(self._whole if shown != self._whole else "")


class Card(QFrame):
    """A rounded card with a heading, as everything in the window stands on.

    Parameters
    ----------
    heading : str
    sub : str
        What stands after the heading, in secondary colour: short, lower-case.
    framed : bool
        Whether it is drawn as a card; a part of another card is not (and has no margins).
    tip : str
        Tool tip of the heading: where what is shown comes from.

    Attributes
    ----------
    header : QHBoxLayout
        Of the heading's line; widgets added to it stand at the right.
    body : QVBoxLayout
        Of what the card holds.
    """

    def __init__(
        self,
        heading: str,
        sub: str = "",
        *,
        framed: bool = True,
        tip: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        if framed:
            self.setObjectName("card")
        self._framed = framed
        self._heading = QLabel(heading)
        self._heading.setObjectName("heading")
        self._heading.setToolTip(tip)
        self._sub = ElidedLabel(sub, "sub")
        self.header = QHBoxLayout()
        self.header.addWidget(self._heading)
        self.header.addWidget(self._sub, 1)
        self.body = QVBoxLayout()
        self.outer = QVBoxLayout(self)
        self.outer.addLayout(self.header)
        self.outer.addLayout(self.body, 1)
        self.setAccessibleName(heading)
        self._space()
        theme.look.changed.connect(self._space)

    def set_heading(self, text: str) -> None:
        """Change the heading."""
        if text != self._heading.text():
            self._heading.setText(text)
            self.setAccessibleName(text)

    def set_sub(self, text: str) -> None:
        """Change what stands after the heading."""
        self._sub.set_text(text)

    def hide_header(self) -> None:
        """Show the body alone: its parts have headings of their own."""
        self._heading.setVisible(False)
        self._sub.setVisible(False)
        self.outer.removeItem(self.header)

    @property
    def heading(self) -> str:
        """The heading's text."""
        return self._heading.text()

    @property
    def sub(self) -> str:
        """The text after the heading, whole."""
        return self._sub.whole

    def _space(self) -> None:
        inside = theme.px(theme.INSIDE_PX) if self._framed else 0
        self.outer.setContentsMargins(inside, inside, inside, inside)
        self.outer.setSpacing(theme.px(8))
        self.header.setSpacing(theme.px(8))
        self.body.setSpacing(theme.px(8))
