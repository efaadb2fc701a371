"""Fine-tuning in the background: what is offered, what is not, and whose processes are stopped.

The profile's own decoder knows nothing of the signal, and in place of the foundation model's modes
stand a decoder that does, and another one that does not: both are fitted in no time.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from imagery import LABELS, write_imagery
from typer.testing import CliRunner

from rtbci.apps import fine_tuning as background
from rtbci.apps.cli import app
from rtbci.calibration.card import Candidate
from rtbci.calibration.fine_tuning import NOTE, why_not
from rtbci.calibration.fit import calibrate
from rtbci.calibration.offer import (
    OFFER,
    STATE,
    FineTuning,
    Job,
    Outcome,
    find_offer,
    read_state,
    take_offer,
    write_state,
)
from rtbci.calibration.profile import (
    Profile,
    find_profile,
    list_profiles,
    load_estimator,
    load_profile,
    save_profile,
)
from rtbci.errors import BadInputError

CLASSES = "S  1=left,S  2=right"
IGNORANT = "sklearn.dummy:DummyClassifier"
GOOD = "rtbci.calibration.decoders.catalogue:ts_lr"
WAIT_S = 240.0


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("imagery") / "one.vhdr"
    write_imagery(path, seed=1)
    return path


@pytest.fixture(scope="module")
def made(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of profiles, with one of a decoder that knows nothing."""
    root = tmp_path_factory.mktemp("home") / "subjects"
    calibrate(
        [recording], "P07", classes=CLASSES, decoder=IGNORANT, permutations=1, profiles_dir=root
    )
    return root


@pytest.fixture
def profile(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Profile]:
    shutil.copytree(made, tmp_path / "subjects")
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path))
    monkeypatch.setattr(background, "LOWEST", 0)  # other tests would not let it finish
    found = load_profile("P07")
    yield found
    background.stop(found.folder)


@pytest.fixture
def job(recording: Path) -> Job:
    return Job((str(recording),), decoder=IGNORANT, classes=CLASSES, modes=(GOOD,))


def asked(profile: Profile, job: Job) -> FineTuning:
    """State of a run whose process is this one."""
    return FineTuning(profile.card.created, job, "run", os.getpid(), "2026-11-21T10:00:00+00:00")


def wait_for(there: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_S
    while not there():
        assert time.monotonic() < until
        time.sleep(0.05)


def said(profile: Profile) -> str:
    return "\n".join(background.lines(profile))


def test_what_is_better_is_offered_and_taken_only_when_asked_for(
    profile: Profile, job: Job
) -> None:
    state = background.run_job(profile.folder, asked(profile, job))
    assert state == read_state(profile.folder)
    assert state.outcome == Outcome.OFFERED
    assert re.search(rf"{GOOD} is better than {IGNORANT} by 0\.\d\d, more than one", state.said)
    assert [c.name for c in state.scores] == [IGNORANT, GOOD]
    assert find_profile("P07") == profile
    assert list_profiles() == ["P07"]

    offer = find_offer(profile)
    assert offer is not None
    assert offer.card.score.balanced > 0.9
    assert offer.card.chosen[-1] == NOTE
    assert offer.card.verdict == profile.card.verdict
    assert len(offer.card.controls) == len(profile.card.controls)
    text = said(profile)
    assert "rim, low frequencies" in text
    assert NOTE in text
    assert text.endswith("take it: rtbci subjects take P07")

    taken = CliRunner().invoke(app, ["subjects", "take", "P07"])
    assert taken.exit_code == 0, taken.output
    assert "--protocol no-control" in taken.output
    now = load_profile("P07")
    assert now.card == replace(offer.card, file=now.card.file, sha256=now.card.sha256)
    x = np.random.default_rng(0).standard_normal((2, len(now.card.electrodes), 500))
    assert load_estimator(now).predict_proba(x).shape == (2, 2)
    assert len(list((profile.folder / "history").iterdir())) == 1
    assert not (profile.folder / OFFER).exists()
    assert said(now) == ""
    with pytest.raises(BadInputError, match="no fine-tuned decoder on offer for P07"):
        take_offer("P07")


def test_what_is_not_better_is_not_offered(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path))
    mine = calibrate([recording], "P07", classes=CLASSES, decoder=GOOD, permutations=1).profile
    job = Job((str(recording),), decoder=GOOD, classes=CLASSES, modes=(IGNORANT, "no:where"))
    state = background.run_job(mine.folder, asked(mine, job))
    assert state.outcome == Outcome.FAILED
    assert "'no:where' can't be imported" in state.said
    state = background.run_job(mine.folder, asked(mine, replace(job, modes=(IGNORANT,))))
    assert state.outcome == Outcome.NOT_BETTER
    assert state.said == f"no fine-tuned decoder is better than {GOOD}"
    assert not (mine.folder / OFFER).exists()
    assert "fine-tuning: not better: no fine-tuned" in said(mine)
    with pytest.raises(BadInputError, match="no fine-tuned decoder on offer"):
        take_offer("P07")


def test_an_offer_made_from_an_older_profile_is_refused(profile: Profile, job: Job) -> None:
    background.run_job(profile.folder, asked(profile, job))
    newer = replace(profile.card, created="2030-01-01T00:00:00+00:00")
    save_profile(newer, load_estimator(profile))
    now = load_profile("P07")
    assert find_offer(now) is None
    assert f"stands on P07's profile of {profile.card.created}, an older one" in said(now)
    with pytest.raises(BadInputError, match=r"made from P07's profile of .* with --fine-tune"):
        take_offer("P07")
    assert load_profile("P07") == now


