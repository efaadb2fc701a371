"""The methods of the table, side by side on one stream: what each forecasts at a token.

===============  ==============================================================================
model            as it publishes: the network, mixed with AR as far as the session's past
                 advises (:mod:`rtbci.models.trust`); all horizons at once
rollout          the same network, hop after hop (only where asked for)
blend            linear blend of AR and pooled ridge, one weight for each horizon: the honest
                 baseline
ar               AR by Burg on the last minute
ar 4 s           AR(40) by Burg on the last four seconds
ridge            pooled ridge, fitted on other people
own ridge        that ridge as the prior of one fitted on this recording's own past
hold             the newest raw row held, the live filters run on: what their memory gives
persistence      the newest sample held
mean             the running mean
===============  ==============================================================================

Everything a method knows has come before the token: whoever learns (``own ridge``, running error
variances) waits until a forecast's last sample has been seen.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.models.ar_model import ARModel
from rtbci.models.baselines import blend, burg, forecast_matrix, persistence
from rtbci.models.checkpoint import Checkpoint
from rtbci.models.config import ModelConfig
from rtbci.models.pretrain.evaluation.horizons import Horizons
from rtbci.models.ridge import LAYOUT, history_features
from rtbci.models.streaming import EEGPTModel
from rtbci.models.tokens import bound, normalise, token_window
from rtbci.preprocess import Preprocessor
from rtbci.tick import Tick
from rtbci.types import BoolArray, FloatArray

Float64Array = npt.NDArray[np.float64]

SHORT_S, SHORT_ORDER = 4.0, 40
"""History and order of ``ar 4 s``."""

OWN_EVERY = 2
"""Tokens from one example of ``own ridge`` to the next."""
OWN_PULL = 3e5
"""Weight of the pooled ridge in ``own ridge``, as examples of unit variance.  Chosen on
subjects that the shipped weights were trained on, among 3e3, 3e4, ... 3e6."""

MEMORY = 600
"""Forecasts after which what a running error variance learned has lost two thirds of its weight."""

SPREADS = ("model", "blend", "ar")
"""Methods whose running error variance makes Gaussian intervals."""

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Central intervals whose ends are the quantiles 0.05, 0.15, ... 0.95: the middles of ten equal
parts, so that twice their mean pinball loss is the CRPS by the midpoint rule."""


@dataclass(frozen=True)
class Ahead:
    """What is foretold at a token.

    Attributes
    ----------
    forecasts : dict of str to ndarray, shape (n_horizons, n_electrodes), float32, µV
    spreads : dict of str to ndarray, shape (n_points, n_electrodes), µV
        Root of the running error variance at the single horizons; ``mean``: the running scale.
    quantiles : ndarray, shape (n_levels, 2, n_points, n_electrodes), µV | None
        The model's own intervals at the single horizons; None where it has none.
    """

    forecasts: dict[str, FloatArray]
    spreads: dict[str, FloatArray]
    quantiles: FloatArray | None


class Spread:
    """Running variance of a forecast's errors at the single horizons, electrode by electrode."""

    def __init__(self, horizons: Horizons, n_electrodes: int) -> None:
        self._points = horizons.points
        self.square = np.zeros((len(self._points), n_electrodes))
        self.count = np.zeros(n_electrodes)

    def learn(self, forecast: FloatArray, future: FloatArray) -> None:
        """Take a forecast whose future, (n_horizons, n_electrodes), has come."""
        error = (forecast[self._points] - future[self._points]).astype(np.float64) ** 2
        known = np.isfinite(error).all(axis=0)
        self.count += known
        rate = known / np.clip(self.count, 1, MEMORY)
        self.square += rate * (np.nan_to_num(error) - self.square)

    def deviation(self, scale: FloatArray) -> FloatArray:
        """Root of the variance, µV; the running scale where nothing has been learned."""
        known = np.where(self.count > 0, np.sqrt(self.square), scale)
        return known.astype(np.float32)


