from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt, welch

from rtbci.clock import ManualClock
from rtbci.errors import BadInputError
from rtbci.sources.simulated_signal import SignalConfig
from rtbci.sources.simulated_subject import SimulatedSubject
from rtbci.sources.simulator import (
    FULL_SCALE_UV,
    Disturbance,
    SimulatorSource,
    Trouble,
    cue_script,
)
from rtbci.types import ChannelType, FloatArray, Marker, RawChunk, SourceClock


def drain(source: SimulatorSource) -> list[RawChunk]:
    source.open()
    return list(iter(source.read, None))


def rows(chunks: list[RawChunk]) -> FloatArray:
    return np.concatenate([c.data for c in chunks])


def power(x: FloatArray, hz: float, rate: float = 250.0) -> FloatArray:
    f, p = welch(x, rate, nperseg=500, axis=0)
    return np.array([float(q[np.abs(f - hz) <= 1.0].mean()) for q in p.T], dtype=np.float32)


@pytest.mark.parametrize("size", [1, 7, 256, 3000])
def test_values_do_not_depend_on_how_rows_are_read(size: int) -> None:
    script = [(0.5, "left_hand"), (1.501, "rest"), (3.0, "feet")]
    eyes = SignalConfig(saccade_uv=40.0)
    whole, cut = (
        drain(
            SimulatorSource(paced=False, duration_s=4.0, script=script, signal=eyes, unpaced_rows=n)
        )
        for n in (1000, size)
    )
    assert rows(whole).tobytes() == rows(cut).tobytes()
    assert [m.label for c in cut for m in c.markers] == ["left_hand", "rest", "feet"]


def test_paced_and_unpaced_give_the_same_values() -> None:
    clock = ManualClock(100.0)
    paced = SimulatorSource(clock=clock, duration_s=3.0, seed=3)
    paced.open()
    chunks = []
    for step in itertools.cycle([0.004, 0.1, 0.0, 0.033]):
        chunk = paced.read()
        if chunk is None:
            break
        chunks.append(chunk)
        clock.advance(step)
    assert (
        rows(chunks).tobytes()
        == rows(drain(SimulatorSource(paced=False, duration_s=3.0, seed=3))).tobytes()
    )


def test_a_seed_is_a_subject_and_open_begins_again() -> None:
    source = SimulatorSource(paced=False, duration_s=1.0, seed=1)
    first, again = rows(drain(source)), rows(drain(source))
    other = rows(drain(SimulatorSource(paced=False, duration_s=1.0, seed=2)))
    assert first.tobytes() == again.tobytes()
    assert not np.array_equal(first, other)


def test_later_states_leave_earlier_rows_alone() -> None:
    short, long = (
        rows(drain(SimulatorSource(paced=False, duration_s=2.0, script=script)))
        for script in (None, [(1.0, "right_hand")])
    )
    assert short[:250].tobytes() == long[:250].tobytes()
    assert not np.array_equal(short[250:], long[250:])


def test_paced_schedule_is_absolute_and_never_ahead_of_the_clock() -> None:
    clock = ManualClock(7.0)
    source = SimulatorSource(clock=clock, rate=160.0)
    info = source.open()
    assert info.clock is SourceClock.EXACT
    times = []
    for step in (0.013, 0.5, 0.0001, 0.25, 2.0, 0.0):
        chunk = source.read()
        assert chunk is not None
        assert chunk.received == clock.now()
        assert np.all(chunk.times <= clock.now())
        times.append(chunk.times)
        clock.advance(step)
    all_times = np.concatenate(times)
    np.testing.assert_allclose(all_times, 7.0 + np.arange(len(all_times)) / 160.0)
    assert len(all_times) == 443
    empty = source.read()
    assert empty is not None
    assert empty.data.shape == (0, 22)


def test_amplitudes_are_those_of_eeg() -> None:
    x = rows(drain(SimulatorSource(paced=False, duration_s=120.0)))
    assert np.all((x.std(axis=0) > 8.0) & (x.std(axis=0) < 30.0))


