"""What the strip shows of time: a bar a token, percentiles by stage, deadlines that were missed.

A token's deadline is the next token: a decode that leaves later than one hop after its last
sample was due is late.  Its latency comes with the status (``latency_ms`` and ``latency_last``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtbci.apps.gui.view_models.update import Update
    from rtbci.live.view import ViewInfo

DEADLINE_MS = 100.0
"""From one token to the next."""
KEPT = 300
"""Tokens with a bar: half a minute."""


@dataclass(frozen=True)
class StageTime:
    """A stage of the way from sample to decode; milliseconds, None before there is a token."""

    name: str
    p50: float | None
    p99: float | None


@dataclass
class LatencyState:
    """What :class:`LatencyModel` remembers.

    Attributes
    ----------
    bars : deque of float
        Latency of the newest tokens, ms, oldest first.
    token : int
        Tokens that were taken.
    late : int
        Tokens behind their deadline, of those that were taken.
    summary : dict
        ``latency_ms`` of the newest status.
    """

    bars: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    token: int = 0
    late: int = 0
    summary: dict[str, Any] = field(default_factory=dict)


class LatencyModel:
    """Follows the latencies of one session.

    Parameters
    ----------
    info : ViewInfo
    deadline_ms : float
        From one token to the next.
    """

    def __init__(self, info: ViewInfo, deadline_ms: float = DEADLINE_MS) -> None:
        self.paced = info.kind != "replay"
        self.deadline_ms = deadline_ms
        self.state = LatencyState()

    def take(self, update: Update) -> None:
        """Take what is new of the session."""
        if update.status is not None:
            self.take_status(update.status)

    def take_status(self, status: Mapping[str, Any]) -> int:
        """Take a status; the number of new bars.

        ``latency_last`` is ``{"count": tokens so far, "ms": [newest ones, oldest first]}``.
        """
        state = self.state
        state.summary = dict(status.get("latency_ms") or {})
        last = status.get("latency_last")
        if not last:
            return 0
        fresh = min(int(last["count"]) - state.token, len(last["ms"]))
        if fresh <= 0:
            return 0
        bars = [float(v) for v in last["ms"][-fresh:]]
        state.token = int(last["count"])
        state.bars.extend(bars)
        state.late += sum(v > self.deadline_ms for v in bars)
        return fresh

    @property
    def p50(self) -> float | None:
        """Median of the last minute, ms."""
        return self._number("p50")

    @property
    def p99(self) -> float | None:
        """99th percentile of the last minute, ms."""
        return self._number("p99")

    @property
    def maximum(self) -> float | None:
        """Longest of the last minute, ms."""
        return self._number("max")

    @property
    def missed(self) -> bool:
        """Whether a deadline was missed in the last minute."""
        longest = self.maximum
        return longest is not None and longest > self.deadline_ms

    def stages(self) -> tuple[StageTime, ...]:
        """Where the time went, in the order of the way."""
        stages = self.state.summary.get("stages") or {}
        return tuple(StageTime(name, v.get("p50"), v.get("p99")) for name, v in stages.items())

    def _number(self, key: str) -> float | None:
        value = self.state.summary.get(key)
        return None if value is None else float(value)
