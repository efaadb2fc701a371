"""What every output does: take results as they come, and never make the engine wait.

Concurrency: one thread (the pipeline's) owns a sink and calls its methods; none of them may
block.  Only ``stop`` and ``resume`` may come from any thread: they set a latch.
"""

from __future__ import annotations

from typing import Protocol

from rtbci.types import Decode, Forecast, Marker, StreamInfo


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
