"""Folders of sessions: names, run numbers, and how a recording is found again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rtbci.errors import BadInputError
from rtbci.recording.layout import (
    RecordingFiles,
    create_folder,
    find_recording,
    find_recordings,
    is_recording,
    label,
)


def begin(parent: Path, subject: str = "P07") -> RecordingFiles:
    files, _ = create_folder(parent, subject, "live")
    files.session.write_text("{}")
    return files


def test_labels_are_letters_and_digits() -> None:
    assert label("P07") == "P07"
    assert label("Anna-María 2") == "AnnaMaria2"
    assert label("李") == label("李") != label("王")
    assert label("李").startswith("x")


def test_runs_are_counted_on_and_never_written_over(tmp_path: Path) -> None:
    assert begin(tmp_path / "a" / "b").folder.name == "sub-P07_task-live_run-01"
    assert begin(tmp_path / "a" / "b").folder.name == "sub-P07_task-live_run-02"
    (tmp_path / "a" / "b" / "sub-P07_task-live_run-09").mkdir()
    assert begin(tmp_path / "a" / "b").folder.name == "sub-P07_task-live_run-10"
    assert begin(tmp_path / "a" / "b", "P08").folder.name == "sub-P08_task-live_run-01"


def test_sessions_that_start_at_once_get_folders_of_their_own(tmp_path: Path) -> None:
    made: list[Path] = []
    together = threading.Barrier(8)

    def run() -> None:
        together.wait()
        made.append(create_folder(tmp_path, "P07", "live")[0].folder)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8


def test_a_parent_that_can_not_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match=r"nothing can be recorded in .*file: .*with --record"):
        create_folder(tmp_path / "file", "P07", "live")
    with pytest.raises(BadInputError, match=r"nothing can be recorded in .*/sub: Not a directory"):
        create_folder(tmp_path / "file" / "sub", "P07", "live")


def test_a_recording_is_found_by_its_folder_and_by_any_file_in_it(tmp_path: Path) -> None:
    files = begin(tmp_path)
    files.main.commands.touch()
    assert find_recording(files.folder) == files
    assert find_recording(files.main.commands) == files
    assert is_recording(files.folder)
    assert is_recording(tmp_path)  # it holds no other
    begin(tmp_path, "P08")
    assert not is_recording(tmp_path)
    assert [f.stem for f in find_recordings(tmp_path)] == [
        "sub-P07_task-live_run-01",
        "sub-P08_task-live_run-01",
    ]


def test_what_is_no_recording_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"there is no recording .*none: no such file"):
        find_recording(tmp_path / "none")
    with pytest.raises(BadInputError, match=r"is no recording of rtbci: .* _session.json"):
        find_recording(tmp_path)
    (tmp_path / "others.edf").touch()
    with pytest.raises(BadInputError, match=r"another program's file: rtbci run --replay .*edf$"):
        find_recording(tmp_path / "others.edf")
    begin(tmp_path)
    begin(tmp_path)
    with pytest.raises(BadInputError, match=r"holds 2 recordings; name one .*run-01, .*run-02\."):
        find_recording(tmp_path)


def test_the_only_recording_of_a_folder_is_meant(tmp_path: Path) -> None:
    only = begin(tmp_path / "here")
    assert find_recording(tmp_path) == find_recording(only.folder) == only


def test_further_streams_are_found_by_their_files(tmp_path: Path) -> None:
    files = begin(tmp_path)
    files.stream_files("eye-tracker").stream.write_text("{}")
    assert files.streams() == {"eyetracker": files.stream_files("eyetracker")}
    name = "sub-P07_task-live_run-01_recording-eyetracker_commands.jsonl"
    assert files.stream_files("eye-tracker").commands.name == name
