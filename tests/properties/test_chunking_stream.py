"""Contracts 1-3 for ring and preprocessing: no chunking, and no future, changes a result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import oaconvolve, sosfilt

from rtbci.config import PreprocessConfig
from rtbci.filters import design
from rtbci.preprocess import Preprocessed, Preprocessor
from rtbci.resample import Resampler
from rtbci.ring import MirrorRing

RATES = st.sampled_from([100.0, 125.0, 128.0, 160.0, 200.0, 250.0, 256.0, 500.0, 1000.0, 2048.0])
REFERENCES = st.sampled_from(["none", "average", "1,2"])
WINDOW = 250
CHUNKS = st.lists(
    st.sampled_from([0, 1, 2, 7, WINDOW - 1, WINDOW, WINDOW + 1, 10_000]) | st.integers(0, 500),
    max_size=30,
)


def signal(seed: int, n: int, holes: bool) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(size=(n, 3)), axis=0) + rng.normal(scale=1e5, size=3)
    if holes:
        x[rng.random(x.shape) < 0.02] = np.nan
        x[: rng.integers(0, 50), 0] = np.inf
    return x.astype(np.float32)


def whole(rate: float, reference: str, x: npt.NDArray[np.float32], cuts: list[int]) -> Preprocessed:
    """Preprocess ``x`` afresh in chunks of these sizes, the rest at the end."""
    pre = Preprocessor(rate, x.shape[1], replace(PreprocessConfig(), reference=reference))
    good = np.array([True, True, False])
    parts = []
    at = 0
    for size in [*cuts, len(x)]:
        parts.append(pre.push(x[at : at + size], good))
        at = min(len(x), at + size)
    return Preprocessed(
        *(
            np.concatenate([getattr(p, name) for p in parts])
            for name in ("signal", "mean", "scale", "filtered")
        )
    )


def assert_same(a: Preprocessed, b: Preprocessed) -> None:
    for name in ("signal", "mean", "scale", "filtered"):
        left, right = getattr(a, name), getattr(b, name)
        assert left.dtype == np.float32
        assert left.shape == right.shape
        assert left.tobytes() == right.tobytes(), name


@given(RATES, REFERENCES, CHUNKS, st.integers(0, 2**32 - 1), st.booleans())
def test_any_chunking_is_bit_identical(
    rate: float, reference: str, cuts: list[int], seed: int, holes: bool
) -> None:
    x = signal(seed, 3000, holes)
    assert_same(whole(rate, reference, x, cuts), whole(rate, reference, x, []))


@pytest.mark.parametrize("size", [1, WINDOW - 1, WINDOW, WINDOW + 1])
def test_equal_chunks_are_bit_identical_to_one_of_10_000(size: int) -> None:
    x = signal(5, 10_000, holes=True)
    cuts = [size] * min(len(x) // size, 2500)
    assert_same(whole(160.0, "average", x, cuts), whole(160.0, "average", x, []))


@given(CHUNKS, CHUNKS, st.integers(0, 2**32 - 1))
def test_electrodes_that_come_and_go_do_not_change_that(
    cuts: list[int], others: list[int], seed: int
) -> None:
    """The mask changes at given rows (as the pipeline changes it at hops), chunks lie anyhow."""
    x = signal(seed, 3000, holes=True)
    masks = np.array([[True, True, True], [True, False, True], [True, True, False]])

    def run(sizes: list[int]) -> bytes:
        pre = Preprocessor(160.0, 3, replace(PreprocessConfig(), reference="average"))
        at = 0
        parts = []
        for size in [*sizes, len(x)]:
            stop = min(len(x), at + size)
            while True:
                until = min(stop, (at // 400 + 1) * 400)
                parts.append(pre.push(x[at:until], masks[(at // 400) % 3]))
                at = until
                if at == stop:
                    break
        return b"".join(
            np.concatenate([getattr(p, name) for p in parts]).tobytes()
            for name in ("signal", "mean", "scale", "filtered")
        )

    assert run(cuts) == run(others)


@pytest.mark.parametrize("rate", [128.0, 160.0, 500.0, 2048.0])
def test_streaming_equals_one_pass_offline(rate: float) -> None:
    """Hop by hop, against scipy on the whole signal: sosfilt, zero stuffing and convolution."""
    x = signal(7, 3000, holes=False)
    streamed = whole(rate, "none", x, [round(rate / 10)] * 30)
    resampler = Resampler(rate, 250.0, 45.0, 3)
    up = resampler.up
    rows = x.astype(np.float64)
    filtered = sosfilt(design(rate, PreprocessConfig()), rows - rows[0], axis=0)
    stuffed = np.zeros((len(x) * up, 3))
    stuffed[::up] = filtered
    smooth = oaconvolve(stuffed, resampler.taps[:, None], axes=0)
    half = round(resampler.delay_s * rate * up)
    at = np.array(
        [round(resampler.source_position(m) * up) + half for m in range(len(streamed.signal))]
    )
    settled = at >= len(resampler.taps)  # before, the stream holds its first row
    np.testing.assert_allclose(streamed.signal[settled], smooth[at[settled]], rtol=1e-5, atol=1e-4)


@given(RATES, REFERENCES, st.integers(1, 2999), st.integers(0, 2**32 - 1))
def test_the_future_never_changes_the_past(
    rate: float, reference: str, cut: int, seed: int
) -> None:
    x = signal(seed, 3000, holes=False)
    other = x.copy()
    other[cut:] = np.nan
    other[cut::3] = 1e6
    a, b = whole(rate, reference, x, []), whole(rate, reference, other, [])
    pre = Preprocessor(rate, 3, PreprocessConfig())
    past = next(m for m in range(len(a.signal) + 1) if pre.ready(m) > cut)
    for name in ("signal", "mean", "scale"):
        assert getattr(a, name)[:past].tobytes() == getattr(b, name)[:past].tobytes()
    assert a.filtered[:cut].tobytes() == b.filtered[:cut].tobytes()


@given(st.integers(1, 50), st.lists(st.integers(0, 120), max_size=20))
def test_the_ring_shows_the_newest_rows(capacity: int, sizes: list[int]) -> None:
    ring = MirrorRing(capacity, 1)
    total = sum(sizes)
    rows = np.arange(total, dtype=np.float32)[:, None]
    at = 0
    for size in sizes:
        ring.write(rows[at : at + size])
        at += size
    n = min(capacity, total)
    np.testing.assert_array_equal(ring.view(n), rows[total - n :])
