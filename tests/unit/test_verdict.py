"""Verdicts: what is said of a score, and how often it is said of noise."""

from __future__ import annotations

import numpy as np
import pytest
from contests import fast_contest
from false_alarms import LOOKS, said_above

from rtbci.calibration.evaluation.learning import _extrapolate, learning_curve
from rtbci.calibration.scoring.metrics import auc, kappa, measure, wolpaw_bits
from rtbci.calibration.scoring.verdict import (
    ALPHA,
    Finding,
    judge_score,
    level,
    permutations_needed,
)
from rtbci.calibration.selection.auto import choose, folds_of, nested_evidence


def test_all_looks_together_spend_no_more_than_alpha() -> None:
    looked: tuple[int, ...] = ()
    total = 0.0
    for n in range(10, 2000, 10):
        total += level(n, looked)
        looked = (*looked, n)
    assert ALPHA * 0.99 < total <= ALPHA
    assert level(60) > level(60, (10, 20, 30, 40, 50)) > 0
    assert level(60, (60, 70)) == level(60)


def test_a_look_can_reach_its_level() -> None:
    for n in LOOKS:
        looked = tuple(k for k in LOOKS if k < n)
        most = permutations_needed(99, n, looked)
        assert 2 / (1 + most) <= level(n, looked)
    assert permutations_needed(99, 60) == 99


def test_the_three_verdicts() -> None:
    above = judge_score(0.75, 0.005, 0.08, 40, 2)
    assert above.finding == Finding.ABOVE
    assert above.lines() == [
        f"verdict: above chance (p = 0.005, needed at this look: {level(40):.3f} or less)"
    ]
    chance = judge_score(0.48, 0.7, 0.05, 150, 2)
    assert chance.finding == Finding.CHANCE
    assert chance.upper < 0.60
    assert "practically at chance: at most 0.56" in chance.lines()[0]
    unsure = judge_score(0.62, 0.09, 0.09, 30, 2)
    assert unsure.finding == Finding.UNSURE
    assert unsure.more_trials % 10 == 0
    text = "\n".join(unsure.lines())
    assert f"can't tell yet; {unsure.more_trials} more trials probably would" in text
    assert "more trials: 20 of each class" in text
    assert "imagine the feeling" in text


def test_a_better_score_needs_fewer_trials_to_tell() -> None:
    needed = [judge_score(s, 0.1, 0.09, 30, 2).more_trials for s in (0.62, 0.66, 0.70)]
    assert needed == sorted(needed, reverse=True)
    assert 0 < needed[-1] < needed[0]


def test_with_four_classes_chance_is_a_quarter() -> None:
    assert judge_score(0.27, 0.4, 0.04, 120, 4).finding == Finding.CHANCE
    assert judge_score(0.40, 0.06, 0.05, 60, 4).finding == Finding.UNSURE


def test_noise_is_rarely_called_above_chance_though_one_keeps_looking() -> None:
    """The count over 500 sessions is that of tests/simulators/false_alarms.py."""
    assert sum(said_above(seed, (10, 20, 30)) > 0 for seed in range(8)) <= 2


def test_an_effect_is_called_above_chance() -> None:
    assert said_above(1, (20, 40), effect=2.0) in (20, 40)


def test_metrics_of_a_perfect_and_of_a_blind_decoder() -> None:
    y = np.arange(20) % 2
    right = np.where(y[:, None] == np.arange(2), 0.0, -3.0)
    m = measure(right, y, 3.0)
    assert (m.balanced, m.kappa, m.auc, m.itr_bits) == (1.0, 1.0, 1.0, 1.0)
    assert m.itr_bits_min == pytest.approx(20.0)
    blind = measure(np.zeros((20, 2)), y, 3.0)
    assert (blind.balanced, blind.kappa, blind.auc, blind.itr_bits) == (0.5, 0.0, 0.5, 0.0)


def test_wolpaw_bits_kappa_and_auc_by_hand() -> None:
    assert wolpaw_bits(0.9, 2) == pytest.approx(1 + 0.9 * np.log2(0.9) + 0.1 * np.log2(0.1))
    assert wolpaw_bits(0.4, 2) == 0.0
    assert wolpaw_bits(1.0, 4) == 2.0
    truth, decided = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 0])
    assert kappa(truth, decided, 2) == pytest.approx(1 / 3)
    assert kappa(truth, np.array([0, 0, -1, 1, 1, -1]), 2) < 2 / 3
    odds = np.array([0.1, 0.4, 0.35, 0.8])
    assert auc(np.stack([-odds, odds], axis=1), np.array([0, 0, 1, 1])) == pytest.approx(0.75)


def test_the_learning_curve_has_an_interval_and_never_falls() -> None:
    contest = fast_contest(40, 0.06, seed=4)
    folds = folds_of(contest, np.arange(40))
    choice = choose(contest)
    full = np.zeros((40, 2))
    for fold in folds.folds:
        full[fold.test] = contest.evidence(choice.members[0], fold.train, fold.test)
    curve = learning_curve(contest, choice, folds, full)
    assert curve is not None
    assert list(curve.trials) == sorted(curve.trials)
    assert curve.low < curve.high
    assert curve.low <= curve.expected <= curve.high
    assert curve.expected >= np.mean(curve.balanced) - 1e-3
    assert curve.line().startswith("with 10 more trials expect 0.")


def test_a_decoder_that_is_always_right_may_yet_be_wrong() -> None:
    y = np.arange(40, dtype=np.int64) % 2
    right = np.ones((3, 40), dtype=np.bool_)
    curve = _extrapolate(np.array([10.0, 20.0, 30.0]), right, y, 2, np.random.default_rng(0))
    assert curve.expected == curve.high == 1.0
    assert curve.low == pytest.approx(0.912, abs=0.001)  # Wilson, 40 of 40


def test_too_few_trials_have_no_learning_curve() -> None:
    contest = fast_contest(8, 0.5)
    folds = folds_of(contest, np.arange(8))
    evidence, _ = nested_evidence(contest, folds)
    assert learning_curve(contest, choose(contest), folds, evidence) is None
