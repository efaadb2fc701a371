"""Pretraining: from recordings to a checkpoint, on one machine or many.

    recordings --prepare--> linear floor --stage I: encoder, step head, direct head-->
                                         --stage II: encoder frozen, graph and heads--> model

    settings   what a run is (kept in OUT), and how it is carried out (given every time)
    launch     processes and strategy            batches, loader   what a step learns from
    objective  what it minimises                 loop              the steps
    state      checkpoints                       logs              what people look at
    material   recordings and linear floor

Stage I's batches follow from ``(seed, step)``, so a run that stopped goes on as if it had not; on
one CPU with the same number of threads it ends with the same weights.

Writes into OUT: ``settings.json``, ``prepared/``, ``linear.safetensors``, ``log.csv``,
``training.safetensors`` (to go on from), ``model.safetensors``, ``result.json``.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import torch

from rtbci.errors import BadInputError
from rtbci.models.checkpoint import find_checkpoint, save_checkpoint
from rtbci.models.eegpt import EEGPT
from rtbci.models.pretrain.corpus.manifest import FILE as MANIFEST_FILE
from rtbci.models.pretrain.corpus.prepared import Prepared
from rtbci.models.pretrain.corpus.store import writing
from rtbci.models.pretrain.tasks.stage import StageTwo, fit_tasks
from rtbci.models.pretrain.training import launch
from rtbci.models.pretrain.training.batches import Batches
from rtbci.models.pretrain.training.frozen import take_encoder
from rtbci.models.pretrain.training.logs import Log, Row, check_tensorboard
from rtbci.models.pretrain.training.loop import Trainer
from rtbci.models.pretrain.training.material import (
    LINEAR_FILE,
    corpus_of,
    fit_floor,
    open_floor,
    open_material,
    prepare_material,
)
from rtbci.models.pretrain.training.registry import make_objective
from rtbci.models.pretrain.training.settings import Execution, Settings
from rtbci.models.pretrain.training.state import STATE_FILE, write_json

if TYPE_CHECKING:
    from lightning_fabric import Fabric

MODEL_FILE = "model.safetensors"


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for whoever shows it.

    Attributes
    ----------
    stage : str
        ``prepare``, ``linear``, ``train`` or ``decode``.
    done : float
        Share of the stage, 0 to 1.
    text : str
        What is being done.
    row : Row | None
        Every few steps of ``train``, what came of them.
    """

    stage: str
    done: float
    text: str = ""
    row: Row | None = None


@dataclass(frozen=True)
class PretrainResult:
    """What came out.

    Attributes
    ----------
    model : Path | None
        The checkpoint; None where the run stopped before its end.
    identity : str
        SHA-256 of the checkpoint.
    step : int
        Steps of stage I that are done.
    loss : float
        Mean over the last 100 steps of the objective's first figure: the direct head's loss over
        that of the linear blend on the same batches; what is below 1 has been learned.
    hours : float
        Of recordings trained on; times electrodes, ``electrode_hours``.
    electrode_hours : float
    subjects : tuple of str
        Trained on.
    held_out : tuple of str
        In the data, but never looked at.
    left_out : int
        Recordings that could not be used.
    manifest : Path
        The corpus's list of recordings, which says why.
    decode : dict
        By task, of :meth:`rtbci.models.pretrain.tasks.stage.StageTwo.summary`.
    tokens : int
        Trained on in this call.
    seconds : float
        This call took.
    interrupted : bool
        Somebody stopped it (Ctrl-C, SIGTERM).
    process : int
        Which of several processes says this; only 0 has a model.
    """

    model: Path | None
    identity: str
    step: int
    loss: float
    hours: float
    electrode_hours: float
    subjects: tuple[str, ...]
    held_out: tuple[str, ...]
    left_out: int
    manifest: Path
    decode: dict[str, dict[str, float]]
    tokens: int
    seconds: float
    interrupted: bool = False
    process: int = 0


Report = Callable[[Progress], None]


def pretrain(
    settings: Settings,
    out: Path,
    execution: Execution | None = None,
    progress: Report | None = None,
) -> PretrainResult:
    """Train a model on recordings, those of held-out subjects excepted.

    Parameters
    ----------
    settings : Settings
    out : Path
        Folder for everything that is written; prepared recordings in it are used again.
    execution : Execution, optional
    progress : callable, optional
        Called often, in process 0.

    Raises
    ------
    BadInputError
        Where there is nothing to train on, or ``out`` holds another run.
    RtbciError
        Where the loss is not finite, with the batch that it came from, or the disk is full.
    """
    how = execution or Execution()
    device = launch.device_of(how)
    if settings.precision == "auto":
        settings = replace(settings, precision="bf16" if device == "cuda" else "32")
    if how.tensorboard:
        check_tensorboard()
    fabric = launch.start(how)

    def begin() -> None:
        if (out / STATE_FILE).exists():
            raise BadInputError(
                f"{out} holds a training already: go on with it (--resume {out}), or choose an "
                "empty folder."
            )
        if settings.encoder:
            find_checkpoint(settings.encoder)  # said now, not after all has been prepared
        with writing(out):
            out.mkdir(parents=True, exist_ok=True)
            (out / LINEAR_FILE).unlink(missing_ok=True)
        settings.save(out)

    launch.first_does(fabric, begin)
    return _run(fabric, settings, how, out, progress or _silent)


