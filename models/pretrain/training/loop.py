"""The loop over steps: draw, forward, backward, clip, update; on any number of processes.

    step      the loader gives this process its portions of the batch; what losses are divided by
              is summed over all processes first, so that the loss is that of one whole batch
    portion   forward and backward; gradients are exchanged behind the last one
    then      losses are summed over processes and looked at; clip; AdamW

A loss that is not finite stops the run before it is saved.  On a CPU losses are looked at before
the weights change; on a GPU a step later, when they have been copied without anybody waiting.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rtbci.errors import RtbciError
from rtbci.models.attention import Block
from rtbci.models.eegpt import EEGPT
from rtbci.models.pretrain.corpus.store import DiskError
from rtbci.models.pretrain.training.batches import Batch, Batches
from rtbci.models.pretrain.training.launch import first_does, gather_texts, total
from rtbci.models.pretrain.training.loader import Loader
from rtbci.models.pretrain.training.logs import Row, Sums
from rtbci.models.pretrain.training.objective import Losses, Objective
from rtbci.models.pretrain.training.settings import Execution, Settings
from rtbci.models.pretrain.training.state import STATE_FILE, Position, gather, restore, save_state

if TYPE_CHECKING:
    from lightning_fabric import Fabric

WEIGHT_DECAY = 0.05
BETAS = (0.9, 0.95)
WARM_UP = 50
CLIP_NORM = 1.0
KEPT = 100
"""Steps whose mean is the result's loss."""
MOST_WORKERS = 8

Tell = Callable[[int, Row | None], None]
"""Told every step that is done, every few steps together with a row of the log."""


class Task(nn.Module):
    """What is trained: the network, and whatever the objective trains beside it.

    Parameters
    ----------
    network : EEGPT
    objective : Objective
    bf16 : bool
        Whether matrix products are done in bfloat16.
    """

    def __init__(self, network: EEGPT, objective: Objective, *, bf16: bool) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.bf16 = bf16
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(objective.trains(name))

    def forward(self, batch: Batch) -> Losses:
        """Run the objective on a batch."""
        device = batch.windows.device.type
        with torch.autocast(device, dtype=torch.bfloat16, enabled=self.bf16):
            losses: Losses = self.objective(self.network, batch)
        return losses


@dataclass(frozen=True)
class _Step:
    """A step's sums, on their way to be looked at.

    Attributes
    ----------
    number : int
        Steps that are done with this one.
    origin : str
        Of this process's part of the batch.
    values : Tensor, float64, on the CPU
        Terms, counts, figures, tokens, wish to stop; norm of the gradient; whether this
        process's own terms are finite.
    copied : torch.cuda.Event | None
        When ``values`` may be read.
    """

    number: int
    origin: str
    values: Tensor
    copied: torch.cuda.Event | None


