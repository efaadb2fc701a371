"""The contracts with a decoder that adapts: chunking, the future, and a marker's arrival."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from online_trials import HANDS, NAMES, decoder, fitted

from rtbci.calibration.online.adaptation import Referenced
from rtbci.calibration.online.config import OnlineConfig
from rtbci.config import DecodeConfig, SessionConfig, TokenConfig
from rtbci.models.ar_model import ARModel
from rtbci.pipeline import Pipeline
from rtbci.types import (
    Channel,
    Chunk,
    Decode,
    DecoderChange,
    FloatArray,
    Marker,
    Result,
    StreamInfo,
)

RATE = 250.0
CONFIG = SessionConfig(token=TokenConfig(history_s=2.0), decode=DecodeConfig(trial_s=(0.1, 1.5)))
"""Trials so short that some end within seconds."""
INFO = StreamInfo("test", "test", RATE, tuple(Channel(name) for name in NAMES))
ONLINE = OnlineConfig(on=0.3, off=0.1, learn=True, learn_pull=1.0)
ROWS = 2500

Arrival = tuple[int, Marker]
"""A marker, and the row with which it came."""


@cache
def calibrated() -> Referenced:
    return fitted(n_trials=12)


def signal(seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    x = 10.0 * rng.standard_normal((ROWS, 3))
    for begin in range(0, ROWS, 500):
        x[begin : begin + 400, 2 * int(rng.integers(0, 2))] *= 0.4
    return x.astype(np.float32)


def arrivals(lateness: Sequence[int]) -> list[Arrival]:
    """Cues every 2 s, a label and an error; each comes so many rows after its own."""
    labels = ("left_hand", "right_hand", "left_hand", "right_hand", "label:left_hand", "error")
    rows = (100, 600, 1100, 1600, 2150, 2300)
    return [
        (row + late, Marker(100.0 + row / RATE, label, sample=row))
        for row, label, late in zip(rows, labels, lateness, strict=True)
    ]


def chunks(x: FloatArray, cuts: Sequence[int], came: Sequence[Arrival]) -> list[Chunk]:
    """Cut a session; a late marker begins a chunk, one in time comes with whatever has its row."""
    begins = {row for row, m in came if m.sample is not None and m.sample < row}
    edges = sorted({0, *cuts, *begins, len(x)})
    times = 100.0 + np.arange(len(x)) / RATE
    return [
        Chunk(
            a,
            x[a:b],
            times[a:b],
            float(times[b - 1]),
            markers=tuple(m for row, m in came if a <= row < b),
        )
        for a, b in itertools.pairwise(edges)
    ]


def run(pieces: Sequence[Chunk]) -> list[Result]:
    d = decoder(calibrated(), ONLINE, session=CONFIG)
    model = ARModel(NAMES, n_horizons=5)
    pipeline = Pipeline(INFO, CONFIG, model, d, skip=lambda *_: True)
    return [r for piece in pieces for r in pipeline.push(piece)]


def plain(results: Sequence[Result]) -> list[object]:
    """All of each result, to the last bit."""
    made: list[object] = []
    for r in results:
        if isinstance(r, Decode):
            made.append((r.token, r.sample, r.time, r.p.tobytes(), r.decision, r.evidence, r.flags))
        else:
            made.append(r)
    return made


@settings(max_examples=6)
@given(
    seed=st.integers(0, 50),
    cuts=st.lists(st.integers(1, ROWS - 1), max_size=12),
    lateness=st.lists(st.integers(0, 150), min_size=6, max_size=6),
)
def test_chunking_never_matters_with_adaptation(
    seed: int, cuts: list[int], lateness: list[int]
) -> None:
    x, came = signal(seed), arrivals(lateness)
    whole = run(chunks(x, [], came))
    assert sum(isinstance(r, DecoderChange) for r in whole) >= 1
    assert plain(whole) == plain(run(chunks(x, cuts, came)))


def test_one_row_at_a_time_is_the_whole_with_adaptation() -> None:
    x, came = signal(1), arrivals([0, 30, 0, 120, 7, 0])
    every = list(range(1, ROWS))
    assert plain(run(chunks(x, [], came))) == plain(run(chunks(x, every, came)))


@settings(max_examples=5)
@given(seed=st.integers(0, 50), at=st.integers(600, 2400))
def test_the_future_never_matters_with_adaptation(seed: int, at: int) -> None:
    """Neither samples nor markers that come later, whatever their own time is."""
    x, came = signal(seed), arrivals([0, 140, 0, 140, 0, 140])
    other = x.copy()
    other[at:] = signal(seed + 1)[at:]
    changed = [
        (row, m if row < at else replace(m, label=HANDS[m.label == HANDS[0]])) for row, m in came
    ]
    one, two = run(chunks(x, [], came)), run(chunks(other, [], changed))
    before = [[r for r in results if r.sample < at] for results in (one, two)]
    assert before[0]
    assert plain(before[0]) == plain(before[1])


def test_a_marker_counts_from_its_arrival_on() -> None:
    """A cue that comes late is a cue from then on, never from its own row on."""
    x = signal(2)
    cues = arrivals([0] * 6)[:4]
    late = [(row + 340 if k == 1 else row, m) for k, (row, m) in enumerate(cues)]
    found = [
        [r.sample for r in run(chunks(x, [], came)) if isinstance(r, DecoderChange)]
        for came in (cues, late)
    ]
    assert found[0][0] == 999  # the first token more than 1.5 s behind the second cue
    assert found[1][0] == 1999  # with two windows left a trial teaches nothing; the next one does
