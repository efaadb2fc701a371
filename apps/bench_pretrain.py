"""Benchmark of pretraining: tokens a second, share of the matrix peak, time lost for data.

The very loop that trains, for some steps, on a corpus or on noise of 64 electrodes, keeping
nothing.  The peak is measured here and now: the best of large matrix products in the same
precision with as many threads.  Operations are those of matrix products and attention in forward
and backward pass, as torch counts them; embeddings, norms and the optimiser are not.
"""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from rtbci.models.config import ModelConfig, preset
from rtbci.models.eegpt import EEGPT
from rtbci.models.electrodes import names
from rtbci.models.pretrain.corpus.prepared import POSITION_STRIDE, Prepared
from rtbci.models.pretrain.corpus.shards import open_corpus
from rtbci.models.pretrain.training import launch
from rtbci.models.pretrain.training.batches import Batches
from rtbci.models.pretrain.training.linear import N_FOLDS, LinearFloor
from rtbci.models.pretrain.training.logs import Row
from rtbci.models.pretrain.training.loop import Task, Trainer
from rtbci.models.pretrain.training.registry import make_objective, shaped_for
from rtbci.models.pretrain.training.settings import Execution, Settings
from rtbci.models.ridge import LAYOUT

WARM_UP = 3
"""Steps before the clock starts: allocations, kernels chosen, compilation."""
NOISE_S = 120.0
PEAK_SIZE = {"cpu": 2048, "cuda": 8192}
PEAK_S = 1.0
COUNTED = 3
"""Steps whose operations are counted; they differ little."""
ELECTRODES = 64
_PRECISIONS = {"32": "float32", "bf16": "bfloat16"}


@dataclass(frozen=True)
class PretrainBench:
    """One condition of the benchmark; see :class:`rtbci.models.pretrain.training.settings`."""

    data: Path | None = None
    size: str = "base"
    steps: int = 20
    batch: int = 64
    precision: str = "auto"
    device: str = "auto"
    accumulate: int = 1
    compile: bool = False
    workers: int | None = None


def bench_pretrain(bench: PretrainBench) -> dict[str, Any]:
    """Run one condition.

    Returns
    -------
    result : dict
        Tokens and steps a second, FLOP/s achieved and possible, share of time waiting for data.

    Raises
    ------
    BadInputError
        Where size, device or corpus are none.
    """
    execution = Execution(
        device=bench.device,
        accumulate=bench.accumulate,
        compile=bench.compile,
        workers=bench.workers,
        log_every=WARM_UP + bench.steps,
    )
    device = launch.device_of(execution)
    auto = "bf16" if device == "cuda" else "32"
    precision = auto if bench.precision == "auto" else bench.precision
    config = preset(bench.size)
    settings = Settings(
        (),
        size=bench.size,
        steps=WARM_UP + bench.steps,
        objective="forecast" if config.direct else "paper",
        batch=bench.batch,
        precision=precision,
    )
    config = shaped_for(settings.objective, config)
    if bench.data is None:
        recordings: tuple[Prepared, ...] = (_noise(config, 0), _noise(config, 1))
    else:
        corpus = open_corpus(bench.data)
        config = replace(config, preprocess=corpus.preprocess)
        corpus.check(config)
        recordings = corpus.recordings
    floor = _floor(config)
    fabric = launch.start(execution)
    torch.manual_seed(0)
    network = EEGPT(config)
    objective = make_objective(settings.objective, config, floor)
    batches = Batches(recordings, config, floor, seed=0, electrodes_per_step=bench.batch)
    trainer = Trainer(fabric, network, objective, batches, settings, execution, None)
    trainer.run(WARM_UP, _nobody)
    before = trainer.tokens
    began = time.monotonic()
    trainer.run(WARM_UP + bench.steps, _nobody)
    took = time.monotonic() - began
    tokens = trainer.tokens - before
    needed = _operations(Task(network, objective, bf16=False), batches)
    peak = measure_peak(device, torch.bfloat16 if precision == "bf16" else torch.float32)
    return {
        "event": "summary",
        "bench": {k: str(v) if isinstance(v, Path) else v for k, v in asdict(bench).items()}
        | {"precision": precision, "device": device},
        "machine": torch.cuda.get_device_name() if device == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "seconds": took,
        "tokens_per_s": tokens / took,
        "steps_per_s": bench.steps / took,
        "flop_per_s": needed * bench.steps / took,
        "peak_flop_per_s": peak,
        "share_of_peak": needed * bench.steps / took / peak,
        "waiting": trainer.waited_s / took,
    }


