"""TEG, the task-shared electrode graph: what the user wants, from the states of the electrodes.

    state of electrode j (d) --project--> + learnable node embedding  = h_j
    K times:  h = h + elu(sum_n alpha_mn W norm(h)_n)                    (pre-norm, residual)
              alpha_mn = softmax_n( LeakyReLU( a . [W h_m || W h_n] ) )   over active electrodes
    mean over the active electrodes of gate_j * norm(h_j) --linear--> logits of the classes

The graph is fully connected over the electrodes that are present, good and among
``ModelConfig.teg_electrodes`` (Yue et al., arXiv 2410.19779, section 3.3; alpha as in their
eq. 9 and in Velickovic et al., arXiv 1710.10903).  The paper does not say how it pools or what
follows the sum: GAT's ELU is ours, and so is a gate for each node's features in the mean.  Without
it left and right are told apart by the attention alone, which a thousand trials did not teach it
(0.50 on left-out subjects).  Gates learned by gradient alone did no better; they hold the
closed-form start of :mod:`rtbci.models.pretrain.tasks.imagery` (0.71).  The encoder never mixes
electrodes, so what this head does not read can't reach it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from rtbci.models.attention import initialise
from rtbci.models.config import ModelConfig
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


class TEG(nn.Module):
    """The decode head (see the module's drawing)."""

    readable: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.node = nn.Embedding(config.vocabulary, config.dim)
        self.project = nn.Linear(config.dim, config.dim)
        self.layers = nn.ModuleList(GraphLayer(config.dim) for _ in range(config.teg_layers))
        self.norm = nn.RMSNorm(config.dim, eps=1e-6)
        self.gate = nn.Embedding(config.vocabulary, config.dim)
        self.out = nn.Linear(config.dim, len(config.classes))
        readable = torch.zeros(config.vocabulary, dtype=torch.bool)
        ids = [i for i in electrode_ids(config.teg_electrodes) if i < config.vocabulary]
        readable[ids] = True
        readable[GENERIC] = False
        self.register_buffer("readable", readable, persistent=False)
        initialise(self, config.teg_layers)
        nn.init.ones_(self.gate.weight)

    def active(self, electrode_ids: Tensor, valid: Tensor) -> Tensor:
        """Electrodes that this head reads: (B, E) int64 and (B, E) bool -> (B, E) bool."""
        return valid & self.readable[electrode_ids]

    def forward(self, states: Tensor, electrode_ids: Tensor, valid: Tensor) -> Tensor:
        """Logits of the classes.

        Parameters
        ----------
        states : Tensor, shape (B, E, d), float32
            Of the newest token, or the mean of the newest ``teg_tokens``.
        electrode_ids : Tensor, shape (B, E), int64
        valid : Tensor, shape (B, E), bool
            False for electrodes that are left out now.

        Returns
        -------
        logits : Tensor, shape (B, n_classes)
            Of the head's bias alone where no electrode is active.
        """
        active = self.active(electrode_ids, valid)
        h = self.project(states) + self.node(electrode_ids)
        for layer in self.layers:
            h = layer(h, active)
        weight = active.to(h.dtype)[..., None]
        read = self.gate(electrode_ids) * self.norm(h)
        pooled = (read * weight).sum(1) / weight.sum(1).clamp(min=1.0)
        logits: Tensor = self.out(pooled)
        return logits
