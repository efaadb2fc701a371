"""Stage II: the encoder stands still, graph and heads learn one task or several at once.

A head starts from a closed form, an exact solution to begin the training from: node embeddings and
projection take mean and scale off the states, graph layers pass them through, and the gates of each
task hold the weights of a ridge regression.  (At that point it is a linear probe of the encoder.)
Then everything goes on by gradient, all tasks in every step.  For how long is chosen by leaving
groups of training subjects out; their scores also set how sure a classifying head is, its scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from rtbci.models.pretrain.tasks.answers import answers_of, key_of, odds_of, outputs_of
from rtbci.models.pretrain.tasks.catalogue import Task
from rtbci.models.pretrain.tasks.trials import Trials
from rtbci.models.teg import TEG, GraphLayer

PENALTY = 10.0
"""Of the closed-form start, in units of the mean eigenvalue."""

CHECKPOINTS = (0, 25, 50, 100, 200)
"""Steps after the closed-form start among which the left-out subjects choose."""

N_FOLDS = 4
BATCH = 64
LEARNING_RATE = 3e-4
WEIGHT_DECAY = 0.1

Material = Mapping[Task, Trials]
"""Tasks that share a graph, with their trials."""


@dataclass(frozen=True)
class Fit:
    """What left-out training subjects said.

    Attributes
    ----------
    steps : int
        After the closed form.
    start, left_out : dict of str to float
        Score of each task on left-out subjects, at the closed form and after these steps
        (:meth:`rtbci.models.pretrain.tasks.answers.Answers.by_subject`); NaN where a task has only
        one subject.
    """

    steps: int
    start: dict[str, float]
    left_out: dict[str, float]


def fit_heads(
    make: Callable[[], TEG],
    material: Material,
    *,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> tuple[TEG, Fit]:
    """Train a graph and its tasks' heads.

    Parameters
    ----------
    make : callable
        Gives a new graph with heads for all the tasks, always the same.
    material : mapping of Task to Trials
    seed : int
    progress : callable, optional
        Called with the share that is done.
    """
    tell = progress or (lambda _: None)
    subjects = sorted({s for trials in material.values() for s in trials.subjects})
    fold_of = {s: i % N_FOLDS for i, s in enumerate(subjects)}
    n_folds = min(N_FOLDS, len(subjects)) if len(subjects) > 1 else 0
    curves: dict[Task, list[dict[str, float]]] = {
        task: [{} for _ in CHECKPOINTS] for task in material
    }
    evidence = {
        task: torch.full((len(CHECKPOINTS), *states.shape[:3:2]), float("nan"))
        for task, states in ((t, trials.states) for t, trials in material.items())
    }
    for fold in range(n_folds):
        folds = {
            task: np.array([fold_of[s] for s in trials.subjects])
            for task, trials in material.items()
        }
        rest = {t: trials.of(folds[t] != fold) for t, trials in material.items()}
        rest = {t: trials for t, trials in rest.items() if len(trials.subjects)}
        graph = make()
        start(graph, rest)
        for i, _ in enumerate(_train(graph, rest, CHECKPOINTS, seed)):
            for task in rest:
                left_out = material[task].of(folds[task] == fold)
                if not len(left_out.subjects):
                    continue
                said = outputs_of(graph, left_out, task)
                at = torch.from_numpy(np.flatnonzero(folds[task] == fold))
                evidence[task][i, at] = odds_of(said, task)
                curves[task][i] |= answers_of(said, left_out, task).by_subject()
        tell((fold + 1) / (n_folds + 1))
    means = {
        task: np.array([np.mean(list(c.values())) if c else np.nan for c in curve])
        for task, curve in curves.items()
    }
    gains = [m - m[0] for m in means.values() if not np.isnan(m).any()]
    best = int(np.argmax(np.mean(gains, axis=0))) if gains else 0
    graph = make()
    start(graph, material)
    for _ in _train(graph, material, CHECKPOINTS[best : best + 1], seed):
        pass
    for task, trials in material.items():
        known = ~evidence[task][best].isnan().any(dim=1)
        if task.classes and known.any():
            _rescale(graph, task, _best_scale(evidence[task][best][known], trials.labels[known]))
    tell(1.0)
    return graph.eval(), Fit(
        CHECKPOINTS[best],
        {t.name: float(m[0]) for t, m in means.items()},
        {t.name: float(m[best]) for t, m in means.items()},
    )


@torch.no_grad()
def start(graph: TEG, material: Material) -> None:
    """Set graph and heads to the closed form."""
    dim = graph.project.in_features
    rows = graph.node.num_embeddings
    total, count, square = torch.zeros(rows, dim), torch.zeros(rows, 1), torch.zeros(dim)
    for trials in material.values():
        states, here = trials.states.float(), _here(trials)
        total.index_add_(0, trials.electrode_ids, (states * here).sum(dim=(0, 1, 2)))
        count.index_add_(0, trials.electrode_ids, _times(trials)[:, None])
    centre = total / count.clamp(min=1.0)
    for trials in material.values():
        off = (trials.states.float() - centre[trials.electrode_ids]) * _here(trials)
        square += off.square().sum(dim=(0, 1, 2, 3))
    scale = (square / count.sum()).clamp(min=1e-12).rsqrt()
    known = count[:, 0] > 0
    graph.project.weight.copy_(torch.diag(scale))
    graph.project.bias.zero_()
    graph.node.weight[known] = (-centre * scale)[known]
    for layer in graph.layers:
        cast(GraphLayer, layer).weight.weight.zero_()
    for task, trials in material.items():
        off = (trials.states.float() - centre[trials.electrode_ids]) * _here(trials)
        read = (graph.norm(off * scale) * _here(trials)).mean(dim=2).flatten(2).double()
        weight, bias = _ridge(read, trials, task)
        head, n = graph.head(key_of(task)), len(trials.electrode_ids)
        head.gate.weight.zero_()
        head.gate.weight[trials.electrode_ids] = weight.reshape(n, -1).float() * n
        sign = torch.tensor([[-0.5], [0.5]]) if task.classes else torch.ones(1, 1)
        head.out.weight.copy_(sign.expand_as(head.out.weight))
        head.out.bias.copy_(sign[:, 0] * bias)
        if task.classes:
            said = odds_of(outputs_of(graph, trials, task), task)
            _rescale(graph, task, _best_scale(said, trials.labels))


def _here(trials: Trials) -> Tensor:
    return trials.valid[:, None, None, :, None].float()


def _times(trials: Trials) -> Tensor:
    """How many states of each electrode there are, shape (n_electrodes,)."""
    n_views, n_tokens = trials.states.shape[1:3]
    return trials.valid.float().sum(dim=0) * n_views * n_tokens


def _ridge(read: Tensor, trials: Trials, task: Task) -> tuple[Tensor, float]:
    """Weights and bias for features (n_trials, n_views, n_features), float64."""
    if task.mirror == "flip":
        # What differs between a trial and its mirror image; the bias is zero by symmetry.
        x, y = read[:, 0] - read[:, 1], 2.0 * trials.targets[:, 0].double() - 1.0
        centre, middle = torch.zeros_like(x[0]), 0.0
    else:
        x, y = read.flatten(0, 1), trials.targets.flatten().double()
        y = 2.0 * y - 1.0 if task.classes else y
        centre, middle = x.mean(dim=0), float(y.mean())
        x, y = x - centre, y - middle
    gram = x @ x.T
    ridge = PENALTY * gram.trace() / len(gram) * torch.eye(len(gram), dtype=gram.dtype)
    weight = x.T @ torch.linalg.solve(gram + ridge, y)
    return weight, middle - float(centre @ weight)


def _best_scale(evidence: Tensor, labels: Tensor) -> float:
    """Scale of log-odds (n_trials, n_tokens) that makes the labels most likely."""
    sign = (2.0 * labels - 1.0)[:, None]
    scales = torch.logspace(-3, 3, 121)
    losses = torch.stack([F.softplus(-s * sign * evidence).mean() for s in scales])
    return float(scales[losses.argmin()])


@torch.no_grad()
def _rescale(graph: TEG, task: Task, scale: float) -> None:
    head = graph.head(key_of(task))
    head.out.weight.mul_(scale)
    head.out.bias.mul_(scale)


def _train(graph: TEG, material: Material, stops: Sequence[int], seed: int) -> Iterator[int]:
    """Train on demand: gives control back at each of ``stops`` steps."""
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(graph.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    if stops[0] == 0:
        yield 0
    for step in range(1, stops[-1] + 1):
        graph.train()
        losses = [_loss(graph, trials, task, rng) for task, trials in material.items()]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(graph.parameters(), 1.0)
        optimizer.step()
        if step in stops:
            yield step


def _loss(graph: TEG, trials: Trials, task: Task, rng: np.random.Generator) -> Tensor:
    """Loss of one task on a batch of its trials."""
    n_trials, n_views, n_tokens, n_electrodes = trials.states.shape[:4]
    at = torch.from_numpy(rng.integers(n_trials, size=BATCH))
    view = torch.from_numpy(rng.integers(n_views, size=BATCH))
    token = torch.from_numpy(rng.integers(n_tokens, size=BATCH))
    states = trials.states[at, view, token].float()
    # Boards have few electrodes: learn to do with some of them.
    keep = torch.from_numpy(rng.random((BATCH, n_electrodes)) >= rng.random((BATCH, 1)) / 2)
    ids = trials.electrode_ids.expand(BATCH, -1)
    out = graph(states, ids, trials.valid[at] & keep, key_of(task))
    target = trials.targets[at, view]
    if task.classes:
        return F.cross_entropy(out, target.long())
    return 0.5 * F.mse_loss(out[:, 0], target)
