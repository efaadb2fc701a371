"""One real mode of fine-tuning, from a recording to a profile that decodes another one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from imagery import write_imagery

from rtbci.apps.fine_tuning import run_job
from rtbci.calibration.evaluation.pseudo_online import pseudo_online
from rtbci.calibration.fit import calibrate
from rtbci.calibration.offer import FineTuning, Job, Outcome, take_offer
from rtbci.calibration.profile import load_profile

CLASSES = "S  1=left,S  2=right"
IGNORANT = "sklearn.dummy:DummyClassifier"


def test_the_foundation_model_is_fine_tuned_taken_and_decodes(tmp_path: Path) -> None:
    write_imagery(tmp_path / "one.vhdr", seed=1)
    write_imagery(tmp_path / "two.vhdr", n_trials=6, seed=2)
    root = tmp_path / "subjects"
    profile = calibrate(
        [tmp_path / "one.vhdr"],
        "P07",
        classes=CLASSES,
        decoder=IGNORANT,
        permutations=1,
        profiles_dir=root,
    ).profile
    job = Job((str(tmp_path / "one.vhdr"),), IGNORANT, CLASSES, modes=("eegpt-heads",))
    begun = FineTuning(profile.card.created, job, "run", os.getpid(), profile.card.created)
    state = run_job(profile.folder, begun)
    assert state.outcome == Outcome.OFFERED, state.said
    card = take_offer("P07", root).card
    assert card.decoder == "eegpt-heads"
    assert card.score.balanced > 0.8
    assert card.patterns
    assert replace(card.online, temperature=1.0) == replace(profile.card.online, temperature=1.0)

    accuracy = pseudo_online(
        load_profile("P07", root), tmp_path / "two.vhdr", classes=CLASSES
    ).accuracy
    assert accuracy is not None
    assert accuracy["balanced"] == pytest.approx(1.0, abs=0.34)
