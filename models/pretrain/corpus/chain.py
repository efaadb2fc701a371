"""The live chain over a stretch, block by block: filter, judge, forecast, write.

    blocks --Preprocessor--> hops --validity, ARForecaster--> hops.npy, ar.npy

Memory holds a block, a minute of history for AR, and no more, however long the stretch is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.config import HealthConfig
from rtbci.models.baselines import ARForecaster
from rtbci.models.config import ModelConfig
from rtbci.models.pretrain.corpus.recordings import Stretch
from rtbci.models.pretrain.corpus.store import GrowingArray, hop_dtype, to_counts
from rtbci.models.tokens import bound, normalise
from rtbci.preprocess import Preprocessor
from rtbci.ring import MirrorRing
from rtbci.tick import Tick
from rtbci.types import BoolArray, FloatArray

HISTORY_S = 60.0
"""Signal that AR is fitted on, as live."""


class Chain:
    """One pass over a stretch: filter, judge, forecast, write.

    Parameters
    ----------
    stretch : Stretch
    config : ModelConfig
    phase : int
        Rows that are left out in front.
    stride : int
        Hops from a position to the next.
    progress : callable, optional
        Called with the share that is done.
    """

    def __init__(
        self,
        stretch: Stretch,
        config: ModelConfig,
        *,
        phase: int,
        stride: int,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        n, hop, rate = len(stretch.electrodes), config.n_hop, config.rate_hz
        limits = self._limits = HealthConfig()
        self._stretch, self._config, self._progress = stretch, config, progress
        self._good = np.ones(n, np.bool_)
        self._chain = Preprocessor(stretch.rate, n, config.preprocess, names=stretch.electrodes)
        self._phase, self._stride = phase, stride
        self._first_token = -(-config.n_window // hop) - 1
        self._ring = MirrorRing(round(HISTORY_S * rate), n)
        self._judged_rows = max(hop, round(limits.window_s * rate) // hop * hop)
        self._forecaster = ARForecaster(n, rate_hz=rate, n_horizons=config.n_horizons, hop=hop)
        self._raw = _Tail(round(limits.window_s * stretch.rate), n)
        self._hops = 0
        self._sums = np.zeros((2, n))

    def write(self, folder: Path) -> dict[str, Any]:
        """Write the arrays; give what is to be known of them."""
        config, n = self._config, len(self._good)
        waiting = [np.zeros((0, n), np.float32)] * 3
        left, fed = self._phase, 0
        with (
            GrowingArray(folder / "hops.npy", hop_dtype(config.n_hop, n)) as hops,
            GrowingArray(folder / "ar.npy", np.float16, (n, config.n_horizons)) as ar,
        ):
            for block in self._stretch.blocks():
                made = self._chain.push(block, self._good)
                self._raw.push(block)
                fed += len(block)
                rows = (made.signal, made.mean, made.scale)
                waiting = [
                    np.concatenate([w, r[left:]]) for w, r in zip(waiting, rows, strict=True)
                ]
                left = max(0, left - len(made.signal))
                whole = len(waiting[0]) // config.n_hop * config.n_hop
                if whole:
                    self._take([w[:whole] for w in waiting], hops, ar, fed)
                waiting = [w[whole:] for w in waiting]
            ahead = config.n_horizons // config.n_hop
            first = self._first_token + self._stride
            ar.cut(max(0, -(-(self._hops - ahead - first) // self._stride)))
        count = max(1, self._hops * config.n_hop)
        mean = self._sums[0] / count
        return {
            "delay_s": -self._chain.source_position(self._phase) / self._stretch.rate,
            "first_position": first,
            "position_stride": self._stride,
            "variance": np.maximum(self._sums[1] / count - mean**2, 0.0).tolist(),
        }

    def _take(
        self, rows: Sequence[FloatArray], hops: GrowingArray, ar: GrowingArray, fed: int
    ) -> None:
        """Write whole hops: (n_hops * hop, n_electrodes) of signal, mean and scale."""
        hop, n = self._config.n_hop, len(self._good)
        signal, mean, scale = rows
        records = np.zeros(len(signal) // hop, hop_dtype(hop, n))
        records["mean"], records["scale"] = mean[hop - 1 :: hop], scale[hop - 1 :: hop]
        records["signal"], records["exponent"] = to_counts(signal.reshape(-1, hop, n))
        self._sums += (
            signal.sum(axis=0, dtype=np.float64),
            np.square(signal, dtype=np.float64).sum(axis=0),
        )
        forecasts = []
        for i in range(len(records)):
            self._ring.write(signal[i * hop : (i + 1) * hop])
            last_row = self._phase + (self._hops + 1) * hop - 1
            records["valid"][i] = self._judge(self._chain.ready(last_row))
            forecast = self._forecast(records["mean"][i], records["scale"][i])
            if forecast is not None:
                forecasts.append(forecast)
            self._hops += 1
        hops.append(records)
        if forecasts:
            ar.append(np.stack(forecasts))
        if self._progress is not None:
            self._progress(fed / max(1, self._stretch.n_rows))

    def _judge(self, seen: int) -> BoolArray:
        """Whether the newest second is a signal: raw not flat, filtered not noise, as live."""
        raw = self._raw.upto(seen)
        filtered = self._ring.view(min(self._ring.size, self._judged_rows))
        finite = np.isfinite(raw).all(axis=0)
        moves = np.ptp(np.where(finite, raw, 0.0), axis=0) > self._limits.flat_uv
        valid: BoolArray = finite & moves & (filtered.std(axis=0) < self._limits.noisy_uv)
        return valid

    def _forecast(self, mean: FloatArray, scale: FloatArray) -> npt.NDArray[np.float16] | None:
        """Let AR go on by a hop; its forecast, (n_electrodes, n_horizons), at a position."""
        index = self._hops - self._first_token
        if index < 0:
            return None
        history = self._ring.view(self._ring.size)
        tick = Tick(index, index, history, mean, scale, self._good)
        self._forecaster.update(tick)
        if index == 0 or index % self._stride:
            return None
        forecast = normalise(self._forecaster.forecast(tick), mean, scale)
        made = np.full(forecast.T.shape, np.nan, np.float16)
        known = np.isfinite(forecast).all(axis=0)
        made[known] = bound(forecast[:, known]).T
        return made


class _Tail:
    """The newest raw rows: the last block and a second before it.

    Parameters
    ----------
    n_rows : int
        Rows that can be looked back on from any row of the last block.
    n_electrodes : int
    """

    def __init__(self, n_rows: int, n_electrodes: int) -> None:
        self._length = n_rows
        self._rows: FloatArray = np.zeros((0, n_electrodes), np.float32)
        self._end = 0

    def push(self, block: FloatArray) -> None:
        """Take rows."""
        self._rows = np.concatenate([self._rows[-2 * self._length :], block])
        self._end += len(block)

    def upto(self, row: int) -> FloatArray:
        """Give the newest rows before ``row``."""
        stop = len(self._rows) - (self._end - row)
        return self._rows[max(0, stop - self._length) : stop]