class OwnRidge:
    """The pooled ridge, corrected by what this recording has shown so far.

    One map W for all its electrodes minimises ``sum ||y - x W||^2 + pull ||W - W0||^2`` over the
    tokens whose future has come, W0 the pooled weight: a Gaussian prior around it.

    Parameters
    ----------
    weight : ndarray, shape (n_features, n_horizons)
        Of the pooled ridge.
    pull : float
    """

    def __init__(self, weight: npt.ArrayLike, pull: float = OWN_PULL) -> None:
        self._pooled = np.asarray(weight, np.float64)
        self._pull = pull
        size, n_horizons = self._pooled.shape
        self._gram = np.zeros((size, size))
        self._cross = np.zeros((size, n_horizons))

    @staticmethod
    def features(tick: Tick) -> FloatArray:
        """What the map is applied to, shape (n_electrodes, n_features)."""
        past = token_window(tick.history, tick.mean, tick.scale, LAYOUT.n_rows)
        return history_features(past.T)

    def learn(self, features: FloatArray, tick: Tick, future: FloatArray) -> None:
        """Take a token's features and the samples that came after it."""
        x = features.astype(np.float64)
        target = bound(normalise(future, tick.mean, tick.scale)).T
        self._gram += x.T @ x
        self._cross += x.T @ (target - x @ self._pooled)

    def forecast(self, tick: Tick) -> FloatArray:
        """Forecast every electrode, shape (n_horizons, n_electrodes), µV."""
        ridge = self._gram + self._pull * np.eye(len(self._gram))
        weight = self._pooled + np.linalg.solve(ridge, self._cross)
        predicted = (self.features(tick) @ weight).T * tick.scale + tick.mean
        return predicted.astype(np.float32)


@dataclass(frozen=True)
class _Pending:
    """A token whose future has not come yet."""

    tick: Tick
    forecasts: dict[str, FloatArray]
    features: FloatArray | None


