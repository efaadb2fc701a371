"""From cues to a profile: on the simulated subject, and through a real engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtbci.apps.calibration_live import LiveCalibration, calibrate_live, conduct, split
from rtbci.apps.cli import app
from rtbci.apps.conductor import Conductor
from rtbci.apps.conductor_state import Stage
from rtbci.apps.keys import Keys
from rtbci.apps.settings import RunSettings, SourceSettings
from rtbci.calibration.evaluation.pseudo_online import pseudo_online
from rtbci.calibration.fit import calibrate
from rtbci.calibration.profile import load_profile
from rtbci.calibration.protocol.config import (
    BlockConfig,
    TrialTiming,
    load_protocol,
)
from rtbci.calibration.protocol.rehearsal import SubjectSettings, rehearse
from rtbci.calibration.protocol.tuning import tune_thresholds
from rtbci.clock import MonotonicClock
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.playback import known_classes
from rtbci.recording.reader import open_recording
from rtbci.recording.writer import Recorder
from rtbci.sources.simulated_signal import SignalConfig
from rtbci.types import CUE_ORIGIN, Chunk, Decode, Marker

MONTAGE = ("FC3", "FC4", "C3", "Cz", "C4", "CP3", "CP4", "Fp1")
BLOCK = replace(
    load_protocol("graz-2"),
    instructions=(),
    trial=TrialTiming(fixation_s=1.0, rest_s=(0.5, 1.0)),
    blocks=BlockConfig(count=1, trials=10, break_s=1.0),
)
"""Ten trials of each class, with little between them."""
FAST = """
title = "Fast"
classes = ["left_hand", "right_hand"]
[trial]
fixation_s = 0.2
cue_s = 0.2
imagery_s = 0.3
rest_s = [0.1, 0.2]
[blocks]
count = 1
trials = 3
break_s = 0.3
"""
END_S = 90.0
"""Longest wait for anything: machines of CI are slow."""


def who(**changes: Any) -> SubjectSettings:
    return SubjectSettings(montage=MONTAGE, **changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rehearse(BLOCK, tmp_path_factory.mktemp("trained"), who(seed=3), seed=1)


@pytest.fixture(scope="module")
def home(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Profiles of a subject who was calibrated with ten trials of each class."""
    root = tmp_path_factory.mktemp("profiles")
    calibrate([trained], "P07", decoder="csp+lda", permutations=1, profiles_dir=root)
    return root


def test_calibrate_then_run_reads_known_imagery(home: Path, tmp_path: Path) -> None:
    """Ten trials of each class in one session; another session is decoded as it would be live."""
    other = rehearse(BLOCK, tmp_path, who(seed=4), seed=2)
    accuracy = pseudo_online(load_profile("P07", home), other).accuracy
    assert accuracy is not None
    assert accuracy["trials"] == 20
    assert accuracy["abstained"] == 0
    assert accuracy["balanced"] > 0.9


def test_who_imagines_nothing_is_not_read(home: Path, tmp_path: Path) -> None:
    other = rehearse(BLOCK.scaled(1, 6), tmp_path, who(seed=5, skill=0.0), seed=3)
    accuracy = pseudo_online(load_profile("P07", home), other).accuracy
    assert accuracy is not None
    assert 0.1 <= accuracy["balanced"] <= 0.8


def test_a_rehearsal_comes_again_to_the_last_bit(tmp_path: Path) -> None:
    config = load_protocol("graz-4").scaled(1, 1)
    one, two = (rehearse(config, tmp_path, who(seed=1), seed=7) for _ in range(2))
    first, second = open_recording(one), open_recording(two)
    n = first.n_rows
    assert first.main.data(0, n).tobytes() == second.main.data(0, n).tobytes()
    assert first.markers() == second.markers()
    assert known_classes(one) == {name: name for name in config.classes}
    cues = [m for m in first.markers() if m.label in config.classes]
    assert len(cues) == 4
    assert {(m.origin, m.duration) for m in cues} == {(CUE_ORIGIN, 1.0)}


