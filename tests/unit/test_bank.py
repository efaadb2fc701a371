"""The population bank: what it stores, how it is cut, whose trials are in it."""

from __future__ import annotations

from pathlib import Path

import banks
import numpy as np
import pytest
from typer.testing import CliRunner

from rtbci.apps.cli import app
from rtbci.calibration.population import store
from rtbci.calibration.population.bank import (
    BANK_VIEW,
    N_PARTS,
    count,
    matching,
    pack,
    part_covariances,
    read_bank,
    shipped_bank,
    unpack,
    write_bank,
)
from rtbci.calibration.population.build import ELECTRODES, build_bank
from rtbci.errors import BadInputError


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small bank in place of the shipped one, and an empty store of one's own."""
    path = tmp_path / "small.safetensors"
    write_bank(banks.small_bank(), path)
    monkeypatch.setattr(store, "shipped_bank", lambda: path)
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path / "home"))
    return path


def test_upper_triangles_come_back() -> None:
    a = np.random.default_rng(0).standard_normal((3, 2, 5, 5))
    a = a + np.swapaxes(a, -1, -2)
    np.testing.assert_array_equal(unpack(pack(a), 5), a)


def test_a_cut_is_the_covariance_of_fewer_electrodes() -> None:
    """Stored are 7 electrodes, re-centred: 3 of them, averaged, are as if only they were there."""
    bank = banks.small_bank(n_subjects=2)
    y = np.arange(30, dtype=np.int64) % 2
    chosen = ("C4", "Cz", "C3")
    x = np.concatenate([banks.trials(y, 100 + s) for s in range(2)]).reshape(60, 2, 7, -1)
    x = x[:, :, [banks.ELECTRODES.index(e) for e in chosen]].astype(np.float64)
    for average in (False, True):
        seen = x - x.mean(axis=2, keepdims=True) if average else x
        wanted = part_covariances(seen.reshape(60, 6, -1), 2)
        cut = bank.cut(chosen, average)
        size = np.linalg.norm(wanted, axis=(-2, -1), keepdims=True)
        assert np.max(np.abs(cut - wanted) / size) < 0.002


def test_parts_are_the_halves_of_a_window() -> None:
    x = np.random.default_rng(1).standard_normal((2, 4, 100))
    made = part_covariances(x, 2)
    assert made.shape == (2, 2, N_PARTS, 2, 2)
    np.testing.assert_allclose(made[1, 0, 1], x[1, :2, 50:] @ x[1, :2, 50:].T / 50)


def test_a_bank_comes_back_from_its_file(tmp_path: Path) -> None:
    bank = banks.small_bank()
    write_bank(bank, tmp_path / "b.safetensors")
    again = read_bank(tmp_path / "b.safetensors")
    for name in ("recentred", "means", "subject", "wanted", "run", "imagined"):
        np.testing.assert_array_equal(getattr(again, name), getattr(bank, name))
    assert (again.electrodes, again.subjects, again.classes, again.about) == (
        bank.electrodes,
        bank.subjects,
        bank.classes,
        bank.about,
    )
    assert count(again)[1] == ("B1", {"left_hand": 15, "right_hand": 15})


def test_a_file_that_is_no_bank_is_named(tmp_path: Path) -> None:
    path = tmp_path / "b.safetensors"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(BadInputError, match=r"b\.safetensors is not a population bank"):
        read_bank(path)


def test_the_same_trials_are_recognised_whatever_the_gain() -> None:
    bank = banks.small_bank()
    y = np.arange(30, dtype=np.int64) % 2
    covariances = bank.cut(banks.ELECTRODES, average=True)

    def found(seed: int) -> set[str]:
        x = 3 * banks.trials(y, seed).astype(np.float64).reshape(30, 2, 7, -1)
        x -= x.mean(axis=2, keepdims=True)
        own = part_covariances(x.reshape(30, 14, -1), 2)
        return matching(covariances, bank.subject, bank.subjects, own[:2])

    assert found(102) == {"B2"}
    assert found(7) == set()


def test_a_subject_is_added_listed_and_removed(small: Path, data_dir: Path) -> None:
    folder = data_dir / "motor_imagery" / "eegmmidb" / "S002"
    path = store.add_subject([folder / "S002R04.edf"], "P07", "signed form of today")
    assert path == store.bank_file("P07")
    bank = store.own_subjects()[0]
    assert bank.subjects == ("P07",)
    assert bank.about["consent"] == "signed form of today"
    assert bank.imagined.all()
    assert len(bank.electrodes) == 64
    assert sum(count(bank)[0][1].values()) == len(bank.subject) <= 15
    assert [b.name for b in store.all_banks()] == ["small", "P07"]
    assert store.remove_subject("P07") == path
    assert store.own_subjects() == []
    assert not store.forget("P07")


def test_nobody_is_added_without_consent_or_under_a_known_name(small: Path) -> None:
    with pytest.raises(BadInputError, match="what the subject has agreed to"):
        store.add_subject([small], "P07", "  ")
    with pytest.raises(BadInputError, match="use another pseudonym"):
        store.add_subject([small], "b1", "signed")
    with pytest.raises(BadInputError, match="can't be a profile's name"):
        store.add_subject([small], "../P07", "signed")
    with pytest.raises(BadInputError, match="P07 is not in your bank"):
        store.remove_subject("P07")


def test_forgetting_a_subject_takes_her_out(small: Path) -> None:
    path = store.bank_file("P07")
    path.parent.mkdir(parents=True)
    write_bank(banks.small_bank(1), path)
    assert len(store.banks_at_hand()) == 2
    assert store.forget("P07")
    assert len(store.banks_at_hand()) == 1


def test_the_command_forgets_a_subject_that_is_in_the_bank_only(small: Path) -> None:
    path = store.bank_file("P07")
    path.parent.mkdir(parents=True)
    write_bank(banks.small_bank(1), path)
    done = CliRunner().invoke(app, ["subjects", "forget", "P07", "--yes"])
    assert str(path) in done.stdout
    assert not path.exists()
    again = CliRunner().invoke(app, ["subjects", "forget", "P07", "--yes"])
    assert isinstance(again.exception, BadInputError)


def test_the_shipped_bank_is_what_its_card_says() -> None:
    bank = read_bank(shipped_bank())
    assert bank.electrodes == ELECTRODES
    assert bank.bands_hz == BANK_VIEW.bands_hz
    assert bank.recentred.dtype == np.float16
    assert np.isfinite(bank.recentred).all()
    assert "S001" not in bank.subjects
    assert len(bank.subjects) == 18
    assert "ODC-By" in bank.about["licence"]
    assert "Schalk" in bank.about["source"]
    assert shipped_bank().stat().st_size < 8e6
    card = shipped_bank().with_suffix(".md").read_text(encoding="utf-8")
    assert "rtbci bank build" in card
    for subject in bank.subjects:
        assert subject in card
    assert f"{len(bank.subject)} trials" in card


def test_the_command_on_the_card_gives_the_shipped_trials(data_dir: Path) -> None:
    """One run of it: the rest would take minutes."""
    run = data_dir / "motor_imagery" / "eegmmidb" / "S002" / "S002R08.edf"
    made = build_bank([run], "again", {}, electrodes=ELECTRODES).bank
    shipped = read_bank(shipped_bank())
    whole = ELECTRODES[:21]
    theirs = shipped.select(shipped.subject == shipped.subjects.index("S002"))
    found = matching(
        theirs.cut(whole, True), theirs.subject, theirs.subjects, made.cut(whole, True)
    )
    assert found == {"S002"}
