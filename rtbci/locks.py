"""One session holds a device at a time: a lock file with its owner's pid.

The lock itself is the operating system's lock on the file, which ends with its process however
that ends; the file's content only says who holds it.  So a file left by a killed session is
recognised for certain (it is not locked), whatever process has that pid by now.
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from rtbci.errors import SourceError

LOCKED_BYTE = 1 << 20
"""Windows locks bytes against reading too: this one lies behind the content."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who wrote a lock: its process, and what it does with the device."""

    pid: int
    what: str


@dataclass
class DeviceLock:
    """Holds one device for this process.

    Parameters
    ----------
    device : str
        What is held: a port's real path, a board's address; the same for all who want it.
    name : str
        As the user calls it, for errors; by default ``device``.
    folder : Path | None
        Where locks are kept; by default the user's runtime folder.

    Attributes
    ----------
    stale : Owner | None
        After :meth:`acquire`: the dead session whose lock was taken over, if there was one.
    holder : Owner | None
        After a refused :meth:`acquire`: the living session, where its lock says who it is.
    """

    device: str
    name: str = ""
    folder: Path | None = None
    stale: Owner | None = None
    holder: Owner | None = None
    _fd: int | None = field(default=None, repr=False)

    @property
    def path(self) -> Path:
        """The lock's file."""
        folder = self.folder if self.folder is not None else runtime_folder() / "locks"
        return folder / (re.sub(r"[^A-Za-z0-9.]+", "-", self.device).strip("-") + ".lock")

    @property
    def held(self) -> bool:
        """Whether this object holds the device."""
        return self._fd is not None

    @property
    def remedy(self) -> str:
        """How the user ends the session that holds the device."""
        return "press Ctrl-C there" + (f", or: kill {self.holder.pid}" if self.holder else "")

    def acquire(self, what: str = "a session") -> None:
        """Take the device, for as long as this process lives or until :meth:`release`.

        Raises
        ------
        SourceError
            Where a living process holds it; it is named.
        """
        if self.held:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as err:
            raise SourceError(
                f"The lock {self.path} of {self.device} can't be written ({err.strerror}); make "
                "that folder yours, or point XDG_RUNTIME_DIR to one that is."
            ) from err
        locked = _lock(fd)
        before = _read(fd)
        if not locked:
            os.close(fd)
            self.holder = before
            who = f"{before.what} (pid {before.pid})" if before else "another process"
            raise SourceError(
                f"{self.name or self.device} is in use by {who}, and one session holds a board at "
                f"a time; end that one first: {self.remedy}."
            )
        self.stale = before
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, json.dumps({"pid": os.getpid(), "what": what}).encode())
        self._fd = fd

    def release(self) -> None:
        """Let go of the device; safe to call twice."""
        if self._fd is None:
            return
        # NB: emptied, not removed. A file removed here could just have been opened by another
        # process, which would then hold a lock on a name that no third process finds.
        os.ftruncate(self._fd, 0)
        os.close(self._fd)
        self._fd = None


@dataclass
class LockProbe:
    """Tells whether a lock is held, without ever being in its owner's way.

    Parameters
    ----------
    path : Path
        Of the lock; one that is not there is not held.
    """

    path: Path
    _fd: int | None = field(default=None, repr=False)

    @property
    def held(self) -> bool:
        """Whether a living process holds it."""
        try:
            if self._fd is None:
                self._fd = os.open(self.path, os.O_RDWR)
        except OSError:
            return False
        return _is_locked(self._fd)

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd = None


def runtime_folder() -> Path:
    """Where this user's processes find each other; it need not exist yet."""
    from platformdirs import user_runtime_path

    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR it falls back to a folder in /tmp and warns: good enough here.
        warnings.simplefilter("ignore")
        return user_runtime_path("rtbci")


def _read(fd: int) -> Owner | None:
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        said = json.loads(os.read(fd, 4096))
        return Owner(int(said["pid"]), str(said["what"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> bool:
        os.lseek(fd, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _is_locked(fd: int) -> bool:
        if not _lock(fd):
            return True
        os.lseek(fd, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
        return False

else:
    import fcntl

    def _lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _is_locked(fd: int) -> bool:
        try:
            # NB: shared, so that two who ask at a time don't take each other for the owner.
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(fd, fcntl.LOCK_UN)
        return False
