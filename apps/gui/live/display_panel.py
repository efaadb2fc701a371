"""Filters, scale and time of the display; nothing of it touches what is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.live.display_control import display_of
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.view_models.display import (
    BANDS,
    LINES_HZ,
    SCALES_UV,
    WINDOWS_S,
    Band,
    DisplaySettings,
)
from rtbci.apps.gui.widgets.card import Card
from rtbci.apps.texts import t

PAST_S = (None, 0.1, 0.5, 1.0)


def band_words(band: Band) -> str:
    """``1 – 40 Hz``."""
    if band.high_hz is None:
        return t("shell.display.as_recorded")
    return t("shell.display.band_words", low=f"{band.low_hz:g}", high=f"{band.high_hz:g}")


class DisplayPanel:
    """The card "Display".

    Parameters
    ----------
    session : Session
    """

    period_s = 3600.0

    def __init__(self, session: Session) -> None:
        self._control = display_of(session)
        ahead = self._control.settings.ahead_s if session.info.n_horizons else 0.0
        self.widget = Card(t("shell.display.heading"), t("shell.display.sub"))
        holder = QWidget()
        self._grid = QGridLayout(holder)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setColumnStretch(0, 1)
        self._boxes: dict[str, tuple[QComboBox, tuple[Any, ...]]] = {}
        self._add("band", BANDS, [band_words(b) for b in BANDS])
        notch = [
            t("shell.display.off") if f is None else t("shell.display.notch", hz=f"{f:g}")
            for f in LINES_HZ
        ]
        self._add("line_hz", LINES_HZ, notch)
        scales = [t("shell.signals.microvolts", value=f"{s:g}") for s in SCALES_UV]
        self._add("scale_uv", (*SCALES_UV, None), [*scales, t("shell.display.own_scale")])
        windows = [
            t("shell.display.window", past=f"{s:g}", ahead=f"{ahead:g}")
            if ahead
            else t("shell.display.past_only", past=f"{s:g}")
            for s in WINDOWS_S
        ]
        self._add("window_s", WINDOWS_S, windows)
        self._add(
            "average",
            (False, True),
            [t("shell.display.reference_none"), t("shell.display.reference_average")],
        )
        self._add(
            "sweep", (False, True), [t("shell.display.scroll"), t("shell.display.sweep_word")]
        )
        if session.info.n_horizons:
            past = [
                t("shell.display.off") if s is None else t("shell.display.past", ms=f"{1000 * s:g}")
                for s in PAST_S
            ]
            self._add("past_s", PAST_S, past)
        self.widget.body.addWidget(holder)
        self.widget.body.addStretch(1)
        self._control.changed.connect(self._show)
        self._grid.setVerticalSpacing(theme.px(4))
        self._grid.setHorizontalSpacing(theme.px(8))
        self._show(self._control.settings)

    def _add(self, field: str, values: Sequence[Any], words: Sequence[str]) -> None:
        row = self._grid.rowCount()
        name = QLabel(t(f"shell.display.{field}"))
        name.setObjectName("name")
        box = QComboBox()
        box.addItems(list(words))
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        box.setAccessibleName(name.text())
        box.setToolTip(t(f"shell.display.{field}_tip"))
        name.setToolTip(box.toolTip())
        name.setBuddy(box)
        box.activated.connect(lambda i, f=field, v=tuple(values): self._control.set(**{f: v[i]}))
        self._grid.addWidget(name, row, 0)
        self._grid.addWidget(box, row, 1, Qt.AlignmentFlag.AlignRight)
        self._boxes[field] = (box, tuple(values))

    def _show(self, settings: DisplaySettings) -> None:
        for field, (box, values) in self._boxes.items():
            value = getattr(settings, field)
            if value in values:
                box.setCurrentIndex(values.index(value))
        line = self._boxes["line_hz"][0]
        line.setEnabled(not settings.band.model)
        if settings.band.model:
            line.setToolTip(t("shell.display.line_hz_model"))
        else:
            line.setToolTip(t("shell.display.line_hz_tip"))

    def tick(self) -> None:
        """Nothing moves here by itself."""
