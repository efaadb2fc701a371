"""Parts of the strip: signal quality over time, and the numbers of the session's health."""

from __future__ import annotations

from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.view_models.health import HealthLine, HealthModel
from rtbci.apps.gui.view_models.latency import LatencyModel
from rtbci.apps.gui.view_models.quality import COLUMN_S, COLUMNS, Grade, QualityModel
from rtbci.apps.gui.widgets.card import Card, ElidedLabel
from rtbci.apps.gui.widgets.quality_strip import QualityStrip
from rtbci.apps.texts import t

WORDS = {Grade.GOOD: "good", Grade.FAIR: "fair", Grade.POOR: "poor", Grade.OUT: "out"}


class QualityPart:
    """How good each electrode has been over the last minutes.

    Parameters
    ----------
    session : Session
    """

    period_s = 0.5

    def __init__(self, session: Session) -> None:
        self._model = session.model(QualityModel)
        self.widget = Card(t("decode.quality.heading"), framed=False, tip=t("decode.quality.tip"))
        self.strip = QualityStrip()
        self.strip.setAccessibleName(t("decode.quality.heading"))
        self.widget.body.addWidget(self.strip)
        self.tick()

    def tick(self) -> None:
        """Draw the columns there are."""
        model = self._model
        counts = model.counts()
        said = [f"{counts[g]} {t(f'decode.quality.{w}')}" for g, w in WORDS.items() if counts[g]]
        minutes = COLUMNS * COLUMN_S / 60.0
        sub = t("decode.quality.sub", minutes=minutes)
        self.widget.set_sub(" · ".join([sub, *said]) if said else t("decode.quality.none"))
        self.strip.show_grades(model.strip(), model.state.now)


class HealthPart:
    """Every number of the session's health, coloured by how well it stands.

    Parameters
    ----------
    session : Session
    """

    period_s = 1.0

    def __init__(self, session: Session) -> None:
        self._model = session.model(HealthModel)
        self._latency = session.model(LatencyModel)
        self.widget = Card(t("decode.health.heading"), framed=False)
        holder = QWidget()
        self._grid = QGridLayout(holder)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(theme.px(12))
        self._grid.setVerticalSpacing(theme.px(2))
        self._grid.setColumnStretch(1, 1)
        self.rows: list[tuple[QLabel, ElidedLabel]] = []
        self.widget.body.addWidget(holder)
        self.widget.body.addStretch(1)
        self.tick()

    def tick(self) -> None:
        """Write the numbers."""
        lines = self._model.lines()
        if lines:
            self.widget.set_sub(t(f"decode.health.sub_{self._model.worst}"))
        shown = [(t(f"decode.health.name.{i.key}"), _words(i), i.level) for i in lines]
        stages = [s for s in self._latency.stages() if s.p50 is not None]
        at = next((i for i, line in enumerate(lines) if line.key == "latency"), None)
        if at is not None and stages:
            said = " · ".join(
                t("decode.latency.stage", stage=_stage(s.name), p50=s.p50, p99=s.p99)
                for s in stages
            )
            shown.insert(at + 1, ("", said, "none"))
        while len(self.rows) < len(shown):
            row = (QLabel(), ElidedLabel())
            row[0].setObjectName("sub")
            self._grid.addWidget(row[0], len(self.rows), 0)
            self._grid.addWidget(row[1], len(self.rows), 1)
            self.rows.append(row)
        for i, (name, value) in enumerate(self.rows):
            there = i < len(shown)
            name.setVisible(there)
            value.setVisible(there)
            if there:
                name.setText(shown[i][0])
                value.set_text(shown[i][1])
                tone = {"bad": "bad", "fair": "fair", "good": ""}.get(shown[i][2], "sub")
                if value.objectName() != tone:
                    value.setObjectName(tone)
                    value.style().polish(value)


def _words(line: HealthLine) -> str:
    key = line.key
    if key == "device" and "gigabytes" in line.values:
        key = "device_memory"
    return t(f"decode.health.{key}", **line.values)


def _stage(name: str) -> str:
    key = f"decode.latency.{name}"
    return t(key) if t.has(key) else name
