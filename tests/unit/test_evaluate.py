"""Blocked folds, contests and permutations: nothing leaks, and chance is called chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from contests import fast_contest, labels, windows

from rtbci.calibration.decoders.catalogue import make_decoder
from rtbci.calibration.scoring.cross_validation import (
    ACROSS,
    WITHIN,
    Folds,
    blocked_folds,
    permutation_blocks,
    permutation_test,
    permute_within,
)
from rtbci.calibration.selection.auto import choice_score, folds_of
from rtbci.calibration.selection.contest import Contest, Entry
from rtbci.errors import BadInputError
from rtbci.types import IndexArray

Evidence = npt.NDArray[np.float64]


def crossed(
    contest: Contest, name: str, folds: Folds, y: npt.NDArray[np.int64] | None = None
) -> Evidence:
    evidence = np.zeros((len(contest.y), 2))
    for fold in folds.folds:
        evidence[fold.test] = contest.evidence(name, fold.train, fold.test, y)
    return evidence


def test_whole_runs_are_left_out() -> None:
    run = np.repeat([0, 1, 2], 10)
    folds = blocked_folds(labels(30), run, 2)
    assert folds.label == ACROSS
    for r, fold in enumerate(folds.folds):
        assert set(run[fold.test]) == {r}
        assert r not in run[fold.train]


def test_one_run_is_split_in_blocks_with_their_edges_purged() -> None:
    y = labels(30)
    folds = blocked_folds(y, np.zeros(30, dtype=np.int64), 2)
    assert folds.label == WITHIN
    assert sorted(np.concatenate([f.test for f in folds.folds])) == list(range(30))
    for fold in folds.folds:
        assert np.abs(fold.train[:, None] - fold.test[None, :]).min() >= 2
        assert set(y[fold.train]) == {0, 1}


def test_permuted_labels_meet_the_same_folds() -> None:
    """Folds that were balanced by the true labels made permutations score below chance."""
    y, run = labels(30), np.zeros(30, dtype=np.int64)
    shuffled = permute_within(y, permutation_blocks(run), np.random.default_rng(3))
    assert (shuffled != y).any()
    for a, b in zip(
        blocked_folds(y, run, 2).folds, blocked_folds(shuffled, run, 2).folds, strict=True
    ):
        np.testing.assert_array_equal(a.test, b.test)
        np.testing.assert_array_equal(a.train, b.train)


def test_runs_of_one_class_each_can_not_be_left_out() -> None:
    y = np.repeat([0, 1], 10)
    folds = blocked_folds(y, y, 2)
    assert folds.label == WITHIN
    assert all(set(y[f.train]) == {0, 1} for f in folds.folds)


def test_too_few_trials_are_refused() -> None:
    with pytest.raises(BadInputError, match="1 usable trials, but each needs at least 4"):
        blocked_folds(np.array([0, 1]), np.array([0, 0]), 2)


@pytest.mark.parametrize("name", ["csp+lda", "ts+lr"])
def test_what_a_fold_learns_does_not_depend_on_its_test_trials(name: str) -> None:
    """A leak test: wild trials beside it change no other trial's evidence."""
    y, run = labels(20), np.repeat([0, 1], 10)
    plain, wild = windows(y, run, 1.0), windows(y, run, 1.0)
    wild.x[np.isin(wild.trial, np.arange(11, 20))] *= 100
    train, test = np.arange(10), np.arange(10, 20)
    a, b = (
        Contest({name: Entry(lambda: make_decoder(name), w)}, 2).evidence(name, train, test)
        for w in (plain, wild)
    )
    np.testing.assert_array_equal(a[0], b[0])
    assert not np.allclose(a[1:], b[1:])


