from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtbci.errors import SourceError
from rtbci.locks import DeviceLock

HOLD = """
import sys
from pathlib import Path
from rtbci.locks import DeviceLock
lock = DeviceLock("/dev/ttyUSB0", folder=Path(sys.argv[1]))
lock.acquire("a session on cyton")
print("held", flush=True)
sys.stdin.read()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the device until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_holder_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    with hold(tmp_path) as other:
        lock = DeviceLock("/dev/ttyUSB0", "the Cyton", folder=tmp_path)
        who = rf"the Cyton is in use by a session on cyton \(pid {other.pid}\)"
        match = rf"{who}.*press Ctrl-C there, or: kill {other.pid}\."
        with pytest.raises(SourceError, match=match):
            lock.acquire()
        assert not lock.held
        other.communicate()


def test_another_device_is_free(tmp_path: Path) -> None:
    with hold(tmp_path) as other:
        lock = DeviceLock("/dev/ttyUSB1", folder=tmp_path)
        lock.acquire()
        assert lock.held
        lock.release()
        other.communicate()


def test_a_killed_holder_leaves_a_stale_lock_that_is_noticed(tmp_path: Path) -> None:
    with hold(tmp_path) as other:
        other.kill()
        other.communicate()
    lock = DeviceLock("/dev/ttyUSB0", folder=tmp_path)
    lock.acquire()
    assert lock.stale is not None
    assert lock.stale.pid == other.pid
    assert lock.stale.what == "a session on cyton"
    lock.release()


def test_a_released_lock_is_not_stale(tmp_path: Path) -> None:
    first = DeviceLock("/dev/ttyUSB0", folder=tmp_path)
    first.acquire()
    first.acquire()
    first.release()
    first.release()
    second = DeviceLock("/dev/ttyUSB0", folder=tmp_path)
    second.acquire()
    assert second.stale is None
    second.release()


def test_a_damaged_lock_file_is_taken_over(tmp_path: Path) -> None:
    lock = DeviceLock("/dev/ttyUSB0", folder=tmp_path)
    lock.path.write_bytes(b'{"pid": "ma')
    lock.acquire("a session")
    assert lock.stale is None
    assert f'"pid": {os.getpid()}' in lock.path.read_text()
    lock.release()


def test_two_locks_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    first = DeviceLock("/dev/ttyUSB0", folder=tmp_path)
    first.acquire()
    with pytest.raises(SourceError, match=f"pid {os.getpid()}"):
        DeviceLock("/dev/ttyUSB0", folder=tmp_path).acquire()
    first.release()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match=r"can't be written .* XDG_RUNTIME_DIR"):
        DeviceLock("/dev/ttyUSB0", folder=tmp_path / "file" / "locks").acquire()
