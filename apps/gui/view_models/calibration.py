"""The guided path: its steps, what is said at each, and what can be done there.

    subject -> signal check -> practice -> block 1, 2, ... -> feedback run -> no control -> save

Knows no Qt.  A window shows :class:`Say` and :class:`PathStep`; what a button asks for is an
:class:`Action`'s ``do``, which :class:`rtbci.apps.gui.calibration.session.GuidedSession` obeys.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rtbci.apps.gui.calibration.store import GuidedState
from rtbci.apps.gui.view_models.guided import (
    PARTS,
    Action,
    Now,
    Part,
    PathStep,
    Say,
    Stand,
)
from rtbci.apps.gui.view_models.results import lines, result
from rtbci.apps.gui.view_models.verdict import Proposal, put_in_words
from rtbci.apps.texts import t


def step_key(part: Part, block: int = 0) -> str:
    """Name of a step in :attr:`GuidedState.done`."""
    return f"block {block}" if part is Part.BLOCK else part.value


def path_steps(state: GuidedState, now: Now) -> tuple[PathStep, ...]:
    """Give the column at the left."""
    here = next_part(state, now)
    if now.part is Part.RECHECK:
        name = "calibration.path.recheck"
        return (PathStep(t(f"{name}.title"), t(f"{name}.plan"), now.stand is Stand.RESULT, True),)
    steps = []
    for part in PARTS:
        if part is not Part.BLOCK:
            done = part.value in state.done
            note = state.done.get(part.value, "")
            if not note:
                note = t(f"calibration.path.{part.value}.plan", **_plan(state))
            title = t(f"calibration.path.{part.value}.title")
            steps.append(PathStep(title, note, done, part is here))
            continue
        last = max(state.plan.blocks, len(state.counted) + (here is Part.BLOCK))
        if _past_blocks(state):
            last = max(len(state.counted), 1) if here is not Part.BLOCK else last
        for number in range(1, last + 1):
            done = number <= len(state.counted)
            note = state.done.get(step_key(part, number), "")
            note = note or t("calibration.path.block.plan", **_plan(state))
            title = t("calibration.path.block.title", number=number)
            current = here is Part.BLOCK and number == state.next_block
            steps.append(PathStep(title, note, done, current))
    return tuple(steps)


def _past_blocks(state: GuidedState) -> bool:
    return Part.FEEDBACK.value in state.done or bool(state.feedback)


def _plan(state: GuidedState) -> dict[str, Any]:
    classes = state.answers.get("classes", ["", ""])
    return {
        "subject": state.plan.subject,
        "trials": state.plan.trials * len(classes),
        "electrodes": state.plan.montage or t("calibration.path.own_montage"),
    }


def next_part(state: GuidedState, now: Now) -> Part:
    """Which step is marked: the one that runs, or the one that is proposed next."""
    if now.stand is not Stand.RESULT or now.part is Part.RECHECK:
        return now.part
    if now.part is Part.BLOCK:
        report = state.answers.get("report")
        if report is None:
            return Part.BLOCK
        proposal = put_in_words(report, len(state.counted)).proposal
        return Part.FEEDBACK if proposal is Proposal.FEEDBACK else Part.BLOCK
    place = PARTS.index(now.part)
    return PARTS[min(place + 1, len(PARTS) - 1)]


def say(state: GuidedState, now: Now) -> Say:
    """Say what is to be said now; what was taken up again can also be begun anew."""
    said = _say(state, now)
    if not now.resumed or now.stand not in (Stand.READY, Stand.RESULT):
        return said
    anew = Action("anew", t("calibration.actions.anew"))
    return replace(said, actions=(*said.actions, anew))


def _say(state: GuidedState, now: Now) -> Say:
    if now.problem and now.stand in (Stand.READY, Stand.PAUSED):
        return _problem(state, now)
    if now.stand is Stand.STARTING:
        return Say(
            "", t("calibration.say.starting.headline"), body=(t("calibration.say.starting.body"),)
        )
    if now.stand is Stand.PAUSED:
        return _paused()
    if now.stand is Stand.WORKING:
        return _working(state, now)
    if now.stand is Stand.RUNNING:
        return _running(now)
    if now.stand is Stand.RESULT:
        return result(state, now)
    return _ready(state, now)


def _ready(state: GuidedState, now: Now) -> Say:
    name = f"calibration.ready.{now.part.value}"
    number = state.next_block
    before = t("calibration.say.resumed") if now.resumed else t(f"{name}.before", number=number)
    body = lines(f"{name}.body", **_plan(state))
    actions = [Action("begin", t(f"{name}.begin", number=number), "Enter", primary=True)]
    if now.part in (Part.CHECK, Part.PRACTICE, Part.FEEDBACK, Part.NO_CONTROL):
        actions.append(Action("skip", t("calibration.actions.skip")))
    if now.part is Part.SUBJECT and now.known:
        actions.append(Action("recheck", t("calibration.actions.recheck"), "C"))
        body = (*body, t("calibration.ready.subject.known", date=now.known))
    if now.part is Part.RECHECK:
        actions.append(Action("calibrate", t("calibration.actions.calibrate")))
    return Say(before, t(f"{name}.headline", number=number), "text", body, tuple(actions))


def _problem(state: GuidedState, now: Now) -> Say:
    actions = [Action("begin", t("calibration.actions.try_again"), "Enter", primary=True)]
    if now.stand is Stand.PAUSED:
        actions = [*_paused().actions]
    elif now.part is Part.BLOCK and state.recordings:
        actions.append(Action("end", t("calibration.actions.end")))
    return Say("", t("calibration.say.problem"), "bad", (now.problem,), tuple(actions))


def _paused() -> Say:
    actions = [
        Action("resume", t("calibration.actions.resume"), "Space", primary=True),
        Action("repeat", t("calibration.actions.repeat_this"), "R"),
        Action("stop", t("calibration.actions.stop")),
    ]
    return Say(
        "",
        t("calibration.say.paused.headline"),
        "fair",
        lines("calibration.say.paused.body"),
        tuple(actions),
    )


def _working(state: GuidedState, now: Now) -> Say:
    name = f"calibration.working.{now.part.value}"
    body = [*lines(f"{name}.body")]
    actions: tuple[Action, ...] = ()
    if now.part is Part.BLOCK:
        actions = (
            Action("begin", t("calibration.ready.block.begin", number=state.next_block), "Enter"),
        )
    return Say("", t(f"{name}.headline"), "text", tuple(body), actions)


def _running(now: Now) -> Say:
    if now.prompt:
        return Say(
            t("calibration.running.left", seconds=now.left_s), now.prompt, "good", (now.prompt_say,)
        )
    name = f"calibration.running.{now.part.value}"
    return Say("", t(f"{name}.headline"), "text", lines(f"{name}.body"))
