"""What stands around the signals of a recording: electrodes, latencies, what happened."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QWidget,
)

from rtbci.apps.gui import theme
from rtbci.apps.gui.view_models.quality import FAIR_SD_UV, POOR_SD_UV
from rtbci.apps.gui.view_models.review import LatencyAt
from rtbci.apps.gui.widgets.card import Card, ElidedLabel
from rtbci.apps.gui.widgets.head_map import HeadMap, Spot
from rtbci.apps.report.decodes import LatencyFacts
from rtbci.apps.report.happenings import Happening
from rtbci.apps.report.words import clock
from rtbci.apps.texts import t

RIGHT = Qt.AlignmentFlag.AlignRight
TROUBLE = ("gap", "channel", "outputs", "leave_out")
"""Kinds that are told in another colour."""


class ElectrodesCard(Card):
    """The head: spread of the second before the instant, and what was left out.

    Parameters
    ----------
    names : sequence of str
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(t("shell.electrodes.heading"))
        self._names = tuple(names)
        self.head = HeadMap(names)
        self.head.setAccessibleName(t("shell.electrodes.heading"))
        self.body.addWidget(self.head, 1)

    def show_at(self, sd_uv: Sequence[float], left_out: dict[str, str]) -> None:
        """Show the standard deviations, µV (NaN where nothing came), and reasons by name."""
        colours = theme.palette()
        spots = {}
        for name, sd in zip(self._names, sd_uv, strict=True):
            if name in left_out:
                spots[name] = Spot(colours.bad, left_out[name])
            elif not np.isfinite(sd):
                spots[name] = Spot(colours.faint, t("review.no_rows"))
            else:
                ink = colours.good if sd <= FAIR_SD_UV else colours.fair
                ink = colours.bad if sd > POOR_SD_UV else ink
                spots[name] = Spot(ink, t("review.electrodes.tip", uv=sd))
        self.head.set_spots(spots)
        out = len(left_out)
        every = len(self._names)
        self.set_sub(t("review.electrodes.sub_out", n=every, out=out) if out else f"{every}")


class LatencyCard(Card):
    """How late the result of the instant was, beside those of the session.

    Parameters
    ----------
    facts : LatencyFacts
        Of the session.
    """

    def __init__(self, facts: LatencyFacts) -> None:
        super().__init__(t("review.latency.heading"), t("review.latency.sub"))
        self._rows: dict[str, QLabel] = {}
        grid = QGridLayout()
        grid.setVerticalSpacing(theme.px(3))
        grid.setHorizontalSpacing(theme.px(6))
        grid.setColumnStretch(0, 1)
        self.body.addLayout(grid)
        for j, name in enumerate(("then", "half", "most"), 1):
            grid.addWidget(_figure(t(f"review.latency.{name}"), "small"), 0, j)
        rows = {t("review.latency.all"): facts.total_ms, **facts.stages_ms}
        for i, (name, values) in enumerate(rows.items(), 1):
            known = values[np.isfinite(values)]
            quantiles = np.percentile(known, (50, 99)) if len(known) else (np.nan, np.nan)
            label = QLabel(name)
            label.setObjectName("name" if i > 1 else "")
            grid.addWidget(label, i, 0)
            self._rows[name] = _figure("")
            grid.addWidget(self._rows[name], i, 1)
            for j, value in enumerate(quantiles):
                grid.addWidget(_figure(_ms(float(value)), "name"), i, 2 + j)

    def show_at(self, latency: LatencyAt | None) -> None:
        """Show the latency of an instant; dashes where there was no result."""
        values = {} if latency is None else dict(latency.stages_ms)
        if latency is not None:
            values[t("review.latency.all")] = latency.total_ms
        for name, label in self._rows.items():
            label.setText(_ms(values.get(name, np.nan)))
        self.setToolTip("" if latency is not None else t("review.latency.none"))


class HappenedCard(Card):
    """Everything that happened, in order; choosing a line goes there.

    Attributes
    ----------
    wanted : Signal(float)
        An instant, seconds after the first row.
    """

    wanted = Signal(float)

    def __init__(self, happenings: Sequence[Happening], parent: QWidget | None = None) -> None:
        count = len(happenings)
        sub = t.plural("review.happened.sub", count) if count else ""
        super().__init__(
            t("review.happened.heading"), sub, tip=t("review.happened.tip"), parent=parent
        )
        self._happenings = tuple(happenings)
        self.list = QListWidget()
        self.list.setAccessibleName(t("review.happened.heading"))
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setUniformItemSizes(True)
        self.list.setMinimumHeight(theme.px(60))
        for happening in self._happenings:
            when = "–" if happening.time is None else clock(happening.time)
            item = QListWidgetItem(f"{when}  {happening.text}")
            item.setToolTip(f"{happening.kind.replace('_', ' ')}: {happening.text}")
            self.list.addItem(item)
        self._times = np.array(
            [np.inf if h.time is None else h.time for h in self._happenings], dtype=np.float64
        )
        self.list.itemActivated.connect(self._go)
        self.list.itemClicked.connect(self._go)
        nothing = QLabel(t("review.happened.none"))
        nothing.setObjectName("small")
        nothing.setWordWrap(True)
        nothing.setAlignment(Qt.AlignmentFlag.AlignTop)
        nothing.setVisible(not count)
        self.list.setVisible(count > 0)
        self.body.addWidget(nothing, 0 if count else 1)
        self.body.addWidget(self.list, 1)
        theme.look.changed.connect(self._colour)
        self._colour()

    def show_at(self, time: float) -> None:
        """Mark the last line that lies at or before an instant."""
        before = np.flatnonzero(self._times <= time + 1e-3)
        row = int(before[-1]) if len(before) else -1
        if row != self.list.currentRow() and not self.list.hasFocus():
            self.list.setCurrentRow(row)

    def _go(self, item: QListWidgetItem) -> None:
        time = self._happenings[self.list.row(item)].time
        if time is not None:
            self.wanted.emit(time)

    def _colour(self) -> None:
        colours = theme.palette()
        for i, happening in enumerate(self._happenings):
            ink = colours.fair if happening.kind in TROUBLE else colours.text
            self.list.item(i).setForeground(QColor(ink))


class FactsCard(Card):
    """A few lines about the recording.

    Parameters
    ----------
    facts : sequence of (str, str)
        Name and value.
    """

    def __init__(self, facts: Sequence[tuple[str, str]]) -> None:
        super().__init__(t("review.facts.heading"))
        grid = QGridLayout()
        grid.setVerticalSpacing(theme.px(3))
        grid.setHorizontalSpacing(theme.px(10))
        grid.setColumnStretch(1, 1)
        self.body.addLayout(grid)
        for i, (name, value) in enumerate(facts):
            label = QLabel(name)
            label.setObjectName("name")
            grid.addWidget(label, i, 0)
            grid.addWidget(ElidedLabel(value), i, 1)


def _figure(text: str, name: str = "") -> QLabel:
    label = QLabel(text)
    label.setObjectName(name)
    label.setAlignment(RIGHT)
    label.setMinimumWidth(theme.px(34))
    return label


def _ms(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else "–"
