"""The control table: what eyes, muscle and the order of cues alone would give."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from rtbci.calibration.card import Control
from rtbci.calibration.controls.control import (
    BEFORE_NAME,
    CENTRAL_CLEAN_NAME,
    CENTRAL_NAME,
    FAILED_NAME,
    HIGH_NAME,
    RAW_NAME,
    RIM_BAND_NAME,
    RIM_NAME,
    Scored,
    _before,
    _high,
    _shown_s,
    caveat,
    control_table,
    control_views,
    decide,
)
from rtbci.calibration.decoders.catalogue import ts_lr
from rtbci.calibration.reading.track import Track
from rtbci.calibration.reading.trials import TrialConfig, cut, find_cues, judge
from rtbci.calibration.scoring.cross_validation import blocked_folds
from rtbci.calibration.signal.streaming import CausalView, ViewConfig
from rtbci.config import PreprocessConfig
from rtbci.sources.simulated_signal import BLOCK, SignalConfig, SignalGenerator
from rtbci.types import Marker

RATE, HOP = 250.0, 25
CAP = ("Fp1", "Fp2", "F7", "F8", "C3", "Cz", "C4", "CP3", "CP4", "O1", "O2")
MOTOR = ("C3", "Cz", "C4", "CP3", "CP4")
CLASSES = ("left_hand", "right_hand")
LABELS = {name: name for name in CLASSES}
FIRST_S, EVERY_S, CUE_S, N_TRIALS = 6.0, 7.0, 4.0, 20
VIEW, TRIAL, CHAIN = ViewConfig(), TrialConfig(), PreprocessConfig()


@cache
def session(
    signal: SignalConfig,
    names: tuple[str, ...] = CAP,
    early: bool = False,
    seed: int = 0,
    controls: bool = True,
) -> Track:
    """A session of the simulated subject behind the views; ``early``: she begins 4 s too soon."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(N_TRIALS) % 2)
    rows = round((FIRST_S + EVERY_S * N_TRIALS) * RATE)
    state = np.zeros(rows, dtype=np.int64)
    for k, wanted in enumerate(y):
        cue = FIRST_S + EVERY_S * k - (4.0 if early else 0.0)
        state[round(cue * RATE) : round((cue + CUE_S + (2.0 if early else 0.0)) * RATE)] = (
            wanted + 1
        )
    made, parts = SignalGenerator(names, RATE, seed, signal), []
    states = ("rest", *CLASSES)
    for start in range(0, rows, BLOCK):
        block, at = made.block(), 0
        stop = min(BLOCK, rows - start)
        while at < stop:
            here = state[start + at]
            until = at + int(np.argmax(np.append(state[start + at : start + stop] != here, True)))
            parts.append(made.combine(block, at, until, states[here]))
            at = until
    x = np.concatenate(parts).astype(np.float32)
    views = {"decoder": VIEW} | (control_views({"decoder": VIEW}, CHAIN) if controls else {})
    stops = np.arange(HOP, len(x) + 1, HOP, dtype=np.int64)
    return Track(
        path=Path("simulated"),
        rate=RATE,
        electrodes=names,
        signals={
            k: CausalView(range(len(names)), RATE, v, names).push(x) for k, v in views.items()
        },
        token_stop=stops,
        token_begin=np.zeros(len(stops), dtype=np.int64),
        token_time=(stops - 1) / RATE,
        token_good=np.ones((len(stops), len(names)), dtype=np.bool_),
        markers=tuple(Marker(FIRST_S + EVERY_S * k, CLASSES[w]) for k, w in enumerate(y)),
        health=(),
    )


def scored(track: Track) -> Scored:
    cues = find_cues([track], [LABELS], CLASSES, TRIAL, VIEW.window_s)
    cues = judge([track], cues, MOTOR, TRIAL, "decoder", VIEW, HOP / RATE, RATE)
    windows = cut([track], cues, MOTOR, TRIAL, "decoder", VIEW, RATE)
    folds = blocked_folds(windows.y, windows.run, 2)
    evidence = decide(ts_lr, windows, folds.folds, 2)
    return Scored((track,), cues, folds, 2, MOTOR, "decoder", VIEW, ts_lr, evidence, TRIAL, CHAIN)


@cache
def quiet() -> tuple[float, dict[str, Control]]:
    return table(session(QUIET))


def table(track: Track) -> tuple[float, dict[str, Control]]:
    """Balanced accuracy of the decoder, and its controls."""
    of = scored(track)
    y = np.array([c.wanted for c in of.used])
    right: npt.NDArray[np.bool_] = np.argmax(of.evidence, axis=1) == y
    balanced = float(np.mean([right[y == c].mean() for c in (0, 1)]))
    return balanced, {c.name: c for c in control_table(of)}


def reached(controls: dict[str, Control], name: str) -> float:
    value = controls[name].balanced
    assert value is not None, controls[name].note
    return value


QUIET = SignalConfig(erd=0.7, mu_uv=12.0, blink_uv=0.0, line_uv=0.0)


