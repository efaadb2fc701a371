"""EEGPT, live: Yue et al.'s autoregressive EEG model (arXiv 2410.19779) as a streaming network.

    window of ONE electrode (250 samples, 1 s, every 100 ms), in deviations
      --linear--> (d) + embedding of the electrode
      --L x [ RMSNorm, causal attention over the last W tokens (rotary); RMSNorm, SwiGLU ]-->
      --RMSNorm--> state (d) of this electrode at this token          "ETE", shared by electrodes
    heads on states:   StepHead    next 25 samples, rolled out on the cache's scratch slots
                       DirectHead  next 250 samples at once, attention across electrodes
                       TEG         graph over motor electrodes -> classes
    Electrodes are the batch: nothing mixes them before the heads.

Where the paper is silent or made for sequences of 4 s, the choice is ours: pre-RMSNorm and rotary
positions (unstated); the electrode's embedding is ADDED to every token instead of prefixed as a
condition token, because a prefix slides out of a sliding window after W tokens; a token predicts
only samples that it has not seen (targets that overlap the window can be copied).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rtbci.models.attention import Block, banded_mask, initialise, rotary
from rtbci.models.cache import Place, RingCache
from rtbci.models.config import ModelConfig
from rtbci.models.heads import DirectHead, StepHead
from rtbci.models.teg import TEG
from rtbci.models.tokens import CLIP


class EEGPT(nn.Module):
    """Encoder and heads: :meth:`encode` takes whole sequences, :meth:`ingest` one token."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.token = nn.Linear(config.n_window, config.dim)
        self.electrode = nn.Embedding(config.vocabulary, config.dim)
        self.layers = nn.ModuleList(
            Block(config.dim, config.heads, config.ffn) for _ in range(config.layers)
        )
        self.norm = nn.RMSNorm(config.dim, eps=1e-6)
        initialise(self, config.layers)
        self.step_head = StepHead(config)
        self.direct_head = DirectHead(config)
        self.teg = TEG(config) if config.classes else None

    def embed(self, windows: Tensor, electrode_ids: Tensor) -> Tensor:
        """Tokens from windows (..., n_window) and their electrodes' rows (...) -> (..., d)."""
        out: Tensor = self.token(windows) + self.electrode(electrode_ids)
        return out

    def readable(self, electrode_ids: Tensor) -> Tensor:
        """Which electrodes the decode head may read, shape of ``electrode_ids``, bool."""
        if self.teg is None:
            return torch.zeros_like(electrode_ids, dtype=torch.bool)
        return self.teg.active(electrode_ids, torch.ones_like(electrode_ids, dtype=torch.bool))

    def encode(
        self,
        windows: Tensor,
        electrode_ids: Tensor,
        start: Tensor | None = None,
        valid: Tensor | None = None,
        first: int = 0,
    ) -> Tensor:
        """States of whole sequences, as training needs them and as streaming must equal.

        Parameters
        ----------
        windows : Tensor, shape (B, E, T, n_window), float32
            In deviations (:func:`rtbci.models.tokens.token_window`).
        electrode_ids : Tensor, shape (B, E), int64
        start : Tensor, shape (B, E), int64 | None
            First token of each sequence that later ones may see.
        valid : Tensor, shape (B, E, T), bool | None
            False for tokens that later ones may not see.
        first : int
            Position of the first token.

        Returns
        -------
        states : Tensor, shape (B, E, T, d), float32
        """
        n_batch, n_electrodes, n_tokens, _ = windows.shape
        x = self.embed(windows, electrode_ids[..., None].expand(-1, -1, n_tokens)).flatten(0, 1)
        mask = banded_mask(
            n_tokens,
            self.config.context,
            None if start is None else start.flatten(),
            None if valid is None else valid.flatten(0, 1),
            device=x.device,
        )
        positions = first + torch.arange(n_tokens, device=x.device)
        turn = rotary(positions, self.config.head_dim, self.config.rotary_base, x.dtype)
        for layer in self.layers:
            x = layer(x, mask, turn)
        states: Tensor = self.norm(x)
        return states.view(n_batch, n_electrodes, n_tokens, -1)

    def ingest(
        self, windows: Tensor, electrode_ids: Tensor, cache: RingCache, ok: Tensor
    ) -> Tensor:
        """States of one new token of every electrode; equals the last column of :meth:`encode`.

        Parameters
        ----------
        windows : Tensor, shape (B, n_window), float32
            Electrodes are the batch.  Must be finite.
        electrode_ids : Tensor, shape (B,), int64
        cache : RingCache
            Advanced by one position.
        ok : Tensor, shape (B,), bool
            False for electrodes whose token nobody may look back on.

        Returns
        -------
        states : Tensor, shape (B, d), float32
            0 where the weights made something that is not finite of it.
        """
        states = self._pass(windows, electrode_ids, cache, cache.ring())
        sound = cache.keep(ok) & states.isfinite().all(dim=1)
        return states.masked_fill(~sound[:, None], 0.0)

    def rollout(
        self, windows: Tensor, states: Tensor, electrode_ids: Tensor, cache: RingCache
    ) -> Tensor:
        """Forecast hop after hop, each appended to the window of the next.

        Parameters
        ----------
        windows, electrode_ids, cache
            As :meth:`ingest` just had them; of the cache only the scratch slots change.
        states : Tensor, shape (B, d)
            What it gave.

        Returns
        -------
        forecast : Tensor, shape (B, n_horizons), float32, in deviations
        """
        hops = [self.step_head(states)]
        for step in range(1, self.config.rollout_steps):
            # A forecast beyond the input's bounds would be a window that training never showed.
            new = hops[-1].clamp(-CLIP, CLIP).nan_to_num(0.0)
            windows = torch.cat([windows[:, self.config.n_hop :], new], dim=1)
            states = self._pass(windows, electrode_ids, cache, cache.scratch(step))
            hops.append(self.step_head(states))
        cache.clean()
        return torch.cat(hops, dim=1)

    def _pass(self, windows: Tensor, ids: Tensor, cache: RingCache, place: Place) -> Tensor:
        """One token through the blocks; they may be bfloat16, what is around them is float32."""
        x = self.embed(windows, ids)
        dtype = x.dtype
        turn = rotary(place.position, self.config.head_dim, self.config.rotary_base, dtype)
        x = x.to(cache.kv.dtype)[:, None]
        for layer, kv in zip(self.layers, cache.kv, strict=True):
            x = layer.step(x, kv, place.slot, place.bias, turn)  # type: ignore[operator]
        states: Tensor = self.norm(x[:, 0].to(dtype))
        return states
