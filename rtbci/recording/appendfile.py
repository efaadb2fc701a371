"""A file that only grows, by whole entries: what is written is with the operating system."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class AppendFile:
    """A new file without a buffer of its own.

    Every ``append`` is in the hands of the operating system when it returns, so that a killed
    process loses nothing.  Entries that belong together, in several files, become final with
    ``commit``; ``undo`` takes back what came since, after a disk turned out to be full.

    Parameters
    ----------
    path : Path
        Must not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._fd: int | None = os.open(path, flags, 0o644)
        self._size = 0
        self._committed = 0
        self._dirty = False

    def append(self, entry: bytes) -> None:
        """Write ``entry``.

        Raises
        ------
        OSError
            Where the disk is full or gone; a part may have been written.
        """
        assert self._fd is not None
        rest = memoryview(entry)
        self._dirty = True
        while len(rest):
            done = os.write(self._fd, rest)  # may take a part only, when the disk gets full
            self._size += done
            rest = rest[done:]

    def commit(self) -> None:
        """Make what was appended final."""
        self._committed = self._size

    def undo(self) -> None:
        """Cut off what was appended since the last commit."""
        if self._fd is None or self._size == self._committed:
            return
        with contextlib.suppress(OSError):  # else recovery cuts it off
            os.ftruncate(self._fd, self._committed)
            self._size = self._committed

    def sync(self) -> None:
        """Have the disk itself hold what was appended."""
        if self._dirty and self._fd is not None:
            os.fsync(self._fd)
            self._dirty = False

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
