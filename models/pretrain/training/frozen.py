"""The objective ``heads``: forecast heads on an encoder that stands still, to compare encoders.

Encoders that were trained in different ways (``forecast``, ``step``, ``paper``, ``masked``) get the
same new heads, trained alike; what the forecasts differ by is what the encoders know.
"""

from __future__ import annotations

from pathlib import Path

from rtbci.errors import BadInputError
from rtbci.models.checkpoint import find_checkpoint, load_checkpoint
from rtbci.models.eegpt import EEGPT
from rtbci.models.pretrain.training.forecast import Forecast

ENCODER = ("token.", "electrode.", "layers.", "norm.")
"""Weights of the encoder, by the beginning of their names."""


class FrozenForecast(Forecast):
    """The objective ``forecast`` with nothing but the heads trained."""

    def trains(self, parameter: str) -> bool:
        """Direct head and step head."""
        return parameter.startswith(("direct_head.", "step_head."))


def take_encoder(network: EEGPT, name_or_path: str | Path) -> None:
    """Give a network the encoder of a checkpoint.

    Raises
    ------
    BadInputError
        Where there is no such checkpoint, or its encoder has other sizes or another signal chain.
    """
    other = load_checkpoint(find_checkpoint(name_or_path))
    names = ("rate_hz", "window_s", "hop_s", "context", "rotary_base", "condition", "preprocess")
    differing = [n for n in names if getattr(other.config, n) != getattr(network.config, n)]
    weights = {k: v for k, v in other.network.state_dict().items() if k.startswith(ENCODER)}
    own = {k: v for k, v in network.state_dict().items() if k.startswith(ENCODER)}
    if differing or {k: v.shape for k, v in weights.items()} != {
        k: v.shape for k, v in own.items()
    }:
        what = ", ".join(differing) or "the widths or the number of its layers"
        raise BadInputError(
            f"the encoder of {other.name} does not fit this network: it differs in {what}; choose "
            "the --size that it was trained with."
        )
    network.load_state_dict(weights, strict=False)