def test_background_is_one_over_f_and_correlated_in_space() -> None:
    quiet = SignalConfig(alpha_uv=0, mu_uv=0, beta_uv=0, blink_uv=0, line_hz=0)
    source = SimulatorSource(("C3", "C1", "O2"), paced=False, duration_s=300.0, signal=quiet)
    x = rows(drain(source))
    f, p = welch(x[:, 0], 250, nperseg=1000)
    band = (f >= 1) & (f <= 40)
    slope = np.polyfit(np.log(f[band]), np.log(p[band]), 1)[0]
    assert -1.3 < slope < -0.8
    near = float(np.mean(x[:, 0] * x[:, 1]) / np.mean(x[:, 0] ** 2))
    far = float(np.mean(x[:, 0] * x[:, 2]) / np.mean(x[:, 0] ** 2))
    assert near > 0.5
    assert near > far + 0.2


def test_alpha_is_occipital_and_line_noise_where_it_was_asked_for() -> None:
    source = SimulatorSource(("Fz", "Oz"), paced=False, duration_s=120.0, line_hz=60.0)
    x = rows(drain(source))
    assert power(x, 10)[1] > 10 * power(x, 10)[0]
    assert np.all(power(x, 60) > 2 * power(x, 50))


def test_imagery_desynchronises_the_other_side() -> None:
    ratios = {}
    for state in ("left_hand", "right_hand", "feet"):
        x = rows(
            drain(
                SimulatorSource(
                    ("C3", "Cz", "C4"), paced=False, duration_s=120.0, script=[(0.0, state)]
                )
            )
        )
        ratios[state] = power(x, 11)
    rest = power(
        rows(drain(SimulatorSource(("C3", "Cz", "C4"), paced=False, duration_s=120.0))), 11
    )
    assert np.argmin(ratios["left_hand"] / rest) == 2
    assert np.argmin(ratios["right_hand"] / rest) == 0
    assert np.argmin(ratios["feet"] / rest) == 1
    assert np.all(ratios["feet"][[0, 2]] > rest[[0, 2]])
    assert ratios["left_hand"][2] < 0.4 * rest[2]


def test_band_power_tells_the_hands_apart() -> None:
    """What a decoder needs: log band power over C3 and C4, ten trials a class to learn from."""
    script = cue_script(trials=60, seed=4)
    source = SimulatorSource(
        ("C3", "Cz", "C4"), paced=False, duration_s=430.0, script=script, seed=4
    )
    chunks = drain(source)
    x = sosfiltfilt(butter(4, [8, 30], "bandpass", fs=250, output="sos"), rows(chunks), axis=0)
    start = chunks[0].times[0]
    cues = [(round((m.time - start) * 250), m.label) for c in chunks for m in c.markers]
    cues = [(at, label) for at, label in cues if label != "rest"]
    assert len(cues) == 60
    feature = np.array(
        [np.diff(np.log(x[at + 125 : at + 875, ::2].var(axis=0)))[0] for at, _ in cues]
    )
    left = np.array([label == "left_hand" for _, label in cues])
    learn = np.arange(60) < 20
    middle = (feature[learn & left].mean() + feature[learn & ~left].mean()) / 2
    correct = (feature < middle) == left
    assert correct[~learn].mean() > 0.9


def test_set_state_acts_from_the_next_row_and_is_checked() -> None:
    clock = ManualClock()
    source = SimulatorSource(clock=clock)
    source.open()
    clock.advance(1.0)
    source.read()
    source.set_state("left_hand")
    assert source.subject_state == "rest"
    clock.advance(1.0)
    source.read()
    assert source.subject_state == "left_hand"
    with pytest.raises(BadInputError, match="no state 'elbow'; it knows: rest, left_hand"):
        source.set_state("elbow")


def test_blinks_are_frontal_and_saccades_follow_the_cue() -> None:
    eyes = SignalConfig(saccade_uv=60.0)
    names = ("Fp1", "F7", "F8", "Oz")
    source = SimulatorSource(
        names,
        paced=False,
        duration_s=60.0,
        script=[(20.0, "left_hand"), (40.0, "rest")],
        signal=eyes,
    )
    x = rows(drain(source))
    assert x[:, 0].max() > 80
    assert x[:, 3].max() < 80
    f7, f8 = np.median(x[20 * 250 : 40 * 250, 1:3], axis=0) - np.median(x[: 20 * 250, 1:3], axis=0)
    assert f7 > 10
    assert f8 < -10


