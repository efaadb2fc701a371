"""The head with its electrodes: whether the signal is good."""

from __future__ import annotations

from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.live.pages import PAGES
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.view_models.quality import Grade, QualityModel
from rtbci.apps.gui.widgets.card import Card
from rtbci.apps.gui.widgets.head_map import HeadMap, Spot
from rtbci.apps.texts import t

LEAST_HEAD_PX = 44
"""On the smallest screen, with a message above the cards."""
BUTTONS = ("montage", "impedance", "check")


class ElectrodesPanel:
    """The card "Electrodes".

    Parameters
    ----------
    session : Session
    """

    period_s = 0.25

    def __init__(self, session: Session) -> None:
        self._session = session
        self._model = session.model(QualityModel)
        self.widget = Card(t("shell.electrodes.heading"), tip=t("shell.electrodes.tip"))
        self.head = HeadMap(session.info.electrodes)
        self.head.setAccessibleName(t("shell.electrodes.heading"))
        self.head.chosen.connect(self.choose)
        self.head.setMinimumHeight(theme.px(LEAST_HEAD_PX))
        self.widget.body.addWidget(self.head, 1)
        row = QHBoxLayout()
        row.setSpacing(theme.px(6))
        for page in BUTTONS:
            if page in PAGES:
                button = QPushButton(t(f"shell.electrodes.{page}"))
                button.setToolTip(t(f"shell.electrodes.{page}_tip"))
                button.clicked.connect(lambda _=False, name=page: session.ask(name))
                row.addWidget(button, 1)
        if row.count():
            self.widget.body.addLayout(row)
        self.tick()

    def choose(self, channel: str, place: QPoint) -> None:
        """Offer to leave an electrode out, or to take it back."""
        menu = channel_menu(self._session, channel, self._reason(channel), self.head)
        menu.popup(place)

    def tick(self) -> None:
        """Colour the electrodes as they are now."""
        colours = theme.palette()
        inks = {
            Grade.UNKNOWN: colours.faint,
            Grade.GOOD: colours.good,
            Grade.FAIR: colours.fair,
            Grade.POOR: colours.bad,
            Grade.OUT: colours.bad,
        }
        now = self._model.state.now
        self.head.set_spots(
            {q.name: Spot(inks[q.grade], self._tip(q.sd_uv, q.reason)) for q in now}
        )
        counts = {grade: sum(q.grade is grade for q in now) for grade in Grade}
        parts = [
            t(f"shell.electrodes.{grade.name.lower()}", n=counts[grade])
            for grade in (Grade.GOOD, Grade.FAIR, Grade.POOR, Grade.OUT)
            if counts[grade] or grade is Grade.GOOD
        ]
        self.widget.set_sub(" · ".join(parts) if now else t("shell.electrodes.waiting"))

    @staticmethod
    def _tip(sd_uv: float, reason: str) -> str:
        if reason:
            return t("shell.electrodes.left_out", reason=reason)
        return t("shell.electrodes.sd", uv=f"{sd_uv:.0f}")

    def _reason(self, channel: str) -> str:
        return next((q.reason for q in self._model.state.now if q.name == channel), "")


def channel_menu(session: Session, channel: str, reason: str, parent: QWidget) -> QMenu:
    """Make the menu of one electrode."""
    menu = QMenu(parent)
    title = menu.addAction(f"{channel} · {reason}" if reason else channel)
    title.setEnabled(False)
    menu.addSeparator()
    command = "take_back" if reason else "leave_out"
    act = menu.addAction(t(f"shell.electrodes.do_{command}"))
    act.triggered.connect(lambda: session.send({"command": command, "channel": channel}))
    return menu
