"""What every output does: take results as they come, and never make the engine wait.

Concurrency: one thread (the pipeline's) owns a sink and calls its methods; none of them may
block.  Only ``stop`` and ``resume`` may come from any thread: they set a latch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

from rtbci.types import Decode, Forecast, Marker, StreamInfo


@dataclass(frozen=True, slots=True)
class SinkFacts:
    """What a display says of an output.

    Attributes
    ----------
    kind : str
        ``lsl`` or ``osc``.
    where : str
        Name of the stream, or host and port.
    heard : bool | None
        Whether anybody receives; None where that can't be known.
    dropped : int
        Messages that the system did not take.
    """

    kind: str
    where: str
    heard: bool | None = None
    dropped: int = 0


@runtime_checkable
class Described(Protocol):
    """A sink that can say what it is; the pipeline's thread asks, a few times a second."""

    def describe(self) -> SinkFacts:
        """Say what it is, at once."""


def describe(sinks: Sequence[Sink]) -> list[dict[str, Any]]:
    """Give the facts of those sinks that have some, as plain values."""
    return [asdict(sink.describe()) for sink in sinks if isinstance(sink, Described)]


class Sink(Protocol):
    """An output of a session."""

    def open(self, info: StreamInfo, classes: tuple[str, ...]) -> None:
        """Begin; ``classes`` are those of the decodes to come, empty where nothing decodes."""

    def send(self, item: Decode | Forecast | Marker) -> None:
        """Send one item, at once or not at all."""

    def heartbeat(self) -> None:
        """Say that the engine lives."""

    def stop(self) -> None:
        """Let nothing but neutral out from now on, until ``resume``."""

    def resume(self) -> None:
        """End a ``stop``."""

    def close(self) -> None:
        """Go neutral and end; safe to call twice and after a failed ``open``."""
