"""The two forecasting heads: the next hop (for rollouts), and the whole second at once.

    StepHead     state (d) --MLP--> the next hop, 25 samples

    DirectHead   state (d) || newest 200 ms (50) || AR and ridge forecasts (2 x 250)
                   --linear--> (d) --blocks of attention across electrodes--> MLP
                   --> a gain per 50 ms on each linear forecast, and a residual (250)
                 forecast = sum_k (blend_k + gain_k) * linear_k + residual

Everything is in deviations of the electrode (frozen statistics, :mod:`rtbci.models.tokens`).  The
direct head's last layer starts at zero: untrained, it gives the linear blend exactly, which is
the honest baseline, and training can only pay for what it adds.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from rtbci.models.attention import Block, initialise
from rtbci.models.config import ModelConfig


class StepHead(nn.Module):
    """From a token's state to the samples of the next hop."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(config.dim, config.ffn)
        self.out = nn.Linear(config.ffn, config.n_hop)
        initialise(self, 1)

    def forward(self, states: Tensor) -> Tensor:
        """Map states (..., d) to the next samples (..., n_hop), in deviations."""
        out: Tensor = self.out(F.silu(self.hidden(states)))
        return out


class DirectHead(nn.Module):
    """All horizons in one pass, on top of the linear forecasts (see the module's drawing)."""

    blend: Tensor
    stretch: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        n, bins = config.n_horizons, config.gain_bins
        self.bins = bins
        self.join = nn.Linear(config.dim + config.recent + 2 * n, config.dim)
        self.cross = nn.ModuleList(
            Block(config.dim, config.heads, config.ffn) for _ in range(config.cross_layers)
        )
        self.norm = nn.RMSNorm(config.dim, eps=1e-6)
        self.hidden = nn.Linear(config.dim, config.ffn)
        self.out = nn.Linear(config.ffn, 2 * bins + n)
        # AR's share of the linear blend at each horizon; the rest is ridge's.  Fitted, not trained.
        self.register_buffer("blend", torch.full((n,), 0.5))
        self.register_buffer("stretch", torch.arange(n) * bins // n, persistent=False)
        initialise(self, max(1, config.cross_layers))
        nn.init.zeros_(self.out.weight)

    def forward(self, states: Tensor, recent: Tensor, linear: Tensor, valid: Tensor) -> Tensor:
        """Forecast every electrode.

        Parameters
        ----------
        states : Tensor, shape (B, E, d)
            Of the newest token.
        recent : Tensor, shape (B, E, n_recent)
            Newest samples, in deviations.
        linear : Tensor, shape (B, E, 2, n_horizons)
            AR's and the pooled ridge's forecasts, in deviations, bounded and finite.
        valid : Tensor, shape (B, E), bool
            False for electrodes that are left out: nobody attends to them.

        Returns
        -------
        forecast : Tensor, shape (B, E, n_horizons), in deviations
            Worthless, but finite, where not valid.
        """
        x = self.join(torch.cat([states, recent, linear.flatten(2)], dim=-1))
        itself = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
        mask = (valid[:, None, :] | itself)[:, None]
        for block in self.cross:
            x = block(x, mask)
        out = self.out(F.silu(self.hidden(self.norm(x))))
        gain = out[..., : 2 * self.bins].unflatten(-1, (2, self.bins))[..., self.stretch]
        residual = out[..., 2 * self.bins :]
        start = torch.stack([self.blend, 1.0 - self.blend])
        forecast: Tensor = ((start + gain) * linear).sum(dim=-2) + residual
        return forecast
