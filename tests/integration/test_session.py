"""``rtbci run`` as a user has it: two processes that live and die together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from cyton import CytonEmulator

from rtbci.apps.host import Send, run_session
from rtbci.apps.settings import RunSettings, SourceSettings
from rtbci.recording.reader import open_recording
from rtbci.recording.recover import recover

RTBCI = [sys.executable, "-c", "from rtbci.apps.entry import main; main()"]
END_S = 100.0
"""How long a test waits for an end that never came; nothing is measured by it."""


def rtbci(*arguments: str | Path, home: Path, cwd: Path | None = None) -> Any:
    environment = os.environ | {"RTBCI_HOME": str(home)}
    return subprocess.run(
        [*RTBCI, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=cwd or home,
        check=False,
    )


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@contextmanager
def live(home: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A session on the simulator that has started; gives it with its recording."""
    session = subprocess.Popen(
        [*RTBCI, "run", "--model", "ar", "--json", "--record", str(home), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"RTBCI_HOME": str(home)},
    )
    assert session.stdout is not None
    try:
        for line in session.stdout:
            event = json.loads(line)
            if event["event"] == "started":
                break
        yield session, Path(event["recording"])
    finally:
        session.kill()
        session.communicate()


def engines_of(session: subprocess.Popen[str]) -> list[Any]:
    return list(psutil.Process(session.pid).children())


def gone(process: Any) -> bool:
    try:
        process.wait(END_S)
    except psutil.TimeoutExpired:
        return False
    return True


