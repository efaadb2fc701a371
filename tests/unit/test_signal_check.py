"""The signal check finds what is there, names what is wrong, and is silent where nothing is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtbci.calibration.protocol.config import load_protocol
from rtbci.calibration.protocol.rehearsal import SubjectSettings, rehearse
from rtbci.calibration.signal.check_data import (
    CheckData,
    Kept,
    Stretch,
    find_stretches,
    holds_check,
    read_check,
)
from rtbci.calibration.signal_check import SignalCheck, evaluate_signal_check, judge_signal_check
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.montage import MONTAGES
from rtbci.sources.simulated_signal import SignalConfig
from rtbci.types import ChannelHealth, Marker

CYTON = MONTAGES["openbci-cyton"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> CheckData:
    who = SubjectSettings(montage=CYTON, seed=3)
    parent = tmp_path_factory.mktemp("check")
    return read_check(rehearse(load_protocol("signal-check"), parent, who))


def level(found: SignalCheck, subject: str) -> str:
    return next(f.level for f in found.findings if f.subject == subject)


def said(found: SignalCheck, subject: str) -> str:
    return next(f.sentence for f in found.findings if f.subject == subject)


def changed(data: CheckData, name: str, raw: float, clean: float) -> CheckData:
    """One electrode multiplied, in the raw signal and after the filters."""
    column, made = data.electrodes.index(name), [data.raw.copy(), data.clean.copy()]
    for rows, factor in zip(made, (raw, clean), strict=True):
        rows[:, column] *= factor
    return replace(data, raw=made[0], clean=made[1])


def exchanged(data: CheckData, first: str, second: str) -> CheckData:
    """The leads of two electrodes, each in the other's socket."""
    order = np.arange(len(data.electrodes))
    pair = [data.electrodes.index(first), data.electrodes.index(second)]
    order[pair] = order[pair[::-1]]
    return replace(
        data, raw=data.raw[:, order], clean=data.clean[:, order], good=data.good[:, order]
    )


def test_a_good_signal_is_called_good(data: CheckData) -> None:
    found = judge_signal_check(data)
    assert {f.level for f in found.findings} == {"good"}
    assert [f.subject for f in found.findings] == [
        "alpha",
        "blinks",
        "looking aside",
        "jaw",
        "contacts",
    ]
    assert found.may_go_on
    assert found.lines()[-1] == "go on."
    assert found.blinks is not None
    assert found.blinks.n == found.blinks.asked == 8
    front, back = found.blinks.values[:2], found.blinks.values[-2:]
    assert front.min() > 40
    assert np.abs(back).max() < 0.2 * front.min()
    assert found.looks is not None
    assert found.looks.values[0] > 15
    assert found.looks.values[1] < -15
    assert found.alpha is not None
    assert found.alpha.values[-2:].min() > 4 * found.alpha.errors[-2:].max()
    assert "events" in found.to_dict()["blinks"]


def test_alpha_that_does_not_rise_is_said(tmp_path: Path) -> None:
    who = SubjectSettings(montage=CYTON, seed=4, signal=SignalConfig(closed=1.0))
    found = evaluate_signal_check(rehearse(load_protocol("signal-check"), tmp_path, who))
    assert level(found, "alpha") == "fair"
    assert "does not clearly rise" in said(found, "alpha")


@pytest.mark.parametrize(
    "pair", [("Fp1", "O1"), ("Fp2", "P8"), ("Fp1", "Fp2"), ("Fp1", "C4")], ids="-".join
)
def test_swapped_electrodes_are_named(data: CheckData, pair: tuple[str, str]) -> None:
    found = judge_signal_check(exchanged(data, *pair))
    assert [{s.first, s.second} for s in found.swaps] == [set(pair)]
    assert "perhaps swapped" in said(found, "places")


@pytest.mark.parametrize("seed", [0, 1])
def test_electrodes_in_their_places_are_not_called_swapped(tmp_path: Path, seed: int) -> None:
    signal = SignalConfig(closed=1.2 + seed, blink_uv=80.0 + 100 * seed, look_uv=200.0 - 100 * seed)
    who = SubjectSettings(montage=MONTAGES["openbci-daisy"], seed=seed, signal=signal)
    recording = rehearse(load_protocol("signal-check"), tmp_path, who)
    assert evaluate_signal_check(recording).swaps == ()


def test_turned_leads_are_found_by_the_blinks(data: CheckData) -> None:
    found = judge_signal_check(replace(data, raw=-data.raw, clean=-data.clean))
    assert level(found, "blinks") == "fair"
    assert "point down" in said(found, "blinks")
    assert level(found, "looking aside") == "good"
    assert found.swaps == ()


def test_left_and_right_exchanged_throughout_is_said(data: CheckData) -> None:
    order = [1, 0, 3, 2, 5, 4, 7, 6]
    found = judge_signal_check(
        replace(data, raw=data.raw[:, order], clean=data.clean[:, order], good=data.good[:, order])
    )
    assert level(found, "looking aside") == "bad"
    assert "wrong way round" in said(found, "looking aside")


