"""The review window: a recording as it was at an instant, and the whole of it below.

    +---------------------------------------------------------------+
    | name, source, date, length                 Report  Theme      |
    +---------+----------------------------------------+------------+
    | head    | signals up to the instant | forecast,  | decode     |
    | latency |                           | what came  | evidence   |
    |         |                                        | happened   |
    +---------+----------------------------------------+------------+
    | play, before, next; lanes of the whole session with a cursor  |
    +---------------------------------------------------------------+

One number moves everything: the value of the line of time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QMainWindow,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from rtbci.apps.gui import theme
from rtbci.apps.gui.live.decode_panels import DecodePanel, EvidencePanel
from rtbci.apps.gui.live.display_control import display_of
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.remembered import Remembered
from rtbci.apps.gui.review.cards import ElectrodesCard, FactsCard, HappenedCard, LatencyCard
from rtbci.apps.gui.review.instant import recorded_session, show_decodes
from rtbci.apps.gui.review.report import ReportWriter
from rtbci.apps.gui.review.signals import ReviewSignals
from rtbci.apps.gui.review.timeline import STEPS_PER_S, Timeline
from rtbci.apps.gui.review.top_bar import ReviewBar
from rtbci.apps.gui.view_models.display import SCALES_UV, WINDOWS_S
from rtbci.apps.gui.view_models.forecast import ForecastModel
from rtbci.apps.gui.view_models.history import History
from rtbci.apps.gui.view_models.review import ReviewModel
from rtbci.apps.gui.view_models.signals import MANY, SignalsModel
from rtbci.apps.gui.widgets.card import Card
from rtbci.apps.report.material import NOBODY
from rtbci.apps.report.words import clock
from rtbci.apps.texts import t
from rtbci.errors import RtbciError

SIZE_PX = (1440, 860)
LEFT_PX, RIGHT_PX = 230, 320
PLAY_MS = 33
SPREAD_S = 1.0
"""The head shows the spread of so long before the instant."""


class ReviewWindow(QMainWindow):
    """Window of a recording.

    Parameters
    ----------
    model : ReviewModel
    remembered : Remembered
    """

    def __init__(self, model: ReviewModel, remembered: Remembered) -> None:
        super().__init__()
        self.model = model
        self._remembered = remembered
        self.session: Session = recorded_session(model)
        self.signals = self.session.model(SignalsModel)
        self._history = History(self.session.view, self.signals)
        self._control = display_of(self.session)
        self._control.put(remembered.display())
        self._control.set(past_s=None)
        if len(self.signals.names) > MANY:
            self._control.set(scale_uv=None)  # lanes so low need each channel's own size
        self._writer = ReportWriter(self)
        self._writer.done.connect(self._say)
        self._opened: list[ReviewWindow | None] = []
        self._began = (0.0, 0.0)
        self._timer = QTimer(self)
        self._timer.setInterval(PLAY_MS)
        self._timer.timeout.connect(self._run)
        stem = model.recording.files.stem
        self.setWindowTitle(t("review.title", stem=stem))
        theme.fit(self, *SIZE_PX)
        self._build()
        self._shortcuts()
        self.timeline.valueChanged.connect(self._show)
        self.timeline.go_to(min(self._control.settings.window_s, model.seconds))
        self._show()
        self.timeline.setFocus()

    @property
    def playing(self) -> bool:
        """Whether it runs at true speed."""
        return self._timer.isActive()

    def play(self, wanted: bool) -> None:
        """Run at true speed from here (from the start where it is at the end), or stand still."""
        if wanted and self.timeline.value() >= self.timeline.maximum():
            self.timeline.go_to(0.0)
        self._began = (time.monotonic(), self.timeline.time)
        self._timer.start() if wanted else self._timer.stop()
        self.play_button.setText(t(f"review.play.{'stop' if wanted else 'start'}"))

    def jump(self, step: int) -> None:
        """Go to the next thing that happened (1), or to the one before (-1)."""
        # NB: what happened is shown from the next step on, so back means before this step.
        at = self.timeline.time - (1.0 / STEPS_PER_S if step < 0 else 0.0)
        found = self.model.next_happening(at, step)
        if found is not None:
            self.timeline_to(found)

    def _build(self) -> None:
        gap = theme.px(theme.GAP_PX)
        whole = QWidget()
        whole.setObjectName("window")
        rows = QVBoxLayout(whole)
        rows.setContentsMargins(0, 0, 0, gap)
        rows.setSpacing(gap)
        self.bar = ReviewBar(self.model, self._remembered.theme)
        self.bar.open_button.clicked.connect(lambda: self._choose())
        self.bar.report_button.clicked.connect(lambda: self.write_report())
        self.bar.theme_chosen.connect(self.set_theme)
        rows.addWidget(self.bar)
        columns = QHBoxLayout()
        columns.setContentsMargins(gap, 0, gap, 0)
        columns.setSpacing(gap)
        columns.addLayout(self._left())
        columns.addWidget(self._centre(), 1)
        columns.addLayout(self._right())
        rows.addLayout(columns, 1)
        below = QHBoxLayout()
        below.setContentsMargins(gap, 0, gap, 0)
        below.addWidget(self._below())
        rows.addLayout(below)
        self.setCentralWidget(whole)

    def _left(self) -> QVBoxLayout:
        column = self._column()
        self.electrodes = ElectrodesCard(self.session.info.electrodes)
        self.electrodes.setFixedWidth(theme.px(LEFT_PX))
        column.addWidget(self.electrodes, 1)
        self.latency: LatencyCard | None = None
        if self.model.latency is not None:
            self.latency = LatencyCard(self.model.latency)
            self.latency.setFixedWidth(theme.px(LEFT_PX))
            column.addWidget(self.latency)
        facts = FactsCard(self._facts())
        facts.setFixedWidth(theme.px(LEFT_PX))
        column.addWidget(facts)
        return column

    def _facts(self) -> list[tuple[str, str]]:
        info, model = self.session.info, self.model
        lost = sum(gap.length for gap in model.gaps)
        missing = t("review.facts.no_gaps")
        if model.gaps:
            missing = t.plural("review.facts.lost", len(model.gaps), seconds=lost)
        nobody = info.subject in (None, NOBODY)
        values = {
            "subject": t("review.facts.nobody") if nobody else str(info.subject),
            "model": info.model or t("review.facts.none"),
            "decoder": info.decoder or t("review.facts.none"),
            "rate": t("review.facts.hertz", hertz=info.rate),
            "gaps": missing,
            "ended": t(f"review.facts.{'whole' if model.whole else 'cut'}"),
        }
        return [(t(f"review.facts.{name}"), value) for name, value in values.items()]

    def _centre(self) -> Card:
        self._card = Card(t("review.signals.heading"), tip=t("review.signals.tip"))
        self.view = ReviewSignals(self.signals, self.session.model(ForecastModel), self._history)
        self.view.setAccessibleName(t("review.signals.heading"))
        self.view.moved.connect(self._moved)
        windows: list[tuple[str, float | None]] = [
            (t("review.signals.window", seconds=s), s) for s in WINDOWS_S
        ]
        scales: list[tuple[str, float | None]] = [
            *((t("review.signals.scale", uv=uv), uv) for uv in SCALES_UV),
            (t("review.signals.scale_own"), None),
        ]
        self.window_box = self._choice("window", "window_s", windows)
        self.scale_box = self._choice("scale", "scale_uv", scales)
        self._control.changed.connect(lambda _: self._restart())
        self._card.body.addWidget(self.view, 1)
        return self._card

    def _choice(self, name: str, key: str, choices: list[tuple[str, float | None]]) -> QComboBox:
        """Make a box that chooses a setting of the display."""
        box = QComboBox()
        box.setAccessibleName(t(f"review.signals.{name}_name"))
        box.setToolTip(t(f"review.signals.{name}_name"))
        for text, value in choices:
            box.addItem(text, value)
        values = [value for _, value in choices]
        now = getattr(self._control.settings, key)
        if now not in values:  # remembered from another window
            self._control.set(**{key: values[0]})
            now = values[0]
        box.setCurrentIndex(values.index(now))
        box.currentIndexChanged.connect(lambda i: self._control.set(**{key: values[i]}))
        self._card.header.addWidget(box)
        return box

    def _right(self) -> QVBoxLayout:
        column = self._column()
        width = theme.px(RIGHT_PX)
        self.panels: list[DecodePanel | EvidencePanel] = [
            DecodePanel(self.session),
            EvidencePanel(self.session),
        ]
        if self.model.classes:
            for panel in self.panels:
                panel.widget.setFixedWidth(width)
                column.addWidget(panel.widget)
        self.happened = HappenedCard(self.model.happenings)
        self.happened.setFixedWidth(width)
        self.happened.wanted.connect(self.timeline_to)
        column.addWidget(self.happened, 1)
        return column

    def _below(self) -> Card:
        card = Card(t("review.time.heading"), t("review.time.sub"), tip=t("review.time.tip"))
        self.timeline = Timeline(self.model.lanes(), self.model.seconds)
        self.timeline.setPageStep(round(self._control.settings.window_s * STEPS_PER_S))
        self.play_button = self._button("review.play.start", lambda: self.play(not self.playing))
        self.play_button.setToolTip(t("review.play.tip"))
        self.back_button = self._button("review.play.back", lambda: self.jump(-1))
        self.next_button = self._button("review.play.next", lambda: self.jump(1))
        for button in (self.back_button, self.play_button, self.next_button):
            card.header.addWidget(button)
        card.body.addWidget(self.timeline)
        return card

    def _column(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(theme.px(theme.GAP_PX))
        return column

    def _button(self, text: str, pressed: Callable[[], object]) -> QPushButton:
        button = QPushButton(t(text))
        if t.has(f"{text}_tip"):
            button.setToolTip(t(f"{text}_tip"))
        button.clicked.connect(lambda: pressed())
        return button

    def _shortcuts(self) -> None:
        for key, do in (
            (Qt.Key.Key_Space, lambda: self.play(not self.playing)),
            (Qt.Key.Key_N, lambda: self.jump(1)),
            (Qt.Key.Key_B, lambda: self.jump(-1)),
        ):
            QShortcut(QKeySequence(key), self, do)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Close), self, self.close)

    def timeline_to(self, seconds: float) -> None:
        """Go to the first step at or behind an instant, seconds after the first row."""
        self.timeline.setValue(int(np.ceil(seconds * STEPS_PER_S - 1e-6)))

    def set_theme(self, name: str) -> None:
        """Change the theme, and remember it."""
        self._remembered.theme = name
        theme.apply(name)
        self._show()

    def open_recording(self, path: Path) -> ReviewWindow | None:
        """Open another recording in a window of its own; say why where it can't be."""
        try:
            model = ReviewModel(path)
        except RtbciError as err:
            self._say(str(err))
            return None
        window = ReviewWindow(model, self._remembered)
        window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        window.show()
        return window

    def _choose(self) -> None:
        here = str(self.model.recording.files.folder.parent)
        folder = QFileDialog.getExistingDirectory(self, t("review.open_tip"), here)
        if folder:
            self._opened.append(self.open_recording(Path(folder)))

    def write_report(self) -> None:
        """Write the recording's page, beside it, while the window goes on."""
        self.bar.report_button.setEnabled(False)
        self._say(t("review.report_busy"))
        self._writer.write(self.model.recording.files.folder)

    def _say(self, sentence: str) -> None:
        self.bar.said.set_text(sentence)
        self.bar.report_button.setEnabled(not self._writer.busy)

    def _run(self) -> None:
        began, at = self._began
        self.timeline.go_to(at + time.monotonic() - began)
        if self.timeline.value() >= self.timeline.maximum():
            self.play(False)

    def _restart(self) -> None:
        self.timeline.setPageStep(round(self._control.settings.window_s * STEPS_PER_S))
        self.view.restart()
        self._show()

    def _moved(self) -> None:
        """The signals were dragged or wheeled to another instant."""
        if not self._showing:
            self.timeline.go_to(self.view.looking_at - self.model.begun)

    _showing = False

    def _show(self) -> None:
        """Show everything as it was at the instant."""
        now, model = self.timeline.time, self.model
        left_out = model.left_out(now)
        self.signals.left_out = left_out
        self.view.foretold = model.foretold(now)
        self._showing = True
        self.view.look_at(model.begun + now)
        self._showing = False
        self.view.update()
        told = "sub" if self.view.foretold is None else "sub_foretold"
        self._card.set_sub(t(f"review.signals.{told}", time=clock(now)))
        self.electrodes.show_at(self._spread(now), left_out)
        if self.latency is not None:
            self.latency.show_at(model.latency_at(now))
        self.happened.show_at(now)
        if model.classes:
            show_decodes(self.session, model, now)
            for panel in self.panels:
                panel.tick()

    def _spread(self, now: float) -> list[float]:
        """Standard deviation of each electrode in the second before an instant, µV."""
        stop = self.model.begun + now
        piece = self._history.between(stop - SPREAD_S, stop)
        inside = (piece.times >= stop - SPREAD_S) & (piece.times <= stop)
        n = self.signals.n_electrodes
        if np.count_nonzero(inside) < 2:
            return [float("nan")] * n
        return [float(sd) for sd in piece.data[inside, :n].std(axis=0)]

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Stand still, and remember the display."""
        self.play(False)
        self._writer.wait()
        self._remembered.save()
        super().closeEvent(event)
