"""A full disk ends a recording with a sentence; what is there by then is whole."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import mne
import numpy as np
import pytest

from rtbci.clock import ManualClock
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError, RecordingError
from rtbci.recording.reader import open_recording
from rtbci.recording.recover import recover
from rtbci.recording.writer import SYNC_S, Recorder
from rtbci.types import Channel, Chunk, Gap, GapCause, Marker, StreamInfo

INFO = StreamInfo("board", "brainflow", 250.0, (Channel("C3"), Channel("C4")))


def rows(start: int, n: int) -> Chunk:
    index = np.arange(start, start + n)
    data = np.repeat(index[:, None], 2, axis=1).astype(np.float32)
    gap = Gap(start, 0.0, 1.0, 250, GapCause.STALL, False)
    marker = Marker(float(start), "cue", sample=start)
    return Chunk(start, data, 1.0 + index / 250, 1.0, None, (gap,), (marker,))


def begin(parent: Path, clock: ManualClock | None = None) -> Recorder:
    return Recorder(
        parent,
        INFO,
        SessionConfig(),
        subject="P07",
        task="live",
        extra={},
        started=0.0,
        clock=clock or ManualClock(),
    )


def fill(recorder: Recorder, done: list[int]) -> None:
    """Write chunk after chunk and note which ones were taken."""
    for start in range(0, 100_000, 20):
        recorder.write_chunk(rows(start, 20))
        done.append(start)


class Disk:
    """Takes so many bytes, then part of a write, then none."""

    def __init__(self, room: int, error: int = errno.ENOSPC) -> None:
        self.room, self.error, self._write = room, error, os.write

    def write(self, fd: int, data: memoryview) -> int:
        if self.room <= 0 and len(data):
            raise OSError(self.error, os.strerror(self.error))
        done = self._write(fd, data[: self.room])
        self.room -= done
        return done


def check(folder: Path, whole: int, chunk_rows: int) -> None:
    """Everything that was written as a whole is there, and nothing else."""
    recording = open_recording(folder)
    n_rows = whole * chunk_rows
    assert recording.n_rows == n_rows
    assert recording.files.main.data.stat().st_size == 8 * n_rows
    assert recording.files.main.times.stat().st_size == 16 * n_rows
    np.testing.assert_array_equal(recording.main.data()[:, 0], np.arange(n_rows))
    starts = list(range(0, n_rows, chunk_rows))
    assert [gap.sample for gap in recording.gaps()] == starts
    assert [marker.sample for marker in recording.markers()] == starts
    for path in (recording.files.main.commands, recording.files.main.markers):
        assert path.read_bytes()[-1:] in (b"\n", b"")
    if whole:
        raw = mne.io.read_raw_brainvision(recording.files.main.header, verbose="error")
        assert raw.n_times == n_rows
        assert len(raw.annotations) == 2 * whole


@pytest.mark.parametrize("room", [0, 50])
def test_a_disk_that_is_full_from_the_start_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(os, "write", Disk(room).write)
    with pytest.raises(BadInputError, match=r"nothing can be recorded in .*: No space left"):
        begin(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("room", [0, 1, 100, 350, 700, 900, 1234, 2222, 4000])
def test_a_full_disk_leaves_whole_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    recorder = begin(tmp_path)
    monkeypatch.setattr(os, "write", Disk(room).write)
    done: list[int] = []
    with pytest.raises(RecordingError, match=r"can't go on: No space left .* first \d+ rows are"):
        fill(recorder, done)
    monkeypatch.undo()
    written = len(done)
    with pytest.raises(RecordingError, match="can't go on"):
        recorder.write_chunk(rows(20 * written, 20))  # room again, but rows are missing now
    with pytest.raises(RecordingError, match="can't go on"):
        recorder.write_command(0, "note", {})
    recorder.close({"samples": 20 * written})
    check(recorder.folder, written, 20)
    assert recover(recorder.folder) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_limit_of_the_system_itself(tmp_path: Path) -> None:
    """The kernel, too, takes part of a write before it refuses the rest."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    recorder = begin(tmp_path)
    done: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3001, before[1]))
        with pytest.raises(RecordingError, match="can't go on: File too large"):
            fill(recorder, done)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    recorder.close({})
    assert done
    check(recorder.folder, len(done), 20)


def test_a_disk_too_full_for_the_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = begin(tmp_path)
    recorder.write_chunk(rows(0, 20))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("rtbci.recording.jsontext.os.fsync", full)
        with pytest.raises(RecordingError, match="can't go on: No space left"):
            recorder.close({"samples": 20})
    check(recorder.folder, 1, 20)
    assert not list(recorder.folder.glob("*.part"))
    assert [r.path.name for r in recover(recorder.folder)] == [
        "sub-P07_task-live_run-01_summary.json"
    ]


def test_a_disk_that_fails_to_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    recorder = begin(tmp_path, clock)

    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    recorder.write_chunk(rows(0, 20))
    clock.advance(SYNC_S)
    with pytest.raises(RecordingError, match=r"can't go on: Input/output error; its first 40 rows"):
        recorder.write_chunk(rows(20, 20))
    monkeypatch.undo()
    recorder.close({})
    check(recorder.folder, 2, 20)


def test_the_disk_has_everything_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    synced: list[int] = []
    recorder = begin(tmp_path, clock)
    monkeypatch.setattr(os, "fsync", synced.append)
    for start in range(0, 100, 10):
        recorder.write_chunk(rows(start, 10))
    assert synced == []
    clock.advance(SYNC_S)
    recorder.write_chunk(rows(100, 10))
    assert len(synced) == 5  # signal, times, commands, markers, events
    recorder.write_chunk(rows(110, 10))
    assert len(synced) == 5
    recorder.close({})


def test_no_room_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", Disk(0).write)
    with pytest.raises(BadInputError, match=r"nothing can be recorded in .*: No space left"):
        begin(tmp_path)
