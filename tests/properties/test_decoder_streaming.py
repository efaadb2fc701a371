"""The contracts at the decoder: chunking and the future never matter, live equals offline."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtbci.calibration.decoders import make_decoder
from rtbci.calibration.streaming import CausalView, StreamingDecoder, ViewConfig, as_trial

RATE, HOP = 250.0, 25
NAMES = ("C3", "Cz", "C4", "CP3", "CP4")
CONFIG = ViewConfig(window_s=0.4)


def signal(seconds: float, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rng = np.random.default_rng(seed)
    shape = (round(seconds * RATE), len(NAMES))
    return np.asarray(20 * rng.standard_normal(shape), dtype=np.float32)


@given(cuts=st.lists(st.integers(0, 500), max_size=8), seed=st.integers(0, 100))
def test_however_it_is_cut_the_view_is_the_same(cuts: list[int], seed: int) -> None:
    x = signal(2.0, seed)
    whole = CausalView(range(5), RATE, CONFIG).push(x)
    view = CausalView(range(5), RATE, CONFIG)
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
    seen = CausalView(range(5), RATE, CONFIG).push(x)
    ends = range(n_rows, len(x) + 1, HOP)
    trials = np.stack([as_trial(seen[end - n_rows : end], CONFIG) for end in ends])
    fitted = make_decoder(name).fit(trials, np.arange(len(trials)) % 2)
    offline = fitted.predict_proba(trials)

    other = x.copy()
    other[hops * HOP :] = signal(3.0, seed + 1)[hops * HOP :]
    answers = []
    for stream in (x, other):
        d = StreamingDecoder("test", fitted, ("a", "b"), NAMES, NAMES, RATE, CONFIG)
        for k in range(hops):
            d.push(stream[k * HOP : (k + 1) * HOP])
        answers.append(d.decode(np.ones(5, dtype=np.bool_)))
    (p, reason), (again, _) = answers
    assert reason == ""
    np.testing.assert_array_equal(p, again)
    np.testing.assert_allclose(p, offline[list(ends).index(hops * HOP)], atol=1e-6)
