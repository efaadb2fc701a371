"""EEGNet and ShallowConvNet, small and strongly regularised, for a subject's few trials.

    EEGNet    temporal filters (0.5 s) -> for each, D spatial filters -> ELU, mean 32 ms
              -> separable filters (0.13 s) -> ELU, mean 64 ms -> dropout -> linear
    Shallow   temporal filters (0.1 s) -> spatial filters -> square -> mean 0.3 s -> log
              -> dropout -> linear

Both see 125 Hz and 6-40 Hz, no slower: below that the eyes give cues of a screen away.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from rtbci.calibration.decoders.training import NetworkClassifier, TrainConfig

TEMPORAL = 63
"""Samples of EEGNet's temporal filters, 0.5 s at 125 Hz."""


class EEGNet(nn.Module):
    """Lawhern et al. 2018 (doi:10.1088/1741-2552/aace8c), EEGNet-F1,D at 125 Hz.

    Spatial filters come before the temporal one that they share: both are linear, so it is the
    same network but for their first normalisation, and ten times as fast on one core.

    Parameters
    ----------
    n_channels, n_times, n_classes : int
    filters, depth : int
        Temporal filters, and spatial filters for each.
    drop : float
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_classes: int,
        filters: int = 4,
        depth: int = 2,
        drop: float = 0.5,
    ) -> None:
        super().__init__()
        n = filters * depth
        self.depth = depth
        self.spatial = nn.Conv1d(n_channels, n, 1, bias=False)
        self.temporal = nn.Parameter(torch.randn(filters, 1, TEMPORAL) / TEMPORAL**0.5)
        self.first = nn.Sequential(nn.BatchNorm1d(n), nn.ELU(), nn.AvgPool1d(4), nn.Dropout(drop))
        self.second = nn.Sequential(
            nn.Conv1d(n, n, 17, padding=8, groups=n, bias=False),
            nn.Conv1d(n, n, 1, bias=False),
            nn.BatchNorm1d(n),
            nn.ELU(),
            nn.AvgPool1d(8),
            nn.Dropout(drop),
        )
        self.out = nn.Linear(n * (n_times // 4 // 8), n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, n_channels, n_times) to logits (batch, n_classes)."""
        x = self.spatial(x)
        shared = self.temporal.repeat_interleave(self.depth, dim=0)
        x = self.first(F.conv1d(x, shared, padding=TEMPORAL // 2, groups=len(shared)))
        out: Tensor = self.out(self.second(x).flatten(1))
        return out

    def constrain(self) -> None:
        """Bound the norms of spatial filters (1) and of the last layer (0.25), as they do."""
        with torch.no_grad():
            for weight, bound in ((self.spatial.weight, 1.0), (self.out.weight, 0.25)):
                norm = weight.flatten(1).norm(dim=1).clamp(min=1e-12)
                factor = (bound / norm).clamp(max=1.0)
                weight.mul_(factor.view(-1, *[1] * (weight.ndim - 1)))


class ShallowConvNet(nn.Module):
    """Schirrmeister et al. 2017 (doi:10.1002/hbm.23730) with fewer filters, at 125 Hz.

    Parameters
    ----------
    n_channels, n_times, n_classes : int
    filters : int
        Temporal, and as many spatial ones (they have 40).
    drop : float
    """

    def __init__(
        self, n_channels: int, n_times: int, n_classes: int, filters: int = 16, drop: float = 0.5
    ) -> None:
        super().__init__()
        self.temporal = nn.Conv2d(1, filters, (1, 13))
        self.spatial = nn.Conv2d(filters, filters, (n_channels, 1), bias=False)
        self.norm = nn.BatchNorm2d(filters)
        self.pool = nn.AvgPool2d((1, 38), stride=(1, 8))
        self.drop = nn.Dropout(drop)
        self.out = nn.Linear(filters * ((n_times - 12 - 38) // 8 + 1), n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, n_channels, n_times) to logits (batch, n_classes)."""
        x = self.norm(self.spatial(self.temporal(x[:, None])))
        x = self.pool(x.square()).clamp(min=1e-6).log()
        out: Tensor = self.out(self.drop(x).flatten(1))
        return out


class EEGNetClassifier(NetworkClassifier):
    """EEGNet as an estimator."""

    def _build(self, n_channels: int, n_times: int, n_classes: int) -> nn.Module:
        return EEGNet(n_channels, n_times, n_classes)


class ShallowClassifier(NetworkClassifier):
    """ShallowConvNet as an estimator."""

    config = TrainConfig(learning_rate=1e-3)

    def _build(self, n_channels: int, n_times: int, n_classes: int) -> nn.Module:
        return ShallowConvNet(n_channels, n_times, n_classes)
