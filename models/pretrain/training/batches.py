"""Batches for the network: sequences of tokens, with forecasts to make at several of them.

    sequence of T = 2 x context tokens of E electrodes of one recording
      |---- context ----|---- context ----|
                         ...p.......p.......p.......p     every 8th token is a position: history,
                                                          linear forecasts and the next second
Half of a sequence is history only, so that the tokens that are scored look as far back as live
ones do.  A step's batch is drawn from ``(seed, step)`` alone: a run that is resumed goes on with
the very batches that it would have had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
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
from rtbci.models.tokens import bound, normalise, token_window
from rtbci.types import FloatArray

Array = npt.NDArray[Any]

GROUPS = (4, 8, 16, 32, 64)
"""Sizes of the electrode groups that batches are made of: boards differ."""
GROUP_SHARES = (0.1, 0.2, 0.3, 0.2, 0.2)

GENERIC_SHARE = 0.05
"""Electrodes that are shown without their name, so that the generic embedding is trained."""

LATE_START_SHARE = 0.15
"""Sequences that begin somewhere within, as after a gap."""


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
    weight : Tensor, shape (B, P, E), float32
        What the error of each forecast counts; 0 where it is not valid.
    origin : str
        Recordings and hops it was cut from, for when something is wrong with it.
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

    def to(self, device: str) -> Batch:
        """Move it to a device."""
        return replace(
            self,
            **{
                f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "origin"
            },
        )


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
        self._weights = [score_weight(r) for r in self._recordings]
        counts = np.array([len(r.positions) for r in self._recordings], np.float64)
        self._shares = counts / counts.sum()
        self._config = config
        self._floor = floor
        self._seed = seed
        self._per_step = electrodes_per_step
        self._n_tokens = 2 * config.context
        self._n_positions = max(1, config.context // POSITION_STRIDE)

    def draw(self, step: int) -> Batch:
        """Give the batch of a step."""
        rng = np.random.default_rng([self._seed, step])
        size = min(int(rng.choice(GROUPS, p=GROUP_SHARES)), self._per_step)
        parts = [self._sequence(rng, size) for _ in range(max(1, self._per_step // size))]
        # Recordings with fewer electrodes than the group cut the whole batch down to theirs.
        least = min(p["electrode_ids"].shape[0] for p, _ in parts)
        stacked = {
            key: torch.from_numpy(np.stack([_crop(p[key], key, least) for p, _ in parts]))
            for key in parts[0][0]
        }
        ends = self._n_tokens - 1 - POSITION_STRIDE * np.arange(self._n_positions)[::-1]
        return Batch(**stacked, at=torch.from_numpy(ends), origin=", ".join(o for _, o in parts))

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

        from_row = max(0, int(hops[0] + 1) * config.n_hop - LAYOUT.n_rows)
        to_row = (newest + 1) * config.n_hop + config.n_horizons
        signal = np.ascontiguousarray(recording.signal[from_row:to_row][:, chosen])
        cut = _Cut(signal, from_row, recording, chosen, config)

        ids = self._ids[which][chosen]
        ids[rng.random(len(ids)) < GENERIC_SHARE] = GENERIC
        n, shape = len(chosen), (len(chosen), self._n_tokens)
        windows = np.zeros((*shape, config.n_window), np.float32)
        step_target = np.zeros((*shape, config.n_hop), np.float32)
        step_weight = np.zeros(shape, np.float32)
        counts = self._weights[which][:, chosen] * recording.valid[:, chosen]
        for t in range(start, self._n_tokens):
            h = int(hops[t])
            windows[:, t] = cut.past(h, config.n_window)
            step_target[:, t] = cut.future(h, config.n_hop)
            step_weight[:, t] = counts[h] * recording.valid[h + 1, chosen]

        p = self._n_positions
        recent = np.zeros((p, n, config.recent), np.float32)
        linear = np.zeros((p, n, 2, config.n_horizons), np.float32)
        target = np.zeros((p, n, config.n_horizons), np.float32)
        valid = np.zeros((p, n), np.bool_)
        weight = np.zeros((p, n), np.float32)
        stranger = self._floor.unseen(recording.subject)
        ahead = config.n_horizons // config.n_hop
        for i in range(p):
            back = p - 1 - i
            t = self._n_tokens - 1 - POSITION_STRIDE * back
            if last < back or t < start:
                continue
            h = int(hops[t])
            recent[i] = cut.past(h, config.recent)
            ridge = history_features(cut.past(h, LAYOUT.n_rows)) @ stranger
            ar = recording.ar[last - back][chosen].astype(np.float32)
            linear[i, :, 0] = np.where(np.isnan(ar), ridge, ar)
            linear[i, :, 1] = ridge
            target[i] = cut.future(h, config.n_horizons)
            valid[i] = recording.valid[h, chosen] & recording.valid[h + ahead, chosen]
            weight[i] = counts[h] * valid[i]
        arrays: dict[str, Array] = {
            "windows": windows,
            "electrode_ids": ids,
            "start": np.full(n, start, np.int64),
            "step_target": step_target,
            "step_weight": step_weight,
            "recent": recent,
            "linear": bound(linear),
            "target": target,
            "valid": valid,
            "weight": weight,
        }
        return arrays, f"{recording.name} up to hop {newest}"


@dataclass(frozen=True)
class _Cut:
    """A stretch of some electrodes, and what tokens in it see."""

    signal: FloatArray
    from_row: int
    recording: Prepared
    chosen: npt.NDArray[np.int64]
    config: ModelConfig

    def past(self, h: int, n_rows: int) -> FloatArray:
        """Give the newest rows up to hop ``h``: (n_electrodes, n_rows), in its deviations."""
        mean, scale = self.recording.mean[h, self.chosen], self.recording.scale[h, self.chosen]
        now = (h + 1) * self.config.n_hop - self.from_row
        return token_window(self.signal[max(0, now - n_rows) : now], mean, scale, n_rows).T

    def future(self, h: int, n_rows: int) -> FloatArray:
        """Give the rows after hop ``h``: (n_electrodes, n_rows), in its deviations."""
        mean, scale = self.recording.mean[h, self.chosen], self.recording.scale[h, self.chosen]
        now = (h + 1) * self.config.n_hop - self.from_row
        return bound(normalise(self.signal[now : now + n_rows], mean, scale)).T


def _crop(array: Array, key: str, n: int) -> Array:
    """Keep the first ``n`` electrodes; positions come before them where there are any."""
    return array[:, :n] if key in ("recent", "linear", "target", "valid", "weight") else array[:n]
