"""The one clock of a session: seconds of the monotonic clock that LSL's ``local_clock`` also is.

Everything that waits or measures takes a :class:`Clock`, so that tests can pass their own.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the engine asks of a clock."""

    def now(self) -> float:
        """Seconds of the monotonic clock."""

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for ``seconds`` (no time at all where negative)."""


class MonotonicClock:
    """The machine's monotonic clock; on Linux the very clock of LSL's ``local_clock``."""

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block for ``seconds``."""
        if seconds > 0:
            time.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to, for tests and for replays faster than life."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def now(self) -> float:
        """Where the clock was moved to."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move ahead at once."""
        self.advance(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        """Move the clock ahead by ``seconds``; it never goes back."""
        if seconds < 0:
            raise ValueError(f"a clock does not go back, got {seconds} s")
        self._now += seconds