def resume(
    out: Path, execution: Execution | None = None, progress: Report | None = None
) -> PretrainResult:
    """Go on with a run that stopped, from its last checkpoint; its settings come from ``out``.

    Raises
    ------
    BadInputError
        Where ``out`` holds no run.
    RtbciError
        As :func:`pretrain`.
    """
    settings, how = Settings.load(out), execution or Execution()
    if how.tensorboard:
        check_tensorboard()
    return _run(launch.start(how), settings, how, out, progress or _silent)


def _run(
    fabric: Fabric, settings: Settings, execution: Execution, out: Path, tell: Report
) -> PretrainResult:
    began = time.monotonic()
    first = fabric.global_rank == 0
    report = tell if first else _silent
    launch.first_does(
        fabric,
        lambda: prepare_material(
            settings, out, lambda done, text: report(Progress("prepare", done, text))
        ),
    )
    material = open_material(settings, out)
    recordings, config = material.recordings, material.config
    launch.first_does(
        fabric,
        lambda: fit_floor(material, out, lambda done: report(Progress("linear", done))),
    )
    floor = open_floor(material, out)
    torch.manual_seed(settings.seed)
    network = EEGPT(config)
    if config.direct:
        network.direct_head.start_from(torch.from_numpy(floor.blend), torch.from_numpy(floor.error))
    if settings.encoder:
        take_encoder(network, settings.encoder)
    trainer = Trainer(
        fabric,
        network,
        make_objective(settings.objective, config, floor),
        Batches(
            recordings,
            config,
            floor,
            seed=settings.seed,
            electrodes_per_step=settings.batch,
        ),
        settings,
        execution,
        out,
    )
    _stage_one(trainer, settings, execution, out if first else None, report)

    step, history = trainer.position.step, trainer.position.history
    identity, model = "", None
    decode: dict[str, dict[str, float]] = {}
    if step == settings.steps:
        weights = trainer.whole()
        if first:
            network = EEGPT(config)
            network.load_state_dict(weights)
            network.eval().requires_grad_(False)
            made = _stage_two(network.to(fabric.device), recordings, settings, report)
            decode = made.summary()
            model = out / MODEL_FILE
            with writing(model):
                extra = {"ridge": torch.from_numpy(floor.ridge)}
                identity = save_checkpoint(model, made.network.to("cpu"), extra)
    hours = [len(r.signal) / config.rate_hz / 3600 for r in recordings]
    result = PretrainResult(
        model=model,
        identity=identity,
        step=step,
        loss=sum(history) / max(1, len(history)),
        hours=sum(hours),
        electrode_hours=sum(h * len(r.electrodes) for h, r in zip(hours, recordings, strict=True)),
        subjects=config.subjects,
        held_out=material.held_out,
        left_out=material.left_out,
        manifest=corpus_of(settings, out) / MANIFEST_FILE,
        decode=decode,
        tokens=trainer.tokens,
        seconds=time.monotonic() - began,
        interrupted=trainer.stopped,
        process=fabric.global_rank,
    )
    if first:
        plain = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(result).items()}
        write_json(out / "result.json", plain)
    return result


def _stage_one(
    trainer: Trainer, settings: Settings, execution: Execution, out: Path | None, tell: Report
) -> None:
    """Train encoder and heads; only the process that is given ``out`` writes the log."""
    steps, last = settings.steps, settings.steps
    if execution.stop_after is not None:
        last = min(execution.stop_after, steps)
    log = None
    if out is not None:
        log = Log(out, trainer.position.step, tensorboard=execution.tensorboard)

    def told(step: int, row: Row | None) -> None:
        if log is not None and row is not None:
            log.write(row)
        tell(Progress("train", step / steps, f"step {step} of {steps}", row))

    try:
        with _interrupts(trainer.stop):
            trainer.run(last, told)
    finally:
        if log is not None:
            log.close()


def _stage_two(
    network: EEGPT, recordings: Sequence[Prepared], settings: Settings, tell: Report
) -> StageTwo:
    """Fit graph and heads of the tasks that the recordings offer, on the encoder as it is now."""
    return fit_tasks(
        network,
        recordings,
        graphs=settings.tasks,
        graph_layers=None if settings.teg else 0,
        seed=settings.seed,
        bf16=settings.precision == "bf16",
        progress=lambda done, what: tell(Progress("decode", done, what)),
    )


@contextmanager
def _interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the training at its next step; Ctrl-C once more ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return

    def interrupt(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()

    before = {s: signal.signal(s, interrupt) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _silent(_: Progress) -> None:
    """Nobody watches."""
