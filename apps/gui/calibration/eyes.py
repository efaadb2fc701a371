"""Eye movements while cues are shown, from the signal that the engine lets others see.

rows as the model sees them ---> the decoders' own flags ---> times at which the eyes set off
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from rtbci.calibration.signal.artefacts import BLOCK_S, EYES, ArtefactMonitor, monitor_for
from rtbci.calibration.signal.learned import Learned
from rtbci.calibration.signal.regression import reference_electrodes
from rtbci.live.view import View


class EyeWatch:
    """Watches one engine's signal for eye movements, where an electrode is near the eyes.

    Parameters
    ----------
    learned : Learned | None
        What the session's signal check has shown of the eyes.

    Attributes
    ----------
    row : int
        Row of the model's rate to go on with.
    moving : bool
        Whether the eyes moved in the newest block.
    """

    def __init__(self, learned: Learned | None = None) -> None:
        self._learned = learned
        self._monitor: ArtefactMonitor | None = None
        self._eyes = np.zeros(0, dtype=np.bool_)
        self.row = 0
        self.moving = False

    def take(self, view: View) -> list[float]:
        """Give the times at which the eyes set off since the last call, of the session's clock."""
        info = view.info
        if self._monitor is None:
            # NB: far from the eyes the flags would take any slow wave for theirs.
            near = reference_electrodes(info.electrodes)
            watched = info.electrodes if near else ()
            self._monitor = monitor_for(watched, info.model_rate, learned=self._learned)
            if self._monitor is None:
                return []
            self._eyes = np.array([f.startswith(EYES) for f in self._monitor.features])
        rows = view.filtered(self.row)
        breaks = {int(row) for row in view.filtered_breaks(self.row)}
        if rows.start > self.row:  # some are gone: what comes is another segment to the monitor
            breaks.add(rows.start)
        self.row = rows.stop
        size = max(1, round(BLOCK_S * info.model_rate))
        cuts = {rows.start, rows.stop, *range(rows.start, rows.stop, size)} | breaks
        places = sorted(c for c in cuts if rows.start <= c <= rows.stop)
        found = []
        for start, stop in pairwise(places):
            if start in breaks:
                self._monitor.reset()
                self.moving = False
            self._monitor.push(rows.data[start - rows.start : stop - rows.start])
            before, self.moving = (
                self.moving,
                bool(self._monitor.state.since[self._eyes].min() == 0),
            )
            if self.moving and not before:
                found.append(float(rows.times[stop - 1 - rows.start]))
        return found
