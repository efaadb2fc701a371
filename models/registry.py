"""Which model a session runs: by name, by path, or the default with its fallback.

``ar`` is AR by Burg alone.  Anything else is a checkpoint: a name in the zoo, a file, or a
folder that ``rtbci pretrain`` wrote.  Without a choice it is the shipped default, or AR where
the weights know none of the electrodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.models.ar_model import ARModel
from rtbci.models.checkpoint import DEFAULT, find_checkpoint, load_checkpoint
from rtbci.models.config import check_session
from rtbci.models.electrodes import placeless
from rtbci.models.streaming import EEGPTModel
from rtbci.tick import Model

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run.

    Attributes
    ----------
    model : Model
    note : str
        Why it is another one than the default, or which electrodes it can't place; empty
        otherwise.
    """

    model: Model
    note: str = ""


def load_model(
    name: str | None, electrodes: Sequence[str], config: SessionConfig, device: Device = "auto"
) -> LoadedModel:
    """Load a model for these electrodes.

    Raises
    ------
    BadInputError
        Where the name or path is unknown, the file is damaged, the weights were trained with
        another preprocessing, or none of the electrodes is in their vocabulary.
    """
    place = _device(device)
    if name == "ar":
        return LoadedModel(_ar(electrodes, config))
    if len(placeless(electrodes)) == len(electrodes):
        why = f"none of the electrodes ({', '.join(electrodes[:4])}, ...) has a standard name"
        if name is not None:
            raise BadInputError(
                f"{name} can't place these signals: {why}; name them with --montage, or use "
                "--model ar."
            )
        return LoadedModel(_ar(electrodes, config), f"AR forecasts alone: {why}.")
    checkpoint = load_checkpoint(find_checkpoint(name or DEFAULT))
    check_session(checkpoint.config, config.preprocess, config.token)
    model = EEGPTModel(checkpoint, electrodes, device=place, published=config.forecast)
    return LoadedModel(model, _unplaced(placeless(electrodes)))


def _unplaced(names: Sequence[str]) -> str:
    """Say which electrodes the network can't place, and what that means."""
    if not names:
        return ""
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    what = "1 electrode has" if len(names) == 1 else f"{len(names)} electrodes have"
    return (
        f"{what} no place on the head by name ({shown}): forecasts by AR, not decoded; "
        "name them with --montage."
    )


def _ar(electrodes: Sequence[str], config: SessionConfig) -> ARModel:
    return ARModel(electrodes, rate_hz=config.preprocess.rate_hz)


def _device(device: Device) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise BadInputError("--device cuda: PyTorch finds no CUDA device here; use --device cpu.")
    return device
