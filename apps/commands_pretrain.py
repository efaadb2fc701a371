"""``rtbci pretrain`` and ``rtbci bench pretrain``."""

from __future__ import annotations

from dataclasses import asdict, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from rtbci.apps.options import Device, Json
from rtbci.apps.printing import print_json
from rtbci.errors import BadInputError

if TYPE_CHECKING:
    from rtbci.models.pretrain.training.run import PretrainResult

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class Precision(StrEnum):
    """What matrix products are done in."""

    AUTO = "auto"
    FULL = "32"
    BF16 = "bf16"


class Strategy(StrEnum):
    """How several processes share the work."""

    AUTO = "auto"
    DDP = "ddp"
    SHARDED = "sharded"


RunsOn = Annotated[Device, typer.Option(help="Where to train.")]
Compile = Annotated[bool, typer.Option("--compile", help="Compile the transformer blocks.")]
Workers = Annotated[
    int | None,
    typer.Option(min=0, help="Threads that draw batches ahead.  [default: 1; 8 for a GPU]"),
]
Accumulate = Annotated[
    int, typer.Option(min=1, help="Portions of a step, one after the other: less memory.")
]


def pretrain(
    data: Annotated[
        list[str] | None,
        typer.Argument(help="Recordings, folders of them, or what rtbci prepare wrote."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the weights.")] = None,
    size: Annotated[
        str | None, typer.Option(help="Size of the network (rtbci models).  [default: base]")
    ] = None,
    objective: Annotated[
        str | None, typer.Option(help="What is learned.  [default: forecast]")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="Weights, by name or path, whose encoder to begin with.")
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(help="joint on one graph, separate, or hands alone.  [default: joint]"),
    ] = None,
    teg: Annotated[
        bool | None,
        typer.Option("--teg/--no-teg", help="Graph over electrodes, or pooling alone."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of the optimiser.  [default: 1500]")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(help="Electrodes in a step, over all processes.  [default: 64]"),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Largest learning rate.  [default: 2e-3]")
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(help="Of matrix products.  [default: auto: bf16 on a GPU, else 32]"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of everything random.  [default: 0]")
    ] = None,
    fold: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="Hold out the K-th of N parts of the subjects."),
    ] = None,
    fraction: Annotated[
        float | None, typer.Option(help="Share of the recordings to train on.  [default: 1]")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    stop_after: Annotated[
        int | None, typer.Option(min=1, help="Stop after this step, to be resumed.")
    ] = None,
    device: RunsOn = Device.AUTO,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Processes on each machine.  [default: 1]")
    ] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="Machines.  [default: 1]")] = None,
    strategy: Annotated[
        Strategy, typer.Option(help="ddp: weights everywhere; sharded: spread; auto: ddp.")
    ] = Strategy.AUTO,
    accumulate: Accumulate = 1,
    compile_blocks: Compile = False,
    workers: Workers = None,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 100,
    log_every: Annotated[int, typer.Option(min=1, help="Steps between rows of log.csv.")] = 10,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also log for TensorBoard.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a model offline, from recordings to a checkpoint that rtbci run --model takes."""
    given: dict[str, Any] = {
        "size": size,
        "objective": objective,
        "encoder": encoder,
        "tasks": tasks,
        "teg": teg,
        "steps": steps,
        "batch": batch,
        "learning_rate": learning_rate,
        "precision": precision and precision.value,
        "seed": seed,
        "fold": fold,
        "fraction": fraction,
    }
    chosen = {k: v for k, v in given.items() if v is not None}
    if (resume is None) == (out is None) or (resume is None) == (not data):
        raise BadInputError(
            "name recordings and a folder (rtbci pretrain DATA... --out OUT), or a run to go on "
            "with (rtbci pretrain --resume OUT), which takes everything else from there."
        )
    if resume is not None and chosen:
        option = next(iter(chosen)).replace("_", "-")
        raise BadInputError(
            f"--{option} is a matter of the run in {resume}, which goes on as it began: leave it "
            "out, or begin another run with --out."
        )
    from rtbci.apps.pretraining_view import watching
    from rtbci.models.pretrain.training import run
    from rtbci.models.pretrain.training.settings import Execution, Settings

    execution = Execution(
        device=device.value,
        devices=devices,
        nodes=nodes,
        strategy=strategy.value,
        accumulate=accumulate,
        compile=compile_blocks,
        workers=workers,
        save_every=save_every,
        log_every=log_every,
        tensorboard=tensorboard,
        stop_after=stop_after,
    )
    folder = resume or out
    assert folder is not None
    try:
        with watching(as_json=as_json) as tell:
            if resume is not None:
                result = run.resume(resume, execution, tell)
            else:
                settings = Settings(tuple(_absolute(d) for d in data or ()), **chosen)
                result = run.pretrain(settings, folder, execution, tell)
    except KeyboardInterrupt:
        typer.echo(f"stopped; to go on: rtbci pretrain --resume {folder}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if result.process == 0:
        _print(result, folder, as_json=as_json)
    if result.interrupted:
        raise typer.Exit(INTERRUPTED)


def _absolute(data: str) -> str:
    """What a run that goes on elsewhere finds again."""
    return data if data.startswith("moabb:") else str(Path(data).resolve())


def _print(result: PretrainResult, folder: Path, *, as_json: bool) -> None:
    if as_json:
        model = None if result.model is None else str(result.model)
        paths = {"model": model, "manifest": str(result.manifest)}
        print_json({"event": "summary", **asdict(result), **paths})
        return
    left_out = f", {result.left_out} recordings left out" if result.left_out else ""
    typer.echo(
        f"step {result.step}: error {result.loss:.4f} of the baseline's on the last batches; "
        f"{result.hours:.1f} h of {len(result.subjects)} subjects, "
        f"{len(result.held_out)} held out{left_out}"
    )
    if result.left_out and result.manifest is not None:
        typer.echo(f"why they were left out: {result.manifest}")
    if result.model is not None:
        typer.echo(f"weights: {result.model}; use them with: rtbci run --model {result.model}")
    else:
        typer.echo(f"stopped; to go on: rtbci pretrain --resume {folder}")


def bench_pretrain(
    data: Annotated[
        Path | None,
        typer.Argument(help="What rtbci prepare wrote; noise of 64 electrodes where left out."),
    ] = None,
    size: Annotated[str, typer.Option(help="Size of the network (rtbci models).")] = "base",
    steps: Annotated[int, typer.Option(min=1, help="Steps that are timed.")] = 20,
    batch: Annotated[int, typer.Option(min=1, help="Electrodes in a step.")] = 64,
    precision: Annotated[Precision, typer.Option(help="Of matrix products.")] = Precision.AUTO,
    device: RunsOn = Device.AUTO,
    accumulate: Accumulate = 1,
    compile_blocks: Compile = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Tokens a second of pretraining, share of the matrix peak, and of time waiting for data."""
    from rtbci.apps.bench_pretrain import PretrainBench, render_pretrain_bench
    from rtbci.apps.bench_pretrain import bench_pretrain as run_bench

    own = locals()
    values: dict[str, Any] = {f.name: own[f.name] for f in fields(PretrainBench) if f.name in own}
    values |= {"precision": precision.value, "device": device.value, "compile": compile_blocks}
    result = run_bench(PretrainBench(**values))
    if as_json:
        print_json(result)
    else:
        Console().print(render_pretrain_bench(result))