def test_the_subject_reacts_to_what_is_shown(trained: Path) -> None:
    """Mu over the other hemisphere falls between the reaction to a cue and the end of imagery."""
    recording = open_recording(trained)
    x = recording.main.data(0, recording.n_rows).astype(np.float64)
    columns = [MONTAGE.index("C3"), MONTAGE.index("C4")]
    ratio: dict[str, list[float]] = {"left_hand": [], "right_hand": []}
    for m in recording.markers():
        if m.label in ratio and m.sample is not None:
            part = x[m.sample + 250 : m.sample + 1100, columns]
            f = np.fft.rfftfreq(len(part), 1 / 250)
            power = np.abs(np.fft.rfft(part * np.hanning(len(part))[:, None], axis=0)) ** 2
            mu = power[(f > 9) & (f < 13)].sum(axis=0)
            ratio[m.label].append(float(np.log(mu[1] / mu[0])))
    assert np.mean(ratio["left_hand"]) < np.mean(ratio["right_hand"]) - 1.0


def test_the_signal_check_shows_eyes_and_muscle(tmp_path: Path) -> None:
    montage = ("Fp1", "F7", "F8", "T7", "O1", "O2")
    folder = rehearse(load_protocol("signal-check"), tmp_path, SubjectSettings(montage, seed=1))
    recording = open_recording(folder)
    x = recording.main.data(0, recording.n_rows).astype(np.float64)
    spans = {m.label: m for m in recording.markers() if m.duration > 10}

    def during(label: str, electrode: str) -> Any:
        at = spans[label].sample
        assert at is not None
        return x[at + 250 : at + round(spans[label].duration * 250), montage.index(electrode)]

    assert during("eyes_closed", "O1").std() > 1.5 * during("eyes_open", "O1").std()
    assert np.diff(during("jaw", "T7")).std() > 3 * np.diff(during("eyes_open", "T7")).std()
    looks = during("look_sides", "F7") - during("look_sides", "F8")
    still = during("eyes_open", "F7") - during("eyes_open", "F8")
    assert looks.std() > 3 * still.std()


def test_saccades_that_go_with_the_labels_are_a_choice(tmp_path: Path) -> None:
    montage = ("F7", "F8", "C3", "C4")
    eyes = SubjectSettings(montage, skill=0.0, signal=SignalConfig(saccade_uv=80.0, blink_uv=0.0))
    recording = open_recording(rehearse(BLOCK.scaled(1, 4), tmp_path, eyes))
    x = recording.main.data(0, recording.n_rows)
    side: dict[str, list[float]] = {"left_hand": [], "right_hand": []}
    for m in recording.markers():
        if m.label in side and m.sample is not None:
            part = x[m.sample + 250 : m.sample + 1000]
            side[m.label].append(float(np.mean(part[:, 0] - part[:, 1])))
    assert min(side["left_hand"]) > max(side["right_hand"])


def test_a_repeated_block_does_not_count(tmp_path: Path) -> None:
    """Its trials are in the recording, and are left out with that as the reason."""
    folder = rehearse(BLOCK, tmp_path, who(seed=6), seed=4)
    half = marked(folder, tmp_path / "void")
    report = calibrate(
        [half], "P07", decoder="csp+lda", permutations=1, profiles_dir=tmp_path / "home"
    )
    assert report.rejected == {"repeated": 8}
    assert report.profile.card.score.trials == 12