class Trainer:
    """Trains a network up to a step; every process has one and all do the same.

    Parameters
    ----------
    fabric : Fabric
        Launched.
    network : EEGPT
    objective : Objective
    batches : Batches
    settings : Settings
        Its precision is ``32`` or ``bf16``.
    execution : Execution
    out : Path | None
        Folder of the run, whose checkpoint it goes on from; None: nothing is kept.

    Raises
    ------
    BadInputError
        Where the checkpoint is damaged.
    """

    def __init__(
        self,
        fabric: Fabric,
        network: EEGPT,
        objective: Objective,
        batches: Batches,
        settings: Settings,
        execution: Execution,
        out: Path | None,
    ) -> None:
        self._fabric, self._settings, self._execution = fabric, settings, execution
        self._batches, self._objective, self._out = batches, objective, out
        self._cuda = fabric.device.type == "cuda"
        if execution.compile:
            for block in network.modules():
                if isinstance(block, Block):
                    block.compile(dynamic=True)
        self._task = Task(network, objective, bf16=settings.precision == "bf16")
        self._module = fabric.setup_module(self._task)
        self._optimizer = optimizer_of(self._task, fused=self._cuda)
        self._update = cast("Optimizer", fabric.setup_optimizers(self._optimizer))
        self._shares = torch.tensor(list(objective.terms.values()), device=fabric.device)
        self._pending: deque[_Step] = deque()
        self._sums = Sums()
        self._stop_wanted = self.stopped = False
        self.position = Position()
        if out is not None and (out / STATE_FILE).exists():
            self.position = restore(out / STATE_FILE, self._task, self._optimizer)
        self._saved = self.position.step
        self.tokens = 0
        self.waited_s = self.seconds = 0.0

    def stop(self) -> None:
        """Stop, with a checkpoint, as soon as all processes know of it."""
        self._stop_wanted = True

    def whole(self) -> dict[str, Tensor]:
        """Give all weights, on the CPU, by their names in the network; all processes take part."""
        tensors = gather(self._task, self._optimizer)
        prefix = "network."
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    def run(self, last: int, tell: Tell) -> None:
        """Train up to step ``last``, or until it is told to stop.

        Raises
        ------
        RtbciError
            Where a loss is not finite, with the batch that it came from.
        DiskError
            Where a checkpoint can't be written, with the step of the one that is whole.
        """
        first = self.position.step
        self._module.train()
        self._began = self._row_began = time.monotonic()
        self._row_waited = 0.0
        with Loader(self._draw, self._order(first, last), self._workers()) as loader:
            self._loader = loader
            for step in range(first, last):
                self._pending.append(self._gradients(step))
                self._look(1 if self._cuda else 0, tell)
                self._update.step()
                self._optimizer.zero_grad()
                self.position.step = step + 1
                if (step + 1) % self._execution.save_every == 0:
                    self._look(0, tell)
                    self._save()
                if self.stopped:
                    break
            self._look(0, tell)
        self.waited_s, self.seconds = loader.waited_s, time.monotonic() - self._began
        if self._saved != self.position.step:
            self._save()

    def _gradients(self, step: int) -> _Step:
        """Forward and backward of a step's portions; clipped gradients are left behind."""
        fabric, world = self._fabric, self._fabric.world_size
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(step, self._settings)
        portions = [self._loader.next() for _ in range(self._execution.accumulate)]
        own = torch.stack([self._objective.counts(b) for b in portions]).sum(dim=0)
        counts = total(fabric, own.to(fabric.device))
        shares = (self._shares / counts.clamp(min=1e-6)).float()
        terms, figures = torch.zeros_like(counts), torch.zeros(0)
        for i, drawn in enumerate(portions):
            torch.manual_seed(_seed(self._settings.seed, step, i * world + fabric.global_rank))
            waits = world > 1 and i < len(portions) - 1
            with fabric.no_backward_sync(self._module, enabled=waits):
                losses = self._module(drawn.to(fabric.device))
                # Gradients are averaged over processes, and each has but its part of the sum.
                fabric.backward(world * (losses.terms * shares).sum())
            terms = terms + losses.terms.detach()
            figures = losses.figures.double() + (figures if i else 0)
        norm = fabric.clip_gradients(
            self._module, self._update, max_norm=CLIP_NORM, error_if_nonfinite=False
        )
        told = [sum(b.tokens for b in portions), self._stop_wanted]
        rest = torch.tensor(told, dtype=torch.float64).to(fabric.device, non_blocking=True)
        summed = total(fabric, torch.cat([terms, figures.flatten(), rest]))
        values = torch.cat([counts, summed, _plain(norm)[None], terms.isfinite().all()[None]])
        copied = None
        values = values.to("cpu", non_blocking=True)
        if self._cuda:
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record()
        return _Step(step + 1, ", ".join(b.origin for b in portions), values, copied)

    def _look(self, leave: int, tell: Tell) -> None:
        """Look at what has come of steps, all but the last ``leave`` of them."""
        n = len(self._objective.terms)
        while len(self._pending) > leave:
            step = self._pending.popleft()
            if step.copied is not None:
                step.copied.synchronize()
            counts, terms = step.values[:n], step.values[n : 2 * n]
            means = (terms / counts.clamp(min=1e-6)).tolist()
            loss = sum(s * m for s, m in zip(self._objective.terms.values(), means, strict=True))
            *errors, tokens, stop, norm, sound = step.values[2 * n :].tolist()
            if not (math.isfinite(loss) and math.isfinite(norm)):
                self._give_up(step, loss, norm, sound=bool(sound))
            self.stopped = self.stopped or stop > 0
            self.tokens += int(tokens)
            figures = list(zip(errors[::2], errors[1::2], strict=True))
            self._sums.add(means, figures, int(tokens))
            head = figures[0][0] / max(figures[0][1], 1e-9)
            self.position.history = [*self.position.history[1 - KEPT :], head]
            due = step.number % self._execution.log_every == 0
            due = due or step.number == self._settings.steps
            tell(step.number, self._row(step.number, norm) if due else None)

    def _row(self, number: int, norm: float) -> Row:
        """Sum up the steps since the last row."""
        sums, self._sums = self._sums, Sums()
        now, waited = time.monotonic(), self._loader.waited_s
        took, waiting = now - self._row_began, waited - self._row_waited
        self._row_began, self._row_waited = now, waited
        terms = {k: v / sums.steps for k, v in zip(self._objective.terms, sums.terms, strict=True)}
        return Row(
            step=number,
            loss=sum(self._objective.terms[k] * v for k, v in terms.items()),
            terms=terms,
            figures=dict(zip(self._objective.figures, sums.ratios(), strict=True)),
            learning_rate=learning_rate(number - 1, self._settings),
            gradient_norm=norm,
            tokens=self.tokens,
            tokens_per_s=sums.tokens / max(took, 1e-9),
            waiting=waiting / max(took, 1e-9),
            seconds=now - self._began,
        )

    def _give_up(self, step: _Step, loss: float, norm: float, *, sound: bool) -> None:
        """Say whose batch it was; weights as they are now are not saved."""
        what = f"the loss is {loss}"
        if math.isfinite(loss):
            what, sound = f"the gradient's norm is {norm}", False
        origins = [o for o in gather_texts(self._fabric, "" if sound else step.origin) if o]
        raise RtbciError(
            f"{what} at step {step.number - 1}, on {', '.join(origins)}: look at that signal, or "
            f"take a smaller --learning-rate; {self._last_good()}."
        )

    def _save(self) -> None:
        """Keep what there is, and say what is still good where that fails."""
        if self._out is None:
            return
        path = self._out / STATE_FILE
        tensors = gather(self._task, self._optimizer)
        try:
            first_does(self._fabric, lambda: save_state(path, tensors, self.position))
        except DiskError as err:
            raise DiskError(
                f"the checkpoint of step {self.position.step} is not kept: {str(err).rstrip('.')}; "
                f"make room; {self._last_good()}."
            ) from err
        self._saved = self.position.step

    def _last_good(self) -> str:
        if not self._saved:
            return "no checkpoint had been written yet"
        return (
            f"the checkpoint of step {self._saved} is whole, go on from it with "
            f"rtbci pretrain --resume {self._out}"
        )

    def _order(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Steps and this process's parts of them."""
        world, rank = self._fabric.world_size, self._fabric.global_rank
        for step in range(first, last):
            for portion in range(self._execution.accumulate):
                yield step, portion * world + rank

    def _draw(self, step: int, part: int) -> Batch:
        parts = self._execution.accumulate * self._fabric.world_size
        batch = self._batches.draw(step, part, parts)
        return batch.pin() if self._cuda else batch

    def _workers(self) -> int:
        if self._execution.workers is not None:
            return self._execution.workers
        here = max(1, torch.cuda.device_count())
        return min(MOST_WORKERS, max(1, (os.cpu_count() or 1) // here - 1)) if self._cuda else 1


def learning_rate(step: int, settings: Settings) -> float:
    """Warm-up, then a cosine to zero."""
    warm = min(1.0, (step + 1) / WARM_UP)
    return settings.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * step / settings.steps))


def optimizer_of(task: nn.Module, *, fused: bool) -> torch.optim.AdamW:
    """AdamW; vectors (norms, biases) and embeddings do not decay."""
    trained = {k: p for k, p in task.named_parameters() if p.requires_grad}
    groups = [
        {
            "params": [p for k, p in trained.items() if _decays(k, p) == decays],
            "weight_decay": WEIGHT_DECAY if decays else 0.0,
        }
        for decays in (True, False)
    ]
    return torch.optim.AdamW(groups, betas=BETAS, fused=fused or None)


def _decays(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim >= 2 and "electrode" not in name


def _seed(seed: int, step: int, part: int) -> int:
    """Seed of a portion: what is random in it is the same whenever and wherever it is done."""
    return int(np.random.SeedSequence([seed, step, part]).generate_state(1, np.uint64)[0] >> 1)


def _plain(value: Tensor | None) -> Tensor:
    """A gradient's norm, whole, float64."""
    assert value is not None
    full: Tensor = value.full_tensor() if hasattr(value, "full_tensor") else value
    return full.detach().double()
