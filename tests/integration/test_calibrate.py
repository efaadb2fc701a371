"""From recordings to a decoder in the stream, on made and on real recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imagery import LABELS, write_imagery

from rtbci.calibration.card import Control
from rtbci.calibration.controls.control import caveat
from rtbci.calibration.evaluation.pseudo_online import pseudo_online
from rtbci.calibration.fit import DECODER_VIEW, calibrate
from rtbci.calibration.profile import find_profile, load_estimator, load_profile, streaming_decoder
from rtbci.calibration.reading.track import follow, open_source, play
from rtbci.calibration.reading.trials import TrialConfig, cut, find_cues
from rtbci.calibration.report import CalibrationReport
from rtbci.calibration.scoring.accuracy import in_trial
from rtbci.calibration.scoring.verdict import level
from rtbci.clock import ManualClock
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.recording.writer import Recorder
from rtbci.timeline import Timeline
from rtbci.types import Decode

CLASSES = "S  1=left,S  2=right"
CONFIG = SessionConfig()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imagery")
    write_imagery(folder / "one.vhdr", seed=1)
    write_imagery(folder / "two.vhdr", seed=2)
    return folder


@pytest.fixture(scope="module")
def old(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of profiles with one in it."""
    root = tmp_path_factory.mktemp("profiles")
    fit([made / "one.vhdr"], root, permutations=1)
    return root


def fit(files: list[Path], root: Path, **changes: Any) -> CalibrationReport:
    settings: dict[str, Any] = {
        "classes": CLASSES,
        "decoder": "csp+lda",
        "permutations": 19,
        "profiles_dir": root,
    }
    return calibrate(files, "P07", **(settings | changes))


def test_a_calibrated_decoder_reads_another_recording(made: Path, tmp_path: Path) -> None:
    heard: list[str] = []
    report = fit(
        [made / "one.vhdr"],
        tmp_path,
        decoder="auto",
        progress=lambda what, _: heard.append(what),
    )
    card = report.profile.card
    assert card.classes == ("left", "right")
    assert card.electrodes == LABELS[:8]
    assert card.score.balanced > 0.9
    assert card.score.label == "within one run"
    assert card.score.p_value == pytest.approx(0.05)
    assert card.score.trials == 20
    assert {"reading one.vhdr", "cross-validating", "permuting labels", "fitting"} == set(heard)

    accuracy = pseudo_online(
        load_profile("P07", tmp_path), made / "two.vhdr", classes=CLASSES
    ).accuracy
    assert accuracy is not None
    assert accuracy["trials"] == 20
    assert accuracy["abstained"] == 0
    assert accuracy["balanced"] > 0.9
    assert accuracy["p_value"] < 0.001


def test_no_score_stands_without_its_control_table(made: Path, tmp_path: Path) -> None:
    report = fit([made / "one.vhdr", made / "two.vhdr"], tmp_path, decoder="ts+lr")
    card = report.profile.card
    assert card.score.label == "across runs"
    assert [c.name for c in card.controls][:2] == ["decoder", "rim, low frequencies"]
    assert len(card.controls) == 9
    rim = card.controls[1]
    assert rim.electrodes == 4
    assert rim.balanced is not None
    assert rim.balanced < 0.8
    assert card.score.caveat == ""
    text = "\n".join(report.lines())
    assert "40 trials (across runs), p = 0.050 by 19 permutations" in text
    assert "rim, low frequencies" in text
    assert report.to_dict()["score"]["balanced"] == card.score.balanced


def test_the_profile_holds_all_that_was_found(made: Path, tmp_path: Path) -> None:
    report = fit([made / "one.vhdr"], tmp_path, permutations=None)
    card = load_profile("P07", tmp_path).card
    assert card == report.profile.card
    assert card.metrics is not None
    assert card.metrics.balanced == card.score.balanced
    assert card.verdict is not None
    assert card.verdict.finding == "above chance"
    assert card.verdict.looks == (20,)
    assert card.curve is not None
    assert card.curve.expected > 0.9
    assert card.regressed == ("Fp1", "Fp2")
    assert card.montage == LABELS
    assert len(card.patterns) == 1
    assert card.online.temperature > 0
    assert card.chosen == (
        "chose csp+lda: 1.00 on the folds of the choice; nothing else was tried",
        "left nothing else",
    )
    text = "\n".join(report.lines())
    assert "verdict: above chance" in text
    assert "with 10 more trials expect" in text
    assert "regressed out: Fp1, Fp2" in text
    assert "bits/min" in text


def test_a_second_look_at_a_session_spends_less(made: Path, tmp_path: Path) -> None:
    first = fit([made / "one.vhdr"], tmp_path, permutations=1).profile.card.verdict
    both = fit([made / "one.vhdr", made / "two.vhdr"], tmp_path, permutations=1)
    second = both.profile.card.verdict
    alone = fit([made / "two.vhdr"], tmp_path / "other", permutations=1).profile.card.verdict
    assert first is not None
    assert second is not None
    assert alone is not None
    assert second.looks == (20, 40)
    assert first.level == alone.level
    assert second.level == pytest.approx(level(40, (20,)), abs=1e-4)
    assert second.level < level(40)


