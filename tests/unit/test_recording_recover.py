"""A torn recording opens, is mended once, and loses nothing that was whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from os import getpid
from pathlib import Path

import mne
import numpy as np
import pytest

from rtbci.config import SessionConfig
from rtbci.errors import BadInputError, RecordingError
from rtbci.recording.layout import RecordingFiles
from rtbci.recording.reader import open_recording
from rtbci.recording.recover import recover
from rtbci.recording.writer import Recorder
from rtbci.types import (
    Channel,
    Chunk,
    Decode,
    Forecast,
    Gap,
    GapCause,
    Marker,
    StreamInfo,
)

INFO = StreamInfo("board", "brainflow", 250.0, (Channel("C3"), Channel("C4")), counter_modulus=256)


def rows(start: int, n: int) -> Chunk:
    index = np.arange(start, start + n)
    data = np.repeat(index[:, None], 2, axis=1).astype(np.float32)
    return Chunk(start, data, 50.0 + index / 250, 51.0, index % 256)


def fill(recorder: Recorder) -> None:
    """Two seconds with a gap, markers, a decode and a forecast a tenth of a second."""
    gap = Gap(300, 51.0, 0.5, 125, GapCause.STALL, False)
    for start in range(0, 500, 25):
        chunk = rows(start, 25)
        if start == 300:
            chunk = replace(chunk, gaps=(gap,))
        if start in (100, 400):
            chunk = replace(chunk, markers=(Marker(51.0, f"at {start}", sample=start),))
        recorder.write_chunk(chunk)
        p = np.array([0.25, 0.75])
        decode = Decode(start, start, 50.0, ("a", "b"), p, "b", "", "ts+lr", True)
        recorder.write_decode(decode, 50.0, 50.1, {"compute": 0.1})
        mean = np.full((250, 2), start, dtype=np.float32)
        recorder.write_forecast(Forecast(start, start, 50.0, 250.0, mean, "ar"), 50.0, 50.1, {})


def begin(parent: Path) -> Recorder:
    return Recorder(
        parent, INFO, SessionConfig(), subject="P07", task="live", extra={}, started=50.0
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that nobody closed, as a killed session leaves it."""
    parent = tmp_path_factory.mktemp("whole")
    recorder = begin(parent)
    fill(recorder)
    copy = parent / "killed" / recorder.folder.name
    shutil.copytree(recorder.folder, copy)
    recorder.close({})
    return copy


@pytest.fixture
def torn(whole: Path, tmp_path: Path) -> RecordingFiles:
    shutil.copytree(whole, tmp_path / whole.name)
    return RecordingFiles(tmp_path / whole.name, whole.name)


def cut(path: Path, n: int) -> None:
    path.write_bytes(path.read_bytes()[:-n])


def test_a_session_without_an_end_gets_a_summary(torn: RecordingFiles) -> None:
    repairs = recover(torn.folder)
    assert [(r.path.name, r.what) for r in repairs] == [
        (torn.summary.name, "written from what is there")
    ]
    recording = open_recording(torn.folder)
    assert recording.recovered
    assert recording.summary == {
        "samples": 500,
        "decodes": 20,
        "forecasts": 20,
        "gaps": [
            {
                "start_s": 1.0,
                "length_s": 0.5,
                "cause": "stall",
                "sample": 300,
                "missing": 125,
                "bridged": False,
            }
        ],
        "recording": str(torn.folder),
        "model": None,
        "seconds": 2.0,
        "recovered": True,
    }
    assert json.loads(torn.main.sidecar.read_text())["RecordingType"] == "discontinuous"
    assert recover(torn.folder) == []


Tear = Callable[[RecordingFiles], None]


def tear_row(files: RecordingFiles) -> None:
    cut(files.main.data, 3)


def tear_time(files: RecordingFiles) -> None:
    cut(files.main.times, 9)


def tear_times_without_rows(files: RecordingFiles) -> None:
    cut(files.main.data, 8 * 25)


def tear_vmrk(files: RecordingFiles) -> None:
    cut(files.main.markers, 7)


def tear_events(files: RecordingFiles) -> None:
    cut(files.main.events, 60)


def tear_decode(files: RecordingFiles) -> None:
    cut(files.decodes, 30)


def tear_forecast(files: RecordingFiles) -> None:
    cut(files.forecasts, 1)


def tear_command(files: RecordingFiles) -> None:
    with files.main.commands.open("ab") as file:
        file.write(b'{"sample": 499, "kind": "mark')


def lose_header(files: RecordingFiles) -> None:
    files.main.header.unlink()


