"""Pretraining: from recordings to a checkpoint, on one machine.

    recordings --prepare--> linear floor --stage I: encoder, step head, direct head-->
                                         --stage II: encoder frozen, electrode graph--> model

Stage I minimises, on samples that the model has not seen, the squared error of every horizon
over that of the linear blend there; horizons count by the logarithm of time, since what can be
learned lies early.  Its batches are drawn from ``(seed, step)``, so a run that stopped goes on as
if it had not; on one CPU with the same number of threads it ends with the same weights.

Writes into OUT: ``settings.json``, ``prepared/``, ``linear.safetensors``,
``training.safetensors`` (for :func:`resume`), ``model.safetensors``, ``result.json``.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from rtbci.errors import BadInputError, RtbciError
from rtbci.models.checkpoint import save_checkpoint
from rtbci.models.config import ModelConfig, preset
from rtbci.models.eegpt import EEGPT
from rtbci.models.pretrain.corpus.prepared import Prepared, SubjectFold, is_held_out, prepare
from rtbci.models.pretrain.corpus.read import read_raw, recordings_in
from rtbci.models.pretrain.tasks.imagery import CLASSES, TEG_TOKENS, collect_trials, fit_decoder
from rtbci.models.pretrain.training.batches import Batches
from rtbci.models.pretrain.training.linear import LinearFloor, fit_linear
from rtbci.models.pretrain.training.objective import (
    STEP_SHARE,
    blend_loss,
    horizon_weights,
    losses,
)

LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.05
WARM_UP = 50
CLIP_NORM = 1.0
SAVE_EVERY = 100


@dataclass(frozen=True)
class Settings:
    """What a run is, all of it: :func:`resume` needs nothing else.

    Attributes
    ----------
    data : tuple of str
        Files and folders, absolute.
    size : str
    steps, seed : int
    fold : str
        ``2/4``: which part of the subjects is held out; empty for the usual ones.
    """

    data: tuple[str, ...]
    size: str
    steps: int
    seed: int
    fold: str = ""


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for whoever shows it.

    Attributes
    ----------
    stage : str
        ``prepare``, ``linear``, ``forecast`` or ``decode``.
    done : float
        Share of the stage, 0 to 1.
    text : str
        A file's name, or the loss.
    """

    stage: str
    done: float
    text: str = ""


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
        Mean over the last 100 steps of the direct head's loss over that of the linear blend on
        the same batches: what is below 1 has been learned.
    hours : float
        Of recordings trained on; times electrodes, ``electrode_hours``.
    electrode_hours : float
    subjects : tuple of str
        Trained on.
    held_out : tuple of str
        In the data, but never looked at.
    decode : dict
        Of :func:`rtbci.models.pretrain.tasks.imagery.fit_decoder`; empty without cued trials.
    seconds : float
        This call took.
    """

    model: Path | None
    identity: str
    step: int
    loss: float
    hours: float
    electrode_hours: float
    subjects: tuple[str, ...]
    held_out: tuple[str, ...]
    decode: dict[str, float]
    seconds: float


Report = Callable[[Progress], None]


def pretrain(
    data: Sequence[Path],
    out: Path,
    *,
    size: str = "base",
    steps: int = 1200,
    seed: int = 0,
    fold: str = "",
    stop_after: int | None = None,
    device: str = "auto",
    progress: Report | None = None,
) -> PretrainResult:
    """Train a model on recordings, those of held-out subjects excepted.

    Parameters
    ----------
    data : sequence of Path
        Recordings, or folders of them.
    out : Path
        Folder for everything that is written; prepared recordings in it are used again.
    size : str
        A preset of :mod:`rtbci.models.config`.
    steps, seed : int
        Steps of stage I; seed of weights and batches.
    fold : str
        ``2/4`` holds out the second of four parts of the subjects, by the hash of their names;
        where empty, the subjects that the shipped weights hold out.
    stop_after : int | None
        Stop after this step of stage I, to be resumed.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    progress : callable, optional
        Called often.

    Raises
    ------
    BadInputError
        Where there is nothing to train on, or ``out`` holds another run.
    RtbciError
        Where the loss is not finite, with the batch that it came from.
    """
    preset(size)
    if steps < 1:
        raise BadInputError(f"steps is {steps}, but there must be at least 1.")
    if fold:
        SubjectFold.parse(fold)
    settings = Settings(tuple(str(p.resolve()) for p in data), size, steps, seed, fold)
    out.mkdir(parents=True, exist_ok=True)
    if (out / "training.safetensors").exists():
        raise BadInputError(
            f"{out} holds a training already: go on with it (--resume {out}), or choose an empty "
            "folder."
        )
    _write_json(out / "settings.json", asdict(settings))
    return _run(settings, out, stop_after, device, progress)


def resume(
    out: Path,
    *,
    stop_after: int | None = None,
    device: str = "auto",
    progress: Report | None = None,
) -> PretrainResult:
    """Go on with a run that stopped, from its last saved step; all settings come from ``out``.

    Raises
    ------
    BadInputError
        Where ``out`` holds no run.
    RtbciError
        As :func:`pretrain`.
    """
    try:
        values = json.loads((out / "settings.json").read_text(encoding="utf-8"))
        settings = Settings(**(values | {"data": tuple(values["data"])}))
    except (OSError, ValueError, TypeError, KeyError) as err:
        raise BadInputError(
            f"{out} holds no training to go on with: its settings.json is missing or damaged "
            f"({err})."
        ) from err
    return _run(settings, out, stop_after, device, progress)


def _run(
    settings: Settings, out: Path, stop_after: int | None, device: str, report: Report | None
) -> PretrainResult:
    began = time.monotonic()
    tell = report or _silent
    place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    base = preset(settings.size)
    recordings, held_out = _prepare_all(settings, out, base, tell)
    electrodes = tuple(sorted({e for r in recordings for e in r.electrodes}))
    labels = {c.label for r in recordings for c in r.cues}
    classes = CLASSES if labels.issuperset(CLASSES) else ()
    subjects = tuple(sorted({r.subject for r in recordings}))
    config = replace(
        base,
        electrodes=electrodes,
        classes=classes,
        teg_tokens=TEG_TOKENS,
        subjects=subjects,
    )

    floor = _linear(recordings, config, out, tell)
    torch.manual_seed(settings.seed)
    network = EEGPT(config)
    network.direct_head.blend.copy_(torch.from_numpy(floor.blend))
    network.to(place)
    batches = Batches(recordings, config, floor, seed=settings.seed)
    last = settings.steps if stop_after is None else min(stop_after, settings.steps)
    step, loss = _stage_one(network, batches, floor, settings, last, out, place, tell)

    decode: dict[str, float] = {}
    identity, model = "", None
    if step == settings.steps:
        network.eval()
        network.requires_grad_(False)
        if classes:
            decode = _stage_two(network, recordings, settings, place, tell)
        model = out / "model.safetensors"
        extra = {"ridge": torch.from_numpy(floor.ridge)}
        identity = save_checkpoint(model, network.to("cpu"), extra)
    hours = [len(r.signal) / config.rate_hz / 3600 for r in recordings]
    result = PretrainResult(
        model=model,
        identity=identity,
        step=step,
        loss=loss,
        hours=sum(hours),
        electrode_hours=sum(h * len(r.electrodes) for h, r in zip(hours, recordings, strict=True)),
        subjects=subjects,
        held_out=held_out,
        decode=decode,
        seconds=time.monotonic() - began,
    )
    _write_json(out / "result.json", asdict(result) | {"model": model and str(model)})
    return result


def _prepare_all(
    settings: Settings, out: Path, config: ModelConfig, tell: Report
) -> tuple[list[Prepared], tuple[str, ...]]:
    """Prepare what is trained on; of held-out subjects only the names are taken."""
    files = recordings_in([Path(p) for p in settings.data])
    fold = SubjectFold.parse(settings.fold) if settings.fold else None
    prepared: list[Prepared] = []
    held_out: set[str] = set()
    for i, (path, subject) in enumerate(files):
        tell(Progress("prepare", i / len(files), path.name))
        if is_held_out(subject, fold):
            held_out.add(subject)
            continue
        prepared += [prepare(raw, out / "prepared", config) for raw in read_raw(path, subject)]
    tell(Progress("prepare", 1.0))
    if not prepared:
        raise BadInputError(
            f"none of the {len(files)} recordings can be trained on: their subjects "
            f"({', '.join(sorted(held_out)) or 'none'}) are held out for the score; add others."
        )
    return prepared, tuple(sorted(held_out))


def _linear(
    recordings: list[Prepared], config: ModelConfig, out: Path, tell: Report
) -> LinearFloor:
    """Fit the linear floor, or read what the run fitted before it stopped."""
    path = out / "linear.safetensors"
    if path.exists() and (out / "training.safetensors").exists():
        kept = safetensors.torch.load_file(path)
        return LinearFloor(**{k: v.numpy() for k, v in kept.items()})
    floor = fit_linear(recordings, config, lambda share: tell(Progress("linear", share)))
    tensors = {k: torch.from_numpy(v) for k, v in asdict(floor).items()}
    _save_tensors(path, tensors, {})
    return floor


def _stage_one(
    network: EEGPT,
    batches: Batches,
    floor: LinearFloor,
    settings: Settings,
    last: int,
    out: Path,
    device: str,
    tell: Report,
) -> tuple[int, float]:
    """Train encoder, step head and direct head up to step ``last``; give steps and loss."""
    parameters = {k: p for k, p in network.named_parameters() if not k.startswith("teg.")}
    optimizer = _optimizer(parameters)
    weight = horizon_weights(floor, network.config.rate_hz).to(device)
    step, history = _restore(out, network, optimizer, parameters)
    network.train()
    while step < last:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings.steps)
        batch = batches.draw(step).to(device)
        direct, ahead = losses(network, batch, weight)
        loss = direct + STEP_SHARE * ahead
        blend = blend_loss(network, batch, weight)
        if not math.isfinite(loss.item()):
            raise RtbciError(
                f"the loss is {loss.item()} at step {step}, on {batch.origin}: look at that "
                f"signal, then go on from the last saved step with --resume {out}."
            )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters.values(), CLIP_NORM)
        optimizer.step()
        step += 1
        history = [*history[-99:], direct.item() / max(blend.item(), 1e-9)]
        mean = sum(history) / len(history)
        tell(
            Progress(
                "forecast",
                step / settings.steps,
                f"step {step}: error over linear blend's {mean:.4f}, next hop {ahead.item():.3f}",
            )
        )
        if step % SAVE_EVERY == 0 or step == last:
            _save_training(out, network, optimizer, parameters, step, history)
    return step, sum(history) / max(1, len(history))


def learning_rate(step: int, steps: int) -> float:
    """Warm-up, then a cosine to zero."""
    warm = min(1.0, (step + 1) / WARM_UP)
    return LEARNING_RATE * warm * 0.5 * (1.0 + math.cos(math.pi * step / steps))


def _optimizer(parameters: dict[str, torch.nn.Parameter]) -> torch.optim.AdamW:
    """AdamW; vectors (norms, biases) and embeddings do not decay."""
    decay = [p for k, p in parameters.items() if p.ndim >= 2 and "electrode" not in k]
    rest = [p for k, p in parameters.items() if p.ndim < 2 or "electrode" in k]
    groups = [
        {"params": decay, "weight_decay": WEIGHT_DECAY},
        {"params": rest, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, LEARNING_RATE, betas=(0.9, 0.95))


def _stage_two(
    network: EEGPT, recordings: list[Prepared], settings: Settings, device: str, tell: Report
) -> dict[str, float]:
    """Collect trials with the encoder as it is now, and fit the decode head on them."""
    trials = collect_trials(
        network, recordings, device=device, progress=lambda s: tell(Progress("decode", 0.5 * s))
    )
    network.to("cpu")
    if trials is None:
        return {}
    return fit_decoder(
        network,
        trials,
        seed=settings.seed,
        progress=lambda s: tell(Progress("decode", 0.5 + 0.5 * s)),
    )


def _save_training(
    out: Path,
    network: EEGPT,
    optimizer: torch.optim.AdamW,
    parameters: dict[str, torch.nn.Parameter],
    step: int,
    history: list[float],
) -> None:
    """Write weights and moments, atomically."""
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    for name, parameter in parameters.items():
        for key, value in optimizer.state[parameter].items():
            tensors[f"optimizer.{name}:{key}"] = value
    stated = {"step": str(step), "history": json.dumps(history)}
    _save_tensors(out / "training.safetensors", tensors, stated)


def _restore(
    out: Path,
    network: EEGPT,
    optimizer: torch.optim.AdamW,
    parameters: dict[str, torch.nn.Parameter],
) -> tuple[int, list[float]]:
    """Read what :func:`_save_training` wrote, if anything; step and history of losses."""
    path = out / "training.safetensors"
    if not path.exists():
        return 0, []
    with safe_open(path, "pt") as file:
        stated: dict[str, Any] = file.metadata()
    tensors = safetensors.torch.load_file(path)
    network.load_state_dict(
        {k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")}
    )
    for name, parameter in parameters.items():
        prefix = f"optimizer.{name}:"
        optimizer.state[parameter] = {
            k.removeprefix(prefix): v if k.endswith(":step") else v.to(parameter.device)
            for k, v in tensors.items()
            if k.startswith(prefix)
        }
    return int(stated["step"]), json.loads(stated["history"])


def _save_tensors(path: Path, tensors: dict[str, Tensor], stated: dict[str, str]) -> None:
    partial = path.with_name(path.name + ".partial")
    plain = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    safetensors.torch.save_file(plain, partial, stated)
    partial.replace(path)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(values, indent=1), encoding="utf-8")
    partial.replace(path)


def _silent(_: Progress) -> None:
    """Nobody watches."""
