"""The impedance check in a process of its own: ``python -m rtbci.apps.impedance``.

Standard input: one line of settings (:class:`rtbci.apps.settings.RunSettings`); its end asks the
check to stop after the electrode in hand.  Standard output: events, one JSON object a line:
``opening``, ``opened`` (channels), ``impedance`` (channel, ohm, contact), ``report`` (off,
residual_uv), ``error`` (message).

Whoever started it may die: the input ends then, and the check still switches the test current off
and proves it.
"""

from __future__ import annotations

import json
import math
import signal
import sys
import threading
from typing import Any

from rtbci.errors import BadInputError, RtbciError


def main() -> int:
    """Check once; exit 0, or the code of what went wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return _check()
    except RtbciError as err:
        _tell("error", message=str(err))
        return err.exit_code


def _check() -> int:
    # NB: imported here, so that an error of theirs is told as all others are.
    from rtbci.apps.settings import RunSettings
    from rtbci.clock import MonotonicClock
    from rtbci.montage import apply_montage, parse_montage
    from rtbci.sources.brainflow import BrainFlowSource
    from rtbci.sources.impedance import Impedance, check_impedances

    settings = RunSettings.from_json(sys.stdin.readline())
    source = settings.source
    if source.kind != "board" or source.simulated:
        raise BadInputError(
            f"impedances are measured on a board, and the source is {source.name}; choose a Cyton "
            "or a Ganglion."
        )
    ended = threading.Event()
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    clock = MonotonicClock()
    board = BrainFlowSource(
        source.name, serial_port=source.serial_port, gain=source.gain, clock=clock
    )
    _tell("opening")
    try:
        info = board.open()
        if settings.montage is not None:
            info = apply_montage(info, parse_montage(settings.montage))
        _tell("opened", source=info.name, channels=list(info.electrodes))

        def tell(made: Impedance) -> None:
            ohm = made.ohm if math.isfinite(made.ohm) else None
            _tell("impedance", channel=made.channel, ohm=ohm, contact=made.contact.value)

        report = check_impedances(board, info, clock, tell, stop=ended.is_set)
    finally:
        board.close()
    _tell("report", off=report.off, residual_uv=list(report.residual_uv))
    return 0


def _wait_for_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _tell(event: str, **values: Any) -> None:
    try:
        sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
        sys.stdout.flush()
    except OSError:  # nobody listens any more: the check goes on to its end all the same
        pass


if __name__ == "__main__":
    sys.exit(main())