def measure_peak(device: str, dtype: torch.dtype) -> float:
    """FLOP/s of the best of several large matrix products."""
    size = PEAK_SIZE[device]
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best, began = np.inf, time.monotonic()
    while time.monotonic() - began < PEAK_S or not np.isfinite(best):
        start = time.perf_counter()
        a @ b
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / float(best)


def _operations(task: Task, batches: Batches) -> float:
    """Count a step's operations, mean over a few steps."""
    device = next(task.parameters()).device
    counted = FlopCounterMode(display=False)
    # As plain products, which are counted whatever kernel would have done them.
    with counted, sdpa_kernel(SDPBackend.MATH):
        for step in range(COUNTED):
            task(batches.draw(step).to(device)).terms.sum().backward()
    return counted.get_total_flops() / COUNTED


def _nobody(_: int, __: Row | None) -> None:
    """No one watches a benchmark: drawing would be part of it."""


def _noise(config: ModelConfig, seed: int) -> Prepared:
    """Noise as if it were prepared."""
    rng = np.random.default_rng(seed)
    electrodes = names()[:ELECTRODES]
    n, rows = len(electrodes), round(NOISE_S * config.rate_hz)
    hops = rows // config.n_hop
    first, ahead = -(-config.n_window // config.n_hop), config.n_horizons // config.n_hop
    positions = np.arange(first, hops - ahead, POSITION_STRIDE)
    shape = (len(positions), n, config.n_horizons)
    return Prepared(
        name=f"noise{seed}",
        subject=f"noise{seed}",
        dataset="noise",
        electrodes=electrodes,
        cues=(),
        delay_s=0.0,
        signal=rng.standard_normal((rows, n), np.float32),
        mean=np.zeros((hops, n), np.float32),
        scale=np.ones((hops, n), np.float32),
        valid=np.ones((hops, n), np.bool_),
        positions=positions,
        ar=rng.standard_normal(shape, np.float32).astype(np.float16),
        variance=np.ones(n),
    )


def _floor(config: ModelConfig) -> LinearFloor:
    """A linear floor that forecasts the mean: how good it is takes no time."""
    zeros = np.zeros((LAYOUT.n_features, config.n_horizons), np.float32)
    ones = np.ones(config.n_horizons, np.float32)
    return LinearFloor(zeros, 0.5 * ones, ones, np.stack([zeros] * N_FOLDS))


def render_pretrain_bench(result: dict[str, Any]) -> RenderableType:
    """Draw the result for a terminal."""
    bench = result["bench"]
    table = Table(title=f"Pretraining {bench['size']}, {bench['batch']} electrodes a step")
    for column in ("", "value"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("tokens/s", f"{result['tokens_per_s']:,.0f}")
    table.add_row("steps/s", f"{result['steps_per_s']:.3g}")
    table.add_row("achieved", f"{result['flop_per_s'] / 1e9:,.1f} GFLOP/s")
    table.add_row("matrix peak", f"{result['peak_flop_per_s'] / 1e9:,.1f} GFLOP/s")
    table.add_row("share of peak", f"{result['share_of_peak']:.1%}", style="bold")
    table.add_row("time waiting for data", f"{result['waiting']:.1%}", style="bold")
    where = f"{bench['device']} {result['machine']}".strip()
    threads = f", {result['threads']} threads" if bench["device"] == "cpu" else ""
    facts = Text(
        f"{where}{threads}; matrix products in {_PRECISIONS[bench['precision']]}; "
        f"{result['parameters'] / 1e6:.2f} M parameters; {bench['steps']} steps in "
        f"{result['seconds']:.1f} s"
    )
    return Group(table, facts)
