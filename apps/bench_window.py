"""``rtbci bench window``: how smooth the live window is, and what it costs the engine.

One session runs without a window, then one beside it with a window in this process: every page of
the strip is turned to by turns, the signals sweep.  A frame is a paint of the signals; its interval
is that from the paint before.  The engine's latency is its own summary of either session.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rtbci.apps import window_session
from rtbci.apps.settings import RunSettings, SourceSettings
from rtbci.errors import BadInputError, RtbciError
from rtbci.live.reader import LiveView
from rtbci.montage import MONTAGES

if TYPE_CHECKING:
    from PySide6.QtCore import QObject

    from rtbci.apps.gui.live.window import LiveWindow

LONG_MS = 100.0
"""A frame that takes longer is seen to stumble."""
SETTLE_S = 5.0
"""Of a session, before frames are counted: the window is laid out, all is drawn once."""
PAGE_S = 5.0
END_S = 60.0
"""The engine's summary comes so long after its end at most."""


@dataclass(frozen=True)
class WindowBench:
    """One condition of the benchmark.

    Attributes
    ----------
    channels : int
    rate : float
        Hz.
    duration_s : float
        Of each of the two sessions.
    window_s : float
        Seconds of signal on screen.
    sweep : bool
    size : tuple of int
        Of the window, pixels.
    model : str | None
    """

    channels: int = 64
    rate: float = 250.0
    duration_s: float = 60.0
    window_s: float = 10.0
    sweep: bool = True
    size: tuple[int, int] = (1600, 900)
    model: str | None = None


def bench_window(bench: WindowBench) -> dict[str, Any]:
    """Run both sessions.

    Raises
    ------
    BadInputError
        Where there is no display (``QT_QPA_PLATFORM=offscreen`` paints without one), or the
        duration leaves nothing to count.
    """
    if bench.duration_s < 2 * SETTLE_S:
        raise BadInputError(
            f"--duration is {bench.duration_s:g} s, and the first {SETTLE_S:g} s don't count: "
            f"make it {2 * SETTLE_S:g} s at least."
        )
    from rtbci.apps.gui.app import application

    application("dark")
    settings = _settings(bench)
    headless = _run_headless(settings)
    frames, cpu, beside = _run_window(settings, bench)
    p99, with_window = headless["latency_ms"]["p99"], beside["latency_ms"]["p99"]
    return {
        "bench": asdict(bench),
        "platform": os.environ.get("QT_QPA_PLATFORM", "the desktop's"),
        "cores": os.cpu_count(),
        "frames": _distribution(frames),
        "window_cpu": cpu,
        "headless_ms": headless["latency_ms"],
        "with_window_ms": beside["latency_ms"],
        "p99_ratio": round(with_window / p99, 3) if p99 else None,
        "skipped_forecasts": [headless["skipped_forecasts"], beside["skipped_forecasts"]],
    }


def _settings(bench: WindowBench) -> RunSettings:
    names = MONTAGES["eegmmidb-64"]
    if bench.channels > len(names):
        raise BadInputError(f"--channels is at most {len(names)}, got {bench.channels}.")
    return replace(
        RunSettings(),
        source=SourceSettings(rate=bench.rate),
        montage=",".join(names[: bench.channels]),
        model=bench.model,
        duration_s=bench.duration_s,
    )


def _run_headless(settings: RunSettings) -> dict[str, Any]:
    engine = window_session.start(settings)
    try:
        view = LiveView.open(engine.wait())
        try:
            return _summary(view)
        finally:
            view.close()
    finally:
        if not engine.ended:
            engine.end()


def _summary(view: LiveView) -> dict[str, Any]:
    """Wait for a session's end; give what it says of itself then."""
    position = 0
    seen = time.monotonic()
    while time.monotonic() - seen < END_S:
        events, position = view.events(position)
        for event in events:
            if event["event"] == "summary":
                return event
        if view.alive:
            seen = time.monotonic()
        time.sleep(0.1)
    raise RtbciError("the engine ended without a summary.")


