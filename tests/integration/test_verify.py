"""A recording is compared with its replay as far as it goes, on whatever machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from rtbci.apps.assemble import DECODER_LIBRARIES, make_engine, platform_facts
from rtbci.apps.cli import app
from rtbci.apps.settings import RunSettings, SourceSettings
from rtbci.apps.verify import cut_short, verify_recording
from rtbci.errors import BadInputError
from rtbci.recording.layout import RecordingFiles, find_recording
from rtbci.recording.reader import open_recording
from rtbci.recording.recover import recover
from rtbci.recording.results import read_header


def session(parent: Path, seed: int = 1) -> Path:
    settings = RunSettings(
        source=SourceSettings(speed="max", seed=seed),
        montage="C3,Cz,C4",
        model="ar",
        record=str(parent),
        duration_s=4.0,
    )
    return Path(make_engine(settings, publish=lambda _: None).run()["recording"])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return session(tmp_path_factory.mktemp("recorded"))


@pytest.fixture
def files(recorded: Path, tmp_path: Path) -> RecordingFiles:
    shutil.copytree(recorded, tmp_path / recorded.name)
    return find_recording(tmp_path / recorded.name)


def lose_last_forecasts(files: RecordingFiles, count: int) -> None:
    """Leave what a killed session leaves: rows, and not yet what was made of them."""
    known = read_header(files.forecasts)
    assert known is not None
    size = files.forecasts.stat().st_size
    with files.forecasts.open("r+b") as file:
        file.truncate(size - count * known[0].dtype.itemsize)


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_killed_session_is_compared_as_far_as_its_results_go(files: RecordingFiles) -> None:
    """Rows are written before results, so the last results are what a SIGKILL takes.

    They were once reported as differences, and every killed session "replayed differently".
    """
    whole = verify_recording(files.folder)
    assert whole.same
    assert whole.unrecorded == 0
    lose_last_forecasts(files, 3)
    assert verify_recording(files.folder).count == 3  # it says that it ended properly
    files.summary.unlink()
    torn = verify_recording(files.folder)
    assert (torn.same, torn.forecasts, torn.unrecorded) == (True, whole.forecasts - 3, 3)
    assert torn.to_event()["unrecorded"] == 3
    assert "3 results at the end were not compared: the session was cut short" in torn.words()
    recover(files.folder)
    assert verify_recording(files.folder).unrecorded == 3


def test_a_session_that_an_error_ended_counts_as_cut_short(files: RecordingFiles) -> None:
    lose_last_forecasts(files, 1)
    change(files.summary, ended="error: the disk is full")
    assert cut_short(open_recording(files.folder))
    assert verify_recording(files.folder).same
    change(files.summary, ended="stopped")
    assert not cut_short(open_recording(files.folder))
    assert not verify_recording(files.folder).same


def test_what_a_killed_session_did_write_must_still_come_again(files: RecordingFiles) -> None:
    files.summary.unlink()
    with files.main.data.open("r+b") as file:
        file.seek(4 * 3 * 900 + 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 64]))
    assert not verify_recording(files.folder).same


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_recording_made_on_cuda_is_verified_on_the_cpu(files: RecordingFiles) -> None:
    values = json.loads(files.session.read_text())
    values["extra"]["platform"]["device"] = "cuda"
    values["extra"]["model"] |= {"asked": None, "name": "eegpt-base"}
    before = open_recording(files.folder).extra["model"]["hash"]
    files.session.write_text(json.dumps(values))
    with pytest.raises(BadInputError, match="for other weights"):  # not: no CUDA device here
        verify_recording(files.folder)
    values["extra"]["model"] |= {"asked": "ar", "hash": before}
    files.session.write_text(json.dumps(values))
    result = verify_recording(files.folder)
    assert result.same
    assert result.other == {"device": ("cuda", "cpu")}
    assert "device cuda then, cpu now" in result.words()
    with pytest.raises(BadInputError, match="--device cuda: PyTorch finds no CUDA device"):
        verify_recording(files.folder, "cuda")


def test_the_platform_names_all_that_results_hang_on(recorded: Path) -> None:
    facts = platform_facts("cpu")
    assert {"system", "machine", "torch", *DECODER_LIBRARIES} <= set(facts)
    assert open_recording(recorded).extra["platform"] == facts


def test_several_recordings_in_one_command(recorded: Path, tmp_path: Path) -> None:
    """README's ``rtbci replay recordings/* --verify`` took one recording only."""
    shutil.copytree(recorded, tmp_path / recorded.name)
    one, other = tmp_path / recorded.name, session(tmp_path, seed=2)
    run = CliRunner().invoke
    done = run(app, ["replay", str(one), str(other), "--verify"])
    assert done.exit_code == 0, done.output
    plain = done.output.replace("\n", "")
    assert plain.count("identical to the last bit") == 2
    assert f"{one}:identical" in plain
    lose_last_forecasts(find_recording(one), 1)
    done = run(app, ["replay", str(one), str(other), "--verify", "--json"])
    assert done.exit_code == 1
    ends = [json.loads(line) for line in done.output.splitlines()]
    ends = [event for event in ends if event["event"] == "summary"]
    assert [(e["recording"], e["same"]) for e in ends] == [(str(one), False), (str(other), True)]

    done = run(app, ["export", str(one), str(other), "--to", "edf", "--json"])
    assert done.exit_code == 0, done.output
    written = [json.loads(line)["written"] for line in done.output.splitlines()]
    assert [Path(path).suffix for path in written] == [".edf", ".edf"]
    done = run(app, ["export", str(one), str(other), "--to", "edf", "--out", str(tmp_path / "x")])
    assert isinstance(done.exception, BadInputError)
    assert "is one file, and 2 recordings were named" in str(done.exception)
    done = run(app, ["recover", str(one), str(other)])
    assert done.exit_code == 0
    assert done.output.count("nothing to mend") == 2


def test_a_model_named_by_its_path_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtbci.models.checkpoint import find_checkpoint

    shutil.copyfile(find_checkpoint(), tmp_path / "mine.safetensors")
    monkeypatch.chdir(tmp_path)
    settings = RunSettings(
        source=SourceSettings(speed="max"),
        montage="C3,Cz,C4",
        model="mine.safetensors",
        record="recordings",
        duration_s=1.5,
    )
    recording = Path(make_engine(settings, publish=lambda _: None).run()["recording"]).resolve()
    asked = open_recording(recording).extra["model"]["asked"]
    assert asked == str(tmp_path.resolve() / "mine.safetensors")
    monkeypatch.chdir(recording)
    assert verify_recording(recording).same
