"""The estimator in the stream: what it sees, when it abstains."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rtbci.calibration.signal.streaming import CausalView, StreamingDecoder, ViewConfig, as_trial
from rtbci.errors import BadInputError

RATE, HOP = 250.0, 25
STREAM = ("Fp1", "C3", "Cz", "C4", "Pz", "O1")


class Recorder:
    """An estimator that keeps what it was asked."""

    def __init__(self, p: float = 0.7) -> None:
        self.asked: list[npt.NDArray[Any]] = []
        self.p = p

    def predict_proba(self, x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        self.asked.append(x.copy())
        return np.full((len(x), 2), [self.p, 1 - self.p])


def decoder(
    estimator: Recorder, electrodes: tuple[str, ...] = ("C4", "C3"), **view: Any
) -> StreamingDecoder:
    config = ViewConfig(**view)
    return StreamingDecoder("P07: test", estimator, ("a", "b"), electrodes, STREAM, RATE, config)


def signal(seconds: float) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return (10 * rng.standard_normal((round(seconds * RATE), len(STREAM)))).astype(np.float32)


def push(d: StreamingDecoder, x: npt.NDArray[np.float32]) -> None:
    for at in range(0, len(x), HOP):
        d.push(x[at : at + HOP])


def test_it_abstains_until_the_window_is_full() -> None:
    d = decoder(Recorder())
    good = np.ones(len(STREAM), dtype=np.bool_)
    x = signal(2.0)
    push(d, x[:-HOP])
    p, reason = d.decode(good)
    assert reason == "window not full"
    assert np.isnan(p).all()
    push(d, x[-HOP:])
    p, reason = d.decode(good)
    assert (reason, p.tolist()) == ("", [0.7, pytest.approx(0.3)])
    d.reset()
    assert d.decode(good)[1] == "window not full"


def test_it_abstains_without_one_of_its_electrodes() -> None:
    d = decoder(Recorder())
    push(d, signal(2.0))
    good = np.ones(len(STREAM), dtype=np.bool_)
    good[STREAM.index("O1")] = False
    assert d.decode(good)[1] == ""
    good[STREAM.index("C3")] = False
    assert d.decode(good)[1] == "C3 left out"


def test_it_abstains_where_the_estimator_has_no_answer() -> None:
    d = decoder(Recorder(np.nan))
    push(d, signal(2.0))
    p, reason = d.decode(np.ones(len(STREAM), dtype=np.bool_))
    assert np.isnan(p).all()
    assert reason == "estimator gave no probabilities"


def test_it_sees_its_electrodes_in_its_order_band_passed() -> None:
    estimator = Recorder()
    d = decoder(estimator)
    x = signal(3.0)
    push(d, x)
    d.decode(np.ones(len(STREAM), dtype=np.bool_))
    columns = [STREAM.index("C4"), STREAM.index("C3")]
    whole = CausalView(columns, RATE, ViewConfig(), STREAM).push(x)
    np.testing.assert_array_equal(estimator.asked[0], whole[-500:, 0].T[np.newaxis])


def test_the_band_is_what_it_says() -> None:
    times = np.arange(round(8 * RATE)) / RATE
    hz = (2.0, 10.0, 20.0, 60.0)
    x = np.stack([np.sin(2 * np.pi * f * times) for f in hz], axis=1).astype(np.float32)
    y = CausalView(range(4), RATE, ViewConfig()).push(x)[round(4 * RATE) :, 0]
    amplitude = np.sqrt(2 * np.mean(y.astype(np.float64) ** 2, axis=0))
    np.testing.assert_allclose(amplitude, [0, 1, 1, 0], atol=0.02)


def test_the_average_is_taken_off_from_four_electrodes_on() -> None:
    rows = signal(0.1)[:, np.newaxis]
    four = as_trial(rows[:, :, :4], ViewConfig())
    np.testing.assert_allclose(four.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_array_equal(as_trial(rows[:, :, :3], ViewConfig()), rows[:, 0, :3].T)
    plain = as_trial(rows, ViewConfig(reference="none"))
    np.testing.assert_array_equal(plain, rows[:, 0].T)


def test_several_bands_lie_one_after_the_other() -> None:
    both = ViewConfig(bands_hz=((8.0, 13.0), (13.0, 30.0)))
    x, n = signal(2.0), len(STREAM)
    trial = as_trial(CausalView(range(n), RATE, both).push(x), both)
    assert trial.shape == (2 * n, len(x))
    for k, band in enumerate(both.bands_hz):
        one = ViewConfig(bands_hz=(band,))
        alone = as_trial(CausalView(range(n), RATE, one).push(x), one)
        np.testing.assert_array_equal(trial[k * n : (k + 1) * n], alone)


def test_a_stream_without_its_electrode_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"P07: test needs FC3, which .* --montage"):
        decoder(Recorder(), electrodes=("C3", "FC3"))


@pytest.mark.parametrize("band", [(0.0, 30.0), (8.0, 125.0), (30.0, 8.0)])
def test_a_band_that_can_not_be_is_refused(band: tuple[float, float]) -> None:
    with pytest.raises(BadInputError, match="between 0 and 125 Hz"):
        decoder(Recorder(), bands_hz=(band,))


def test_a_window_without_a_sample_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"window is 0\.001 s, which holds no sample"):
        decoder(Recorder(), window_s=0.001)
