"""The terminal's side of a session: starts the engine in a process of its own, follows it.

The engine reads its settings and commands as JSON lines on its standard input and writes its
events as JSON lines on its standard output.  They live and die together: when this process
goes, even by SIGKILL, the engine's input ends and it stops; when the engine goes, its output
ends and :func:`run_session` says what happened.  Ctrl-C and SIGTERM ask the engine to stop, so that
the session ends with its summary; a second Ctrl-C ends it at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from rtbci.apps.settings import RunSettings
from rtbci.errors import BadInputError, RtbciError

OnEvent = Callable[[dict[str, Any]], None]
Send = Callable[[dict[str, Any]], None]


def run_session(
    settings: RunSettings, on_event: OnEvent, *, ready: Callable[[Send], None] | None = None
) -> dict[str, Any]:
    """Run a session in an engine process until it ends.

    Parameters
    ----------
    settings : RunSettings
    on_event : callable
        Called with each event, the summary last.
    ready : callable, optional
        Called once, before the first event, with the function that sends a command
        (:mod:`rtbci.commands`) to the engine; that one may be called from any thread, and does
        nothing once the engine has gone.

    Returns
    -------
    summary : dict

    Raises
    ------
    RtbciError
        What ended the session before its time, or that the engine was killed.
    """
    environment = os.environ | {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "1"),
        "PYTHONUNBUFFERED": "1",
    }
    engine = subprocess.Popen(
        # -P: a queue.py or types.py in the user's folder is not ours to import.
        [sys.executable, "-P", "-m", "rtbci.apps.engine"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Closed by the caller (2>&-): the engine needs one to send what libraries print to.
        stderr=subprocess.DEVNULL if sys.stderr is None else None,
        env=environment,
        # A process group of its own: Ctrl-C reaches the terminal's side only, which asks.
        start_new_session=os.name == "posix",
    )
    pipe = _Commands(engine)
    with _stopping(engine, pipe.send) as asked:
        try:
            pipe.write(settings.to_json())
            if ready is not None:
                ready(pipe.send)
            return _follow(engine, on_event, asked)
        finally:
            # NB: both pipes first: an engine that still writes would wait for ever.
            pipe.close()
            if engine.stdout is not None:
                engine.stdout.close()
            engine.wait()


class _Commands:
    """The engine's standard input, for all threads and for a signal's handler."""

    def __init__(self, engine: subprocess.Popen[bytes]) -> None:
        assert engine.stdin is not None
        self._pipe = engine.stdin
        self._lock = threading.RLock()

    def send(self, command: dict[str, Any]) -> None:
        self.write(json.dumps(command))

    def write(self, line: str) -> None:
        """Write a line past all buffers: a handler may come in the middle of another write."""
        rest = line.encode() + b"\n"
        with self._lock, contextlib.suppress(OSError):  # it has ended: nobody to tell
            while rest and not self._pipe.closed:
                rest = rest[os.write(self._pipe.fileno(), rest) :]

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._pipe.close()


def _follow(engine: subprocess.Popen[bytes], on_event: OnEvent, asked: list[int]) -> dict[str, Any]:
    summary: dict[str, Any] | None = None
    recording: str | None = None
    for event in _events(engine):
        if event["event"] == "error":
            on_event(event)
            kind = BadInputError if event["exit_code"] == BadInputError.exit_code else RtbciError
            raise kind(event["message"])
        if event["event"] == "started":
            recording = event.get("recording")
        if event["event"] == "summary":
            summary = event
        on_event(event)
    if summary is None:
        status = engine.wait()
        how = f"killed by signal {-status}" if status < 0 else f"exit code {status}"
        mend = (
            f" What was recorded is in {recording}; mend it with: rtbci recover {recording}"
            if recording
            else ""
        )
        if len(asked) > 1:
            raise RtbciError(f"ended at once, without a summary, as asked twice.{mend}")
        raise RtbciError(f"the engine ended before the session did ({how}).{mend}")
    return summary


def _events(engine: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    assert engine.stdout is not None
    for line in engine.stdout:
        if line.endswith(b"\n"):  # the last one of an engine that was killed may be torn
            yield json.loads(line)


@contextlib.contextmanager
def _stopping(engine: subprocess.Popen[bytes], send: Send) -> Iterator[list[int]]:
    """While inside, Ctrl-C and SIGTERM ask the engine to stop; a second one kills it.

    Gives the list of signals that came.
    """
    asked: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if asked:
            engine.kill()
        asked.append(number)
        send({"command": "stop"})

    numbers = [signal.SIGINT, signal.SIGTERM]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
