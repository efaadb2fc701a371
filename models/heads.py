"""The two forecasting heads: the next hop (for rollouts), and the whole second at once.

    StepHead     state (d) --MLP--> the next hop, 25 samples (the paper's: the next window)

    DirectHead   state (d) || newest 200 ms (50) || AR and ridge forecasts (2 x 250)
                   --linear--> (d) --blocks of attention across electrodes--> MLP
                   --> a gain per 50 ms on each linear forecast, and a residual (250)
                 forecast = sum_k (blend_k + gain_k) * linear_k + residual
                   --> half widths of the central 50 % and 90 % interval (2 x 250)

Everything is in deviations of the electrode (frozen statistics, :mod:`rtbci.models.tokens`).  The
direct head's last layer starts at zero: untrained, it gives the linear blend exactly, which is
the honest baseline, and training can only pay for what it adds.  Widths are read from the same
features, which they do not shape (:mod:`rtbci.models.intervals` corrects them in a session).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from rtbci.errors import BadInputError
from rtbci.models.attention import Block, initialise
from rtbci.models.config import ModelConfig
from rtbci.models.intervals import LEVELS


class StepHead(nn.Module):
    """From a token's state to what comes next: the next hop, or the next token's whole window.

    ``ModelConfig.target`` says which; the new samples are the last hop of either.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(config.dim, config.ffn)
        self.n_hop = config.n_hop
        n_out = config.n_hop if config.target == "hop" else config.n_window
        self.out = nn.Linear(config.ffn, n_out)
        initialise(self, 1)

    def new(self, states: Tensor) -> Tensor:
        """Map states (..., d) to the samples after the token (..., n_hop), in deviations."""
        out: Tensor = self(states)[..., -self.n_hop :]
        return out

    def forward(self, states: Tensor) -> Tensor:
        """Map states (..., d) to all that is predicted (..., n_hop or n_window), in deviations."""
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
        self.width = nn.Linear(config.ffn, len(LEVELS) * bins) if config.intervals else None
        # Logarithm of the half width in deviations, at each horizon: set before training.
        usual = torch.full((len(LEVELS), n), 0.0) if config.intervals else None
        self.usual = None if usual is None else nn.Parameter(usual)
        # AR's share of the linear blend at each horizon; the rest is ridge's.  Fitted, not trained.
        self.register_buffer("blend", torch.full((n,), 0.5))
        self.register_buffer("stretch", torch.arange(n) * bins // n, persistent=False)
        initialise(self, max(1, config.cross_layers))
        nn.init.zeros_(self.out.weight)
        if self.width is not None:
            nn.init.zeros_(self.width.weight)

    def start_from(self, blend: Tensor, error: Tensor) -> None:
        """Begin with a linear blend and its errors.

        Parameters
        ----------
        blend : Tensor, shape (n_horizons,)
            AR's share of it.
        error : Tensor, shape (n_horizons,)
            Its mean squared error over the variance.
        """
        self.blend.copy_(blend)
        if self.usual is not None:
            normal = torch.tensor(LEVELS, dtype=torch.float64).add(1.0).div(2.0)
            widths = torch.special.ndtri(normal)[:, None] * error.double().sqrt()
            self.usual.data.copy_(widths.clamp(min=1e-4).log())

    def forward(self, states: Tensor, recent: Tensor, linear: Tensor, valid: Tensor) -> Tensor:
        """Forecast every electrode: :meth:`read`, then :meth:`forecast`; shapes as there."""
        return self.forecast(self.read(states, recent, linear, valid), linear)

    def read(self, states: Tensor, recent: Tensor, linear: Tensor, valid: Tensor) -> Tensor:
        """Gather what is known of every electrode.

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
        features : Tensor, shape (B, E, ffn)
            Worthless, but finite, where not valid.
        """
        x = self.join(torch.cat([states, recent, linear.flatten(2)], dim=-1)).to(states.dtype)
        itself = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
        mask = (valid[:, None, :] | itself)[:, None]
        for block in self.cross:
            x = block(x, mask)
        features: Tensor = F.silu(self.hidden(self.norm(x)))
        return features

    def forecast(self, features: Tensor, linear: Tensor) -> Tensor:
        """Forecast from features (B, E, ffn): (B, E, n_horizons), in deviations."""
        out = self.out(features)
        gain = out[..., : 2 * self.bins].unflatten(-1, (2, self.bins))[..., self.stretch]
        residual = out[..., 2 * self.bins :]
        start = torch.stack([self.blend, 1.0 - self.blend])
        forecast: Tensor = ((start + gain) * linear).sum(dim=-2) + residual
        return forecast

    def log_width(self, features: Tensor) -> Tensor:
        """Logarithm of the intervals' half widths, (B, E, n_levels, n_horizons), in deviations.

        Where the network says none (``ModelConfig.intervals``), :attr:`width` is None.
        """
        assert self.width is not None
        assert self.usual is not None
        bins = self.width(features).unflatten(-1, (len(LEVELS), self.bins))
        out: Tensor = self.usual + bins[..., self.stretch]
        return out


class NoDirectHead(DirectHead):
    """Stands where a network has no direct head: it holds no weights and forecasts nothing."""

    def __init__(self, config: ModelConfig) -> None:
        nn.Module.__init__(self)
        self.width = None
        self.register_buffer("blend", torch.full((config.n_horizons,), 0.5), persistent=False)

    def forward(self, *_: Tensor) -> Tensor:
        """Refuse.

        Raises
        ------
        BadInputError
        """
        raise BadInputError(
            "this network has no head for all horizons at once: its forecasts are rolled out "
            "(forecast = rollout), and it is trained with --objective paper, step or masked."
        )
