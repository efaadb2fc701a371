"""What ``rtbci models`` prints: the sizes of the network, and the weights that ship."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn

from rtbci.models.checkpoint import find_checkpoint, load_checkpoint, zoo_names
from rtbci.models.config import PAPER_NAME, PRESETS
from rtbci.models.eegpt import EEGPT

PAPER_PARAMETERS = {
    "base": 1_460_000,
    "large": 11_290_000,
    "huge": 183_800_000,
    "giant": 1_090_000_000,
}
"""As the paper states them (Yue et al., arXiv 2410.19779, table 2)."""

DIFFERENCES = (
    "The paper does not say what its counts hold.  Ours have more in the forecast heads (all "
    "horizons at once, attention across electrodes; not in eegpt-paper) and in the embeddings of "
    "electrodes (340 rows instead of 138), less in the graph (no feed-forward in its layers)."
)


@dataclass(frozen=True)
class SizeEntry:
    """A named size, with a graph that decodes two classes.

    Attributes
    ----------
    name : str
    layers, dim, heads, teg_layers : int
    encoder, forecast, graph : int
        Parameters of the encoder, of the forecast heads and of the electrode graph.
    parameters : int
        All of them.
    paper_parameters : int | None
        What the paper states for this size; None where it has no such size.
    """

    name: str
    layers: int
    dim: int
    heads: int
    teg_layers: int
    encoder: int
    forecast: int
    graph: int
    parameters: int
    paper_parameters: int | None


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
            network = EEGPT(replace(config, classes=("left_hand", "right_hand")))
        total = _count(network)
        forecast = _count(network.step_head) + _count(network.direct_head)
        graph = _count(network.teg)
        size = name.removeprefix(PAPER_NAME).removeprefix("-") or "base"
        made.append(
            SizeEntry(
                name=name,
                layers=config.layers,
                dim=config.dim,
                heads=config.heads,
                teg_layers=config.teg_layers,
                encoder=total - forecast - graph,
                forecast=forecast,
                graph=graph,
                parameters=total,
                paper_parameters=PAPER_PARAMETERS.get(size),
            )
        )
    return made


def list_weights() -> list[WeightsEntry]:
    """Weights that ship with rtbci."""
    made = []
    for name in zoo_names():
        checkpoint = load_checkpoint(find_checkpoint(name))
        count = _count(checkpoint.network)
        made.append(WeightsEntry(name, checkpoint.identity, count, checkpoint.config.classes))
    return made


def _count(module: nn.Module | None) -> int:
    return 0 if module is None else sum(p.numel() for p in module.parameters())
