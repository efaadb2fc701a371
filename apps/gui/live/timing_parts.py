"""Parts of the strip: the forecast's error by horizon, latency by token and stage."""

from __future__ import annotations

from rtbci.apps.gui import theme
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.view_models.latency import KEPT, LatencyModel
from rtbci.apps.gui.view_models.skill import SkillModel
from rtbci.apps.gui.widgets.card import Card, ElidedLabel
from rtbci.apps.gui.widgets.timing_charts import LatencyChart, SkillChart
from rtbci.apps.texts import t


class SkillPart:
    """The model's error beside those of AR, ridge and persistence.

    Parameters
    ----------
    session : Session
    """

    period_s = 1.0

    def __init__(self, session: Session) -> None:
        self._model = session.model(SkillModel)
        self.widget = Card(
            t("decode.forecast_error.heading"), framed=False, tip=t("decode.forecast_error.tip")
        )
        self.chart = SkillChart()
        self.chart.setAccessibleName(t("decode.forecast_error.heading"))
        self.widget.body.addWidget(self.chart)
        theme.follow(self.widget, self.tick)
        self.tick()

    def tick(self) -> None:
        """Draw the newest table."""
        bars = self._model.bars
        if not bars.known:
            self.widget.set_sub("")
            self.chart.empty = t("decode.forecast_error.waiting")
            self.chart.update()
            return
        self.chart.empty = ""
        short = bars.minutes < 1.0
        length = t(
            f"decode.forecast_error.{'seconds' if short else 'minutes'}",
            n=60 * bars.minutes if short else bars.minutes,
        )
        self.widget.set_sub(t("decode.forecast_error.sub", length=length))
        words = {method: t(f"decode.forecast_error.{method}") for method in bars.methods}
        self.chart.show_bars(bars, words)


class LatencyPart:
    """A bar a token, and where the time went.

    Parameters
    ----------
    session : Session
    """

    period_s = 0.1

    def __init__(self, session: Session) -> None:
        self._model = session.model(LatencyModel)
        self.widget = Card(
            t("decode.latency.heading"),
            framed=False,
            tip=t("decode.latency.tip", deadline=self._model.deadline_ms),
        )
        self.chart = LatencyChart()
        self.chart.setAccessibleName(t("decode.latency.heading"))
        self.stages = ElidedLabel("", "small")
        self.widget.body.addWidget(self.chart, 1)
        self.widget.body.addWidget(self.stages)
        self._slow = 0
        self.tick()

    def tick(self) -> None:
        """Draw the newest bars; the words change once a second, so that they can be read."""
        model = self._model
        bars = model.state.bars
        self.chart.empty = "" if bars else t("decode.latency.none")
        self.chart.show_bars(tuple(bars), model.deadline_ms, KEPT)
        if self._slow % 10 == 0:
            self._say()
        self._slow += 1

    def _say(self) -> None:
        model = self._model
        if model.p50 is None or model.p99 is None:
            self.widget.set_sub(t("decode.latency.sub_none"))
            self.stages.set_text("")
            return
        self.widget.set_sub(t("decode.latency.sub", p50=model.p50, p99=model.p99))
        if model.missed and model.maximum is not None:
            self.stages.set_text(t("decode.latency.missed", max=model.maximum))
            self._tone("bad")
            return
        said = [
            t("decode.latency.stage_short", stage=_stage(s.name), p50=s.p50, p99=s.p99)
            for s in model.stages()
            if s.p50 is not None
        ]
        self.stages.set_text(" · ".join(said))
        self._tone("small")

    def _tone(self, name: str) -> None:
        if self.stages.objectName() != name:
            self.stages.setObjectName(name)
            self.stages.style().polish(self.stages)


def _stage(name: str) -> str:
    key = f"decode.latency.{name}"
    return t(key) if t.has(key) else name
