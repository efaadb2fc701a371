"""What leaves the program, before it is put into LSL's or OSC's words; docs/outputs.md has all.

A decode may drive something, so it carries what a receiver needs to be neutral in time:

    sequence   counts up by one: what is lost shows
    age        of the newest sample that it has seen, when it was sent, s
    ttl        it means nothing from ``ttl - age`` after it was sent
    valid      0: be neutral now

``valid`` is 0 where the decoder abstains, has never seen this subject, or speaks too late, where
somebody pressed stop, and when the session ends.  What is never sent (a gap, a dead engine, a
cut cable) becomes neutral by the time to live.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from rtbci.clock import Clock
from rtbci.config import OutputConfig
from rtbci.errors import BadInputError
from rtbci.events import PUBLISHED_MS, published_rows
from rtbci.types import Decode, FloatArray, Forecast


class EngineState(StrEnum):
    """What a heartbeat says."""

    RUNNING = "running"
    """The session runs; decodes may be valid."""
    STOPPED = "stopped"
    """Somebody pressed stop: the session runs, but everything is neutral until resumed."""
    ENDED = "ended"
    """The last message of a session."""


@dataclass(frozen=True, slots=True)
class DecodeMessage:
    """One decode as it is sent.

    Attributes
    ----------
    session : int
        Drawn at random for each run of the engine; sequence and clock begin anew with it.
    sequence : int
        Counts up by one from 0.
    sent : float
        When it was sent, seconds of the engine's clock.
    age : float
        Seconds from the newest sample that the decode has seen until ``sent``.
    ttl : float
        Seconds; it means nothing from ``sent + ttl - age`` on.
    valid : bool
        Whether it may be acted on at all.
    p : tuple of float
        Probabilities of the classes; all 0 where it is not valid.
    decision : int
        Index of the decided class; -1 for none, and where it is not valid.
    """

    session: int
    sequence: int
    sent: float
    age: float
    ttl: float
    valid: bool
    p: tuple[float, ...]
    decision: int


@dataclass(frozen=True, slots=True)
class ForecastMessage:
    """One forecast at the published horizons.

    Attributes
    ----------
    session, sequence, sent, age
        As in :class:`DecodeMessage`, counted apart.
    values : ndarray, shape (n_horizons, n_electrodes), float32, µV
        NaN for electrodes that are left out.
    """

    session: int
    sequence: int
    sent: float
    age: float
    values: FloatArray


@dataclass(frozen=True, slots=True)
class HeartbeatMessage:
    """The engine lives.

    Attributes
    ----------
    session, sequence, sent, ttl
        As in :class:`DecodeMessage`, counted apart.
    state : EngineState
    """

    session: int
    sequence: int
    sent: float
    ttl: float
    state: EngineState


@dataclass
class ComposerState:
    """What has been sent.

    Attributes
    ----------
    decodes, forecasts, heartbeats : int
        Sequence number of the next one of each.
    ended : bool
    """

    decodes: int = 0
    forecasts: int = 0
    heartbeats: int = 0
    ended: bool = False


@dataclass
class Composer:
    """Makes messages of results, and neutral ones of whatever must not be acted on.

    Attributes
    ----------
    config : OutputConfig
    clock : Clock
        The session's.
    classes : tuple of str
        Of all decodes to come.
    latch : threading.Event
        Set while stopped; the one thing that other threads may touch.
    session : int
        31 random bits.
    """

    config: OutputConfig
    clock: Clock
    classes: tuple[str, ...]
    latch: threading.Event
    session: int = field(default_factory=lambda: secrets.randbits(31))
    state: ComposerState = field(default_factory=ComposerState)

    def decode(self, decode: Decode) -> DecodeMessage:
        """Make the message of a decode.

        Raises
        ------
        ValueError
            Where its classes are not those of this session.
        """
        if decode.classes != self.classes:
            raise ValueError(f"expected a decode of {self.classes}, got one of {decode.classes}")
        now = self.clock.now()
        age = max(0.0, now - decode.time)
        valid = (
            decode.valid
            and decode.calibrated
            and not self.latch.is_set()
            and not self.state.ended
            and age < self.config.ttl_s
            and bool(np.isfinite(decode.p).all())
        )
        if not valid:
            return self.neutral(age)
        decision = -1 if decode.decision is None else self.classes.index(decode.decision)
        return self._message(now, age, True, tuple(map(float, decode.p)), decision)

    def neutral(self, age: float = 0.0) -> DecodeMessage:
        """Make a message that says: be neutral now."""
        return self._message(self.clock.now(), age, False, (0.0,) * len(self.classes), -1)

    def forecast(self, forecast: Forecast) -> ForecastMessage | None:
        """Make the message of a forecast; None while stopped."""
        if self.latch.is_set():
            return None
        now = self.clock.now()
        values = forecast.mean[published_rows(forecast.rate, len(forecast.mean))]
        sequence, self.state.forecasts = self.state.forecasts, self.state.forecasts + 1
        return ForecastMessage(
            self.session, sequence, now, max(0.0, now - forecast.time), values.astype(np.float32)
        )

    def heartbeat(self) -> HeartbeatMessage:
        """Make the next heartbeat."""
        sequence, self.state.heartbeats = self.state.heartbeats, self.state.heartbeats + 1
        if self.state.ended:
            says = EngineState.ENDED
        else:
            says = EngineState.STOPPED if self.latch.is_set() else EngineState.RUNNING
        return HeartbeatMessage(self.session, sequence, self.clock.now(), self.config.ttl_s, says)

    def _message(
        self, now: float, age: float, valid: bool, p: tuple[float, ...], decision: int
    ) -> DecodeMessage:
        sequence, self.state.decodes = self.state.decodes, self.state.decodes + 1
        return DecodeMessage(
            self.session, sequence, now, age, self.config.ttl_s, valid, p, decision
        )


def check_output(config: OutputConfig) -> None:
    """Refuse times that could not keep a receiver going.

    Raises
    ------
    BadInputError
        Where ``ttl_s`` is not positive, or heartbeats come less often than that.
    """
    if not 0 < config.heartbeat_s < config.ttl_s:
        raise BadInputError(
            f"output needs 0 < heartbeat_s < ttl_s, got {config.heartbeat_s} and {config.ttl_s} s: "
            "receivers go neutral when nothing comes for ttl_s."
        )


HORIZONS_MS = PUBLISHED_MS
"""Horizons of a forecast message, milliseconds."""
