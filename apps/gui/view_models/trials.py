"""A block's trials as the calibration sees them: shown, repeated, left out, right or wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rtbci.apps.gui.calibration.store import BlockDone
from rtbci.apps.texts import t

NEAR_S = 2.0
"""A trial counts from when its cue has gone, which is so long after its onset at most."""


class Fate(StrEnum):
    """What became of a trial."""

    OPEN = "not judged yet"
    RIGHT = "right"
    WRONG = "wrong"
    REPEATED = "repeated"
    """Rows were missing, it was interrupted, or the eyes went with the cue; it came again."""
    LEFT_OUT = "left out"
    """Too bad to be used."""


@dataclass(frozen=True)
class TrialMark:
    """One trial.

    Attributes
    ----------
    label : str
    fate : Fate
    why : str
        It was repeated (as :class:`TrialShown` has it) or left out (in words).
    """

    label: str
    fate: Fate
    why: str = ""


def trial_marks(block: BlockDone, report: Mapping[str, Any] | None) -> tuple[TrialMark, ...]:
    """Find out what became of a block's trials.

    Parameters
    ----------
    block : BlockDone
    report : mapping | None
        The newest; None before there is one.
    """
    outcomes: Sequence[Mapping[str, Any]] = (report or {}).get("outcomes", ())
    marks = []
    for trial in block.trials:
        if trial.repeated:
            marks.append(TrialMark(trial.label, Fate.REPEATED, trial.why))
            continue
        near = [
            o
            for o in outcomes
            if o["wanted"] == trial.label and -0.1 <= o["time"] - trial.time <= NEAR_S
        ]
        if not near:
            marks.append(TrialMark(trial.label, Fate.OPEN))
        elif near[0]["reason"]:
            marks.append(TrialMark(trial.label, Fate.LEFT_OUT, str(near[0]["reason"])))
        else:
            right = near[0]["decided"] == trial.label
            marks.append(TrialMark(trial.label, Fate.RIGHT if right else Fate.WRONG))
    return tuple(marks)


def count_words(marks: Sequence[TrialMark]) -> str:
    """``20 trials · 4 wrong · 2 repeated``; what there is none of is not said."""
    count = Counter(mark.fate for mark in marks)
    counted = len(marks) - count[Fate.REPEATED]
    parts = [t.plural("calibration.path.trials", counted)]
    if count[Fate.WRONG]:
        parts.append(t.plural("calibration.trials.wrong", count[Fate.WRONG]))
    if count[Fate.REPEATED]:
        parts.append(t.plural("calibration.trials.repeated", count[Fate.REPEATED]) + _why(marks))
    if count[Fate.LEFT_OUT]:
        why = ", ".join(sorted({m.why for m in marks if m.fate is Fate.LEFT_OUT}))
        parts.append(t.plural("calibration.trials.left_out", count[Fate.LEFT_OUT], why=why))
    return " · ".join(parts)


def _why(marks: Sequence[TrialMark]) -> str:
    """Reasons of the repeats, where they are known: ``: eye movement at the cue``."""
    known = sorted({m.why for m in marks if m.fate is Fate.REPEATED and m.why})
    words = ", ".join(t(f"calibration.trials.why_{why}") for why in known)
    return f": {words}" if words else ""
