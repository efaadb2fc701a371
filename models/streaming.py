"""EEGPT as the pipeline's model: one token in, a decode and a forecast out.

    Tick --token_window--> (E, 250) --EEGPT.ingest, ring cache--> states (E, d)
                                                                    |--TEG--> decode
         --AR by Burg, pooled ridge--> linear forecasts --DirectHead+--> "direct"
                                                     --StepHead, x H+--> "rollout"

Every token takes the same operations on the same shapes, whatever came before it: so results are
equal bit for bit on the same machine with the same number of threads.  Owned by one thread; never
blocks; allocates its buffers once.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rtbci.models.baselines import ARForecaster, RidgeForecaster
from rtbci.models.checkpoint import Checkpoint
from rtbci.models.config import ModelConfig
from rtbci.models.electrodes import GENERIC, electrode_ids
from rtbci.models.intervals import Intervals
from rtbci.models.tokens import linear_inputs, restore, token_window
from rtbci.models.trust import Trust
from rtbci.tick import Tick
from rtbci.types import BoolArray, FloatArray


@dataclass
class TokenState:
    """What the newest token left behind for its decode and forecast.

    Attributes
    ----------
    tick : Tick | None
        With copies of what the linear forecasts look back on; None before a segment's first.
    window : Tensor, shape (E, n_window), float32
        Of the newest token, in deviations, on the network's device.
    newest : Tensor, shape (E, d), float32
        States of the newest token, which forecasts are made from.
    states : Tensor, shape (teg_tokens, E, d), float32
        What the decode head reads of the newest tokens, in a ring.
    tokens : ndarray, shape (E,), int64
        Tokens in a row that each electrode was good for.
    next_index : int
        Index in the segment of the token that comes next.
    """

    tick: Tick | None
    window: Tensor
    newest: Tensor
    states: Tensor
    tokens: npt.NDArray[np.int64]
    next_index: int = 0

    def reset(self, electrodes: BoolArray | None = None) -> None:
        """Forget these electrodes; all of them at a new segment (None)."""
        if electrodes is None:
            self.tick = None
            self.window.zero_()
            self.newest.zero_()
            self.states.zero_()
            self.tokens[:] = 0
            self.next_index = 0
        else:
            self.tokens[electrodes] = 0


class EEGPTModel:
    """A :class:`rtbci.tick.Model`: the network on a stream, with its linear baselines beneath.

    A token whose window the segment does not fill yet, and one of an electrode that is left out,
    is ingested but not looked back on.  A decode needs ``teg_context_s`` of signal from at least
    ``teg_min_electrodes`` of the electrodes that the decode head may read.  An electrode whose name
    has no place on the head (``placeless``) is forecast by AR, once that is fitted.

    Parameters
    ----------
    checkpoint : Checkpoint
    electrodes : sequence of str
        Of the stream, in order; those that the weights do not know share the generic token.
    device : str
        ``cpu`` or ``cuda``.
    dtype : torch.dtype
        Of the blocks and the cache; norms, softmax, angles and heads are float32 in any case.
    published : str
        ``direct`` or ``rollout``: the forecast that is made.  Networks without a direct head roll
        out in any case.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        electrodes: Sequence[str],
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        published: Literal["direct", "rollout"] = "direct",
    ) -> None:
        config = checkpoint.config
        n = len(electrodes)
        self.name = checkpoint.name
        self.identity = checkpoint.identity
        self.device = torch.device(device).type
        self.published = published if config.direct else "rollout"
        self.n_horizons = config.n_horizons
        self.classes = config.classes
        self.config: ModelConfig = config
        self.electrodes = tuple(electrodes)
        self._device = torch.device(device)
        # The checkpoint stays as it was loaded: other models may share it.
        self._network = copy.deepcopy(checkpoint.network).to(self._device).eval()
        self._network.layers.to(dtype)
        ids = electrode_ids(electrodes, config.electrodes)
        self._ids = torch.tensor(ids, dtype=torch.int64, device=self._device)
        self._placeless = np.array([i == GENERIC for i in electrode_ids(electrodes)])
        self._readable = self._network.readable(self._ids).cpu().numpy()
        self._cache = self._network.new_cache(self._ids)
        self._ar = ARForecaster(
            n, rate_hz=config.rate_hz, n_horizons=config.n_horizons, hop=config.n_hop
        )
        weight = checkpoint.extra.get("ridge")
        self._ridge = None if weight is None else RidgeForecaster(weight.numpy())
        self._look_back = max(self._ar.order, self._ridge.layout.n_rows if self._ridge else 0)
        self._trust = Trust(config.n_horizons, n, config.n_hop, config.gain_bins)
        wide = self.published == "direct" and self._network.direct_head.width is not None
        sizes = (config.n_horizons, n, config.n_hop, config.gain_bins)
        self._intervals = Intervals(*sizes) if wide else None
        self._host_window = self._host((n, config.n_window))
        self._host_linear = self._host((n, 2, config.n_horizons))
        self.state = TokenState(
            tick=None,
            window=torch.zeros(n, config.n_window, device=self._device),
            newest=torch.zeros(n, config.dim, device=self._device),
            states=torch.zeros(config.teg_tokens, n, config.dim, device=self._device),
            tokens=np.zeros(n, np.int64),
        )
        self._warm_up()

    @property
    def gpu_bytes(self) -> int | None:
        """Memory of the GPU that the process holds; None where it computes on the CPU."""
        return torch.cuda.memory_reserved(self._device) if self.device == "cuda" else None

    @property
    def states(self) -> FloatArray:
        """Encoder states of the newest token, shape (n_electrodes, d), float32."""
        states: FloatArray = self.state.newest.cpu().numpy().copy()
        return states

    def reset(self, electrodes: BoolArray | None = None) -> None:
        """Forget these electrodes; all of them at a new segment (None)."""
        self.state.reset(electrodes)
        self._ar.reset(electrodes)
        self._trust.reset(electrodes)
        if self._intervals is not None:
            self._intervals.reset(electrodes)
        self._cache.reset(None if electrodes is None else self._on_device(electrodes))

    @torch.inference_mode()
    def ingest(self, tick: Tick) -> None:
        """Advance by one token; tokens of the segment that never came are passed over."""
        config, state = self.config, self.state
        if tick.index < state.next_index:
            self.reset()
        if tick.index > state.next_index:
            self._cache.skip(tick.index - state.next_index)
            state.tokens[:] = 0
        window = token_window(tick.history, tick.mean, tick.scale, config.n_window)
        self._host_window.numpy()[:] = window.T
        # NB: blocking, since the next token overwrites the host's buffer.
        state.window.copy_(self._host_window)
        full = len(tick.history) >= config.n_window
        ok = tick.good & full
        states = self._network.ingest(state.window, self._ids, self._cache, self._on_device(ok))
        state.newest.copy_(states)
        state.states[tick.index % config.teg_tokens] = self._network.summarise(states, self._cache)
        state.tokens = np.where(ok, state.tokens + 1, 0)
        state.next_index = tick.index + 1
        self._ar.update(tick)
        self._trust.learn(tick)
        if self._intervals is not None:
            self._intervals.learn(tick)
        # The history is a view into the ring: what the forecast needs of it is copied.
        state.tick = Tick(
            tick.token,
            tick.index,
            tick.history[-max(self._look_back, config.n_window) :].copy(),
            tick.mean.copy(),
            tick.scale.copy(),
            tick.good.copy(),
        )

    @torch.inference_mode()
    def decode(self) -> tuple[npt.NDArray[np.float64], str]:
        """Probabilities from the electrode graph, shape (n_classes,), and why there are none."""
        nothing = np.full(len(self.classes), np.nan)
        teg, tick = self._network.teg, self.state.tick
        if teg is None:
            return nothing, "the model has no decode head"
        if tick is None or len(tick.history) < self.config.n_window:
            return nothing, "window not full"
        heard_s = self.config.window_s + (self.state.tokens - 1) * self.config.hop_s
        enough = heard_s > self.config.teg_context_s - 0.5 * self.config.hop_s
        usable = tick.good & enough
        if (self._readable & usable).sum() < self.config.teg_min_electrodes:
            return nothing, self._too_few(tick.good)
        valid = self._on_device(usable)[None]
        logits = teg(self._mean_state()[None], self._ids[None], valid)[0]
        p = logits.double().softmax(dim=0).cpu().numpy()
        return p, ""

    @torch.inference_mode()
    def forecast(self) -> dict[str, FloatArray]:
        """Forecasts of the token just ingested: the published one, ``ar`` and ``ridge``, in µV.

        Raises
        ------
        RuntimeError
            Before a segment's first token.
        """
        tick = self.state.tick
        if tick is None:
            raise RuntimeError("forecast comes after ingest: the segment has no token yet")
        made = {"ar": self._ar.forecast(tick)}
        if self._ridge is not None:
            made["ridge"] = self._ridge.forecast(tick)
        log_width = None
        if self.published == "direct":
            ahead, log_width = self._direct(tick, made["ar"], made.get("ridge"))
        else:
            newest = self.state.newest
            ahead = self._network.rollout(self.state.window, newest, self._ids, self._cache)
        mean = restore(ahead.cpu().numpy().T, tick.mean, tick.scale).astype(np.float32)
        mean = np.where(self._placeless & np.isfinite(made["ar"]), made["ar"], mean)
        mean[:, ~tick.good] = np.nan
        mixed = self._trust.mix(tick, mean, made["ar"])
        if self._intervals is not None and log_width is not None:
            self._intervals.put(tick, mixed, log_width.cpu().numpy().transpose(1, 2, 0))
        return {self.published: mixed, **made}

    def interval(self, level: float) -> tuple[FloatArray, FloatArray] | None:
        """Ends of the central interval around the forecast just made; None where there is none.

        Only weights with a width head say intervals (``ModelConfig.intervals``), and only around
        the direct forecast.

        Parameters
        ----------
        level : float
            Share of what comes that it is to hold, above 0 and below 1.

        Returns
        -------
        low, high : ndarray, shape (n_horizons, n_electrodes), float32, µV

        Raises
        ------
        BadInputError
            On another level, and before the first forecast of a segment.
        """
        return None if self._intervals is None else self._intervals.interval(level)

    def _direct(
        self, tick: Tick, ar: FloatArray, ridge: FloatArray | None
    ) -> tuple[Tensor, Tensor | None]:
        """Forecast (E, n_horizons) and log widths (E, n_levels, n_horizons), in deviations."""
        linear = self._host_linear.numpy()
        linear[:] = linear_inputs(ar, ridge, tick.mean, tick.scale)
        head, inputs = self._network.direct_head, self._host_linear.to(self._device)[None]
        features = head.read(
            self.state.newest[None],
            self.state.window[None, :, -self.config.recent :],
            inputs,
            self._on_device(tick.good)[None],
        )
        width = None if head.width is None else head.log_width(features)[0]
        return head.forecast(features, inputs)[0], width

    def _mean_state(self) -> Tensor:
        """Mean state of the newest ``teg_tokens``, (E, d)."""
        return self.state.states.mean(dim=0)

    def _too_few(self, good: BoolArray) -> str:
        """Why the decode head has too few electrodes."""
        need = self.config.teg_min_electrodes
        present = int(self._readable.sum())
        if present < need:
            return f"the montage has {present} of the electrodes that decode, {need} are needed"
        if (self._readable & good).sum() >= need:
            return f"context not full: {self.config.teg_context_s:g} s needed"
        out = [e for e, r, g in zip(self.electrodes, self._readable, good, strict=True) if r > g]
        return f"left out: {', '.join(out)}; {need} electrodes that decode are needed"

    def _warm_up(self) -> None:
        """Run everything once, so that the first token of a session is no slower than others."""
        n = len(self.electrodes)
        zeros, ones = np.zeros(n, np.float32), np.ones(n, np.float32)
        history = np.zeros((self.config.n_window, n), np.float32)
        self.ingest(Tick(0, 0, history, zeros, ones, np.ones(n, np.bool_)))
        self.decode()
        self.forecast()
        self.reset()

    def _host(self, shape: tuple[int, ...]) -> Tensor:
        return torch.zeros(shape, pin_memory=self._device.type == "cuda")

    def _on_device(self, mask: BoolArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(mask)).to(self._device)