TEARS = [
    (tear_row, "_eeg.eeg", "rows that are not whole at its end cut off (5 bytes, kept in"),
    (tear_time, "_times.bin", "times without rows at its end cut off (7 bytes, kept in"),
    (tear_times_without_rows, "_times.bin", "times without rows at its end cut off (400 bytes"),
    (tear_vmrk, "_eeg.vmrk", "torn line at its end cut off"),
    (tear_events, "_events.tsv", "missing line"),
    (tear_decode, "_decodes.jsonl", "torn line at its end cut off"),
    (tear_forecast, "_forecasts.bin", "torn record at its end cut off"),
    (tear_command, "commands.jsonl", "torn line at its end cut off (29 bytes"),
    (lose_header, "_eeg.vhdr", "was missing; made again"),
]


@pytest.mark.parametrize(("tear", "name", "what"), TEARS)
def test_each_kind_of_tear(torn: RecordingFiles, tear: Tear, name: str, what: str) -> None:
    tear(torn)
    before = open_recording(torn.folder)
    assert before.n_rows >= 475
    first = [c.data for c in before.chunks()]
    repairs = recover(torn.folder.parent)
    assert any(r.path.name.endswith(name) and what in r.what for r in repairs)
    assert recover(torn.folder) == []
    after = open_recording(torn.folder)
    np.testing.assert_array_equal(np.concatenate(first), after.main.data())
    np.testing.assert_array_equal(after.main.data()[:, 0], np.arange(after.n_rows))
    assert [m.sample for m in after.markers()] == [100, 400]
    assert [g.sample for g in after.gaps()] == [300]
    assert len(list(after.decodes())) >= 19
    assert len(list(after.forecasts())) >= 19
    raw = mne.io.read_raw_brainvision(torn.main.header, verbose="error")
    assert raw.n_times == after.n_rows
    marks = [(a["description"], round(a["onset"] * 250)) for a in raw.annotations]
    assert marks == [("Stimulus/at 100", 100), ("New Segment/", 300), ("Stimulus/at 400", 400)]


def test_what_is_cut_off_is_kept(torn: RecordingFiles) -> None:
    content = torn.main.data.read_bytes()
    cut(torn.main.data, 3)
    recover(torn.folder)
    kept = torn.main.data.with_name(torn.main.data.name + ".torn").read_bytes()
    assert torn.main.data.read_bytes() + kept == content[:-3]


def test_landmarks_whose_rows_never_came_are_left_out(torn: RecordingFiles) -> None:
    """Gaps and markers are on disk before their rows: a kill between the two must not count."""
    with torn.main.commands.open("ab") as file:
        values = {"start": 52.0, "length": 1.0, "missing": 250, "cause": "stall", "bridged": False}
        file.write(json.dumps({"sample": 500, "kind": "gap", "values": values}).encode() + b"\n")
    recover(torn.folder)
    recording = open_recording(torn.folder)
    assert [g.sample for g in recording.gaps()] == [300]
    assert "\t500\t" not in torn.main.events.read_text()


def test_files_that_somebody_edited_stay_as_they_are(torn: RecordingFiles) -> None:
    edited = torn.main.events.read_text().replace("at 100", "left hand")
    torn.main.events.write_text(edited)
    recover(torn.folder)
    assert torn.main.events.read_text() == edited


def test_every_length_of_each_file_can_be_mended(whole: Path, tmp_path: Path) -> None:
    """Whatever byte a crash stops at, and in whichever file."""
    rng = np.random.default_rng(11)
    for count, suffix in enumerate(
        ("_eeg.eeg", "_eeg.vmrk", "_times.bin", "_events.tsv", "_decodes.jsonl", "_forecasts.bin")
    ):
        folder = tmp_path / str(count) / whole.name
        path = folder / f"{whole.name}{suffix}"
        size = (whole / path.name).stat().st_size
        for length in (0, 1, *rng.integers(0, size, 4)):
            shutil.copytree(whole, folder)
            path.write_bytes((whole / path.name).read_bytes()[:length])
            recover(folder)
            assert recover(folder) == []
            recording = open_recording(folder)
            assert len(recording.main.data()) == recording.n_rows == len(recording.main.times())
            list(recording.chunks())
            list(recording.decodes())
            list(recording.forecasts())
            shutil.rmtree(folder)


