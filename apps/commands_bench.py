"""``rtbci bench window``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from rtbci.apps.options import Json, Model
from rtbci.apps.printing import print_json


def bench_window(
    channels: Annotated[int, typer.Option(min=1, help="Electrodes of the simulator.")] = 64,
    rate: Annotated[float, typer.Option(min=50.0, help="Rate of the simulator, Hz.")] = 250.0,
    duration: Annotated[float, typer.Option(help="Seconds of each of two sessions.")] = 60.0,
    seconds: Annotated[float, typer.Option(help="Seconds of signal on screen.")] = 10.0,
    scroll: Annotated[bool, typer.Option("--scroll", help="Scroll; else sweep.")] = False,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Frames of the live window, and the engine's latency with it and without."""
    from rtbci.apps.bench_window import WindowBench, render_window_bench
    from rtbci.apps.bench_window import bench_window as run_bench

    bench = WindowBench(
        channels=channels,
        rate=rate,
        duration_s=duration,
        window_s=seconds,
        sweep=not scroll,
        model=model,
    )
    result = run_bench(bench)
    if as_json:
        print_json(result)
    else:
        Console().print(render_window_bench(result))