def test_lost_rows_leave_a_jump_in_counter_and_time() -> None:
    trouble = [Disturbance(Trouble.LOST, 1.0, 1.02)]
    whole = drain(SimulatorSource(paced=False, duration_s=2.0))
    torn = drain(SimulatorSource(paced=False, duration_s=2.0, disturbances=trouble))
    assert len(rows(torn)) == len(rows(whole)) - 5
    counters = np.concatenate([c.counters for c in torn if c.counters is not None])
    steps = np.diff(counters) % 256
    assert steps[249] == 6
    assert np.delete(steps, 249).tolist() == [1] * (len(steps) - 1)
    times = np.concatenate([c.times for c in torn])
    assert np.diff(times)[249] == pytest.approx(6 / 250)


def test_bad_channels_and_nan() -> None:
    trouble = [
        Disturbance(Trouble.FLAT, 0.0, 1.0, "C3"),
        Disturbance(Trouble.RAILED, 0.0, 1.0, "C4"),
        Disturbance(Trouble.NAN, 0.5, 0.52),
    ]
    x = rows(
        drain(SimulatorSource(("C3", "C4"), paced=False, duration_s=2.0, disturbances=trouble))
    )
    assert np.all(x[:125, 0] == 0)
    assert np.all(x[:125, 1] == FULL_SCALE_UV)
    assert np.isnan(x[125:130]).all()
    assert np.isfinite(x[250:]).all()
    assert x[250:].std() < 50


def test_a_stall_is_a_delay_and_loses_nothing() -> None:
    clock = ManualClock()
    stall = [Disturbance(Trouble.STALLED, 1.0, 2.0)]
    source = SimulatorSource(clock=clock, disturbances=stall)
    source.open()
    clock.advance(5.0)  # a model is loaded: the schedule begins with the first read
    counts = []
    for _ in range(13):
        chunk = source.read()
        assert chunk is not None
        counts.append(len(chunk.data))
        clock.advance(0.25)
    assert counts[4:8] == [62, 0, 0, 0]
    assert counts[8] > 240
    assert sum(counts) == 751


