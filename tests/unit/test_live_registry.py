"""Sessions find each other, and what killed ones have left goes away."""

from __future__ import annotations

import os
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import pytest

from rtbci.apps import live_session
from rtbci.apps.live_session import LiveSession, begin_live
from rtbci.apps.settings import RunSettings
from rtbci.clock import MonotonicClock
from rtbci.errors import BadInputError
from rtbci.live import control, registry
from rtbci.live.control import ControlServer, SessionLink, end_session
from rtbci.live.registry import Pulse


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime folder of the test's own."""
    monkeypatch.setattr(registry, "runtime_folder", lambda: tmp_path / "rt")
    return tmp_path / "rt"


def begin(session: str | None = None) -> LiveSession:
    made, why = begin_live(
        RunSettings(), MonotonicClock(), lambda _: None, session=session, detached=True
    )
    assert made is not None, why
    return made


def test_two_sessions_are_found_told_apart_and_gone_when_they_end() -> None:
    one, two = begin("aaa111"), begin("aab222")
    found = registry.sessions()
    assert [entry.id for entry in found] == ["aaa111", "aab222"]
    assert {entry.pid for entry in found} == {os.getpid()}
    assert registry.find("aab").source == "simulator"
    newest = registry.latest()
    assert newest is not None
    assert newest.id == registry.find(None).id == "aab222"
    with pytest.raises(BadInputError, match="several sessions begin with 'aa'"):
        registry.find("aa")
    with pytest.raises(BadInputError, match="there is no session '9'; there runs: aaa111"):
        registry.find("9")
    two.close()
    assert [entry.id for entry in registry.sessions()] == ["aaa111"]
    one.close()
    assert registry.latest() is None
    assert list(registry.sessions_folder().iterdir()) == []
    with pytest.raises(BadInputError, match="no session runs here"):
        registry.find(None)


def test_what_a_killed_session_left_is_removed_and_what_runs_stays() -> None:
    runs = begin()
    left = registry.session_folder("dead00")
    left.mkdir()
    (left / "view.bin").write_bytes(bytes(100))
    registry.session_lock("dead00").path.write_text('{"pid": 1, "what": "a session"}')
    assert [entry.id for entry in registry.sessions()] == [runs.entry.id]
    assert sorted(p.name for p in registry.sessions_folder().iterdir()) == [
        runs.entry.id, f"{runs.entry.id}.lock",
    ]  # fmt: skip
    runs.close()


def test_a_pulse_is_there_as_long_as_the_session() -> None:
    runs = begin()
    pulse = Pulse(runs.entry.folder)
    asked = [pulse.there for _ in range(3)]  # asking must not end it
    runs.close()
    asked.append(pulse.there)
    assert asked == [True, True, True, False]
    pulse.close()


def test_a_folder_that_cannot_be_made_costs_the_view_only(runtime: Path) -> None:
    runtime.write_text("a file is in the way")
    made, why = begin_live(RunSettings(), MonotonicClock(), lambda _: None)
    assert made is None
    assert "no window can be attached to this session" in why
    assert str(runtime) in why


def test_a_full_disk_costs_the_view_only(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    made, _ = begin_live(RunSettings(), MonotonicClock(), told.append)
    assert made is not None

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(live_session, "ViewWriter", full)
    monkeypatch.setattr(LiveSession, "_view_info", lambda *_: _Info())
    assert made.show(_Pipeline(), None) is None  # type: ignore[arg-type]
    [note] = told
    assert note["event"] == "note"
    assert "No space left on device" in note["message"]
    made.close()


class _Info:
    source, recording = "a source", None


class _Pipeline:
    class config:  # noqa: N801 - as the pipeline has it
        class token:  # noqa: N801
            hop_s = 0.1


def test_commands_arrive_in_order_and_a_refusal_comes_back() -> None:
    runs = begin()
    lines: list[str] = []

    def take(line: str) -> None:
        lines.append(line)
        if "dance" in line:
            raise BadInputError("there is no command 'dance'.")

    runs.listen(take)
    one, two = SessionLink(runs.entry.folder), SessionLink(runs.entry.folder)
    one.send({"command": "mark", "label": "µ"})
    two.send({"command": "stop_outputs"})
    with pytest.raises(BadInputError, match="there is no command 'dance'"):
        one.send({"command": "dance"})
    one.send({"command": "resume_outputs"})
    assert [line.split('"')[3] for line in lines] == [
        "mark", "stop_outputs", "dance", "resume_outputs",
    ]  # fmt: skip
    one.close()
    two.close()
    runs.close()
    with pytest.raises(BadInputError, match="is gone, so it can't be told 'stop'"):
        one.send({"command": "stop"})
    end_session(runs.entry.folder)  # nothing to end


@pytest.mark.parametrize("longest", [0, 1000])
def test_who_does_not_know_the_key_is_not_heard(
    longest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "LONGEST_PATH", min(longest, control.LONGEST_PATH))
    lines: list[str] = []
    server = ControlServer(tmp_path, lines.append)
    address = server._listener.address
    with pytest.raises((AuthenticationError, OSError)):
        Client(address, authkey=b"guessed")
    link = SessionLink(tmp_path)
    link.send({"command": "stop"})
    assert lines == ['{"command": "stop"}']
    link.close()
    server.close()
