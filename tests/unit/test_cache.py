"""Slots, ages, validity and scratch of the ring cache."""

from __future__ import annotations

import torch

from rtbci.models.cache import Place, RingCache
from rtbci.models.config import preset

W = 8
YES = torch.ones(2, dtype=torch.bool)


def fresh() -> RingCache:
    return RingCache.allocate(preset("tiny"), batch=2)


def write(cache: RingCache, value: float, ok: torch.Tensor = YES) -> torch.Tensor:
    """Put a value into the next slot, as a pass does, and keep it."""
    cache.kv.index_fill_(4, cache.ring().slot, value)
    return cache.keep(ok)


def seen(place: Place, electrode: int = 0) -> list[int]:
    """Slots that a pass sees."""
    return torch.nonzero(place.bias[electrode, 0, 0] == 0).flatten().tolist()


def test_slots_are_seen_until_they_are_older_than_the_window() -> None:
    cache = fresh()
    for position in range(3 * W):
        place = cache.ring()
        expected = {p % W for p in range(max(0, position - W + 1), position + 1)}
        assert place.position.item() == position
        assert place.slot.item() == position % W
        assert set(seen(place)) == expected
        write(cache, 1.0)


def test_a_reset_forgets_one_electrode_only() -> None:
    cache = fresh()
    for _ in range(5):
        write(cache, 1.0)
    cache.reset(torch.tensor([True, False]))
    assert seen(cache.ring(), 0) == [5]
    assert seen(cache.ring(), 1) == [0, 1, 2, 3, 4, 5]
    write(cache, 1.0)
    assert seen(cache.ring(), 0) == [5, 6]


def test_a_reset_of_everything_starts_at_position_zero() -> None:
    cache = fresh()
    for _ in range(W + 3):
        write(cache, 1.0)
    cache.reset()
    assert cache.next.item() == 0
    assert seen(cache.ring()) == [0]
    assert not cache.kv.any()


def test_tokens_that_are_not_ok_are_seen_by_themselves_only() -> None:
    cache = fresh()
    write(cache, 1.0)
    write(cache, 1.0, torch.tensor([False, True]))
    assert seen(cache.ring(), 0) == [0, 2]
    assert seen(cache.ring(), 1) == [0, 1, 2]


def test_skipped_tokens_are_not_seen() -> None:
    cache = fresh()
    for _ in range(W):
        write(cache, 1.0)
    cache.skip(3)
    # Positions 8, 9, 10 never came; position 11 sees 4 ... 7 and itself.
    assert cache.next.item() == W + 3
    assert seen(cache.ring()) == [3, 4, 5, 6, 7]


def test_skipping_more_than_the_window_leaves_nothing() -> None:
    cache = fresh()
    for _ in range(W):
        write(cache, 1.0)
    cache.skip(10**9)
    assert seen(cache.ring()) == [(W + 10**9) % W]


def test_a_poisoned_slot_is_zeroed_and_invalid() -> None:
    cache = fresh()
    write(cache, 1.0)
    slot = cache.ring().slot
    cache.kv.index_fill_(4, slot, 2.0)
    cache.kv[1, 0, 0, 1, slot, 3] = float("-inf")
    finite = cache.keep(YES)
    assert finite.tolist() == [False, True]
    assert not cache.kv[:, :, 0, :, 1].any()
    assert (cache.kv[:, :, 1, :, 1] == 2.0).all()
    assert seen(cache.ring(), 0) == [0, 2]
    assert seen(cache.ring(), 1) == [0, 1, 2]


def test_scratch_sees_the_window_before_it_and_what_the_rollout_wrote() -> None:
    cache = fresh()
    newest = 2 * W + 2
    for _ in range(newest + 1):
        write(cache, 1.0)
    for step in range(1, 10):
        place = cache.scratch(step)
        assert place.position.item() == newest + step
        assert place.slot.item() == W + step - 1
        ring = {p % W for p in range(newest + step - W + 1, newest + 1)}
        own = {W + j for j in range(max(0, step - W), step)}
        assert set(seen(place)) == ring | own, step


def test_clean_zeroes_what_is_not_finite_in_scratch() -> None:
    cache = fresh()
    cache.kv[..., W:, :] = float("nan")
    cache.kv[..., :W, :] = 1.0
    cache.clean()
    assert not cache.kv[..., W:, :].any()
    assert (cache.kv[..., :W, :] == 1.0).all()
