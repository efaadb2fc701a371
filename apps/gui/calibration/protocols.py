"""What each step of the guided path asks of the subject."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from rtbci.apps.gui.calibration.store import Plan
from rtbci.apps.gui.view_models.guided import Part
from rtbci.apps.gui.view_models.reads import find_card
from rtbci.apps.texts import t
from rtbci.calibration.protocol.config import BlockConfig, ProtocolConfig, check, load_protocol

PRACTICE_TRIALS = 6
PRACTICE = "practice_"
"""Put before the labels of practice trials, so that nobody takes them for trials."""
END_S = 0.01
"""A part that is over goes back to the window at once."""


@dataclass(frozen=True)
class Protocols:
    """One protocol for each step that shows something.

    Attributes
    ----------
    check, practice, block, feedback, no_control : ProtocolConfig
    recheck : ProtocolConfig | None
        Of the subject's profile; None where there is none.
    """

    check: ProtocolConfig
    practice: ProtocolConfig
    block: ProtocolConfig
    feedback: ProtocolConfig
    no_control: ProtocolConfig
    recheck: ProtocolConfig | None = None

    def of(self, part: Part) -> ProtocolConfig:
        """The protocol of a step.

        Raises
        ------
        KeyError
            Where the step shows nothing.
        """
        told = {
            Part.CHECK: self.check,
            Part.PRACTICE: self.practice,
            Part.BLOCK: self.block,
            Part.FEEDBACK: self.feedback,
            Part.NO_CONTROL: self.no_control,
        }
        if part is Part.RECHECK and self.recheck is not None:
            return self.recheck
        return told[part]


def protocols_of(plan: Plan) -> Protocols:
    """Read the protocols of a plan.

    Raises
    ------
    BadInputError
        Where there is no such protocol, or its numbers can't be used; it says which.
    """
    named = load_protocol(plan.protocol)
    blocks = named.scaled(plan.blocks, plan.trials)
    silent = replace(blocks, instructions=())
    one = replace(silent, blocks=replace(silent.blocks, count=1, break_s=END_S))
    each = math.ceil(PRACTICE_TRIALS / len(one.classes))
    few = replace(one, blocks=BlockConfig(1, each, one.blocks.most_in_a_row, END_S))
    no_control = replace(load_protocol("no-control"), instructions=(), classes=one.classes)
    return Protocols(
        check=replace(load_protocol("signal-check"), instructions=()),
        practice=replace(few, title=t("calibration.path.practice.title")),
        block=check(one, plan.protocol),
        feedback=replace(one, title=t("calibration.path.feedback.title")),
        no_control=check(no_control, plan.protocol),
        recheck=_recheck(plan.subject),
    )


def _recheck(subject: str) -> ProtocolConfig | None:
    """The protocol of a re-check, with the classes of the subject's profile."""
    card = find_card(subject)
    if card is None or not card.get("classes"):
        return None
    found = load_protocol("recheck")
    blocks = replace(found.blocks, break_s=END_S)
    return replace(found, instructions=(), classes=tuple(card["classes"]), blocks=blocks)