def test_other_trials_than_the_profiles_are_no_comparison(
    profile: Profile, job: Job, tmp_path: Path
) -> None:
    write_imagery(tmp_path / "one.vhdr", n_trials=16, seed=2)
    other = replace(job, recordings=(str(tmp_path / "one.vhdr"),))
    state = background.run_job(profile.folder, asked(profile, other))
    assert state.outcome == Outcome.FAILED
    assert "don't give the 20 trials of 8 electrodes any more" in state.said
    gone = replace(job, recordings=(str(tmp_path / "gone.vhdr"),))
    assert "does not exist" in background.run_job(profile.folder, asked(profile, gone)).said


def test_weights_that_have_seen_the_subject_are_not_scored_on_her(
    profile: Profile, job: Job
) -> None:
    hers = save_profile(replace(profile.card, subject="S003"), load_estimator(profile))
    state = background.run_job(hers.folder, asked(hers, replace(job, modes=("eegpt-heads",))))
    assert state.outcome == Outcome.FAILED
    assert "eegpt-heads: its weights were trained on S003" in state.said


def test_a_run_in_the_background_ends_with_its_offer(profile: Profile, job: Job) -> None:
    sentence = background.begin(profile, job)
    assert "rtbci subjects show P07" in sentence
    assert re.search("running since .* (reads the recordings|tries)", said(profile))
    wait_for(lambda: not background.running(read_state(profile.folder)))
    state = read_state(profile.folder)
    assert state is not None
    assert state.outcome == Outcome.OFFERED, state.said
    shown = CliRunner().invoke(app, ["subjects", "show", "P07", "--json"])
    assert json.loads(shown.output)["fine_tuning"] == background.lines(profile)


def test_a_second_run_stops_the_first_and_a_stopped_one_is_noticed(
    profile: Profile, job: Job
) -> None:
    background.begin(profile, job)
    first = read_state(profile.folder)
    background.begin(profile, job)
    second = read_state(profile.folder)
    assert first is not None
    assert second is not None
    assert not background.running(first)
    assert background.running(second)
    assert background.stop(profile.folder)
    assert not background.running(second)
    assert not background.stop(profile.folder)
    text = said(profile)
    assert "it was interrupted; begin again with: rtbci calibrate --from" in text
    assert "--subject P07 --fine-tune" in text


def test_another_process_with_its_number_is_not_taken_for_it(profile: Profile, job: Job) -> None:
    write_state(profile.folder, replace(asked(profile, job), run="no such argument"))
    assert not background.running(read_state(profile.folder))
    assert not background.stop(profile.folder)


def test_forgetting_a_subject_stops_what_runs_for_her(profile: Profile, job: Job) -> None:
    background.begin(profile, job)
    state = read_state(profile.folder)
    done = CliRunner().invoke(app, ["subjects", "forget", "P07", "--yes"])
    assert done.exit_code == 0, done.output
    assert not profile.folder.exists()
    assert not background.running(state)


def test_calibrate_begins_it_where_it_is_asked_for(profile: Profile, recording: Path) -> None:
    line = f"calibrate --from {recording} --subject P07 --decoder {IGNORANT} --fine-tune --json"
    done = CliRunner().invoke(app, [*line.split(), "--classes", CLASSES])
    assert done.exit_code == 0, done.output
    assert "goes on in the background" in json.loads(done.output)["fine_tuning"]
    now, state = load_profile("P07"), read_state(profile.folder)
    assert state is not None
    assert background.running(state)
    assert state.profile == now.card.created != profile.card.created
    assert state.job == Job((str(recording),), IGNORANT, CLASSES)


def test_it_begins_by_itself_only_after_auto_on_a_terminal(profile: Profile, job: Job) -> None:
    write_state(profile.folder, replace(asked(profile, job), run="no such argument"))
    assert background.go_on(profile, replace(job, decoder="auto"), None, shown=False) == ""
    assert read_state(profile.folder) is None
    assert background.go_on(profile, job, asked=False, shown=True) == ""
    few = replace(profile, card=replace(profile.card, electrodes=("C3", "C4", "O1")))
    said = background.go_on(few, job, asked=True, shown=True)
    assert said.startswith("no fine-tuning: the decoder reads 2")
    assert read_state(profile.folder) is None


def test_where_it_makes_no_sense_it_says_so(profile: Profile) -> None:
    card = profile.card
    assert card.electrodes == LABELS[:8]
    assert why_not(card) == ""
    few = replace(card, score=replace(card.score, trials=19))
    assert why_not(few) == "there are 19 trials, and fine-tuning needs 20"
    assert "2 electrodes over the motor cortex" in why_not(replace(card, electrodes=("C3", "C4")))


def test_a_state_of_another_version_is_none(profile: Profile, job: Job) -> None:
    state = replace(asked(profile, job), trying="eegpt-lora", scores=(Candidate("auto", 0.5),))
    write_state(profile.folder, state)
    assert read_state(profile.folder) == state
    (profile.folder / STATE).write_text('{"stage": 3}', encoding="utf-8")
    assert read_state(profile.folder) is None
    assert background.lines(profile) == []
