"""Rotary positions, the sliding-window mask and the transformer block.

    x (B, T, d) --norm--> q k v --rotary--> softmax(q k' / sqrt(head) + mask) v --out--> + x
                --norm--> SwiGLU --> + x

The block attends along whatever T is: tokens in the encoder (with rotary positions and the
banded causal mask), electrodes in the direct head (without positions).  Live, ``step`` does the
same for one new token against the keys and values kept in the ring cache.

A *prefix* is a token in front of the sequence that has no position: it sees itself alone, and all
others see it, at no distance (neither query nor key is turned).  So its keys and values are
constants of what it stands for, and it never slides out of the window.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

Rotary = tuple[Tensor, Tensor]
"""Cosines and signed sines of each pair's angle at both of its ends, each (T, head_dim)."""

Prefix = Tensor
"""Keys (not turned) and values of a token without position, (2, B, heads, 1, head_dim)."""


def rotary(positions: Tensor, head_dim: int, base: float, dtype: torch.dtype) -> Rotary:
    """Cosines and sines of the rotary angles (Su et al., arXiv 2104.09864, eq. 15).

    NB: angles are float64 whatever ``dtype`` is: in float32 they are wrong by whole turns after
    hours of tokens (score error 0.5 % at position 1e6, 60 % at 1e8).

    Parameters
    ----------
    positions : Tensor, shape (T,), int64
        True positions, however large.
    head_dim : int
    base : float
    dtype : torch.dtype
        Of the result.
    """
    pairs = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float64)
    angles = positions.double()[:, None] * base ** (-pairs / head_dim)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos, cos], dim=1).to(dtype), torch.cat([-sin, sin], dim=1).to(dtype)


