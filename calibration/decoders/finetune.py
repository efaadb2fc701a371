"""Fine-tuning the foundation model on a subject's trials: heads, low-rank adapters, or all of it.

    heads   electrode graph and last layer; the encoder stands still, so it is run once
    lora    the same, and W + B A in every projection of the encoder (Hu et al., arXiv 2106.09685)
    full    the same, and every weight of the encoder

Each begins at the closed form of :mod:`rtbci.calibration.decoders.foundation` fitted without the
last fifth of the trials, and goes on for as long as the loss on those falls.  Where nothing is
gained there, the decoder is the closed form on all trials.  What is stored is what changed, as
arrays; the weights beneath are named by their hash.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import Tensor, nn
from torch.nn.utils import parametrize

from rtbci.calibration.decoders.closed_form import RidgeHead
from rtbci.calibration.decoders.foundation import (
    base,
    feature_blocks,
    features,
    ids_of,
    pool,
    same_base,
)
from rtbci.calibration.decoders.grouping import last_part
from rtbci.calibration.decoders.training import (
    Arrays,
    TrainConfig,
    one_thread,
    seeded,
    to_arrays,
    to_tensors,
    train,
)
from rtbci.models.checkpoint import DEFAULT
from rtbci.models.eegpt import EEGPT
from rtbci.models.teg import TEG

Mode = Literal["heads", "lora", "full"]
RANK = 4
HELD_BACK = 0.2
_gently = partial(TrainConfig, weight_decay=0.0, smoothing=0.0, held_back=HELD_BACK)
TRAINING: dict[Mode, TrainConfig] = {
    "heads": _gently(epochs=30, learning_rate=3e-4, patience=5),
    "lora": _gently(epochs=12, batch=16, learning_rate=3e-4, patience=3),
    "full": _gently(epochs=12, batch=16, learning_rate=3e-5, patience=3),
}
"""No decay, no smoothing: the closed form that they begin at has both its size and its sharpness
from trials left out."""


class Head(nn.Module):
    """Graph and last layer on pooled states: (B, E, 2 d + 1) -> logits (B, n_classes)."""

    ids: Tensor
    centre: Tensor
    gain: Tensor

    def __init__(self, teg: TEG | None, ids: Tensor, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.teg = copy.deepcopy(teg)
        self.out = nn.Linear(n_features, n_classes)
        self.register_buffer("ids", ids, persistent=False)
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("gain", torch.ones(n_features))

    def forward(self, pooled: Tensor) -> Tensor:
        """Logits of the classes."""
        out: Tensor = self.out((features(self.teg, pooled, self.ids) - self.centre) * self.gain)
        return out

    @torch.no_grad()
    def start(self, ridge: RidgeHead) -> None:
        """Become a closed-form head."""
        sharp = ridge.sharpness_
        for own, fitted in (
            (self.centre, ridge.centre_),
            (self.gain, ridge.gain_),
            (self.out.weight, sharp * ridge.weight_.T),
            (self.out.bias, sharp * ridge.offset_),
        ):
            own.copy_(torch.from_numpy(np.ascontiguousarray(fitted)))


class Whole(nn.Module):
    """Encoder and head: windows (B, E, n_times) in µV -> logits."""

    def __init__(self, encoder: EEGPT, head: Head) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the classes."""
        out: Tensor = self.head(pool(self.encoder, x, self.head.ids))
        return out


