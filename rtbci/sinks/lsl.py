"""Results as LSL streams; docs/outputs.md documents each channel.

Concurrency: as in :mod:`rtbci.sinks.base`.  liblsl sends in threads of its own and keeps a
little for receivers that are slow; a push never waits for them.
"""

from __future__ import annotations

import ctypes
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rtbci.clock import Clock, MonotonicClock
from rtbci.config import OutputConfig
from rtbci.liblsl import load_pylsl
from rtbci.sinks.base import SinkFacts
from rtbci.sinks.message import HORIZONS_MS, Composer, DecodeMessage, EngineState, check_output
from rtbci.types import Decode, Forecast, Marker, StreamInfo

STATES = (EngineState.ENDED, EngineState.STOPPED, EngineState.RUNNING)
"""States of a heartbeat by their number."""
KEEP = 1
"""Hundreds of samples that are kept for a slow receiver."""


@dataclass
class LslState:
    """An output that is open; one outlet for each kind of message."""

    composer: Composer
    decodes: Any
    forecasts: Any
    markers: Any
    heartbeats: Any


class LSLSink:
    """Offers ``rtbci-decode``, ``rtbci-forecast``, ``rtbci-markers`` and ``rtbci-heartbeat``.

    Parameters
    ----------
    config : OutputConfig
    prefix : str
        First part of the streams' names, where two engines share a network.
    clock : Clock
        The session's.

    Raises
    ------
    BadInputError
        Where the time to live is shorter than a heartbeat.
    """

    def __init__(
        self,
        config: OutputConfig | None = None,
        *,
        prefix: str = "rtbci",
        clock: Clock | None = None,
    ) -> None:
        self._config = config or OutputConfig()
        self._prefix = prefix
        self._clock = clock or MonotonicClock()
        self._latch = threading.Event()
        self._state: LslState | None = None
        check_output(self._config)

    def open(self, info: StreamInfo, classes: tuple[str, ...]) -> None:
        """Announce the streams."""
        electrodes = info.electrodes
        self._state = LslState(
            Composer(self._config, self._clock, classes, self._latch),
            decodes=self._outlet(
                "decode",
                ["session", "sequence", "age", "ttl", "valid", "decision"]
                + [f"p_{name}" for name in classes],
                units=["", "", "seconds", "seconds", "", ""] + [""] * len(classes),
                classes=classes,
            ),
            forecasts=self._outlet(
                "forecast",
                ["session", "sequence", "age"]
                + [f"{name}+{ms}ms" for ms in HORIZONS_MS for name in electrodes],
                units=["", "", "seconds"] + ["microvolts"] * len(HORIZONS_MS) * len(electrodes),
                classes=(),
            ),
            markers=self._outlet("markers", ["marker"], units=[""], classes=(), kind="string"),
            heartbeats=self._outlet(
                "heartbeat",
                ["session", "sequence", "ttl", "state"],
                units=["", "", "seconds", ""],
                classes=(),
            ),
        )
        self.heartbeat()

    def send(self, item: Decode | Forecast | Marker) -> None:
        """Send one item."""
        state = self._require_open()
        if isinstance(item, Decode):
            _push_decode(state, state.composer.decode(item))
        elif isinstance(item, Marker):
            # NB: stamped with its own time, as LSL's marker streams are.
            stamp = self._lsl_time(item.time)
            state.markers.push_sample([item.label], stamp)
        else:
            message = state.composer.forecast(item)
            if message is not None:
                head = [message.session, message.sequence, message.age]
                state.forecasts.push_sample(head + message.values.ravel().tolist())

    def heartbeat(self) -> None:
        """Say that the engine lives; while stopped, say neutral too."""
        state = self._require_open()
        beat = state.composer.heartbeat()
        state.heartbeats.push_sample(
            [beat.session, beat.sequence, beat.ttl, STATES.index(beat.state)]
        )
        if self._latch.is_set():
            _push_decode(state, state.composer.neutral())

    def stop(self) -> None:
        """Let nothing but neutral out until ``resume``; from any thread, also before ``open``."""
        self._latch.set()

    def resume(self) -> None:
        """End a ``stop``; from any thread."""
        self._latch.clear()

    def describe(self) -> SinkFacts:
        """Say which stream it is, and whether anybody receives the decodes."""
        heard = None if self._state is None else bool(self._state.decodes.have_consumers())
        return SinkFacts("lsl", f"{self._prefix}-decode", heard)

    def close(self) -> None:
        """Say neutral and ended, and take the streams back; safe to call twice.

        A stream that somebody receives stays announced, silent, until the process ends.
        """
        state = self._state
        if state is None:
            return
        state.composer.state.ended = True
        _push_decode(state, state.composer.neutral())
        self.heartbeat()
        for outlet in (state.decodes, state.forecasts, state.markers, state.heartbeats):
            if outlet.have_consumers():
                keep_for_ever(outlet)
        self._state = None

    def _outlet(
        self,
        name: str,
        labels: Sequence[str],
        *,
        units: Sequence[str],
        classes: Sequence[str],
        kind: str = "double64",
    ) -> Any:
        """Announce one irregular stream."""
        pylsl = load_pylsl()

        full = f"{self._prefix}-{name}"
        # NB: the same after a restart of the engine, so that receivers find it again.
        source_id = f"{full}@{socket.gethostname()}"
        made = pylsl.StreamInfo(
            full, "Markers" if kind == "string" else "BCI", len(labels), 0.0, kind, source_id
        )
        made.set_channel_labels(list(labels))
        made.set_channel_units(list(units))
        listed = made.desc().append_child("classes")
        for one in classes:
            listed.append_child_value("class", one)
        return pylsl.StreamOutlet(made, max_buffered=KEEP)

    def _lsl_time(self, time: float) -> float:
        """Seconds of ``local_clock`` for seconds of the session's clock."""
        pylsl = load_pylsl()

        return float(time + pylsl.local_clock() - self._clock.now())

    def _require_open(self) -> LslState:
        if self._state is None:
            raise ValueError("open the sink before sending")
        return self._state


def keep_for_ever(outlet: Any) -> None:
    """Never let an outlet be destroyed; the system takes it back with the process.

    liblsl can crash the process while it destroys an outlet that has receivers: its transfer
    threads may be using what is freed (sccn/liblsl, issues 218 and 220).
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(outlet))


def _push_decode(state: LslState, message: DecodeMessage) -> None:
    head = [message.session, message.sequence, message.age, message.ttl]
    state.decodes.push_sample([*head, int(message.valid), message.decision, *message.p])
