"""What leaves the session, and the button that stops it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QPushButton, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.view_models.live_feedback import FEEDBACKS, FeedbackModel
from rtbci.apps.gui.view_models.outputs import KINDS, OutputLine, Outputs, OutputsModel
from rtbci.apps.gui.widgets.card import Card, ElidedLabel
from rtbci.apps.texts import t

TONES = {
    "sends": "good",
    "waits": "sub",
    "stopped": "bad",
    "uncalibrated": "fair",
    "muted": "sub",
    "off": "sub",
}
OSC = "127.0.0.1:9000"
"""Where OSC goes if nobody has said so."""


class OutputsPanel:
    """LSL and OSC with their state, the subject's feedback, and Stop outputs (Esc).

    Parameters
    ----------
    session : Session
    """

    period_s = 0.1

    def __init__(self, session: Session) -> None:
        self._session = session
        self._model = session.model(OutputsModel)
        self._feedback = session.model(FeedbackModel)
        self._shown: Outputs | None = None
        self.widget = Card(t("decode.outputs.heading"))
        holder = QWidget()
        grid = QGridLayout(holder)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(theme.px(6))
        grid.setVerticalSpacing(theme.px(6))
        grid.setColumnStretch(1, 1)
        self.states: dict[str, QLabel] = {}
        self.switches: dict[str, QCheckBox] = {}
        self._places: dict[str, ElidedLabel] = {}
        for i, kind in enumerate(KINDS):
            place, state = ElidedLabel("", "sub"), QLabel()
            state.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            switch = QCheckBox(t(f"decode.outputs.{kind}"))
            switch.setToolTip(t(f"decode.outputs.{kind}_tip", where=OSC))
            switch.clicked.connect(lambda on, k=kind: self.switch_one(k, on))
            grid.addWidget(switch, i, 0)
            self.switches[kind] = switch
            grid.addWidget(place, i, 1)
            grid.addWidget(state, i, 2)
            self._places[kind], self.states[kind] = place, state
        name = QLabel(t("decode.outputs.feedback"))
        name.setObjectName("name")
        self.feedback = QComboBox()
        self.feedback.addItems([t(f"decode.outputs.feedback_{f}") for f in FEEDBACKS])
        self.feedback.setAccessibleName(t("decode.outputs.feedback"))
        self.feedback.setToolTip(t("decode.outputs.feedback_tip"))
        self.feedback.activated.connect(self._choose_feedback)
        name.setBuddy(self.feedback)
        grid.addWidget(name, len(KINDS), 0, 1, 2)
        grid.addWidget(self.feedback, len(KINDS), 2)
        self.stop = QPushButton()
        self.stop.setObjectName("danger")
        self.stop.setToolTip(t("decode.outputs.stop_tip"))
        self.stop.clicked.connect(self.switch)
        # NB: a button's own shortcut clicks it a tenth of a second late.
        self._escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), self.stop)
        self._escape.activated.connect(self.switch)
        self.widget.body.addWidget(holder)
        self.widget.body.addWidget(self.stop)
        self.tick()

    def switch(self) -> None:
        """Stop the outputs, or let them go on where they are stopped.

        Esc only ever stops: the button alone resumes, so that a second Esc in haste does no harm.
        """
        stopped = self._model.outputs.stopped
        self._session.send({"command": "resume_outputs" if stopped else "stop_outputs"})

    def switch_one(self, kind: str, on: bool) -> None:
        """Switch one output; one that the session does not have comes with a new session."""
        line = next((o for o in self._model.outputs.lines if o.kind == kind), None)
        self._shown = None  # the switch shows what is so, not what was asked for
        if line is not None and line.state != "off":
            name = "resume_outputs" if on else "stop_outputs"
            self._session.send({"command": name, "output": kind})
        elif on:
            self._session.change({"lsl_out": True} if kind == "lsl" else {"osc": OSC})

    def tick(self) -> None:
        """Show the outputs where they have changed."""
        outputs = self._model.outputs
        at = FEEDBACKS.index(self._feedback.mode)
        if at != self.feedback.currentIndex() and not self.feedback.view().isVisible():
            self.feedback.setCurrentIndex(at)
        if outputs == self._shown:
            return
        self._shown = outputs
        for line in outputs.lines or tuple(OutputLine(kind, "", "off") for kind in KINDS):
            self._places[line.kind].set_text(line.where)
            state = self.states[line.kind]
            state.setText(_state_words(line))
            self.switches[line.kind].setChecked(line.state not in ("off", "muted"))
            state.setObjectName(TONES[line.state])
            state.style().polish(state)
        word = t("decode.outputs.resume" if outputs.stopped else "decode.outputs.stop")
        self.stop.setText(word if outputs.stopped else f"{word}   {t('decode.outputs.key')}")
        self.stop.setObjectName("primary" if outputs.stopped else "danger")
        self._escape.setEnabled(not outputs.stopped)
        self.stop.style().polish(self.stop)
        self.widget.set_sub(t("decode.outputs.stopped") if outputs.stopped else "")

    def _choose_feedback(self, index: int) -> None:
        """Show the subject a cursor or a bar, in a window of its own."""
        self._feedback.mode = FEEDBACKS[index]
        if index:
            self._session.ask("feedback")


def _state_words(line: OutputLine) -> str:
    said = t(f"decode.outputs.{'heard' if line.heard and line.state == 'sends' else line.state}")
    if line.dropped:
        said += f" · {t('decode.outputs.dropped', n=line.dropped)}"
    return said
