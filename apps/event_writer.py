"""Writes a session's events as JSON lines, from a thread of its own."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from typing import Any, TextIO


class EventWriter:
    """Writes events from a thread of its own, so that a slow reader never stalls the engine.

    Of ``status`` events only the newest waits; all others are kept, in order.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._status: dict[str, Any] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="rtbci-events", daemon=True)
        self._thread.start()

    def publish(self, event: dict[str, Any]) -> None:
        """Queue an event; never blocks."""
        if event["event"] != "status":
            self._queue.put(event)
            return
        with self._lock:
            waiting, self._status = self._status is not None, event
        if not waiting:
            self._queue.put({"event": "status"})

    def close(self) -> None:
        """Write what is queued, however slowly it is read, then end."""
        self._queue.put(None)
        self._thread.join()
        with contextlib.suppress(OSError):  # what is left in its buffer has no reader, or no room
            self._out.close()

    def _run(self) -> None:
        # A reader that has gone is noticed at standard input, which ends with it; on a full disk
        # nobody reads any more what happens.
        with contextlib.suppress(BrokenPipeError, OSError):
            while (event := self._queue.get()) is not None:
                if event["event"] == "status":
                    with self._lock:
                        newest, self._status = self._status, None
                    event = newest or event
                self._out.write(json.dumps(event) + "\n")
                if self._queue.empty() or event["event"] != "forecast":
                    self._out.flush()
