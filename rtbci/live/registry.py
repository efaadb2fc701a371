"""The sessions that run on this machine for this user: a folder for each.

    <user's runtime folder>/rtbci/sessions/
    ├── 3fa91c.lock          held by the engine's process, however that ends
    └── 3fa91c/
        ├── session.json     who runs what, since when
        ├── view.bin         what a window maps (rtbci.live.layout)
        ├── events.jsonl     what has happened
        └── control.json     how commands reach it (rtbci.live.control)

A folder whose lock nobody holds is of a session that was killed; who looks for sessions removes it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rtbci.errors import BadInputError
from rtbci.locks import DeviceLock, LockProbe, runtime_folder

SESSION_FILE = "session.json"
VIEW_FILE = "view.bin"
EVENTS_FILE = "events.jsonl"
CONTROL_FILE = "control.json"
ID = re.compile(r"[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """A session that runs.

    Attributes
    ----------
    id : str
        Six hexadecimal digits.
    folder : Path
    pid : int
        Of the engine.
    started : float
        Seconds of the wall clock (UNIX time).
    source : str
        For people.
    recording : str | None
        Its folder.
    version : str
        Of rtbci.
    detached : bool
        Whether it outlives who started it; else it ends with its terminal.
    settings : dict
        What it was started with, so that it can be begun anew.
    """

    id: str
    folder: Path
    pid: int
    started: float
    source: str
    recording: str | None = None
    version: str = ""
    detached: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    def write(self) -> None:
        """Write the session's file, in one piece."""
        values = asdict(self)
        del values["folder"]
        new = self.folder / (SESSION_FILE + ".new")
        new.write_text(json.dumps(values), encoding="utf-8")
        new.replace(self.folder / SESSION_FILE)


def sessions_folder() -> Path:
    """Where the sessions of this user are."""
    return runtime_folder() / "sessions"


def new_id() -> str:
    """An id that no session has."""
    return secrets.token_hex(3)


def session_folder(session: str) -> Path:
    """Where the session of that id is."""
    return sessions_folder() / session


def session_lock(session: str) -> DeviceLock:
    """What the engine of that session holds while it lives."""
    return DeviceLock(session, folder=sessions_folder())


class Pulse:
    """Tells whether the process of a session is there: it holds the session's lock.

    Parameters
    ----------
    folder : Path
        Of the session.
    """

    def __init__(self, folder: Path) -> None:
        self._probe = LockProbe(session_lock(folder.name).path)

    @property
    def there(self) -> bool:
        """Whether it is."""
        return self._probe.held

    def close(self) -> None:
        """Let go of the lock's file."""
        self._probe.close()


def make_sessions_folder() -> Path:
    """Make the folder of all sessions, for this user alone.

    Raises
    ------
    OSError
        Where it can't be made, or is somebody else's.
    """
    folder = sessions_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    about = folder.stat()
    if os.name == "posix" and about.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user")
    if os.name == "posix" and stat.S_IMODE(about.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def sessions() -> list[SessionEntry]:
    """Sessions that run, the oldest first; what killed ones have left is removed."""
    root = sessions_folder()
    found = []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if not (ID.fullmatch(folder.name) and folder.is_dir()):
            continue
        probe = LockProbe(session_lock(folder.name).path)
        held = probe.held
        probe.close()
        if not held:
            remove(folder.name)
        elif (entry := read_entry(folder)) is not None:
            found.append(entry)
    return sorted(found, key=lambda entry: entry.started)


def latest() -> SessionEntry | None:
    """The session that was begun last; None where none runs."""
    running = sessions()
    return running[-1] if running else None


def find(session: str | None) -> SessionEntry:
    """The session of that id, or of an id that begins so; the newest where None.

    Raises
    ------
    BadInputError
        Where there is none, or several begin so.
    """
    running = sessions()
    if not running:
        raise BadInputError("no session runs here; begin one with: rtbci run.")
    if session is None:
        return running[-1]
    those = [entry for entry in running if entry.id.startswith(session)]
    if len(those) != 1:
        there = ", ".join(f"{entry.id} ({entry.source})" for entry in running)
        what = "there is no session" if not those else "several sessions begin with"
        raise BadInputError(f"{what} {session!r}; there runs: {there}.")
    return those[0]


def read_entry(folder: Path) -> SessionEntry | None:
    """What a session says of itself; None where it has not said it yet."""
    try:
        said = json.loads((folder / SESSION_FILE).read_text(encoding="utf-8"))
        return SessionEntry(folder=folder, **said)
    except (OSError, ValueError, TypeError):
        return None


def remove(session: str) -> None:
    """Remove what a session has left; what is open on Windows stays for the next time."""
    shutil.rmtree(session_folder(session), ignore_errors=True)
    if not session_folder(session).exists():
        with contextlib.suppress(OSError):
            session_lock(session).path.unlink(missing_ok=True)
