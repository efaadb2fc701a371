"""Contract 2: streaming with the ring cache equals one offline pass with the banded mask.

In float32 the largest difference is at most 1e-5 of the scale of what is compared, whatever
happened on the way: tokens beyond the window, electrodes reset alone, tokens left out, gaps,
rollouts in between, positions after years.  So it is in both flavours: with the electrode added to
every token, and with a condition token in front and a summary token behind, as the paper has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import noise, paper, tiny
from torch import Tensor

from rtbci.models.eegpt import EEGPT

W = 8
LAYERS = 2
BATCH = 3
TOLERANCE = 1e-5
IDS = torch.tensor([5, 0, 77])
YES = torch.ones(BATCH, dtype=torch.bool)


@pytest.fixture(scope="module", params=[tiny, paper], ids=["real-time", "paper"])
def network(request: pytest.FixtureRequest) -> EEGPT:
    made: EEGPT = request.param()
    assert (made.config.context, made.config.layers) == (W, LAYERS)
    return made


@dataclass(frozen=True)
class Step:
    """What happens at one token: first a gap, then resets, then the token."""

    gap: int
    reset: tuple[bool, ...]
    ok: tuple[bool, ...]
    rollout: bool


def one_in(n: int) -> st.SearchStrategy[bool]:
    return st.integers(1, n).map(lambda i: i == n)


def masks(chance: int) -> st.SearchStrategy[tuple[bool, ...]]:
    return st.tuples(*[one_in(chance)] * BATCH)


steps = st.builds(
    Step,
    gap=st.one_of(st.just(0), st.just(0), st.just(0), st.integers(1, 2 * W)),
    reset=masks(8),
    ok=masks(6).map(lambda m: tuple(not b for b in m)),
    rollout=one_in(6),
)
lengths = st.sampled_from([1, W - 1, W, W + 1, 3 * W])
stories = lengths.flatmap(lambda n: st.lists(steps, min_size=n, max_size=n))


def assert_equal(streamed: Tensor, offline: Tensor) -> None:
    """Hold the difference against the tolerance of the contract."""
    assert (streamed - offline).abs().max() <= TOLERANCE * offline.abs().max()


def offline(network: EEGPT, story: list[Step], windows: Tensor) -> list[Tensor]:
    """States and what the graph reads, (B, 2 d), of every token, from passes over all there was.

    An electrode's memory begins at its last reset, so each electrode takes one pass for each of
    its resets, and gives the states from there on.
    """
    positions, now = [], 0
    for step in story:
        now += step.gap
        positions.append(now)
        now += 1
    everything = torch.zeros(BATCH, now, windows.shape[-1])
    valid = torch.zeros(BATCH, now, dtype=torch.bool)
    starts = torch.zeros(BATCH, len(story), dtype=torch.int64)
    for i, (position, step) in enumerate(zip(positions, story, strict=True)):
        everything[:, position] = windows[:, i]
        valid[:, position] = torch.tensor(step.ok)
        starts[:, i] = starts[:, i - 1] if i else 0
        starts[torch.tensor(step.reset), i] = position
    states = torch.zeros(BATCH, len(story), 2 * network.config.dim)
    for start in sorted(set(starts.flatten().tolist())):
        since = torch.full((1, BATCH), start)
        at = torch.tensor(positions)
        whole, read = network.encode_both(everything[None], IDS[None], at, since, valid[None])
        mine = starts == start
        states[mine] = torch.cat([whole[0, :, positions], read[0]], dim=-1)[mine]
    return list(states.unbind(1))


@given(story=stories, seed=st.integers(0, 2**16))
@torch.inference_mode()
def test_any_story_of_tokens(network: EEGPT, story: list[Step], seed: int) -> None:
    windows = noise(seed, BATCH, len(story), network.config.n_window)
    cache = network.new_cache(IDS)
    streamed = []
    for step, window in zip(story, windows.unbind(1), strict=True):
        if step.gap:
            cache.skip(step.gap)
        if any(step.reset):
            cache.reset(torch.tensor(step.reset))
        states = network.ingest(window, IDS, cache, torch.tensor(step.ok))
        streamed.append(torch.cat([states, network.summarise(states, cache)], dim=-1))
        if step.rollout:
            network.rollout(window, states, IDS, cache)
    for a, b in zip(streamed, offline(network, story, windows), strict=True):
        assert_equal(a, b)


@given(seed=st.integers(0, 2**16), n=st.sampled_from([1, W - 1, W, W + 1, 3 * W]))
@torch.inference_mode()
def test_rollout_equals_offline_and_leaves_no_trace(network: EEGPT, seed: int, n: int) -> None:
    windows = noise(seed, BATCH, n, network.config.n_window)
    cache = network.new_cache(IDS)
    for window in windows.unbind(1):
        states = network.ingest(window, IDS, cache, YES)
    before = [t.clone() for t in (cache.kv[..., :W, :], cache.next, cache.start, cache.valid)]
    rolled = network.rollout(windows[:, -1], states, IDS, cache)
    after = [cache.kv[..., :W, :], cache.next, cache.start, cache.valid]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    n_hop = network.config.n_hop
    for step in range(network.config.rollout_steps):
        hop = network.step_head.new(network.encode(windows[None], IDS[None])[0, :, -1])
        assert_equal(rolled[:, n_hop * step : n_hop * (step + 1)], hop)
        new = torch.cat([windows[:, -1, n_hop:], hop.clamp(-12.0, 12.0)], dim=1)
        windows = torch.cat([windows, new[:, None]], dim=1)


@given(seed=st.integers(0, 2**16), data=st.data())
@torch.inference_mode()
def test_the_future_never_changes_the_past(network: EEGPT, seed: int, data: st.DataObject) -> None:
    windows = noise(seed, 1, BATCH, 3 * W, network.config.n_window)
    now = data.draw(st.integers(1, 3 * W - 1))
    other = windows.clone()
    other[:, :, now:] = data.draw(st.sampled_from([0.0, 1e3])) + noise(seed + 1, 1)
    before = network.encode(windows, IDS[None])[:, :, :now]
    assert torch.equal(before, network.encode(other, IDS[None])[:, :, :now])


@given(seed=st.integers(0, 2**16), first=st.sampled_from([10**6, 10**8, 10**9, 2**31]))
@settings(max_examples=15)
@torch.inference_mode()
def test_years_later_nothing_has_worn_off(network: EEGPT, seed: int, first: int) -> None:
    windows = noise(seed, BATCH, 3 * W, network.config.n_window)
    cache = network.new_cache(IDS)
    cache.skip(first)
    at_true_positions = network.encode(windows[None], IDS[None], first=first)[0]
    at_zero = network.encode(windows[None], IDS[None])[0]
    for t, window in enumerate(windows.unbind(1)):
        states = network.ingest(window, IDS, cache, YES)
        assert_equal(states, at_true_positions[:, t])
        # Only distances matter: float64 angles keep them exact at any position.
        assert_equal(states, at_zero[:, t])


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("make", "n"), [(tiny, 100_000), (paper, 3000)])
@torch.inference_mode()
def test_many_tokens(make: Callable[..., EEGPT], n: int) -> None:
    """Nearly three hours of one electrode, ingested token by token; six minutes of the paper's.

    The reference is the last W tokens at their true positions: further back one layer does not
    see, and a dense mask of all would be 10 GB.  (That layers add up is shown above.)
    """
    network = make(layers=1)
    ids, yes = IDS[:1], YES[:1]
    cache = network.new_cache(ids)
    compare_after = {10, 1000, 2999, 3000, 4096, 4097, 30_000, 99_999, 100_000}
    recent: list[Tensor] = []
    position = 0
    for block in range(n // 1000):
        for window in noise(block, 1000, 1, network.config.n_window).unbind(0):
            states = network.ingest(window, ids, cache, yes)
            recent = [*recent[-W + 1 :], window]
            position += 1
            if position in compare_after:
                past = torch.stack(recent, dim=1)[None]
                newest = torch.tensor([len(recent) - 1])
                first = position - len(recent)
                whole, read = network.encode_both(past, ids[None], newest, first=first)
                assert_equal(states, whole[0, :, -1])
                assert_equal(network.summarise(states, cache), read[0, :, -1])
    assert cache.next.item() == n
