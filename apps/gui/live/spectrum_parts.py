"""Parts of the strip: spectrum, spectrogram, band power on heads."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.view_models.quality import Grade, QualityModel
from rtbci.apps.gui.view_models.spectrum import BANDS, SpectrumModel
from rtbci.apps.gui.widgets.card import Card
from rtbci.apps.gui.widgets.scalp_map import ScalpField, ScalpMap
from rtbci.apps.gui.widgets.spectra import SpectrogramChart, SpectrumChart
from rtbci.apps.texts import t

LEAST_SPAN_DB = 3.0
"""Maps are drawn over this much at least: smaller differences are not worth a colour."""


def left_out(model: QualityModel) -> list[str]:
    """Names of the electrodes that are left out now."""
    return [q.name for q in model.state.now if q.grade is Grade.OUT]


class SpectrumPart:
    """Power density of each electrode over the last 20 s.

    Parameters
    ----------
    session : Session
    """

    period_s = 0.5

    def __init__(self, session: Session) -> None:
        self._model = session.model(SpectrumModel)
        self._quality = session.model(QualityModel)
        self.widget = Card(t("decode.spectrum.heading"), framed=False, tip=t("decode.spectrum.tip"))
        self.chart = SpectrumChart()
        self.chart.setAccessibleName(t("decode.spectrum.heading"))
        self.widget.body.addWidget(self.chart)
        self._drawn = -1
        self.tick()

    def tick(self) -> None:
        """Draw anew where there is a new periodogram."""
        model = self._model
        levels = model.psd()
        if levels is None:
            self.chart.empty = t("decode.spectrum.waiting", seconds=model.settings.segment_s)
            self.chart.update()
            return
        if model.state.count == self._drawn:
            return
        self._drawn, self.chart.empty = model.state.count, ""
        self.widget.set_sub(t("decode.spectrum.sub", seconds=model.seconds()))
        self.chart.show_levels(model.freqs, levels, model.electrodes, left_out(self._quality))


class SpectrogramPart:
    """Power density over the last minute, of an electrode that is chosen.

    Parameters
    ----------
    session : Session
    """

    period_s = 0.5

    def __init__(self, session: Session) -> None:
        self._model = session.model(SpectrumModel)
        self.widget = Card(
            t("decode.spectrogram.heading"),
            t("decode.spectrogram.sub"),
            framed=False,
            tip=t("decode.spectrogram.tip"),
        )
        self.choice = QComboBox()
        self.choice.addItems(list(self._model.electrodes))
        if "C3" in self._model.electrodes:
            self.choice.setCurrentText("C3")
        self.choice.setAccessibleName(t("decode.spectrogram.electrode"))
        self.choice.setToolTip(t("decode.spectrogram.electrode"))
        self.choice.currentTextChanged.connect(self._redraw)
        self.widget.header.addWidget(self.choice)
        self.chart = SpectrogramChart()
        self.chart.setAccessibleName(t("decode.spectrogram.heading"))
        self.widget.body.addWidget(self.chart)
        theme.follow(self.widget, self._redraw)
        self._drawn = -1
        self.tick()

    def tick(self) -> None:
        """Draw anew where there is a new column."""
        model = self._model
        found = model.spectrogram(self.choice.currentText()) if model.electrodes else None
        if found is None:
            self.chart.empty = t("decode.spectrum.waiting", seconds=model.settings.segment_s)
            self.chart.update()
            return
        if model.state.count == self._drawn:
            return
        self._drawn, self.chart.empty = model.state.count, ""
        ends, density = found
        seconds = model.settings.spectrogram_s
        self.chart.show_density(ends, density, model.freqs, seconds, t("decode.spectrogram.now"))

    def _redraw(self) -> None:
        self._drawn = -1
        self.tick()


class MapsPart:
    """Band power on heads, one a band, against the mean of all electrodes.

    Parameters
    ----------
    session : Session
    """

    period_s = 0.5

    def __init__(self, session: Session) -> None:
        self._model = session.model(SpectrumModel)
        self._quality = session.model(QualityModel)
        self._fields: dict[tuple[str, ...], ScalpField] = {}
        self.widget = Card(t("decode.maps.heading"), framed=False, tip=t("decode.maps.tip"))
        self.widget.set_sub(t("decode.maps.sub"))
        self.maps = [ScalpMap(t(f"decode.maps.{name}")) for name, _, _ in BANDS]
        self._row = QWidget()
        row = QHBoxLayout(self._row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(4))
        for one in self.maps:
            row.addWidget(one, 1)
        self._words = QLabel(t("decode.maps.too_few"))
        self._words.setObjectName("small")
        self._words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.widget.body.addWidget(self._row, 1)
        self.widget.body.addWidget(self._words, 1)
        theme.follow(self.widget, self._redraw)
        self._drawn = -1
        self.tick()

    def tick(self) -> None:
        """Draw anew where there is a new periodogram."""
        model = self._model
        out = set(left_out(self._quality))
        used = tuple(name for name in model.electrodes if name not in out)
        field = self._field(used)
        self._row.setVisible(field.enough)
        self._words.setVisible(not field.enough)
        if not field.enough or model.state.count in (0, self._drawn):
            return
        self._drawn = model.state.count
        columns = [model.electrodes.index(name) for name in used]
        for one, (_, low, high) in zip(self.maps, BANDS, strict=True):
            power = model.band_power((low, high))
            if power is not None:
                values = power[columns]
                spread = np.abs(values[field.known] - values[field.known].mean())
                one.show_values(field, values, max(LEAST_SPAN_DB, float(spread.max())))

    def _field(self, electrodes: tuple[str, ...]) -> ScalpField:
        """Give the interpolation between these; it is made once."""
        if electrodes not in self._fields:
            self._fields = {electrodes: ScalpField(electrodes)}
            self._drawn = -1
        return self._fields[electrodes]

    def _redraw(self) -> None:
        self._drawn = -1
        self.tick()
