"""Which outputs say what is decoded, and which say nothing but neutral.

Concurrency: any thread may switch; a sink's ``stop`` and ``resume`` only set a latch.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from rtbci.errors import BadInputError
from rtbci.sinks.base import Described, Sink, describe


class OutputSwitch:
    """Switches all outputs, or those of a kind.

    An output speaks where neither all are stopped nor it has been switched off by itself.

    Parameters
    ----------
    sinks : sequence of Sink
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)
        self._lock = threading.Lock()
        self._stopped = False
        self._off: set[str] = set()

    @property
    def stopped(self) -> bool:
        """Whether all are stopped."""
        return self._stopped

    def switch(self, stopped: bool, kind: str | None = None) -> None:
        """Stop or resume all outputs, or those of one kind.

        Raises
        ------
        BadInputError
            Where there is none of that kind.
        """
        kinds = {_kind(sink) for sink in self._sinks}
        if kind is not None and kind not in kinds:
            there = ", ".join(sorted(k for k in kinds if k)) or "none"
            raise BadInputError(f"this session has no output {kind!r}; it has {there}.")
        with self._lock:
            if kind is None:
                self._stopped = stopped
            elif stopped:
                self._off.add(kind)
            else:
                self._off.discard(kind)
            for sink in self._sinks:
                if self._stopped or _kind(sink) in self._off:
                    sink.stop()
                else:
                    sink.resume()

    def describe(self) -> list[dict[str, Any]]:
        """Facts of those outputs that have some, and whether each is switched off by itself."""
        return [{**facts, "off": facts["kind"] in self._off} for facts in describe(self._sinks)]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._sinks)


def _kind(sink: Sink) -> str:
    return sink.describe().kind if isinstance(sink, Described) else ""
