"""What the keys F1 to F4 write: four lines to type in."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QLabel, QLineEdit, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.texts import t

WIDE_PX = 300
MOST = 40
"""Characters of a label."""


class MarkerLabels(QDialog):
    """Changes the labels; the session goes on beside it.

    Parameters
    ----------
    labels : sequence of str
        As they are.

    Attributes
    ----------
    changed : Signal(object)
        The new labels, a tuple of str.
    """

    changed = Signal(object)

    def __init__(self, labels: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(t("shell.marker.edit_title"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.lines = [QLineEdit(label) for label in labels]
        rows = QFormLayout(self)
        rows.setSpacing(theme.px(8))
        for i, line in enumerate(self.lines):
            line.setMaxLength(MOST)
            line.setMinimumWidth(theme.px(WIDE_PX))
            line.setPlaceholderText(t("shell.marker.label", n=i + 1))
            line.setAccessibleName(f"F{i + 1}")
            rows.addRow(f"F{i + 1}", line)
        hint = QLabel(t("shell.marker.edit_hint"))
        hint.setObjectName("small")
        rows.addRow(hint)
        kinds = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(kinds.Save | kinds.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        rows.addRow(buttons)

    def accept(self) -> None:
        """Take what was typed; an empty line is as it was at first."""
        typed = (line.text().strip() for line in self.lines)
        self.changed.emit(
            tuple(text or t("shell.marker.label", n=i + 1) for i, text in enumerate(typed))
        )
        super().accept()
