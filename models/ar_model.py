"""AR by Burg as a model in its own right: for mu phase, and where no weights fit the montage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rtbci.models.baselines import ARForecaster
from rtbci.tick import Tick
from rtbci.types import BoolArray, FloatArray


class ARModel:
    """A :class:`rtbci.tick.Model` that forecasts each electrode from its own last minute.

    It needs no weights, knows no electrode names and has no classes.

    Parameters
    ----------
    electrodes : sequence of str
        Electrodes of the stream, in order.
    rate_hz : float
        Rate of the preprocessed signal, Hz.
    n_horizons : int
        Samples ahead.
    hop : int
        Rows from a tick to the next.
    memory_s : float
        Length of the history that is fitted, s.
    """

    name = "ar"
    device = "cpu"
    published = "ar"
    classes: tuple[str, ...] = ()

    def __init__(
        self,
        electrodes: Sequence[str],
        *,
        rate_hz: float = 250.0,
        n_horizons: int = 250,
        hop: int = 25,
        memory_s: float = 60.0,
    ) -> None:
        self.n_horizons = n_horizons
        self.electrodes = tuple(electrodes)
        self._ar = ARForecaster(
            len(electrodes), rate_hz=rate_hz, n_horizons=n_horizons, memory_s=memory_s, hop=hop
        )
        settings = {
            "model": self.name,
            "rate_hz": rate_hz,
            "n_horizons": n_horizons,
            "hop": hop,
            "memory_s": memory_s,
            "order": self._ar.order,
        }
        text = json.dumps(settings, sort_keys=True)
        self.identity = hashlib.sha256(text.encode()).hexdigest()
        self._tick: Tick | None = None

    def reset(self, electrodes: BoolArray | None = None) -> None:
        """Forget these electrodes; all of them at a new segment (None)."""
        self._ar.reset(electrodes)
        self._tick = None

    def ingest(self, tick: Tick) -> None:
        """Refit the electrode whose turn it is."""
        self._ar.update(tick)
        # The history is a view into the ring; what a forecast needs of it must outlive this call.
        newest = tick.history[-self._ar.order :].copy()
        self._tick = replace(tick, history=newest, good=tick.good.copy())

    def decode(self) -> tuple[npt.NDArray[np.float64], str]:
        """No probabilities: AR has no classes."""
        return np.zeros(0), "ar has no decode head"

    def forecast(self) -> dict[str, FloatArray]:
        """Forecast from the token just ingested, under the key ``ar``.

        Raises
        ------
        RuntimeError
            Before the first token.
        """
        if self._tick is None:
            raise RuntimeError("forecast comes after ingest: no token of this segment yet")
        return {"ar": self._ar.forecast(self._tick)}