def test_a_folder_that_can_not_be_written_is_said_before_anything_is_read(
    made: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    heard: list[str] = []
    with pytest.raises(BadInputError, match=r"can't be written to .*set RTBCI_HOME"):
        fit(
            [made / "one.vhdr"],
            tmp_path / "file" / "subjects",
            progress=lambda what, _: heard.append(what),
        )
    assert heard == []


def test_a_rim_as_good_as_the_decoder_is_said() -> None:
    rim = Control("rim, low frequencies", 4, (0.5, 4.0), 0.78)
    assert "may be reading eyes or muscle: the rim alone reaches 0.78" in caveat(0.80, (rim,))
    assert caveat(0.90, (rim,)) == ""
    assert caveat(0.90, ()) == "no rim electrodes, so eyes and muscle can't be ruled out"


def test_the_stream_gives_the_probabilities_of_the_evaluation(made: Path, tmp_path: Path) -> None:
    """What calibration cut out of a recording is, window by window, what the decoder sees."""
    profile = fit([made / "one.vhdr"], tmp_path).profile
    card, path = profile.card, made / "two.vhdr"
    track = follow(path, {DECODER_VIEW: card.view}, CONFIG)
    labels = {"S  1": "left", "S  2": "right"}
    trial = TrialConfig()
    cues = find_cues([track], [labels], card.classes, trial, card.view.window_s)
    windows = cut([track], cues, card.electrodes, trial, DECODER_VIEW, card.view, 250.0)
    offline = load_estimator(profile).predict_proba(windows.x)

    decodes = [
        result
        for step in play(path, lambda i: streaming_decoder(profile, i.electrodes, CONFIG), CONFIG)
        for result in step.results
        if isinstance(result, Decode)
    ]
    online = [
        d.p
        for cue in cues
        for d in decodes
        if in_trial(cue.time, d.time, card.view.window_s, trial.trial_s)
    ]
    assert len(online) == len(offline) >= 20 * 10
    np.testing.assert_allclose(np.array(online), offline, atol=1e-6)


def test_a_recording_of_ours_gives_what_its_source_gave(made: Path, tmp_path: Path) -> None:
    clock = ManualClock(100.0)
    source = open_source(made / "one.vhdr", clock)
    info = source.open()
    timeline = Timeline(info, CONFIG.timeline, clock)
    recorder = Recorder(
        tmp_path, info, CONFIG, subject="P07", task="live", extra={}, started=clock.now()
    )
    while (raw := source.read()) is not None:
        recorder.write_chunk(timeline.push(raw))
    if (rest := timeline.flush()) is not None:
        recorder.write_chunk(rest)
    recorder.close({})
    source.close()
    ours = fit([recorder.folder], tmp_path / "a", decoder="csp+lda").profile
    theirs = fit([made / "one.vhdr"], tmp_path / "b", decoder="csp+lda").profile
    assert ours.card.score == theirs.card.score
    assert ours.card.electrodes == theirs.card.electrodes
    x = np.random.default_rng(0).standard_normal((5, 8, 500))
    np.testing.assert_allclose(
        load_estimator(ours).predict_proba(x), load_estimator(theirs).predict_proba(x), atol=1e-6
    )


def test_a_recording_named_twice_is_refused(made: Path, tmp_path: Path) -> None:
    """``calibrate --from A A`` gave 1.00 "across runs": it was tested on what it was fitted to."""
    one = made / "one.vhdr"
    why = "a score across runs would test on what it was fitted to"
    with pytest.raises(BadInputError, match=rf"one\.vhdr is named twice; {why}"):
        fit([one, made / ".." / made.name / "one.vhdr"], tmp_path)
    for suffix in (".vhdr", ".vmrk", ".eeg"):
        text = one.with_suffix(suffix).read_bytes()
        copy = tmp_path / f"copy{suffix}"
        copy.write_bytes(text if suffix == ".eeg" else text.replace(b"one.", b"copy."))
    again = rf"copy\.vhdr holds the same signal as one\.vhdr, so it is named twice; {why}"
    with pytest.raises(BadInputError, match=again):
        fit([one, tmp_path / "copy.vhdr"], tmp_path)


def test_bad_trials_and_electrodes_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "bad.vhdr"
    write_imagery(path, flat=["CP4"], bursts=[3, 7])
    report = fit([path], tmp_path)
    assert report.left_out == ("CP4",)
    assert "CP4" not in report.profile.card.electrodes
    assert report.rejected == {"C3 above 4 times its usual amplitude": 2}
    assert report.profile.card.score.trials == 18
    text = "\n".join(report.lines())
    assert "trials left out: 2 (C3 above" in text
    assert "electrodes left out, bad in too many trials: CP4" in text


def test_the_electrodes_can_be_chosen(made: Path, tmp_path: Path) -> None:
    report = fit([made / "one.vhdr"], tmp_path, electrodes=["c4", "C3"], permutations=1)
    assert report.profile.card.electrodes == ("C4", "C3")
    with pytest.raises(BadInputError, match=r"electrode P3 is not in one\.vhdr, which has FC3"):
        fit([made / "one.vhdr"], tmp_path, electrodes=["P3"])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"classes": None}, r"does not say which .* S  1 10 times.* --classes"),
        ({"classes": "T1=left,T2=right"}, r"has no marker of a class: .*wanted for T1, T2"),
        ({"classes": "S  1=left,T2=right"}, r"class right has no trial .*S  2 10 times"),
        ({"classes": "S  1=left"}, "only one class, left"),
        ({"montage": "C3,Cz,C4"}, "3 names but .* 12 EEG channels"),
        ({"decoder": "magic"}, "no decoder 'magic'"),
        ({"config": SessionConfig(decode=CONFIG.decode.__class__(trial_s=(0.5, 2.0)))}, "window"),
    ],
)
def test_what_can_not_be_calibrated_is_refused_and_the_old_profile_stays(
    made: Path, old: Path, changes: dict[str, Any], complaint: str
) -> None:
    before = find_profile("P07", old)
    with pytest.raises(BadInputError, match=complaint):
        fit([made / "two.vhdr"], old, **changes)
    assert find_profile("P07", old) == before
    assert before is not None
    load_estimator(before)


