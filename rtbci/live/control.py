"""Commands to a session of another process: JSON over a local socket, for this user alone.

The engine's :class:`ControlServer` listens, a window's :class:`SessionLink` sends.  The key lies
in a file that only the user can read; messages are JSON, never pickles.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from rtbci.errors import BadInputError, RtbciError
from rtbci.live.registry import CONTROL_FILE, Pulse

ANSWER_S = 2.0
"""A session that has not answered a command by then hangs."""
END_S = 60.0
"""A session that was told to end writes what it has, and a slow disk takes its time."""
POLL_S = 0.02
LONGEST_PATH = 100
"""Of a socket in the file system (macOS takes 103 bytes)."""
LONGEST_COMMAND = 1 << 16

Take = Callable[[str], None]
"""Obeys one command, a line of JSON; raises BadInputError where it is none."""


class ControlServer:
    """Takes commands for the session of this process, each in a thread of its connection.

    Parameters
    ----------
    folder : Path
        Of the session.
    take : callable
        Called from these threads.

    Raises
    ------
    OSError
        Where nothing can listen here.
    """

    def __init__(self, folder: Path, take: Take) -> None:
        self._take = take
        key = secrets.token_bytes(32)
        path = folder / "control"
        if os.name == "nt":
            self._listener = Listener(family="AF_PIPE", authkey=key)
        elif len(os.fsencode(path)) <= LONGEST_PATH:
            self._listener = Listener(os.fspath(path), family="AF_UNIX", authkey=key)
        else:
            self._listener = Listener(("127.0.0.1", 0), family="AF_INET", authkey=key)
        self._closed = threading.Event()
        self._tell(folder, key)
        threading.Thread(target=self._accept, name="rtbci-control", daemon=True).start()

    def close(self) -> None:
        """Take no further connection; safe to call twice."""
        self._closed.set()
        self._listener.close()

    def _tell(self, folder: Path, key: bytes) -> None:
        told = json.dumps({"address": self._listener.address, "key": key.hex()})
        new = folder / (CONTROL_FILE + ".new")
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(told)
        new.replace(folder / CONTROL_FILE)

    def _accept(self) -> None:
        while not self._closed.is_set():
            # NB: who does not know the key, or breaks off while it is asked, is not the session's
            # trouble; a listener that was closed is told by the flag.
            with contextlib.suppress(OSError, EOFError, AuthenticationError):
                link = self._listener.accept()
                serve = threading.Thread(target=self._serve, args=(link,), daemon=True)
                serve.start()

    def _serve(self, link: Connection[Any, Any]) -> None:
        with link, contextlib.suppress(OSError, EOFError):
            while True:
                line = link.recv_bytes(LONGEST_COMMAND).decode(errors="replace")
                answer: dict[str, Any] = {"ok": True}
                try:
                    self._take(line)
                except BadInputError as err:
                    answer = {"ok": False, "message": str(err)}
                link.send_bytes(json.dumps(answer).encode())


@dataclass
class _Line:
    """One connection, which a thread of its own may wait for."""

    folder: Path
    link: Connection[Any, Any] | None = None

    def ask(self, line: bytes, answers: queue.SimpleQueue[dict[str, Any] | Exception]) -> None:
        try:
            if self.link is None:
                told = json.loads((self.folder / CONTROL_FILE).read_text(encoding="utf-8"))
                address = told["address"]
                where = address if isinstance(address, str) else tuple(address)
                self.link = Client(where, authkey=bytes.fromhex(told["key"]))
            self.link.send_bytes(line)
            answers.put(json.loads(self.link.recv_bytes()))
        except (OSError, EOFError, ValueError, AuthenticationError) as err:
            answers.put(err)

    def close(self) -> None:
        if self.link is not None:
            self.link.close()


class SessionLink:
    """Sends commands to a session; connected at the first one, and again after a failure.

    Parameters
    ----------
    folder : Path
        Of the session.
    """

    def __init__(self, folder: Path) -> None:
        self._line = _Line(folder)
        self._lock = threading.Lock()

    def send(self, command: dict[str, Any]) -> None:
        """Send a command (:mod:`rtbci.commands`) and wait until it is taken; from any thread.

        Raises
        ------
        BadInputError
            Where the session refuses it, with its reason, is gone, or does not answer.
        """
        folder, name = self._line.folder, command.get("command")
        answers: queue.SimpleQueue[dict[str, Any] | Exception] = queue.SimpleQueue()
        with self._lock:
            # NB: in a thread, since an engine that hangs lets itself be connected to, and then
            # nothing comes; a window must not hang with it.
            ask = (json.dumps(command).encode(), answers)
            threading.Thread(target=self._line.ask, args=ask, daemon=True).start()
            try:
                answer = answers.get(timeout=ANSWER_S)
            except queue.Empty:
                self._line = _Line(folder)
                raise BadInputError(
                    f"the session {folder.name} does not answer, so whether it does {name!r} is "
                    "not known; end its process if it stays so."
                ) from None
            if isinstance(answer, Exception):
                self._line.close()
                self._line = _Line(folder)
                raise BadInputError(
                    f"the session {folder.name} is gone, so it can't be told {name!r}; "
                    "`rtbci attach --list` shows those that run."
                ) from answer
        if not answer["ok"]:
            raise BadInputError(answer["message"])

    def close(self) -> None:
        """Hang up; the session goes on."""
        with self._lock:
            self._line.close()
            self._line = _Line(self._line.folder)


def end_session(folder: Path, seconds: float = END_S) -> None:
    """End a session and wait until its process has ended; nothing where it has already.

    Raises
    ------
    RtbciError
        Where it has not ended in time.
    """
    pulse, link = Pulse(folder), SessionLink(folder)
    until = time.monotonic() + seconds
    try:
        if pulse.there:
            with contextlib.suppress(BadInputError):  # it ends at this moment
                link.send({"command": "stop"})
        while pulse.there:
            if time.monotonic() > until:
                raise RtbciError(
                    f"the session {folder.name} was told to end and has not within {seconds:g} s; "
                    "`rtbci attach --list` says which process it is."
                )
            time.sleep(POLL_S)
    finally:
        link.close()
        pulse.close()
