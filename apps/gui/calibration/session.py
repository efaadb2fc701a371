"""The guided session: where it stands, and what its buttons do.

    tick():   what has happened (running.py), the worker's answer ---> state on disk, :attr:`now`
    do(what): a button or a key ---> the next step, or what is shown pauses, goes on, ends

Knows no Qt: the window's timer calls :meth:`GuidedSession.tick`, its buttons :meth:`do`.  One
thread owns it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rtbci.apps.calibration_score import Job, Worker
from rtbci.apps.conductor_core import Conduct
from rtbci.apps.gui.calibration.engine import run_settings
from rtbci.apps.gui.calibration.notes import (
    block_note,
    check_note,
    known_since,
    learned_of,
    prompt,
    shown_trials,
    stands_at,
    step_after,
    take_score,
    tuned_words,
)
from rtbci.apps.gui.calibration.protocols import PRACTICE, Protocols, protocols_of
from rtbci.apps.gui.calibration.running import (
    Engine,
    Happening,
    Presenter,
    Runner,
    Told,
)
from rtbci.apps.gui.calibration.store import (
    BlockDone,
    GuidedState,
    Plan,
    new_state,
    profiles_folder,
    save_state,
    set_aside,
)
from rtbci.apps.gui.view_models.calibration import step_key
from rtbci.apps.gui.view_models.guided import IN_WINDOW, Now, Part, Stand
from rtbci.apps.settings import RunSettings
from rtbci.apps.texts import t
from rtbci.calibration.protocol.plan import Kind
from rtbci.clock import Clock
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.live.view import View

SHOWN = (
    Part.CHECK,
    Part.PRACTICE,
    Part.BLOCK,
    Part.FEEDBACK,
    Part.NO_CONTROL,
    Part.RECHECK,
)
WITH_DECODER = (Part.FEEDBACK, Part.NO_CONTROL)
REPEATED = "BAD_repeated"


class GuidedSession:
    """Leads through a calibration.

    Parameters
    ----------
    state : GuidedState
        New, or taken up again.
    folder : Path
        Where it is kept.
    record : Path
        Folder of recordings.
    start : callable
        Starts an engine.
    presenter : Presenter
    clock : Clock
    worker : Worker
    make_protocols : callable
        Reads the protocols of a plan.
    config : SessionConfig
    """

    def __init__(
        self,
        state: GuidedState,
        folder: Path,
        record: Path,
        *,
        start: Callable[[RunSettings], Engine],
        presenter: Presenter,
        clock: Clock,
        worker: Worker,
        make_protocols: Callable[[Plan], Protocols] = protocols_of,
        config: SessionConfig | None = None,
    ) -> None:
        self.state = state
        self.folder = folder
        self._record = record
        self._worker = worker
        self._make_protocols = make_protocols
        self.protocols = make_protocols(state.plan)
        self._config = config or SessionConfig()
        self._runner = Runner(start, presenter, clock)
        self._clock = clock
        self._job = ""
        self._pending: Part | None = None
        self._known = known_since(state.plan.subject) if self.protocols.recheck else ""
        self.now = Now(stands_at(state), Stand.READY, resumed=bool(state.done), known=self._known)
        state.answers["classes"] = list(self.protocols.block.classes)
        if self.now.part is Part.BLOCK and state.counted:
            self._look_again()

    @property
    def status(self) -> dict[str, Any]:
        """The engine's newest status; empty while none runs."""
        return self._runner.status

    @property
    def view(self) -> View | None:
        """The engine's view; None while none runs."""
        engine = self._runner.state.engine
        return None if engine is None else engine.view

    @property
    def recording(self) -> str:
        """Folder that is being recorded to; empty where none is."""
        state = self._runner.state
        return self._runner.recording if state.engine is not None and state.started else ""

    @property
    def seconds(self) -> float:
        """That something was shown so far."""
        state = self._runner.state
        here = 0.0 if state.conduct is None else self._clock.now() - state.begun
        return self.state.seconds + here

    @property
    def conduct(self) -> Conduct | None:
        """What is being shown."""
        return self._runner.state.conduct

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the trials."""
        return self.protocols.block.classes

    # What the window's timer calls

    def tick(self) -> None:
        """Go on to now."""
        begun = self._runner.state.begun
        for told in self._runner.tick():
            self._take(told, begun)
        self._answered()
        self.follow_phase()

    def _take(self, told: Told, begun: float) -> None:
        """Obey what has happened."""
        if told.what is Happening.STARTED:
            self._started()
        elif told.what is Happening.TROUBLE:
            self.say_problem(t("calibration.say.lost", why=told.words))
        elif told.what is Happening.CALM:
            self.say_problem("")
        elif told.what is Happening.OVER:
            assert told.conduct is not None
            self._over(begun)
            self._part_over(told.conduct, begun)
        elif told.what is Happening.ENDED:
            self._work("tune", self.state.feedback[-1:])
        else:
            self._over(begun if told.conduct is not None else self._clock.now())
            problem = t("calibration.say.engine_gone", why=told.words)
            shown = self.now.stand in (Stand.RUNNING, Stand.PAUSED, Stand.STARTING)
            stand = Stand.READY if shown else self.now.stand
            self.now = replace(self.now, stand=stand, problem=problem)

    def _started(self) -> None:
        """Rows come: what waited for them begins."""
        runner, state = self._runner, self.state
        told = state.feedback if runner.state.decodes else state.recordings
        if runner.recording and runner.recording not in told:
            told.append(runner.recording)
        if (found := self.state.answers.get("impedance")) is not None:
            runner.send({"command": "note", "kind": "impedance", "values": found})
        self._keep()
        part, self._pending = self._pending, None
        if part is Part.RECHECK:  # no calibration: its cues are not fitted to
            told.remove(runner.recording)
        if part is not None:
            self._begin_part(part)
        elif self.now.stand is Stand.STARTING:
            self.now = replace(self.now, stand=Stand.READY)

    def follow_phase(self) -> None:
        """Say of the phase that is being shown what is to be said of it."""
        state = self._runner.state
        conduct = state.conduct
        if conduct is None or conduct.stage.phase is None or conduct.done:
            return
        phase = conduct.stage.phase
        told = phase.slot.kind in (Kind.STEP, Kind.READY) and self.now.part in IN_WINDOW
        self.now = replace(
            self.now,
            stand=Stand.PAUSED if phase.paused else Stand.RUNNING,
            prompt=prompt(phase.slot.kind, phase.slot.label) if told else "",
            prompt_say=phase.slot.say if told else "",
            left_s=math.ceil(conduct.stage.left_s),
            hits=state.hits,
            trials=state.trials,
        )

    # What the buttons call

    def do(self, what: str) -> None:
        """Obey a button or a key; what can't be done now is passed over.

        Raises
        ------
        BadInputError
            Where an engine can't be started, or the state can't be written; the window says it.
        """
        if self.conduct is not None:
            if what in ("resume", "repeat"):
                self.say_problem("")
            self._runner.press(what)
            return
        self.now = replace(self.now, resumed=False, problem="")
        part = self.now.part
        if what == "begin" and part is Part.BLOCK:
            self._go(Part.BLOCK)
        elif what in ("begin", "again"):
            self._go(part)
        elif what in ("skip", "next"):
            if what == "skip":
                self._complete(part, t("calibration.path.skipped"))
            self.now = replace(self.now, part=step_after(part, self.state), stand=Stand.READY)
        elif what in ("feedback", "check", "end"):
            target = {"feedback": Part.FEEDBACK, "check": Part.CHECK, "end": Part.SAVE}[what]
            self.now = replace(self.now, part=target, stand=Stand.READY)
        elif what == "recheck":
            self.now = replace(self.now, part=Part.RECHECK, stand=Stand.READY)
        elif what == "calibrate":
            self._runner.drop()
            self.now = Now(stands_at(self.state), Stand.READY, known=self._known)
        elif what == "repeat_block":
            self._repeat_block()
        elif what == "anew":
            self._anew()

    def replan(self, plan: Plan) -> None:
        """Change what is planned, before anything has been connected.

        Raises
        ------
        BadInputError
            Where its protocol can't be used.
        """
        self.protocols = self._make_protocols(plan)
        self.state.plan = plan
        self.state.answers["classes"] = list(self.classes)

    def take_impedance(self, found: dict[str, Any]) -> None:
        """Keep what an impedance check has found; the session's recording says it, too."""
        self.state.answers["impedance"] = found
        self._keep()

    def say_problem(self, problem: str) -> None:
        """Say what could not be done."""
        self.now = replace(self.now, problem=problem)

    def close(self) -> None:
        """The window is closed: what is recorded stays, and can be taken up again."""
        begun = self._runner.state.begun
        if self._runner.break_off() is not None:
            self._over(begun)
        self._worker.close()
        engine = self._runner.drop()
        if engine is not None:
            engine.wait()
        self._keep()

    def _go(self, part: Part) -> None:
        """Begin a step."""
        if part is Part.SAVE:
            if self.state.answers.get("report") is None:
                raise BadInputError(t("calibration.say.nothing_to_save"))
            self._runner.drop()
            self._work("save", self.state.recordings)
            return
        if part is Part.SUBJECT:
            self._complete(part, self.state.plan.subject)
            self.now = replace(self.now, part=stands_at(self.state))
        decodes = part in WITH_DECODER
        if decodes and self.state.answers.get("report") is None:
            raise BadInputError(t("calibration.say.no_decoder"))
        if self._runner.runs(decodes=decodes):
            if part in SHOWN:
                self._begin_part(part)
            return
        profile = profiles_folder(self.folder) / self.state.plan.subject
        self._runner.connect(
            run_settings(
                self.state.plan,
                self.protocols.of(part) if part is Part.RECHECK else self.protocols.block,
                record=self._record,
                profile=profile if decodes else None,
                config=self._config,
            )
        )
        self._runner.learn_eyes(learned_of(self.state))
        self._pending = part if part in SHOWN else None
        self.now = replace(self.now, stand=Stand.STARTING)

    def _begin_part(self, part: Part) -> None:
        """Show a step's protocol, now that rows come."""
        state = self.state
        self.now = Now(part, Stand.RUNNING)
        self._runner.show(
            part,
            self.protocols.of(part),
            state.plan.subject,
            state.plan.seed + 101 * len(state.blocks) + len(state.done),
            prefix=PRACTICE if part is Part.PRACTICE else "",
            tones=state.plan.tones,
        )

    def _part_over(self, conduct: Conduct, begun: float) -> None:
        """A step has been shown to its end, or was stopped."""
        part, stopped = self.now.part, conduct.state.stopped
        trials = shown_trials(conduct.state.trials)
        if part is Part.BLOCK and trials:
            block = BlockDone(
                self.state.next_block, self._runner.recording, begun, self._clock.now(), trials
            )
            self.state.blocks.append(block)
            self._complete(part, block_note(block), block.number)
            self._look()
        elif stopped or part is Part.BLOCK:
            self.now = replace(self.now, stand=Stand.READY)
        elif part in IN_WINDOW:
            self._work(part.value, [self._runner.recording])
        elif part is Part.NO_CONTROL:
            self.now = replace(self.now, stand=Stand.WORKING)
            self._runner.finish()
        elif part is Part.PRACTICE:
            self._complete(part, t.plural("calibration.path.trials", len(trials)))
            self.now = replace(self.now, part=Part.BLOCK, stand=Stand.READY)
        else:
            told = {"hits": self.now.hits, "trials": self.now.trials}
            tone = "good" if 2 * told["hits"] > told["trials"] else "fair"
            self.state.answers["feedback"] = {**told, "tone": tone}
            self._complete(Part.FEEDBACK, t("calibration.path.hits", **told))
            self.now = replace(self.now, stand=Stand.RESULT)

    def _over(self, begun: float) -> None:
        """Nothing is shown any more."""
        self.state.seconds += max(0.0, self._clock.now() - begun)
        self.now = replace(self.now, prompt="", prompt_say="", left_s=0.0)

    # The worker

    def _look(self) -> None:
        """Fit to what there is, and score it."""
        self.state.answers.pop("error", None)
        self._work("score", self.state.recordings)

    def _look_again(self) -> None:
        """After it was taken up again: what was said last, or a look at what there is."""
        if self.state.answers.get("report") is None:
            self._look()
        else:
            self.now = replace(self.now, stand=Stand.RESULT)

    def _work(self, what: str, recordings: list[str]) -> None:
        """Let the worker do a job; one that it is at is given up."""
        plan = self.state.plan
        self._job = what
        self.now = replace(self.now, stand=Stand.WORKING, share=None, working="")
        self._worker.begin(
            Job(
                what,
                plan.subject,
                list(recordings),
                self.state.looked,
                plan.decoder,
                str(profiles_folder(self.folder)),
                session=asdict(self._config),
            )
        )

    def _answered(self) -> None:
        answer = self._worker.poll()
        if answer is None:
            at = self._worker.progress
            if at is not None and self.now.stand is Stand.WORKING:
                self.now = replace(self.now, working=at.what, share=at.share)
            return
        job, self._job = self._job, ""
        waits = self.now.stand is Stand.WORKING
        if job == "score":
            take_score(self.state, answer)
        elif job == "check":
            self._complete(Part.CHECK, check_note(answer))
            self.state.answers["check"] = answer
            self.state.answers["learned"] = answer.pop("learned", None)
            self._runner.learn_eyes(learned_of(self.state))
        elif job == "recheck":
            self.state.answers["recheck"] = answer
            self._runner.drop()
        elif job == "tune":
            self.state.answers["no_control"] = tuned_words(answer)
            self._complete(Part.NO_CONTROL, t("calibration.path.tuned"))
        elif job == "save" and "error" in answer:
            self.now = replace(self.now, stand=Stand.READY, problem=str(answer["error"]))
            return
        elif job == "save":
            self.state.saved = str(answer["profile"])
            self.state.answers["save"] = answer
            self._complete(Part.SAVE, "")
        self._keep()
        if waits:
            self.now = replace(self.now, stand=Stand.RESULT, working="", share=None)

    # What is kept

    def _complete(self, part: Part, note: str, number: int = 0) -> None:
        self.state.done[step_key(part, number)] = note
        self._keep()

    def _keep(self) -> None:
        save_state(self.state, self.folder)

    def _repeat_block(self) -> None:
        """Give the last block again: what there is of it does not count."""
        runner, state = self._runner, self.state
        last = next((b for b in reversed(state.blocks) if not b.void), None)
        if last is None or self.recording != last.recording:
            raise BadInputError(t("calibration.say.no_repeat"))
        self._worker.close()
        runner.send(
            {
                "command": "mark",
                "label": REPEATED,
                "time": last.start,
                "duration": last.stop - last.start,
                "origin": "cue",
            }
        )
        state.blocks[state.blocks.index(last)] = replace(last, void=True)
        state.done.pop(step_key(Part.BLOCK, last.number), None)
        self._keep()
        self._go(Part.BLOCK)

    def _anew(self) -> None:
        """Begin from the beginning; what was recorded stays where it is."""
        self._runner.drop()
        set_aside(self.folder)
        self.state = new_state(self.state.plan)
        self.state.answers["classes"] = list(self.classes)
        self.now = Now(Part.SUBJECT, Stand.READY, known=self._known)
