"""A recording behind the live chain, and at every moment what each method foretold.

    raw --Preprocessor--> signal --token by token--> Methods --every second--> Moments
                            |                                                     |
                            +------------ what then came ------------------------+

The model sees the history up to a token and nothing after it; what came is put beside the
forecasts here, once they are made.  Moments come in batches, so that an hour needs no more
memory than a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.config import HealthConfig
from rtbci.models.checkpoint import Checkpoint
from rtbci.models.config import ModelConfig
from rtbci.models.pretrain.corpus.recordings import RawRecording
from rtbci.models.pretrain.evaluation.methods import Ahead, Methods, hold
from rtbci.models.pretrain.evaluation.regions import has_artefact, robust_deviation
from rtbci.preprocess import Preprocessor
from rtbci.tick import Tick
from rtbci.types import BoolArray, FloatArray

BATCH = 32
"""Moments that are scored together."""
HISTORY_S = 60.0
BLOCK_S = 10.0
"""The chain is pushed so much signal at a time; how much never matters."""


@dataclass(frozen=True)
class CausalSignal:
    """A recording behind the causal chain.

    Attributes
    ----------
    name, subject : str
    electrodes : tuple of str
    rate_hz : float
    signal, mean, scale : ndarray, shape (n_rows, n_electrodes), float32, µV
    """

    name: str
    subject: str
    electrodes: tuple[str, ...]
    rate_hz: float
    signal: FloatArray
    mean: FloatArray
    scale: FloatArray


@dataclass(frozen=True)
class Moments:
    """Some moments of a recording.

    Attributes
    ----------
    rows : ndarray, shape (n,), int64
        Rows that were known: the forecast's first sample is ``signal[row]``.
    forecasts : dict of str to ndarray, shape (n, n_horizons, n_electrodes), float32, µV
    spreads : dict of str to ndarray, shape (n, n_points, n_electrodes), float32, µV
    quantiles : ndarray, shape (n, n_levels, 2, n_points, n_electrodes), float32, µV | None
        As in :class:`rtbci.models.pretrain.evaluation.methods.Ahead`.
    future : ndarray, shape (n, n_horizons, n_electrodes), float32, µV
        What came.
    usable : ndarray, shape (n, n_electrodes), bool
        Whether there is a signal around the moment: neither flat nor noise, every method has a
        forecast.
    artefact : ndarray, shape (n, n_electrodes), bool
        Sorted by the second before and by the future (:mod:`~.regions`).
    """

    rows: npt.NDArray[np.int64]
    forecasts: dict[str, FloatArray]
    spreads: dict[str, FloatArray]
    quantiles: FloatArray | None
    future: FloatArray
    usable: BoolArray
    artefact: BoolArray


def behind_chain(raw: RawRecording, config: ModelConfig) -> CausalSignal:
    """Run the live chain over a whole recording."""
    n = len(raw.electrodes)
    chain = Preprocessor(raw.rate, n, config.preprocess, names=raw.electrodes)
    good = np.ones(n, np.bool_)
    block = max(1, round(BLOCK_S * raw.rate))
    made = [chain.push(raw.data[i : i + block], good) for i in range(0, len(raw.data), block)]
    signal, mean, scale = (
        np.concatenate([getattr(m, what) for m in made]) for what in ("signal", "mean", "scale")
    )
    return CausalSignal(raw.name, raw.subject, raw.electrodes, config.rate_hz, signal, mean, scale)


def moments(
    raw: RawRecording,
    stretch: CausalSignal,
    config: ModelConfig,
    checkpoint: Checkpoint | None,
    *,
    warm_up_s: float = 60.0,
    every_s: float = 1.0,
    rollout: bool = False,
    device: str = "cpu",
) -> Iterator[Moments]:
    """Forecast a recording with every method, and say what came.

    Parameters
    ----------
    raw : RawRecording
    stretch : CausalSignal
        Of it, by :func:`behind_chain`.
    config : ModelConfig
    checkpoint : Checkpoint | None
        None for the methods that need no weights.
    warm_up_s : float
        Start of the recording that is not scored, s.
    every_s : float
        From one scored forecast to the next, s.
    rollout, device
        As in :class:`~.methods.Methods`.

    Yields
    ------
    Moments
        Up to :data:`BATCH` of them at a time.
    """
    hop, ahead = config.n_hop, config.n_horizons
    n_rows, n = stretch.signal.shape
    good = np.ones(n, np.bool_)
    first = -(-config.n_window // hop) - 1
    every = max(1, round(every_s / config.hop_s))
    due = [
        h
        for h in range(first, (n_rows - ahead) // hop)
        if h % every == 0 and (h + 1) * config.hop_s >= warm_up_s
    ]
    if not due:
        return
    methods = Methods(config, checkpoint, stretch.electrodes, rollout=rollout, device=device)
    chain = Preprocessor(raw.rate, n, config.preprocess, names=raw.electrodes)
    memory = round(HISTORY_S * config.rate_hz)
    scored, fed, out = set(due), 0, 0
    rows: list[int] = []
    made: list[Ahead] = []
    for h in range(first, due[-1] + 1):
        row = (h + 1) * hop
        tick = Tick(
            h - first,
            h - first,
            stretch.signal[max(0, row - memory) : row],
            stretch.mean[row - 1],
            stretch.scale[row - 1],
            good,
        )
        methods.ingest(tick)
        if h not in scored:
            continue
        seen = chain.ready(row - 1)
        out += len(chain.push(raw.data[fed:seen], good).signal)
        fed = seen
        held = hold(chain, raw.data[seen - 1], raw.rate, config, good)
        # Where the source is the slower one, its row may have completed one more of ours.
        held = np.concatenate([stretch.signal[row:out], held])[:ahead]
        made.append(methods.ahead(tick, held))
        rows.append(row)
        if len(rows) == BATCH or h == due[-1]:
            yield _beside(stretch, rows, made, ahead)
            rows, made = [], []


def _beside(stretch: CausalSignal, rows: list[int], made: list[Ahead], n_ahead: int) -> Moments:
    """Put what came beside what was foretold."""
    limits = HealthConfig()
    middle, spread = robust_deviation(stretch.signal)
    second = round(stretch.rate_hz)
    forecasts = {m: np.stack([a.forecasts[m] for a in made]) for m in made[0].forecasts}
    known = [np.isfinite(f).all(axis=1) for f in forecasts.values()]
    usable: BoolArray = np.logical_and.reduce(known)
    artefact = np.zeros_like(usable)
    for i, row in enumerate(rows):
        around = stretch.signal[max(0, row - second) : row + n_ahead]
        usable[i] &= np.ptp(around, axis=0) > limits.flat_uv
        usable[i] &= around.std(axis=0) < limits.noisy_uv
        artefact[i] = has_artefact(around, middle, spread)
    own = [a.quantiles for a in made if a.quantiles is not None]
    return Moments(
        rows=np.array(rows),
        forecasts=forecasts,
        spreads={m: np.stack([a.spreads[m] for a in made]) for m in made[0].spreads},
        quantiles=np.stack(own) if own else None,
        future=np.stack([stretch.signal[row : row + n_ahead] for row in rows]),
        usable=usable,
        artefact=artefact,
    )
