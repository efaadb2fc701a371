"""Eyes and muscle are taken out, the motor cortex stays, and nobody needs to say which is which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.calibration.reading.track import follow
from rtbci.calibration.signal.regression import (
    LIMIT_UV,
    MEMORY_S,
    Regression,
    reference_electrodes,
)
from rtbci.calibration.signal.streaming import CausalView, ViewConfig, as_trial
from rtbci.config import SessionConfig
from rtbci.montage import MONTAGES
from rtbci.sources.simulated_signal import BLOCK, SignalConfig, SignalGenerator

RATE = 250.0
Rows = npt.NDArray[np.float64]


def eyes_and_brain(seconds: float, seed: int = 0) -> tuple[Rows, Rows, Rows]:
    """Two references that see the eyes alone, three electrodes that see some of them, the brain."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    eyes = 40 * rng.standard_normal((n, 2))
    brain = 10 * rng.standard_normal((n, 3))
    return eyes, brain + eyes @ np.array([[0.3, 0.2, 0.1], [-0.2, 0.0, 0.2]]), brain


def test_what_the_references_predict_is_gone_and_the_rest_stays() -> None:
    eyes, mixed, brain = eyes_and_brain(30)
    left = Regression(2, 3, RATE).push(eyes, mixed)
    late = slice(round(10 * RATE), None)
    error = np.std((left - brain)[late], axis=0)
    assert (error < 0.1 * np.std((mixed - brain)[late], axis=0)).all()


def test_before_there_is_evidence_nothing_is_taken_away() -> None:
    """As many weights as rows explain anything: the first second must not lose the brain."""
    rng = np.random.default_rng(1)
    alone = 10 * rng.standard_normal((250, 3))
    left = Regression(11, 3, RATE).push(10 * rng.standard_normal((250, 11)), alone)
    np.testing.assert_array_equal(left[:25], alone[:25])
    assert np.corrcoef(left[:, 0], alone[:, 0])[0, 1] > 0.95


def test_weights_follow_a_change_within_the_memory() -> None:
    rng = np.random.default_rng(2)
    eyes = 40 * rng.standard_normal((round(4 * MEMORY_S * RATE), 1))
    weight = np.where(np.arange(len(eyes)) < len(eyes) // 4, 0.5, 0.1)[:, np.newaxis]
    left = Regression(1, 1, RATE).push(eyes, eyes * weight)
    assert np.std(left[-2500:]) < 0.5 * np.std((eyes * weight)[-2500:])


def test_a_reference_that_moves_does_little() -> None:
    """An electrode without contact predicts nothing; however wild, it is held to a limit."""
    eyes, mixed, brain = eyes_and_brain(40)
    eyes[5000:, 0] = 1e5 * np.sign(np.random.default_rng(3).standard_normal(len(eyes) - 5000))
    mixed[5000:] = brain[5000:]
    regression = Regression(2, 3, RATE)
    left = regression.push(eyes, mixed)
    assert np.abs(left[5000:5025] - brain[5000:5025]).max() < LIMIT_UV
    assert np.std((left - brain)[-1250:]) < 0.3 * np.std(brain)


def test_references_that_are_flat_are_no_reason_to_fail() -> None:
    brain = eyes_and_brain(1)[2]
    np.testing.assert_array_equal(Regression(2, 3, RATE).push(np.zeros((250, 2)), brain), brain)


def test_the_rim_is_found_by_its_names() -> None:
    assert reference_electrodes(MONTAGES["motor-8"]) == ()
    assert reference_electrodes(MONTAGES["openbci-cyton"]) == ("Fp1", "Fp2")
    assert reference_electrodes(("C3", "AF8", "PO7", "FT9", "T10", "EOG-left", "F3", "EMG")) == (
        "AF8",
        "T10",
        "EOG-left",
        "EMG",
    )
    assert len(reference_electrodes(MONTAGES["eegmmidb-64"])) == 11


def test_a_view_says_what_it_takes_out() -> None:
    stream = ("Fp1", "C3", "C4", "F7")
    assert CausalView((1, 2), RATE, ViewConfig(), stream).references == ("Fp1", "F7")
    assert CausalView((1, 2), RATE, ViewConfig(regress="none"), stream).references == ()
    assert CausalView((1, 2), RATE, ViewConfig()).references == ()
    assert CausalView((0, 3), RATE, ViewConfig(), stream).references == ()


def test_a_reference_itself_is_left_as_it_is() -> None:
    x = np.random.default_rng(4).standard_normal((500, 3)).astype(np.float32)
    stream = ("Fp1", "C3", "C4")
    plain = CausalView(range(3), RATE, ViewConfig(regress="none"), stream).push(x)
    seen = CausalView(range(3), RATE, ViewConfig(), stream).push(x)
    np.testing.assert_array_equal(seen[:, :, 0], plain[:, :, 0])
    assert np.abs(seen[:, :, 1] - plain[:, :, 1]).max() > 0


def test_simulated_blinks_leave_the_motor_electrodes() -> None:
    names = MONTAGES["openbci-cyton"]
    made = SignalGenerator(names, RATE, 0, SignalConfig(blink_uv=200.0, line_uv=0.0))
    parts = [(made.combine(b, 0, BLOCK, "rest"), made) for b in (made.block() for _ in range(60))]
    x = np.concatenate([p for p, _ in parts]).astype(np.float32)
    low = ViewConfig(bands_hz=((0.5, 6.0),), order=2)
    at = [names.index("C3"), names.index("C4")]
    with_eyes = CausalView(at, RATE, replace(low, regress="none"), names).push(x)[2500:, 0]
    without = CausalView(at, RATE, low, names).push(x)[2500:, 0]
    forehead = CausalView([0], RATE, replace(low, regress="none"), names).push(x)[2500:, 0, 0]

    def share(y: npt.NDArray[Any]) -> float:
        return max(abs(float(np.corrcoef(forehead, column)[0, 1])) for column in y.T)

    assert share(without) < 0.5 * share(with_eyes)


def test_on_real_recordings_the_eyes_are_taken_out_of_the_motor_electrodes(data_dir: Path) -> None:
    path = data_dir / "motor_imagery" / "eegmmidb" / "S001" / "S001R04.edf"
    low = ViewConfig(bands_hz=((0.5, 4.0),), order=2)
    beta = ViewConfig()
    views = {
        "low": low,
        "beta": beta,
        "low as it is": replace(low, regress="none"),
        "beta as it is": replace(beta, regress="none"),
    }
    track = follow(path, views, SessionConfig())
    motor = track.columns(MONTAGES["motor-8"])
    power = {
        k: float(np.var(as_trial(v[2500:][:, :, motor], beta))) for k, v in track.signals.items()
    }
    assert power["low"] < 0.7 * power["low as it is"]
    assert power["beta"] > 0.7 * power["beta as it is"]
