"""What a signal check teaches is there from the first row, and goes with every replay."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import butter, sosfilt

from rtbci.calibration.protocol.config import load_protocol
from rtbci.calibration.protocol.rehearsal import SubjectSettings, rehearse
from rtbci.calibration.signal.artefacts import EYES, MUSCLE, ArtefactMonitor, monitor_for
from rtbci.calibration.signal.check_data import CheckData, read_check
from rtbci.calibration.signal.learned import Learned, Limit
from rtbci.calibration.signal.learning import learn, learn_from
from rtbci.calibration.signal.regression import Moments, Regression
from rtbci.calibration.signal.streaming import CausalView, ViewConfig
from rtbci.montage import MONTAGES
from rtbci.sources.simulated_signal import BLOCK, SignalConfig, SignalGenerator
from rtbci.types import FloatArray

RATE = 250.0
DAISY = MONTAGES["openbci-daisy"]
MOTOR = [DAISY.index("C3"), DAISY.index("C4")]
LOW = ViewConfig(bands_hz=((0.5, 6.0),), order=2)
SIGNAL = SignalConfig(blink_uv=200.0, line_uv=0.0, muscle_uv=25.0)
STILL = replace(SIGNAL, blink_uv=0.0, look_uv=0.0)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    who = SubjectSettings(montage=DAISY, seed=1, signal=SIGNAL)
    return rehearse(load_protocol("signal-check"), tmp_path_factory.mktemp("learn"), who)


@pytest.fixture(scope="module")
def check(recording: Path) -> CheckData:
    return read_check(recording)


@pytest.fixture(scope="module")
def learned(check: CheckData) -> Learned:
    found = learn(check, "check")
    assert found is not None
    return found


def simulated(seconds: float, signal: SignalConfig, seed: int = 7) -> FloatArray:
    """She blinks, and looks to a side each second; high-passed as a decoder gets it."""
    made = SignalGenerator(DAISY, RATE, seed, signal)
    states = itertools.cycle(("look_left", "rest", "look_right", "rest"))
    n = round(seconds * RATE / BLOCK)
    rows = [made.combine(made.block(), 0, BLOCK, next(states)) for _ in range(n)]
    high = butter(2, 0.5, "highpass", fs=RATE, output="sos")
    return np.asarray(sosfilt(high, np.concatenate(rows), axis=0)).astype(np.float32)


def test_the_references_are_those_near_the_eyes(learned: Learned) -> None:
    assert learned.references == ("Fp1", "Fp2", "F7", "F8")
    assert learned.columns == DAISY
    assert any(limit.feature == "eyes: Fp1 Fp2" for limit in learned.limits)
    assert learned.muscle == ("T7", "T8")


def test_the_first_looks_of_a_session_are_taken_out(learned: Learned) -> None:
    """The same brain with and without eyes: what is left of these in the first 10 s."""
    with_eyes, truth = simulated(10, SIGNAL), simulated(10, STILL)
    plain = CausalView(MOTOR, RATE, replace(LOW, regress="none"), DAISY).push(truth)

    def error(told: Learned | None) -> float:
        return float(np.std(CausalView(MOTOR, RATE, LOW, DAISY, told).push(with_eyes) - plain))

    assert error(learned) < 0.8 * error(None)


def test_the_stream_has_the_word_a_minute_later() -> None:
    """What was learned of another montage fades away."""
    rng = np.random.default_rng(0)
    eyes = 40 * rng.standard_normal((round(240 * RATE), 1))
    brain = rng.standard_normal((len(eyes), 1))
    wrong = Moments(np.array([[1600.0]]), np.array([[-1600.0]]))
    left = Regression(1, 1, RATE, wrong).push(eyes, brain + 0.3 * eyes)
    assert np.std(left[:250]) > 30
    assert np.std(left[-5000:]) < 3


def test_each_segment_begins_anew_and_however_it_is_cut(learned: Learned) -> None:
    x = simulated(8, SIGNAL)
    view = CausalView(MOTOR, RATE, LOW, DAISY, learned)
    first = view.push(x)
    view.reset()
    parts = [view.push(x[a:b]) for a, b in itertools.pairwise((0, 1, 30, 700, 701, len(x)))]
    np.testing.assert_array_equal(np.concatenate(parts), first)


def test_of_other_electrodes_nothing_is_believed(learned: Learned) -> None:
    assert learned.moments(("Fp1", "AF7"), ("C3",)) is None
    assert learned.moments(("Fp1",), ("FCz",)) is None
    part = learned.moments(("F7", "Fp1"), ("C4", "C3"))
    assert part is not None
    assert part.power[0, 1] == learned.power[0][2]
    assert part.cross[1, 0] == learned.cross[0][DAISY.index("C4")]
    x, stream = simulated(4, SIGNAL), (*DAISY[:-1], "FCz")
    told = CausalView(MOTOR, RATE, LOW, stream, learned).push(x)
    assert told.shape == CausalView(MOTOR, RATE, LOW, stream).push(x).shape


def flags(monitor: ArtefactMonitor | None, x: npt.NDArray[np.float32]) -> list[tuple[str, ...]]:
    assert monitor is not None
    found = []
    for at in range(0, len(x) - 24, 25):
        monitor.push(x[at : at + 25])
        found.append(monitor.flags())
    return found


def test_a_blink_is_flagged_from_the_first_second(learned: Learned) -> None:
    """Without it only what is above 100 µV is flagged before the usual is known."""
    limit = next(v.level for v in learned.limits if v.feature == "eyes: Fp1 Fp2")
    assert 40 < limit < 95
    low = Learned("check", limits=(Limit("eyes: Fp1 Fp2", 60.0),))
    x = simulated(6, STILL)
    x[750:825, :2] += (85 * np.hanning(75)).astype(np.float32)[:, np.newaxis]
    assert not any(EYES in f for f in flags(monitor_for(DAISY, RATE), x)[25:40])
    assert any(EYES in f for f in flags(monitor_for(DAISY, RATE, 2.0, low), x)[30:36])


def test_the_jaw_is_known_by_the_electrodes_that_show_it(
    learned: Learned, check: CheckData
) -> None:
    """A session's clenches, flagged by what its check has shown."""
    clenches = check.asked("clench")
    start = clenches[0].start - 40.0
    rows = check.rows(start, clenches[-1].stop)
    assert rows is not None

    def share(told: Learned | None) -> float:
        monitor = monitor_for(DAISY, RATE, 0.1, told)
        found = flags(monitor, check.clean[rows])
        times = check.times[rows][24::25][: len(found)]
        inside = [
            np.mean(
                [MUSCLE in f for f, t in zip(found, times, strict=True) if c.start + 1 < t < c.stop]
            )
            for c in clenches
        ]
        return float(np.mean(inside))

    assert share(None) < 0.2
    assert share(learned) > 0.6


def test_a_limit_that_the_usual_has_passed_is_given_up() -> None:
    """A signal that has become noisy since the check would else be flagged for ever."""
    low = Learned("check", limits=(Limit("eyes: Fp1 Fp2", 5.0),))
    found = flags(monitor_for(DAISY, RATE, 2.0, low), simulated(60, STILL))
    assert np.mean([EYES in f for f in found[300:]]) < 0.1


def test_a_recording_is_searched_for_its_check(recording: Path, tmp_path: Path) -> None:
    other = rehearse(load_protocol("graz-2").scaled(1, 1), tmp_path, SubjectSettings(montage=DAISY))
    found = learn_from([recording, other])
    assert found is not None
    assert found.recording == recording.name
    assert learn_from([other]) is None
