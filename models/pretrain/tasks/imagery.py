"""Stage II: the encoder stands still, the electrode graph learns left from right fist.

Yue et al. (arXiv 2410.19779, section 3.3) train graph and heads on states of a frozen encoder.
States of every cued trial are computed once, as recorded and **mirrored**: the signals of left
and right electrodes swapped, the label flipped, which doubles the trials and takes away any
preference for a side.  How long to train is chosen by leaving groups of training subjects out.

Only motor electrodes are read (:attr:`ModelConfig.teg_electrodes`): on EEGMMIDB the target stays
at one side of the screen, so frontal electrodes give the answer away by the eyes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from rtbci.models.config import ModelConfig
from rtbci.models.eegpt import EEGPT
from rtbci.models.electrodes import GENERIC, electrode_ids
from rtbci.models.pretrain.corpus.prepared import Prepared
from rtbci.models.teg import TEG, GraphLayer
from rtbci.models.tokens import token_window
from rtbci.montage import mirror_electrode
from rtbci.types import IndexArray

CLASSES = ("left_hand", "right_hand")
"""What the shipped decode head tells apart; mirrored, each is the other."""

TRIAL_S = (0.5, 3.5)
"""Interval after the cue that the decodes of a trial must lie in, windows and all."""

TOKEN_STRIDE = 2
"""Tokens of a trial that are learned from: every second, since neighbours share 90 %."""

TEG_TOKENS = 10
"""Newest tokens whose mean state is read: with one, strangers are decoded 0.02 to 0.06 worse."""

PENALTY = 10.0
"""Of the closed-form start, in units of the mean eigenvalue."""

CHECKPOINTS = (0, 25, 50, 100, 200)
"""Steps after the closed-form start among which the left-out subjects choose."""

N_FOLDS = 4
BATCH = 64
LEARNING_RATE = 3e-4
WEIGHT_DECAY = 0.1


@dataclass(frozen=True)
class Trials:
    """States of cued trials.

    Attributes
    ----------
    states : Tensor, shape (n_trials, 2, n_tokens, n_electrodes, d), float16
        As recorded and mirrored; mean of the newest ``teg_tokens``, as the live head reads it.
    electrode_ids : Tensor, shape (n_electrodes,), int64
        Those that the head may read and that have a mirror image, the same for all trials.
    valid : Tensor, shape (n_trials, n_electrodes), bool
        False where a recording has no such electrode, or not at that time.
    labels : Tensor, shape (n_trials,), int64
        Of the trials as recorded.
    subjects : tuple of str
    """

    states: Tensor
    electrode_ids: Tensor
    valid: Tensor
    labels: Tensor
    subjects: tuple[str, ...]

    def of(self, chosen: npt.NDArray[np.bool_]) -> Trials:
        """Give some of the trials."""
        at = torch.from_numpy(np.flatnonzero(chosen))
        return Trials(
            self.states[at],
            self.electrode_ids,
            self.valid[at],
            self.labels[at],
            tuple(s for s, c in zip(self.subjects, chosen, strict=True) if c),
        )


def collect_trials(
    network: EEGPT,
    recordings: Sequence[Prepared],
    *,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> Trials | None:
    """Run the encoder over every trial of left or right fist; None where there is none."""
    config = network.config
    names = _readable(config)
    ids = torch.tensor(electrode_ids(names, config.electrodes))
    mirror = [names.index(mirror_electrode(n)) for n in names]
    states, valid, labels, subjects = [], [], [], []
    cued = [r for r in recordings if any(c.label in CLASSES for c in r.cues)]
    for i, recording in enumerate(cued):
        present = [n.casefold() for n in recording.electrodes]
        columns = [present.index(n.casefold()) if n.casefold() in present else -1 for n in names]
        has = np.array([c >= 0 for c in columns])
        for cue in recording.cues:
            hops = trial_hops(cue.time, recording.delay_s, config)
            if cue.label not in CLASSES or hops[-1] >= len(recording.mean) or not has.any():
                continue
            states.append(_encode(network, recording, np.array(columns), mirror, ids, hops, device))
            valid.append(has & recording.valid[hops[-1], columns])
            labels.append(CLASSES.index(cue.label))
            subjects.append(recording.subject)
        if progress is not None:
            progress((i + 1) / len(cued))
    if not states:
        return None
    return Trials(
        torch.stack(states),
        ids,
        torch.from_numpy(np.stack(valid)),
        torch.tensor(labels),
        tuple(subjects),
    )


def trial_hops(cue_s: float, delay_s: float, config: ModelConfig) -> IndexArray:
    """Hops whose windows lie in the trial's interval after the cue, every second one."""
    first = cue_s + TRIAL_S[0] + config.window_s
    last = cue_s + TRIAL_S[1]
    hop_s = config.n_hop / config.rate_hz
    # Hop h ends at row (h + 1) n_hop - 1, which stands for the time of that row less the delay.
    start = int(np.ceil((first + delay_s) / hop_s + 1 / config.n_hop - 1))
    # As many as fit wherever the cue falls between two hops, so that all trials have as many.
    n_tokens = int((last - first) / hop_s + 1e-9)
    return np.arange(start, start + n_tokens, TOKEN_STRIDE)


