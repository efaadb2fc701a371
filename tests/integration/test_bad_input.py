"""Everything that a user can do wrong: one sentence with the value and the remedy, no traceback.

A line of the table is a command line, its exit code (2: can't be done as asked, 1: failed) and
what the sentence says.  Most run in this process; those of a running session need an engine.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import mne
import numpy as np
import psutil
import pytest
from cyton import CytonEmulator

from rtbci.apps import assemble, cli
from rtbci.apps.settings import RunSettings
from rtbci.clock import MonotonicClock
from rtbci.errors import RtbciError
from rtbci.recording.reader import open_recording

RATE = 250.0
MIB = 1 << 20
END_S = 100.0
"""How long a test waits for an end that never came; nothing is measured by it."""


def _raw(rate: float = RATE, kind: str = "eeg") -> mne.io.RawArray:
    signal_v = np.random.default_rng(0).standard_normal((3, round(8 * rate))) * 1e-5
    return mne.io.RawArray(signal_v, mne.create_info(["C3", "Cz", "C4"], rate, kind), verbose=False)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that are wrong, each in its own way."""
    folder = tmp_path_factory.mktemp("bad")
    _raw().save(folder / "good_raw.fif", verbose=False)
    _raw(10.0).save(folder / "slow_raw.fif", verbose=False)
    _raw(kind="emg").save(folder / "muscle_raw.fif", verbose=False)
    whole = (folder / "good_raw.fif").read_bytes()
    (folder / "half_raw.fif").write_bytes(whole[: len(whole) // 2])
    for ending in (".edf", ".bdf", ".gdf", ".vhdr", "_raw.fif", ".set", ".xdf", ".txt", ".csv"):
        (folder / f"empty{ending}").touch()
        (folder / f"picture{ending}").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
        (folder / f"diary{ending}").write_text("Dear diary, I recorded nothing.\n" * 60)
    (folder / "film.mp4").write_bytes(b"\0" * 64)
    (folder / "lonely.vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=gone.eeg\n"
        "DataFormat=BINARY\nDataOrientation=MULTIPLEXED\nNumberOfChannels=1\n"
        "SamplingInterval=4000\n[Binary Infos]\nBinaryFormat=INT_16\n[Channel Infos]\n"
        "Ch1=C3,,1,µV\n",
        encoding="utf-8",
    )
    rows = [f"{i / RATE},{i % 7},{i % 11}" for i in range(500)]
    (folder / "nameless.csv").write_text("\n".join(rows))
    rows[30] = "nan,1,2"
    (folder / "timeless.csv").write_text("\n".join(["timestamps,C3,C4", *rows]))
    (folder / "letters.toml").write_text('[preprocess]\nhigh_pass_hz = "much"\n')
    (folder / "unknown.toml").write_text("[preprocess]\nhighpass = 1\n")
    (folder / "broken.toml").write_text("[[[\n")
    (folder / "other_chain.toml").write_text("[preprocess]\nhigh_pass_hz = 2.0\n")
    return folder


def rtbci(arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command line in this process; gives its exit code."""
    monkeypatch.setattr(sys, "argv", ["rtbci", *arguments.split()])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def _sentence(err: str) -> str:
    assert "Traceback" not in err
    assert err.startswith("rtbci: ")
    assert err.count("\n") == 1
    assert err.endswith((".\n", ")\n")) or re.search(r"rtbci \w+ .*\n$", err)
    return err


REFUSED = [
    # What typer itself refuses
    ("run --nosuch", r"No such option: --nosuch.*`rtbci run --help`"),
    ("run extra", r"unexpected extra argument.*extra"),
    ("nosuch", r"No such command 'nosuch'"),
    ("run --device gpu", r"'--device'.*'gpu' is not one of 'auto', 'cpu', 'cuda'"),
    ("run --seed x", r"'--seed'.*integer"),
    ("export", r"Missing argument"),
    ("export BAD --to doc", r"'doc' is not one of"),
    # Options that make no sense, alone or together
    ("run --duration 0", r"--duration .*above 0.* got 0"),
    ("run --duration -1", r"--duration .*got -1"),
    ("run --duration nan", r"--duration .*got nan"),
    ("run --speed fast", r"--speed must be max, or a number above 0.*'fast'"),
    ("run --board cyton --speed max", r"--speed max needs --replay or the simulator"),
    ("run --line 55", r"50 or 60 Hz, got 55"),
    ("run --osc localhost", r"--osc needs HOST:PORT.*'localhost'"),
    ("run --osc localhost:99999", r"--osc needs HOST:PORT"),
    ("run --fieldtrip localhost", r"--fieldtrip needs HOST:PORT"),
    ("run --board cyton --lsl x", r"one source, got --board and --lsl"),
    ("run --serial-port /dev/ttyUSB0", r"--serial-port /dev/ttyUSB0 is for a board.*simulator"),
    ("run --lsl x --gain 24", r"--gain 24 is for a board.*--lsl x"),
    ("run --file-stream a", r"--file-stream a is for --replay FILE.*the simulator"),
    ("run --lsl x --file-board cyton", r"--file-board cyton is for --replay FILE.*--lsl x"),
    ("run --markers m", r"--markers m belongs to --lsl"),
    ("run --classes T1", r"classes 'T1' can't be read.*MARKER=CLASS"),
    ("run --classes T1=a,T1=b", r"marker 'T1' two classes"),
    ("run --board ganglion --board-param mac", r"--board-param needs KEY=VALUE.*'mac'"),
    ("run --montage C3,Cz,C3", r"named twice: C3 is number 1 and 3"),
    ("run --montage nosuch", r"'nosuch' is neither a file nor a known montage"),
    ("run --montage C3,,C4", r"empty name"),
    # Settings
    ("run --config BAD/none.toml", r"none\.toml can't be read: No such file"),
    ("run --config BAD/broken.toml", r"is not valid TOML"),
    ("run --config BAD/unknown.toml", r"no setting 'highpass'; it knows: .*high_pass_hz"),
    ("run --config BAD/letters.toml", r"high_pass_hz must be a number, got 'much'"),
    # Recordings
    ("recover BAD", r"is no recording of rtbci"),
    ("recover BAD/none", r"no such file or folder"),
    ("export BAD --to edf", r"is no recording of rtbci"),
    ("replay BAD/good_raw.fif", r"is no recording of rtbci"),
    ("replay BAD --verify", r"is no recording of rtbci"),
    # Profiles
    ("calibrate", r"Missing option '--subject'"),
    ("calibrate --from --subject P07", r"name the recordings to fit from"),
    ("calibrate --from BAD/none.edf --subject P07", r"none\.edf does not exist"),
    ("calibrate --from BAD/good_raw.fif --subject P07", r"no markers at all; say so.*--classes"),
    ("subjects show nobody", r"there is no profile of nobody.*rtbci calibrate"),
]


@pytest.mark.parametrize(("arguments", "says"), REFUSED, ids=[a for a, _ in REFUSED])
def test_what_can_not_be_done_is_refused_in_one_sentence(
    arguments: str,
    says: str,
    bad: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path))
    assert rtbci(arguments.replace("BAD", str(bad)), monkeypatch) == 2
    assert re.search(says, _sentence(capsys.readouterr().err))


def _session(home: Path, *options: str) -> RunSettings:
    """Settings that ``rtbci run`` makes of a command line."""
    made: list[RunSettings] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["rtbci", "run", *options])
        patch.setenv("RTBCI_HOME", str(home))
        patch.setattr("rtbci.apps.commands_run.follow", lambda settings, _: made.append(settings))
        with pytest.raises(SystemExit):
            cli.main()
    [settings] = made
    return settings


def _run(settings: RunSettings) -> None:
    assemble.make_engine(settings, publish=lambda _: None, clock=MonotonicClock()).run()


FORMATS = [".edf", ".bdf", ".gdf", ".vhdr", "_raw.fif", ".set", ".xdf", ".txt", ".csv"]
ENGINE_REFUSES = [
    *[(f"--replay BAD/empty{e}", 2, r"empty.* is empty \(0 bytes\)") for e in FORMATS],
    *[(f"--replay BAD/picture{e}", 2, r"can't be read as .*of another kind") for e in FORMATS],
    *[(f"--replay BAD/diary{e}", 2, r"can't be read as .*of another kind") for e in FORMATS],
    ("--replay BAD/half_raw.fif", 2, r"can't be read as FIF.*cut off"),
    ("--replay BAD/film.mp4", 2, r"unknown ending '\.mp4'; rtbci replays \.edf"),
    ("--replay BAD/none.edf", 2, r"none\.edf does not exist"),
    ("--replay BAD", 2, r"is a folder, not a recording"),
    ("--replay BAD/muscle_raw.fif", 2, r"no EEG channel, it holds C3 \(EMG\).*--montage"),
    ("--replay BAD/slow_raw.fif", 2, r"10 samples a second, and 50 are the least"),
    ("--replay BAD/lonely.vhdr", 2, r"belongs to .*gone\.eeg, which is not there"),
    ("--replay BAD/nameless.csv", 2, r"3 columns of numbers and no header"),
    ("--replay BAD/timeless.csv", 2, r"time stamp of row 30 is nan"),
    ("--replay BAD/good_raw.fif --montage C3,C4", 2, r"2 names but .* has 3 EEG channels"),
    ("--replay BAD/nameless.csv --file-board nosuch", 2, r"no board 'nosuch'"),
    ("--board nosuch", 2, r"no board 'nosuch'; `rtbci boards` lists all"),
    ("--board cyton --gain 7", 2, r"Gain must be one of .*, got 7"),
    ("--board ganglion --board-param mac=1 --serial-port P", 1, r"P does not exist"),
    ("--board synthetic --board-param mac=1", 2, r"no parameter 'mac'; BrainFlow knows"),
    ("--board cyton --serial-port /dev/nosuch", 1, r"/dev/nosuch does not exist.*--serial-port"),
    ("--model nosuch", 2, r"there is no model 'nosuch'.*at hand"),
    ("--model BAD", 2, r"holds no model\.safetensors"),
    ("--model BAD/film.mp4", 2, r"is not a checkpoint of rtbci"),
    ("--config BAD/other_chain.toml", 2, r"trained with preprocess\.high_pass_hz = 0\.5"),
    ("--subject ../P07", 2, r"'\.\./P07' can't be a profile's name"),
    ("--osc nosuch.invalid:9000", 2, r"'nosuch\.invalid' is not known"),
    ("--record BAD/film.mp4", 2, r"nothing can be recorded in .*film\.mp4.*--record"),
]


@pytest.mark.parametrize(
    ("options", "code", "says"), ENGINE_REFUSES, ids=[o for o, _, _ in ENGINE_REFUSES]
)
def test_what_the_engine_refuses(
    options: str, code: int, says: str, bad: Path, tmp_path: Path
) -> None:
    given = options.replace("BAD", str(bad)).split()
    if "chain" not in options and "--model" not in given:
        given += ["--model", "ar"]
    settings = _session(tmp_path, *given, "--duration", "1")
    with pytest.raises(RtbciError, match=says) as refused:
        _run(settings)
    assert refused.value.exit_code == code
    assert "\n" not in str(refused.value)


Process = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """Start ``rtbci`` as a user does; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, limit_bytes: int | None = None) -> subprocess.Popen[str]:
        limit = "" if limit_bytes is None else _file_limit(limit_bytes)
        made = subprocess.Popen(
            [sys.executable, "-c", f"{limit}from rtbci.apps.entry import main; main()", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"RTBCI_HOME": str(tmp_path)},
        )
        started.append(made)
        return made

    yield start
    for one in started:
        one.kill()
        one.communicate()


def _file_limit(size: int) -> str:
    """Statement that makes writes fail behind ``size`` bytes, in this process and its children.

    A full disk as any user can have it, without a mount: EFBIG where a disk would give ENOSPC.
    """
    return (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size})); "
    )


