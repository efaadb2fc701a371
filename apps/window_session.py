"""Sessions that outlive who started them: begun from a window, ended from anywhere.

    start(settings) -> engine process of its own --> folder in rtbci.live.registry
    begin_anew(entry, ...) -> a second engine gets ready, ends the first, takes its source over

The one who started an engine looks at :attr:`DetachedEngine.ready` until there is something to
show, or reads in :attr:`DetachedEngine.failure` why there never will be.  No Qt here: nothing waits
but :meth:`DetachedEngine.wait` and :meth:`DetachedEngine.end`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from rtbci.apps.settings import RunSettings
from rtbci.config import from_dict
from rtbci.errors import BadInputError, RtbciError
from rtbci.health import BY_HAND
from rtbci.live import registry
from rtbci.live.control import SessionLink
from rtbci.live.layout import is_ready
from rtbci.live.registry import EVENTS_FILE, VIEW_FILE, Pulse, SessionEntry

START_S = 120.0
"""A slow disk loads the model in half a minute; a board takes some seconds."""
POLL_S = 0.05
LOG_BYTES = 1 << 16
"""Of what an engine has printed, read for its error."""
DISPLAYS = ("QT_QPA_PLATFORM", "WAYLAND_DISPLAY", "DISPLAY")
"""Environment variables that say where a window can be shown, on Linux."""

_children: list[subprocess.Popen[bytes]] = []
"""Engines of this process, kept so that their ends can be noticed."""


def has_display(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a window can be shown."""
    return not sys.platform.startswith("linux") or any(map(environment.get, DISPLAYS))


