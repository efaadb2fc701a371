"""The decode column's view model: headline, evidence, decisions, and which were right."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenes import BEGUN, Scene, view_info

from rtbci.apps.gui.view_models.decisions import Decision, Tally
from rtbci.apps.gui.view_models.decode import DecodeModel
from rtbci.apps.gui.view_models.update import Update
from rtbci.live.view import Rows
from rtbci.types import Decode

CLASSES = ("left_hand", "right_hand")
NOTHING = Rows(0, np.zeros((0, 1), dtype=np.float32), np.zeros(0))


def decode(t_s: float, decision: str | None = None, **changed: Any) -> Decode:
    plain: dict[str, Any] = {
        "token": round(t_s * 10),
        "sample": round(t_s * 250),
        "time": BEGUN + t_s,
        "classes": CLASSES,
        "p": np.array([0.2, 0.8]),
        "decision": decision,
        "reason": "",
        "decoder": "P07: csp",
        "calibrated": True,
        "evidence": (-0.5, 0.5),
        "thresholds": (0.85, 0.4),
    }
    return Decode(**plain | changed)


def model(**changed: Any) -> DecodeModel:
    return DecodeModel(view_info(classes=CLASSES, **changed))


def said(made: DecodeModel) -> str:
    return made.headline.kind


def cue(t_s: float, label: str) -> dict[str, Any]:
    return {"event": "marker", "t_s": t_s, "label": label}


def run(made: DecodeModel, until_s: float, decided: dict[float, str | None]) -> None:
    """Ten decodes a second, with decisions that change where ``decided`` says so."""
    now: str | None = None
    for token in range(round(until_s * 10)):
        now = decided.get(token / 10, now)
        made.take_decodes([decode(token / 10, now)])


def test_the_headline_says_what_is_the_matter() -> None:
    made = model()
    assert said(made) == "nothing"
    made.take_decodes([decode(1.0, reason="window not full", p=np.array([np.nan, np.nan]))])
    assert (said(made), made.headline.reason) == ("abstains", "window not full")
    assert [bar.p for bar in made.bars] == [None, None]
    made.take_decodes([decode(1.1)])
    assert said(made) == "undecided"
    assert [round(bar.p or 0, 2) for bar in made.bars] == [0.2, 0.8]
    made.take_decodes([decode(1.2, "right_hand")])
    assert made.headline.class_name == "right_hand"
    made.take_status({"decode": {"age_s": 3.2}})
    assert (said(made), made.headline.age_s) == ("stale", 3.2)
    assert [bar.p for bar in made.bars] == [None, None]


def test_the_first_decision_after_a_cue_answers_it() -> None:
    made = model()
    for at, label in ((2.0, "left_hand"), (10.0, "right_hand"), (20.0, "left_hand")):
        made.take_event(cue(at, label))
    run(made, 30.0, {3.5: "left_hand", 5.0: None, 11.2: "left_hand", 12.0: None})
    assert made.tally == Tally(cued=3, right=1, abstained=0, undecided=1)
    newest_first = made.decisions()
    assert [row.outcome for row in newest_first] == ["undecided", "decided", "decided"]
    assert [row.right for row in newest_first] == [False, False, True]
    assert [row.after_cue_s for row in newest_first] == [
        None,
        pytest.approx(1.2),
        pytest.approx(1.5),
    ]


def test_a_cue_that_comes_after_its_answer_is_still_answered() -> None:
    """Markers travel by another way than decodes."""
    made = model()
    run(made, 4.0, {3.0: "right_hand"})
    assert made.decisions() == [Decision(3.0, "decided", "right_hand")]
    made.take_event(cue(2.0, "right_hand"))
    assert made.decisions()[0].right is True


def test_a_decision_that_is_given_up_at_the_cue_does_not_answer_it() -> None:
    made = model()
    made.take_event(cue(2.0, "right_hand"))
    run(made, 9.0, {2.2: "left_hand", 2.4: None, 4.0: "right_hand"})
    assert made.tally == Tally(cued=1, right=1)


def test_a_rest_ends_the_time_to_answer() -> None:
    made = model()
    made.take_event(cue(2.0, "right_hand"))
    made.take_event(cue(5.0, "rest"))
    run(made, 9.0, {5.5: "right_hand"})
    assert made.tally == Tally(cued=1, undecided=1)


def test_a_trial_that_was_mostly_flagged_is_an_abstention_with_its_reason() -> None:
    made = model()
    made.take_event(cue(1.0, "left_hand"))
    for token in range(80):
        flags = ("eyes",) if 12 < token < 50 else ()
        made.take_decodes([decode(token / 10, flags=flags)])
    assert made.tally == Tally(cued=1, abstained=1)
    assert made.decisions()[0].reason == "eyes"


def test_evidence_has_its_thresholds_and_the_spans_that_add_nothing() -> None:
    made = model()
    for token in range(300):
        t_s = token / 10
        made.take_decodes([decode(t_s, flags=("muscle",) if 25.0 <= t_s < 26.0 else ())])
    trace = made.evidence()
    assert trace.accumulated
    assert trace.thresholds == (0.85, 0.4)
    assert trace.times[-1] - trace.times[0] == pytest.approx(20.0, abs=0.11)
    assert trace.levels.shape == (len(trace.times), 2)
    (span,) = trace.spans
    assert span.flag == "muscle"
    assert span.start == pytest.approx(24.9)
    assert span.stop == pytest.approx(25.9)


def test_without_evidence_the_probabilities_are_shown() -> None:
    made = model()
    made.take_decodes([decode(t / 10, evidence=(), thresholds=None) for t in range(5)])
    trace = made.evidence()
    assert not trace.accumulated
    np.testing.assert_allclose(trace.levels[-1], [0.2, 0.8])


def test_the_session_begins_with_its_first_row_where_nobody_says_when() -> None:
    made = DecodeModel(replace(view_info(classes=CLASSES), begun=None))
    news = (decode(2.0, "rest"),)
    made.take(Update(BEGUN + 2.0, NOTHING, NOTHING, decodes=news, begun=BEGUN))
    assert made.decisions()[0].time == pytest.approx(2.0)


def test_labels_are_the_classes_that_the_recording_says(tmp_path: Path) -> None:
    folder = tmp_path / "sub-P07_task-live_run-01"
    folder.mkdir()
    file = folder / "sub-P07_task-live_run-01_session.json"
    file.write_text(json.dumps({"classes": {"T1": "left_hand"}}), encoding="utf-8")
    made = model(recording=str(folder))
    made.take_event(cue(1.0, "T1"))
    made.take_event(cue(1.0, "T0"))
    run(made, 8.0, {2.0: "left_hand"})
    assert made.tally == Tally(cued=1, right=1)


def test_a_window_that_comes_late_counts_only_what_it_has_seen() -> None:
    """The events of the whole session come at once, and decodes of the last minute only."""
    made = model()
    for at in range(0, 600, 10):
        made.take_event(cue(float(at), "left_hand"))
    now: str | None = None
    for token in range(5405, 6100):
        now = {5415: "left_hand", 5430: None}.get(token, now)
        made.take_decodes([decode(token / 10, now)])
    assert made.tally == Tally(cued=5, right=0, undecided=5)


def test_a_long_session_keeps_no_more_than_it_shows() -> None:
    made = DecodeModel(view_info())
    for update in Scene(view_info()).updates(400.0):
        made.take(update)
    state = made.answers.state
    assert len(made.state.evidence) <= 202
    assert len(state.rows) <= made.settings.decisions
    assert len(state.stands) < 5
    assert len(state.tokens) < 120
    assert made.tally.cued == pytest.approx(49, abs=1)
    assert made.tally.right > 40
