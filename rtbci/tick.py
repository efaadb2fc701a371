"""What the pipeline hands to models and decoders at every token, and what it asks of them.

The core knows models and decoders only by the protocols below; torch, scikit-learn and
pyriemann stay in ``rtbci.models`` and ``rtbci.calibration``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rtbci.types import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Tick:
    """One token: everything a model may look at, all of it past.

    Attributes
    ----------
    token : int
        Tokens of the session before this one.
    index : int
        Tokens of the segment before this one; a new segment starts at 0.
    history : ndarray, shape (n_history, n_electrodes), float32, µV
        The preprocessed signal of the segment at the model's rate, newest row last, at most
        ``TokenConfig.history_s`` long.  The token's window is its last ``window_s``; rows that
        the segment does not have yet are absent, so it can be shorter than a window.
        A view into the ring: valid during the call only.
    mean, scale : ndarray, shape (n_electrodes,), float32, µV
        Running (EMA) mean and standard deviation at the newest sample; ``scale`` > 0.
    good : ndarray, shape (n_electrodes,), bool
        False for electrodes that are left out now; their history is finite but worthless.
    """

    token: int
    index: int
    history: FloatArray
    mean: FloatArray
    scale: FloatArray
    good: BoolArray


class Model(Protocol):
    """A forecaster with state: ``ingest`` every token, then perhaps ``decode`` and ``forecast``."""

    @property
    def name(self) -> str:
        """For people: ``eegpt-base``, ``ar``."""

    @property
    def identity(self) -> str:
        """Content hash of weights and settings; equal models have equal identities."""

    @property
    def device(self) -> str:
        """Where it computes: ``cpu``, ``cuda``."""

    @property
    def published(self) -> str:
        """Key of the forecast that is shown and sent (``direct``, ``rollout``, ``ar``)."""

    @property
    def n_horizons(self) -> int:
        """Samples ahead, at the model's rate."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the model's own decode head; empty where it has none."""

    def reset(self, electrodes: BoolArray | None = None) -> None:
        """Forget the state of these electrodes; of all of them at a new segment (None)."""

    def ingest(self, tick: Tick) -> None:
        """Advance the state by one token.  Never skipped."""

    def decode(self) -> tuple[npt.NDArray[np.float64], str]:
        """Class probabilities, shape (n_classes,), and why there are none ('' where there are)."""

    def forecast(self) -> dict[str, FloatArray]:
        """Forecasts of the token just ingested, by method, each (n_horizons, n_electrodes) in µV.

        Keys: the published one, and of the baselines those that the model has: ``ar``, ``ridge``.
        NaN columns for electrodes that are left out.  May be skipped when it would come too late.
        """


class Decoder(Protocol):
    """Reads the user's intention from the causal signal; the streaming side of an estimator."""

    @property
    def name(self) -> str:
        """Which decoder and of whom (``P07: ts+lr``)."""

    @property
    def classes(self) -> tuple[str, ...]:
        """What it tells apart."""

    @property
    def calibrated(self) -> bool:
        """Whether it was fitted on this subject."""

    @property
    def window_s(self) -> float:
        """How far back a decode looks; with the cue's time it tells a trial's decodes."""

    def reset(self) -> None:
        """Forget everything; called at a new segment."""

    def push(self, block: FloatArray) -> None:
        """Take one hop of preprocessed signal, shape (n_hop, n_electrodes), µV, model's rate."""

    def decode(self, good: BoolArray) -> tuple[npt.NDArray[np.float64], str]:
        """Class probabilities, shape (n_classes,), and the reason to abstain ('' when valid)."""
