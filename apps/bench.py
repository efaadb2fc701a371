"""``rtbci bench latency``: a live session, open loop, measured from outside the engine.

The source delivers on its own schedule and never waits for the consumer.  Latency counts from
the scheduled arrival of a token's last sample to its decode having been handed to every output.
Resident memory is that of the engine process, sampled once a second.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import psutil
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rtbci.apps.host import run_session
from rtbci.apps.settings import RunSettings, SourceSettings
from rtbci.config import SessionConfig, from_dict
from rtbci.errors import BadInputError
from rtbci.montage import MONTAGES

SAMPLE_S = 1.0
SETTLED_S = 70.0
"""Memory is fitted from here on, once every ring of the session is full; earlier in a short run."""


@dataclass(frozen=True)
class LatencyBench:
    """One condition of the benchmark."""

    board: str = "simulator"
    serial_port: str | None = None
    channels: int = 22
    duration_s: float = 60.0
    model: str | None = None
    device: str = "auto"
    forecast: str = "direct"
    record: str | None = None


class MemoryWatch:
    """Samples the resident memory of this process's engine until told to stop."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seconds: list[float] = []
        self.mib: list[float] = []

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        at = 0.0
        while not self._stop.wait(SAMPLE_S):
            at += SAMPLE_S
            try:
                children = psutil.Process().children()
                mib = sum(child.memory_info().rss for child in children) / 2**20
            except psutil.Error:  # the engine has just ended
                continue
            if children:
                self.seconds.append(at)
                self.mib.append(mib)

    def summary(self, duration_s: float) -> dict[str, float | None]:
        """Largest resident memory, MiB, and its slope once settled, MiB a minute."""
        if not self.mib:
            return {"max_mib": None, "slope_mib_per_min": None}
        settled = min(SETTLED_S, duration_s / 2)
        at, mib = np.array(self.seconds), np.array(self.mib)
        late = at >= settled + at[0]
        slope = float(np.polyfit(at[late], mib[late], 1)[0] * 60) if late.sum() > 2 else None
        return {
            "max_mib": round(float(mib.max()), 1),
            "slope_mib_per_min": None if slope is None else round(slope, 2),
        }


def bench_session(bench: LatencyBench) -> dict[str, Any]:
    """Run one condition.

    Returns
    -------
    result : dict
        The session's summary, with ``bench`` (the condition) and ``memory``.
    """
    source = SourceSettings(name=bench.board, serial_port=bench.serial_port)
    settings = from_dict(
        RunSettings,
        {
            **asdict(RunSettings()),
            "source": asdict(source),
            "session": {**asdict(SessionConfig()), "forecast": bench.forecast},
            "montage": _electrodes(bench.channels) if bench.board == "simulator" else None,
            "model": bench.model,
            "device": bench.device,
            "record": bench.record,
            "duration_s": bench.duration_s,
        },
        "bench",
    )
    with MemoryWatch() as memory:
        summary = run_session(settings, lambda _: None)
    return {**summary, "bench": asdict(bench), "memory": memory.summary(bench.duration_s)}


def _electrodes(count: int) -> str:
    """So many electrodes: the 22 of BCI Competition IV 2a, else the first ones of a full cap."""
    names = MONTAGES["bci-iv-2a"] if count == 22 else MONTAGES["eegmmidb-64"]
    if count > len(names):
        raise BadInputError(f"--channels is at most {len(names)}, got {count}.")
    return ",".join(names[:count])


def render_bench(result: dict[str, Any]) -> RenderableType:
    """Draw the result for a terminal."""
    bench, latency, memory = result["bench"], result["latency_ms"], result["memory"]
    table = Table(title="Scheduled arrival of a token's last sample to its decode, ms")
    for name in ("stage", "p50", "p99", "p99.9", "max"):
        table.add_column(name, justify="right" if name != "stage" else "left")

    def ms(value: float | None) -> str:
        return "–" if value is None else f"{value:.2f}"

    for stage, values in latency["stages"].items():
        table.add_row(stage, ms(values["p50"]), ms(values["p99"]), "", "")
    table.add_row("all", *(ms(latency[k]) for k in ("p50", "p99", "p999", "max")), style="bold")
    slope = memory["slope_mib_per_min"]
    facts = Text(
        f"{bench['board']}, {result['electrodes']} electrodes, {result['model']['name']}, "
        f"{bench['forecast']} forecast, {bench['duration_s']:g} s: {result['tokens']} tokens, "
        f"{result['dropped_tokens']} dropped, {result['skipped_forecasts']} forecasts skipped; "
        f"resident memory {memory['max_mib']} MiB at most, "
        f"{'–' if slope is None else f'{slope:+.2f}'} MiB a minute once settled"
    )
    return Group(table, facts)
