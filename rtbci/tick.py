"""What the pipeline hands to models and decoders at every token, and what it asks of them.

The core knows models and decoders only by the protocols below; torch, scikit-learn and
pyriemann stay in ``rtbci.models`` and ``rtbci.calibration``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rtbci.types import BoolArray, DecoderChange, FloatArray, Marker


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
        """Take one hop of preprocessed signal, µV, at the model's rate.

        Shape (n_hop, n_electrodes), and after the electrodes EOG and EMG where the stream has
        them (:attr:`rtbci.types.StreamInfo.decoder_channels`).
        """

    def decode(self, good: BoolArray) -> tuple[npt.NDArray[np.float64], str]:
        """Class probabilities, shape (n_classes,), and the reason to abstain ('' when valid)."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a token is decoded, and what has become known since the one before.

    Attributes
    ----------
    token, sample, time
        As in :class:`rtbci.types.Decode`.
    markers : tuple of Marker
        Those whose row has come by ``sample``; a late one from the row on with which it came.
        A replay gives each at the token of the live session.
    """

    token: int
    sample: int
    time: float
    markers: tuple[Marker, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an :class:`OnlineDecoder` says at a token.

    Attributes
    ----------
    p : ndarray, shape (n_classes,), float64
        Probabilities; NaN where it abstains.
    reason : str
        Why it abstains, else empty.
    decision, evidence, thresholds, flags
        As in :class:`rtbci.types.Decode`.
    changes : tuple of DecoderChange
        How the decoder has changed in front of this token.
    """

    p: npt.NDArray[np.float64]
    reason: str
    decision: str | None
    evidence: tuple[float, ...]
    thresholds: tuple[float, float] | None
    flags: tuple[str, ...]
    changes: tuple[DecoderChange, ...] = ()


@runtime_checkable
class OnlineDecoder(Decoder, Protocol):
    """A decoder that decides by itself, and learns from markers: asked by ``answer`` alone."""

    def answer(self, good: BoolArray, moment: Moment) -> Answer:
        """Decode the token at ``moment``; called once a token, in place of ``decode``."""


@runtime_checkable
class Adjustable(Decoder, Protocol):
    """A decoder whose thresholds can be moved while it runs."""

    def set_thresholds(self, on: float, off: float) -> None:
        """Decide by these from the next token on.

        Raises
        ------
        BadInputError
            Where they contradict each other.
        """
