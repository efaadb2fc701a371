"""The card in the middle: signals with the forecast beyond "now", in three views."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QMenu,
    QPushButton,
    QScrollBar,
    QStackedWidget,
)

from rtbci.apps.gui.live.display_control import display_of
from rtbci.apps.gui.live.electrodes_panel import channel_menu
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.view_models.forecast import EVERY_S, LEAST_S, ForecastModel
from rtbci.apps.gui.view_models.history import History
from rtbci.apps.gui.view_models.signals import SignalsModel
from rtbci.apps.gui.widgets.card import Card
from rtbci.apps.gui.widgets.head_traces import HeadTraces
from rtbci.apps.gui.widgets.sweep import SweepView
from rtbci.apps.texts import t
from rtbci.apps.times import stop_watch

VIEWS = ("stacked", "butterfly", "head")
GAINS = (0.25, 0.5, 1.0, 2.0, 4.0)
HEAD_EVERY = 3
"""The view "head" is painted at every third poll."""
BAR_STEPS_PER_S = 10


class SignalsPanel:
    """The card "Signals and forecast".

    Parameters
    ----------
    session : Session
    """

    period_s = 0.0

    def __init__(self, session: Session) -> None:
        self._session = session
        self._signals = session.model(SignalsModel)
        self._forecast = session.model(ForecastModel)
        self._control = display_of(session)
        self._polls = 0
        forecasts = session.info.n_horizons > 0
        heading = t("shell.signals.heading" if forecasts else "shell.signals.heading_only")
        self.widget = Card(heading, tip=t("shell.signals.tip") if forecasts else "")
        self.sweep = SweepView(self._signals, self._forecast, History(session.view, self._signals))
        self.sweep.setAccessibleName(heading)
        self.head = HeadTraces(self._signals, self._forecast)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.sweep)
        self._stack.addWidget(self.head)
        self.bar = QScrollBar(Qt.Orientation.Horizontal)
        self.bar.setAccessibleName(t("shell.signals.bar"))
        self.bar.setVisible(False)
        self.widget.body.setSpacing(0)
        self.widget.body.addWidget(self._stack, 1)
        self.widget.body.addWidget(self.bar)
        self._add_buttons()
        self._control.changed.connect(lambda _: self.sweep.restart())
        self.sweep.wheeled.connect(self._control.zoom)
        self.sweep.moved.connect(self._follow)
        self.sweep.chosen.connect(self._choose)
        self.bar.valueChanged.connect(self._look)
        self._say()

    def _add_buttons(self) -> None:
        self._views: dict[str, QPushButton] = {}
        group = QButtonGroup(self.widget)
        group.setExclusive(True)
        for view in VIEWS:
            button = QPushButton(t(f"shell.signals.{view}"))
            button.setObjectName("plain")
            button.setCheckable(True)
            button.setChecked(view == VIEWS[0])
            button.setToolTip(t(f"shell.signals.{view}_tip"))
            button.clicked.connect(lambda _=False, name=view: self.show_view(name))
            self._views[view] = button
            group.addButton(button)
            self.widget.header.addWidget(button)
        self.pause = QPushButton()
        self.pause.setObjectName("plain")
        self.pause.setCheckable(True)
        self.pause.setToolTip(t("shell.signals.pause_tip"))
        self.pause.setShortcut("P")
        self.pause.toggled.connect(self.set_paused)
        self.widget.header.addWidget(self.pause)
        self._name_pause(paused=False)

    def show_view(self, name: str) -> None:
        """Show ``stacked``, ``butterfly`` or ``head``."""
        self._views[name].setChecked(True)
        self._stack.setCurrentWidget(self.head if name == "head" else self.sweep)
        self.sweep.overlaid = name == "butterfly"
        self.sweep.restart()
        self.sweep.tick()

    def set_paused(self, paused: bool) -> None:
        """Stand still, or go on; the session goes on in any case."""
        self.sweep.pause(paused)
        self._name_pause(paused=paused)
        self._say()

    def _name_pause(self, *, paused: bool) -> None:
        self.pause.setText(t(f"shell.signals.{'resume' if paused else 'pause'}"))
        # NB: a text without "&" drops the shortcut.
        self.pause.setShortcut("P")

    def tick(self) -> None:
        """Draw what is new."""
        self._polls += 1
        if self._stack.currentWidget() is self.sweep:
            self.sweep.tick()
        elif self._polls % HEAD_EVERY == 0:
            self.head.update()
        if self._polls % 15 == 0:
            self._say()
            if self.sweep.paused_at is not None:
                self._follow()

    def _say(self) -> None:
        if self.sweep.paused_at is not None:
            at = stop_watch(self.sweep.looking_at - (self._signals.begun or 0.0))
            self.widget.set_sub(t("shell.signals.sub_paused", when=at))
        elif not self._session.info.n_horizons:
            self.widget.set_sub(t("shell.signals.sub_only"))
        elif self._forecast.banded:
            minutes = self._forecast.errors * EVERY_S / 60
            self.widget.set_sub(
                t("shell.signals.sub", minutes=f"{max(minutes, 0.5):.0f}" if minutes >= 1 else "½")
            )
        else:
            left = LEAST_S - self._forecast.errors * EVERY_S
            self.widget.set_sub(t("shell.signals.sub_soon", seconds=f"{left:.0f}"))

    def _follow(self) -> None:
        """Let the scroll bar show where one looks."""
        paused = self.sweep.paused_at
        self.bar.setVisible(paused is not None and self._stack.currentWidget() is self.sweep)
        if paused is None:
            return
        first = self.sweep.history.first()
        window = self._signals.settings.window_s
        self.bar.blockSignals(True)
        self.bar.setPageStep(round(window * BAR_STEPS_PER_S))
        self.bar.setSingleStep(round(window / 8 * BAR_STEPS_PER_S))
        self.bar.setRange(0, max(0, round((paused - first - window) * BAR_STEPS_PER_S)))
        at = (self.sweep.looking_at - first - window) * BAR_STEPS_PER_S
        self.bar.setValue(round(at))
        self.bar.blockSignals(False)
        self._say()

    def _look(self, value: int) -> None:
        window = self._signals.settings.window_s
        if value == self.bar.maximum() and self.sweep.paused_at is not None:
            self.sweep.look_at(self.sweep.paused_at)
        else:
            first = self.sweep.history.first()
            self.sweep.look_at(first + window + value / BAR_STEPS_PER_S)

    def _choose(self, channel: str, place: QPoint) -> None:
        """Offer what can be done with one channel: its size, and to leave it out."""
        reason = self._signals.left_out.get(channel, "")
        menu = channel_menu(self._session, channel, reason, self.sweep)
        if channel not in self._signals.names[: self._signals.n_electrodes]:
            menu.clear()
        sizes = QMenu(t("shell.signals.size"), menu)
        for gain in GAINS:
            act = sizes.addAction(t("shell.signals.gain", gain=f"{gain:g}"))
            act.setCheckable(True)
            act.setChecked(self.sweep.gains.get(channel, 1.0) == gain)
            act.triggered.connect(lambda _=False, g=gain: self.set_gain(channel, g))
        menu.addMenu(sizes)
        menu.popup(place)

    def set_gain(self, channel: str, gain: float) -> None:
        """Draw one channel larger or smaller than the others."""
        self.sweep.gains[channel] = gain
        if gain == 1.0:
            del self.sweep.gains[channel]
        self.sweep.restart()
