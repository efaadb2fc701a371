"""Training small networks on a subject's trials: seeded, one thread, weights kept as arrays.

    fit      seed -> epochs of shuffled batches -> the last weights, or the best on the last trials
    predict  float64, so that one window gives what many give

What is kept of a network is a dictionary of arrays: skops stores it, and nothing of torch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import Tensor, nn

from rtbci.calibration.decoders.grouping import last_part
from rtbci.types import BoolArray, FloatArray

Arrays = dict[str, npt.NDArray[Any]]
MIN_SCALE_UV = 1e-3
"""An electrode that never moves is not blown up."""


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained.

    Attributes
    ----------
    epochs : int
        At most; all of them where ``held_back`` is 0.
    batch : int
    learning_rate, weight_decay : float
        AdamW; the rate falls to zero along a half cosine.
    smoothing : float
        Of the labels (Szegedy et al. 2016): keeps the probabilities of few trials modest.
    held_back : float
        Share of the trials, the last ones, that decide which epoch's weights are kept.
    patience : int
        Epochs without a lower loss on those after which training ends.
    """

    epochs: int = 40
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    smoothing: float = 0.1
    held_back: float = 0.0
    patience: int = 5


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: small networks gain nothing by more, and sums keep their order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from this seed, and leave the program's own generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def train(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    config: TrainConfig,
    constrain: Callable[[], None] | None = None,
) -> int:
    """Train the parameters of a network that ask for gradients.

    Parameters
    ----------
    network : Module
        Maps (batch, ...) to logits (batch, n_classes).
    x : Tensor, shape (n_rows, ...), float32
    y : Tensor, shape (n_rows,), int64
        Class numbers, in order of time.
    config : TrainConfig
    constrain : callable | None
        Called after every step (norms that must stay bounded).

    Returns
    -------
    epochs : int
        After how many the kept weights were reached; 0 are those it came with.
    """
    late = _held_back(y.numpy(), config.held_back)
    seen = torch.from_numpy(np.flatnonzero(~late))
    counts = torch.bincount(y).clamp(min=1)
    weight = counts.sum() / (len(counts) * counts)
    tuned = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(tuned, config.learning_rate, weight_decay=config.weight_decay)
    steps = config.epochs * -(-len(seen) // config.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, best_epoch, kept = float("inf"), 0, None
    if late.any():
        best, kept = _loss(network, x[late], y[late], weight), copy.deepcopy(network.state_dict())
    for epoch in range(1, config.epochs + 1):
        network.train()
        for at in torch.split(seen[torch.randperm(len(seen))], config.batch):
            logits = network(x[at])
            loss = F.cross_entropy(logits, y[at], weight=weight, label_smoothing=config.smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(tuned, 1.0)
            optimizer.step()
            schedule.step()
            if constrain is not None:
                constrain()
        if kept is None:
            continue
        reached = _loss(network, x[late], y[late], weight)
        if reached < best:
            best, best_epoch, kept = reached, epoch, copy.deepcopy(network.state_dict())
        if epoch - best_epoch >= config.patience:
            break
    network.eval()
    if kept is None:
        return config.epochs
    network.load_state_dict(kept)
    return best_epoch


@torch.inference_mode()
def _loss(network: nn.Module, x: Tensor, y: Tensor, weight: Tensor) -> float:
    network.eval()
    logits = torch.cat([network(part) for part in torch.split(x, 32)])
    return float(F.cross_entropy(logits, y, weight=weight))


def _held_back(y: npt.NDArray[Any], share: float) -> BoolArray:
    return last_part(y, share) if share > 0 else np.zeros(len(y), dtype=np.bool_)


def to_arrays(state: Mapping[str, Tensor]) -> Arrays:
    """Weights as arrays of their own."""
    return {name: value.detach().cpu().numpy().copy() for name, value in state.items()}


def to_tensors(arrays: Arrays) -> dict[str, Tensor]:
    """Arrays as weights."""
    return {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}


class NetworkClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A network as an estimator; a subclass builds it.

    Parameters
    ----------
    seed : int
        Of its first weights, order of trials and dropout.
    epochs : int
    halve : int
        How often neighbouring samples are averaged in pairs: 1 makes 125 Hz of 250 Hz.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    scale_ : ndarray, shape (n_channels, 1), float32, µV
        Standard deviation of each channel over the trials it was fitted on.
    weights_ : dict of ndarray
    shape_ : tuple of int
        Channels and samples that the network takes.
    """

    config = TrainConfig()

    def __init__(self, seed: int = 0, epochs: int = TrainConfig.epochs, halve: int = 1) -> None:
        self.seed = seed
        self.epochs = epochs
        self.halve = halve

    def _build(self, n_channels: int, n_times: int, n_classes: int) -> nn.Module:
        """Make the network; it maps (batch, n_channels, n_times) to logits."""
        raise NotImplementedError

    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Self:
        """Train from the seed.

        Parameters
        ----------
        X : ndarray, shape (n_trials, n_channels, n_times), µV
        y : ndarray, shape (n_trials,)
        """
        self.classes_, labels = np.unique(y, return_inverse=True)
        x = _halved(X, self.halve)
        self.scale_ = np.maximum(x.std(axis=(0, 2))[:, None], MIN_SCALE_UV).astype(np.float32)
        self.shape_ = (int(x.shape[1]), int(x.shape[2]))
        config = TrainConfig(**{**vars(self.config), "epochs": self.epochs})
        with one_thread(), seeded(self.seed):
            network = self._build(*self.shape_, len(self.classes_))
            train(
                network,
                torch.from_numpy(x / self.scale_),
                torch.from_numpy(labels.astype(np.int64)),
                config,
                getattr(network, "constrain", None),
            )
        self.weights_ = to_arrays(network.state_dict())
        self._network = network.double().eval()
        return self

    def predict_proba(self, X: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Probabilities of the classes, shape (n_trials, n_classes)."""
        x = torch.from_numpy(_halved(X, self.halve) / self.scale_)
        with one_thread(), torch.inference_mode():
            network = self._restored()
            logits = torch.cat([network(part.double()) for part in torch.split(x, 64)])
            p: npt.NDArray[np.float64] = logits.softmax(dim=1).numpy()
        return p

    def predict(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Classes, shape (n_trials,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def _restored(self) -> nn.Module:
        if not hasattr(self, "_network"):
            with seeded(self.seed):
                network = self._build(*self.shape_, len(self.classes_))
            network.load_state_dict(to_tensors(self.weights_))
            self._network = network.double().eval()
        return self._network

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the network: its weights are kept as arrays."""
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_network", None)
        return state


def _halved(x: npt.NDArray[Any], times: int) -> FloatArray:
    """Average neighbours in pairs, a few times; a sample that is left over at the front goes."""
    out = np.asarray(x, dtype=np.float32)
    for _ in range(times):
        out = out[..., out.shape[-1] % 2 :]
        out = 0.5 * (out[..., 0::2] + out[..., 1::2])
    return out
