"""Labels that come later, and the shadow that judges what was learned from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from online_trials import EVERY_S, RATE, changes, decoder, fitted, imagery, play

from rtbci.calibration.online.adaptation import Adapted, Referenced
from rtbci.calibration.online.config import OnlineConfig
from rtbci.calibration.online.feedback import Feedback, OpenTrial
from rtbci.calibration.online.learner import Seen
from rtbci.calibration.online.shadow import MOST_LOSS, Shadow, Verdict, trial_loss
from rtbci.types import Marker

CLASSES = ("a", "b")


@pytest.fixture(scope="module")
def calibrated() -> Referenced:
    return fitted()


def adapted(trials: int) -> Adapted:
    return Adapted(np.eye(2)[np.newaxis], None, np.zeros(2), trials=trials)


def test_the_worse_one_goes_after_twenty_trials() -> None:
    now, old = adapted(9), adapted(0)
    for changed, unchanged, verdict in ((0.5, 0.6, Verdict.KEPT), (0.7, 0.6, Verdict.REVERTED)):
        shadow = Shadow(old, 20)
        for _ in range(20):
            assert shadow.judge(now) == (now, None)
            shadow.score(changed, unchanged)
        better, judgement = shadow.judge(now)
        assert judgement is not None
        assert (judgement.verdict, judgement.trials) == (verdict, 20)
        assert better is (now if verdict is Verdict.KEPT else old)
        assert shadow.adapted is better
        assert shadow.judge(better)[1] is None  # the count begins anew


def test_a_single_trial_does_not_decide() -> None:
    sure = np.log([[1 - 1e-9, 1e-9]])
    assert trial_loss(sure, 0) < 1e-6
    assert trial_loss(sure, 1) == MOST_LOSS
    assert trial_loss(np.log([[0.5, 0.5], [0.5, 0.5]]), 1) == pytest.approx(np.log(2))


def test_true_labels_are_kept_and_wrong_ones_reverted(calibrated: Referenced) -> None:
    states = [int(k) for k in np.random.default_rng(0).permutation([0, 1] * 14)]
    x = imagery(states, 20, mixing=np.diag([0.5, 1.0, 2.0]))
    d = decoder(calibrated, OnlineConfig())
    said = list(changes(play(d, x, states).answers))
    assert said.count("kept") == 1
    assert said.count("reverted") == 0
    assert not d.adapted.untouched

    config = OnlineConfig(learn=True, learn_pull=0.02, recentre="none", bias_rate=0.0)
    states = [0, 1, 0, 1, *states[:22]]
    wrong = [1, 0, 1, 0, *states[4:]]
    x = imagery(states, 21)
    d = decoder(calibrated, config)
    before = [a.p for a in play(decoder(calibrated, config), x, states, cued=False).answers]
    answers = play(d, x, wrong).answers
    said = list(changes(answers))
    assert said.count("reverted") == 1
    # From the verdict to the next label it is again what was calibrated.
    at = next(k for k, a in enumerate(answers) if any(c.change == "reverted" for c in a.changes))
    assert [c.change for c in answers[at].changes] == ["reverted"]
    assert answers[at].p.tobytes() == before[at].tobytes()


def feedback() -> Feedback:
    return Feedback(CLASSES, {"T1": "a", "T2": "b", "T0": "rest"}, (0.5, 3.5), 2.0)


def seen() -> Seen:
    z = np.zeros(2)
    return Seen(np.eye(2)[np.newaxis], z, z, z, z)


def fill(trials: list[OpenTrial], n: int = 4) -> None:
    for trial in trials:
        trial.seen += [seen()] * n


def test_a_cue_labels_its_trial_once_it_has_ended() -> None:
    f = feedback()
    assert f.take([Marker(10.0, "T1"), Marker(10.0, "T0")], 10.1) == []
    assert f.wants(12.4) == []
    fill(f.wants(12.5))
    assert f.take([], 13.5) == []
    (done,) = f.take([], 13.6)
    assert (done.wanted, len(done.seen)) == (0, 4)
    assert f.take([], 13.7) == []


def test_a_trial_of_few_windows_and_one_in_a_void_span_teach_nothing() -> None:
    f = feedback()
    f.take([Marker(10.0, "T1")], 10.1)
    fill(f.wants(13.0), 2)
    assert f.take([], 14.0) == []
    f.take([Marker(20.0, "T2")], 20.1)
    fill(f.wants(23.0))
    assert f.take([Marker(19.0, "BAD_paused", duration=5.0)], 24.0) == []


def test_a_cue_of_ours_counts_from_when_it_has_gone() -> None:
    f = feedback()
    f.take([Marker(10.0, "T1", 1.25, origin="cue")], 10.1)
    assert f.wants(13.7) == []
    assert len(f.wants(13.8)) == 1
    assert len(f.wants(14.75)) == 1
    assert f.wants(14.8) == []


@pytest.mark.parametrize(
    ("label", "wanted"), [("error", [1]), ("label:a", [0]), ("label:b", [1]), ("label:no", [])]
)
def test_a_label_means_the_last_activation(label: str, wanted: list[int]) -> None:
    f = feedback()
    f.begin(0, 50.0)
    fill(f.wants(50.1))
    assert [t.wanted for t in f.take([Marker(52.0, label, origin="user")], 52.1)] == wanted
    assert (f.take([Marker(52.5, label)], 52.6) == []) is True  # it is used up, or no class


def test_a_label_that_comes_too_late_or_before_means_nothing() -> None:
    f = feedback()
    assert f.take([Marker(1.0, "error")], 1.1) == []
    f.begin(0, 50.0)
    fill(f.wants(50.1))
    assert f.take([Marker(61.0, "error")], 61.1) == []
    assert f.take([Marker(49.0, "error")], 61.2) == []


def test_an_error_among_three_classes_names_none() -> None:
    f = Feedback(("a", "b", "c"), {}, (0.5, 3.5), 2.0)
    f.begin(0, 50.0)
    fill(f.wants(50.1))
    assert f.take([Marker(51.0, "error")], 51.1) == []
    assert [t.wanted for t in f.take([Marker(51.5, "label:c")], 51.6)] == [2]


def test_inside_a_cued_trial_the_cue_says_what_was_wanted() -> None:
    f = feedback()
    f.take([Marker(10.0, "T2")], 10.1)
    f.begin(0, 12.0)
    fill(f.wants(12.6))
    assert f.take([Marker(13.0, "error")], 13.1) == []
    assert [t.wanted for t in f.take([], 13.6)] == [1]


def test_after_a_gap_an_activation_has_ended() -> None:
    f = feedback()
    f.begin(1, 5.0)
    assert len(f.wants(5.1)) == 1
    f.break_off()
    assert f.wants(5.2) == []


def test_labels_of_the_user_teach_the_decoder(calibrated: Referenced) -> None:
    """No cue at all: activations, and a word on each from the user, who comes a second later."""
    config = OnlineConfig(on=0.3, off=0.1, recentre="none", learn_pull=1.0)
    states = [0, 1, 0, 1, 1, 0, 1, 0]
    d = decoder(calibrated, replace(config, learn=True))
    x = imagery(states, 30)
    said = [
        (round(time * RATE), Marker(time, f"label:{('left', 'right')[s]}_hand", origin="user"))
        for time, s in zip(EVERY_S * np.arange(1, len(states) + 1) - 0.1, states, strict=True)
    ]
    answers = play(d, x, states, cued=False, extra=said).answers
    assert d.adapted.trials >= 2
    assert "updated" in set(changes(answers))
    silent = decoder(calibrated, config)
    play(silent, x, states, cued=False)
    assert silent.adapted.untouched
