"""Distributions of latencies: every value is kept, so that the percentiles are exact.

Ten tokens a second are 2 MB of float32 in sixteen hours: a histogram would save nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rtbci.types import FloatArray


@dataclass
class _Growing:
    """A float32 array that doubles when it is full."""

    values: FloatArray = field(default_factory=lambda: np.empty(1024, dtype=np.float32))
    size: int = 0

    def append(self, value: float) -> None:
        if self.size == len(self.values):
            self.values = np.resize(self.values, 2 * self.size)
        self.values[self.size] = value
        self.size += 1


RECENT = 600
"""Tokens that a live view looks back on: a minute."""
LAST = 12
"""Tokens whose latency a status tells: more than there are between two of them."""


class LatencyLog:
    """Latency of every decode (or forecast, where there are no decodes) and of its stages."""

    def __init__(self) -> None:
        self._total = _Growing()
        self._stages: dict[str, _Growing] = {}

    def add(self, total: float, stages: dict[str, float]) -> None:
        """Note one token: seconds in all and seconds by stage."""
        self._total.append(total)
        for name, value in stages.items():
            self._stages.setdefault(name, _Growing()).append(value)

    @property
    def count(self) -> int:
        """Tokens noted."""
        return self._total.size

    def summary(self) -> dict[str, object]:
        """Percentiles in ms: ``p50 p99 p999 max``, and ``p50 p99`` of each stage; None if empty."""
        return self._over(0)

    def recent(self) -> dict[str, object]:
        """The same of the newest ``RECENT`` tokens: its cost does not grow with the session."""
        return self._over(max(0, self._total.size - RECENT))

    def last(self) -> dict[str, object]:
        """Count of all tokens, and ms of the newest ``LAST``: a bar each in a live view."""
        newest = self._total.values[max(0, self._total.size - LAST) : self._total.size]
        return {"count": self._total.size, "ms": [round(1000 * float(v), 2) for v in newest]}

    def _over(self, first: int) -> dict[str, object]:
        return {
            **_percentiles(self._total, first, {"p50": 50, "p99": 99, "p999": 99.9, "max": 100}),
            "stages": {
                name: _percentiles(values, first, {"p50": 50, "p99": 99})
                for name, values in self._stages.items()
            },
        }


def _percentiles(values: _Growing, first: int, wanted: dict[str, float]) -> dict[str, float | None]:
    if not values.size:
        return dict.fromkeys(wanted)
    known = values.values[first : values.size] * 1000
    return {k: round(float(np.percentile(known, q)), 3) for k, q in wanted.items()}