def test_a_recording_in_progress_is_not_touched(tmp_path: Path) -> None:
    recorder = begin(tmp_path)
    recorder.write_chunk(rows(0, 10))
    ended = (
        rf"still being recorded; end that session first: press Ctrl-C there, or: kill {getpid()}"
    )
    with pytest.raises(RecordingError, match=ended):
        recover(recorder.folder)
    recorder.write_chunk(rows(10, 10))
    recorder.close({"samples": 20})
    assert recover(recorder.folder) == []
    assert open_recording(recorder.folder).n_rows == 20


def test_one_that_can_not_be_mended_does_not_keep_the_others_from_it(
    whole: Path, tmp_path: Path
) -> None:
    """A folder used to be left at the first recording that was live or beyond repair."""
    for name in ("a", "b", "c", "d"):
        shutil.copytree(whole, tmp_path / name / whole.name)
    lost = RecordingFiles(tmp_path / "a" / whole.name, whole.name)
    lost.main.times.unlink()
    later = RecordingFiles(tmp_path / "c" / whole.name, whole.name)
    later.session.write_text('{"format": "rtbci recording", "version": 2, "rtbci": "9.0"}')
    live = begin(tmp_path / "live")
    told: list[dict[str, str]] = []
    with pytest.raises(RecordingError, match=r"2 of the 5 recordings .* \(all others are\)") as err:
        recover(tmp_path, told.append)
    live.close({})
    assert "_times.bin is gone" in str(err.value)
    assert "reads version 1" in str(err.value)
    mended = {Path(e["file"]).parent.parent.name for e in told if e["event"] == "repair"}
    assert mended == {"b", "d"}
    [note] = [e["message"] for e in told if e["event"] == "note"]
    assert note.startswith(f"passed over: {live.folder} can't be mended now")


def test_what_can_not_be_mended_is_said(torn: RecordingFiles) -> None:
    with pytest.raises(BadInputError, match="is no recording of rtbci"):
        recover(Path(__file__))
    content = torn.main.times.read_bytes()
    torn.main.times.unlink()
    with pytest.raises(RecordingError, match=r"_times.bin is gone, and .*_eeg.eeg alone can't be"):
        recover(torn.folder)
    torn.main.times.write_bytes(content)
    torn.session.write_text('{"format": "rtbci rec')
    with pytest.raises(RecordingError, match=r"is damaged .* take it from a backup"):
        recover(torn.folder)
    torn.session.write_text('{"format": "rtbci recording", "version": 2, "rtbci": "9.0"}')
    with pytest.raises(BadInputError, match=r"version 2, and this rtbci \(9.0 wrote it\)"):
        open_recording(torn.folder)


def test_a_damaged_line_in_the_middle_is_said(torn: RecordingFiles) -> None:
    lines = torn.decodes.read_bytes().splitlines(keepends=True)
    lines[3] = b'{"token": 75}\n'
    torn.decodes.write_bytes(b"".join(lines))
    with pytest.raises(RecordingError, match=r"line 4 of .*_decodes.jsonl is damaged"):
        list(open_recording(torn.folder).decodes())
    lines[3] = b"\x00\n"
    torn.decodes.write_bytes(b"".join(lines))
    with pytest.raises(RecordingError, match=r"line 4 of .*_decodes.jsonl is damaged"):
        list(open_recording(torn.folder).decodes())


def test_further_streams_are_mended_too(tmp_path: Path) -> None:
    recorder = begin(tmp_path / "live")
    gaze = StreamInfo("gaze", "lsl", 60.0, (Channel("x"), Channel("y")))
    recorder.add_stream("gaze", gaze)
    recorder.write_chunk(rows(0, 10))
    recorder.write_stream("gaze", rows(0, 6))
    folder = tmp_path / "killed" / recorder.folder.name
    shutil.copytree(recorder.folder, folder)
    recorder.close({})
    files = RecordingFiles(folder, folder.name).stream_files("gaze")
    cut(files.data, 1)
    repaired = {repair.path for repair in recover(folder)}
    assert {files.data, files.times} <= repaired
    assert open_recording(folder).streams["gaze"].n_rows == 5
    assert json.loads(files.sidecar.read_text())["RecordingDuration"] == 5 / 60
    assert recover(folder) == []


def test_a_session_killed_while_it_began(torn: RecordingFiles) -> None:
    """Its session file is the first: whatever is missing besides is made again."""
    for path in torn.folder.iterdir():
        if path != torn.session:
            path.unlink()
    assert recover(torn.folder)
    assert recover(torn.folder) == []
    recording = open_recording(torn.folder)
    assert recording.n_rows == 0
    assert recording.info == INFO
    assert list(recording.chunks()) == []