def test_imagery_without_eyes_is_found_central_and_nowhere_else() -> None:
    balanced, controls = quiet()
    assert balanced > 0.9
    assert reached(controls, RAW_NAME) > 0.8
    for name in (RIM_NAME, HIGH_NAME, BEFORE_NAME):
        assert reached(controls, name) < 0.8
    assert caveat(balanced, list(controls.values())) == ""


def test_a_gaze_that_follows_the_cue_is_found_at_the_rim() -> None:
    """Somebody who imagines nothing but looks where the target is: the table says eyes."""
    looks = replace(QUIET, erd=0.0, saccade_uv=80.0)
    balanced, controls = table(session(looks))
    assert reached(controls, RIM_NAME) > 0.9
    assert balanced < 0.75
    said = caveat(balanced, list(controls.values()))
    assert said.startswith("this decoder may be reading eyes or muscle: the rim alone reaches")


def test_saccades_that_go_with_the_labels_do_not_raise_accuracy() -> None:
    """Regression and band: over several subjects, looking adds nothing to what imagining gives."""
    gains = []
    for seed in range(3):
        still = replace(QUIET, erd=0.25, mu_uv=6.0)
        alone = score(session(still, seed=seed, controls=False))
        looking = score(session(replace(still, saccade_uv=80.0), seed=seed, controls=False))
        gains.append(looking - alone)
    assert np.mean(gains) < 0.05


def score(track: Track) -> float:
    of = scored(track)
    y = np.array([c.wanted for c in of.used])
    return float(np.mean(np.argmax(of.evidence, axis=1) == y))


def test_the_regression_takes_the_eyes_from_the_central_low_band() -> None:
    _, controls = table(session(replace(QUIET, saccade_uv=150.0, background_uv=4.0)))
    assert reached(controls, CENTRAL_NAME) > reached(controls, CENTRAL_CLEAN_NAME)


def test_who_knows_before_the_cue_reads_their_order() -> None:
    """Blocks of one class each, and a subject who begins before the cue."""
    balanced, controls = table(session(QUIET, early=True))
    assert reached(controls, BEFORE_NAME) > 0.85
    said = caveat(balanced, list(controls.values()))
    assert said.startswith("this decoder may be reading the order of the cues: before them")


def test_a_cue_that_was_shown_for_a_while_is_not_in_the_windows_before_it() -> None:
    """Our own protocols count a trial from when its cue has gone: what is before it was seen."""
    of = scored(session(QUIET))
    track, shown_s = of.tracks[0], 1.25
    shown = [Marker(m.time - shown_s, m.label, shown_s, origin="cue") for m in track.markers]
    assert _shown_s(track, track.markers[3].time) == 0.0
    again = replace(track, markers=tuple(shown))
    assert _shown_s(again, track.markers[3].time) == pytest.approx(shown_s)


def test_the_decoder_is_scored_where_the_rim_fails() -> None:
    _, controls = quiet()
    row = controls[FAILED_NAME]
    assert row.balanced is not None
    assert row.balanced > 0.8
    assert row.note.endswith("trials")


def test_a_montage_without_rim_says_so_in_every_row() -> None:
    _, controls = table(session(QUIET, names=MOTOR))
    for name in (RIM_NAME, RIM_BAND_NAME, FAILED_NAME):
        assert controls[name].balanced is None
        assert controls[name].note == "no such electrodes here"
    for name in (RAW_NAME, CENTRAL_CLEAN_NAME):
        assert controls[name].note == "no electrode to regress on here"
    assert "can't be ruled out" in caveat(0.9, list(controls.values()))


def test_where_the_chain_ends_too_low_there_is_no_muscle_row() -> None:
    of = scored(session(QUIET))
    chain = PreprocessConfig(low_pass_hz=40.0)
    assert "control: high" not in control_views({"decoder": VIEW}, chain)
    row = _high(replace(of, preprocess=chain), CAP)
    assert row.balanced is None
    assert row.note == "the chain ends at 40 Hz"


def test_where_windows_before_the_cue_are_not_whole_there_is_no_such_row() -> None:
    of = scored(session(QUIET))
    track = of.tracks[0]
    short = replace(track, token_begin=np.maximum(track.token_stop - 100, 0))
    row = _before(replace(of, tracks=(short,)))
    assert row.balanced is None
    assert "too few trials" in row.note


@pytest.mark.parametrize(
    ("rim", "before", "said"),
    [
        (0.56, 0.5, "eyes or muscle"),
        (0.5, 0.58, "order of the cues"),
        (0.5, 0.5, ""),
    ],
)
def test_the_sentence_comes_within_five_points(rim: float, before: float, said: str) -> None:
    rows = (
        Control(RIM_NAME, 9, (0.3, 4.0), rim),
        Control(RIM_BAND_NAME, 9, (8.0, 30.0), 0.5),
        Control(BEFORE_NAME, 5, (8.0, 30.0), before),
    )
    made = caveat(0.6, rows)
    assert said in made
    assert bool(made) == bool(said)