class LowRank(nn.Module):
    """Parametrisation W + B A; B starts at zero."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        n_out, n_in = weight.shape
        self.a = nn.Parameter(torch.randn(rank, n_in) / n_in**0.5)
        self.b = nn.Parameter(torch.zeros(n_out, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """Give the adapted weight."""
        return weight + self.b @ self.a


class FineTuned(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The foundation model, fine-tuned.

    Parameters
    ----------
    electrodes : tuple of str
    mode : str
        ``heads``, ``lora`` or ``full``.
    weights : str
        Name in the zoo, or a path.
    seed : int
    epochs : int | None
        At most; the mode's own where None.

    Attributes
    ----------
    identity_ : str
        SHA-256 of the weights beneath.
    head_, encoder_ : dict of ndarray
        Weights of the head; what is added to the encoder's (low-rank: its two factors).
    epochs_ : int
        Passes over the trials that were kept; 0 where the closed form was best.
    """

    def __init__(
        self,
        electrodes: tuple[str, ...] = (),
        mode: Mode = "heads",
        weights: str = DEFAULT,
        seed: int = 0,
        epochs: int | None = None,
    ) -> None:
        self.electrodes = electrodes
        self.mode = mode
        self.weights = weights
        self.seed = seed
        self.epochs = epochs

    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Self:
        """Fine-tune on trials (n_trials, n_electrodes, n_times) in µV, in order of time."""
        checkpoint = base(self.weights)
        self.identity_ = checkpoint.identity
        self.classes_, labels = np.unique(y, return_inverse=True)
        config = TRAINING[self.mode]
        config = TrainConfig(**{**vars(config), "epochs": self.epochs or config.epochs})
        x, target = _tensor(X), torch.from_numpy(labels.astype(np.int64))
        with one_thread(), seeded(self.seed):
            ids = ids_of(self.electrodes, X.shape[1], checkpoint.config)
            encoder = copy.deepcopy(checkpoint.network)
            with torch.no_grad():
                pooled = torch.cat([pool(encoder, part, ids) for part in torch.split(x, 8)])
                closed = features(encoder.teg, pooled, ids).numpy()
            blocks = feature_blocks(len(ids), checkpoint.config.dim)
            head = Head(encoder.teg, ids, sum(blocks), len(self.classes_))
            early = ~last_part(labels, HELD_BACK)
            head.start(RidgeHead(blocks).fit(closed[early], labels[early]))
            encoder.requires_grad_(self.mode == "full")
            if self.mode == "heads":
                self.epochs_ = train(head, pooled, target, config)
            else:
                if self.mode == "lora":
                    _adapt(encoder)
                self.epochs_ = train(Whole(encoder, head), x, target, config)
            if self.epochs_ == 0:
                head.start(RidgeHead(blocks).fit(closed, labels))
        self.head_ = to_arrays(head.state_dict())
        self.encoder_ = self._changes(encoder, checkpoint.network) if self.epochs_ else {}
        self._forget()
        return self

    def predict_proba(self, X: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Probabilities of the classes, shape (n_trials, n_classes); one window at a time."""
        with one_thread(), torch.inference_mode():
            whole = self._restored(X.shape[1])
            logits = torch.cat([whole(x) for x in torch.split(_tensor(X), 1)])
            p: npt.NDArray[np.float64] = logits.double().softmax(dim=1).numpy()
        return p

    def predict(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Classes, shape (n_trials,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def _changes(self, encoder: EEGPT, before: EEGPT) -> Arrays:
        if self.mode == "lora":
            return to_arrays({k: v for k, v in encoder.state_dict().items() if _of_adapter(k)})
        old, new = before.state_dict(), encoder.state_dict()
        return to_arrays({k: new[k] - old[k] for k in old if not torch.equal(new[k], old[k])})

    def _restored(self, n_channels: int) -> Whole:
        if not hasattr(self, "_whole"):
            checkpoint = same_base(self.weights, self.identity_)
            ids = ids_of(self.electrodes, n_channels, checkpoint.config)
            encoder = copy.deepcopy(checkpoint.network)
            changes = to_tensors(self.encoder_)
            if self.mode == "lora" and changes:
                with seeded(self.seed):
                    _adapt(encoder)
                encoder.load_state_dict(changes, strict=False)
            elif changes:
                state = encoder.state_dict()
                encoder.load_state_dict({k: v + changes.get(k, 0.0) for k, v in state.items()})
            n_features = sum(feature_blocks(n_channels, checkpoint.config.dim))
            head = Head(encoder.teg, ids, n_features, len(self.classes_))
            head.load_state_dict(to_tensors(self.head_))
            self._whole = Whole(encoder, head).eval()
        return self._whole

    def _forget(self) -> None:
        self.__dict__.pop("_whole", None)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the network: what it learned is kept as arrays."""
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_whole", None)
        return state


def _adapt(encoder: EEGPT) -> None:
    """Put low-rank adapters on every projection of the encoder's blocks."""
    for module in list(encoder.layers.modules()):
        if isinstance(module, nn.Linear):
            adapter = LowRank(module.weight, RANK)
            parametrize.register_parametrization(module, "weight", adapter)


def _of_adapter(name: str) -> bool:
    return "parametrizations" in name and not name.endswith("original")


def _tensor(x: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
