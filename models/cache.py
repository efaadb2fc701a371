"""The exact ring cache: keys and values of the last W tokens of every electrode.

    slots   0 ........ W-1 | W ........ W+H-1
            ring: token at | scratch: tokens of a
            position p is  | rollout, which forks from
            in slot p % W  | the ring without a copy

At position p a ring slot holds the token of age ``(p - slot) % W``.  It is seen by a token h steps
ahead when ``age + h < W``, when it is not older than its electrode's ``start``, and when it is
valid; a scratch slot is seen by the rollout's tokens that come after it, within the window too.
A token always sees itself.  Tokens go in one at a time: writing several into a ring of W slots
before attending would overwrite what the first of them still has to see.

Where the network has a condition token in front of each electrode's sequence, its keys and values
are constants of the electrode (``prefix``): they are seen from everywhere and take no slot.  A
summary token sees the whole ring and itself; it stands in the first scratch slot, which the next
rollout or summary overwrites, so nothing ever sees it.

Position, starts and validity live on the device and are changed in place, so that one pass can be
recorded as a CUDA graph.  Not thread-safe: the engine's pipeline thread owns it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rtbci.models.config import ModelConfig


@dataclass(frozen=True)
class Place:
    """Where one pass writes and what it sees.

    Attributes
    ----------
    position : Tensor, shape (1,), int64
        Of the pass's token.
    slot : Tensor, shape (1,), int64
        That it writes.
    bias : Tensor, shape (B, 1, 1, n), the cache's dtype
        0 for the first n slots that it sees, -inf for those that it does not.
    """

    position: Tensor
    slot: Tensor
    bias: Tensor


@dataclass
class RingCache:
    """State of the encoder between tokens.

    Attributes
    ----------
    kv : Tensor, shape (layers, 2, B, heads, W + H, head_dim)
        Keys (turned by their position) and values.
    next : Tensor, shape (1,), int64
        Position of the token that comes next: the tokens so far, skipped ones included.
    start : Tensor, shape (B,), int64
        Position that an electrode's memory begins at.
    valid : Tensor, shape (B, W), bool
        Whether later tokens may see a slot.
    slots : Tensor, shape (W + H,), int64
        0, 1, 2, ...; a constant.
    prefix : Tensor, shape (layers, 2, B, heads, 1, head_dim) | None
        Keys (not turned) and values of the condition tokens; constants.
    """

    kv: Tensor
    next: Tensor
    start: Tensor
    valid: Tensor
    slots: Tensor
    prefix: Tensor | None = None

    @classmethod
    def allocate(
        cls,
        config: ModelConfig,
        batch: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        prefix: Tensor | None = None,
    ) -> RingCache:
        """Make an empty cache for ``batch`` electrodes, with scratch for a whole rollout.

        :meth:`rtbci.models.eegpt.EEGPT.new_cache` does it with the electrodes' condition tokens.
        """
        # The ingest pass already gives the first hop: H hops need H - 1 tokens of scratch.
        slots = config.context + max(config.rollout_steps - 1, int(config.summary))
        shape = (config.layers, 2, batch, config.heads, slots, config.head_dim)
        return cls(
            kv=torch.zeros(shape, dtype=dtype, device=device),
            next=torch.zeros(1, dtype=torch.int64, device=device),
            start=torch.zeros(batch, dtype=torch.int64, device=device),
            valid=torch.zeros(batch, config.context, dtype=torch.bool, device=device),
            slots=torch.arange(slots, device=device),
            prefix=prefix,
        )

    @property
    def context(self) -> int:
        """Ring slots W."""
        return self.valid.shape[1]

    def reset(self, electrodes: Tensor | None = None) -> None:
        """Forget electrodes, (B,) bool, without touching the others; everything where None."""
        if electrodes is None:
            for tensor in (self.kv, self.next, self.start, self.valid):
                tensor.zero_()
        else:
            self.start.copy_(torch.where(electrodes, self.next, self.start))

    def skip(self, n_tokens: int) -> None:
        """Go on by tokens that never came: their slots become invalid."""
        ahead = (self.slots[: self.context] - self.next) % self.context
        self.valid &= ahead >= n_tokens
        self.next += n_tokens

    def ring(self) -> Place:
        """Place of the next token, in the ring."""
        age = (self.next - self.slots[: self.context]) % self.context
        seen = self.valid & (age <= (self.next - self.start)[:, None])
        return Place(self.next, self.next % self.context, self._bias(seen | (age == 0)))

    def keep(self, ok: Tensor) -> Tensor:
        """Close the token that was just written, and go on to the next position.

        NB: masking does not contain NaN, so a slot that is not finite is zeroed as well.

        Parameters
        ----------
        ok : Tensor, shape (B,), bool
            Whether later tokens may see it.

        Returns
        -------
        finite : Tensor, shape (B,), bool
            False for electrodes whose slot was poisoned.
        """
        slot = self.next % self.context
        fresh = self.kv.index_select(4, slot)
        # Zero times a number is zero, unless the number is not finite.
        finite = (fresh * 0.0).sum(dim=(0, 1, 3, 4, 5)) == 0.0
        self.kv.index_copy_(4, slot, fresh.masked_fill_(~finite[:, None, None, None], 0.0))
        self.valid.index_copy_(1, slot, (ok & finite)[:, None])
        self.next += 1
        return finite

    def scratch(self, step: int) -> Place:
        """Place of a rollout's token, ``step`` >= 1 positions after the newest kept one."""
        newest = self.next - 1
        age = (newest - self.slots[: self.context]) % self.context
        ring = self.valid & (age <= (newest - self.start)[:, None]) & (age + step < self.context)
        ahead = step - 1 - (self.slots[self.context :] - self.context)
        own = (ahead >= 0) & (ahead < self.context)
        seen = torch.cat([ring, own.expand(len(ring), -1)], dim=1)
        slot = self.slots[self.context + step - 1 : self.context + step]
        return Place(newest + step, slot, self._bias(seen))

    def after(self) -> Place:
        """Place of a summary of the newest token's window: one position on, seeing all of it."""
        newest = self.next - 1
        age = (newest - self.slots[: self.context]) % self.context
        ring = self.valid & (age <= (newest - self.start)[:, None])
        seen = torch.cat([ring, torch.ones_like(ring[:, :1])], dim=1)
        return Place(self.next, self.slots[self.context : self.context + 1], self._bias(seen))

    def clean(self) -> None:
        """Zero what is not finite in the scratch slots, so that no later rollout meets it."""
        self.kv[..., self.context :, :].nan_to_num_(0.0, 0.0, 0.0)

    def _bias(self, seen: Tensor) -> Tensor:
        bias = torch.zeros(seen.shape, dtype=self.kv.dtype, device=self.kv.device)
        return bias.masked_fill_(~seen, float("-inf"))[:, None, None, :]