def rotate(x: Tensor, turn: Rotary) -> Tensor:
    """Turn the pairs (i, i + head_dim / 2) of ``x`` (..., T, head_dim) by their angles."""
    cos, sin = turn
    partner = x.roll(x.shape[-1] // 2, dims=-1)
    return (x * cos + partner * sin).to(x.dtype)


def turned(x: Tensor, turn: Rotary | None) -> Tensor:
    """Turn ``x`` where there are positions."""
    return x if turn is None else rotate(x, turn)


def banded_mask(
    n_tokens: int,
    context: int,
    start: Tensor | None = None,
    valid: Tensor | None = None,
    device: torch.device | None = None,
) -> Tensor:
    """Which token sees which: the last ``context`` ones, itself included and always.

    Parameters
    ----------
    n_tokens, context : int
    start : Tensor, shape (B,), int64 | None
        First token of the sequence that the later ones may see.
    valid : Tensor, shape (B, T), bool | None
        False for tokens that only they themselves see.

    Returns
    -------
    mask : Tensor, shape (B or 1, 1, T, T), bool
        ``mask[b, 0, t, s]``: token t sees token s.
    """
    t = torch.arange(n_tokens, device=device)
    age = t[:, None] - t[None, :]
    mask = ((age >= 0) & (age < context))[None]
    if start is not None:
        mask = mask & (t >= start[:, None])[:, None, :]
    if valid is not None:
        mask = mask & valid[:, None, :]
    return (mask | (age == 0))[:, None]


class Attention(nn.Module):
    """Multi-head attention over whole sequences or one token at a time."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(
        self, x: Tensor, mask: Tensor, turn: Rotary | None = None, prefix: Prefix | None = None
    ) -> Tensor:
        """Attend within sequences: x (B, T, d), mask (B or 1, 1, T, T) -> (B, T, d)."""
        q, k, v = self.project(x)
        bias = None
        if prefix is not None:
            bias = torch.zeros_like(mask, dtype=x.dtype).masked_fill_(~mask, float("-inf"))
        return self._mix(
            q, turned(q, turn), turned(k, turn), v, mask if bias is None else bias, prefix
        )

    def step(
        self,
        x: Tensor,
        kv: Tensor,
        slot: Tensor,
        bias: Tensor,
        turn: Rotary,
        prefix: Prefix | None = None,
    ) -> Tensor:
        """Attend from one new token to what is kept, after keeping it too.

        Parameters
        ----------
        x : Tensor, shape (B, 1, d)
        kv : Tensor, shape (2, B, heads, S, head_dim)
            Keys and values of one layer; ``slot`` of it is overwritten.
        slot : Tensor, shape (1,), int64
        bias : Tensor, shape (B, 1, 1, n), kv's dtype
            0 for a slot that is seen, -inf for one that is not; only the first n slots count.
        turn : Rotary
            Of this token's position; a key is turned once, when it is written.
        prefix : Prefix | None
            Seen whatever ``bias`` says.
        """
        q, k, v = self.project(x)
        keys, values = kv.unbind(0)
        keys.index_copy_(2, slot, turned(k, turn))
        values.index_copy_(2, slot, v)
        n = bias.shape[-1]
        return self._mix(q, turned(q, turn), keys[:, :, :n], values[:, :, :n], bias, prefix)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give queries, keys (neither turned) and values, each (B, heads, T, head_dim)."""
        batch, n_tokens, dim = x.shape
        shape = (batch, n_tokens, 3, self.heads, dim // self.heads)
        q, k, v = self.qkv(x).view(shape).permute(2, 0, 3, 1, 4)
        return q, k, v

    def _mix(
        self, plain: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, prefix: Prefix | None
    ) -> Tensor:
        """Weigh the values and join the heads; ``plain`` are the queries before they were turned.

        With a prefix the mask is one to add, and the softmax runs over the tokens and the prefix.
        """
        if prefix is None:
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        else:
            scale = q.shape[-1] ** -0.5
            scores = torch.cat(
                [q @ k.mT * scale + mask, (plain * prefix[0]).sum(-1, keepdim=True) * scale], dim=-1
            )
            weight = scores.softmax(dim=-1, dtype=torch.float32).to(v.dtype)
            mixed = weight[..., :-1] @ v + weight[..., -1:] * prefix[1]
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class SwiGLU(nn.Module):
    """Gated feed-forward (Shazeer, arXiv 2002.05202): out(silu(gate x) * up x)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(dim, 2 * hidden, bias=False)
        self.out = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., d) to (..., d)."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        out: Tensor = self.out(F.silu(gate) * up)
        return out


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, dim: int, heads: int, ffn: int) -> None:
        super().__init__()
        self.norm_attention = nn.RMSNorm(dim, eps=1e-6)
        self.attention = Attention(dim, heads)
        self.norm_ffn = nn.RMSNorm(dim, eps=1e-6)
        self.ffn = SwiGLU(dim, ffn)

    def forward(
        self, x: Tensor, mask: Tensor, turn: Rotary | None = None, prefix: Prefix | None = None
    ) -> Tensor:
        """Whole sequences; shapes as in :meth:`Attention.forward`."""
        x = x + self.attention(self.norm_attention(x), mask, turn, prefix)
        out: Tensor = x + self.ffn(self.norm_ffn(x))
        return out

    def step(
        self,
        x: Tensor,
        kv: Tensor,
        slot: Tensor,
        bias: Tensor,
        turn: Rotary,
        prefix: Prefix | None = None,
    ) -> Tensor:
        """One new token; shapes as in :meth:`Attention.step`."""
        x = x + self.attention.step(self.norm_attention(x), kv, slot, bias, turn, prefix)
        out: Tensor = x + self.ffn(self.norm_ffn(x))
        return out

    def prefix(self, x: Tensor) -> tuple[Prefix, Tensor]:
        """Take a prefix through the block: x (B, 1, d) -> what tokens see of it, and the next x."""
        _, k, v = self.attention.project(self.norm_attention(x))
        # It sees itself alone, so its softmax is 1.
        x = x + self.attention.out(v.transpose(1, 2).flatten(2))
        return torch.stack([k, v]), x + self.ffn(self.norm_ffn(x))


def initialise(module: nn.Module, depth: int) -> None:
    """Draw weights that keep the variance, branches scaled so that ``depth`` blocks keep it too."""
    for name, child in module.named_modules():
        if isinstance(child, nn.Linear):
            std = child.in_features**-0.5
            branch = name.endswith((".attention.out", ".ffn.out"))
            nn.init.normal_(child.weight, std=std / (2 * depth) ** 0.5 if branch else std)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
        elif isinstance(child, nn.Embedding):
            nn.init.normal_(child.weight, std=0.02)
