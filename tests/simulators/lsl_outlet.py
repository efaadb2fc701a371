"""An LSL sender in a process of its own: it can stall, die and come back.

Column 0 of a signal holds the number of the row since the sender began; row k has the stamp of
``start + k / rate`` exactly, as a device with a clock of its own has.  After a stall the backlog
comes at once.  A sender of markers says ``m0``, ``m1``, ... (or numbers) every 50 ms.

    python lsl_outlet.py '[{"name": ..., ...}, ...]'
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass

from sending import SenderProcess


@dataclass(frozen=True)
class OutletSpec:
    """One stream to send.

    Attributes
    ----------
    rate : float
        Hz; 0 for markers every 50 ms.
    value : float
        Of all columns but the first, in the stream's own unit.
    """

    name: str
    type: str = "EEG"
    rate: float = 250.0
    n_channels: int = 4
    format: str = "float32"
    source_id: str = ""
    labels: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    value: float = 1.0


class LslOutlet(SenderProcess):
    """The process that sends; use as a context manager."""

    def __init__(self, *streams: OutletSpec) -> None:
        self._streams = streams

    def arguments(self) -> list[str]:
        """Give this program, with all streams."""
        return [__file__, json.dumps([asdict(s) for s in self._streams])]


def main() -> None:
    """Send until killed."""
    import time

    import numpy as np
    import pylsl

    streams = [OutletSpec(**spec) for spec in json.loads(sys.argv[1])]
    outlets = []
    for s in streams:
        info = pylsl.StreamInfo(s.name, s.type, s.n_channels, s.rate, s.format, s.source_id)
        if s.labels:
            info.set_channel_labels(list(s.labels))
        if s.types:
            info.set_channel_types(list(s.types))
        if s.units:
            info.set_channel_units(list(s.units))
        outlets.append(pylsl.StreamOutlet(info))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    start = pylsl.local_clock()
    sent = [0] * len(streams)
    while True:
        elapsed = pylsl.local_clock() - start
        for i, (s, outlet) in enumerate(zip(streams, outlets, strict=True)):
            rate = s.rate or 20.0
            due = int(elapsed * rate)
            for k in range(sent[i], due if not s.rate else sent[i]):
                row = [f"m{k}" if s.format == "string" else k] * s.n_channels
                outlet.push_sample(row, start + k / rate)
            if s.rate and due > sent[i]:
                rows = np.full((due - sent[i], s.n_channels), s.value)
                rows[:, 0] = np.arange(sent[i], due)
                stamps = start + np.arange(sent[i], due) / rate
                if s.format == "string":
                    outlet.push_chunk([[str(v) for v in row] for row in rows], list(stamps))
                else:
                    outlet.push_chunk(rows, list(stamps))
            sent[i] = max(sent[i], due)
        time.sleep(0.01)


if __name__ == "__main__":
    main()
