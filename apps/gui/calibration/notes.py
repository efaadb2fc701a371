"""What is noted of a step that is done, and what is kept of an answer."""

from __future__ import annotations

from typing import Any

from rtbci.apps.conductor_state import Shown
from rtbci.apps.gui.calibration.store import BlockDone, GuidedState, TrialShown
from rtbci.apps.gui.view_models.guided import PARTS, Part
from rtbci.apps.gui.view_models.reads import find_card
from rtbci.apps.gui.view_models.results import findings_of
from rtbci.apps.texts import t
from rtbci.calibration.protocol.plan import Kind
from rtbci.calibration.signal.learned import Learned
from rtbci.config import from_dict


def known_since(subject: str) -> str:
    """Date of a subject's profile; empty where there is none."""
    card = find_card(subject)
    return "" if card is None else str(card.get("created", ""))[:10]


def learned_of(state: GuidedState) -> Learned | None:
    """What the session's signal check has shown of eyes and muscle; None where none has."""
    told = state.answers.get("learned")
    return None if told is None else from_dict(Learned, told, "learned")


def take_score(state: GuidedState, answer: dict[str, Any]) -> None:
    """Keep what a fit has given, or why it has given nothing."""
    if "error" in answer:
        state.answers["error"] = str(answer["error"])
        return
    state.answers["report"] = answer["report"]
    state.looked.append(int(answer["report"]["score"]["trials"]))


def tuned_words(answer: dict[str, Any]) -> dict[str, Any]:
    """Say which thresholds a block without control has set, or why none."""
    if "error" in answer:
        lines = [t("calibration.result.no_control.kept", why=answer["error"])]
    else:
        online = answer["online"]
        lines = [
            t("calibration.result.no_control.on", on=online["on"], off=online["off"]),
            t("calibration.result.no_control.false", words=answer["false"]),
        ]
    return {"lines": lines, "tone": "good" if answer.get("reached") else "fair"}


def shown_trials(shown: list[Shown]) -> tuple[TrialShown, ...]:
    """Trials as they are kept: those whose cue was shown, in order of time."""
    made = [TrialShown(s.label, s.cue, s.repeated, s.why) for s in shown if s.cue is not None]
    return tuple(sorted(made, key=lambda trial: trial.time))


def stands_at(state: GuidedState) -> Part:
    """The first step that is not done."""
    done = state.done
    for part in (Part.SUBJECT, Part.CHECK, Part.PRACTICE):
        if part.value not in done:
            return part
    if Part.FEEDBACK.value not in done:
        return Part.BLOCK
    return Part.SAVE if Part.NO_CONTROL.value in done else Part.NO_CONTROL


def step_after(part: Part, state: GuidedState) -> Part:
    """Which step comes after one."""
    if part is Part.CHECK and Part.PRACTICE.value in state.done:
        return Part.BLOCK
    return PARTS[min(PARTS.index(part) + 1, len(PARTS) - 1)]


def prompt(kind: Kind, label: str) -> str:
    """What the subject is to do in a step of the signal check."""
    name = f"calibration.prompts.{label}"
    if kind is Kind.READY:
        return t("calibration.prompts.ready")
    return t(name) if t.has(name) else label.replace("_", " ")


def block_note(block: BlockDone) -> str:
    """``20 trials, 2 repeated``."""
    trials = t.plural("calibration.path.trials", len([b for b in block.trials if not b.repeated]))
    again = sum(b.repeated for b in block.trials)
    return f"{trials}, {t('calibration.path.repeated', n=again)}" if again else trials


def check_note(answer: dict[str, Any]) -> str:
    """How much there is to see to after a signal check."""
    trouble = sum(level != "good" for level, _ in findings_of(answer))
    if "error" in answer:
        return t("calibration.path.recorded")
    return t.plural("calibration.path.findings", trouble) if trouble else t("calibration.path.fine")
