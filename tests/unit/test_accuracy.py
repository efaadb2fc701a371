"""One decision a trial, from the decodes whose windows lie in it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from rtbci.calibration.scoring.accuracy import (
    TrialScorer,
    balanced_accuracy,
    binomial_p,
    in_trial,
)
from rtbci.errors import BadInputError
from rtbci.types import Decode, Marker

CLASSES = ("left", "right")
LABELS = {"T1": "left", "T2": "right", "T3": "feet"}


def scorer(window_s: float = 2.0) -> TrialScorer:
    return TrialScorer(CLASSES, LABELS, (0.5, 3.5), window_s)


def decode(time: float, left: float, reason: str = "") -> Decode:
    p = np.full(2, np.nan) if reason else np.array([left, 1 - left])
    return Decode(0, 0, time, CLASSES, p, None, reason, "test", calibrated=True)


@pytest.mark.parametrize(
    ("time", "inside"), [(2.4, False), (2.5, True), (3.0, True), (3.5, True), (3.6, False)]
)
def test_a_window_must_lie_in_the_trial(time: float, inside: bool) -> None:
    assert in_trial(10.0, 10.0 + time, 2.0, (0.5, 3.5)) is inside


def test_the_sum_of_log_odds_decides() -> None:
    s = scorer()
    s.on_marker(Marker(10.0, "T1"))
    for time, left in ((12.0, 0.01), (12.6, 0.4), (13.0, 0.4), (13.4, 0.9), (14.0, 0.01)):
        s.on_decode(decode(time, left))
    trial = s.state.trials[0]
    assert trial.decodes == 3
    assert trial.decision == 0
    assert s.summary()["accuracy"]["balanced"] == 1.0


def test_a_trial_without_a_decision_counts_as_wrong() -> None:
    s = scorer()
    for k, label in enumerate(("T1", "T1", "T2", "T2")):
        s.on_marker(Marker(10.0 * k, label))
        reason = "window not full" if k == 0 else ""
        s.on_decode(decode(10.0 * k + 3.0, 0.9 if label == "T1" else 0.1, reason))
    accuracy = s.summary()["accuracy"]
    assert accuracy == {
        "balanced": 0.75,
        "trials": 4,
        "abstained": 1,
        "p_value": pytest.approx(binomtest(3, 4, 0.5, alternative="greater").pvalue),
    }


def test_a_marker_may_come_after_its_decodes() -> None:
    """LSL markers of another machine arrive late, and their trial is the same."""
    early, late = scorer(), scorer()
    early.on_marker(Marker(10.0, "T2"))
    for time in (12.6, 13.1):
        early.on_decode(decode(time, 0.2))
        late.on_decode(decode(time, 0.2))
    late.on_marker(Marker(10.0, "T2"))
    assert early.summary() == late.summary()


def test_cues_of_other_classes_are_no_trials() -> None:
    s = scorer()
    s.on_marker(Marker(10.0, "T3"))
    s.on_marker(Marker(10.0, "T0"))
    s.on_decode(decode(13.0, 0.9))
    assert s.summary() == {"accuracy": None}


def test_only_what_a_late_marker_needs_is_kept() -> None:
    s = scorer()
    s.on_marker(Marker(0.0, "T1"))
    for k in range(10_000):
        s.on_decode(decode(0.1 * k, 0.5))
    assert len(s.state.recent) <= 301
    assert s.state.open == []


def test_certainty_of_one_decode_does_not_decide_for_good() -> None:
    s = scorer()
    s.on_marker(Marker(0.0, "T1"))
    s.on_decode(decode(2.5, 0.0))
    for k in range(9):
        s.on_decode(decode(2.6 + 0.1 * k, 0.95))
    assert s.state.trials[0].decision == 0


def test_chance_is_the_largest_class() -> None:
    truth = np.array([0] * 9 + [1])
    assert binomial_p(9, truth) == pytest.approx(
        binomtest(9, 10, 0.9, alternative="greater").pvalue
    )
    assert binomial_p(0, truth) == pytest.approx(1.0)


def test_balanced_accuracy_weighs_classes_alike() -> None:
    truth = np.array([0, 0, 0, 1])
    assert balanced_accuracy(truth, np.array([0, 0, 0, 0]), 3) == 0.5
    assert balanced_accuracy(truth, np.array([0, -1, -1, 1]), 3) == pytest.approx(2 / 3)


def test_a_window_longer_than_the_trial_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"0\.5 to 3\.5 s, but the decoder looks back 4 s"):
        scorer(window_s=4.0)
