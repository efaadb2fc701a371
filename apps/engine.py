"""The engine process: ``python -m rtbci.apps.engine``, started by :mod:`rtbci.apps.host`.

Standard input: one line of settings, then commands, all JSON; its end means that the terminal's
side has gone, and the session stops.  Standard output: events, one JSON object a line.  What
libraries print goes to standard error, so that it can't tear an event.

With ``--detached`` (:mod:`rtbci.apps.window_session`) the session belongs to no terminal: after
the settings standard input says nothing, and the session ends when it is told to through its
folder (:mod:`rtbci.live`).  What ends it before its time is written to standard error, too, for
the one who has just started it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtbci.apps.event_writer import EventWriter
from rtbci.errors import BadInputError, RtbciError

if TYPE_CHECKING:
    from rtbci.apps.live_session import LiveSession
    from rtbci.runtime import Engine


@dataclass(frozen=True)
class Invocation:
    """How the engine was started.

    Attributes
    ----------
    detached : bool
    session : str | None
        Id of the session, where the one who started it wants to find it.
    replaces : str | None
        Id of a session whose source this one takes over: ended once this one is ready for it.
    """

    detached: bool = False
    session: str | None = None
    replaces: str | None = None


@dataclass
class Outlets:
    """Where events go: to standard output and, once there is one, to the session's folder."""

    out: EventWriter
    live: LiveSession | None = None

    def publish(self, event: dict[str, Any]) -> None:
        """Send an event to all; never blocks."""
        self.out.publish(event)
        if self.live is not None:
            self.live.publish(event)

    def close(self) -> None:
        """Write what is queued, then end."""
        if self.live is not None:
            self.live.close()
        self.out.close()


def main() -> int:
    """Run one session; exit 0, or the exit code of what ended it."""
    invocation = _invocation()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's side asks instead
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if not sys.warnoptions:
        # As Python does for programs that are not run from their source: a library's warning
        # would be written over the terminal view.
        warnings.simplefilter("ignore")
    outlets = Outlets(EventWriter(events))
    try:
        return _serve(outlets, invocation)
    except RtbciError as err:
        return _fail(outlets, invocation, str(err), err.exit_code)
    except Exception:  # noqa: BLE001 - a defect: say so, with what is needed to report it
        message = f"the engine failed in a way it should not:\n{traceback.format_exc()}"
        return _fail(outlets, invocation, message, 1)
    finally:
        outlets.close()


def _invocation() -> Invocation:
    parser = argparse.ArgumentParser(prog="rtbci.apps.engine")
    parser.add_argument("--detached", action="store_true")
    parser.add_argument("--session")
    parser.add_argument("--replaces")
    said = parser.parse_args()
    return Invocation(said.detached, said.session, said.replaces)


def _fail(outlets: Outlets, invocation: Invocation, message: str, code: int) -> int:
    event = {"event": "error", "message": message, "exit_code": code}
    outlets.publish(event)
    if invocation.detached:
        sys.stderr.write("\n" + json.dumps(event) + "\n")
        sys.stderr.flush()
    return code


def _serve(outlets: Outlets, invocation: Invocation) -> int:
    # NB: imported here, behind the redirection: a driver may print while it is imported.
    from rtbci.apps.assemble import make_engine
    from rtbci.apps.live_session import begin_live
    from rtbci.apps.settings import RunSettings
    from rtbci.clock import MonotonicClock
    from rtbci.commands import read_command
    from rtbci.live.control import end_session
    from rtbci.live.registry import session_folder

    settings = RunSettings.from_json(sys.stdin.readline())
    clock = MonotonicClock()
    outlets.live, why = begin_live(
        settings,
        clock,
        outlets.publish,
        session=invocation.session,
        detached=invocation.detached,
    )
    live = outlets.live
    if live is None:
        if invocation.detached:
            raise RtbciError(why)
        outlets.publish({"event": "note", "message": why})
    engine = make_engine(
        settings,
        publish=outlets.publish,
        clock=clock,
        view=None if live is None else live.show,
    )
    sys.setswitchinterval(0.001)
    gc.freeze()

    def take(line: str) -> None:
        engine.obey(read_command(line, clock.now()))

    for line in settings.begin_with:
        try:
            take(line)
        except BadInputError as err:  # of the session before: this one has no such output
            outlets.publish({"event": "note", "message": str(err)})
    if live is not None:
        live.listen(take)
    if invocation.replaces is not None:
        end_session(session_folder(invocation.replaces))
    if invocation.detached:
        # A computer that is shut down tells all to end; Python runs this in the pipeline thread.
        signal.signal(signal.SIGTERM, lambda *_: engine.stop())
    else:
        _listen(engine, take, outlets)
    summary = engine.run()
    outlets.publish({"event": "summary", **summary})
    return 0


def _listen(engine: Engine, take: Callable[[str], None], outlets: Outlets) -> None:
    """Take commands from standard input, whose end is the session's."""

    def listen() -> None:
        for line in sys.stdin:
            try:
                take(line)
            except BadInputError as err:
                outlets.publish({"event": "note", "message": str(err)})
        engine.stop()

    threading.Thread(target=listen, name="rtbci-commands", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
