"""Says how long a source has been silent, in words that the session acts on.

No driver does: BrainFlow and LSL both give empty reads for ever after an unplug.

Concurrency: none; the acquisition thread asks after every read.
"""

from __future__ import annotations

from enum import StrEnum

from rtbci.config import TimelineConfig
from rtbci.errors import BadInputError


class SourceState(StrEnum):
    """How a source is doing."""

    OK = "ok"
    """Rows come, or the last ones are not long ago."""
    LATE = "late"
    """No rows for ``late_s``: a batch is overdue, a busy machine can do that."""
    STALLED = "stalled"
    """No rows for ``stalled_s``: worth telling the user; a backlog may still come."""
    LOST = "lost"
    """No rows for ``lost_s``: gone; close it and reconnect."""


class Watchdog:
    """Turns silence into a :class:`SourceState`.

    Parameters
    ----------
    config : TimelineConfig

    Raises
    ------
    BadInputError
        Where the thresholds are not positive and in order.
    """

    def __init__(self, config: TimelineConfig) -> None:
        if not 0 < config.late_s <= config.stalled_s <= config.lost_s:
            raise BadInputError(
                f"timeline needs 0 < late_s <= stalled_s <= lost_s, got {config.late_s}, "
                f"{config.stalled_s} and {config.lost_s} s."
            )
        self._config = config
        self._heard: float | None = None
        self.silence_s = 0.0
        """Seconds without rows at the last update."""

    def reset(self) -> None:
        """Begin anew: silence counts from the next update (after a reconnection)."""
        self._heard = None
        self.silence_s = 0.0

    def update(self, now: float, n_rows: int) -> SourceState:
        """Take note of a read.

        Parameters
        ----------
        now : float
            Seconds of the session's clock.
        n_rows : int
            Rows that it gave; silence counts from the last read that gave any, or from the
            first update.
        """
        if n_rows > 0 or self._heard is None:
            self._heard = now
        self.silence_s = now - self._heard
        if self.silence_s >= self._config.lost_s:
            return SourceState.LOST
        if self.silence_s >= self._config.stalled_s:
            return SourceState.STALLED
        if self.silence_s >= self._config.late_s:
            return SourceState.LATE
        return SourceState.OK
