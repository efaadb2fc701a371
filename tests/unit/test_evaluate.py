"""Blocked cross-validation: nothing leaks, and chance is called chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from rtbci.calibration.decoders import make_decoder
from rtbci.calibration.evaluate import (
    ACROSS,
    WITHIN,
    blocked_folds,
    choose,
    cross_validate,
    permutation_test,
    permute_within,
    prepare,
    score,
)
from rtbci.calibration.trials import Windows
from rtbci.errors import BadInputError

Labels = npt.NDArray[np.int64]


def labels(n: int) -> Labels:
    return np.arange(n, dtype=np.int64) % 2


def windows(y: Labels, run: Labels, effect: float, seed: int = 0, each: int = 3) -> Windows:
    """Windows whose first channel is louder in class 1."""
    rng = np.random.default_rng(seed)
    trial = np.repeat(np.arange(len(y)), each)
    x = rng.standard_normal((len(trial), 4, 100))
    x[y[trial] == 1, 0] *= 1 + effect
    fit = np.tile(np.arange(each) % 2 == 0, len(y))
    return Windows(x.astype(np.float32), trial, fit, y, run)


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


def test_runs_of_one_class_each_can_not_be_left_out() -> None:
    y = np.repeat([0, 1], 10)
    folds = blocked_folds(y, y, 2)
    assert folds.label == WITHIN
    assert all(set(y[f.train]) == {0, 1} for f in folds.folds)


def test_too_few_trials_are_refused() -> None:
    with pytest.raises(BadInputError, match="1 usable trials, but each needs at least 4"):
        blocked_folds(np.array([0, 1]), np.array([0, 0]), 2)


def test_what_a_fold_learns_does_not_depend_on_its_test_trials() -> None:
    """A leak test: wild test trials change neither the fitted steps nor their input."""
    y, run = labels(20), np.repeat([0, 1], 10)
    plain = windows(y, run, 1.0)
    wild = windows(y, run, 1.0)
    wild.x[run[wild.trial] == 1] *= 100
    folds = blocked_folds(y, run, 2)
    for estimator in ("csp+lda", "ts+lr"):
        a = prepare(make_decoder(estimator), plain, folds)[1]
        b = prepare(make_decoder(estimator), wild, folds)[1]
        np.testing.assert_array_equal(a.train, b.train)


@pytest.mark.parametrize("name", ["csp+lda", "ts+lr"])
def test_an_effect_is_found_and_shuffled_labels_give_chance(name: str) -> None:
    y, run = labels(60), np.repeat([0, 1, 2], 20)
    folds = blocked_folds(y, run, 2)
    prepared = prepare(make_decoder(name), windows(y, run, 1.0), folds)
    assert score(cross_validate(prepared, y, 2), y) > 0.9
    rng = np.random.default_rng(1)
    shuffled = [permute_within(y, run, rng) for _ in range(10)]
    at_chance = [score(cross_validate(prepared, s, 2), s) for s in shuffled]
    assert np.mean(at_chance) == pytest.approx(0.5, abs=0.08)


def test_label_free_steps_done_once_change_nothing() -> None:
    """The folds fit covariances and tangent space once for all permutations."""
    y, run = labels(20), np.repeat([0, 1], 10)
    w = windows(y, run, 1.0)
    folds = blocked_folds(y, run, 2)
    evidence = cross_validate(prepare(make_decoder("ts+lr"), w, folds), y, 2)
    for fold in folds.folds:
        train = np.flatnonzero(np.isin(w.trial, fold.train) & w.fit)
        test = np.flatnonzero(np.isin(w.trial, fold.test))
        whole = make_decoder("ts+lr").fit(w.x[train], y[w.trial[train]])
        log_p = np.log(whole.predict_proba(w.x[test]))
        summed = [log_p[w.trial[test] == t].sum(axis=0) for t in fold.test]
        np.testing.assert_allclose(evidence[fold.test], summed, atol=1e-6)


def test_permutations_stop_early_at_chance_and_never_give_zero() -> None:
    y, run = labels(24), np.repeat([0, 1], 12)
    folds = blocked_folds(y, run, 2)
    strong = {"ts+lr": prepare(make_decoder("ts+lr"), windows(y, run, 2.0), folds)}
    found = permutation_test(strong, y, run, 2, most=40)
    assert found.p_value == pytest.approx(1 / 41)
    assert found.permutations == 40
    nothing = {"ts+lr": prepare(make_decoder("ts+lr"), windows(y, run, 0.0), folds)}
    seen: list[int] = []
    chance = permutation_test(nothing, y, run, 2, most=400, progress=seen.append)
    assert chance.p_value > 0.05
    assert chance.permutations == seen[-1] < 400


def test_permuting_keeps_the_share_of_classes_in_each_run() -> None:
    y, run = np.array([0, 0, 0, 1, 1, 1, 1, 0]), np.repeat([0, 1], 4)
    shuffled = permute_within(y, run, np.random.default_rng(0))
    for r in (0, 1):
        assert sorted(shuffled[run == r]) == sorted(y[run == r])


def test_the_simpler_decoder_wins_unless_it_is_clearly_worse() -> None:
    y = labels(20)

    def evidence(wrong: int) -> npt.NDArray[np.float64]:
        decided = y.copy()
        decided[:wrong] = 1 - decided[:wrong]
        return np.eye(2)[decided]

    assert choose({"simple": evidence(4), "other": evidence(4)}, y) == "simple"
    assert choose({"simple": evidence(2), "other": evidence(1)}, y) == "simple"
    assert choose({"simple": evidence(8), "other": evidence(1)}, y) == "other"
