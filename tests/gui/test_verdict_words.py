"""What a calibration's report becomes on the verdict page."""

from __future__ import annotations

from typing import Any

import pytest

from rtbci.apps.gui.calibration.store import BlockDone, TrialShown
from rtbci.apps.gui.view_models.trials import Fate, count_words, trial_marks
from rtbci.apps.gui.view_models.verdict import (
    Proposal,
    choice_lines,
    control_rows,
    curve_line,
    interval,
    pattern_values,
    propose,
    put_in_words,
)

HANDS = ["left_hand", "right_hand"]


def outcome(time: float, wanted: str, decided: str, reason: str = "") -> dict[str, Any]:
    return {"run": 0, "time": time, "wanted": wanted, "decided": decided, "reason": reason}


def report(**changes: Any) -> dict[str, Any]:
    outcomes = [
        outcome(10.0 * i + 1.0, HANDS[i % 2], HANDS[i % 2 if i % 5 else 1 - i % 2])
        for i in range(40)
    ]
    made: dict[str, Any] = {
        "classes": HANDS,
        "decoder": "population",
        "score": {
            "balanced": 0.8,
            "trials": 40,
            "p_value": 0.002,
            "label": "within one run",
            "caveat": "",
        },
        "verdict": {"finding": "above chance", "level": 0.01, "looks": [20, 40], "more_trials": 0},
        "curve": {
            "trials": [15, 22, 30],
            "balanced": [0.66, 0.7, 0.74],
            "more": 10,
            "expected": 0.78,
            "low": 0.68,
            "high": 0.86,
            "lows": [0.5, 0.55, 0.6],
            "highs": [0.8, 0.83, 0.85],
        },
        "candidates": [
            {"name": "zero-shot", "balanced": 0.7},
            {"name": "population", "balanced": 0.76},
            {"name": "csp+lda", "balanced": 0.66},
        ],
        "controls": [
            {"name": "decoder", "band_hz": [8.0, 30.0], "balanced": 0.8, "note": ""},
            {
                "name": "all, highest frequencies",
                "band_hz": [38.0, 45.0],
                "balanced": None,
                "note": "the chain ends at 40 Hz",
            },
        ],
        "patterns": [
            {
                "output": "right_hand against left_hand",
                "band_hz": [8.0, 13.0],
                "electrodes": ["C3", "C4"],
                "values": [-0.4, 0.5],
            }
        ],
        "outcomes": outcomes,
    }
    return made | changes


def verdict(finding: str, more: int = 0) -> dict[str, Any]:
    return {"finding": finding, "level": 0.01, "looks": [20], "more_trials": more}


def test_a_good_verdict_in_words() -> None:
    words = put_in_words(report(), 2)
    assert words.headline == "Above chance: 0.80"
    assert words.tone == "good"
    assert words.before == "after block 2, 40 trials, looked at twice"
    assert "p = 0.002" in words.body[0]
    assert "+0.06" in words.body[0]
    assert words.body[1] == "It reads the hand area, not the eyes or muscle."
    assert words.proposal is Proposal.BLOCK


def test_a_caveat_stands_in_place_of_what_it_speaks_against() -> None:
    told = report()
    told["score"]["caveat"] = "this decoder may be reading eyes or muscle: the rim reaches 0.79"
    body = put_in_words(told, 1).body
    assert body[1].startswith("This decoder may be reading eyes or muscle")


@pytest.mark.parametrize(
    ("changes", "proposal"),
    [
        ({}, Proposal.BLOCK),
        ({"verdict": verdict("can't tell yet", 20)}, Proposal.BLOCK),
        ({"verdict": verdict("can't tell yet", 0)}, Proposal.CHECK),
        ({"verdict": verdict("practically at chance")}, Proposal.CHECK),
    ],
)
def test_what_is_proposed(changes: dict[str, Any], proposal: Proposal) -> None:
    assert propose(report(**changes))[0] is proposal


def test_it_proposes_to_stop_when_more_trials_would_not_help() -> None:
    told = report()
    told["curve"]["expected"] = 0.745
    said, why = propose(told)
    assert said is Proposal.FEEDBACK
    assert "0.01" in why or "0.00" in why


def test_the_interval_holds_the_share_and_is_not_empty_at_the_ceiling() -> None:
    low, high = interval(report())
    assert low < 0.8 < high
    perfect = [outcome(float(i), HANDS[i % 2], HANDS[i % 2]) for i in range(10)]
    low, high = interval(report(outcomes=perfect))
    assert 0.5 < low < 0.95
    assert high == 1.0


def test_the_curve_is_carried_on_and_never_falls() -> None:
    curve = curve_line(report())
    assert curve.trials == (15.0, 22.0, 30.0)
    assert curve.ahead[0] == 30.0
    assert curve.ahead[-1] == 80.0
    assert list(curve.expected) == sorted(curve.expected)
    assert curve.label == "10 more trials: 0.78 [0.68, 0.86]"
    assert not curve_line(report(curve=None)).trials


def test_rows_say_why_there_is_no_score() -> None:
    decoder, muscle = control_rows(report())
    assert decoder.name == "central, 8 Hz and up"
    assert decoder.good
    assert decoder.half == pytest.approx(0.122, abs=0.01)
    assert muscle.balanced is None
    assert muscle.note == "the chain ends at 40 Hz"


def test_choice_and_pattern() -> None:
    assert choice_lines(report()) == (
        "other people's trials + own",
        "left: other people's trials alone 0.70 · own CSP + LDA 0.66",
    )
    sub, values = pattern_values(report())
    assert sub == "8-13 Hz, right hand against left hand"
    assert values == {"C3": -0.4, "C4": 0.5}


def test_trials_are_found_again_by_their_time() -> None:
    trials = (
        TrialShown("left_hand", 10.0),
        TrialShown("right_hand", 20.0, repeated=True),
        TrialShown("left_hand", 30.0),
        TrialShown("right_hand", 40.0),
        TrialShown("right_hand", 50.0),
    )
    told = {
        "outcomes": [
            outcome(11.0, "left_hand", "left_hand"),
            outcome(31.0, "left_hand", "right_hand"),
            outcome(41.0, "right_hand", "", "amplitude"),
        ]
    }
    marks = trial_marks(BlockDone(1, "", 0.0, 60.0, trials), told)
    assert [m.fate for m in marks] == [
        Fate.RIGHT,
        Fate.REPEATED,
        Fate.WRONG,
        Fate.LEFT_OUT,
        Fate.OPEN,
    ]
    assert count_words(marks) == "4 trials · 1 wrong · 1 repeated · 1 left out: amplitude"
