"""The objective ``forecast``: squared errors on samples that the model has not seen.

Each horizon's error counts over that of the linear blend there, and horizons count by the
logarithm of time, since what can be learned lies early.  The widths of the intervals are learned
beside it, from features and errors that they do not shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from rtbci.models.config import ModelConfig
from rtbci.models.eegpt import EEGPT
from rtbci.models.intervals import LEVELS
from rtbci.models.pretrain.training.batches import Batch
from rtbci.models.pretrain.training.linear import LinearFloor
from rtbci.models.pretrain.training.objective import Losses, Objective
from rtbci.skill import BINS_MS, bin_edges

STEP_SHARE = 0.05
"""Weight of the step head's loss beside the direct head's 1."""
LEAST_ERROR = 0.1
"""Errors of the blend below this count as this: the low-passed signal's next sample is almost
certain (error 4e-5), and its weight would leave nothing for the horizons that can be learned."""
WIDTH_SHARE = 0.1
"""Weight of the widths' loss; nothing but the widths depends on it."""
LEAST_OFF = 1e-4
"""Absolute errors below this, in deviations, count as this when their logarithm is taken."""
EARLY_S = 0.05
"""Horizons count by 1 / (time + this): the last half second as much as the first 40 ms."""


def horizon_weights(floor: LinearFloor, rate_hz: float) -> Tensor:
    """What each horizon's squared error counts, shape (n_horizons,)."""
    time_s = torch.arange(1, len(floor.error) + 1) / rate_hz
    density = 1.0 / (time_s + EARLY_S)
    weight: Tensor = density / density.mean() / torch.from_numpy(floor.error).clamp(min=LEAST_ERROR)
    return weight


class Forecast(Objective):
    """Errors of the direct head at positions, and of the step head at every token.

    The figures are errors of the direct head as share of the linear blend's on the same examples:
    ``all`` weighted as the loss is, then by bin of horizons (:data:`rtbci.skill.BINS_MS`).
    """

    terms: ClassVar[Mapping[str, float]] = {
        "direct": 1.0,
        "step": STEP_SHARE,
        "width": WIDTH_SHARE,
    }
    figures: ClassVar[tuple[str, ...]] = ("all", *(f"{low}-{high} ms" for low, high in BINS_MS))
    weight: Tensor

    def __init__(self, config: ModelConfig, floor: LinearFloor) -> None:
        super().__init__()
        self.register_buffer("weight", horizon_weights(floor, config.rate_hz), persistent=False)
        self._edges = [int(e) for e in bin_edges(config.rate_hz, config.n_horizons)]

    def trains(self, parameter: str) -> bool:
        """Encoder, step head and direct head: summary and graph are none of its business."""
        return not parameter.startswith(("teg.", "graphs.", "summary", "mask"))

    def counts(self, batch: Batch) -> Tensor:
        """Weights of the forecasts, weights of the tokens, forecasts."""
        forecasts = batch.weight.double().sum()
        return torch.stack(
            [forecasts, batch.step_weight.double().sum(), (batch.weight > 0).double().sum()]
        )

    def forward(self, network: EEGPT, batch: Batch) -> Losses:
        """Encode once; forecast from the positions, and one hop from every token."""
        forecast, hops, log_width = predict(network, batch)
        error = _by_horizon(forecast, batch.target, batch.weight)
        n_hop = batch.step_target.shape[-1]
        hop_error = _by_horizon(hops, batch.step_target, batch.step_weight)
        width = _pinball(log_width, forecast.detach(), batch).sum() / error.numel()
        terms = torch.stack(
            [(error * self.weight).mean(), (hop_error * self.weight[:n_hop]).mean(), width]
        )
        with torch.no_grad():
            share = network.direct_head.blend
            blend = share * batch.linear[..., 0, :] + (1.0 - share) * batch.linear[..., 1, :]
            other = _by_horizon(blend, batch.target, batch.weight)
            figures = torch.stack([self._figures(error.detach()), self._figures(other)], dim=1)
        return Losses(terms, figures)

    def _figures(self, error: Tensor) -> Tensor:
        """Sum errors by horizon (n_horizons,) into the figures."""
        bins = [error[a:b].sum() for a, b in zip(self._edges, self._edges[1:], strict=False)]
        return torch.stack([(error * self.weight).mean(), *bins])


class Predictions(NamedTuple):
    """What the network says of a batch's inputs, float32, in deviations.

    Attributes
    ----------
    forecast : Tensor, shape (B, P, E, n_horizons)
        From the positions, all horizons at once.
    hops : Tensor, shape (B, E, T, n_hop)
        From every token, one hop.
    log_width : Tensor, shape (B, P, E, n_levels, n_horizons)
        Logarithm of the intervals' half widths; of no level where the network says none.
    """

    forecast: Tensor
    hops: Tensor
    log_width: Tensor


def predict(network: EEGPT, batch: Batch) -> Predictions:
    """Forecast from a batch's inputs."""
    states = network.encode(batch.windows, batch.electrode_ids, batch.start)
    head, linear = network.direct_head, batch.linear.flatten(0, 1)
    features = head.read(
        states[:, :, batch.at].transpose(1, 2).flatten(0, 1),
        batch.recent.flatten(0, 1),
        linear,
        batch.valid.flatten(0, 1),
    )
    forecast = head.forecast(features, linear).float().view_as(batch.target)
    width = forecast.new_zeros(*forecast.shape[:3], 0, forecast.shape[3])
    if head.width is not None:
        log_width = head.log_width(features.detach()).float()
        width = log_width.view(*forecast.shape[:3], *log_width.shape[2:])
    return Predictions(forecast, network.step_head.new(states).float(), width)


def _pinball(log_width: Tensor, forecast: Tensor, batch: Batch) -> Tensor:
    """Pinball loss of the half widths' logarithm; 0 where the forecast does not count.

    A quantile of the logarithm of the error is the logarithm of its quantile.
    """
    off = (forecast - batch.target).abs().clamp(min=LEAST_OFF).log()
    apart = off[:, :, :, None] - log_width
    level = apart.new_tensor(LEVELS[: apart.shape[3]])[:, None]
    loss = torch.maximum(level * apart, (level - 1.0) * apart)
    return loss * (batch.weight > 0)[..., None, None]


def _by_horizon(forecast: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted squared errors (..., n) summed over all but the horizons: (n,), float32."""
    off = (forecast - target).square() * weight[..., None]
    return off.flatten(0, -2).sum(dim=0)