def test_a_disk_that_is_full_ends_the_session_and_spares_what_was_recorded(
    tmp_path: Path, process: Process
) -> None:
    """The writer failed, the reader waited for a place in the queue for ever."""
    full = process(
        "run", "--model", "ar", "--speed", "max", "--duration", "600", "--record", str(tmp_path),
        limit_bytes=MIB,
    )  # fmt: skip
    _, err = full.communicate(timeout=END_S)
    assert full.returncode == 1
    assert re.search(r"can't go on: .*; its first \d+ rows are complete", _sentence(err))
    [folder] = tmp_path.glob("sub-*")
    [header] = folder.glob("*.vhdr")
    rows = mne.io.read_raw_brainvision(header, verbose=False).n_times
    assert 0 < rows == open_recording(folder).n_rows


def test_a_reader_that_goes_away_ends_the_session_quietly(tmp_path: Path, process: Process) -> None:
    """``rtbci run --json | head -1``."""
    run = process("run", "--model", "ar", "--json", "--events", "--record", str(tmp_path))
    assert run.stdout is not None
    assert run.stderr is not None
    recording = json.loads(run.stdout.readline())["recording"]
    run.stdout.close()
    assert run.stderr.read() == ""
    assert run.wait(END_S) == 1
    assert open_recording(recording).summary is not None


