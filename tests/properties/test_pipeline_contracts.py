"""The contracts of the whole pipeline: chunking and the future never matter."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from rtbci.commands import LeaveOut, SetThreshold, Steer, TakeBack
from rtbci.config import SessionConfig, TokenConfig
from rtbci.errors import BadInputError
from rtbci.health import BY_HAND
from rtbci.models.ar_model import ARModel
from rtbci.pipeline import Pipeline
from rtbci.preprocess import Preprocessor
from rtbci.tick import Tick
from rtbci.types import (
    BoolArray,
    Channel,
    ChannelHealth,
    ChannelType,
    Chunk,
    Decode,
    FloatArray,
    Forecast,
    Gap,
    GapCause,
    Result,
    StreamInfo,
    TimeArray,
)

NAMES = ("C3", "Cz", "C4")
CONFIG = SessionConfig(token=TokenConfig(history_s=4.0))


def stream(rate: float) -> StreamInfo:
    """Three electrodes and an accelerometer between them, which no result may depend on."""
    channels = (
        Channel("C3", full_scale=1e5),
        Channel("acc", ChannelType.ACCEL, "g"),
        Channel("Cz", full_scale=1e5),
        Channel("C4", full_scale=1e5),
    )
    return StreamInfo("test", "test", rate, channels)


@dataclass
class SumDecoder:
    """A decoder whose answer depends on every sample and every call since the last reset."""

    name: str = "sum"
    classes: tuple[str, ...] = ("a", "b")
    calibrated: bool = True
    window_s: float = 0.5
    total: float = 0.0
    blocks: list[int] = field(default_factory=list)

    def reset(self) -> None:
        self.total = 0.0

    def push(self, block: FloatArray) -> None:
        self.blocks.append(len(block))
        self.total = 0.9 * self.total + float(np.sum(block, dtype=np.float64))

    def decode(self, good: BoolArray) -> tuple[npt.NDArray[np.float64], str]:
        p = float(expit(1e-3 * self.total))
        return np.array([p, 1 - p]), "" if good.all() else "an electrode is left out"


def signal(rate: float, seconds: float, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    n = round(rate * seconds)
    walk = np.cumsum(rng.standard_normal((n, 4)), axis=0)
    return (walk + 1e4 * rng.standard_normal(4)).astype(np.float32)


def chunks(data: FloatArray, rate: float, cuts: list[int], gaps: list[Gap]) -> list[Chunk]:
    """Cut the session in pieces: ``cuts`` are where it is cut, gaps shift the times behind them."""
    times = 100.0 + np.arange(len(data)) / rate
    for gap in gaps:
        times[gap.sample :] += gap.length
    edges = [0, *sorted(cuts), len(data)]
    return [
        Chunk(
            a,
            data[a:b],
            times[a:b],
            received=float(times[b - 1]) if b > a else 0.0,
            gaps=tuple(g for g in gaps if a <= g.sample < b),
        )
        for a, b in itertools.pairwise(edges)
    ]


def run(
    rate: float,
    pieces: list[Chunk],
    before: dict[int, Steer] | None = None,
    known: dict[int, Steer] | None = None,
) -> list[Result]:
    """Push pieces; steer ``before`` a piece, by its first row, or let all be ``known`` at once."""
    pipeline = Pipeline(
        stream(rate), CONFIG, ARModel(NAMES, n_horizons=50), SumDecoder(), warm_up_s=2.0
    )
    results: list[Result] = []
    for sample, steer in (known or {}).items():
        pipeline.steer(sample, steer)
    for piece in pieces:
        if before and len(piece.data) and piece.start in before:
            pipeline.steer(piece.start, before[piece.start])
        results += pipeline.push(piece)
    assert pipeline.state.rows == sum(len(p.data) for p in pieces)
    results.append(pipeline.skill.table())  # type: ignore[arg-type]
    return results


def assert_identical(one: list[Result], other: list[Result]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert type(a) is type(b)
        if isinstance(a, Forecast) and isinstance(b, Forecast):
            assert (a.token, a.sample, a.time) == (b.token, b.sample, b.time)
            assert a.mean.tobytes() == b.mean.tobytes()
        elif isinstance(a, Decode) and isinstance(b, Decode):
            assert (a.token, a.sample, a.time, a.reason) == (b.token, b.sample, b.time, b.reason)
            assert a.decision == b.decision
            assert a.p.tobytes() == b.p.tobytes()
        else:
            assert a == b


def planted(sample: int, length: float, rate: float, bridged: bool) -> Gap:
    missing = round(length * rate)
    return Gap(sample, 0.0, length, missing, GapCause.LOST_FRAMES, bridged)


@pytest.mark.parametrize("rate", [125.0, 160.0, 250.0, 500.0])
@settings(max_examples=15)
@given(
    seed=st.integers(0, 100),
    cuts=st.lists(st.integers(0, 500), max_size=30),
    gap_at=st.integers(1, 499),
    bridged=st.booleans(),
)
def test_chunking_never_matters(
    rate: float, seed: int, cuts: list[int], gap_at: int, bridged: bool
) -> None:
    data = signal(rate, 4.0, seed)
    gap = planted(gap_at, 0.04 if bridged else 1.0, rate, bridged)
    whole = run(rate, chunks(data, rate, [], [gap]))
    cut = run(rate, chunks(data, rate, [min(c, len(data)) for c in cuts], [gap]))
    assert sum(isinstance(r, Decode) for r in whole) > 10
    assert_identical(whole, cut)


STEERS: tuple[Steer, ...] = (
    LeaveOut("Cz"),
    TakeBack("Cz"),
    LeaveOut("C4"),
    SetThreshold(0.99),
    SetThreshold(0.51),
    LeaveOut("C4"),
)


@pytest.mark.parametrize("rate", [160.0, 250.0])
@settings(max_examples=15)
@given(
    seed=st.integers(0, 100),
    cuts=st.lists(st.integers(1, 500), max_size=6, unique=True),
    gap_at=st.integers(1, 499),
    bridged=st.booleans(),
)
def test_who_knows_beforehand_what_is_changed_by_hand_does_the_same(
    rate: float, seed: int, cuts: list[int], gap_at: int, bridged: bool
) -> None:
    data = signal(rate, 4.0, seed)
    gap = planted(gap_at, 0.04 if bridged else 1.0, rate, bridged)
    steers = dict(zip(sorted(cuts), STEERS, strict=False))
    live = run(rate, chunks(data, rate, cuts, [gap]), before=steers)
    replay = run(rate, chunks(data, rate, [], [gap]), known=steers)
    assert_identical(live, replay)


def test_an_electrode_left_out_by_hand_is_out_until_it_is_taken_back() -> None:
    data = signal(250.0, 8.0, 7)
    pieces = chunks(data, 250.0, [], [])
    made = run(
        250.0, pieces, known={300: LeaveOut("Cz"), 310: SetThreshold(0.51), 600: TakeBack("Cz")}
    )
    changes = [r for r in made if isinstance(r, ChannelHealth)]
    assert [(c.sample, c.channel, c.reason) for c in changes] == [
        (324, "Cz", BY_HAND), (624, "Cz", ""),
    ]  # fmt: skip
    for result in made:
        out = isinstance(result, Decode | Forecast) and 324 <= result.sample < 624
        if isinstance(result, Decode):
            assert bool(result.reason) is out
            if result.valid:
                sure = result.p.max() >= (0.7 if result.sample < 310 else 0.51)
                assert (result.decision is not None) == sure
        if isinstance(result, Forecast):
            assert not (out and np.isfinite(result.mean[:, 1]).any())
    assert np.isfinite([r for r in made if isinstance(r, Forecast)][-1].mean).all()
    decided = [r for r in made if isinstance(r, Decode) and r.decision and r.p.max() < 0.7]
    assert decided, "the threshold was never put to the test"


def test_what_cannot_be_changed_is_refused_with_the_reason() -> None:
    pipeline = Pipeline(stream(250.0), CONFIG, ARModel(NAMES, n_horizons=50), SumDecoder())
    with pytest.raises(BadInputError, match="no electrode 'acc'; there are C3, Cz, C4"):
        pipeline.steer(0, LeaveOut("acc"))
    for on, off in ((0.9, 0.4), (0.0, None), (1.5, None)):
        with pytest.raises(BadInputError, match="accumulates no evidence"):
            pipeline.steer(0, SetThreshold(on, off))


@pytest.mark.parametrize("rate", [125.0, 250.0, 500.0])
def test_who_watches_sees_the_signal_that_the_model_sees(rate: float) -> None:
    data = signal(rate, 5.0, 8)
    gap = planted(round(3 * rate), 1.0, rate, bridged=False)
    seen: list[tuple[FloatArray, TimeArray, bool]] = []
    pipeline = Pipeline(stream(rate), CONFIG, ARModel(NAMES, n_horizons=50))
    pipeline.watch = lambda *block: seen.append((block[0].copy(), block[1], block[2]))
    newest: list[tuple[float, float]] = []
    for piece in chunks(data, rate, [1, 2, 100, 101, 333], [gap]):
        for made in pipeline.push(piece):
            if isinstance(made, Forecast):
                shown = np.concatenate([times for _, times, _ in seen])
                newest.append((made.time, float(shown[np.searchsorted(shown, made.time - 1e-6)])))
    eeg = np.ascontiguousarray(data[: gap.sample, [0, 2, 3]])
    whole = Preprocessor(rate, 3, CONFIG.preprocess, names=NAMES).push(eeg, np.ones(3, np.bool_))
    second = [i for i, (_, _, begins) in enumerate(seen) if begins][1]
    before = np.concatenate([block for block, _, _ in seen[:second]])
    np.testing.assert_array_equal(before, whole.signal[: len(before)])
    assert len(before) >= len(whole.signal) - 25
    assert seen[0][2]
    times = np.concatenate([times for _, times, _ in seen[:second]])
    np.testing.assert_allclose(np.diff(times), 1 / 250.0, atol=1e-9)
    assert len(newest) > 10
    due, shown_at = np.transpose(newest)
    np.testing.assert_allclose(shown_at, due, atol=1e-6)


def test_one_row_at_a_time_is_the_whole() -> None:
    data = signal(250.0, 4.0, 0)
    cuts = list(range(1, len(data)))
    assert_identical(
        run(250.0, chunks(data, 250.0, [], [])), run(250.0, chunks(data, 250.0, cuts, []))
    )


@pytest.mark.parametrize("rate", [160.0, 250.0])
@settings(max_examples=15)
@given(seed=st.integers(0, 100), at=st.integers(300, 600))
def test_the_future_never_matters(rate: float, seed: int, at: int) -> None:
    data = signal(rate, 4.0, seed)
    at = min(at, len(data) - 1)
    other = data.copy()
    other[at:] = np.random.default_rng(seed + 1).standard_normal(other[at:].shape) * 300
    other[at + 3 :, 2] = np.nan
    past = [
        [r for r in run(rate, chunks(d, rate, [], []))[:-1] if r.sample < at] for d in (data, other)
    ]
    assert past[0]
    assert_identical(past[0], past[1])


def test_other_channels_never_matter() -> None:
    data = signal(250.0, 3.0, 1)
    other = data.copy()
    other[:, 1] = np.nan
    assert_identical(
        run(250.0, chunks(data, 250.0, [], [])), run(250.0, chunks(other, 250.0, [], []))
    )


def test_a_long_gap_begins_a_segment_and_a_short_one_does_not() -> None:
    data = signal(250.0, 6.0, 2)
    for bridged, segments in ((True, 1), (False, 2)):
        gap = planted(750, 0.08, 250.0, bridged)
        pipeline = Pipeline(stream(250.0), CONFIG, ARModel(NAMES, n_horizons=50), SumDecoder())
        results = [r for c in chunks(data, 250.0, [], [gap]) for r in pipeline.push(c)]
        samples = [r.sample for r in results if isinstance(r, Decode)]
        assert pipeline.state.segments == segments
        assert pipeline.state.bridged == (20 if bridged else 0)
        # A segment's first token is complete with its 250th row.
        assert (749 + 250 in samples) is not bridged
        assert max(np.diff(samples)) == (25 if bridged else 250)


def test_token_times_are_those_of_their_newest_sample() -> None:
    data = signal(250.0, 3.0, 3)
    results = run(250.0, chunks(data, 250.0, [100, 333], []))
    decodes = [r for r in results if isinstance(r, Decode)]
    assert [d.sample for d in decodes[:3]] == [249, 274, 299]
    np.testing.assert_allclose([d.time for d in decodes], [100 + d.sample / 250 for d in decodes])


def test_skipped_forecasts_leave_everything_else_as_it_was() -> None:
    data = signal(250.0, 4.0, 4)
    plain = run(250.0, chunks(data, 250.0, [], []))
    pipeline = Pipeline(
        stream(250.0),
        CONFIG,
        ARModel(NAMES, n_horizons=50),
        SumDecoder(),
        skip=lambda token, _: token % 3 == 0,
    )
    results = [r for c in chunks(data, 250.0, [], []) for r in pipeline.push(c)]
    expected = [r for r in plain[:-1] if not (isinstance(r, Forecast) and r.token % 3 == 0)]
    assert_identical(expected, results)
    assert pipeline.state.skipped == len(range(0, pipeline.state.token, 3))


@pytest.mark.parametrize("rate", [100.0, 125.0, 128.0, 160.0, 200.0, 250.0, 512.0])
def test_hops_tile_the_preprocessed_signal(rate: float) -> None:
    """At 100 to 200 Hz one row can complete two output rows: hops once overlapped by one."""
    taken: list[FloatArray] = []

    class Keeping(SumDecoder):
        def push(self, block: FloatArray) -> None:
            taken.append(block.copy())
            super().push(block)

    data = signal(rate, 3.0, 5)
    pipeline = Pipeline(stream(rate), CONFIG, ARModel(NAMES, n_horizons=50), Keeping())
    for piece in chunks(data, rate, [1, 2, 100, 101], []):
        pipeline.push(piece)
    eeg = np.ascontiguousarray(data[:, [0, 2, 3]])
    whole = Preprocessor(rate, 3, CONFIG.preprocess, names=NAMES).push(eeg, np.ones(3, np.bool_))
    assert {len(block) for block in taken} == {25}
    assert len(taken) >= 28
    np.testing.assert_array_equal(np.concatenate(taken), whole.signal[: 25 * len(taken)])


def test_a_tick_holds_the_newest_signal() -> None:
    seen: list[Tick] = []

    class Watching(ARModel):
        def ingest(self, tick: Tick) -> None:
            seen.append(tick)
            assert len(tick.history) == min(1000, 250 + 25 * len(seen) - 25)
            assert np.isfinite(tick.history).all()
            assert (tick.scale > 0).all()
            super().ingest(tick)

    pipeline = Pipeline(stream(250.0), CONFIG, Watching(NAMES, n_horizons=50))
    for piece in chunks(signal(250.0, 6.0, 6), 250.0, [], []):
        pipeline.push(piece)
    assert [t.token for t in seen] == list(range(51))
