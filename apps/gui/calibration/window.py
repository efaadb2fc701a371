"""The calibration window: the path at the left, the step in the middle, its reasons at the right.

The session (:class:`rtbci.apps.gui.calibration.session.GuidedSession`) knows what is to be shown;
the window shows it, and the presenter has the subject's screen.  One timer drives the session:
every few milliseconds while something is shown to the subject, else a few times a second.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from rtbci.apps.conductor_state import Stage
from rtbci.apps.gui import theme
from rtbci.apps.gui.calibration.bars import StatusLine, TopBar, recording_words
from rtbci.apps.gui.calibration.cards import PathCard, SayCard
from rtbci.apps.gui.calibration.pages import (
    CheckPage,
    EvidencePage,
    FeedbackPage,
    PracticePage,
    SavePage,
    SubjectPage,
)
from rtbci.apps.gui.calibration.presenter import QtPresenter
from rtbci.apps.gui.calibration.session import GuidedSession
from rtbci.apps.gui.calibration.set_up import SetUp, begin_with, contact_words
from rtbci.apps.gui.calibration.sides import EvidenceSide, SignalSide
from rtbci.apps.gui.calibration.store import Plan, source_words
from rtbci.apps.gui.view_models.calibration import path_steps, say
from rtbci.apps.gui.view_models.guided import Part, Stand
from rtbci.apps.texts import t
from rtbci.calibration.protocol.config import load_protocol, protocol_names
from rtbci.errors import RtbciError
from rtbci.montage import UNUSED

FAST_MS, SLOW_MS = 4, 50
PAINT_MS = 100
"""Between two looks of the window's own panels."""
DISK_MS = 2000
PATH_PX, SIDE_PX, NARROW_SIDE_PX = 240, 400, 336
NARROW_PX = 1400
"""In a window that is less wide, the column at the right is narrow."""
RUNNING = (Stand.RUNNING, Stand.PAUSED)