@pytest.mark.parametrize("name", ["csp+lda", "ts+lr"])
def test_an_effect_is_found_and_shuffled_labels_give_chance(name: str) -> None:
    y, run = labels(60), np.repeat([0, 1, 2], 20)
    contest = Contest({name: Entry(lambda: make_decoder(name), windows(y, run, 1.0))}, 2)
    folds = folds_of(contest, np.arange(60))
    assert np.mean(np.argmax(crossed(contest, name, folds), axis=1) == y) > 0.9
    rng = np.random.default_rng(1)
    right = []
    for _ in range(10):
        shuffled = permute_within(y, run, rng)
        right.append(np.argmax(crossed(contest, name, folds, shuffled), axis=1) == shuffled)
    assert np.mean(right) == pytest.approx(0.5, abs=0.08)


def test_steps_done_once_change_nothing() -> None:
    """Covariances are taken once for all splits, the tangent space once for all permutations."""
    y, run = labels(20), np.repeat([0, 1], 10)
    w = windows(y, run, 1.0)
    contest = Contest({"ts+lr": Entry(lambda: make_decoder("ts+lr"), w)}, 2)
    for fold in folds_of(contest, np.arange(20)).folds:
        train = np.flatnonzero(np.isin(w.trial, fold.train) & w.fit)
        test = np.flatnonzero(np.isin(w.trial, fold.test))
        whole = make_decoder("ts+lr").fit(w.x[train], y[w.trial[train]])
        log_p = np.log(whole.predict_proba(w.x[test]))
        summed = [log_p[w.trial[test] == t].sum(axis=0) for t in fold.test]
        evidence = contest.evidence("ts+lr", fold.train, fold.test)
        np.testing.assert_allclose(evidence, summed, atol=1e-6)


def test_scored_trials_may_come_in_any_order() -> None:
    contest = fast_contest(20, 1.0)
    train, test = np.arange(10), np.array([17, 12, 15])
    there = contest.evidence("near", train, test)
    np.testing.assert_array_equal(there[::-1], contest.evidence("near", train, test[::-1]))


def test_permutations_stop_early_at_chance_and_never_give_zero() -> None:
    def tested(effect: float, most: int, seen: list[int]) -> tuple[float, int]:
        contest = fast_contest(24, effect)
        folds = folds_of(contest, np.arange(24))
        found = permutation_test(
            lambda y: choice_score(contest, folds, y),
            contest.y,
            contest.run,
            most=most,
            progress=seen.append,
        )
        assert found.null_sd > 0
        return found.p_value, found.permutations

    p_value, made = tested(3.0, 40, [])
    assert p_value == pytest.approx(1 / 41)
    assert made == 40
    seen: list[int] = []
    p_value, made = tested(0.0, 400, seen)
    assert p_value > 0.05
    assert made == seen[-1] < 400


def test_a_permutation_leaves_every_fold_something_to_fit() -> None:
    y, run = np.array([0, 1, 0, 1, 0, 1, 0, 1]), np.zeros(8, dtype=np.int64)
    folds = blocked_folds(y, run, 2).folds
    least: list[int] = []

    def statistic(labels: IndexArray) -> float:
        least.append(min(int(np.bincount(labels[f.train], minlength=2).min()) for f in folds))
        return 0.0 if len(least) > 1 else 1.0

    permutation_test(statistic, y, run, most=200, folds=folds)
    assert len(least) == 201
    assert min(least) == 2
    least.clear()
    permutation_test(statistic, y, run, most=200)
    assert min(least) < 2, "shuffles that leave nothing to fit are no rarity"


def test_permuting_keeps_the_share_of_classes_in_each_block() -> None:
    y, run = np.array([0, 0, 0, 1, 1, 1, 1, 0]), np.repeat([0, 1], 4)
    shuffled = permute_within(y, run, np.random.default_rng(0))
    for r in (0, 1):
        assert sorted(shuffled[run == r]) == sorted(y[run == r])
    block = permutation_blocks(np.repeat([0, 1], [45, 15]))
    assert np.bincount(block).tolist() == [12, 11, 11, 11, 8, 7]
