"""Small untrained networks and ticks for the tests of models."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rtbci.models.config import ModelConfig, preset
from rtbci.models.eegpt import EEGPT
from rtbci.models.ridge import LAYOUT
from rtbci.tick import Tick
from rtbci.types import BoolArray, FloatArray

# As the engine does: two threads on a busy machine wait for one another a hundred times longer.
torch.set_num_threads(1)

HANDS = ("left_hand", "right_hand")
ELECTRODES = ("C3", "Cz", "C4", "CP3", "AF7")
"""Four that the decode head may read, and one that it may not."""


def tiny(seed: int = 0, **changes: object) -> EEGPT:
    """Give a tiny network in evaluation mode whose zero-initialised head does something."""
    config: ModelConfig = preset("tiny", **changes)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = EEGPT(config)
        torch.nn.init.normal_(network.direct_head.out.weight, std=0.2)
    return network.eval()


def paper(seed: int = 0, **changes: object) -> EEGPT:
    """Give a tiny network of the paper's flavour, in evaluation mode, with a window of 8 tokens."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return EEGPT(preset("eegpt-paper-tiny", **changes)).eval()


def noise(seed: int, *shape: int) -> Tensor:
    """Draw standard normal values."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def ridge_weight(n_horizons: int = 250) -> Tensor:
    """Weight of a pooled ridge that was fitted on nothing."""
    return 0.05 * noise(0, LAYOUT.n_features, n_horizons)


def signal(seed: int, seconds: float, n_electrodes: int) -> FloatArray:
    """Coloured noise of some ten µV, shape (n_times, n_electrodes), 250 Hz."""
    white = np.random.default_rng(seed).standard_normal((round(250 * seconds), n_electrodes))
    out = np.empty_like(white)
    level = np.zeros(n_electrodes)
    for i, row in enumerate(white):
        level = 0.95 * level + row
        out[i] = level
    return (10.0 * out).astype(np.float32)


def ticks(x: FloatArray, good: BoolArray | None = None, memory: int = 15000) -> list[Tick]:
    """Cut a segment into the ticks that a pipeline makes of it, from the first full window on."""
    n = x.shape[1]
    made = []
    for index, stop in enumerate(range(250, len(x) + 1, 25)):
        history = x[max(0, stop - memory) : stop]
        mean = np.full(n, 1.0, np.float32)
        scale = np.full(n, 30.0, np.float32)
        mask = np.ones(n, np.bool_) if good is None else good
        made.append(Tick(index, index, history, mean, scale, mask))
    return made