def test_a_dead_electrode_is_named_and_stops_the_session(data: CheckData) -> None:
    found = judge_signal_check(changed(data, "C4", 1e-4, 1e-4))
    assert found.stops == ("C4",)
    assert not found.may_go_on
    assert level(found, "C4") == "bad"
    assert "is dead" in said(found, "C4")
    assert "C4" in found.verdict
    assert level(found, "blinks") == "good"


def test_a_railed_electrode_says_so(data: CheckData) -> None:
    good = data.good.copy()
    good[:, 0] = False
    health = (ChannelHealth(0, "Fp1", "railed: 99 % at full scale"),)
    found = judge_signal_check(replace(data, good=good, health=health))
    assert found.stops == ("Fp1",)
    assert "railed" in said(found, "Fp1")
    assert level(found, "blinks") == "good"  # by Fp2


def test_noise_and_mains_are_named(data: CheckData) -> None:
    noisy = judge_signal_check(changed(data, "P7", 1.0, 12.0))
    assert "is noisy" in said(noisy, "P7")
    hum = data.raw.copy()
    hum[:, 2] += (3000 * np.sin(2 * np.pi * 50 * data.raw_times)).astype(np.float32)
    found = judge_signal_check(replace(data, raw=hum))
    assert level(found, "C3") == "bad"
    assert "mains (50 Hz)" in said(found, "C3")
    assert found.contacts[2].mains_uv == pytest.approx(3000 / np.sqrt(2), rel=0.1)


def test_what_was_not_asked_for_is_not_judged(data: CheckData) -> None:
    parts = tuple(p for p in data.parts if p.label == "eyes_open")
    found = judge_signal_check(replace(data, parts=parts, prompts=()))
    for subject in ("alpha", "blinks", "looking aside", "jaw"):
        assert level(found, subject) == "fair"
        assert "can't be checked" in said(found, subject)
    assert found.to_dict()["alpha"] is None


def test_without_electrodes_at_the_eyes_nobody_is_blamed(tmp_path: Path) -> None:
    who = SubjectSettings(montage=MONTAGES["motor-3"])
    found = evaluate_signal_check(rehearse(load_protocol("signal-check"), tmp_path, who))
    assert "bad" not in {f.level for f in found.findings}


def test_parts_end_where_the_next_begins_and_bad_spans_are_left_out() -> None:
    markers = [
        Marker(1.0, "eyes_open", 24.0),
        Marker(20.0, "eyes_closed", 24.0),
        Marker(50.0, "blinks", 16.0),
        Marker(51.0, "blink", 2.0),
        Marker(53.0, "blink", 2.0),
        Marker(54.5, "BAD_paused", 3.0),
    ]
    parts, prompts = find_stretches(markers)
    assert parts == (Stretch("eyes_open", 1.0, 20.0), Stretch("eyes_closed", 20.0, 44.0))
    assert prompts == (Stretch("blink", 51.0, 53.0),)


def test_a_recording_without_a_check_is_refused_with_the_remedy(tmp_path: Path) -> None:
    protocol = load_protocol("graz-2").scaled(1, 1)
    recording = rehearse(protocol, tmp_path, SubjectSettings(montage=CYTON))
    assert not holds_check(recording)
    with pytest.raises(BadInputError, match=r"holds no signal check.*--protocol signal-check"):
        evaluate_signal_check(recording)


def test_alpha_rises_on_a_real_head(data_dir: Path) -> None:
    """One subject's minute with open eyes and her minute with closed eyes, 64 electrodes."""
    folder = data_dir / "motor_imagery" / "eegmmidb" / "S001"
    opened, closed = (_whole(folder / f"S001R0{run}.edf") for run in (1, 2))
    gap = opened.times[-1] + 1.0 - closed.times[0]
    n_raw = opened.raw_times[-1] + 1.0 - closed.raw_times[0]
    joined = replace(
        opened,
        clean=np.concatenate([opened.clean, closed.clean]),
        times=np.concatenate([opened.times, closed.times + gap]),
        segment=np.concatenate([opened.segment, closed.segment + 10]),
        raw=np.concatenate([opened.raw, closed.raw]),
        raw_times=np.concatenate([opened.raw_times, closed.raw_times + n_raw]),
        good=np.concatenate([opened.good, closed.good]),
        good_times=np.concatenate([opened.good_times, closed.good_times + gap]),
        parts=(
            Stretch("eyes_open", opened.times[0], opened.times[-1]),
            Stretch("eyes_closed", closed.times[0] + gap, closed.times[-1] + gap),
        ),
    )
    found = judge_signal_check(joined)
    assert level(found, "alpha") == "good"
    assert found.swaps == ()
    assert found.stops == ()


def _whole(path: Path) -> CheckData:
    return Kept(path, None, SessionConfig(), np.inf).data((), ())
