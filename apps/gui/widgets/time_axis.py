"""Where an instant lies on the screen: scrolling, sweeping, or standing still."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Motion(Enum):
    """How time goes over the screen."""

    SCROLL = "scroll"
    """"Now" stands still, the signal moves."""
    SWEEP = "sweep"
    """The signal stands still, "now" moves over the oldest columns."""
    STILL = "still"
    """Paused: one axis from the past to what was then still to come."""


@dataclass(frozen=True)
class TimeAxis:
    """Instants to pixels.

    Attributes
    ----------
    motion : Motion
    origin : float
        Where columns count from, seconds of the session's clock.
    now : float
        The instant that is shown as "now", or the one that was looked back to.
    left : int
        Where the past begins, in pixels of the widget.
    past, ahead : int
        Columns of the past and of the forecast, device pixels.
    per_s : float
        Columns a second.
    dpr : float
        Device pixels to one of the widget's.
    """

    motion: Motion
    origin: float
    now: float
    left: int
    past: int
    ahead: int
    per_s: float
    dpr: float

    def column(self, time: float) -> float:
        """Columns from the origin to an instant."""
        return (time - self.origin) * self.per_s

    def time(self, column: float) -> float:
        """Instant of a column."""
        return self.origin + column / self.per_s

    @property
    def end(self) -> int:
        """The column of "now": the first one that is not whole yet."""
        return int(self.column(self.now) // 1)

    @property
    def first(self) -> int:
        """The oldest column that is on screen."""
        return self.end - self.past

    @property
    def page(self) -> int:
        """In a sweep: the column that lies at the left edge, at or before "now"."""
        return self.end - self.end % self.past

    @property
    def x_now(self) -> float:
        """Where "now" is, pixels: in a sweep the boundary to the forecast."""
        return self.left + self.past / self.dpr

    @property
    def x_pen(self) -> float:
        """Where the newest column is, pixels."""
        if self.motion is Motion.SWEEP:
            return self.left + (self.end - self.page) / self.dpr
        return self.x_now

    def x(self, time: float) -> float | None:
        """Where an instant is, pixels; None where it is not on screen."""
        column = self.column(time)
        if column > self.end and self.motion is not Motion.STILL:
            x = self.x_now + (column - self.column(self.now)) / self.dpr
            return x if column <= self.end + self.ahead else None
        if column < self.first or column > self.end + self.ahead:
            return None
        if self.motion is Motion.SWEEP:
            page = self.page if column >= self.page else self.page - self.past
            return self.left + (column - page) / self.dpr
        return self.left + (column - self.first) / self.dpr

    def time_at(self, x: float) -> float:
        """Instant that is shown at a place, pixels."""
        column = (x - self.left) * self.dpr
        if self.motion is Motion.SWEEP and column < self.past:
            page = self.page if self.page + column <= self.end else self.page - self.past
            return self.time(page + column)
        return self.time(self.first + column)
