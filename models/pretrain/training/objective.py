"""What stage I minimises: squared errors on samples that the model has not seen.

Each horizon's error counts over that of the linear blend there, and horizons count by the
logarithm of time, since what can be learned lies early.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rtbci.models.eegpt import EEGPT
from rtbci.models.pretrain.training.batches import Batch
from rtbci.models.pretrain.training.linear import LinearFloor

STEP_SHARE = 0.05
"""Weight of the step head's loss beside the direct head's 1."""
LEAST_ERROR = 0.1
"""Errors of the blend below this count as this: the low-passed signal's next sample is almost
certain (error 4e-5), and its weight would leave nothing for the horizons that can be learned."""
EARLY_S = 0.05
"""Horizons count by 1 / (time + this): the last half second as much as the first 40 ms."""


def horizon_weights(floor: LinearFloor, rate_hz: float) -> Tensor:
    """What each horizon's squared error counts, shape (n_horizons,)."""
    time_s = torch.arange(1, len(floor.error) + 1) / rate_hz
    density = 1.0 / (time_s + EARLY_S)
    weight: Tensor = density / density.mean() / torch.from_numpy(floor.error).clamp(min=LEAST_ERROR)
    return weight


def losses(network: EEGPT, batch: Batch, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted errors of the direct head and of the step head.

    Parameters
    ----------
    network : EEGPT
    batch : Batch
    weight : Tensor, shape (n_horizons,)
        Of :func:`horizon_weights`.

    Returns
    -------
    direct, step : Tensor, scalars
    """
    states = network.encode(batch.windows, batch.electrode_ids, batch.start)
    at_positions = states[:, :, batch.at].transpose(1, 2).flatten(0, 1)
    forecast = network.direct_head(
        at_positions,
        batch.recent.flatten(0, 1),
        batch.linear.flatten(0, 1),
        batch.valid.flatten(0, 1),
    )
    off = (forecast - batch.target.flatten(0, 1)).square() * weight
    direct = _mean(off, batch.weight.flatten(0, 1))
    n_hop = batch.step_target.shape[-1]
    ahead = (network.step_head(states) - batch.step_target).square() * weight[:n_hop]
    return direct, _mean(ahead, batch.step_weight)


@torch.no_grad()
def blend_loss(network: EEGPT, batch: Batch, weight: Tensor) -> Tensor:
    """Weighted error of the linear blend, as :func:`losses` weights the direct head's."""
    share = network.direct_head.blend
    blend = share * batch.linear[..., 0, :] + (1.0 - share) * batch.linear[..., 1, :]
    return _mean((blend - batch.target).square() * weight, batch.weight)


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Mean over the last dimension, then by these weights; 0 where all of them are."""
    return (values.mean(dim=-1) * counts).sum() / counts.sum().clamp(min=1e-6)