def test_json_is_one_object_a_line_and_the_summary_is_last(tmp_path: Path) -> None:
    done = rtbci(
        "run", "--model", "ar", "--duration", "5", "--speed", "max", "--json", "--events",
        "--montage", "C3,Cz,C4", home=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = events(done.stdout)
    assert [e["event"] for e in lines if e["event"] != "forecast"] == ["started", "summary"]
    assert len(lines) == 43
    summary = lines[-1]
    assert {
        "samples", "tokens", "dropped_tokens", "forecasts", "skipped_forecasts", "decodes",
        "segments", "gaps", "latency_ms", "skill", "accuracy", "recording", "model", "device",
        "seconds",
    } <= set(summary)  # fmt: skip
    assert set(summary["latency_ms"]) >= {"p50", "p99", "p999", "max", "stages"}
    first = next(e for e in lines if e["event"] == "forecast")  # perhaps before "started"
    assert first["uv"].keys() == {"C3", "Cz", "C4"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_with_the_summary(tmp_path: Path, number: signal.Signals) -> None:
    with live(tmp_path) as (session, recording):
        [engine] = engines_of(session)
        session.send_signal(number)
        out, err = session.communicate(timeout=END_S)
        assert session.returncode == 0, err
        assert events(out)[-1]["event"] == "summary"
        assert err == ""
        assert gone(engine)
    assert open_recording(recording).summary is not None
    assert recover(recording) == []


def wait_until(done: Callable[[], bool]) -> None:
    until = time.monotonic() + END_S
    while not done():
        assert time.monotonic() < until, "what was waited for never came"
        time.sleep(0.02)


@contextmanager
def on_a_terminal(home: Path, *arguments: str) -> Iterator[tuple[int, bytearray, Any]]:
    """A session in front of a terminal; gives its keyboard, its screen and the process."""
    mine, its = os.openpty()
    take_terminal = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    session = subprocess.Popen(
        [sys.executable, "-c", take_terminal + RTBCI[-1], "run", *arguments],
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        env=os.environ | {"RTBCI_HOME": str(home), "TERM": "xterm"},
    )
    os.close(its)
    screen = bytearray()
    reader = threading.Thread(target=drain, args=(mine, screen))
    reader.start()
    try:
        yield mine, screen, session
    finally:
        session.kill()
        session.wait()
        reader.join()  # once the engine has gone, too
        os.close(mine)


def test_keys_of_the_live_view_mark_stop_outputs_and_quit(tmp_path: Path) -> None:
    arguments = ("--model", "ar", "--record", str(tmp_path), "--osc", "127.0.0.1:9")
    with on_a_terminal(tmp_path, *arguments) as (keyboard, screen, session):
        wait_until(lambda: b"STOP outputs" in screen)
        [folder] = tmp_path.glob("sub-*")

        def written() -> list[str]:
            commands = open_recording(folder).commands()
            mine = [c for c in commands if c.values.get("origin", "user") == "user"]
            return [c.kind for c in mine if c.kind in ("marker", "outputs")]

        os.write(keyboard, b"m")
        wait_until(lambda: written() == ["marker"])
        os.write(keyboard, b"s")
        wait_until(lambda: b"OUTPUTS STOPPED" in screen)
        os.write(keyboard, b"\x1b[A")  # an arrow is no key of ours
        os.write(keyboard, b"s")
        wait_until(lambda: written() == ["marker", "outputs", "outputs"])
        os.write(keyboard, b"q")
        assert session.wait(END_S) == 0
    recording = open_recording(folder)
    assert [m.label for m in recording.markers() if m.origin == "user"] == ["user"]
    stopped = [c.values["stopped"] for c in recording.commands() if c.kind == "outputs"]
    assert stopped == [True, False]
    assert recording.summary is not None


def drain(terminal: int, screen: bytearray) -> None:
    """Keep what a terminal shows, until nobody writes to it any more."""
    with contextlib.suppress(OSError):  # how Linux says that
        while shown := os.read(terminal, 4096):
            screen.extend(shown)


def test_commands_reach_a_session_and_what_is_none_is_said(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    sends: list[Send] = []

    def act(event: dict[str, Any]) -> None:
        told.append(event)
        if event["event"] == "started":
            sends[0]({"command": "dance"})
            now = time.monotonic()
            sends[0]({"command": "mark", "label": "feet", "time": now, "origin": "cue"})
        elif event["event"] == "marker" and event["origin"] == "cue":
            sends[0]({"command": "stop"})

    source = SourceSettings(name="simulator")
    settings = RunSettings(source=source, model="ar", montage="C3,Cz,C4", record=str(tmp_path))
    summary = run_session(settings, act, ready=sends.append)
    sends[0]({"command": "mark", "label": "after the end"})  # nobody listens; nothing happens
    [note] = [e["message"] for e in told if e["event"] == "note"]
    assert "there is no command 'dance'" in note
    [sample] = [e["sample"] for e in told if e["event"] == "marker" and e["origin"] == "cue"]
    markers = open_recording(Path(summary["recording"])).markers()
    assert [(m.label, m.sample) for m in markers if m.origin == "cue"] == [("feet", sample)]
    done = rtbci("replay", summary["recording"], "--verify", home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_engine_that_is_killed_is_said_and_its_recording_mended(tmp_path: Path) -> None:
    with live(tmp_path) as (session, recording):
        [engine] = engines_of(session)
        engine.kill()
        _, err = session.communicate(timeout=END_S)
        assert session.returncode == 1
    assert "the engine ended before the session did (killed by signal 9)" in err
    assert f"rtbci recover {recording}" in err
    assert "Traceback" not in err
    done = rtbci("recover", recording, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert open_recording(recording).n_rows > 0
    done = rtbci("replay", recording, "--verify", home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_engine_stops_when_its_terminal_is_killed(tmp_path: Path) -> None:
    with live(tmp_path) as (session, recording):
        [engine] = engines_of(session)
        session.kill()
        assert gone(engine)
    assert open_recording(recording).summary is not None


def test_a_reader_that_stops_reading_does_not_stop_the_recording(tmp_path: Path) -> None:
    """The terminal is suspended (Ctrl-Z): events pile up, the recording goes on."""
    with live(tmp_path, "--events") as (session, recording):
        [engine] = engines_of(session)
        session.send_signal(signal.SIGSTOP)
        rows = open_recording(recording).n_rows
        until = time.monotonic() + END_S
        while open_recording(recording).n_rows < rows + 500 and time.monotonic() < until:
            time.sleep(0.05)
        assert open_recording(recording).n_rows >= rows + 500
        session.send_signal(signal.SIGCONT)
        session.send_signal(signal.SIGTERM)
        out, _ = session.communicate(timeout=END_S)
        assert events(out)[-1]["dropped_tokens"] == 0
        assert gone(engine)


def test_a_recorded_session_replays_to_the_same_results(tmp_path: Path) -> None:
    done = rtbci("run", "--model", "ar", "--duration", "6", "--record", tmp_path / "r", "--json",
                 "--seed", "3", "--montage", "C3,Cz,C4", home=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    recording = Path(events(done.stdout)[-1]["recording"])
    done = rtbci("replay", recording, "--verify", "--json", home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    [summary] = events(done.stdout)
    assert summary["exact"]
    assert summary["forecasts"] == 51

    # One bit of one sample is enough to be found.
    [data] = recording.glob("*_eeg.eeg")
    with data.open("r+b") as file:
        file.seek(4 * 3 * 1300 + 2)
        byte = file.read(1)
        file.seek(4 * 3 * 1300 + 2)
        file.write(bytes([byte[0] ^ 64]))
    done = rtbci("replay", recording, "--verify", "--json", home=tmp_path)
    assert done.returncode == 1
    lines = events(done.stdout)
    assert lines[0]["event"] == "difference"
    # Row 1300 is 5.2 s into the session; its token is complete with row 1324 at the latest.
    assert 5.19 <= lines[0]["t_s"] <= 5.3


def planted(recording: Path) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Frame numbers that the emulated board wrote into its first channel."""
    opened = open_recording(recording)
    full_scale = opened.info.channels[0].full_scale
    assert full_scale is not None
    rows = np.concatenate([chunk.data[:, 0] for chunk in opened.chunks()]).astype(np.float64)
    return np.rint(rows / full_scale * (2**23 - 1)).astype(np.int64)


def test_a_cyton_that_loses_frames_has_every_gap_at_its_row(tmp_path: Path) -> None:
    with CytonEmulator(seed=5) as board:
        board.lose(fraction=0.02)
        done = rtbci("run", "--board", "openbci", "--serial-port", board.port, "--model", "ar",
                     "--duration", "5", "--json", "--record", tmp_path, home=tmp_path)  # fmt: skip
        truth = board.truth()
    assert done.returncode == 0, done.stderr
    summary = events(done.stdout)[-1]
    numbers = planted(Path(summary["recording"]))
    steps = np.diff(numbers)
    jumps = np.flatnonzero(steps > 1)
    assert len(jumps) > 5
    assert [g["sample"] for g in summary["gaps"]] == (jumps + 1).tolist()
    assert [g["missing"] for g in summary["gaps"]] == (steps[jumps] - 1).tolist()
    within = [n for n in truth.lost if numbers[0] < n < numbers[-1]]
    assert sum(g["missing"] for g in summary["gaps"]) == len(within)
    assert summary["dropped_tokens"] == 0


def test_a_cyton_that_is_unplugged_comes_back_behind_a_gap(tmp_path: Path) -> None:
    with CytonEmulator() as board:
        seen: list[dict[str, Any]] = []
        with subprocess.Popen(
            [*RTBCI, "run", "--board", "openbci", "--serial-port", board.port, "--model", "ar",
             "--json", "--record", str(tmp_path)],
            stdout=subprocess.PIPE, text=True, env=os.environ | {"RTBCI_HOME": str(tmp_path)},
        ) as session:  # fmt: skip
            assert session.stdout is not None
            for line in session.stdout:
                seen.append(json.loads(line))
                if seen[-1]["event"] == "started":
                    board.unplug()
                elif seen[-1]["event"] == "lost":
                    board.replug()
                elif seen[-1]["event"] == "gap":
                    session.send_signal(signal.SIGINT)
        assert session.returncode == 0
    names = [e["event"] for e in seen if e["event"] not in ("late", "stalled", "flowing", "note")]
    assert names == ["started", "lost", "reconnected", "gap", "summary"]
    summary = seen[-1]
    numbers = planted(Path(summary["recording"]))
    [gap] = summary["gaps"]
    assert gap["cause"] == "reconnect"
    missing = numbers[gap["sample"]] - numbers[gap["sample"] - 1] - 1
    # By the computer's clock, which a busy machine reads late; the gap has some 700 rows.
    assert missing > 400
    assert gap["missing"] == pytest.approx(missing, abs=100)
    assert summary["lost"] == 1
