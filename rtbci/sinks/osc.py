"""Results as OSC messages over UDP; docs/outputs.md documents each argument.

Concurrency: as in :mod:`rtbci.sinks.base`.  The socket does not block and its address is looked
up once: a message that the system does not take at once is dropped and counted, since a later
one says more.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rtbci.clock import Clock, MonotonicClock
from rtbci.config import OutputConfig
from rtbci.errors import BadInputError
from rtbci.sinks.base import SinkFacts
from rtbci.sinks.message import (
    HORIZONS_MS,
    Composer,
    DecodeMessage,
    check_output,
)
from rtbci.types import Decode, Forecast, Marker, StreamInfo

Argument = tuple[str, int | float | str]
"""OSC type tag (``i``, ``f``, ``d`` or ``s``) and value."""


@dataclass
class OscState:
    """An output that is open.

    Attributes
    ----------
    client : pythonosc.udp_client.UDPClient
    composer : Composer
    electrodes : tuple of str
    dropped : int
        Messages that the system did not take.
    """

    client: Any
    composer: Composer
    electrodes: tuple[str, ...]
    dropped: int = 0


class OSCSink:
    """Sends to one host and port.

    Parameters
    ----------
    host : str
        Name or address.
    port : int
    config : OutputConfig
    clock : Clock
        The session's.

    Raises
    ------
    BadInputError
        Where the time to live is shorter than a heartbeat.
    """

    def __init__(
        self,
        host: str,
        port: int,
        config: OutputConfig | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._config = config or OutputConfig()
        self._clock = clock or MonotonicClock()
        self._latch = threading.Event()
        self._state: OscState | None = None
        check_output(self._config)

    @property
    def dropped(self) -> int:
        """Messages that the system did not take at once."""
        return 0 if self._state is None else self._state.dropped

    def open(self, info: StreamInfo, classes: tuple[str, ...]) -> None:
        """Look the host up.

        Raises
        ------
        BadInputError
            Where the host is not known, or the port is none.
        """
        from pythonosc.udp_client import UDPClient

        if not 0 < self._port < 65536:
            raise BadInputError(f"OSC port {self._port} does not exist; take one of 1 to 65535.")
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
        except OSError as err:
            raise BadInputError(
                f"OSC host {self._host!r} is not known ({err.strerror}); check its spelling or "
                "give its address."
            ) from err
        # NB: by number, or python-osc would ask the name server at every message.  IPv4 where
        # there is one: receivers on this machine listen at 127.0.0.1, and localhost may be ::1.
        found.sort(key=lambda entry: entry[0] != socket.AF_INET)
        address = str(found[0][4][0])
        composer = Composer(self._config, self._clock, classes, self._latch)
        self._state = OscState(UDPClient(address, self._port), composer, info.electrodes)
        self.heartbeat()

    def send(self, item: Decode | Forecast | Marker) -> None:
        """Send one item; dropped where the system would make us wait."""
        state = self._require_open()
        if isinstance(item, Decode):
            self._push(state, "/rtbci/decode", _decode(state.composer.decode(item), item.classes))
        elif isinstance(item, Marker):
            age = self._clock.now() - item.time
            arguments: list[Argument] = [
                ("s", item.label),
                ("f", age),
                ("f", item.duration),
                ("s", item.origin),
            ]
            self._push(state, "/rtbci/marker", arguments)
        else:
            self._push_forecast(state, item)

    def heartbeat(self) -> None:
        """Say that the engine lives; while stopped, say neutral too."""
        state = self._require_open()
        beat = state.composer.heartbeat()
        self._push(
            state,
            "/rtbci/heartbeat",
            [
                ("i", beat.session),
                ("i", beat.sequence),
                ("d", beat.sent),
                ("f", beat.ttl),
                ("s", beat.state.value),
            ],
        )
        if self._latch.is_set():
            self._push_neutral(state)

    def stop(self) -> None:
        """Let nothing but neutral out until ``resume``; from any thread, also before ``open``."""
        self._latch.set()

    def resume(self) -> None:
        """End a ``stop``; from any thread."""
        self._latch.clear()

    def describe(self) -> SinkFacts:
        """Say where it sends; UDP does not tell whether anybody receives."""
        return SinkFacts("osc", f"{self._host}:{self._port}", None, self.dropped)

    def close(self) -> None:
        """Say neutral and ended; safe to call twice and after a failed ``open``."""
        state, self._state = self._state, None
        if state is None:
            return
        self._state = state
        state.composer.state.ended = True
        self._push_neutral(state)
        self.heartbeat()
        self._state = None
        state.client.close()

    def _push_neutral(self, state: OscState) -> None:
        composer = state.composer
        self._push(state, "/rtbci/decode", _decode(composer.neutral(), composer.classes))

    def _push_forecast(self, state: OscState, forecast: Forecast) -> None:
        message = state.composer.forecast(forecast)
        if message is None:
            return
        arguments: list[Argument] = [
            ("i", message.session),
            ("i", message.sequence),
            ("d", message.sent),
            ("f", message.age),
            ("i", len(HORIZONS_MS)),
            *(("i", ms) for ms in HORIZONS_MS),
        ]
        for name, column in zip(state.electrodes, message.values.T.tolist(), strict=True):
            arguments += [("s", name), *(("f", value) for value in column)]
        self._push(state, "/rtbci/forecast", arguments)

    def _push(self, state: OscState, address: str, arguments: Iterable[Argument]) -> None:
        from pythonosc.osc_message_builder import OscMessageBuilder

        builder = OscMessageBuilder(address)
        for tag, value in arguments:
            builder.add_arg(value, tag)
        try:
            state.client.send(builder.build())
        except OSError:  # buffer full, network down, nobody there: the next one says more
            state.dropped += 1

    def _require_open(self) -> OscState:
        if self._state is None:
            raise ValueError("open the sink before sending")
        return self._state


def _decode(message: DecodeMessage, classes: tuple[str, ...]) -> list[Argument]:
    """Arguments of ``/rtbci/decode``."""
    decision = classes[message.decision] if message.decision >= 0 else ""
    arguments: list[Argument] = [
        ("i", message.session),
        ("i", message.sequence),
        ("d", message.sent),
        ("f", message.age),
        ("f", message.ttl),
        ("i", int(message.valid)),
        ("s", decision),
    ]
    for name, p in zip(classes, message.p, strict=True):
        arguments += [("s", name), ("f", p)]
    return arguments
