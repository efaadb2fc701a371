"""The foundation model as a decoder: what its encoder makes of a window, and a head on top.

    window (E, 500) in µV, 6-45 Hz
      --its own mean and deviation--> tokens of 1 s, one every 0.1 s  (E, 11, 250)
      --EEGPT encoder, causal, state begins with the window--> states (E, 11, d)
      --over tokens: deviation of each electrode's state (E * d),
                     mean state through the electrode graph (d)
        beside them: log deviation of each electrode in µV (E), which the tokens have lost
      --> RidgeHead, closed form

Tokens, mask and positions are those of the stream (:mod:`rtbci.models.eegpt`), a window at a
time: the decoder in use sees just what the evaluation saw.  Two seconds hold fewer tokens than
the network's context, so nothing that the window holds is cut.  An electrode's state follows the
phase of its rhythms, which is not locked to the window: its deviation over the tokens says more
than its mean.

The weights are not stored with a decoder, only their hash; they are loaded from the zoo.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline, make_pipeline
from torch import Tensor

from rtbci.calibration.decoders.closed_form import RidgeHead
from rtbci.calibration.decoders.training import one_thread
from rtbci.errors import BadInputError
from rtbci.models.checkpoint import DEFAULT as DEFAULT
from rtbci.models.checkpoint import Checkpoint
from rtbci.models.config import ModelConfig
from rtbci.models.eegpt import EEGPT
from rtbci.models.electrodes import electrode_ids
from rtbci.models.seen import base as base
from rtbci.models.teg import TEG
from rtbci.models.tokens import CLIP
from rtbci.types import FloatArray

MIN_SCALE_UV = 0.1
REMEMBERED = 2048
"""Windows whose features are kept: folds of a cross-validation ask for the same ones again."""


def same_base(name: str, identity: str) -> Checkpoint:
    """Weights by name, which must be the ones that a decoder was fitted on.

    Raises
    ------
    BadInputError
        Where they are others.
    """
    found = base(name)
    if found.identity != identity:
        raise BadInputError(
            f"this decoder stands on weights {name} with hash {identity[:12]}, but {name} here "
            f"has hash {found.identity[:12]}; install the version of rtbci that it was calibrated "
            "with, or calibrate again."
        )
    return found


def window_tokens(x: Tensor, config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Cut windows into tokens in their own deviations.

    Parameters
    ----------
    x : Tensor, shape (..., n_times), float32, µV

    Returns
    -------
    tokens : Tensor, shape (..., n_tokens, n_window)
        The last one ends with the window; one, with a front of zeros, where it is shorter.
    scale : Tensor, shape (...), µV
        Standard deviation over the window.
    """
    scale = x.std(dim=-1, correction=0).clamp(min=MIN_SCALE_UV)
    z = ((x - x.mean(dim=-1, keepdim=True)) / scale[..., None]).clamp(-CLIP, CLIP)
    n_times, n_window = z.shape[-1], config.n_window
    if n_times < n_window:
        return F.pad(z, (n_window - n_times, 0))[..., None, :], scale
    z = z[..., (n_times - n_window) % config.n_hop :]
    return z.unfold(-1, n_window, config.n_hop), scale


def pool(network: EEGPT, x: Tensor, ids: Tensor) -> Tensor:
    """What the encoder makes of windows.

    Parameters
    ----------
    x : Tensor, shape (B, E, n_times), float32, µV
    ids : Tensor, shape (E,), int64
        Rows of the electrode embedding.

    Returns
    -------
    pooled : Tensor, shape (B, E, 2 d + 1)
        Of each electrode: mean and deviation of its state over tokens, log deviation in µV.
    """
    tokens, scale = window_tokens(x, network.config)
    states = network.encode(tokens, ids.expand(len(x), -1))
    deviation = (states.var(dim=2, correction=0) + 1e-6).sqrt()
    return torch.cat([states.mean(dim=2), deviation, scale.log()[..., None]], dim=-1)


