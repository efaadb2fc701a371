"""``auto``: the simplest that is good enough, a score that does not flatter, and stacks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from contests import NearestMean, fast_contest, labels, near, windows

from rtbci.calibration.decoders.recipe import Task
from rtbci.calibration.population.estimator import RECIPES
from rtbci.calibration.reading.trials import Windows
from rtbci.calibration.selection.auto import auto_evidence, choose, folds_of, nested_evidence
from rtbci.calibration.selection.contest import Contest, Entry
from rtbci.calibration.selection.stack import stack, stackable, union_view
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.errors import BadInputError


class Told(NearestMean):
    """A decoder that decides as it is told: class 1 where channel 0 of a window is 1."""

    def predict_proba(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        one = x[:, 0, 0] > 0.5
        return np.where(one[:, None], [[0.1, 0.9]], [[0.9, 0.1]])


def told(right: list[bool]) -> Windows:
    """Trials on which a :class:`Told` is right or wrong as said."""
    y = labels(len(right))
    said = np.where(right, y, 1 - y)
    x = np.repeat(said, 4 * 10).reshape(len(y), 4, 10).astype(np.float32)
    x += 0.01 * np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
    return Windows(x, np.arange(len(y)), np.ones(len(y), bool), y, np.zeros(len(y), np.int64))


def contest_of(**wrong: int) -> Contest:
    n = 20
    return Contest(
        {name: Entry(Told, told([i >= k for i in range(n)])) for name, k in wrong.items()}, 2
    )


def test_the_simpler_decoder_wins_unless_it_is_clearly_worse() -> None:
    assert choose(contest_of(simple=4, other=4)).name == "simple"
    assert choose(contest_of(simple=2, other=1)).name == "simple"
    assert choose(contest_of(simple=8, other=1)).name == "other"


def test_it_says_what_it_chose_what_it_left_and_why() -> None:
    chosen, left = choose(contest_of(simple=2, other=1, third=6)).lines()
    assert chosen == (
        "chose simple: 0.90 on the folds of the choice; other reaches 0.95, within one standard "
        "error (0.05), and is less simple"
    )
    assert left == "left third 0.70"
    chosen, left = choose(contest_of(simple=8, other=1)).lines()
    assert chosen.endswith("the best, and no simpler one comes within its standard error")
    assert left == "left simple 0.60"


def test_a_candidate_that_can_not_be_fitted_is_left_with_its_reason() -> None:
    class Refusing(NearestMean):
        def fit(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.int64]) -> NearestMean:
            raise BadInputError("the bank has no such electrode.")

    own = windows(labels(20), np.zeros(20, np.int64), 2.0)
    contest = Contest({"bank": Entry(Refusing, own), "near": Entry(near, own)}, 2)
    choice = choose(contest)
    assert choice.name == "near"
    assert choice.lines()[1] == "left bank (the bank has no such electrode.)"
    alone = Contest({"bank": Entry(Refusing, own)}, 2)
    with pytest.raises(BadInputError, match="no such electrode"):
        choose(alone)


def test_the_score_of_many_candidates_does_not_flatter() -> None:
    """The best of twenty decoders of noise looks good on the folds that chose it; nested, not."""
    flattering, nested = [], []
    for seed in range(12):
        y = labels(30)
        run = np.zeros(30, np.int64)
        entries = {
            f"noise {k}": Entry(near, windows(y, run, 0.0, seed=100 * seed + k, each=1))
            for k in range(20)
        }
        contest = Contest(entries, 2)
        folds = folds_of(contest, np.arange(30))
        choice = choose(contest)
        flattering.append(max(choice.scores.values()))
        evidence, chosen = nested_evidence(contest, folds)
        assert len(chosen) == len(folds.folds)
        nested.append(np.mean(np.argmax(evidence, axis=1) == y))
    assert np.mean(flattering) > 0.65
    assert np.mean(nested) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_no_outer_test_trial_sways_its_own_choice(runs: int) -> None:
    """A leak test: whatever the labels of a fold's test trials, its evidence is the same."""
    contest = fast_contest(30, 0.5, runs=runs)
    folds = folds_of(contest, np.arange(30))
    before, _ = nested_evidence(contest, folds)
    last = folds.folds[-1].test
    turned = contest.y.copy()
    turned[last] = 1 - turned[last]
    after, _ = nested_evidence(contest, folds, turned)
    np.testing.assert_array_equal(after[last], before[last])
    assert not np.array_equal(after, before)


def test_a_stack_gives_what_its_members_give_together() -> None:
    y, run = labels(24), np.zeros(24, np.int64)
    low, high = ViewConfig(bands_hz=((8.0, 13.0),)), ViewConfig(bands_hz=((13.0, 30.0),))
    a, b = windows(y, run, 0.6, seed=1), windows(y, run, 0.6, seed=2)
    contest = Contest({"a": Entry(near, a, low), "b": Entry(near, b, high)}, 2)
    choice = choose(contest)
    assert list(choice.scores) == ["a", "b", "a & b"]
    both = union_view([low, high])
    assert both.bands_hz == ((8.0, 13.0), (13.0, 30.0))
    made, view = stack([contest.fit("a"), contest.fit("b")], [low, high], (0.4, 0.6))
    assert view == both
    p = made.predict_proba(np.concatenate([a.x, b.x], axis=1))
    log_p = 0.4 * np.log(made.members[0].predict_proba(a.x))
    log_p += 0.6 * np.log(made.members[1].predict_proba(b.x))
    np.testing.assert_allclose(np.log(p[:, 1] / p[:, 0]), log_p[:, 1] - log_p[:, 0], atol=1e-9)


def test_views_of_other_windows_are_not_stacked() -> None:
    usual = ViewConfig()
    assert stackable(usual, ViewConfig(bands_hz=((6.0, 12.0), (12.0, 30.0))))
    assert not stackable(usual, ViewConfig(window_s=1.0))
    assert not stackable(usual, None)


def test_auto_decides_trials_that_it_has_not_seen() -> None:
    contest = fast_contest(40, 1.5)
    evidence, choice = auto_evidence(contest, np.arange(20), np.arange(20, 40))
    assert choice.name in contest.names
    assert np.mean(np.argmax(evidence, axis=1) == contest.y[20:]) > 0.8


def test_the_population_decoder_in_parts_is_the_whole_one() -> None:
    """Evaluation takes it apart, so that permutations are cheap; what it says must not change."""
    electrodes, classes = ("C3", "Cz", "C4", "CP3"), ("left_hand", "right_hand")
    task, recipe = Task(electrodes, classes), RECIPES["population"]
    y, run = labels(12), np.zeros(12, np.int64)
    n_times = recipe.view.rows(250.0)
    x = np.random.default_rng(0).standard_normal((12, 4 * len(recipe.view.bands_hz), n_times))
    w = Windows(x.astype(np.float32), np.arange(12), np.ones(12, bool), y, run)
    contest = Contest({"population": Entry(lambda: recipe.make(task), w)}, 2)
    train, test = np.arange(8), np.arange(8, 12)
    parts = contest.evidence("population", train, test)
    whole = np.log(recipe.make(task).fit(w.x[:8], y[:8]).predict_proba(w.x[8:]))
    np.testing.assert_allclose(parts, whole, atol=1e-9)
