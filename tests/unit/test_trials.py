"""From markers to windows: which trials, which electrodes, which are too bad."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtbci.calibration.reading.track import Track
from rtbci.calibration.reading.trials import (
    Cue,
    TrialConfig,
    cut,
    describe_labels,
    find_cues,
    judge,
    motor_electrodes,
    rim_electrodes,
    usable_electrodes,
)
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.errors import BadInputError
from rtbci.types import ChannelHealth, Marker

RATE, HOP = 250.0, 25
NAMES = ("C3", "Cz", "C4", "O1")
VIEW = ViewConfig(reference="none")
TRIAL = TrialConfig()
CUES_S = (5.0, 12.0, 19.0, 26.0, 33.0)


def track(gap_at: float | None = None) -> Track:
    """40 s of noise of 5 µV; each row of the first column holds its own number."""
    n = round(40 * RATE)
    signal = 5 * np.random.default_rng(0).standard_normal((n, len(NAMES))).astype(np.float32)
    stops = np.arange(HOP, n + 1, HOP, dtype=np.int64)
    begins = np.zeros(len(stops), dtype=np.int64)
    if gap_at is not None:
        begins[stops > gap_at * RATE] = round(gap_at * RATE)
    markers = tuple(Marker(t, "T1" if k % 2 else "T2") for k, t in enumerate(CUES_S))
    good = np.ones((len(stops), len(NAMES)), dtype=np.bool_)
    return Track(
        Path("S.edf"),
        160.0,
        NAMES,
        {"v": signal[:, np.newaxis]},
        stops,
        begins,
        stops / RATE,
        good,
        markers,
        (),
    )


def cues_of(made: Track) -> list[Cue]:
    return find_cues([made], [{"T1": "left", "T2": "right"}], ("left", "right"), TRIAL, 2.0)


def judged(made: Track) -> list[Cue]:
    return judge([made], cues_of(made), NAMES[:3], TRIAL, "v", VIEW, 0.1, RATE)


def test_motor_electrodes_are_read_where_there_are_three() -> None:
    cap = ("Fp1", "FC3", "C3", "Cz", "CP4", "C5", "O1", "T7", "FCz")
    assert motor_electrodes(cap) == ("FC3", "C3", "Cz", "CP4", "C5", "FCz")
    assert motor_electrodes(("Fp1", "C3", "C4", "O1")) == ("C3", "C4", "O1")
    assert motor_electrodes(("Fp1", "C3", "C4")) == ("Fp1", "C3", "C4")


def test_the_rim_is_eyes_jaw_and_neck() -> None:
    cap = ("Fp1", "Fpz", "AF7", "AF3", "F7", "F5", "FT8", "T9", "T7", "PO3", "POz", "O2", "C3")
    assert rim_electrodes(cap) == ("Fp1", "Fpz", "AF7", "F7", "FT8", "T9", "PO3", "POz", "O2")


def test_a_trial_has_the_windows_of_a_live_session() -> None:
    cues = cues_of(track())
    assert [c.wanted for c in cues] == [1, 0, 1, 0, 1]
    for cue in cues:
        ends = track().token_time[cue.tokens] - cue.time
        assert len(ends) == 11
        assert ends[0] == pytest.approx(2.5)
        assert ends[-1] == pytest.approx(3.5)


def test_the_windows_are_the_rows_before_each_token() -> None:
    made = track()
    made.signals["v"][:, 0, 0] = np.arange(len(made.signals["v"]))
    windows = cut([made], cues_of(made), NAMES, TRIAL, "v", VIEW, RATE)
    assert windows.x.shape == (55, 4, 500)
    first = round((CUES_S[0] + 0.5) * RATE)
    np.testing.assert_array_equal(windows.x[0, 0], np.arange(first, first + 500))
    assert np.bincount(windows.trial[windows.fit]).tolist() == [5] * 5
    assert windows.y.tolist() == [1, 0, 1, 0, 1]


def test_a_gap_inside_a_trial_leaves_it_out() -> None:
    reasons = [c.reason for c in judged(track(gap_at=13.0))]
    assert reasons == ["", "gap or end of the recording", "", "", ""]


def test_a_trial_at_the_end_is_left_out() -> None:
    made = track()
    late = replace(made, markers=(*made.markers, Marker(37.0, "T1")))
    assert [c.reason for c in judged(late)] == [""] * 5 + ["gap or end of the recording"]


def test_an_electrode_that_is_left_out_costs_its_trials() -> None:
    made = track()
    made.token_good[230:240, 2] = False  # 23.1 to 24 s: no window ends there
    made.token_good[220:225, 2] = False
    assert [c.reason for c in judged(made)] == ["", "", "C4 left out", "", ""]
    made = track()
    made.token_good[220:225, 3] = False
    assert not any(c.reason for c in judged(made)), "O1 is not an electrode of the decoder"


def test_an_artefact_costs_its_trial_and_a_noisy_electrode_none() -> None:
    made = track()
    made.signals["v"][:, 0, 1] *= 20  # noisy all along: what is usual there is no artefact
    made.signals["v"][round(14 * RATE), 0, 0] = 500.0
    reasons = [c.reason for c in judged(made)]
    assert reasons == ["", "C3 above 4 times its usual amplitude", "", "", ""]


def test_a_fault_is_called_by_its_name() -> None:
    railed = ChannelHealth(round(22.0 * 160), "C4", "railed: 99 % at full scale")
    made = replace(track(), health=(railed,))
    made.token_good[220:225, 2] = False
    assert [c.reason for c in judged(made)] == ["", "", "C4 railed", "", ""]


def test_a_drift_costs_its_trial() -> None:
    made = track()
    slow = made.signals["v"].copy()
    slow[round(27 * RATE) : round(29 * RATE), 0, 2] += np.linspace(0, 400, 2 * round(RATE))
    made.signals["slow"] = slow
    cues = judge([made], cues_of(made), NAMES[:3], TRIAL, "v", VIEW, 0.1, RATE, "slow")
    said = "C4 drifts by more than 4 times its usual"
    assert [c.reason for c in cues] == ["", "", "", said, ""]


def test_a_trial_gives_each_view_its_own_windows() -> None:
    made = track()
    short = replace(VIEW, window_s=1.0)
    assert len(cut([made], judged(made), NAMES, TRIAL, "v", short, RATE).x) == 5 * 21


def test_an_electrode_that_is_bad_in_many_trials_is_not_used() -> None:
    made = track()
    made.token_good[50:150, 0] = False
    cues = cues_of(made)
    assert usable_electrodes([made], cues, NAMES) == (("Cz", "C4", "O1"), ("C3",))
    assert usable_electrodes([made], cues, ("O1", "C4")) == (("O1", "C4"), ())


def test_labels_that_match_nothing_are_named() -> None:
    with pytest.raises(BadInputError, match=r"it has T2 3 times, T1 2 times, and .* for 769, 770"):
        find_cues([track()], [{"769": "left", "770": "right"}], ("left", "right"), TRIAL, 2.0)
    assert describe_labels([]) == "no markers at all"
