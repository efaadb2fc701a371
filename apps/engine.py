"""The engine process: ``python -m rtbci.apps.engine``, started by :mod:`rtbci.apps.host`.

Standard input: one line of settings, then commands, all JSON; its end means that the terminal's
side has gone, and the session stops.  Standard output: events, one JSON object a line.  What
libraries print goes to standard error, so that it can't tear an event.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import queue
import signal
import sys
import threading
import traceback
import warnings
from typing import Any, TextIO

from rtbci.errors import BadInputError, RtbciError


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

    def _run(self) -> None:
        # A reader that has gone is noticed at standard input, which ends with it.
        with contextlib.suppress(BrokenPipeError, OSError):
            while (event := self._queue.get()) is not None:
                if event["event"] == "status":
                    with self._lock:
                        newest, self._status = self._status, None
                    event = newest or event
                self._out.write(json.dumps(event) + "\n")
                if self._queue.empty() or event["event"] != "forecast":
                    self._out.flush()


def main() -> int:
    """Run one session; exit 0, or the exit code of what ended it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's side asks instead
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if not sys.warnoptions:
        # As Python does for programs that are not run from their source: a library's warning
        # would be written over the terminal view.
        warnings.simplefilter("ignore")
    out = EventWriter(events)
    try:
        return _serve(out)
    except RtbciError as err:
        out.publish({"event": "error", "message": str(err), "exit_code": err.exit_code})
        return err.exit_code
    except Exception:  # noqa: BLE001 - a defect: say so, with what is needed to report it
        out.publish(
            {
                "event": "error",
                "message": f"the engine failed in a way it should not:\n{traceback.format_exc()}",
                "exit_code": 1,
            }
        )
        return 1
    finally:
        out.close()


def _serve(out: EventWriter) -> int:
    # NB: imported here, behind the redirection: a driver may print while it is imported.
    from rtbci.apps.assemble import make_engine
    from rtbci.apps.settings import RunSettings
    from rtbci.clock import MonotonicClock
    from rtbci.commands import Stop, read_command

    settings = RunSettings.from_json(sys.stdin.readline())
    clock = MonotonicClock()
    engine = make_engine(settings, publish=out.publish, clock=clock)
    sys.setswitchinterval(0.001)
    gc.freeze()

    def listen() -> None:
        for line in sys.stdin:
            try:
                command = read_command(line, clock.now())
            except BadInputError as err:
                out.publish({"event": "note", "message": str(err)})
                continue
            if isinstance(command, Stop):
                break
            engine.obey(command)
        engine.stop()

    threading.Thread(target=listen, name="rtbci-commands", daemon=True).start()
    summary = engine.run()
    out.publish({"event": "summary", **summary})
    return 0


if __name__ == "__main__":
    sys.exit(main())
