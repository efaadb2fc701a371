"""Gives every marker the row it belongs to: the row nearest to its time, once that has come.

Markers of a gap belong to the first row behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from rtbci.ring import MirrorRing
from rtbci.types import Marker, TimeArray

MEMORY_S = 600.0
"""How late a marker may come and still find its row; later ones go to the oldest row known."""


@dataclass
class MarkerState:
    """Markers whose row has not come, and the times of the newest rows.

    Attributes
    ----------
    times : MirrorRing
    rows : int
        Rows of the session so far.
    pending : list of Marker
    """

    times: MirrorRing
    rows: int = 0
    pending: list[Marker] = field(default_factory=list)


class MarkerPlacer:
    """Sets ``Marker.sample``.

    Parameters
    ----------
    rate : float
        Nominal, Hz.
    """

    def __init__(self, rate: float) -> None:
        self._half = 0.5 / rate
        self.state = MarkerState(MirrorRing(max(2, round(MEMORY_S * rate)), 1, np.float64))

    def push(self, times: TimeArray, markers: Iterable[Marker]) -> tuple[Marker, ...]:
        """Take the times of new rows and new markers; give the markers that have a row now.

        Parameters
        ----------
        times : ndarray, shape (n_times,), float64
            Strictly increasing, also from call to call.
        markers : iterable of Marker
            Those whose ``sample`` is set already keep it.

        Returns
        -------
        placed : tuple of Marker
            In the order of their rows.
        """
        state = self.state
        state.times.write(times[:, None])
        state.rows += len(times)
        state.pending.extend(markers)
        if not state.pending:
            return ()
        known = state.times.view(state.times.size)[:, 0]
        oldest = state.rows - len(known)
        placed, waiting = [], []
        for marker in state.pending:
            at = int(np.searchsorted(known, marker.time - self._half))
            if marker.sample is not None:
                placed.append(marker)
            elif at < len(known):
                placed.append(replace(marker, sample=oldest + at))
            else:
                waiting.append(marker)
        state.pending = waiting
        return tuple(sorted(placed, key=lambda m: (m.sample or 0, m.time)))

    def flush(self) -> tuple[Marker, ...]:
        """Give the markers that still wait to the last row: no other will come."""
        last = max(0, self.state.rows - 1)
        placed = tuple(replace(m, sample=last) for m in self.state.pending)
        self.state.pending = []
        return placed