def test_auxiliary_channels_and_info() -> None:
    source = SimulatorSource(("T3", "CZ"), paced=False, duration_s=0.1, accelerometer=True)
    info = source.open()
    assert info.electrodes == ("T7", "Cz")
    assert [c.type for c in info.channels[2:]] == [ChannelType.ACCEL] * 3
    chunk = source.read()
    assert chunk is not None
    assert chunk.data.shape == (25, 5)
    np.testing.assert_allclose(np.linalg.norm(chunk.data[:, 2:], axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("rate", [125.0, 250.0, 512.0])
def test_any_names_and_rates(rate: float) -> None:
    x = rows(drain(SimulatorSource([f"Ch{i}" for i in range(8)], rate, paced=False, duration_s=9)))
    assert x.shape == (round(9 * rate), 8)
    assert np.all((x.std(axis=0) > 3) & (x.std(axis=0) < 60))


def test_cue_script_balances_its_rounds() -> None:
    cues = list(cue_script(("left_hand", "right_hand", "feet"), trials=9))
    states = [state for _, state in cues if state != "rest"]
    assert all(len(set(states[i : i + 3])) == 3 for i in (0, 3, 6))
    assert cues[0][0] == 5.0
    assert len(cues) == 18
    endless = cue_script()
    assert len(list(itertools.islice(endless, 100))) == 100


def test_bad_requests_are_refused_in_a_sentence() -> None:
    for kwargs, match in (
        ({"rate": 0.0}, "at least 20 Hz, got 0 Hz"),
        ({"skill": 9.0}, r"skill is between 0 \(imagines nothing\) and 2, got 9"),
        ({"montage": ()}, "at least one electrode"),
        ({"montage": ("C3", "c3.")}, "named twice: C3"),
        ({"disturbances": [Disturbance(Trouble.FLAT, 0, 1, "O9")]}, "can't disturb 'O9'"),
    ):
        with pytest.raises(BadInputError, match=match):
            SimulatorSource(**kwargs)
    source = SimulatorSource(paced=False, duration_s=3.0, script=[(2.0, "rest"), (1.0, "feet")])
    with pytest.raises(BadInputError, match=r"goes back in time at 1 s"):
        drain(source)


def told(markers: list[Marker], **changes: float) -> list[tuple[float, str]]:
    """States of a subject who is shown markers, by the time of the first row of each."""
    clock = ManualClock()
    source = SimulatorSource(("C3", "C4"), clock=clock, **changes)  # type: ignore[arg-type]
    source.open()
    states: list[tuple[float, str]] = []
    while clock.now() < 12.0:
        for marker in [m for m in markers if m.time <= clock.now()]:
            markers.remove(marker)
            source.on_marker(marker)
        source.read()
        if not states or states[-1][1] != source.subject_state:
            states.append((clock.now(), source.subject_state))
        clock.advance(0.02)
    return states


def test_the_subject_reacts_to_markers_a_moment_later() -> None:
    cues = [
        Marker(1.0, "left_hand", 1.0),
        Marker(2.0, "block", 9.0),
        Marker(4.0, "relax"),
        Marker(5.0, "ignore_left_hand", 1.0),
        Marker(6.0, "eyes_closed", 2.0),
        Marker(10.0, "tongue"),
    ]
    states = told(cues)
    assert [s for _, s in states] == ["rest", "left_hand", "rest", "eyes_closed", "rest", "tongue"]
    assert all(
        0.05 < at - due < 0.8
        for (at, _), due in zip(states[1:], (1.0, 4.0, 6.0, 8.0, 10.0), strict=True)
    )


def test_the_subject_says_when_she_reacts() -> None:
    markers = [Marker(1.0, "left_hand"), Marker(2.0, "T0"), Marker(4.0, "relax")]
    one, other = (SimulatedSubject(5, (0.35, 0.08)) for _ in range(2))
    times = [one.react(m) for m in markers]
    assert np.isnan(times[1])
    assert 1.0 < times[0] < 2.0
    assert 4.0 < times[2] < 5.0
    assert times[0] == other.react(markers[0])
    assert one.state.coming == [(times[0], "left_hand"), (times[2], "rest")]


def test_a_new_cue_takes_the_place_of_what_was_to_come() -> None:
    quick = [Marker(1.0, "clench", 2.0), Marker(3.0, "look_left", 1.0), Marker(4.0, "right_hand")]
    assert [s for _, s in told(quick)][1:] in (
        ["clench", "look_left", "right_hand"],
        ["clench", "rest", "look_left", "right_hand"],
        ["clench", "look_left", "rest", "right_hand"],
        ["clench", "rest", "look_left", "rest", "right_hand"],
    )


def test_without_skill_a_state_changes_nothing() -> None:
    script = [(0.5, "left_hand"), (2.0, "feet")]
    idle, busy = (
        rows(drain(SimulatorSource(paced=False, duration_s=4.0, script=s, skill=0.0)))
        for s in (None, script)
    )
    assert idle.tobytes() == busy.tobytes()


def test_deeds_of_the_signal_check_are_where_they_belong() -> None:
    names = ("Fp1", "F7", "F8", "T7", "Cz", "O1")
    script = [(0.0, "rest"), (20.0, "eyes_closed"), (40.0, "look_left"), (60.0, "clench")]
    x = rows(drain(SimulatorSource(names, paced=False, duration_s=80.0, script=script)))
    rest, closed, look, jaw = (x[i * 5000 + 250 : (i + 1) * 5000] for i in range(4))
    assert power(closed, 10)[5] > 3 * power(rest, 10)[5]
    side = np.median(look[:, 1] - look[:, 2]) - np.median(rest[:, 1] - rest[:, 2])
    assert side > 40
    high = [np.diff(part, axis=0).std(axis=0) for part in (rest, jaw)]
    assert high[1][3] > 3 * high[0][3]
    assert high[1][4] < 2 * high[0][4]
