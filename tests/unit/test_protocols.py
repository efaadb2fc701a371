"""Protocols: who is fitted on what, chance for shuffled labels, and a leak that is caught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tracks import acausal, causal, made_trials

from rtbci.bootstrap import bootstrap, paired
from rtbci.calibration.controls import rows as control_rows
from rtbci.calibration.decoders.catalogue import find_recipe
from rtbci.calibration.evaluation import decode_tables
from rtbci.calibration.evaluation.cells import Cell
from rtbci.calibration.evaluation.decode import (
    BETTER,
    CONTAMINATED,
    Standing,
    better_by_halves,
    electrode_set,
    score_session,
    unbiased,
)
from rtbci.calibration.evaluation.protocols import ZERO, Protocol, conditions, parse_protocols
from rtbci.calibration.evaluation.run import evaluate_decode
from rtbci.calibration.reading.cohort import find_sessions
from rtbci.calibration.scoring.accuracy import balanced_accuracy
from rtbci.calibration.scoring.metrics import Metrics
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError

CONFIG = SessionConfig()
METRICS = Metrics(balanced=0.6, kappa=0.2, auc=0.6, itr_bits=0.1, itr_bits_min=1.0, trials=30)
RECIPES = {"csp+lda": find_recipe("csp+lda")}
VIEWS = {
    **{r.view.key: r.view for r in RECIPES.values()},
    **control_rows.views(CONFIG.preprocess),
}


def standing(subjects: int = 3, **made: object) -> Standing:
    found = Standing(tuple(Protocol), ("csp+lda",))
    for seed in range(subjects):
        trials = made_trials(VIEWS, seed=seed, subject=f"S90{seed}", **made)  # type: ignore[arg-type]
        found.trials["cues"] = found.rejected["cues"] = 0
        score_session(found, trials, "motor", trials.electrodes, RECIPES, CONFIG)
    return found


def scores(found: Standing, protocol: Protocol, decoder: str = "csp+lda") -> list[float]:
    return [
        c.metrics.balanced
        for c in found.cells
        if c.protocol is protocol and c.decoder == decoder and c.metrics is not None
    ]


@pytest.fixture(scope="module")
def true() -> Standing:
    return standing(effect=0.8)


@pytest.fixture(scope="module")
def shuffled() -> Standing:
    return standing(effect=0.8, shuffled=True)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_an_effect_is_found_and_shuffled_labels_give_chance(
    true: Standing, shuffled: Standing, protocol: Protocol
) -> None:
    assert np.mean(scores(true, protocol)) > 0.85
    assert np.mean(scores(shuffled, protocol)) == pytest.approx(0.5, abs=0.12)
    for control in control_rows.NAMES:
        assert np.mean(scores(shuffled, protocol, control)) == pytest.approx(0.5, abs=0.15)


def test_a_planted_future_leak_is_caught() -> None:
    """What comes 4 s after a cue tells its class; a causal chain can't know it in the trial."""
    honest = standing(2, after=8.0, filtered=causal)
    leaking = standing(2, after=8.0, filtered=acausal)
    for protocol in Protocol:
        assert np.mean(scores(honest, protocol)) < 0.62
        assert np.mean(scores(leaking, protocol)) > 0.75


def test_every_cell_has_its_controls_beside_it(true: Standing) -> None:
    for table in decode_tables.tables(true):
        assert [r.decoder for r in table.rows] == ["csp+lda", *control_rows.NAMES]
        assert table.subjects == 3
    page = decode_tables.page(true, ["rtbci evaluate decode DATA"])
    assert "    rtbci evaluate decode DATA" in page
    assert "| control: rim, low frequencies |" in page
    assert "Few subjects" in page
    assert decode_tables.to_dict(true)["tables"][0]["subjects"] == 3


def test_few_shot_trains_on_the_first_trials_alone() -> None:
    y = np.arange(60) % 2
    run = np.repeat([0, 1, 2], 20)
    made = conditions(Protocol.FEW_SHOT, y, run, 2)
    assert [c.name for c in made] == [
        "30% of the session",
        "5 trials a class",
        "10 trials a class",
        "15 trials a class",
        "20 trials a class",
    ]
    for condition in made:
        (fold,) = condition.splits
        assert fold.train.max() < fold.test.min()
        assert fold.test.max() == 59
    assert [len(c.splits[0].train) for c in made] == [18, 10, 20, 30, 40]


def test_calibration_runs_are_never_scored() -> None:
    y, run = np.arange(45) % 2, np.repeat([0, 1, 2], 15)
    made = conditions(Protocol.LEAVE_ONE_SUBJECT_OUT, y, run, 2)
    assert [c.name for c in made] == [ZERO, "1 run", "2 runs"]
    assert [c.labelled for c in made] == [False, True, True]
    for condition, n in zip(made, (1, 1, 2), strict=True):
        assert len(condition.splits) == 3
        for fold in condition.splits:
            assert len(set(run[fold.train])) == n
            assert not set(run[fold.train]) & set(run[fold.test])


