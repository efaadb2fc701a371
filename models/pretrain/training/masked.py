"""The objective ``masked``: hidden windows from those around them, for comparison.

The paper (Yue et al., arXiv 2410.19779) sets its autoregression against masked pretraining (MAE;
He et al., arXiv 2111.06377).  Here it is the same network and the same head: windows are hidden
behind a learned mask token, every token sees the whole sequence, past and future, and the hidden
windows are to be given back.  The mask token takes the summary token's place, so that both ways
train equally many weights; a graph reads the newest state.  Afterwards the network runs causally
like any other: live there is no future to look at.

Neighbouring windows share most of their samples, so a token that is hidden alone could be copied
from its neighbours.  Whole stretches are hidden, and the error is shown on the samples that no
visible window holds.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from rtbci.models.config import ModelConfig
from rtbci.models.eegpt import EEGPT
from rtbci.models.pretrain.training.batches import Batch
from rtbci.models.pretrain.training.linear import LinearFloor
from rtbci.models.pretrain.training.objective import Losses, Objective


@dataclass(frozen=True)
class Masking:
    """What is hidden.

    Attributes
    ----------
    share : float
        Of the stretches that each electrode's sequence is cut into.
    windows : int
        Length of a stretch, in windows.
    """

    share: float = 0.5
    windows: int = 2


class Masked(Objective):
    """Squared errors on hidden windows, each sample and token counting alike.

    The figures are errors as share of predict-the-mean's: on ``hidden`` samples, which no visible
    window holds, and on ``all`` of the hidden windows.
    """

    terms: ClassVar[Mapping[str, float]] = {"tokens": 1.0}
    figures: ClassVar[tuple[str, ...]] = ("hidden", "all")

    def __init__(
        self, config: ModelConfig, floor: LinearFloor, masking: Masking | None = None
    ) -> None:
        del floor  # nothing stands on it
        super().__init__()
        self._masking = masking or Masking()
        self._hops = config.n_window // config.n_hop

    def trains(self, parameter: str) -> bool:
        """Encoder, mask token and step head."""
        return not parameter.startswith(("teg.", "graphs.", "direct_head."))

    def counts(self, batch: Batch) -> Tensor:
        """Hidden tokens."""
        return self.hidden(batch).sum().double()[None]

    def hidden(self, batch: Batch) -> Tensor:
        """Which tokens are hidden, (B, E, T) bool, by the origin of each sequence."""
        _, n_electrodes, n_tokens = batch.step_weight.shape
        length = self._masking.windows * self._hops
        rows = []
        for origin in batch.origin.split(", "):
            rng = np.random.default_rng(zlib.crc32(origin.encode()))
            # Row by row, so that electrodes which fill a batch up change nothing.
            drawn = rng.random((n_electrodes, 1 + n_tokens // length + 2))
            offset = (drawn[:, :1] * length).astype(np.int64)
            stretch = (np.arange(n_tokens) + offset) // length
            rows.append(np.take_along_axis(drawn[:, 1:], stretch, axis=1) < self._masking.share)
        chosen = torch.from_numpy(np.stack(rows)).to(batch.step_weight.device)
        return chosen & (batch.step_weight > 0)

    def forward(self, network: EEGPT, batch: Batch) -> Losses:
        """Hide, encode in both directions, give back."""
        if network.mask is None:
            raise ValueError("the network has no mask token: its config must be masked")
        hidden = self.hidden(batch)
        there = torch.arange(hidden.shape[-1], device=hidden.device) >= batch.start[..., None]
        ids = batch.electrode_ids
        shown = batch.windows.masked_fill(hidden[..., None], 0.0)
        x = network.embed(shown, ids[..., None].expand(hidden.shape))
        x = (x + hidden[..., None] * network.mask).flatten(0, 1)
        itself = torch.eye(hidden.shape[-1], dtype=torch.bool, device=hidden.device)
        mask = (there.flatten(0, 1)[:, None, :] | itself)[:, None]
        positions = torch.arange(hidden.shape[-1], device=hidden.device)
        states = network.through(x, ids.flatten(), mask, positions).view(*hidden.shape, -1)
        off = (network.step_head(states).float() - batch.windows).square()
        counted = hidden.float()
        error = (off.mean(dim=-1) * counted).sum()
        with torch.no_grad():
            unseen = self._unseen(there & ~hidden, batch.windows.shape[-1]) & hidden[..., None]
            size = batch.windows.square()
            figures = torch.stack(
                [
                    torch.stack([(x * unseen).sum() for x in (off, size)]),
                    torch.stack([(x.mean(dim=-1) * counted).sum() for x in (off, size)]),
                ]
            )
        return Losses(error[None], figures)

    def _unseen(self, visible: Tensor, n_window: int) -> Tensor:
        """Which samples of every token's window no visible window holds, (B, E, T, n_window)."""
        n_batch, n_electrodes, n_tokens = visible.shape
        around = F.pad(visible.float(), (self._hops - 1, self._hops - 1))
        held = F.max_pool1d(around.flatten(0, 1)[:, None], self._hops, stride=1)[:, 0] > 0
        hops = held.unfold(-1, self._hops, 1).reshape(n_batch, n_electrodes, n_tokens, -1)
        return ~hops.repeat_interleave(n_window // self._hops, dim=-1)
