"""What an objective of stage I is: errors to make small, as sums that add up.

A step's examples may lie on several processes, or come one portion after the other.  Its loss is
the same however they are spread, because an objective gives sums, and says beforehand, from the
batch alone, what they are divided by: ``loss = sum_k share_k * sum_k / count_k``, sums and counts
taken over all portions.  :mod:`rtbci.models.pretrain.training.registry` lists the objectives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from rtbci.models.eegpt import EEGPT
from rtbci.models.pretrain.training.batches import Batch


class Losses(NamedTuple):
    """What came of a batch.

    Attributes
    ----------
    terms : Tensor, shape (n_terms,), float32
        Weighted sums of errors, in the order of :attr:`Objective.terms`.
    figures : Tensor, shape (n_figures, 2), float32
        For people, without gradient: error, and the error of what it is compared with, in the
        order of :attr:`Objective.figures`.
    """

    terms: Tensor
    figures: Tensor


class Objective(nn.Module, ABC):
    """One way of training the network.

    A module, so that what it needs beside the network goes where the network goes: buffers, and
    parameters that are trained with it and end with the training.  What is random in it comes from
    torch's global generator, which is seeded anew for every portion of every step.

    Attributes
    ----------
    terms : mapping of str to float
        Share of each term's mean in the loss.
    figures : tuple of str
        What is shown and logged; the first sums the training up, below 1 is better than what it
        is compared with.
    """

    terms: ClassVar[Mapping[str, float]]
    figures: ClassVar[tuple[str, ...]]

    @abstractmethod
    def trains(self, parameter: str) -> bool:
        """Whether a parameter of the network, by its name, is trained."""

    @abstractmethod
    def counts(self, batch: Batch) -> Tensor:
        """What the terms' sums are divided by, shape (n_terms,), float64: summed over portions."""

    @abstractmethod
    def forward(self, network: EEGPT, batch: Batch) -> Losses:
        """Run the network on a batch.

        NB: under bfloat16 autocast; errors and what follows from them are to be float32.
        """