def test_a_decoder_that_saw_the_subject_counts_for_nothing() -> None:
    found = Standing((Protocol.WITHIN,), ("csp+lda",))
    recipes = {"csp+lda": replace(RECIPES["csp+lda"], saw=lambda subject: subject == "S901")}
    for subject in ("S900", "S901"):
        trials = made_trials(VIEWS, effect=0.8, subject=subject)
        score_session(found, trials, "motor", trials.electrodes, recipes, CONFIG)
    (table,) = decode_tables.tables(found)
    row = table.rows[0]
    assert row.contaminated == 1
    assert row.balanced.subjects == 1
    assert CONTAMINATED in decode_tables.values(row)[-1]


def test_the_better_of_two_is_chosen_without_the_trials_that_it_is_scored_on() -> None:
    y = np.arange(40, dtype=np.int64) % 2
    test = np.arange(40, dtype=np.int64)
    right = np.eye(2)[y]
    by_class = [np.flatnonzero(y == c)[::2] for c in range(2)]
    early, late = right.copy(), right[:, ::-1].copy()  # right on one half, wrong on the other
    mine = np.zeros(40, dtype=bool)
    mine[np.concatenate(by_class)] = True
    early[~mine] = 1 - early[~mine]
    late[~mine] = 1 - late[~mine]
    ((_, joined),) = better_by_halves([[(test, early)], [(test, late)]], y, 2)
    assert (np.argmax(joined, axis=1) != y).all(), "each half speaks for the one that fails it"
    ((_, joined),) = better_by_halves([[(test, right)], [(test, early)]], y, 2)
    assert balanced_accuracy(y, np.argmax(joined, axis=1), 2) == 1.0


def test_auto_stands_beside_the_better_of_own_and_population() -> None:
    cells = [
        Cell(Protocol.WITHIN, "task", "motor", "1 run", decoder, subject, METRICS)
        for decoder in ("csp+lda", "population", "auto", BETTER)
        for subject in ("A", "B")
    ]
    cells = [
        replace(c, metrics=replace(METRICS, balanced=0.7)) if c.decoder == "auto" else c
        for c in cells
    ]
    found = Standing((Protocol.WITHIN,), ("csp+lda", "population", "auto"), (), cells)
    (table,) = decode_tables.tables(found)
    assert table.beside is not None
    assert table.beside.mean == pytest.approx(0.7 - METRICS.balanced)
    assert "auto minus the better of own and population: +0.1" in decode_tables.footnote(table)
    line = decode_tables.overview([table])[-1]
    assert "| 0.600 (csp+lda) |" in line
    assert line.endswith("| +0.100 [+0.100, +0.100] |")


def test_a_running_bias_knows_only_past_trials() -> None:
    rng = np.random.default_rng(0)
    evidence = 0.1 * rng.standard_normal((40, 2)) + np.array([3.0, 0.0])
    one = unbiased(evidence)
    later = evidence.copy()
    later[20:] *= -5
    np.testing.assert_array_equal(unbiased(later)[:20], one[:20])
    np.testing.assert_allclose(one[0], evidence[0] - evidence[0].mean())
    assert abs(np.mean(one[-10:, 0])) < 0.5


def test_paired_differences_are_over_the_subjects_that_both_have() -> None:
    one = {"a": 0.7, "b": 0.8, "c": 0.9}
    found = paired(one, {"a": 0.6, "b": 0.7, "d": 0.1})
    assert found.subjects == 2
    assert found.mean == pytest.approx(0.1)
    assert bootstrap([]).text() == "–"
    assert bootstrap([0.5]).text() == "0.500"
    assert bootstrap([0.4, 0.6] * 8).text().startswith("0.500 [0.4")


def test_what_can_not_be_evaluated_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no protocol 'magic'; known are within, few-shot"):
        parse_protocols("within,magic")
    with pytest.raises(BadInputError, match="does not exist"):
        find_sessions([tmp_path / "nowhere"])
    with pytest.raises(BadInputError, match="no recording in"):
        find_sessions([tmp_path])
    with pytest.raises(BadInputError, match="no decoder 'magic'"):
        evaluate_decode([tmp_path], decoders=["magic"])
    with pytest.raises(BadInputError, match="neither a file nor a known montage"):
        electrode_set("motor-99")


def test_files_of_a_cohort_are_grouped_by_subject_and_task(tmp_path: Path) -> None:
    names = ("S003R04", "S003R08", "S003R03", "S001R12", "S001R01", "sub-07_task-mi_run-1")
    for name in names:
        (tmp_path / f"{name}.edf").touch()
    (tmp_path / "notes.md").touch()
    found = {(s.task, s.subject): len(s.paths) for s in find_sessions([tmp_path])}
    assert found == {
        ("imagined left/right hand", "S003"): 2,
        ("executed left/right hand", "S003"): 1,
        ("imagined left/right hand", "S001"): 1,
        ("rest", "S001"): 1,
        ("cues", f"{tmp_path.name}/07"): 1,
    }


def test_links_to_folders_are_followed_and_a_loop_ends(tmp_path: Path) -> None:
    elsewhere, data = tmp_path / "elsewhere", tmp_path / "data"
    elsewhere.mkdir()
    data.mkdir()
    (elsewhere / "S003R04.edf").touch()
    (data / "S001R04.edf").touch()
    (data / "linked").symlink_to(elsewhere)
    (elsewhere / "up").symlink_to(data)
    assert [s.subject for s in find_sessions([data])] == ["S001", "S003"]
