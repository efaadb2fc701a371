"""What is counted of a session: decisions in trials, outside of them, and how long they took."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from rtbci.apps.cli import app
from rtbci.calibration.evaluation.pseudo_online import Intent, PseudoOnline, Sent, count_decisions
from rtbci.calibration.evaluation.simulated import Pooled
from rtbci.calibration.online.threshold import FalseActivations
from rtbci.errors import BadInputError
from rtbci.types import Decode

HOP, WINDOW = 0.1, 1.0
CLASSES = ("left", "right", "rest")


def session(said: dict[tuple[float, float], str], length: float, lag: float = 0.05) -> list[Sent]:
    """A session that says something from one time to another; all else is undecided."""
    made = []
    for token in range(round(length / HOP)):
        time = HOP * token
        name = next((c for (a, b), c in said.items() if a - 1e-9 <= time < b - 1e-9), None)
        decode = Decode(token, token, time, CLASSES, np.full(3, 1 / 3), name, "", "d", True)
        made.append(Sent(decode, time + lag))
    return made


def test_a_right_decision_is_timed_from_the_change_of_state() -> None:
    intents = [Intent(10.0, 14.0, "left"), Intent(20.0, 24.0, "right"), Intent(30.0, 34.0, "left")]
    said = {(11.5, 13.0): "left", (21.0, 22.0): "left", (23.0, 24.0): "right"}
    found = count_decisions(session(said, 40.0), intents, WINDOW, HOP)
    assert (found.trials, found.decided, found.right) == (3, 2, 1)
    np.testing.assert_allclose(found.delays_s, [1.55, 3.05, np.inf])
    assert found.delay_s(0.5) == pytest.approx(3.05)
    assert found.delay_s(0.95) is None  # a trial without a right decision took forever
    assert "95th percentile not reached" in found.lines()[2]
    assert found.false.count == 0


def test_activations_outside_of_trials_are_false() -> None:
    said = {
        (2.0, 3.0): "left",  # false
        (5.0, 6.0): "rest",  # rest is no activation
        (13.5, 17.0): "left",  # began in the trial
        (18.0, 18.5): "right",  # false
        (18.5, 19.0): "left",  # another one right behind it: false
    }
    found = count_decisions(session(said, 30.0), [Intent(10.0, 14.0, "left")], WINDOW, HOP)
    assert found.false.count == 3
    # 4 s of trial, 1 s of windows that touch it, 1 s of evidence that leaks.
    assert found.false.minutes == pytest.approx((30.0 - 6.0) / 60, abs=0.2 / 60)
    made = found.to_dict()
    assert made["false_per_minute"] == pytest.approx(3 / 0.4, rel=0.02)
    assert made["false_per_minute_bound"] > made["false_per_minute"]


def test_nothing_at_all_is_counted_as_nothing() -> None:
    found = count_decisions([], [], WINDOW, HOP)
    assert found.delay_s(0.5) is None
    assert found.to_dict()["false_per_minute"] is None
    assert "no time without intent" in found.lines()[1]
    assert isinstance(found, PseudoOnline)


def test_simulated_subjects_are_counted_together() -> None:
    one = PseudoOnline({"balanced": 0.9}, 20, 15, 14, FalseActivations(1, 2.0), (2.0, 3.0), 0.1)
    two = PseudoOnline({"balanced": 0.7}, 20, 10, 8, FalseActivations(3, 2.0), (4.0, np.inf), 0.3)
    whole = Pooled((one, two)).whole
    assert whole.accuracy == {"balanced": 0.8, "trials": 40}
    assert (whole.trials, whole.decided, whole.right) == (40, 25, 22)
    assert whole.false.rate == pytest.approx(1.0)
    assert whole.delay_s(0.5) == 3.0
    assert whole.delay_s(0.95) is None
    assert whole.flagged == pytest.approx(0.2)


def test_what_is_scored_online_is_said_once() -> None:
    for args in ([], ["--simulated", "1", "x.vhdr"], ["x.vhdr"]):
        refused = CliRunner().invoke(app, ["evaluate", "online", *args])
        assert isinstance(refused.exception, BadInputError)
        assert "--simulated 4" in str(refused.exception)
