"""EEGPT: Yue et al.'s autoregressive EEG model (arXiv 2410.19779) as a streaming network.

    window of ONE electrode (250 samples, 1 s, every 100 ms), in deviations
      --linear--> (d) + embedding of the electrode
      --L x [ RMSNorm, causal attention over the last W tokens (rotary); RMSNorm, SwiGLU ]-->
      --RMSNorm--> state (d) of this electrode at this token          "ETE", shared by electrodes
    heads on states:   StepHead    next 25 samples, rolled out on the cache's scratch slots
                       DirectHead  next 250 samples at once, attention across electrodes
                       TEG         graph over electrodes -> classes, numbers
    Electrodes are the batch: nothing mixes them before the heads.

Where the paper is silent or made for sequences of 4 s, the real-time flavour chooses: pre-RMSNorm
and rotary positions (unstated); the electrode's embedding is ADDED to every token; a token
predicts only samples that it has not seen (targets that overlap the window can be copied).

The paper's flavour (``eegpt-paper``) prefixes the embedding as a condition token.  It has no
position and sees itself alone, so it never slides out of a window and streaming stays exact.  Its
summary token stands one position behind the newest token, sees the same W tokens, the condition
and itself, and nothing sees it: its state is what the graph reads.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from rtbci.models.attention import Block, Prefix, banded_mask, initialise, rotary
from rtbci.models.cache import Place, RingCache
from rtbci.models.config import ModelConfig
from rtbci.models.heads import DirectHead, NoDirectHead, StepHead
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
        self.direct_head = DirectHead(config) if config.direct else NoDirectHead(config)
        joint = config.graphs == "joint"
        self.teg = TEG(config, config.tasks if joint else ()) if config.classes else None
        self.graphs = nn.ModuleDict(_graphs(config))
        self.summary = nn.Parameter(0.02 * torch.randn(config.dim)) if config.summary else None
        self.mask = nn.Parameter(0.02 * torch.randn(config.dim)) if config.masked else None

    def embed(self, windows: Tensor, electrode_ids: Tensor) -> Tensor:
        """Tokens from windows (..., n_window) and their electrodes' rows (...) -> (..., d)."""
        out: Tensor = self.token(windows)
        if self.config.condition == "add":
            out = out + self.electrode(electrode_ids)
        return out

    def readable(self, electrode_ids: Tensor) -> Tensor:
        """Which electrodes the decode head may read, shape of ``electrode_ids``, bool."""
        if self.teg is None:
            return torch.zeros_like(electrode_ids, dtype=torch.bool)
        return self.teg.active(electrode_ids, torch.ones_like(electrode_ids, dtype=torch.bool))

    def graph_of(self, task: str = "") -> TEG:
        """Give the graph that a task's head reads; the decode's where ``task`` is empty.

        Raises
        ------
        KeyError
            Where the network has no such head.
        """
        for graph in (self.teg, *(cast(TEG, g) for g in self.graphs.values())):
            if graph is not None and (task in graph.tasks if task else graph is self.teg):
                return graph
        raise KeyError(task or "decode")

    def prefixes(self, electrode_ids: Tensor) -> list[Prefix | None]:
        """What tokens see of the condition tokens of electrodes (B,), layer by layer."""
        if self.config.condition == "add":
            return [None] * self.config.layers
        x = self.electrode(electrode_ids)[:, None]
        x = x.to(next(self.layers.parameters()).dtype)
        made: list[Prefix | None] = []
        for layer in self.layers:
            kv, x = layer.prefix(x)  # type: ignore[operator]
            made.append(kv)
        return made

    @torch.no_grad()
    def new_cache(self, electrode_ids: Tensor) -> RingCache:
        """Make the empty cache of a stream of these electrodes (B,)."""
        made = [p for p in self.prefixes(electrode_ids) if p is not None]
        return RingCache.allocate(
            self.config,
            len(electrode_ids),
            electrode_ids.device,
            next(self.layers.parameters()).dtype,
            torch.stack(made) if made else None,
        )

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
        nowhere = torch.zeros(0, dtype=torch.int64, device=windows.device)
        return self.encode_both(windows, electrode_ids, nowhere, start, valid, first)[0]

    def encode_both(
        self,
        windows: Tensor,
        electrode_ids: Tensor,
        at: Tensor,
        start: Tensor | None = None,
        valid: Tensor | None = None,
        first: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """States as :meth:`encode` gives them, and what the graph reads at some tokens.

        Parameters
        ----------
        at : Tensor, shape (P,), int64
            Tokens of the sequence.

        Returns
        -------
        states : Tensor, shape (B, E, T, d)
        read : Tensor, shape (B, E, P, d)
            Of the summary tokens behind these tokens; their states where there is no summary.
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
        positions = torch.arange(n_tokens, device=x.device)
        if self.summary is not None and len(at):
            x = torch.cat([x, self.summary.expand(len(x), len(at), -1)], dim=1)
            mask = _with_summaries(mask, at, self.config.context, start, valid)
            positions = torch.cat([positions, at + 1])
        states = self.through(x, electrode_ids.flatten(), mask, first + positions)
        states = states.view(n_batch, n_electrodes, -1, states.shape[-1])
        if self.summary is None:
            return states, states[:, :, at]
        return states[:, :, :n_tokens], states[:, :, n_tokens:]

    def through(self, x: Tensor, ids: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        """Tokens x (B, T, d) of electrodes (B,) through the blocks and the norm: (B, T, d)."""
        turn = rotary(positions, self.config.head_dim, self.config.rotary_base, x.dtype)
        for layer, prefix in zip(self.layers, self.prefixes(ids), strict=True):
            x = layer(x, mask, turn, prefix)
        states: Tensor = self.norm(x)
        return states

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
        states = self._pass(self.embed(windows, electrode_ids), cache, cache.ring())
        sound = cache.keep(ok) & states.isfinite().all(dim=1)
        return states.masked_fill(~sound[:, None], 0.0)

    def summarise(self, states: Tensor, cache: RingCache) -> Tensor:
        """What the graph reads of the token just ingested, (B, d): finite, as its states are.

        ``states`` are what :meth:`ingest` gave; they are it where there is no summary token.
        """
        if self.summary is None:
            return states
        made = self._pass(self.summary.expand(len(states), -1), cache, cache.after())
        return made.nan_to_num(0.0, 0.0, 0.0)

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
        hops = [self.step_head.new(states)]
        for step in range(1, self.config.rollout_steps):
            # A forecast beyond the input's bounds would be a window that training never showed.
            new = hops[-1].clamp(-CLIP, CLIP).nan_to_num(0.0)
            windows = torch.cat([windows[:, self.config.n_hop :], new], dim=1)
            x = self.embed(windows, electrode_ids)
            states = self._pass(x, cache, cache.scratch(step))
            hops.append(self.step_head.new(states))
        cache.clean()
        return torch.cat(hops, dim=1)

    def _pass(self, x: Tensor, cache: RingCache, place: Place) -> Tensor:
        """One token through the blocks; they may be bfloat16, what is around them is float32."""
        if (cache.prefix is None) != (self.config.condition == "add"):
            raise ValueError("the cache has not the condition tokens; EEGPT.new_cache makes it")
        dtype = x.dtype
        turn = rotary(place.position, self.config.head_dim, self.config.rotary_base, dtype)
        x = x.to(cache.kv.dtype)[:, None]
        for i, layer in enumerate(self.layers):
            prefix = None if cache.prefix is None else cache.prefix[i]
            x = layer.step(x, cache.kv[i], place.slot, place.bias, turn, prefix)  # type: ignore[operator]
        states: Tensor = self.norm(x[:, 0].to(dtype))
        return states


def _graphs(config: ModelConfig) -> dict[str, TEG]:
    """Graphs beside the decode head's: each task's own, or one for all where nothing decodes."""
    without = replace(config, classes=())
    if config.graphs == "separate":
        return {task.name: TEG(without, (task,)) for task in config.tasks}
    if config.tasks and not config.classes:
        return {"shared": TEG(without, config.tasks)}
    return {}


def _with_summaries(
    mask: Tensor, at: Tensor, context: int, start: Tensor | None, valid: Tensor | None
) -> Tensor:
    """Widen a mask (B or 1, 1, T, T) by the summaries behind tokens ``at``, unseen by others."""
    n_tokens, n = mask.shape[-1], len(at)
    age = at[:, None] - torch.arange(n_tokens, device=at.device)
    seen = ((age >= 0) & (age < context))[None]
    if start is not None:
        seen = seen & (age <= (at - start.flatten()[:, None])[..., None])
    if valid is not None:
        seen = seen & valid.flatten(0, 1)[:, None, :]
    itself = torch.eye(n, dtype=torch.bool, device=at.device)
    wide = mask.new_zeros(max(len(mask), len(seen)), 1, n_tokens + n, n_tokens + n)
    wide[:, :, :n_tokens, :n_tokens] = mask
    wide[:, 0, n_tokens:, :n_tokens] = seen
    wide[:, :, n_tokens:, n_tokens:] = itself
    return wide
