"""EOG and EMG reach the decoder behind the electrodes, filtered alike, and are regressed out."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.calibration.reading.track import _Collector, _NoModel
from rtbci.calibration.signal.streaming import StreamingDecoder, ViewConfig
from rtbci.config import SessionConfig
from rtbci.pipeline import Pipeline
from rtbci.types import BoolArray, Channel, ChannelType, Chunk, FloatArray, StreamInfo

RATE = 200.0
INFO = StreamInfo(
    "test",
    "replay",
    RATE,
    (
        Channel("EOG-v", ChannelType.EOG),
        Channel("C3"),
        Channel("Cz"),
        Channel("trigger", ChannelType.TRIG),
        Channel("C4"),
        Channel("chin EMG", ChannelType.EMG),
    ),
)
CONFIG = SessionConfig()


class Keeper:
    """A decoder that keeps what it is given."""

    name, classes, calibrated, window_s = "keeper", ("none",), False, 0.0

    def __init__(self) -> None:
        self.blocks: list[FloatArray] = []

    def reset(self) -> None:
        self.blocks.append(np.full((1, 5), np.nan, dtype=np.float32))

    def push(self, block: FloatArray) -> None:
        self.blocks.append(block.copy())

    def decode(self, good: BoolArray) -> tuple[npt.NDArray[np.float64], str]:
        assert len(good) == 3
        return np.full(1, np.nan), "keeping"


def rows(seconds: float, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    x = 10 * rng.standard_normal((round(seconds * RATE), 6))
    eyes = 50 * np.cumsum(rng.standard_normal(len(x))) / 10
    return (x + eyes[:, np.newaxis] * [1.0, 0.3, 0.3, 0.0, 0.3, 0.0]).astype(np.float32)


def run(x: FloatArray, decoder: Any, cuts: tuple[int, ...] = ()) -> None:
    pipeline = Pipeline(INFO, CONFIG, _NoModel(), decoder, skip=lambda *_: True)
    for a, b in itertools.pairwise((0, *cuts, len(x))):
        times = np.arange(a, b) / RATE
        pipeline.push(Chunk(a, x[a:b], times, received=float(times[-1])))


def test_the_blocks_hold_electrodes_first_then_the_others() -> None:
    assert INFO.decoder_channels == ("C3", "Cz", "C4", "EOG-v", "chin EMG")
    keeper = Keeper()
    run(rows(4.0), keeper)
    assert {b.shape for b in keeper.blocks} == {(25, 5)}
    seen = np.concatenate(keeper.blocks)[250:]
    assert np.corrcoef(seen[:, 3], seen[:, 1])[0, 1] > 0.5
    assert abs(np.corrcoef(seen[:, 4], seen[:, 1])[0, 1]) < 0.3


def test_however_the_rows_come_the_blocks_are_the_same() -> None:
    x, one, other = rows(4.0), Keeper(), Keeper()
    run(x, one)
    run(x, other, (1, 40, 333, 700))
    np.testing.assert_array_equal(np.concatenate(one.blocks), np.concatenate(other.blocks))


class Mean:
    """An estimator whose probability is a number of its window."""

    def predict_proba(self, x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        p = 1 / (1 + np.exp(-x.mean(axis=(1, 2), dtype=np.float64)))
        return np.stack([p, 1 - p], axis=1)


def test_the_decoder_has_them_taken_out_live_as_in_calibration() -> None:
    x, view = rows(20.0), ViewConfig(bands_hz=((0.5, 6.0),), order=2, reference="none")
    stream = INFO.decoder_channels
    decoder = StreamingDecoder("t", Mean(), ("a", "b"), ("C3", "C4"), stream, 250.0, view)
    assert decoder.references == ("EOG-v", "chin EMG")
    run(x, decoder)
    collector = _Collector(INFO, 250.0, {view: view})
    run(x, collector)
    seen = np.concatenate(collector.seen.blocks[view])
    assert seen.shape[1:] == (1, 3)
    window = seen[-view.rows(250.0) :, 0][:, [0, 2]].T[np.newaxis]
    p, reason = decoder.decode(np.ones(3, dtype=np.bool_))
    assert reason == ""
    np.testing.assert_allclose(p, Mean().predict_proba(window)[0], atol=1e-6)

    plain = _Collector(INFO, 250.0, {view: ViewConfig(view.bands_hz, 2, regress="none")})
    run(x, plain)
    with_eyes = np.concatenate(plain.seen.blocks[view])
    assert np.std(seen[1250:]) < 0.5 * np.std(with_eyes[1250:])
