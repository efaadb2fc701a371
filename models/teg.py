"""TEG, the task-shared electrode graph: what the user wants, from the states of the electrodes.

    state of electrode j (d) --project--> + learnable node embedding  = h_j
    K times:  h = h + elu(sum_n alpha_mn W norm(h)_n)                    (pre-norm, residual)
              alpha_mn = softmax_n( LeakyReLU( a . [W h_m || W h_n] ) )   over active electrodes
    for each task: mean over the active electrodes of gate_j * norm(h_j) --linear--> its outputs

The graph is fully connected over the electrodes that are present, good and among those that the
task may read, ``ModelConfig.teg_electrodes`` for the decode (Yue et al., arXiv 2410.19779, section
3.3; alpha as in their eq. 9 and in Velickovic et al., arXiv 1710.10903).  Its weights are shared by
all tasks; gates and output are each task's own.  The paper does not say how it pools or what
follows the sum: GAT's ELU is ours, and so is a gate for each node's features in the mean.  Without
it left and right are told apart by the attention alone, which a thousand trials did not teach it
(0.50 on left-out subjects).  Gates learned by gradient alone did no better; they hold the
closed-form start of :mod:`rtbci.models.pretrain.tasks.imagery` (0.71).  The encoder never mixes
electrodes, so what this head does not read can't reach it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from rtbci.models.attention import initialise
from rtbci.models.config import ModelConfig, TaskConfig
from rtbci.models.electrodes import GENERIC, electrode_ids


class GraphLayer(nn.Module):
    """One layer of additive graph attention over a fully connected graph."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(dim, eps=1e-6)
        self.weight = nn.Linear(dim, dim, bias=False)
        self.score = nn.Linear(dim, 2, bias=False)

    def forward(self, h: Tensor, active: Tensor) -> Tensor:
        """Mix nodes: h (B, E, d), active (B, E) bool -> (B, E, d)."""
        wh = self.weight(self.norm(h))
        # a . [W h_m || W h_n] splits into a part of m and a part of n.
        of_m, of_n = self.score(wh).unbind(-1)
        score = F.leaky_relu(of_m[:, :, None] + of_n[:, None, :], 0.2)
        # A node always sees itself, so that no row is empty: a softmax of nothing is NaN.
        itself = torch.eye(h.shape[1], dtype=torch.bool, device=h.device)
        seen = active[:, None, :] | itself
        alpha = score.masked_fill(~seen, float("-inf")).softmax(dim=-1)
        return h + F.elu(alpha @ wh)


class TaskHead(nn.Module):
    """What one task makes of the graph's nodes: gates, the mean over its electrodes, an output.

    Parameters
    ----------
    config : ModelConfig
    electrodes : sequence of str
        That it may read.
    n_outputs : int
    """

    readable: Tensor

    def __init__(self, config: ModelConfig, electrodes: Sequence[str], n_outputs: int) -> None:
        super().__init__()
        self.gate = nn.Embedding(config.vocabulary, config.dim)
        self.out = nn.Linear(config.dim, n_outputs)
        self.register_buffer("readable", _rows(config, electrodes), persistent=False)


class TEG(nn.Module):
    """The graph, the decode head on it, and further tasks' heads (see the module's drawing).

    Parameters
    ----------
    config : ModelConfig
    tasks : sequence of TaskConfig
        Tasks that share the graph with the decode of ``config.classes``.
    """

    readable: Tensor

    def __init__(self, config: ModelConfig, tasks: Sequence[TaskConfig] = ()) -> None:
        super().__init__()
        self.node = nn.Embedding(config.vocabulary, config.dim)
        self.project = nn.Linear(config.dim, config.dim)
        self.layers = nn.ModuleList(GraphLayer(config.dim) for _ in range(config.teg_layers))
        self.norm = nn.RMSNorm(config.dim, eps=1e-6)
        if config.classes:
            self.gate = nn.Embedding(config.vocabulary, config.dim)
            self.out = nn.Linear(config.dim, len(config.classes))
        readable = _rows(config, config.teg_electrodes)
        self.register_buffer("readable", readable, persistent=False)
        self.tasks = nn.ModuleDict(
            {t.name: TaskHead(config, t.electrodes or config.nodes, t.n_outputs) for t in tasks}
        )
        initialise(self, config.teg_layers)
        for head in (*((self,) if config.classes else ()), *self.tasks.values()):
            nn.init.ones_(head.gate.weight)

    def head(self, task: str = "") -> TEG | TaskHead:
        """Give the gates, output and readable electrodes of a task; the decode's where empty."""
        return cast(TaskHead, self.tasks[task]) if task else self

    def active(self, electrode_ids: Tensor, valid: Tensor, task: str = "") -> Tensor:
        """Electrodes that a head reads: (B, E) int64 and (B, E) bool -> (B, E) bool."""
        return valid & self.head(task).readable[electrode_ids]

    def forward(
        self, states: Tensor, electrode_ids: Tensor, valid: Tensor, task: str = ""
    ) -> Tensor:
        """Logits of the classes, or a task's outputs.

        Parameters
        ----------
        states : Tensor, shape (B, E, d), float32
            Of the newest token, or the mean of the newest ``teg_tokens``.
        electrode_ids : Tensor, shape (B, E), int64
        valid : Tensor, shape (B, E), bool
            False for electrodes that are left out now.
        task : str
            Name of a task; the decode where empty.

        Returns
        -------
        outputs : Tensor, shape (B, n_outputs)
            Of the head's bias alone where no electrode is active.
        """
        active = self.active(electrode_ids, valid, task)
        h = self.project(states) + self.node(electrode_ids)
        for layer in self.layers:
            h = layer(h, active)
        weight = active.to(h.dtype)[..., None]
        head = self.head(task)
        read = head.gate(electrode_ids) * self.norm(h)
        pooled = (read * weight).sum(1) / weight.sum(1).clamp(min=1.0)
        outputs: Tensor = head.out(pooled)
        return outputs


def _rows(config: ModelConfig, electrodes: Sequence[str]) -> Tensor:
    """Which rows of the vocabulary are among these electrodes (all where none) and the nodes."""
    rows = torch.ones(config.vocabulary, dtype=torch.bool)
    for chosen in (electrodes, config.nodes):
        if chosen:
            own = torch.zeros_like(rows)
            own[[i for i in electrode_ids(chosen) if i < config.vocabulary]] = True
            rows &= own
    rows[GENERIC] = False
    return rows
