"""Controls of the decode head: a head that reads eyes is told from one that reads rhythms."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from recordings import write_brainvision
from typer.testing import CliRunner

from rtbci.apps.cli import app
from rtbci.calibration.evaluation.head_controls import (
    LEFT_SIDE,
    METHODS,
    RIGHT_SIDE,
    HeadControls,
    head_controls,
    learn_eyes,
    versions,
)
from rtbci.errors import BadInputError
from rtbci.models.checkpoint import Checkpoint, save_checkpoint
from rtbci.models.config import preset
from rtbci.models.eegpt import EEGPT
from rtbci.models.pretrain.corpus.read import read_raw
from rtbci.models.pretrain.tasks.answers import log_odds
from rtbci.models.pretrain.tasks.catalogue import CLASSES, HANDS
from rtbci.models.pretrain.tasks.heads import start
from rtbci.models.pretrain.tasks.scores import behind_chain
from rtbci.models.pretrain.tasks.trials import Trials, collect_trials
from rtbci.types import FloatArray

MOTOR = ("FC3", "C3", "FC4", "C4")
NAMES = (*LEFT_SIDE, *RIGHT_SIDE, *MOTOR)
ON_THE_LEFT = np.array([int(name[-1]) % 2 for name in NAMES], dtype=bool)
RATE = 160  # as EEGMMIDB, so that the chain resamples
EVERY_S = 5
TINY = preset("tiny", electrodes=NAMES, classes=CLASSES)


def brain(seed: int, labels: list[int], *, gaze_uv: float, rhythm_uv: float) -> FloatArray:
    """Noise; in each trial (1: right) the eyes turn to its side, the mu rhythm to the other one."""
    rng = np.random.default_rng(seed)
    n = (len(labels) + 1) * EVERY_S * RATE
    x = 5.0 * rng.standard_normal((n, len(NAMES)))
    leak = np.where(np.isin(NAMES, MOTOR), 0.3, 1.0)
    # Its phase wanders: one that began alike in every trial would be no rhythm, but an answer.
    mu = np.sin(2 * np.pi * 11 * np.arange(n) / RATE + 0.2 * rng.standard_normal(n).cumsum())
    amplitude = np.where(np.isin(NAMES, MOTOR), rhythm_uv, 0.0)
    for i, label in enumerate(labels):
        start = (4 + EVERY_S * i) * RATE
        rows = slice(start, start + 4 * RATE)
        side = np.where(ON_THE_LEFT, 1 - 2 * label, 2 * label - 1)
        x[rows] += gaze_uv * leak * side
        x[rows] += mu[rows, None] * amplitude * (side > 0)
    return x.astype(np.float32)


def write(
    folder: Path, name: str, x: FloatArray, labels: list[int], names: tuple[str, ...]
) -> Path:
    path = folder / f"{name}.vhdr"
    markers = [("Stimulus", f"T{1 + y}", (4 + EVERY_S * i) * RATE) for i, y in enumerate(labels)]
    write_brainvision(path, names, x.astype(np.float64), markers, RATE)
    return path


def write_all(folder: Path, **made: float) -> list[Path]:
    """Write two subjects to learn from, and one that is held out."""
    rng = np.random.default_rng(7)
    paths = []
    for seed, (name, n_trials) in enumerate((("S003R03", 16), ("S004R03", 16), ("S001R03", 32))):
        labels = rng.permutation(n_trials) % 2
        x = brain(seed, labels.tolist(), **made)
        paths.append(write(folder, name, x, labels.tolist(), NAMES))
    return paths


def trials_of(network: EEGPT, path: Path, subject: str) -> Trials:
    recordings = [behind_chain(raw, TINY) for raw in read_raw(path, subject)]
    trials = collect_trials(network, recordings)
    assert trials is not None
    return trials


def headed(paths: list[Path]) -> Checkpoint:
    """Fit the head of an untrained encoder on recordings, in closed form."""
    torch.manual_seed(0)
    network = EEGPT(TINY).eval()
    parts = [trials_of(network, path, path.stem) for path in paths]
    assert network.teg is not None
    whole = Trials(
        torch.cat([p.states for p in parts]),
        parts[0].electrode_ids,
        torch.cat([p.valid for p in parts]),
        torch.cat([p.targets for p in parts]),
        tuple(s for p in parts for s in p.subjects),
        tuple(g for p in parts for g in p.groups),
        np.concatenate([p.plain for p in parts]),
    )
    start(network.teg, {HANDS: whole})
    return Checkpoint.of(network, name="fresh")


@pytest.fixture(scope="module")
def gaze(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Checkpoint]:
    paths = write_all(tmp_path_factory.mktemp("gaze"), gaze_uv=60.0, rhythm_uv=0.0)
    return paths, headed(paths[:2])


@pytest.fixture(scope="module")
def gazing(gaze: tuple[list[Path], Checkpoint]) -> tuple[HeadControls, list[str]]:
    """Controls of the head that reads the eyes, and the files that their progress told."""
    told: list[str] = []
    found = head_controls(gaze[1], gaze[0], progress=lambda _, name: told.append(name))
    return found, told


def test_a_head_that_reads_the_eyes_loses_its_score_without_them(
    gazing: tuple[HeadControls, list[str]],
) -> None:
    found, told = gazing
    mean = found.mean()
    assert mean["eyes"] == 1.0
    assert mean["head"] > 0.85
    assert mean["regressed"] < 0.65
    assert mean["high_passed"] < 0.65
    assert found.learned_on == ("eegmmidb-S003", "eegmmidb-S004")
    assert set(found.subjects) == {"eegmmidb-S001"}
    assert told == ["S001R03.vhdr", "S003R03.vhdr", "S004R03.vhdr"]


def test_a_head_that_reads_a_rhythm_keeps_its_score(tmp_path: Path) -> None:
    paths = write_all(tmp_path, gaze_uv=0.0, rhythm_uv=40.0)
    mean = head_controls(headed(paths[:2]), paths).mean()
    assert mean["eyes"] < 0.8
    for method in ("head", "regressed", "high_passed"):
        assert mean[method] > 0.7


def test_the_head_as_it_is_gets_what_it_gets_live(
    gaze: tuple[list[Path], Checkpoint], gazing: tuple[HeadControls, list[str]]
) -> None:
    (paths, checkpoint), (found, _) = gaze, gazing
    trials = trials_of(checkpoint.network, paths[2], "eegmmidb-S001")
    assert checkpoint.network.teg is not None
    odds = log_odds(checkpoint.network.teg, trials).sum(dim=1).numpy()
    np.testing.assert_array_equal(found.labels, trials.labels.numpy())
    np.testing.assert_allclose(found.evidence["head"], odds, atol=0.01 * np.abs(odds).max())


def test_a_trial_that_the_end_of_a_file_cuts_short_is_left_out(
    gaze: tuple[list[Path], Checkpoint], tmp_path: Path
) -> None:
    x = brain(5, [0, 1, 0, 1], gaze_uv=60.0, rhythm_uv=0.0)
    short = write(tmp_path, "S001R04", x[: round(23.2 * RATE)], [0, 1, 0, 1], NAMES)
    found = head_controls(gaze[1], [gaze[0][0], short])
    assert found.labels.tolist() == [0, 1, 0]
    assert {len(v) for v in found.evidence.values()} == {3}


def test_versions_are_causal_and_leave_the_references_alone() -> None:
    """Rows to come change nothing, and taking the eyes out of themselves would leave nothing."""
    x = brain(3, [0, 1, 1, 0], gaze_uv=60.0, rhythm_uv=5.0).astype(np.float64)
    whole, part = versions(x, NAMES, RATE), versions(x[:2001], NAMES, RATE)
    assert set(whole) == set(METHODS[1:])
    for method in METHODS[1:]:
        np.testing.assert_array_equal(whole[method][:2001], part[method])
    np.testing.assert_array_equal(whole["head"], x)
    np.testing.assert_array_equal(whole["regressed"][:, :6], x[:, :6])
    spectrum = np.abs(np.fft.rfft(whole["high_passed"][:, 0])) / np.abs(np.fft.rfft(x[:, 0]))
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    assert np.median(spectrum[(hz > 0.5) & (hz < 3)]) < 0.1
    assert np.median(spectrum[hz > 10]) == pytest.approx(1.0, abs=0.02)


def test_the_eyes_prefer_no_side() -> None:
    courses = np.random.default_rng(0).standard_normal((40, 16)) + 3.0
    labels = np.arange(40) % 2
    np.testing.assert_allclose(learn_eyes(-courses, 1 - labels), learn_eyes(courses, labels))


def test_scores_by_subject_and_by_what_the_eyes_decide() -> None:
    """Ten trials of one subject, two of another; by hand."""
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1])
    sign = 2.0 * labels - 1.0
    eyes, head = sign.copy(), sign.copy()
    eyes[[0, 4]] *= -1  # wrong in one trial of each side
    head[[0, 1, 2]] *= -1
    found = HeadControls(
        model="made",
        identity="0" * 64,
        learned_on=("b",),
        subjects=("z",) * 10 + ("a",) * 2,
        labels=labels,
        evidence={"eyes": eyes, "head": head, "regressed": head, "high_passed": -sign},
    )
    z, a = (
        {"eyes": 0.8, "head": 0.7, "regressed": 0.7, "high_passed": 0.0},
        dict.fromkeys(METHODS, 1.0),
    )
    a["high_passed"] = 0.0
    assert found.by_subject() == {"a": a, "z": pytest.approx(z)}
    assert found.mean() == pytest.approx({m: (z[m] + a[m]) / 2 for m in METHODS})
    right, wrong = found.to_dict()["pooled"]
    assert (right["trials"], wrong["trials"]) == (10, 2)
    assert wrong["balanced"] == {"head": 0.5, "regressed": 0.5, "high_passed": 0.0}
    assert right["balanced"]["head"] == 0.8
    never = dataclasses.replace(found, evidence={**found.evidence, "eyes": sign})
    assert never.to_dict()["pooled"][1]["balanced"]["head"] is None


def test_the_command_prints_a_table_or_one_json_object(
    gaze: tuple[list[Path], Checkpoint], tmp_path: Path
) -> None:
    paths, checkpoint = gaze
    save_checkpoint(tmp_path / "mine.safetensors", checkpoint.network)
    asked = ["evaluate", "head", *map(str, paths), "--model", str(tmp_path / "mine.safetensors")]
    ran = CliRunner().invoke(app, [*asked, "--json"])
    assert (ran.exit_code, ran.stderr) == (0, "")
    said = json.loads(ran.stdout)
    assert said["event"] == "summary"
    assert (said["model"], said["hash"]) == ("mine", checkpoint.identity)
    assert said["subjects"][0]["subject"] == "eegmmidb-S001"
    assert said["subjects"][0]["trials"] == said["trials"] == 32
    assert said["mean"]["eyes"] == 1.0
    assert [g["eyes"] for g in said["pooled"]] == ["right", "wrong"]
    ran = CliRunner().invoke(app, asked)
    assert "eegmmidb-S001" in ran.stdout
    assert "eyes wrong" in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80


def test_what_can_not_be_scored_is_said_in_a_sentence(
    gaze: tuple[list[Path], Checkpoint], tmp_path: Path
) -> None:
    paths, checkpoint = gaze
    with pytest.raises(BadInputError, match="of 2 recordings 0 are of held-out subjects"):
        head_controls(checkpoint, paths[:2])
    with pytest.raises(BadInputError, match="the eyes are learned on others"):
        head_controls(checkpoint, paths[2:])
    quiet = np.zeros((20 * RATE, len(NAMES)), np.float32)
    silent = write(tmp_path, "S001R04", quiet, [], NAMES)
    with pytest.raises(BadInputError, match="recordings with cues of left_hand and right_hand 0"):
        head_controls(checkpoint, [paths[0], silent])
    few = write(tmp_path, "S002R03", quiet[:, 6:], [0, 1], MOTOR)
    with pytest.raises(BadInputError, match="S002R03 has no AF7, F7, FT7, AF8, F8, FT8"):
        head_controls(checkpoint, [few, *paths])
    deaf = write(tmp_path, "S014R03", quiet[:, :6], [0, 1], NAMES[:6])
    with pytest.raises(BadInputError, match="S014R03 has none of the electrodes that the head"):
        head_controls(checkpoint, [deaf, *paths])
    headless = Checkpoint.of(EEGPT(dataclasses.replace(TINY, classes=())), name="bare")
    with pytest.raises(BadInputError, match=r"bare has no head .*\(its classes: none\)"):
        head_controls(headless, paths)
