"""Rotary positions, masks and the block."""

from __future__ import annotations

import math

import pytest
import torch
from networks import noise

from rtbci.models.attention import Attention, Block, banded_mask, rotary, rotate


def test_rotary_angles_are_exact_at_huge_positions() -> None:
    position = 1_000_000_007
    cos, sin = rotary(torch.tensor([position]), 8, 100.0, torch.float32)
    for pair in range(4):
        angle = position * 100.0 ** (-2 * pair / 8)
        assert cos[0, pair].item() == pytest.approx(math.cos(angle), abs=2e-7)
        assert cos[0, 4 + pair].item() == pytest.approx(math.cos(angle), abs=2e-7)
        assert sin[0, pair].item() == pytest.approx(-math.sin(angle), abs=2e-7)
        assert sin[0, 4 + pair].item() == pytest.approx(math.sin(angle), abs=2e-7)


@pytest.mark.parametrize("offset", [0, 10**6, 10**9])
def test_scores_depend_on_distance_alone(offset: int) -> None:
    q, k = noise(0, 6, 8), noise(1, 6, 8)
    positions = torch.arange(6)
    here = rotary(positions, 8, 100.0, torch.float32)
    there = rotary(positions + offset, 8, 100.0, torch.float32)
    torch.testing.assert_close(
        rotate(q, there) @ rotate(k, there).T, rotate(q, here) @ rotate(k, here).T,
        atol=3e-6, rtol=0,
    )  # fmt: skip


def test_banded_mask_against_its_definition() -> None:
    start = torch.tensor([0, 3])
    valid = torch.tensor([[True] * 7, [True, True, True, True, False, True, True]])
    mask = banded_mask(7, 3, start, valid)
    for b in range(2):
        for t in range(7):
            for s in range(7):
                banded = 0 <= t - s < 3 and s >= start[b] and valid[b, s]
                assert mask[b, 0, t, s] == (banded or t == s), (b, t, s)


def test_attention_is_softmax_of_scaled_scores() -> None:
    attention = Attention(8, 2)
    x = noise(2, 1, 5, 8)
    mask = banded_mask(5, 3)
    q, k, v = attention.qkv(x).unflatten(-1, (3, 2, 4)).unbind(2)
    mixed = torch.zeros(1, 5, 2, 4)
    for head in range(2):
        for t in range(5):
            seen = [s for s in range(5) if 0 <= t - s < 3]
            score = torch.stack([q[0, t, head] @ k[0, s, head] / 2.0 for s in seen])
            mixed[0, t, head] = score.softmax(0) @ v[0, seen, head]
    torch.testing.assert_close(attention(x, mask), attention.out(mixed.flatten(2)))


def test_a_later_token_never_changes_an_earlier_one() -> None:
    block = Block(16, 2, 32)
    x = noise(3, 2, 9, 16)
    mask, turn = banded_mask(9, 4), rotary(torch.arange(9), 8, 100.0, torch.float32)
    changed = x.clone()
    changed[:, 6:] = 1e3
    before, after = block(x, mask, turn), block(changed, mask, turn)
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.allclose(before[:, 6:], after[:, 6:])
