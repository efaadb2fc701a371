"""Sessions and those who look at them: processes of their own, none is hurt by another's end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from rtbci.apps import window_session
from rtbci.apps.settings import RunSettings, SourceSettings
from rtbci.apps.verify import verify_recording
from rtbci.errors import BadInputError, RtbciError
from rtbci.health import BY_HAND
from rtbci.live import registry
from rtbci.live.control import SessionLink
from rtbci.live.reader import LiveView
from rtbci.live.registry import SessionEntry
from rtbci.recording.reader import open_recording
from rtbci.recording.recover import recover

RTBCI = [sys.executable, "-c", "from rtbci.apps.entry import main; main()"]
END_S = 100.0
"""How long a test waits for what never comes; nothing is measured by it."""
SETTINGS = RunSettings(source=SourceSettings(scripted=False), montage="C3,Cz,C4", model="ar")
OPEN: list[LiveView] = []
READER = """
import sys
from pathlib import Path
from rtbci.live.reader import LiveView
view = LiveView.open(Path(sys.argv[1]))
print("open", flush=True)
while True:
    view.rows(0), view.filtered(0), view.forecasts(-1), view.decodes(-1), view.status()
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of the test's own, here and in the processes that it starts."""
    folder = tmp_path / "rt"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    while OPEN:
        OPEN.pop().close()


def look(folder: Path) -> LiveView:
    """Open a view, which is closed when the test is over."""
    OPEN.append(LiveView.open(folder))
    return OPEN[-1]


def until(what: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + END_S
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@contextmanager
def headless(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], SessionEntry]]:
    """A headless session on the simulator, which can be looked at."""
    session = subprocess.Popen(
        [
            *RTBCI,
            "run",
            "--headless",
            "--json",
            "--model",
            "ar",
            "--montage",
            "C3,Cz,C4",
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert session.stdout is not None
    try:
        for line in session.stdout:
            if json.loads(line)["event"] == "started":
                break
        [engine] = psutil.Process(session.pid).children()
        [entry] = [entry for entry in registry.sessions() if entry.pid == engine.pid]
        yield session, entry
    finally:
        session.kill()
        session.communicate()


@contextmanager
def detached(settings: RunSettings = SETTINGS) -> Iterator[window_session.DetachedEngine]:
    """A session of its own that can be opened."""
    engine = window_session.start(settings)
    try:
        engine.wait(END_S)
        yield engine
    finally:
        engine.end()


def test_what_another_process_reads_is_what_the_recording_holds(tmp_path: Path) -> None:
    """Although one reader is killed, and somebody wants to take the session over."""
    with headless("--record", str(tmp_path)) as (session, entry):
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, str(entry.folder)], stdout=subprocess.PIPE, text=True
        )
        view = look(entry.folder)
        until(lambda: view.alive)
        assert view.info.recording == entry.recording
        assert (view.info.session, view.info.electrodes) == (entry.id, ("C3", "Cz", "C4"))
        link = SessionLink(entry.folder)
        pieces, seen = [], 0
        while seen < 1000:
            got = view.rows(seen, limit=77)
            assert got.start == seen
            pieces.append(got)
            seen = got.stop
        assert reader.stdout is not None
        assert reader.stdout.readline() == "open\n"
        reader.kill()
        reader.communicate()
        with pytest.raises(BadInputError, match="belongs to the terminal that began it"):
            window_session.begin_anew(entry, record=str(tmp_path))
        until(lambda: len(view.forecasts(10)) > 5)
        forecasts = {f.token: f for f in view.forecasts(-1)}
        link.send({"command": "mark", "label": "seen"})
        until(lambda: any(e["event"] == "marker" for e in view.events(0)[0]))
        status = view.status()
        assert status is not None
        assert status["electrodes"] == ["C3", "Cz", "C4"]
        link.send({"command": "stop"})
        out, err = session.communicate(timeout=END_S)
        assert session.returncode == 0, err
        summary = json.loads(out.splitlines()[-1])
        assert (summary["dropped_tokens"], summary["gaps"], summary["ended"]) == (0, [], "")
    events, _ = view.events(0)
    assert [e["event"] for e in events if e["event"] != "marker"] == ["started", "summary"]
    until(lambda: not view.alive)
    assert entry.recording is not None
    recording = open_recording(Path(entry.recording))
    rows = np.concatenate([chunk.data for chunk in recording.chunks()])
    times = np.concatenate([chunk.times for chunk in recording.chunks()])
    np.testing.assert_array_equal(np.concatenate([p.data for p in pieces]), rows[:seen])
    np.testing.assert_array_equal(np.concatenate([p.times for p in pieces]), times[:seen])
    assert view.info.begun == times[0]
    assert len(rows) == summary["samples"]
    same = [r.same(forecasts[r.token]) for r in recording.forecasts() if r.token in forecasts]
    assert len(same) == len(forecasts)
    assert all(same)
    assert verify_recording(Path(entry.recording)).same
    link.close()
    assert registry.sessions() == []