def marked(folder: Path, parent: Path) -> Path:
    """A copy of a recording in which the first eight trials were repeated afterwards."""
    recording = open_recording(folder)
    cues = [m for m in recording.markers() if m.label in BLOCK.classes]
    span = Marker(cues[0].time - 1.0, "BAD_repeated", cues[8].time - cues[0].time - 1.0, CUE_ORIGIN)
    recorder = Recorder(
        parent,
        recording.info,
        recording.config,
        subject="P07",
        task="void",
        extra=recording.extra,
        started=0.0,
    )
    for chunk in recording.chunks():
        recorder.write_chunk(chunk)
    end = recording.n_rows
    nothing = np.zeros((0, len(recording.info.channels)), np.float32)
    late = Marker(span.time, span.label, span.duration, span.origin, sample=cues[0].sample)
    recorder.write_chunk(Chunk(end, nothing, np.zeros(0), 0.0, None, (), (late,)))
    recorder.close({})
    return recorder.folder


def test_thresholds_come_from_the_block_without_control(
    trained: Path, home: Path, tmp_path: Path
) -> None:
    recording, card = open_recording(trained), load_profile("P07", home).card
    start = float(recording.main.times(0, 1)[0])
    recorder = Recorder(
        tmp_path,
        recording.info,
        SessionConfig(),
        subject="P07",
        task="calibration",
        extra={},
        started=start,
    )
    rng = np.random.default_rng(0)
    markers = (
        Marker(start, "no_control", 100.0, CUE_ORIGIN, 0),
        Marker(start + 50.0, "BAD_paused", 20.0, CUE_ORIGIN, 12_500),
    )
    for i, chunk in enumerate(recording.chunks()):
        marked_chunk = Chunk(
            chunk.start, chunk.data, chunk.times, chunk.received, chunk.counters, (),
            markers if i == 0 else (),
        )  # fmt: skip
        recorder.write_chunk(marked_chunk)
    for token in range(1200):
        time = start + 0.1 * token
        # In the pause it would be sure of itself: that must not count.
        p = 0.999 if 50.0 <= 0.1 * token < 70.0 else 0.5 + 0.3 * np.sin(token / 40) * rng.random()
        decode = Decode(
            token, 25 * token, time, card.classes, np.array([p, 1 - p]), None, "", "csp", True
        )
        recorder.write_decode(decode, time, time, {})
    recorder.close({})
    tuned = tune_thresholds("P07", recorder.folder, wanted_per_min=0.0, profiles_dir=home)
    assert tuned.choice.reached
    assert tuned.choice.false.minutes == pytest.approx(80 / 60, abs=0.01)
    online = load_profile("P07", home).card.online
    assert online == tuned.choice.config
    assert 0 < online.on < 3.0
    assert "0.00 false activations a minute" in "\n".join(tuned.lines())
    with pytest.raises(BadInputError, match="no decodes of a block without control"):
        tune_thresholds("P07", trained, profiles_dir=home)


def test_a_real_session_records_its_cues(tmp_path: Path) -> None:
    """Engine process, conductor and keys' thread together; only what was recorded is judged."""
    file = tmp_path / "fast.toml"
    file.write_text(FAST, encoding="utf-8")
    config = load_protocol(str(file))
    settings = RunSettings(
        source=SourceSettings(scripted=False),
        classes="left_hand=left_hand,right_hand=right_hand",
        subject="P07",
        decodes=False,
        task="calibration",
        model="ar",
        montage="C3,Cz,C4",
        record=str(tmp_path),
        status_s=0.25,
    )
    stages: list[Stage] = []

    class Watch:
        def show(self, stage: Stage, *, tone: bool) -> None:
            stages.append(stage)

    conductor = Conductor(
        [config],
        1,
        Stage("P07", config.title),
        lambda: nullcontext(Watch()),
        lambda: nullcontext(Keys()),
        scorer=None,
        clock=MonotonicClock(),
    )
    summary, end = conduct(settings, conductor)
    assert end.complete
    recording = open_recording(Path(summary["recording"]))
    assert recording.task == "calibration"
    assert known_classes(recording.files.folder) == {n: n for n in config.classes}
    missed = [c for c in recording.commands() if c.values.get("what") == "missed"]
    cues = [m for m in recording.markers() if m.label in config.classes]
    assert len(cues) + len(missed) >= 6
    assert all(m.sample is not None and m.origin == CUE_ORIGIN for m in cues)
    times = [m.time for m in cues]
    assert times == sorted(times)
    assert stages


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_ctrl_c_keeps_the_recording_and_says_how_to_go_on(tmp_path: Path) -> None:
    file = tmp_path / "fast.toml"
    file.write_text(FAST.replace("trials = 3", "trials = 300"), encoding="utf-8")
    command = [sys.executable, "-c", "from rtbci.apps.entry import main; main()", "calibrate"]
    options = ["--subject", "P07", "--protocol", str(file), "--record", str(tmp_path / "rec")]
    with subprocess.Popen(
        [*command, *options, "--montage", "C3,Cz,C4", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"RTBCI_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"},
    ) as session:
        assert session.stdout is not None
        killer = threading.Timer(END_S, session.kill)
        killer.start()
        for line in session.stdout:
            if json.loads(line).get("kind") == "cue":
                break
        session.send_signal(signal.SIGINT)
        rest, err = session.communicate()
        killer.cancel()
    assert session.returncode == 0, err
    ended = lines(rest)[-1]
    assert ended["event"] == "ended"
    assert f"--from {ended['recording']} --subject P07" in ended["lines"][1]
    assert open_recording(Path(ended["recording"])).summary is not None


