"""The strip below the signals: three pages of small charts, one shown at a time.

Overview: spectrum, forecast error, latency.  Frequencies: spectrogram of one electrode, band power
on heads.  Health: signal quality over time, and every number of the session's health.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtWidgets import (
    QAbstractButton,
    QButtonGroup,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from rtbci.apps.gui import theme
from rtbci.apps.gui.live.health_parts import HealthPart, QualityPart
from rtbci.apps.gui.live.panel import Panel, Session
from rtbci.apps.gui.live.spectrum_parts import MapsPart, SpectrogramPart, SpectrumPart
from rtbci.apps.gui.live.timing_parts import LatencyPart, SkillPart
from rtbci.apps.texts import t

PAGES: tuple[tuple[str, tuple[tuple[type[Any], int], ...]], ...] = (
    ("overview", ((SpectrumPart, 1), (SkillPart, 1), (LatencyPart, 1))),
    ("spectrum", ((SpectrogramPart, 2), (MapsPart, 3))),
    ("health", ((QualityPart, 1), (HealthPart, 1))),
)
"""Names of the pages; their parts with their shares of the width."""


class StripPanel:
    """The strip, with buttons at its right that choose a page.

    Parameters
    ----------
    session : Session
    """

    period_s = 0.1

    def __init__(self, session: Session) -> None:
        self.widget = _Strip()
        self._parts: list[list[Panel]] = []
        self._ticks = 0
        for name, kinds in PAGES:
            parts = [kind(session) for kind, _ in kinds]
            self._parts.append(parts)
            shares = [share for _, share in kinds]
            self.widget.add_page(t(f"decode.strip.{name}"), [p.widget for p in parts], shares)

    def show_page(self, index: int) -> None:
        """Turn to a page."""
        self.widget.turn(index)

    def tick(self) -> None:
        """Show what is new on the page that is seen; slower parts take their time."""
        self._ticks += 1
        for part in self._parts[self.widget.pages.currentIndex()]:
            every = max(1, round(part.period_s / self.period_s))
            if self._ticks % every == 0 or self.widget.turned:
                part.tick()
        self.widget.turned = False


class _Strip(QWidget):
    """Pages, and a narrow column of buttons at their right."""

    def __init__(self) -> None:
        super().__init__()
        self.pages = QStackedWidget()
        self.turned = True
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.px(theme.INSIDE_PX))
        layout.addWidget(self.pages, 1)
        self._column = QVBoxLayout()
        self._column.setSpacing(theme.px(2))
        self._column.addStretch(1)
        layout.addLayout(self._column)
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._group.idClicked.connect(self.turn)

    def add_page(self, name: str, parts: Sequence[QWidget], shares: Sequence[int]) -> None:
        """Add a page of parts side by side."""
        page = QWidget()
        row = QHBoxLayout(page)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(2 * theme.INSIDE_PX))
        for part, share in zip(parts, shares, strict=True):
            # What it says must not decide how wide it is: the shares do.
            part.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            row.addWidget(part, share)
        button = QPushButton(name)
        button.setObjectName("tab")
        button.setCheckable(True)
        button.setToolTip(t("decode.strip.tip"))
        index = self.pages.count()
        self._group.addButton(button, index)
        self._column.insertWidget(index, button)
        self.pages.addWidget(page)
        button.setChecked(index == 0)

    @property
    def buttons(self) -> list[QAbstractButton]:
        """The buttons, in the order of the pages."""
        return self._group.buttons()

    def turn(self, index: int) -> None:
        """Show a page."""
        self.pages.setCurrentIndex(index)
        self._group.button(index).setChecked(True)
        self.turned = True
