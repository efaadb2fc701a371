"""What the bridge hands to every view model at each poll: all that is new since the last one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from rtbci.types import Decode, Forecast

if TYPE_CHECKING:
    from rtbci.live.view import Rows


@dataclass(frozen=True, slots=True)
class Update:
    """News of a session since the last poll; made about thirty times a second.

    Attributes
    ----------
    time : float
        Time of the newest row there is, seconds of the session's clock; NaN before the first.
    rows : Rows
        New raw rows, all channels; often none.
    filtered : Rows
        New rows as the model sees them, electrodes only.
    breaks : tuple of int
        Rows of ``filtered`` (by session index) at which a new segment begins.
    forecasts, decodes : tuple
    status : dict | None
        The newest ``status`` event, where it is a new one.
    events : tuple of dict
        All other events (``gap``, ``marker``, ``channel`` and so on), in order.
    missed : int
        Raw rows that were gone before they could be read.
    beat_age : float
        Seconds since the engine last said that it lives.
    alive : bool
        False once the engine's process has gone or says nothing any more.
    begun : float | None
        Time of the session's first row; None before there is one.
    """

    time: float
    rows: Rows
    filtered: Rows
    breaks: tuple[int, ...] = ()
    forecasts: tuple[Forecast, ...] = ()
    decodes: tuple[Decode, ...] = ()
    status: dict[str, Any] | None = None
    events: tuple[dict[str, Any], ...] = field(default=())
    missed: int = 0
    beat_age: float = 0.0
    alive: bool = True
    begun: float | None = None


class ViewModel(Protocol):
    """What a panel shows, without Qt.

    It is made with the session's :class:`rtbci.live.view.ViewInfo` alone.
    """

    def take(self, update: Update) -> None:
        """Take what is new; called at every poll, from the window's thread: keep it short."""