def test_two_trials_are_too_few(tmp_path: Path) -> None:
    path = tmp_path / "few.vhdr"
    write_imagery(path, 2)
    with pytest.raises(BadInputError, match="class left has 1 usable trial, but each class"):
        fit([path], tmp_path)
    assert find_profile("P07", tmp_path) is None


def test_recordings_must_fit_each_other(made: Path, tmp_path: Path) -> None:
    write_imagery(tmp_path / "other.vhdr", labels=(*LABELS[:-1], "Oz"))
    with pytest.raises(BadInputError, match=r"have different montages \(O2 is only in one\.vhdr\)"):
        fit([made / "one.vhdr", tmp_path / "other.vhdr"], tmp_path)
    with pytest.raises(BadInputError, match="no recording was named"):
        fit([], tmp_path)
    with pytest.raises(BadInputError, match="nowhere"):
        fit([tmp_path / "nowhere.vhdr"], tmp_path)


def test_all_electrodes_flat(tmp_path: Path) -> None:
    write_imagery(tmp_path / "flat.vhdr", flat=LABELS)
    with pytest.raises(BadInputError, match=r"only 0 of 8 electrodes .*FC3 flat"):
        fit([tmp_path / "flat.vhdr"], tmp_path)


def test_imagined_fists_and_feet_of_a_real_subject(data_dir: Path, tmp_path: Path) -> None:
    """Fit on one run, decode another as a live session would."""
    folder = data_dir / "motor_imagery" / "eegmmidb" / "S001"
    report = calibrate(
        [folder / "S001R06.edf"],
        "S001",
        profiles_dir=tmp_path,
        permutations=1,
        decoder="csp+lda",
    )
    card = report.profile.card
    assert card.classes == ("both_hands", "both_feet")
    assert len(card.electrodes) == 21
    accuracy = pseudo_online(report.profile, folder / "S001R10.edf").accuracy
    assert accuracy is not None
    assert accuracy["trials"] == 15
    assert accuracy["balanced"] >= 0.8


@pytest.mark.parametrize(
    ("name", "classes", "montage", "electrodes", "trials"),
    [
        (
            "openbci_lsl_xdf/sub-01_rec-003.xdf",
            "2=left_hand,3=right_hand",
            "C3,C4,Cz,FC1,FC2,FC5,FC6,CP1,CP2,CP5,CP6,-,-,-,-,-",
            11,
            20,
        ),
        (
            "openbci_cyton_daisy/sub-01_r_l_imagined_raw.fif",
            "left_hand=left_hand,right_hand=right_hand",
            None,
            12,  # Fp1, Fp2, F7 and F8 are regressed out of the others
            20,
        ),
    ],
)
def test_openbci_recordings_need_only_classes_and_montage(
    data_dir: Path,
    tmp_path: Path,
    name: str,
    classes: str,
    montage: str | None,
    electrodes: int,
    trials: int,
) -> None:
    path = data_dir / "motor_imagery" / name
    report = calibrate(
        [path],
        "OBCI",
        classes=classes,
        montage=montage,
        profiles_dir=tmp_path,
        permutations=1,
        decoder="csp+lda",
    )
    card = report.profile.card
    assert len(card.electrodes) == electrodes
    assert card.score.trials + card.score.rejected == trials
