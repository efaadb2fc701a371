"""Where a training stands, in one file: weights, moments of the optimiser, step.

    OUT/training.safetensors   network.*, objective.*, optimizer.NAME:KEY   one metadata key, state

That is all: schedule, batches and random numbers follow from seed and step.  Tensors are whole
whatever they were spread over, so that a run goes on with any number of processes.  A file is
written beside the one before, brought to the disk and put in its place in one go.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from rtbci.errors import BadInputError
from rtbci.models.pretrain.corpus.store import writing

STATE_FILE = "training.safetensors"


@dataclass
class Position:
    """How far a training has come.

    Attributes
    ----------
    step : int
        Steps that are done.
    history : list of float
        The objective's first figure at each of the last steps.
    """

    step: int = 0
    history: list[float] = field(default_factory=list)


def gather(task: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Collect weights and moments, whole, on the CPU; all processes take part."""
    tensors = {name: _whole(value) for name, value in task.state_dict().items()}
    for name, parameter in task.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{name}:{key}"] = _whole(value)
    return tensors


def save_state(path: Path, tensors: dict[str, Tensor], position: Position) -> None:
    """Write what :func:`gather` gave.

    Raises
    ------
    DiskError
        Where it can't be written; the file before is untouched.
    """
    state = {"step": position.step, "history": position.history}
    write_tensors(path, tensors, {"state": json.dumps(state, sort_keys=True)})


def restore(path: Path, task: nn.Module, optimizer: torch.optim.Optimizer) -> Position:
    """Put weights and moments back, each process its own part of them.

    Raises
    ------
    BadInputError
        Where the file is damaged, or of another network or version.
    """
    try:
        with safe_open(path, "pt") as file:
            position = Position(**json.loads(file.metadata()["state"]))
            own = task.state_dict()
            for name, target in own.items():
                target.copy_(_like(file.get_tensor(name), target))
            kept = set(file.keys())
            for name, parameter in task.named_parameters():
                prefix = f"optimizer.{name}:"
                keys = sorted(k for k in kept if k.startswith(prefix))
                if keys:
                    moments = {k.removeprefix(prefix): file.get_tensor(k) for k in keys}
                    optimizer.state[parameter] = {
                        k: _like(v, parameter) if v.ndim else v for k, v in moments.items()
                    }
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as err:
        raise BadInputError(
            f"{path} is damaged or of another version of rtbci ({err}); train anew in an empty "
            "folder."
        ) from err
    return position


def write_tensors(path: Path, tensors: dict[str, Tensor], stated: dict[str, str]) -> None:
    """Write a safetensors file, atomically.

    Raises
    ------
    DiskError
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with writing(path):
            try:
                safetensors.torch.save_file(tensors, partial, stated)
            except SafetensorError as err:  # the number of the error is in its text alone
                number = re.search(r"os error (\d+)", str(err))
                raise OSError(int(number[1]) if number else 0, str(err)) from err
            _put(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write plain values, atomically.

    Raises
    ------
    DiskError
    """
    partial = path.with_name(path.name + ".partial")
    with writing(path):
        partial.write_text(json.dumps(values, indent=1), encoding="utf-8")
        _put(partial, path)


def _put(partial: Path, path: Path) -> None:
    """Bring a file to the disk and in the place of another."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)
    if os.name == "posix":  # elsewhere a folder can't be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _whole(value: Tensor) -> Tensor:
    """Give a tensor that may be spread over processes, on the CPU."""
    full: Tensor = value.full_tensor() if hasattr(value, "full_tensor") else value
    return full.detach().to("cpu").contiguous()


def _like(value: Tensor, target: Tensor) -> Tensor:
    """Bring a whole tensor to where another one lies, spread as that one is."""
    if not hasattr(target, "full_tensor"):
        return value.to(target.device)
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(target, DTensor)
    return distribute_tensor(value.to(target.device), target.device_mesh, target.placements)
