"""Profiles on disk: what is trusted, what is refused, and what survives a failure."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline

from rtbci.calibration import profile as profiles
from rtbci.calibration.card import Candidate, Card, Control, Score, read_card, write_card
from rtbci.calibration.decoders.catalogue import make_decoder
from rtbci.calibration.profile import (
    Profile,
    copy_profile,
    find_profile,
    forget_profile,
    list_profiles,
    load_estimator,
    load_profile,
    open_profile,
    save_profile,
    streaming_decoder,
    subjects_dir,
)
from rtbci.config import PreprocessConfig, SessionConfig
from rtbci.errors import BadInputError

NAMES = ("C3", "Cz", "C4")


class Foreign(BaseEstimator):  # type: ignore[misc]
    """An estimator of nobody that is trusted."""

    def fit(self, x: Any, y: Any) -> Foreign:
        return self


def card(subject: str = "P07", **changes: Any) -> Card:
    made = Card(
        subject=subject,
        created="2026-11-21T10:00:00+00:00",
        decoder="ts+lr",
        file="",
        sha256="",
        classes=("left", "right"),
        electrodes=NAMES,
        source_rate=250.0,
        recordings=('a "quoted" näme.edf', "b\\c.edf"),
        score=Score(0.75, "across runs", 40, 2, 0.01, 200, "no rim electrodes"),
        candidates=(Candidate("csp+lda", 0.7), Candidate("ts+lr", 0.75)),
        controls=(Control("decoder", 3, (8.0, 30.0), 0.75), Control("rim", 0, (0.5, 4.0), None)),
    )
    return dataclasses.replace(made, **changes)


def fitted(seed: int = 0) -> Any:
    x = np.random.default_rng(seed).standard_normal((12, 3, 500))
    return make_decoder("ts+lr").fit(x, np.arange(12) % 2)


@pytest.fixture
def saved(tmp_path: Path) -> Profile:
    return save_profile(card(), fitted(), tmp_path)


def test_a_card_is_read_as_it_was_written(saved: Profile) -> None:
    assert open_profile(saved.folder) == saved
    assert read_card(saved.folder / "profile.toml") == saved.card
    assert 'label = "across runs"' in write_card(saved.card)


def test_a_card_from_before_a_knob_does_what_was_done_then(saved: Profile) -> None:
    """What was recorded with it replays as it was, whatever new profiles begin with."""
    path = saved.folder / "profile.toml"
    text = path.read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if not line.startswith("flag_")]
    assert len(kept) == len(text.splitlines()) - 2
    path.write_text("\n".join(kept), encoding="utf-8")
    old = read_card(path).online
    assert (old.flag_hold_s, old.flag_settle_s) == (0.0, 0.0)
    assert dataclasses.replace(old, flag_hold_s=2.0, flag_settle_s=1.0) == saved.card.online


def test_the_decoder_is_loaded_as_it_was_saved(saved: Profile) -> None:
    x = np.random.default_rng(5).standard_normal((4, 3, 500))
    loaded = load_estimator(saved)
    np.testing.assert_array_equal(loaded.predict_proba(x), fitted().predict_proba(x))


def test_a_new_profile_keeps_the_old_one_in_its_history(saved: Profile) -> None:
    root = saved.folder.parent
    new = save_profile(card(decoder="csp+lda"), fitted(1), root)
    again = save_profile(card(), fitted(2), root)
    assert again.card.file != new.card.file != saved.card.file
    kept = sorted((saved.folder / "history").iterdir())
    assert [open_profile(k).card.decoder for k in kept] == ["ts+lr", "csp+lda"]
    load_estimator(open_profile(kept[0]))
    assert sorted(p.name for p in saved.folder.iterdir()) == sorted(
        [again.card.file, "history", "profile.toml"]
    )
    assert list_profiles(root) == ["P07"]


def test_a_failure_leaves_the_old_profile_in_force(
    saved: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(profiles, "_replace", full)
    with pytest.raises(OSError, match="No space"):
        save_profile(card(decoder="csp+lda"), fitted(1), saved.folder.parent)
    assert load_profile("P07", saved.folder.parent) == saved
    load_estimator(saved)


def test_foreign_types_are_neither_saved_nor_loaded(saved: Profile) -> None:
    foreign = make_pipeline(Foreign())
    with pytest.raises(BadInputError, match=r"holds .*Foreign, which would not be loaded again"):
        save_profile(card(), foreign, saved.folder.parent)
    assert load_profile("P07", saved.folder.parent) == saved
    content = skops.io.dumps(foreign)
    saved.decoder_file.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    forged = Profile(saved.folder, dataclasses.replace(saved.card, sha256=digest))
    with pytest.raises(BadInputError, match=r"holds .*Foreign, and only types of scikit-learn"):
        load_estimator(forged)


def test_a_trusted_package_does_not_vouch_for_what_it_imported() -> None:
    assert profiles._is_trusted("pyriemann.tangentspace.TangentSpace")
    assert not profiles._is_trusted("pyriemann.estimation.np")
    assert not profiles._is_trusted("sklearn.utils.os")
    assert not profiles._is_trusted("sklearn.nowhere.Thing")
    assert not profiles._is_trusted("os.system")


def test_a_damaged_decoder_is_refused(saved: Profile) -> None:
    saved.decoder_file.write_bytes(saved.decoder_file.read_bytes()[:-10])
    with pytest.raises(BadInputError, match="not the file its profile was made with"):
        load_estimator(saved)
    saved.decoder_file.unlink()
    with pytest.raises(BadInputError, match="can't be read: No such file"):
        load_estimator(saved)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("decoder = ", "decoder ", "is damaged"),
        ('decoder = "ts+lr"\n', "", "it has no decoder"),
        ("subject = ", "sujbect = 3\nsubject = ", "no setting 'sujbect'"),
        ("file = ", 'file = "../../x.skops"\nwas = ', "no setting 'was'"),
        ("source_rate = 250.0", "source_rate = true", "must be a number"),
    ],
)
def test_a_damaged_card_is_refused(saved: Profile, old: str, new: str, complaint: str) -> None:
    path = saved.folder / "profile.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadInputError, match=complaint):
        open_profile(saved.folder)


def test_a_card_can_not_point_elsewhere(saved: Profile) -> None:
    path = saved.folder / "profile.toml"
    text = path.read_text(encoding="utf-8").replace(saved.card.file, f"../{saved.card.file}")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match="is not a file beside it"):
        open_profile(saved.folder)


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "-x", "P 7", "ü", "con", "x" * 65])
def test_names_that_are_no_folders_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="use letters, digits, - and _"):
        find_profile(name, tmp_path)


def test_what_is_not_there_is_said(saved: Profile) -> None:
    root = saved.folder.parent
    assert find_profile("P08", root) is None
    with pytest.raises(BadInputError, match=r"no profile of P08 \(there are: P07\); make one with"):
        load_profile("P08", root)


def test_forget_removes_all(saved: Profile) -> None:
    root = saved.folder.parent
    save_profile(card(), fitted(1), root)
    assert forget_profile("P07", root) == saved.folder
    assert list(root.iterdir()) == []
    assert list_profiles(root / "nowhere") == []


def test_a_copy_is_a_profile_without_the_history(saved: Profile, tmp_path: Path) -> None:
    root = saved.folder.parent
    newest = save_profile(card(), fitted(1), root)
    copied = copy_profile(newest, tmp_path / "rec" / "decoder")
    assert open_profile(copied.folder).card == newest.card
    assert len(list(copied.folder.iterdir())) == 2
    load_estimator(copied)


def test_where_profiles_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path))
    assert subjects_dir() == tmp_path / "subjects"
    assert subjects_dir(tmp_path / "x") == tmp_path / "x"
    monkeypatch.delenv("RTBCI_HOME")
    assert subjects_dir().parts[-2:] == ("rtbci", "subjects")


def test_electrodes_are_found_by_name_in_any_order(saved: Profile) -> None:
    rng = np.random.default_rng(3)
    x = (10 * rng.standard_normal((500, 5))).astype(np.float32)
    answers = []
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 1, 3]):
        names = [("Fp1", "C3", "Cz", "C4", "O1")[i] for i in order]
        d = streaming_decoder(saved, names, SessionConfig())
        d.push(np.ascontiguousarray(x[:, order]))
        answers.append(d.decode(np.ones(5, dtype=np.bool_))[0])
    assert d.name == "P07: ts+lr"
    assert d.classes == ("left", "right")
    np.testing.assert_array_equal(answers[0], answers[1])


def test_what_does_not_fit_the_stream_is_spelled_out(saved: Profile) -> None:
    with pytest.raises(BadInputError, match=r"P07: ts\+lr needs Cz, which this stream does not"):
        streaming_decoder(saved, ("C3", "C4"), SessionConfig())
    other = SessionConfig(preprocess=PreprocessConfig(high_pass_hz=1.0))
    with pytest.raises(BadInputError, match=r"high_pass_hz = 0\.5, but this session has 1\.0"):
        streaming_decoder(saved, NAMES, other)
    norm = SessionConfig(preprocess=PreprocessConfig(ema_s=5.0))
    assert streaming_decoder(saved, NAMES, norm).calibrated


def test_a_stream_with_other_electrodes_near_the_eyes_is_refused(tmp_path: Path) -> None:
    """What is regressed out of a decoder's electrodes is part of what it was fitted on."""
    made = save_profile(card(regressed=("Fp1",), montage=(*NAMES, "Fp1")), fitted(), tmp_path)
    assert streaming_decoder(made, (*NAMES, "Fp1", "O1"), SessionConfig()).calibrated
    with pytest.raises(BadInputError, match=r"fitted with Fp1 regressed out .* lacks Fp1"):
        streaming_decoder(made, NAMES, SessionConfig())
    with pytest.raises(BadInputError, match=r"this stream also has Fp2; use the montage"):
        streaming_decoder(made, (*NAMES, "Fp1", "Fp2"), SessionConfig())


def test_a_stream_that_is_too_slow_for_the_decoder_is_refused(saved: Profile) -> None:
    assert streaming_decoder(saved, NAMES, SessionConfig(), 1000.0).calibrated
    with pytest.raises(BadInputError, match=r"fitted at 250 Hz, .* this stream has 64 Hz"):
        streaming_decoder(saved, NAMES, SessionConfig(), 64.0)