class CalibrationWindow(QMainWindow):
    """Leads an operator through a calibration.

    Parameters
    ----------
    session : GuidedSession
        Which shows its stages by ``presenter``.
    presenter : QtPresenter
    closed : callable
        Told when the window has closed.
    """

    def __init__(
        self,
        session: GuidedSession,
        presenter: QtPresenter,
        closed: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self.session = session
        self._closed = closed
        self._presenter = presenter
        self._titles = {name: load_protocol(name).title for name in protocol_names()}
        self._disk_words = ""
        presenter.cues.asked.connect(self.ask)
        presenter.in_window = self._paint_stage
        self._lay_out()
        self.setWindowTitle(t("calibration.window.title", subject=session.state.plan.subject))
        self._ticks = QTimer(self)
        self._ticks.setTimerType(Qt.TimerType.PreciseTimer)
        self._ticks.timeout.connect(self._tick)
        self._looks = QTimer(self)
        self._looks.timeout.connect(self.refresh)
        self._disk = QTimer(self)
        self._disk.timeout.connect(self._look_at_disk)
        self.refresh()
        self._ticks.start(SLOW_MS)
        self._looks.start(PAINT_MS)
        self._disk.start(DISK_MS)

    # What is asked of it

    def ask(self, what: str) -> None:
        """Do what a button or a key asks for; what can't be done is said."""
        if what == "close":
            self.close()
            return
        stand = self.session.now.stand
        if what == "pause" and stand is Stand.PAUSED:
            what = "resume"
        try:
            self.session.do(what)
        except RtbciError as err:
            self.session.say_problem(str(err))
        self._tick()
        self.refresh()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Space and Esc pause, Enter does what is proposed, letters the rest."""
        if self.set_up.page is not None:
            super().keyPressEvent(event)
            return
        actions = self.said.actions
        key = Qt.Key(event.key())
        if event.isAutoRepeat():
            return
        if key in (Qt.Key.Key_Space, Qt.Key.Key_Escape) and self.session.conduct is not None:
            self.ask("pause")
            return
        names = {Qt.Key.Key_Return: "Enter", Qt.Key.Key_Enter: "Enter", Qt.Key.Key_Space: "Space"}
        name = names.get(key, event.text().upper())
        wanted = next((a.do for a in actions if a.key and a.key == name), None)
        if wanted is None:
            super().keyPressEvent(event)
        else:
            self.ask(wanted)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Keep where the session stands, and stop the engine; a test current is off first."""
        if not self.set_up.leave():
            event.ignore()
            self.set_up.left.connect(self.close)
            return
        for timer in (self._ticks, self._looks, self._disk):
            timer.stop()
        try:
            self.session.close()
        finally:
            self._presenter.cues.close_for_good()
        event.accept()
        self._closed()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Give the middle what it needs."""
        super().resizeEvent(event)
        self._space()

    # What it shows

    def refresh(self) -> None:
        """Show where the session stands now."""
        session = self.session
        state, now = session.state, session.now
        self.said = say(state, now)
        self._path.show_steps(path_steps(state, now), round(session.seconds / 60))
        self.say_card.show_say(self.said)
        self.say_card.show_progress(now.working, now.share, working=now.stand is Stand.WORKING)
        self._show_page()
        self._show_side()
        self._show_bars()
        if (
            session.conduct is not None
            and now.stand is Stand.RUNNING
            and now.part is not Part.CHECK
            and not now.prompt
        ):
            self._presenter.classes = session.classes
            self._presenter.cover(self)
            self._presenter.cues.show_decode(session.status.get("decode"))
        else:
            self._presenter.uncover()

    def _tick(self) -> None:
        """Let the session go on."""
        try:
            self.session.tick()
        except RtbciError as err:
            self.session.say_problem(str(err))
        wanted = FAST_MS if self.session.conduct is not None else SLOW_MS
        if self._ticks.interval() != wanted:
            self._ticks.setInterval(wanted)

    def _paint_stage(self, stage: Stage) -> None:
        """Show a stage of the signal check; it is painted when this returns."""
        del stage  # the session knows it, too
        self.session.follow_phase()
        self.said = say(self.session.state, self.session.now)
        self.say_card.show_say(self.said)
        self.say_card.repaint()

    def _show_page(self) -> None:
        session = self.session
        state, now = session.state, session.now
        report = state.answers.get("report")
        first = now.part is Part.BLOCK and report is None and not state.counted
        page = self._pages[Part.PRACTICE if first else now.part]
        self._stack.setCurrentWidget(page)
        if isinstance(page, SubjectPage):
            source, found = source_words(state.plan.source), state.answers.get("impedance")
            page.show_plan(state.plan, source, self._titles, contact_words(state.plan, found))
        elif isinstance(page, CheckPage):
            judged = now.stand is Stand.RESULT
            protocols, answers = session.protocols, state.answers
            if now.part is Part.RECHECK and protocols.recheck is not None:
                page.show_check(protocols.recheck, answers.get("recheck"), judged=judged)
            else:
                page.show_check(protocols.check, answers.get("check"), judged=judged)
            page.show_signal(session.view, session.status.get("left_out", {}))
        elif isinstance(page, PracticePage):
            page.show_trial(session.protocols.block)
        elif isinstance(page, EvidencePage):
            counted = state.counted
            page.show_evidence(counted[-1] if counted else None, report)
        elif isinstance(page, FeedbackPage):
            page.show_decode(session.status.get("decode"), session.classes, now.hits, now.trials)
        elif isinstance(page, SavePage):
            tuned = state.answers.get("no_control")
            page.show_profile(state.plan.subject, report, tuned, state.recordings)

    def _show_side(self) -> None:
        session = self.session
        now, report = session.now, session.state.answers.get("report")
        shown = now.part in (Part.BLOCK, Part.SAVE, Part.FEEDBACK)
        if report is not None and shown and now.stand not in (*RUNNING, Stand.STARTING):
            self._side.setCurrentWidget(self._evidence_side)
            self._evidence_side.show_report(report)
            return
        self._side.setCurrentWidget(self._signal_side)
        if session.status:
            self._signal_side.show_status(session.status)
        else:
            names, _ = begin_with(session.state.plan)
            self._signal_side.show_montage([name for name in names if name != UNUSED])

    def _show_bars(self) -> None:
        session = self.session
        now, status, block = session.now, session.status, session.protocols.block
        what = " / ".join(name.replace("_", " ") for name in session.classes)
        cue = t("calibration.window.cue", cue_s=block.trial.cue_s)
        rate = t("calibration.window.rate", rate=status["rate"]) if status else ""
        dot = "" if not status else "bad" if status.get("trouble") else "good"
        self._bar.show_session(
            f"{what} · {cue}",
            str(status.get("source", source_words(session.state.plan.source))),
            rate or t("calibration.window.no_source"),
            dot,
            running=session.conduct is not None,
        )
        trouble = now.problem or str(status.get("trouble", ""))
        right = ""
        if session.conduct is not None and session.conduct.stage.phase is not None:
            phase = session.conduct.stage.phase
            left = phase.trials - len(phase.done)
            right = t("calibration.window.block_to_go", left=left) if phase.trials else ""
        self._status.show_words(
            session.recording, trouble or self._disk_words, right, trouble=bool(trouble)
        )

    def _look_at_disk(self) -> None:
        session = self.session
        if not session.recording:
            self._disk_words = ""
            return
        status = session.status
        channels = len(status.get("electrodes", ()))
        self._disk_words = recording_words(
            session.recording, float(status.get("rate", 0.0)), channels
        )

    def _replan(self, plan: Plan) -> None:
        try:
            self.session.replan(plan)
        except RtbciError as err:
            self.session.say_problem(str(err))

    def open_set_up(self, what: str) -> None:
        """Open the page on which source, montage or contacts are seen to."""
        if self.session.now.part is Part.SUBJECT and self.session.now.stand is Stand.READY:
            self.set_up.open(what, self.session.state.plan)
            self._whole.setCurrentWidget(self.set_up)

    def _back(self) -> None:
        """Show the path again, where no other page was opened."""
        if self.set_up.page is None:
            self._whole.setCurrentIndex(0)
            self.setFocus()
        self.refresh()

    def _lay_out(self) -> None:
        self._whole, self.set_up = QStackedWidget(), SetUp()
        self._whole.setObjectName("window")
        self.set_up.replanned.connect(self._replan)
        self.set_up.measured.connect(self.session.take_impedance)
        self.set_up.left.connect(self._back)
        whole = QWidget()
        whole.setObjectName("window")
        outer = QVBoxLayout(whole)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        self._bar, self._status = TopBar(), StatusLine()
        self._bar.pause_asked.connect(lambda: self.ask("pause"))
        self._path, self.say_card = PathCard(), SayCard()
        self.say_card.asked.connect(self.ask)
        self._stack, self._side = QStackedWidget(), QStackedWidget()
        subject, check, practice = SubjectPage(), CheckPage(), PracticePage()
        evidence, feedback, save = EvidencePage(), FeedbackPage(), SavePage()
        subject.changed.connect(self._replan)
        subject.asked.connect(self.open_set_up)
        self._pages: dict[Part, QWidget] = {
            Part.SUBJECT: subject,
            Part.CHECK: check,
            Part.PRACTICE: practice,
            Part.BLOCK: evidence,
            Part.FEEDBACK: feedback,
            Part.NO_CONTROL: feedback,
            Part.SAVE: save,
            Part.RECHECK: check,
        }
        for page in (subject, check, practice, evidence, feedback, save):
            self._stack.addWidget(page)
        self._signal_side, self._evidence_side = SignalSide(), EvidenceSide()
        self._side.addWidget(self._signal_side)
        self._side.addWidget(self._evidence_side)
        self._middle = QVBoxLayout()
        self._middle.addWidget(self.say_card)
        self._middle.addWidget(self._stack, 1)
        self._columns = QHBoxLayout()
        self._columns.addWidget(self._path)
        self._columns.addLayout(self._middle, 1)
        self._columns.addWidget(self._side)
        outer.addWidget(self._bar)
        outer.addLayout(self._columns, 1)
        outer.addWidget(self._status)
        self._whole.addWidget(whole)
        self._whole.addWidget(self.set_up)
        self.setCentralWidget(self._whole)
        theme.look.changed.connect(self._space)
        self._space()

    def _space(self) -> None:
        gap = theme.px(theme.GAP_PX)
        self._columns.setContentsMargins(gap, gap, gap, gap)
        self._columns.setSpacing(gap)
        self._middle.setSpacing(gap)
        self._path.setFixedWidth(theme.px(PATH_PX))
        wide = self.width() >= theme.px(NARROW_PX)
        self._side.setFixedWidth(theme.px(SIDE_PX if wide else NARROW_SIDE_PX))
        self.say_card.setMinimumHeight(theme.px(200))