@dataclass
class DetachedEngine:
    """An engine that was just started.

    Attributes
    ----------
    id : str
        Of its session.
    settings : RunSettings
    """

    id: str
    settings: RunSettings
    _process: subprocess.Popen[bytes] = field(repr=False)
    _log: IO[bytes] = field(repr=False)

    @property
    def folder(self) -> Path:
        """Of the session."""
        return registry.session_folder(self.id)

    @property
    def ready(self) -> bool:
        """Whether the session can be opened (:class:`rtbci.live.reader.LiveView`)."""
        return is_ready(self.folder / VIEW_FILE)

    @property
    def ended(self) -> bool:
        """Whether the engine's process is over."""
        return self._process.poll() is not None

    @property
    def failure(self) -> str | None:
        """Why the engine has ended before its time, in words; None where it has not."""
        code = self._process.poll()
        if not code:
            return None
        error = self._error()
        if error is not None:
            return str(error["message"])
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        return f"the engine ended before the session did ({how})."

    def wait(self, seconds: float = START_S) -> Path:
        """Wait until the session can be opened; give its folder.

        Raises
        ------
        BadInputError, RtbciError
            What ended it before, or that it did not get ready.
        """
        until = time.monotonic() + seconds
        while not self.ready:
            if self.failure is not None:
                error = self._error()
                bad = error is not None and error["exit_code"] == BadInputError.exit_code
                raise (BadInputError if bad else RtbciError)(self.failure)
            if self.ended or time.monotonic() > until:
                self.end()
                raise RtbciError(
                    f"the session had nothing to show within {seconds:g} s, so it was ended; "
                    "`rtbci run --headless` says more."
                )
            time.sleep(POLL_S)
        return self.folder

    def end(self) -> None:
        """End the session, whether it has got ready or not; what it has recorded stays."""
        link = SessionLink(self.folder)
        try:
            link.send({"command": "stop"})
        except BadInputError:  # it has not come so far as to be told anything, or is over
            self._process.terminate()
        finally:
            link.close()
        self._process.wait()

    def close(self) -> None:
        """Let go of its log: why it has ended can't be asked any more."""
        self._log.close()

    def _error(self) -> dict[str, Any] | None:
        """The error event that the engine wrote last, if any."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - LOG_BYTES))
        for line in reversed(self._log.read().splitlines()):
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict) and said.get("event") == "error":
                    return said
        return None


def start(settings: RunSettings, *, replaces: SessionEntry | None = None) -> DetachedEngine:
    """Start an engine that outlives this process; returns at once.

    Parameters
    ----------
    settings : RunSettings
    replaces : SessionEntry | None
        A session that the new one ends as soon as it is ready to take its source over.
    """
    session = registry.new_id()
    log = tempfile.TemporaryFile()  # noqa: SIM115 - read as long as there is a DetachedEngine
    asked = ["--session", session]
    if replaces is not None:
        asked += ["--replaces", replaces.id]
    threads = {
        name: os.environ.get(name, "1") for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    }
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
    else:
        flags = 0
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
        [sys.executable, "-P", "-m", "rtbci.apps.engine", "--detached", *asked],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=log,
        env=os.environ | threads,
        # Neither the terminal's Ctrl-C nor its end is meant for a session of its own.
        start_new_session=os.name == "posix",
        creationflags=flags,
    )
    _children[:] = [child for child in _children if child.poll() is None] + [process]
    assert process.stdin is not None
    with contextlib.suppress(OSError), process.stdin:  # one that has ended already says why
        process.stdin.write(settings.to_json().encode() + b"\n")
    engine = DetachedEngine(session, settings, process, log)
    weakref.finalize(engine, log.close)
    return engine


def begin_anew(
    entry: SessionEntry, *, record: str | None = None, changes: Mapping[str, Any] | None = None
) -> DetachedEngine:
    """Let a session go on as a new one: with a recording, without one, or after its end.

    A recording holds a session from its first row on, so that it can be replayed: recording begins
    and ends with a session.  A new engine gets ready beside the running one, then ends it.  What
    was switched by hand stays so: electrodes that are left out, thresholds, stopped outputs.

    Parameters
    ----------
    entry : SessionEntry
        It may have ended, or been killed.
    record : str | None
        Folder in which the new session is recorded; None for none.
    changes : mapping, optional
        Other fields of :class:`RunSettings`.

    Raises
    ------
    BadInputError
        Where the session belongs to a terminal, or the folder can't be written.
    """
    runs = Pulse(entry.folder).there
    if runs and not entry.detached:
        raise BadInputError(
            f"session {entry.id} belongs to the terminal that began it; end it there with Ctrl-C, "
            "and begin one with --record."
        )
    if record is not None:
        _check_folder(Path(record))
    kept = {"record": record, "begin_with": switched_by_hand(entry)}
    settings = replace(settings_of(entry), **(kept | dict(changes or {})))
    return start(settings, replaces=entry if runs else None)


def settings_of(entry: SessionEntry) -> RunSettings:
    """What a session was started with."""
    return from_dict(RunSettings, entry.settings, "run settings")


def switched_by_hand(entry: SessionEntry) -> tuple[str, ...]:
    """Commands that bring a new session to where this one's operator has brought it."""
    said = [json.loads(line) for line in entry.settings.get("begin_with", ())]
    with contextlib.suppress(OSError):  # killed, and removed by somebody who looked
        text = (entry.folder / EVENTS_FILE).read_bytes()
        events = [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]
        said += [command for event in events if (command := _as_command(event))]
    standing: dict[str, dict[str, Any]] = {}
    for command in said:
        what = command["command"].removeprefix("stop_").removeprefix("resume_")
        standing[command.get("channel", command.get("output", what))] = command
    over = ("take_back", "resume_outputs")
    return tuple(json.dumps(c) for c in standing.values() if c["command"] not in over)


def _as_command(event: dict[str, Any]) -> dict[str, Any] | None:
    """The command that an event tells of, if it tells of one that stands."""
    match event:
        case {"event": "channel", "channel": name, "reason": reason}:
            out = reason == BY_HAND
            return {"command": "leave_out" if out else "take_back", "channel": name}
        case {"event": "threshold", "on": on, "off": off}:
            return {"command": "threshold", "on": on, "off": off}
        case {"event": "output", "output": name, "off": off}:
            return {"command": "stop_outputs" if off else "resume_outputs", "output": name}
        case {"event": "outputs", "stopped": stopped}:
            return {"command": "stop_outputs" if stopped else "resume_outputs"}
    return None


def _check_folder(folder: Path) -> None:
    """Refuse a folder that can't be recorded into, before a running session is ended for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as err:
        raise BadInputError(
            f"{folder} can't be recorded into ({err.strerror}); name a folder that is yours."
        ) from err