def through_graph(teg: TEG, states: Tensor, ids: Tensor) -> Tensor:
    """What the electrode graph pools before its last layer: states (B, E, d) -> (B, d)."""
    ids = ids.expand(len(states), -1)
    active = teg.active(ids, torch.ones_like(ids, dtype=torch.bool))
    h = teg.project(states) + teg.node(ids)
    for layer in teg.layers:
        h = layer(h, active)
    weight = active.to(h.dtype)[..., None]
    read = teg.gate(ids) * teg.norm(h)
    pooled: Tensor = (read * weight).sum(1) / weight.sum(1).clamp(min=1.0)
    return pooled


def features(teg: TEG | None, pooled: Tensor, ids: Tensor) -> Tensor:
    """Features of what :func:`pool` gives, shape (B, E * d + d + E); see the module's drawing."""
    d = pooled.shape[-1] // 2
    mean, deviation, level = pooled[..., :d], pooled[..., d:-1], pooled[..., -1]
    graph = mean.new_zeros(len(mean), d) if teg is None else through_graph(teg, mean, ids)
    return torch.cat([deviation.flatten(1), graph, level], dim=1)


def feature_blocks(n_electrodes: int, dim: int) -> tuple[int, int, int]:
    """Lengths of the three kinds of features."""
    return n_electrodes * dim, dim, n_electrodes


def ids_of(electrodes: tuple[str, ...], n_channels: int, config: ModelConfig) -> Tensor:
    """Rows of the electrode embedding; generic for channels without a name.

    Raises
    ------
    ValueError
        Where there are other channels than electrodes.
    """
    names = electrodes or tuple(map(str, range(n_channels)))
    if len(names) != n_channels:
        raise ValueError(f"{n_channels} channels, but {len(names)} electrodes")
    return torch.tensor(electrode_ids(names, config.electrodes))


_remembered: OrderedDict[bytes, FloatArray] = OrderedDict()


class StreamingFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Features of the frozen encoder and graph; learns nothing from trials.

    Parameters
    ----------
    electrodes : tuple of str
        Of the channels; names that the weights don't know share their generic electrode.
    weights : str
        Name in the zoo, or a path.

    Attributes
    ----------
    identity_ : str
        SHA-256 of the weights.
    """

    stateless = True

    def __init__(self, electrodes: tuple[str, ...] = (), weights: str = DEFAULT) -> None:
        self.electrodes = electrodes
        self.weights = weights

    def fit(self, X: npt.NDArray[Any], y: Any = None) -> Self:  # noqa: ARG002
        """Note which weights these are."""
        checkpoint = base(self.weights)
        ids_of(self.electrodes, X.shape[1], checkpoint.config)
        self.identity_ = checkpoint.identity
        return self

    def transform(self, X: npt.NDArray[Any]) -> FloatArray:
        """Features of windows.

        Parameters
        ----------
        X : ndarray, shape (n_windows, n_electrodes, n_times), µV

        Returns
        -------
        features : ndarray, shape (n_windows, n_electrodes * d + d + n_electrodes), float32
            Of one window at a time, so bit for bit the same for one and for many.
        """
        checkpoint = same_base(self.weights, self.identity_)
        ids = ids_of(self.electrodes, X.shape[1], checkpoint.config)
        who = self.identity_.encode() + ids.numpy().tobytes()
        with one_thread(), torch.inference_mode():
            return np.stack([_features(checkpoint.network, ids, who, x) for x in X])


def _features(network: EEGPT, ids: Tensor, who: bytes, x: npt.NDArray[Any]) -> FloatArray:
    window = np.ascontiguousarray(x, dtype=np.float32)
    key = hashlib.sha256(who + window.tobytes()).digest()
    if key in _remembered:
        _remembered.move_to_end(key)
        return _remembered[key]
    pooled = pool(network, torch.from_numpy(window)[None], ids)
    made: FloatArray = features(network.teg, pooled, ids)[0].numpy()
    _remembered[key] = made
    if len(_remembered) > REMEMBERED:
        _remembered.popitem(last=False)
    return made


def frozen_ridge(electrodes: tuple[str, ...], weights: str = DEFAULT) -> Pipeline:
    """Make frozen features and a closed-form head."""
    blocks = feature_blocks(len(electrodes), base(weights).config.dim) if electrodes else ()
    return make_pipeline(StreamingFeatures(tuple(electrodes), weights), RidgeHead(blocks))
