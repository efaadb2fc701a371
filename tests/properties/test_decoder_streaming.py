"""The contracts at the decoder: chunking and the future never matter, live equals offline."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtbci.calibration.decoders.catalogue import make_decoder
from rtbci.calibration.signal.streaming import CausalView, StreamingDecoder, ViewConfig, as_trial

RATE, HOP = 250.0, 25
NAMES = ("C3", "Cz", "C4", "CP3", "CP4")
CONFIG = ViewConfig(window_s=0.4)
RIM = ("Fp1", "Fp2", "F7", "F8")
STREAM = ("Fp1", "C3", "Cz", "Fp2", "C4", "F7", "CP3", "CP4", "F8")
"""Electrodes near the eyes among the decoder's: they are regressed out."""


def signal(seconds: float, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rng = np.random.default_rng(seed)
    eyes = 30 * rng.standard_normal((round(seconds * RATE), 1))
    shape = (round(seconds * RATE), len(STREAM))
    return np.asarray(20 * rng.standard_normal(shape) + eyes, dtype=np.float32)


@given(cuts=st.lists(st.integers(0, 500), max_size=8), seed=st.integers(0, 100))
def test_however_it_is_cut_the_view_is_the_same(cuts: list[int], seed: int) -> None:
    x = signal(2.0, seed)
    columns = range(len(STREAM))
    whole = CausalView(columns, RATE, CONFIG, STREAM).push(x)
    view = CausalView(columns, RATE, CONFIG, STREAM)
    assert view.references == RIM
    edges = [0, *sorted(cuts), len(x)]
    parts = [view.push(x[a:b]) for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@given(
    hops=st.integers(4, 20), seed=st.integers(0, 100), name=st.sampled_from(["csp+lda", "ts+lr"])
)
def test_a_decode_depends_on_the_past_alone_and_equals_the_offline_one(
    hops: int, seed: int, name: str
) -> None:
    x = signal(3.0, seed)
    n_rows = CONFIG.rows(RATE)
    columns = [STREAM.index(name) for name in NAMES]
    seen = CausalView(range(len(STREAM)), RATE, CONFIG, STREAM).push(x)[:, :, columns]
    ends = range(n_rows, len(x) + 1, HOP)
    trials = np.stack([as_trial(seen[end - n_rows : end], CONFIG) for end in ends])
    fitted = make_decoder(name).fit(trials, np.arange(len(trials)) % 2)
    offline = fitted.predict_proba(trials)

    other = x.copy()
    other[hops * HOP :] = signal(3.0, seed + 1)[hops * HOP :]
    answers = []
    for stream in (x, other):
        d = StreamingDecoder("test", fitted, ("a", "b"), NAMES, STREAM, RATE, CONFIG)
        for k in range(hops):
            d.push(stream[k * HOP : (k + 1) * HOP])
        answers.append(d.decode(np.ones(len(STREAM), dtype=np.bool_)))
    (p, reason), (again, _) = answers
    assert reason == ""
    np.testing.assert_array_equal(p, again)
    np.testing.assert_allclose(p, offline[list(ends).index(hops * HOP)], atol=1e-6)


@given(seed=st.integers(0, 100), hops=st.integers(1, 15))
def test_a_new_segment_begins_without_what_was_learned(seed: int, hops: int) -> None:
    x = signal(2.0, seed)
    view = CausalView(range(len(STREAM)), RATE, CONFIG, STREAM)
    view.push(signal(1.0, seed + 1)[: hops * HOP + 7])
    view.reset()
    fresh = CausalView(range(len(STREAM)), RATE, CONFIG, STREAM)
    np.testing.assert_array_equal(view.push(x), fresh.push(x))
