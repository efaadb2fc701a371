"""The emulator's own command line, and what only a real port would show otherwise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("ptys are POSIX only", allow_module_level=True)

import cyton
from cyton import CytonEmulator, Faults
from cyton_firmware import FRAME_BYTES, Firmware


def test_the_command_line_prints_its_port_and_takes_commands(tmp_path: Path) -> None:
    link = tmp_path / "ttyBoard"
    done = subprocess.run(
        [sys.executable, cyton.__file__, "--daisy", "--loss", "0.01", "--link", str(link)],
        input="truth\nlose ahead=[5]\nunplug\nstall\nquit\n",
        capture_output=True,
        text=True,
        check=True,
    )
    port, *answers = done.stdout.splitlines()
    assert port == str(link)
    said = [json.loads(answer) for answer in answers]
    assert [answer["ok"] for answer in said] == [True, True, True, False, True]
    assert said[0]["newest"] == -1
    assert not link.exists()


def test_the_port_comes_back_behind_the_same_path() -> None:
    with CytonEmulator() as board:
        first = Path(board.port).resolve()
        assert first.exists()
        board.unplug()
        assert not Path(board.port).exists()
        board.replug()
        assert Path(board.port).resolve().exists()
    assert not Path(board.port).exists()


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"V", b"v3.1.2$$$"),
        (b"d", b"updating channel settings to default$$$"),
        (b"\xf0\x07", b"Success: System is Up$$$"),
        (b"x1060110X", b"Success: Channel set for 1$$$"),
        (b"x9060110X", b"Failure: Err: 9th char not X$$$"),
        (b"z110Z", b"Success: Lead off set for 1$$$"),
        (b"~6", b"Success: Sample rate is 250Hz$$$"),
        (b"/2", b"Success: analog$$$"),
        (b"//", b"Success: default$$$"),
        (b"<", b"Time stamp ON$$$"),
        (b">", b"Time stamp OFF$$$"),
        (b"c", b"no daisy to remove!$$$"),
        (b"C", b"no daisy to attach!8$$$"),
    ],
)
def test_commands_are_answered_as_the_firmware_does(command: bytes, answer: bytes) -> None:
    whole, torn = Firmware(), Firmware()
    assert whole.receive(command, 0) == answer
    assert b"".join(torn.receive(bytes([byte]), 0) for byte in command) == answer


def test_a_streaming_board_answers_no_commands_but_a_reset() -> None:
    board = Firmware(daisy=True)
    assert board.receive(b"b", 7) == b""
    assert board.first == 8, "a Daisy's stream begins with an even frame"
    assert board.receive(b"d", 9) == b""
    assert b"On Daisy ADS1299" in board.receive(b"v", 9)
    assert not board.streaming


def test_board_time_takes_the_accelerometers_place() -> None:
    board = Firmware()
    board.receive(b"<b", 0)
    frames = [board.frame(n) for n in range(251)]
    assert [frames[0][-1], frames[1][-1]] == [0xC3, 0xC4]
    assert int.from_bytes(frames[250][-5:-1], "big") == 1000
    assert {len(frame) for frame in frames} == {FRAME_BYTES}


def test_faults_depend_on_seed_and_frame_alone() -> None:
    first, again, other = (Faults(seed, lose_fraction=0.1) for seed in (1, 1, 2))
    lost = [n for n in range(1000) if first.loses(n)]
    assert 60 < len(lost) < 140
    assert lost == [n for n in reversed(range(1000)) if again.loses(n)][::-1]
    assert lost != [n for n in range(1000) if other.loses(n)]
