"""The review window's top bar: which recording it is, and what can be done with it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.remembered import THEMES
from rtbci.apps.gui.view_models.review import ReviewModel
from rtbci.apps.gui.widgets.card import ElidedLabel
from rtbci.apps.report.words import date, duration
from rtbci.apps.texts import t


class ReviewBar(QWidget):
    """Name, source, date and length; buttons at the right.

    Parameters
    ----------
    model : ReviewModel
    chosen : str
        The theme in use, as it is remembered.

    Attributes
    ----------
    theme_chosen : Signal(str)
    said : ElidedLabel
        The newest sentence.
    open_button, report_button : QPushButton
    """

    theme_chosen = Signal(str)

    def __init__(self, model: ReviewModel, chosen: str) -> None:
        super().__init__()
        self.setObjectName("topBar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        row = QHBoxLayout(self)
        edge = theme.px(14)
        row.setContentsMargins(edge, theme.px(9), edge, theme.px(9))
        row.setSpacing(theme.px(10))
        recording = model.recording
        name = QLabel(recording.files.stem)
        name.setObjectName("title")
        row.addWidget(name)
        sub = t(
            "review.sub",
            source=recording.info.name,
            date=date(recording.wall.date(model.begun)),
            length=duration(model.seconds),
        )
        row.addWidget(ElidedLabel(sub, "secondary"), 1)
        self.said = ElidedLabel("", "secondary")
        row.addWidget(self.said)
        self.open_button = QPushButton(t("review.open"))
        self.open_button.setToolTip(t("review.open_tip"))
        self.report_button = QPushButton(t("review.report"))
        self.report_button.setToolTip(t("review.report_tip"))
        row.addWidget(self.open_button)
        row.addWidget(self.report_button)
        themes = QComboBox()
        themes.setAccessibleName(t("shell.menu.theme"))
        for theme_name in THEMES:
            themes.addItem(t(f"shell.menu.{theme_name}"), theme_name)
        themes.setCurrentIndex(THEMES.index(chosen))
        themes.currentIndexChanged.connect(lambda i: self.theme_chosen.emit(THEMES[i]))
        row.addWidget(themes)
