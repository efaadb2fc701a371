"""What a run of pretraining is, and how it is carried out: two frozen dataclasses.

The first belongs to the folder that is written and is read again when the run goes on; the second
belongs to the machine and may be another one every time, without changing what is learned.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from rtbci.errors import BadInputError
from rtbci.models.config import preset
from rtbci.models.pretrain.corpus.subjects import SubjectFold
from rtbci.models.pretrain.tasks.stage import Graphs, check_graphs
from rtbci.models.pretrain.training.registry import shaped_for
from rtbci.models.pretrain.training.state import write_json

SETTINGS_FILE = "settings.json"
PRECISIONS = ("auto", "32", "bf16")
DEVICES = ("auto", "cpu", "cuda")
STRATEGIES = ("auto", "ddp", "sharded")


@dataclass(frozen=True)
class Settings:
    """What a run is, all of it: going on with it needs nothing else.

    Attributes
    ----------
    data : tuple of str
        Files and folders, or one folder that ``rtbci prepare`` wrote; absolute.
    size : str
        A preset of :mod:`rtbci.models.config`.
    steps : int
        Of the optimiser.
    seed : int
        Of weights and batches.
    fold : str
        ``2/4`` holds out the second of four parts of the subjects, by the hash of their names;
        where empty, the subjects that the shipped weights hold out.
    objective : str
        A name of :data:`rtbci.models.pretrain.training.registry.OBJECTIVES`.
    learning_rate : float
        Its largest value, after the warm-up.
    fraction : float
        Share of the recordings that is trained on, by the hash of their names: a smaller share is
        part of a larger one.
    batch : int
        Electrodes in a step, over all processes and portions.
    encoder : str
        Weights, by name or path, whose encoder the network begins with; empty: none.
    tasks : str
        ``joint``: all tasks of stage II share a graph; ``separate``: each has its own;
        ``hands``: the head that sessions decode by alone.
    teg : bool
        Whether there are graph layers; otherwise electrodes are pooled without any.
    precision : str
        ``32``, or ``bf16``: matrix products in bfloat16, weights and errors in float32.

    Raises
    ------
    BadInputError
        Where a value is none that can be.
    """

    data: tuple[str, ...]
    size: str = "base"
    steps: int = 1500
    seed: int = 0
    fold: str = ""
    objective: str = "forecast"
    learning_rate: float = 2e-3
    fraction: float = 1.0
    batch: int = 64
    encoder: str = ""
    tasks: Graphs = "joint"
    teg: bool = True
    precision: str = "auto"

    def __post_init__(self) -> None:
        shaped_for(self.objective, preset(self.size))
        check_graphs(self.tasks)
        if self.fold:
            SubjectFold.parse(self.fold)
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise BadInputError(f"{name} is {getattr(self, name)}, but must be at least 1.")
        if self.seed < 0:
            raise BadInputError(f"seed is {self.seed}, but must be 0 or more.")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise BadInputError(
                f"the learning rate is {self.learning_rate:g}, but must be above 0: 2e-3 is usual."
            )
        if not 0 < self.fraction <= 1:
            raise BadInputError(
                f"the fraction is {self.fraction:g}, but must be above 0 and at most 1."
            )
        _check("precision", self.precision, PRECISIONS)

    def save(self, out: Path) -> None:
        """Write them into the run's folder."""
        write_json(out / SETTINGS_FILE, asdict(self))

    @classmethod
    def load(cls, out: Path) -> Settings:
        """Read what :meth:`save` wrote.

        Raises
        ------
        BadInputError
            Where there is nothing to read, or no settings of this version.
        """
        try:
            values = json.loads((out / SETTINGS_FILE).read_text(encoding="utf-8"))
            return cls(**(values | {"data": tuple(values["data"])}))
        except (OSError, ValueError, TypeError, KeyError) as err:
            raise BadInputError(
                f"{out} holds no training to go on with: its {SETTINGS_FILE} is missing or "
                f"damaged ({err})."
            ) from err


@dataclass(frozen=True)
class Execution:
    """Where and how a run is carried out.

    Attributes
    ----------
    device : str
        ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
    devices, nodes : int | None
        Processes on each machine, and machines; where None, as torchrun or SLURM says, else 1.
    strategy : str
        ``ddp``: every process holds all weights.  ``sharded``: each holds its part of weights,
        gradients and moments (for ``huge`` and ``giant``).  ``auto`` is ``ddp``.
    accumulate : int
        Portions that a process takes its share of a step in, one after the other: less memory.
    compile : bool
        Compile the transformer blocks (minutes at the start, fewer kernels later).
    workers : int | None
        Threads that draw batches ahead, 0 for none; None: one on a CPU, up to eight for a GPU.
    save_every, log_every : int
        Steps from a checkpoint, and from a row of the log, to the next.
    tensorboard : bool
        Also log for TensorBoard.
    stop_after : int | None
        Stop after this step of stage I, to be resumed.
    """

    device: str = "auto"
    devices: int | None = None
    nodes: int | None = None
    strategy: str = "auto"
    accumulate: int = 1
    compile: bool = False
    workers: int | None = None
    save_every: int = 100
    log_every: int = 10
    tensorboard: bool = False
    stop_after: int | None = None

    def __post_init__(self) -> None:
        _check("device", self.device, DEVICES)
        _check("strategy", self.strategy, STRATEGIES)
        for name in ("devices", "nodes", "accumulate", "save_every", "log_every", "stop_after"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadInputError(f"{name} is {value}, but must be at least 1.")
        if self.workers is not None and self.workers < 0:
            raise BadInputError(f"workers is {self.workers}, but must be 0 or more.")


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise BadInputError(f"there is no {name} {value!r}; choose one of {', '.join(known)}.")
