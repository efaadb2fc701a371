"""What is said when a step has given its result, and what is proposed then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rtbci.apps.gui.calibration.store import GuidedState
from rtbci.apps.gui.view_models.guided import Action, Now, Part, Say
from rtbci.apps.gui.view_models.verdict import Proposal, put_in_words
from rtbci.apps.texts import t


def result(state: GuidedState, now: Now) -> Say:
    """Say what a step has given."""
    if now.part is Part.BLOCK:
        return _verdict(state)
    name = f"calibration.result.{now.part.value}"
    answer: Mapping[str, Any] = state.answers.get(now.part.value) or {}
    if now.part is Part.CHECK:
        return _checked(answer)
    if now.part is Part.RECHECK:
        return _rechecked(answer)
    if now.part is Part.SAVE:
        body = [t(f"{name}.body", folder=state.saved), t(f"{name}.how", subject=state.plan.subject)]
        if said := str(answer.get("fine_tuning", "")):
            body.append(f"{said[:1].upper()}{said[1:]}")
        return Say(
            "",
            t(f"{name}.headline"),
            "good",
            tuple(body),
            (Action("close", t("calibration.actions.close"), "Enter", True),),
        )
    again = Action("again", t(f"{name}.again"))
    told = tuple(answer.get("lines", ())) or lines(f"{name}.body")
    forward = Action("next", t(f"{name}.next"), "Enter", primary=True)
    values = {"hits": answer.get("hits", 0), "trials": answer.get("trials", 0)}
    headline = t(f"{name}.headline", **values)
    return Say(
        t(f"{name}.before"), headline, str(answer.get("tone", "text")), told, (forward, again)
    )


def _rechecked(answer: Mapping[str, Any]) -> Say:
    """Whether the profile still holds, and why."""
    name = "calibration.result.recheck"
    before = t(f"{name}.before")
    close = Action("close", t("calibration.actions.close"), "Enter", primary=True)
    calibrate = Action("calibrate", t("calibration.actions.calibrate"))
    if answer.get("error"):
        again = Action("again", t(f"{name}.again"), "Enter", primary=True)
        return Say(
            before, t(f"{name}.unknown"), "fair", (str(answer["error"]),), (again, calibrate)
        )
    told = answer["recheck"]
    key = {"kept": "kept", "re-centred": "recentred"}.get(told["verdict"], "anew")
    reason = str(told["reason"])
    body = (f"{reason[:1].upper()}{reason[1:]}.", t(f"{name}.{key}_body"))
    if key == "anew":
        first = replace(calibrate, key="Enter", primary=True)
        return Say(
            before, t(f"{name}.{key}"), "fair", body, (first, replace(close, key="", primary=False))
        )
    return Say(before, t(f"{name}.{key}"), "good", body, (close, calibrate))


def findings_of(answer: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Levels and sentences of a signal check's answer, worst first."""
    told = ((answer or {}).get("check") or {}).get("findings", ())
    order = {"bad": 0, "fair": 1, "good": 2}
    found = [(str(f["level"]), str(f["sentence"])) for f in told]
    return sorted(found, key=lambda f: order.get(f[0], 1))


def _checked(answer: Mapping[str, Any]) -> Say:
    """What the signal check has found."""
    before = t("calibration.result.check.before")
    if answer.get("error"):
        unknown, why = t("calibration.result.check.unknown"), str(answer["error"])
        return Say(before, unknown, "fair", (why,), _check_actions("fair"))
    findings = findings_of(answer)
    worst = findings[0][0] if findings else "good"
    count = sum(level == worst for level, _ in findings)
    headline = t.plural(f"calibration.result.check.{worst}", count)
    stops = answer["check"].get("stops", ())
    body: tuple[str, ...] = ()
    if stops:
        body = (t("calibration.result.check.stops", electrodes=", ".join(stops)),)
    elif worst == "bad":
        body = (t("calibration.result.check.mend"),)
    return Say(before, headline, worst, body, _check_actions(worst))


def _check_actions(worst: str) -> tuple[Action, ...]:
    on, again = t("calibration.result.check.next"), t("calibration.result.check.again")
    if worst == "bad":
        return (
            Action("again", again, "Enter", True),
            Action("next", t("calibration.result.check.anyway")),
        )
    return (Action("next", on, "Enter", True), Action("again", again))


def _verdict(state: GuidedState) -> Say:
    """The verdict after a block, and one proposal."""
    last, number = len(state.counted), state.next_block
    report = state.answers.get("report")
    onward = t("calibration.ready.block.begin", number=number)
    repeat = Action("repeat_block", t("calibration.actions.repeat_block", number=last), "R")
    error = state.answers.get("error", "")
    if report is None or error:
        return Say(
            t("calibration.verdict.none.before", number=last),
            t("calibration.verdict.none.headline"),
            "fair",
            tuple(filter(None, (error,))),
            (Action("begin", onward, "Enter", True), repeat),
        )
    words = put_in_words(report, last)
    block = Action("begin", onward, "Enter")
    feedback = Action("feedback", t("calibration.actions.feedback"), "F")
    check = Action("check", t("calibration.actions.check"))
    end = Action("end", t("calibration.actions.end"))
    order = {
        Proposal.BLOCK: (block, feedback, repeat),
        Proposal.FEEDBACK: (feedback, block, repeat),
        Proposal.CHECK: (check, block, repeat, end),
    }[words.proposal]
    first = Action(order[0].do, order[0].text, "Enter", primary=True)
    rest = tuple(Action(a.do, a.text, a.key if a.key != "Enter" else "") for a in order[1:])
    return Say(words.before, words.headline, words.tone, (*words.body, words.why), (first, *rest))


def lines(name: str, **values: Any) -> tuple[str, ...]:
    """A text of several paragraphs; none where the catalogue has none."""
    return tuple(t(name, **values).strip().splitlines()) if t.has(name) else ()