class Methods:
    """All methods on one recording.

    Parameters
    ----------
    config : ModelConfig
        Rate, hop, horizons and signal chain.
    checkpoint : Checkpoint | None
        None for the methods that need no weights.
    electrodes : tuple of str
    rollout : bool
        Whether the rollout is run beside the direct forecast.
    device : str
    """

    def __init__(
        self,
        config: ModelConfig,
        checkpoint: Checkpoint | None,
        electrodes: tuple[str, ...],
        *,
        rollout: bool = False,
        device: str = "cpu",
    ) -> None:
        self.config = config
        n = len(electrodes)
        self._horizons = Horizons.of(config.rate_hz, config.n_horizons)
        self._model: EEGPTModel | ARModel
        self._own, self._share, self._rollout = None, None, None
        if checkpoint is None:
            self._model = ARModel(
                electrodes, rate_hz=config.rate_hz, n_horizons=config.n_horizons, hop=config.n_hop
            )
        else:
            self._model = EEGPTModel(checkpoint, electrodes, device=device)
            if config.direct:
                self._share = checkpoint.network.direct_head.blend.detach().cpu().numpy()
            if "ridge" in checkpoint.extra:
                self._own = OwnRidge(checkpoint.extra["ridge"].numpy())
            if rollout and config.direct:
                self._rollout = EEGPTModel(
                    checkpoint, electrodes, device=device, published="rollout"
                )
        self._spreads = {name: Spread(self._horizons, n) for name in SPREADS}
        self._pending: deque[_Pending] = deque()
        self._newest: dict[str, FloatArray] = {}

    def ingest(self, tick: Tick) -> None:
        """Advance every method by one token, as live: the model forecasts at each."""
        self._learn(tick)
        self._model.ingest(tick)
        ahead = self._model.forecast()
        made = {"ar": ahead["ar"]}
        if self._model.published != "ar":
            made["model"] = ahead[self._model.published]
        if "ridge" in ahead:
            made["ridge"] = ahead["ridge"]
        if "ridge" in ahead and self._share is not None:
            made["blend"] = blend(ahead["ar"], ahead["ridge"], self._share)
        if self._rollout is not None:
            self._rollout.ingest(tick)
            made["rollout"] = self._rollout.forecast()["rollout"]
        self._newest = made
        example = self._own is not None and tick.index % OWN_EVERY == 0
        features = OwnRidge.features(tick) if example else None
        self._pending.append(_Pending(tick, made, features))

    def _learn(self, tick: Tick) -> None:
        """Learn from the forecasts whose last horizon came with this token."""
        hop, n = self.config.n_hop, self.config.n_horizons
        while self._pending and (tick.index - self._pending[0].tick.index) * hop >= n:
            oldest = self._pending.popleft()
            behind = (tick.index - oldest.tick.index) * hop
            future = tick.history[len(tick.history) - behind :][:n]
            for name, spread in self._spreads.items():
                if name in oldest.forecasts:
                    spread.learn(oldest.forecasts[name], future)
            if self._own is not None and oldest.features is not None:
                self._own.learn(oldest.features, oldest.tick, future)

    def ahead(self, tick: Tick, held: FloatArray) -> Ahead:
        """Forecasts at the token just ingested.

        Parameters
        ----------
        tick : Tick
        held : ndarray, shape (n_horizons, n_electrodes)
            As :func:`hold` gives it.
        """
        n = self.config.n_horizons
        made = dict(self._newest)
        made["ar 4 s"] = short_ar(tick, n, self.config.rate_hz)
        if self._own is not None:
            made["own ridge"] = self._own.forecast(tick)
        made["hold"] = held
        made["persistence"] = persistence(tick, n)
        made["mean"] = np.repeat(tick.mean[None], n, axis=0)
        spreads = {
            name: spread.deviation(tick.scale)
            for name, spread in self._spreads.items()
            if name in made
        }
        points = self._horizons.points
        spreads["mean"] = np.repeat(tick.scale[None], len(points), axis=0)
        quantiles = self._quantiles(points)
        return Ahead({m: made[m] for m in METHODS if m in made}, spreads, quantiles)

    def _quantiles(self, points: npt.NDArray[np.int64]) -> FloatArray | None:
        """Ends of the model's own intervals; None where it states none."""
        if not isinstance(self._model, EEGPTModel):
            return None
        ends = [self._model.interval(level) for level in LEVELS]
        stated = [[e[0][points], e[1][points]] for e in ends if e is not None]
        return np.stack(stated) if stated else None


METHODS = (
    "model",
    "rollout",
    "blend",
    "ar",
    "ar 4 s",
    "ridge",
    "own ridge",
    "hold",
    "persistence",
    "mean",
)
"""All rows of the table, in their order."""


def short_ar(tick: Tick, n_horizons: int, rate_hz: float) -> FloatArray:
    """AR by Burg on the last seconds, refitted at this very token; NaN where they are too few.

    Returns
    -------
    forecast : ndarray, shape (n_horizons, n_electrodes), float32, µV
    """
    newest = tick.history[-round(SHORT_S * rate_hz) :]
    order = min(SHORT_ORDER, len(newest) // 2)
    if order < 1:
        return np.full((n_horizons, tick.history.shape[1]), np.nan, np.float32)
    coefficients = burg(newest.T, order)
    matrix = forecast_matrix(coefficients, n_horizons)
    past = newest[-order:].T.astype(np.float64)[..., None]
    return np.ascontiguousarray((matrix @ past)[..., 0].T, np.float32)


def hold(
    chain: Preprocessor, row: FloatArray, rate: float, config: ModelConfig, good: BoolArray
) -> FloatArray:
    """Hold the newest raw row and let a copy of the chain run on: its next rows.

    Parameters
    ----------
    chain : Preprocessor
        Behind the newest row; not changed.
    row : ndarray, shape (n_electrodes,), float32, µV
    rate : float
        Of the recording, Hz.
    """
    seconds = config.n_horizons / config.rate_hz + chain.delay_s
    n_rows = math.ceil(seconds * rate) + 2
    ahead = copy.deepcopy(chain).push(np.repeat(row[None], n_rows, axis=0), good)
    return ahead.signal[: config.n_horizons]
