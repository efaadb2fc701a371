"""Minutes of an emulated board through the real driver: ``python tests/simulators/soak.py``.

Prints what was made, lost by the emulator on purpose, and missing in the end; exits 1 where a
row is missing, doubled or out of order that the emulator did not lose.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from cyton import CytonEmulator

from rtbci.clock import MonotonicClock
from rtbci.sources.brainflow import BrainFlowSource

POLL_S = 0.005
REPORT_S = 60.0


def soak(duration: float, *, daisy: bool, loss: float) -> bool:
    """Stream for ``duration`` seconds and compare with the truth."""
    clock = MonotonicClock()
    with CytonEmulator(daisy=daisy) as board:
        board.lose(fraction=loss)
        source = BrainFlowSource("openbci", serial_port=board.port, clock=clock)
        info = source.open()
        assert info.channels[0].full_scale is not None
        scale = (2**23 - 1) / info.channels[0].full_scale
        rows: list[np.ndarray] = []
        end, report = clock.now() + duration, clock.now() + REPORT_S
        while clock.now() < end:
            chunk = source.read()
            rows.append(np.rint(chunk.data[:, 0].astype(float) * scale).astype(int))
            if clock.now() >= report:
                report += REPORT_S
                print(f"{time.strftime('%X')} {sum(map(len, rows))} rows", flush=True)  # noqa: T201
            clock.sleep(POLL_S)
        source.close()
        truth = board.truth()
    came = np.concatenate(rows)
    per_row = 2 if daisy else 1
    first, last = truth.starts[0] // per_row, int(came[-1])
    # With a Daisy a row ends with its odd frame: the even one's loss leaves the row, stale.
    lost = {n // per_row for n in truth.lost if not daisy or n % 2}
    expected = np.setdiff1d(np.arange(first, last + 1), sorted(lost))
    good = len(came) == len(expected) and bool(np.all(came == expected))
    print(  # noqa: T201
        f"{info.name}: {last + 1 - first} rows made, {last + 1 - first - len(expected)} lost on "
        f"purpose, {len(came)} came, {'as they should' if good else 'NOT as they should'}"
    )
    return good


def main() -> None:
    """Parse, soak, and tell by the exit code."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--duration", type=float, default=600.0, help="seconds")
    parser.add_argument("--daisy", action="store_true")
    parser.add_argument("--loss", type=float, default=0.0, help="fraction of frames lost")
    args = parser.parse_args()
    sys.exit(0 if soak(args.duration, daisy=args.daisy, loss=args.loss) else 1)


if __name__ == "__main__":
    main()
