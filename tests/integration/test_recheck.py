"""The next day: the same subject is kept, a moved cap re-centred, no imagery calibrated again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rtbci.apps.cli import app
from rtbci.calibration.basis import read_basis, recipes_of
from rtbci.calibration.decoders.catalogue import make_decoder
from rtbci.calibration.fit import calibrate
from rtbci.calibration.online.adaptation import Referenced
from rtbci.calibration.online.decoder import online_decoder
from rtbci.calibration.online.recentred import Recentred
from rtbci.calibration.profile import load_estimator, load_profile
from rtbci.calibration.protocol.config import load_protocol
from rtbci.calibration.protocol.rehearsal import SubjectSettings, rehearse
from rtbci.calibration.recheck import recheck, recheck_protocol
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError

CAP = ("Fp1", "Fp2", "C3", "Cz", "C4", "CP3", "CP4", "FC3", "FC4", "O1", "O2")
MOVED = ("AF7", "Fpz", "C5", "C1", "C2", "CP5", "CP2", "FC5", "FC2", "PO7", "Oz")
"""The same cap, turned to the left by the width of a finger."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a session's recording and the profile ``P01`` that was made of it."""
    parent = tmp_path_factory.mktemp("home")
    session = (load_protocol("signal-check"), load_protocol("graz-2").scaled(1, 8))
    recording = rehearse(session, parent, SubjectSettings(CAP, seed=1))
    calibrate(
        [recording], "P01", decoder="csp+lda", profiles_dir=parent / "subjects", permutations=20
    )
    return parent


def tomorrow(home: Path, name: str, who: SubjectSettings, trials: int = 5) -> Path:
    protocol = recheck_protocol(load_profile("P01", home / "subjects").card)
    return rehearse(protocol.scaled(1, trials), home, who, seed=7, subject=name)


def test_what_the_check_showed_is_in_the_profile(home: Path) -> None:
    card = load_profile("P01", home / "subjects").card
    assert card.learned is not None
    assert card.learned.references == card.regressed == ("Fp1", "Fp2")
    assert card.learned.limits


def test_the_same_subject_is_kept(home: Path) -> None:
    found = recheck(
        "P01",
        tomorrow(home, "same", SubjectSettings(CAP, seed=50)),
        profiles_dir=home / "subjects",
        save=False,
    )
    assert found.verdict == "kept"
    assert found.profile is None
    assert found.check is not None
    assert found.trials == 10


def test_no_imagery_is_to_be_calibrated_again_and_changes_nothing(home: Path) -> None:
    before = load_profile("P01", home / "subjects")
    found = recheck(
        "P01",
        tomorrow(home, "nothing", SubjectSettings(CAP, seed=50, skill=0.0)),
        profiles_dir=home / "subjects",
    )
    assert found.verdict == "calibrate again"
    assert load_profile("P01", home / "subjects") == before
    assert found.to_dict()["as_it_is"]["right"] < 10


def test_a_moved_cap_is_recentred_and_the_profile_decodes_with_it(home: Path) -> None:
    recording = tomorrow(home, "moved", SubjectSettings(MOVED, seed=50))
    names = ",".join(CAP)
    found = recheck("P01", recording, montage=names, profiles_dir=home / "subjects")
    assert found.verdict == "re-centred"
    assert found.as_it_is is not None
    assert found.recentred is not None
    assert found.recentred.right > found.as_it_is.right
    assert found.profile is not None
    profile = load_profile("P01", home / "subjects")
    assert "re-centred" in profile.card.rechecked[-1]
    assert profile.card.learned is not None
    assert profile.card.learned.recording == recording.name
    estimator = load_estimator(profile)
    assert isinstance(estimator, Recentred)
    decoder = online_decoder(profile, CAP, SessionConfig(), {})
    assert decoder.adapted.untouched
    again = recheck("P01", recording, montage=names, profiles_dir=home / "subjects", save=False)
    assert again.verdict == "kept"


def test_two_maps_in_a_row_are_one() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 3, 200)).astype(np.float32)
    x[::2, 0] *= 2
    fitted = Referenced.around(make_decoder("csp+lda").fit(x, np.arange(20) % 2), x, 1)
    assert fitted.riemann is not None
    once = Recentred.to(fitted, 4.0 * fitted.riemann)
    twice = Recentred.to(once, 9.0 * fitted.riemann)
    np.testing.assert_allclose(twice.predict_proba(3 * x), fitted.predict_proba(x), atol=1e-5)
    assert twice.euclid is not None
    np.testing.assert_allclose(twice.euclid, 9.0 * np.asarray(fitted.euclid), rtol=1e-9)


def test_too_few_cues_and_a_foreign_montage_are_refused(home: Path) -> None:
    short = tomorrow(home, "short", SubjectSettings(CAP, seed=50), trials=2)
    with pytest.raises(BadInputError, match="at least 3 of each"):
        recheck("P01", short, profiles_dir=home / "subjects")
    other = tuple("FCz" if e == "C3" else e for e in CAP)
    foreign = tomorrow(home, "foreign", SubjectSettings(other, seed=50), trials=3)
    with pytest.raises(BadInputError, match="needs C3"):
        recheck("P01", foreign, profiles_dir=home / "subjects")


def test_the_commands_print_what_was_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTBCI_HOME", str(home))
    recording = tomorrow(home, "commands", SubjectSettings(CAP, seed=51), trials=3)
    run = CliRunner()
    checked = run.invoke(app, ["check", str(recording)])
    assert checked.exit_code == 0, checked.output
    assert "alpha rises" in checked.output
    assert checked.output.rstrip().endswith("go on.")
    judged = run.invoke(app, ["recheck", "P01", str(recording), "--no-save", "--json"])
    assert judged.exit_code == 0, judged.output
    assert '"verdict"' in judged.output


def test_with_the_check_switched_off_nothing_is_learned(home: Path) -> None:
    recording = next(p for p in home.glob("*") if "simulated" in p.name)
    recipes, config = recipes_of("csp+lda"), SessionConfig()
    signals = []
    for wanted in (True, False):
        basis = read_basis(
            [recording], "P02", recipes, config, lambda *_: None, signal_check=wanted
        )
        assert (basis.data.learned is not None) == wanted
        signals.append(basis.data.tracks[0].signals[recipes["csp+lda"].view.key])
    assert np.abs(signals[0] - signals[1]).max() > 0
