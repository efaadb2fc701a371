"""The objectives ``paper`` and ``step``: what comes next, from every token.

``paper`` is that of Yue et al. (arXiv 2410.19779, section 3.2): the next token's whole window, mean
squared error.  Most of that window lies within the token that predicts it, so copying the overlap
and writing the mean for the rest already scores 0.125 of the variance.  The error on the new
samples is therefore shown first.  ``step`` is the counterpart: the new samples are all that is
asked for.  Which of the two it is, ``ModelConfig.target`` says.

A network with a summary token lets it forecast the same from behind some of the tokens: that is how
it learns to sum up, since nothing else reads it before stage II.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from rtbci.models.config import ModelConfig
from rtbci.models.eegpt import EEGPT
from rtbci.models.pretrain.training.batches import Batch
from rtbci.models.pretrain.training.linear import LinearFloor
from rtbci.models.pretrain.training.objective import Losses, Objective

SUMMARY_SHARE = 0.1
"""Weight of the summary tokens' loss beside the tokens' 1."""


class NextToken(Objective):
    """Squared errors of the step head at every valid token, each sample and token counting alike.

    The figures are errors as share of predict-the-mean's: on ``new`` samples, and on ``all`` that
    are predicted.
    """

    terms: ClassVar[Mapping[str, float]] = {"tokens": 1.0, "summaries": SUMMARY_SHARE}
    figures: ClassVar[tuple[str, ...]] = ("new", "all")

    def __init__(self, config: ModelConfig, floor: LinearFloor) -> None:
        del floor  # nothing stands on it
        super().__init__()
        self._summaries = config.summary

    def trains(self, parameter: str) -> bool:
        """Encoder, summary token and step head."""
        return not parameter.startswith(("teg.", "graphs.", "direct_head."))

    def counts(self, batch: Batch) -> Tensor:
        """Valid tokens, and those with a summary behind them."""
        valid = batch.step_weight > 0
        return torch.stack([valid.sum(), valid[:, :, batch.at].sum()]).double()

    def forward(self, network: EEGPT, batch: Batch) -> Losses:
        """Encode once; forecast from every token and every summary."""
        nowhere = batch.at[:0]
        states, summaries = network.encode_both(
            batch.windows,
            batch.electrode_ids,
            batch.at if self._summaries else nowhere,
            batch.start,
        )
        counted = (batch.step_weight > 0).float()
        target = self.target(network.config, batch)
        predicted = network.step_head(states).float()
        error = _by_sample(predicted - target, counted)
        summed = error.new_zeros(())
        if self._summaries:
            off = network.step_head(summaries).float() - target[:, :, batch.at]
            summed = _by_sample(off, counted[:, :, batch.at]).mean()
        n_hop = network.config.n_hop
        with torch.no_grad():
            size = _by_sample(target, counted)
            both = torch.stack([error.detach(), size])
            figures = torch.stack([both[:, -n_hop:].mean(dim=1), both.mean(dim=1)])
        return Losses(torch.stack([error.mean(), summed]), figures)

    @staticmethod
    def target(config: ModelConfig, batch: Batch) -> Tensor:
        """Give what follows every token, (B, E, T, n_hop or n_window), in its deviations."""
        if config.target == "hop":
            return batch.step_target
        return torch.cat([batch.windows[..., config.n_hop :], batch.step_target], dim=-1)


def _by_sample(off: Tensor, counted: Tensor) -> Tensor:
    """Squares of ``off`` (..., n) summed over the tokens that count: (n,)."""
    return (off.square() * counted[..., None]).flatten(0, -2).sum(dim=0)
