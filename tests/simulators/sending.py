"""A sender in a process of its own: it can stall, die and come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from typing import Self


class SenderProcess(ABC):
    """The process that sends; use as a context manager.

    It says one line on its standard output once it is ready.
    """

    _process: subprocess.Popen[str] | None = None

    @abstractmethod
    def arguments(self) -> list[str]:
        """Program and arguments for the interpreter."""

    def ready(self, said: str) -> None:
        """Take the line that it said."""
        assert said == "ready\n"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start (again), and wait until it is ready."""
        self._process = subprocess.Popen(
            [sys.executable, *self.arguments()],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.ready(self._process.stdout.readline())

    def stall(self) -> None:
        """Stop the process where it is."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """End a stall."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End the process without a farewell."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