def test_an_engine_that_is_killed_is_noticed_and_its_session_goes_on_anew(tmp_path: Path) -> None:
    wanted = replace(SETTINGS, record=str(tmp_path / "recorded"))
    engine = window_session.start(wanted)
    engine.wait(END_S)
    view = look(engine.folder)
    until(lambda: view.rows(0).stop > 500)
    until(lambda: view.alive)
    recorded = view.info.recording
    assert recorded is not None
    os.kill(view.entry.pid, signal.SIGKILL)
    until(lambda: not view.alive)
    until(lambda: engine.failure is not None)
    assert "killed by signal 9" in str(engine.failure)
    assert view.rows(0).stop > 500, "what was there can still be looked at"
    assert not any(e["event"] == "summary" for e in view.events(0)[0])
    assert registry.sessions() == []
    assert not engine.folder.exists(), "what it left is removed"
    recover(Path(recorded))
    assert sum(len(c.data) for c in open_recording(Path(recorded)).chunks()) > 0
    anew = window_session.begin_anew(view.entry, record=wanted.record)
    try:
        other = look(anew.wait(END_S))
        assert other.info.recording not in (None, recorded)
        assert other.info.electrodes == view.info.electrodes
    finally:
        anew.end()


def test_recording_begins_and_ends_with_a_session_that_takes_over(tmp_path: Path) -> None:
    with detached() as engine:
        first = look(engine.folder)
        assert first.info.recording is None
        process = psutil.Process(first.entry.pid)
        process.suspend()
        until(lambda: not first.alive)  # an engine that hangs is as good as dead
        link = SessionLink(first.entry.folder)
        with pytest.raises(BadInputError, match="does not answer"):
            link.send({"command": "mark", "label": "nobody hears"})
        process.resume()
        until(lambda: first.alive)
        link.send({"command": "leave_out", "channel": "Cz"})
        link.send({"command": "stop_outputs"})
        until(lambda: {"channel", "outputs"} <= {e["event"] for e in first.events(0)[0]})
        link.close()
        anew = window_session.begin_anew(first.entry, record=str(tmp_path))
        try:
            second = look(anew.wait(END_S))
            assert not first.alive
            assert [e["event"] for e in first.events(0)[0]][-1] == "summary"
            assert [entry.id for entry in registry.sessions()] == [anew.id]
            until(lambda: second.rows(0).stop > 300 and second.status() is not None)
            status = second.status()
            assert status is not None
            assert (status["left_out"], status["stopped"]) == ({"Cz": BY_HAND}, True)
        finally:
            anew.end()
        recorded = Path(str(second.info.recording))
    assert open_recording(recorded).summary is not None
    verified = verify_recording(recorded)
    assert verified.same, verified.words()
    assert verified.channels == 1


def test_what_cannot_begin_says_why(tmp_path: Path) -> None:
    engine = window_session.start(replace(SETTINGS, model="nonsense"))
    with pytest.raises(BadInputError, match="there is no model 'nonsense'"):
        engine.wait(END_S)
    assert engine.failure is not None
    assert registry.sessions() == []
    (tmp_path / "file").touch()
    entry = SessionEntry("abcdef", tmp_path / "abcdef", 1, 0.0, "simulator")
    with pytest.raises(BadInputError, match="can't be recorded into"):
        window_session.begin_anew(entry, record=str(tmp_path / "file"))


def test_without_a_runtime_folder_a_session_runs_and_says_so() -> None:
    registry.sessions_folder().parent.mkdir(parents=True, exist_ok=True)
    registry.sessions_folder().write_text("a file is in the way")
    done = subprocess.run(
        [*RTBCI, "run", "--headless", "--json", "--model", "ar", "--montage", "C3,Cz,C4",
         "--duration", "3", "--speed", "max"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["event"] for e in told] == ["note", "started", "summary"]
    assert "no window can be attached to this session" in told[0]["message"]
    assert told[-1]["samples"] == 750
    engine = window_session.start(SETTINGS)
    with pytest.raises(RtbciError, match="no window can be attached"):
        engine.wait(END_S)


def rtbci(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RTBCI, *arguments], capture_output=True, text=True, check=False)


def test_two_sessions_run_at_a_time_and_each_obeys_its_own_commands() -> None:
    with detached() as one, detached(replace(SETTINGS, montage="Fz,Pz")) as two:
        said = [json.loads(line) for line in rtbci("attach", "--json").stdout.splitlines()]
        assert [(s["id"], s["detached"]) for s in said] == [(one.id, True), (two.id, True)]
        views = [look(engine.folder) for engine in (one, two)]
        assert [v.info.electrodes for v in views] == [("C3", "Cz", "C4"), ("Fz", "Pz")]
        link = SessionLink(two.folder)
        link.send({"command": "mark", "label": "second"})
        link.send({"command": "leave_out", "channel": "C3"})  # refused by the pipeline, in words
        link.close()
        until(lambda: {"marker", "note"} <= {e["event"] for e in views[1].events(0)[0]})
        [note] = [e for e in views[1].events(0)[0] if e["event"] == "note"]
        assert "there is no electrode 'C3'; there are Fz, Pz" in note["message"]
        stopped = rtbci("stop", two.id)
        assert stopped.returncode == 0, stopped.stderr
        assert f"session {two.id} has ended" in stopped.stdout
        until(lambda: [view.alive for view in views] == [True, False])
        assert not any(e["event"] == "marker" for e in views[0].events(0)[0])
        os.kill(views[0].entry.pid, signal.SIGTERM)  # as a computer does that is shut down
        until(lambda: not views[0].alive)
        assert views[0].events(0)[0][-1]["event"] == "summary"