def test_a_whole_calibration_of_the_simulated_subject(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path / "home"))
    wanted = LiveCalibration(
        subject="P07",
        source=SourceSettings(speed="max", seed=3),
        protocols=("graz-2",),
        record=tmp_path / "rec",
        blocks=1,
        trials=6,
        seed=1,
        montage=",".join(MONTAGE),
        decoder="csp+lda",
        permutations=19,
        as_json=True,
    )
    calibrate_live(wanted)
    summary = lines(capsys.readouterr().out)[-1]
    assert summary["event"] == "summary"
    assert summary["score"]["balanced"] > 0.9
    assert summary["classes"] == ["left_hand", "right_hand"]
    assert Path(summary["recording"]).is_dir()
    assert load_profile("P07").card.decoder == "csp+lda"


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("a.edf --subject P07", r"to fit from a\.edf, say so: rtbci calibrate --from a\.edf"),
        ("--subject P07 --classes T1=a", "--classes T1=a is for --from"),
        ("--subject P07 --gain 12", "--gain 12 is for a board"),
        ("--subject P07 --lsl X --speed max", "--speed max needs --replay or the simulator"),
        ("--subject ../P07", "P07"),
        ("--subject P07 --trials 0", r"blocks\.trials is 0, but must be at least 1"),
        ("--subject P07 --speed max --protocol no-control", "shows feedback"),
        ("--subject P07 --gui --json", "--gui guides through a whole calibration in a window"),
        ("--subject P07 --gui --headless", "--gui opens a window and --headless none"),
    ],
)
def test_what_can_not_be_calibrated_is_refused(
    line: str, match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path / "home"))
    with pytest.raises(BadInputError, match=match):
        app(["calibrate", *line.split(), "--record", str(tmp_path)], standalone_mode=False)
    assert not list(tmp_path.glob("sub-*"))


def test_feedback_needs_a_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path / "home"))
    groups = split([load_protocol(n) for n in ("signal-check", "graz-2", "no-control")])
    assert [len(g) for g in groups] == [2, 1]
    source = SourceSettings()
    alone = LiveCalibration("P07", source, ("no-control",), tmp_path)
    with pytest.raises(BadInputError, match="P07 has no decoder yet; calibrate one before"):
        calibrate_live(alone)
    with pytest.raises(BadInputError, match="has no blocks of trials"):
        calibrate_live(LiveCalibration("P07", source, ("signal-check",), tmp_path, blocks=2))
    with pytest.raises(BadInputError, match="there is no protocol 'dance'"):
        calibrate_live(LiveCalibration("P07", source, ("dance",), tmp_path))
