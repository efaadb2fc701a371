"""The objectives that stage I can have, by name (``rtbci pretrain --objective``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rtbci.errors import BadInputError
from rtbci.models.config import ModelConfig
from rtbci.models.pretrain.training.forecast import Forecast
from rtbci.models.pretrain.training.frozen import FrozenForecast
from rtbci.models.pretrain.training.linear import LinearFloor
from rtbci.models.pretrain.training.masked import Masked
from rtbci.models.pretrain.training.objective import Objective
from rtbci.models.pretrain.training.paper import NextToken

OBJECTIVES: dict[str, Callable[[ModelConfig, LinearFloor], Objective]] = {
    "forecast": Forecast,
    "heads": FrozenForecast,
    "step": NextToken,
    "paper": NextToken,
    "masked": Masked,
}

NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "step": {"target": "hop"},
    "paper": {"target": "window"},
    "masked": {"target": "window", "masked": True, "summary": False},
}
"""What an objective needs the network to be, whatever its size says."""


def shaped_for(name: str, config: ModelConfig) -> ModelConfig:
    """Give the settings of the network that this objective trains.

    Raises
    ------
    BadInputError
        Where the objective does not exist or does not fit the size.
    """
    check_objective(name)
    if name in ("forecast", "heads") and not config.direct:
        raise BadInputError(
            f"the objective {name} trains the head for all horizons at once, which this size does "
            "not have; choose --objective paper, step or masked, or another --size."
        )
    return replace(config, **NETWORKS.get(name, {}))


def make_objective(name: str, config: ModelConfig, floor: LinearFloor) -> Objective:
    """Make an objective for a network of these settings on this floor.

    Raises
    ------
    BadInputError
        On a name that is none, listing those that are.
    """
    check_objective(name)
    return OBJECTIVES[name](config, floor)


def check_objective(name: str) -> None:
    """Refuse a name that is none; see :func:`make_objective`."""
    if name not in OBJECTIVES:
        raise BadInputError(
            f"there is no objective {name!r}; choose one of {', '.join(OBJECTIVES)}."
        )