def fit_decoder(
    network: EEGPT,
    trials: Trials,
    *,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> dict[str, float]:
    """Train the network's TEG on trials, its other weights untouched.

    It starts from a closed form (:func:`start`) and goes on by gradient for as many steps as left
    the best score on left-out subjects; their scores also set how sure it is (its scale).

    Returns
    -------
    scores : dict
        ``steps`` chosen, and ``left_out``: balanced accuracy on left-out training subjects.
    """
    subjects = sorted(set(trials.subjects))
    fold_of = {s: i % N_FOLDS for i, s in enumerate(subjects)}
    folds = np.array([fold_of[s] for s in trials.subjects])
    curves: list[list[float]] = []
    evidence = torch.zeros(len(CHECKPOINTS), *trials.states.shape[:3:2])
    for fold in range(min(N_FOLDS, len(subjects)) if len(subjects) > 1 else 0):
        head = _new_head(network.config, seed)
        left_out, rest = trials.of(folds == fold), trials.of(folds != fold)
        start(head, rest)
        curve = []
        for i, _ in enumerate(_train(head, rest, CHECKPOINTS, seed)):
            evidence[i, torch.from_numpy(np.flatnonzero(folds == fold))] = log_odds(head, left_out)
            curve.append(accuracy(head, left_out))
        curves.append(curve)
        if progress is not None:
            progress((fold + 1) / (N_FOLDS + 1))
    mean = np.mean(curves, axis=0) if curves else np.zeros(len(CHECKPOINTS))
    best = int(np.argmax(mean))
    head = _new_head(network.config, seed)
    start(head, trials)
    for _ in _train(head, trials, CHECKPOINTS[best : best + 1], seed):
        pass
    if curves:
        _rescale(head, _best_scale(evidence[best], trials.labels))
    network.teg = head.eval()
    if progress is not None:
        progress(1.0)
    return {"steps": float(CHECKPOINTS[best]), "left_out": float(mean[best])}


@torch.no_grad()
def start(head: TEG, trials: Trials) -> None:
    """Set the head to a ridge on what differs between a trial and its mirror image.

    Node embeddings and projection take mean and scale off the states, graph layers pass them
    through, and gates hold the ridge's weights: an exact solution to begin the training from.
    """
    states = trials.states.float()
    here = trials.valid[:, None, None, :, None].float()
    n_seen = here.sum(dim=0).clamp(min=1.0) * states.shape[1] * states.shape[2]
    centre = (states * here).sum(dim=(0, 1, 2)) / n_seen[0, 0]
    off = (states - centre) * here
    scale = (off.square().sum(dim=(0, 1, 2, 3)) / n_seen.sum()).clamp(min=1e-12).rsqrt()
    ids = trials.electrode_ids
    head.project.weight.copy_(torch.diag(scale))
    head.project.bias.zero_()
    head.node.weight[ids] = -centre * scale
    for layer in head.layers:
        cast(GraphLayer, layer).weight.weight.zero_()
    read = (head.norm(off * scale) * here).mean(dim=2)
    odd = (read[:, 0] - read[:, 1]).flatten(1).double()
    gram = odd @ odd.T
    ridge = PENALTY * gram.trace() / len(gram) * torch.eye(len(gram), dtype=gram.dtype)
    signs = 2.0 * trials.labels.double() - 1.0
    weight = odd.T @ torch.linalg.solve(gram + ridge, signs)
    head.gate.weight.zero_()
    head.gate.weight[ids] = weight.reshape(len(ids), -1).float() * len(ids)
    head.out.weight.copy_(torch.tensor([[-0.5], [0.5]]).expand_as(head.out.weight))
    head.out.bias.zero_()
    _rescale(head, _best_scale(log_odds(head, trials), trials.labels))


def _best_scale(evidence: Tensor, labels: Tensor) -> float:
    """Scale of log-odds (n_trials, n_tokens) that makes the labels most likely."""
    sign = (2.0 * labels - 1.0)[:, None]
    scales = torch.logspace(-3, 3, 121)
    losses = torch.stack([F.softplus(-s * sign * evidence).mean() for s in scales])
    return float(scales[losses.argmin()])


@torch.no_grad()
def _rescale(head: TEG, scale: float) -> None:
    head.out.weight.mul_(scale)
    head.out.bias.mul_(scale)


@torch.no_grad()
def log_odds(head: TEG, trials: Trials) -> Tensor:
    """Log-odds for the right hand at every token of the trials as recorded."""
    head.eval()
    rows = []
    for i in range(len(trials.labels)):
        states = trials.states[i, 0].float()
        n = len(states)
        logits = head(states, trials.electrode_ids.expand(n, -1), trials.valid[i].expand(n, -1))
        rows.append(logits[:, 1] - logits[:, 0])
    return torch.stack(rows)


def accuracy(head: TEG, trials: Trials) -> float:
    """Balanced accuracy, mean over subjects: a trial is decided by its summed log-odds."""
    by_subject = accuracies(head, trials)
    return float(np.mean(list(by_subject.values())))


def accuracies(head: TEG, trials: Trials) -> dict[str, float]:
    """Balanced accuracy of each subject."""
    right = ((log_odds(head, trials).sum(dim=1) > 0).long() == trials.labels).numpy()
    labels, subjects = trials.labels.numpy(), np.array(trials.subjects)
    out = {}
    for s in sorted(set(trials.subjects)):
        own = subjects == s
        recalls = [right[own & (labels == c)].mean() for c in np.unique(labels[own])]
        out[s] = float(np.mean(recalls))
    return out


def _new_head(config: ModelConfig, seed: int) -> TEG:
    torch.manual_seed(seed)
    return TEG(replace(config, classes=CLASSES))


def _train(head: TEG, trials: Trials, stops: Sequence[int], seed: int) -> Iterator[int]:
    """Train on demand: gives control back at each of ``stops`` steps."""
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(head.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    n_trials, _, n_tokens = trials.states.shape[:3]
    if stops[0] == 0:
        yield 0
    for step in range(1, stops[-1] + 1):
        head.train()
        at = torch.from_numpy(rng.integers(n_trials, size=BATCH))
        flip = torch.from_numpy(rng.integers(2, size=BATCH))
        token = torch.from_numpy(rng.integers(n_tokens, size=BATCH))
        states = trials.states[at, flip, token].float()
        # Boards have few electrodes: learn to do with some of them.
        keep = torch.from_numpy(rng.random((BATCH, states.shape[1])) >= rng.random((BATCH, 1)) / 2)
        logits = head(states, trials.electrode_ids.expand(BATCH, -1), trials.valid[at] & keep)
        loss = F.cross_entropy(logits, trials.labels[at] ^ flip)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        if step in stops:
            yield step


def _readable(config: ModelConfig) -> list[str]:
    """Electrodes that the head may read, that training knows, and whose mirror image is one too."""
    ids = electrode_ids(config.teg_electrodes, config.electrodes)
    known = [n for n, i in zip(config.teg_electrodes, ids, strict=True) if i != GENERIC]
    return [n for n in known if mirror_electrode(n) in known]


@torch.no_grad()
def _encode(
    network: EEGPT,
    recording: Prepared,
    columns: npt.NDArray[np.int64],
    mirror: list[int],
    ids: Tensor,
    hops: IndexArray,
    device: str,
) -> Tensor:
    """States of a trial, as recorded and mirrored: (2, n_tokens, E, d), float16.

    ``columns`` are those of the electrodes ``ids``, -1 where there is none; ``mirror`` tells for
    each the place of its mirror image among them.
    """
    config = network.config
    first = max(0, int(hops[0]) - 2 * config.context)
    windows = np.stack(
        [
            token_window(
                recording.signal[: (h + 1) * config.n_hop][-config.n_window :, columns],
                recording.mean[h, columns],
                recording.scale[h, columns],
                config.n_window,
            ).T
            for h in range(first, int(hops[-1]) + 1)
        ],
        axis=1,
    )
    both = torch.from_numpy(np.stack([windows, windows[mirror]])).to(device)
    states = network.encode(both, ids.expand(2, -1).to(device))
    n = config.teg_tokens
    read = [states[:, :, h - first - n + 1 : h - first + 1].mean(dim=2) for h in hops]
    return torch.stack(read, dim=1).half().cpu()
