"""Batches for the network: sequences of tokens, with forecasts to make at several of them.

    sequence of T = 2 x context tokens of E electrodes of one recording
      |---- context ----|---- context ----|
                         ...p.......p.......p.......p     every 4th token is a position: history,
                                                          linear forecasts and the next second
Half of a sequence is history only, so that the tokens that are scored look as far back as live
ones do.  Sequence ``i`` of a step is drawn from ``(seed, step, i)`` alone: a run that is resumed
goes on with the very batches that it would have had, and any number of processes share the same.

Recordings of all lengths and montages come in one stream.  A data set counts by the square root
of its hours, so that a large one does not drown a small one; within it a recording counts by its
length, as that of a night does by its first :data:`LONGEST_S`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rtbci.models.baselines import history_features
from rtbci.models.config import ModelConfig
from rtbci.models.electrodes import GENERIC, electrode_ids
from rtbci.models.pretrain.corpus.prepared import POSITION_STRIDE, Prepared, score_weight
from rtbci.models.pretrain.training.linear import LinearFloor
from rtbci.models.ridge import LAYOUT
from rtbci.models.tokens import bound, normalise
from rtbci.types import BoolArray, FloatArray

Array = npt.NDArray[Any]

GROUPS = (4, 8, 16, 32, 64)
"""Sizes of the electrode groups that batches are made of: boards differ."""
GROUP_SHARES = (0.1, 0.2, 0.3, 0.2, 0.2)

GENERIC_SHARE = 0.05
"""Electrodes that are shown without their name, so that the generic embedding is trained."""

LATE_START_SHARE = 0.15
"""Sequences that begin somewhere within, as after a gap."""

LONGEST_S = 1800.0
"""A recording that is longer is drawn from no more often than one of this length."""


@dataclass(frozen=True)
class Batch:
    """One step's examples: B sequences, E electrodes, T tokens, P positions in each.

    Attributes
    ----------
    windows : Tensor, shape (B, E, T, n_window), float32
    electrode_ids : Tensor, shape (B, E), int64
    start : Tensor, shape (B, E), int64
        First token of each sequence that exists.
    step_target : Tensor, shape (B, E, T, n_hop), float32
        Samples after each token; 0 where the token does not exist.
    step_weight : Tensor, shape (B, E, T), float32
        What the error of each token counts; 0 where it is not valid.
    at : Tensor, shape (P,), int64
        Tokens of the sequence that are positions.
    recent : Tensor, shape (B, P, E, n_recent), float32
    linear : Tensor, shape (B, P, E, 2, n_horizons), float32
        AR (the ridge where it has none) and ridge, in deviations.
    target : Tensor, shape (B, P, E, n_horizons), float32
    valid : Tensor, shape (B, P, E), bool
        Where the newest second is a signal; what comes later has no say in an input.
    weight : Tensor, shape (B, P, E), float32
        What the error of each forecast counts; 0 where now or later there is no signal.
    origin : str
        Recordings and hops it was cut from, for when something is wrong with it.
    tokens : int
        Tokens of real electrodes: smaller groups are filled up with ones that count nothing.
    """

    windows: Tensor
    electrode_ids: Tensor
    start: Tensor
    step_target: Tensor
    step_weight: Tensor
    at: Tensor
    recent: Tensor
    linear: Tensor
    target: Tensor
    valid: Tensor
    weight: Tensor
    origin: str
    tokens: int

    def to(self, device: torch.device) -> Batch:
        """Move it to a device; from pinned memory this does not wait."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin(self) -> Batch:
        """Put it where a GPU can copy it from while other things go on."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        moved: dict[str, Any] = {
            k: change(v) for k, v in vars(self).items() if isinstance(v, Tensor)
        }
        return replace(self, **moved)


class Batches:
    """Draws batches from prepared recordings.

    Parameters
    ----------
    recordings : sequence of Prepared
    config : ModelConfig
    floor : LinearFloor
    seed : int
    electrodes_per_step : int
        B x E of a batch.
    """

    def __init__(
        self,
        recordings: Sequence[Prepared],
        config: ModelConfig,
        floor: LinearFloor,
        *,
        seed: int,
        electrodes_per_step: int = 64,
    ) -> None:
        self._recordings = [r for r in recordings if len(r.positions)]
        self._ids = [np.array(electrode_ids(r.electrodes), np.int64) for r in self._recordings]
        self._shares = _shares(self._recordings, config.n_hop / config.rate_hz)
        self._config = config
        self._floor = floor
        self._seed = seed
        self._per_step = electrodes_per_step
        self._n_tokens = 2 * config.context
        self._n_positions = max(1, config.context // POSITION_STRIDE)

    def draw(self, step: int, part: int = 0, parts: int = 1) -> Batch:
        """Give the batch of a step, or one of several parts that make it up.

        A part that no sequence falls to is a blank: it counts nothing.
        """
        rng = np.random.default_rng([self._seed, step])
        size = min(int(rng.choice(GROUPS, p=GROUP_SHARES)), self._per_step)
        chosen = range(part, max(1, self._per_step // size), parts)
        drawn = [self._sequence(np.random.default_rng([self._seed, step, i]), size) for i in chosen]
        if not drawn:
            drawn = [(self._blank(), "nothing")]
        widest = max(len(p["electrode_ids"]) for p, _ in drawn)
        stacked = {
            key: torch.from_numpy(np.stack([_widen(p[key], key, widest) for p, _ in drawn]))
            for key in drawn[0][0]
        }
        ends = self._n_tokens - 1 - POSITION_STRIDE * np.arange(self._n_positions)[::-1]
        return Batch(
            **stacked,
            at=torch.from_numpy(ends),
            origin=", ".join(o for _, o in drawn),
            tokens=self._n_tokens * sum(len(p["electrode_ids"]) for p, _ in drawn if chosen),
        )

    def _sequence(self, rng: np.random.Generator, size: int) -> tuple[dict[str, Array], str]:
        """One sequence: its arrays without the batch dimension, and where it comes from."""
        config = self._config
        which = int(rng.choice(len(self._recordings), p=self._shares))
        recording = self._recordings[which]
        n_electrodes = len(recording.electrodes)
        chosen = rng.permutation(n_electrodes)[: min(size, n_electrodes)]
        last = int(rng.integers(len(recording.positions)))
        newest = int(recording.positions[last])
        hops = np.arange(newest - self._n_tokens + 1, newest + 1)
        first_token = -(-config.n_window // config.n_hop) - 1
        start = max(0, first_token - int(hops[0]))
        if rng.random() < LATE_START_SHARE:
            start = max(start, int(rng.integers(self._n_tokens)))
        ids = self._ids[which][chosen]
        ids[rng.random(len(ids)) < GENERIC_SHARE] = GENERIC

        arrays = self._blank(len(chosen))
        arrays["electrode_ids"][:] = ids
        arrays["start"][:] = start
        cut = _Cut.of(recording, chosen, hops, config)
        counts = score_weight(recording, hops[start:])[:, chosen] * cut.valid(hops[start:])
        arrays["windows"][:, start:] = cut.past(hops[start:], config.n_window)
        arrays["step_target"][:, start:] = cut.future(hops[start:], config.n_hop)
        arrays["step_weight"][:, start:] = (counts * cut.valid(hops[start:] + 1)).T

        back = np.arange(self._n_positions)[::-1]
        tokens = self._n_tokens - 1 - POSITION_STRIDE * back
        there = (back <= last) & (tokens >= start)
        tokens, at = tokens[there], last - back[there]
        now = hops[tokens]
        past = cut.past(now, LAYOUT.n_rows)
        ridge = history_features(past) @ self._floor.unseen(recording.subject)
        ar = np.stack([recording.ar[i] for i in at])[:, chosen].astype(np.float32)
        valid = cut.valid(now)
        counted = valid & cut.valid(now + config.n_horizons // config.n_hop)
        arrays["recent"][there] = past[:, :, -config.recent :].swapaxes(0, 1)
        arrays["linear"][there, :, 0] = np.where(np.isnan(ar), ridge.swapaxes(0, 1), ar)
        arrays["linear"][there, :, 1] = ridge.swapaxes(0, 1)
        bound(arrays["linear"])
        arrays["target"][there] = cut.future(now, config.n_horizons).swapaxes(0, 1)
        arrays["valid"][there] = valid
        arrays["weight"][there] = counts[tokens - start] * counted
        return arrays, f"{recording.name} up to hop {newest}"

    def _blank(self, n: int = 1) -> dict[str, Array]:
        """Arrays of a sequence of ``n`` electrodes that counts nothing."""
        config, p, t = self._config, self._n_positions, self._n_tokens
        return {
            "windows": np.zeros((n, t, config.n_window), np.float32),
            "electrode_ids": np.full(n, GENERIC, np.int64),
            "start": np.full(n, t, np.int64),
            "step_target": np.zeros((n, t, config.n_hop), np.float32),
            "step_weight": np.zeros((n, t), np.float32),
            "recent": np.zeros((p, n, config.recent), np.float32),
            "linear": np.zeros((p, n, 2, config.n_horizons), np.float32),
            "target": np.zeros((p, n, config.n_horizons), np.float32),
            "valid": np.zeros((p, n), np.bool_),
            "weight": np.zeros((p, n), np.float32),
        }


@dataclass(frozen=True)
class _Cut:
    """A stretch of some electrodes, and what tokens in it see.

    Attributes
    ----------
    signal : ndarray, shape (n_electrodes, n_rows), float32, µV
        Rows that the recording does not have, in front, are NaN: what is not known is the mean.
    first_row : int
        Of the recording.
    """

    signal: FloatArray
    first_row: int
    recording: Prepared
    chosen: npt.NDArray[np.int64]
    n_hop: int

    @classmethod
    def of(
        cls,
        recording: Prepared,
        chosen: npt.NDArray[np.int64],
        hops: npt.NDArray[np.int64],
        config: ModelConfig,
    ) -> _Cut:
        """Read all that forecasts from these hops need."""
        first = int(hops[0] + 1) * config.n_hop - LAYOUT.n_rows
        stop = int(hops[-1] + 1) * config.n_hop + config.n_horizons
        rows = recording.signal[max(0, first) : stop, chosen]
        signal = np.full((len(chosen), stop - first), np.nan, np.float32)
        signal[:, max(0, -first) : max(0, -first) + len(rows)] = rows.T
        return cls(signal, first, recording, chosen, config.n_hop)

    def past(self, hops: npt.NDArray[np.int64], n_rows: int) -> FloatArray:
        """Give the newest rows up to hops: (n_electrodes, n_hops, n_rows), in its deviations."""
        return self._rows(hops, -n_rows, n_rows)

    def future(self, hops: npt.NDArray[np.int64], n_rows: int) -> FloatArray:
        """Give the rows after hops: (n_electrodes, n_hops, n_rows), in its deviations."""
        return self._rows(hops, 0, n_rows)

    def valid(self, hops: npt.NDArray[np.int64]) -> BoolArray:
        """Where electrodes have a signal, (n_hops, n_electrodes)."""
        valid: BoolArray = self.recording.valid[hops][:, self.chosen]
        return valid

    def _rows(self, hops: npt.NDArray[np.int64], offset: int, n_rows: int) -> FloatArray:
        mean = self.recording.mean[hops][:, self.chosen].T[..., None]
        scale = self.recording.scale[hops][:, self.chosen].T[..., None]
        views = np.lib.stride_tricks.sliding_window_view(self.signal, n_rows, axis=1)
        cut = views[:, (hops + 1) * self.n_hop - self.first_row + offset]
        with np.errstate(invalid="ignore", over="ignore"):
            return bound(normalise(cut, mean, scale))


def _shares(recordings: Sequence[Prepared], position_s: float) -> npt.NDArray[np.float64]:
    """Probability of each recording (see the module's text)."""
    longest = LONGEST_S / (position_s * POSITION_STRIDE)
    own = np.array([min(len(r.positions), longest) for r in recordings])
    sets = [r.dataset for r in recordings]
    whole = {s: sum(n for n, other in zip(own, sets, strict=True) if other == s) for s in set(sets)}
    shares = np.array([n / whole[s] ** 0.5 for n, s in zip(own, sets, strict=True)], np.float64)
    shares /= shares.sum()
    return shares


def _widen(array: Array, key: str, n: int) -> Array:
    """Fill up to ``n`` electrodes with ones that count nothing; positions come before them."""
    axis = 1 if key in ("recent", "linear", "target", "valid", "weight") else 0
    missing = n - array.shape[axis]
    if not missing:
        return array
    fill = array.max() if key == "start" else 0
    width = [(0, missing if a == axis else 0) for a in range(array.ndim)]
    return np.pad(array, width, constant_values=fill)
