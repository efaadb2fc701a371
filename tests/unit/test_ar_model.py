"""AR as a model of its own: the protocol of rtbci.tick.Model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from rtbci.models.ar_model import ARModel
from rtbci.models.baselines import ARForecaster
from rtbci.tick import Model, Tick

NAMES = ("C3", "Cz", "C4")


@pytest.fixture
def signal() -> npt.NDArray[np.float32]:
    noise = np.random.default_rng(0).standard_normal((3000, len(NAMES)))
    return noise.cumsum(axis=0).astype(np.float32)


def tick(history: npt.NDArray[np.float32], index: int) -> Tick:
    n = history.shape[1]
    ones = np.ones(n, np.float32)
    return Tick(index, index, history, 0 * ones, ones, np.ones(n, np.bool_))


def test_it_forecasts_what_the_forecaster_does(signal: npt.NDArray[np.float32]) -> None:
    model: Model = ARModel(NAMES)
    own = ARForecaster(len(NAMES))
    for index in range(6):
        now = tick(signal[: 1000 + 25 * index], index)
        model.ingest(now)
        own.update(now)
        np.testing.assert_array_equal(model.forecast()["ar"], own.forecast(now))
    assert model.published == "ar"
    assert model.forecast()["ar"].shape == (model.n_horizons, len(NAMES))


def test_a_forecast_does_not_need_the_ring_any_more(signal: npt.NDArray[np.float32]) -> None:
    """The tick's history is a view that the ring overwrites after the call."""
    model = ARModel(NAMES)
    history = signal[:1000].copy()
    model.ingest(tick(history, 0))
    before = model.forecast()["ar"]
    history[:] = 0.0
    np.testing.assert_array_equal(model.forecast()["ar"], before)


def test_it_has_no_classes_and_says_so() -> None:
    p, reason = ARModel(NAMES).decode()
    assert p.shape == (0,)
    assert reason == "ar has no decode head"


def test_its_identity_is_that_of_its_settings() -> None:
    assert ARModel(NAMES).identity == ARModel(("O1", "O2")).identity
    assert ARModel(NAMES).identity != ARModel(NAMES, memory_s=30.0).identity


def test_a_new_segment_starts_from_nothing(signal: npt.NDArray[np.float32]) -> None:
    model = ARModel(NAMES)
    model.ingest(tick(signal, 0))
    model.reset()
    with pytest.raises(RuntimeError, match="forecast comes after ingest"):
        model.forecast()
    model.ingest(tick(signal[:300], 0))
    assert np.isnan(model.forecast()["ar"]).all(), "a second of signal is too little to fit"