def test_a_board_is_held_by_one_session(tmp_path: Path, process: Process) -> None:
    with CytonEmulator() as board:
        options = ("run", "--board", "openbci", "--serial-port", board.port, "--model", "ar")
        first = process(*options, "--json")
        assert first.stdout is not None
        while json.loads(first.stdout.readline())["event"] != "started":
            pass
        second = process(*options, "--duration", "1")
        _, err = second.communicate(timeout=END_S)
        assert second.returncode == 1
        assert re.search(r"is in use by .*\(pid \d+\).*kill \d+", _sentence(err))
        first.send_signal(signal.SIGINT)
        assert json.loads(first.stdout.readlines()[-1])["event"] == "summary"
        assert first.wait(END_S) == 0


def test_a_second_ctrl_c_ends_the_session_at_once(process: Process) -> None:
    run = process("run", "--model", "ar", "--json")
    assert run.stdout is not None
    run.stdout.readline()
    [engine] = psutil.Process(run.pid).children()
    engine.suspend()  # it can't do as it is asked
    run.send_signal(signal.SIGINT)
    run.send_signal(signal.SIGTERM)
    run.wait(END_S)
    assert run.stderr is not None
    assert run.returncode == 1
    assert "ended at once, without a summary, as asked twice." in _sentence(run.stderr.read())


def test_a_board_that_is_silent_is_said_to_be(tmp_path: Path) -> None:
    with CytonEmulator() as board:
        board.silence()
        settings = _session(tmp_path, "--board", "openbci", "--serial-port", board.port)
        with pytest.raises(RtbciError, match=r"answers nothing; switch it on") as refused:
            _run(settings)
    assert refused.value.exit_code == 1
