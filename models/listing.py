"""What ``rtbci models`` prints: the sizes of the network, and the weights that ship."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rtbci.models.checkpoint import find_checkpoint, load_checkpoint, zoo_names
from rtbci.models.config import PRESETS
from rtbci.models.eegpt import EEGPT


@dataclass(frozen=True)
class SizeEntry:
    """A named size."""

    name: str
    layers: int
    dim: int
    heads: int
    parameters: int


@dataclass(frozen=True)
class WeightsEntry:
    """Weights at hand."""

    name: str
    hash: str
    parameters: int
    classes: tuple[str, ...]


def list_sizes() -> list[SizeEntry]:
    """All named sizes with their parameter counts."""
    made = []
    for name, config in PRESETS.items():
        with torch.device("meta"):  # counts without allocating: giant would be 4 GB
            network = EEGPT(config)
        count = sum(p.numel() for p in network.parameters())
        made.append(SizeEntry(name, config.layers, config.dim, config.heads, count))
    return made


def list_weights() -> list[WeightsEntry]:
    """Weights that ship with rtbci."""
    made = []
    for name in zoo_names():
        checkpoint = load_checkpoint(find_checkpoint(name))
        count = sum(p.numel() for p in checkpoint.network.parameters())
        made.append(WeightsEntry(name, checkpoint.identity, count, checkpoint.config.classes))
    return made