def _run_window(
    settings: RunSettings, bench: WindowBench
) -> tuple[list[float], float, dict[str, Any]]:
    """Run a session with a window; give the times of its frames, its load and the summary."""
    from rtbci.apps.gui.live.attached import AttachedWindow
    from rtbci.apps.gui.live.display_control import display_of
    from rtbci.apps.gui.remembered import Remembered

    engine = window_session.start(settings)
    try:
        folder = engine.wait()
        view = LiveView.open(folder)
        with tempfile.TemporaryDirectory() as scratch:
            window = AttachedWindow(folder, Remembered(Path(scratch) / "window.ini"))
            display_of(window.session).set(sweep=bench.sweep, window_s=bench.window_s)
            window.resize(*bench.size)
            window.show()
            try:
                frames, cpu = _watch(window, bench)
                return frames, cpu, _summary(view)
            finally:
                window.close()
                view.close()
    finally:
        if not engine.ended:
            engine.end()


def _watch(window: LiveWindow, bench: WindowBench) -> tuple[list[float], float]:
    """Let the window run; give when it painted the signals, and its share of a core."""
    from PySide6.QtCore import QEvent, QEventLoop, QObject, QTimer

    from rtbci.apps.gui.live.signals_panel import SignalsPanel
    from rtbci.apps.gui.live.strip_panel import PAGES, StripPanel

    class Paints(QObject):
        """Notes when a widget is painted."""

        def __init__(self) -> None:
            super().__init__()
            self.times: list[float] = []

        def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802, ARG002
            if event.type() == QEvent.Type.Paint:
                self.times.append(time.perf_counter())
            return False

    paints, loop, turn = Paints(), QEventLoop(), QTimer()
    strip = next(p for p in window.panels if isinstance(p, StripPanel))
    signals = next(p for p in window.panels if isinstance(p, SignalsPanel))
    shown = 0

    def turn_page() -> None:
        nonlocal shown
        shown = (shown + 1) % len(PAGES)
        strip.show_page(shown)

    turn.timeout.connect(turn_page)
    turn.start(round(1000 * PAGE_S))
    QTimer.singleShot(round(1000 * SETTLE_S), lambda: signals.sweep.installEventFilter(paints))
    QTimer.singleShot(round(1000 * (bench.duration_s - 1.0)), loop.quit)
    begun, used = time.perf_counter(), time.process_time()
    loop.exec()
    cpu = (time.process_time() - used) / (time.perf_counter() - begun)
    turn.stop()
    return paints.times, round(cpu, 3)


def _distribution(times: list[float]) -> dict[str, Any]:
    """How long frames took, ms."""
    if len(times) < 2:
        raise RtbciError("the window painted no frame that could be counted.")
    took = 1000 * np.diff(times)
    p50, p95, p99 = (round(float(q), 1) for q in np.percentile(took, (50, 95, 99)))
    return {
        "count": len(took),
        "per_s": round(1000 * len(took) / float(took.sum()), 2),
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "max": round(float(took.max()), 1),
        "over_100_ms": round(float(np.mean(took > LONG_MS)), 5),
    }


def render_window_bench(result: dict[str, Any]) -> RenderableType:
    """Draw the result for a terminal."""
    bench, frames = result["bench"], result["frames"]
    table = Table(title="Scheduled arrival of a token's last sample to its decode, ms")
    for name in ("session", "p50", "p99", "p99.9", "max"):
        table.add_column(name, justify="right" if name != "session" else "left")
    for name, key in (("headless", "headless_ms"), ("with a window", "with_window_ms")):
        values = result[key]
        cells = ("–" if v is None else f"{v:.2f}" for v in (values[k] for k in _LATENCIES))
        table.add_row(name, *cells)
    motion = "sweep" if bench["sweep"] else "scroll"
    width, height = bench["size"]
    facts = Text(
        f"{bench['channels']} channels at {bench['rate']:g} Hz, {bench['window_s']:g} s on screen, "
        f"{motion}, {width} x {height}, all pages, platform {result['platform']}, "
        f"{result['cores']} cores\n"
        f"{frames['per_s']} frames a second; interval p50 {frames['p50']}, p95 {frames['p95']}, "
        f"p99 {frames['p99']}, max {frames['max']} ms; {100 * frames['over_100_ms']:.2f} % over "
        f"{LONG_MS:g} ms; the window takes {result['window_cpu']:.2f} of a core; "
        f"p99 with a window is {result['p99_ratio']} times that without"
    )
    return Group(table, facts)


_LATENCIES = ("p50", "p99", "p999", "max")
