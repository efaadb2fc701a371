"""States of a frozen encoder at the moments of a task, computed once.

Yue et al. (arXiv 2410.19779, section 3.3) train graph and heads on states of a frozen encoder.
Moments enter as recorded and, where a task allows it, **mirrored**: the signals of left and right
electrodes swapped, which doubles the moments and takes away any preference for a side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rtbci.models.config import ModelConfig
from rtbci.models.eegpt import EEGPT
from rtbci.models.electrodes import GENERIC, electrode_ids
from rtbci.models.pretrain.corpus.prepared import Prepared
from rtbci.models.pretrain.tasks.catalogue import HANDS, Task
from rtbci.models.tokens import token_window
from rtbci.montage import mirror_electrode
from rtbci.types import IndexArray


@dataclass(frozen=True)
class Trials:
    """States at the moments of one task.

    Attributes
    ----------
    states : Tensor, shape (n_trials, n_views, n_tokens, n_electrodes, d), float16
        As recorded and, in a second view, mirrored; as the graph reads them.
    electrode_ids : Tensor, shape (n_electrodes,), int64
        Those that the task may read and training knows, the same for all trials.
    valid : Tensor, shape (n_trials, n_electrodes), bool
        False where a recording has no such electrode, or not at that time.
    targets : Tensor, shape (n_trials, n_views), float32
        Number of the class, or the number to estimate.
    subjects, groups : tuple of str
    plain : ndarray, shape (n_trials,)
        What a baseline says; NaN where there is none.
    """

    states: Tensor
    electrode_ids: Tensor
    valid: Tensor
    targets: Tensor
    subjects: tuple[str, ...]
    groups: tuple[str, ...]
    plain: npt.NDArray[np.float64]

    @property
    def labels(self) -> Tensor:
        """Classes of the trials as recorded, shape (n_trials,), int64."""
        return self.targets[:, 0].long()

    def of(self, chosen: npt.NDArray[np.bool_]) -> Trials:
        """Give some of the trials."""
        at = torch.from_numpy(np.flatnonzero(chosen))
        return Trials(
            self.states[at],
            self.electrode_ids,
            self.valid[at],
            self.targets[at],
            tuple(s for s, c in zip(self.subjects, chosen, strict=True) if c),
            tuple(g for g, c in zip(self.groups, chosen, strict=True) if c),
            self.plain[chosen],
        )


def collect_trials(
    network: EEGPT,
    recordings: Sequence[Prepared],
    task: Task = HANDS,
    *,
    device: str = "cpu",
    bf16: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Trials | None:
    """Run the encoder over every moment of a task; None where there is none.

    Electrodes are those that the task may read, that the recordings have, that training knows
    and, where moments are mirrored, whose mirror image is one of them too.
    """
    config = network.config
    names = _readable(task, recordings, config)
    if not names:
        return None
    ids = torch.tensor(electrode_ids(names, config.electrodes))
    mirror = [names.index(mirror_electrode(n)) for n in names] if task.mirror != "none" else None
    states, valid, targets, subjects, groups, plain = [], [], [], [], [], []
    for i, recording in enumerate(recordings):
        present = [n.casefold() for n in recording.electrodes]
        columns = np.array(
            [present.index(n.casefold()) if n.casefold() in present else -1 for n in names]
        )
        has = columns >= 0
        for moment in task.moments(recording, config) if has.any() else ():
            now = has & recording.valid[moment.hops[-1], columns]
            if not now.any():
                continue
            states.append(
                _encode(network, recording, task, columns, mirror, ids, moment.hops, device, bf16)
            )
            valid.append(now)
            other = 1.0 - moment.target if task.mirror == "flip" else moment.target
            targets.append([moment.target, other][: len(states[-1])])
            subjects.append(recording.subject)
            groups.append(moment.group)
            plain.append(moment.plain)
        if progress is not None:
            progress((i + 1) / len(recordings))
    if not states:
        return None
    return Trials(
        torch.stack(states),
        ids,
        torch.from_numpy(np.stack(valid)),
        torch.tensor(targets, dtype=torch.float32),
        tuple(subjects),
        tuple(groups),
        np.array(plain),
    )


def _readable(task: Task, recordings: Sequence[Prepared], config: ModelConfig) -> list[str]:
    """Names of the electrodes that are read."""
    recorded = {n.casefold() for r in recordings for n in r.electrodes}
    may_read = config.teg_electrodes if task is HANDS else task.electrodes
    asked = may_read or tuple(dict.fromkeys(n for r in recordings for n in r.electrodes))
    nodes = {n.casefold() for n in config.nodes}
    ids = electrode_ids(asked, config.electrodes)
    known = [
        n
        for n, i in zip(asked, ids, strict=True)
        if i != GENERIC and n.casefold() in recorded and (not nodes or n.casefold() in nodes)
    ]
    if task.mirror == "none":
        return known
    return [n for n in known if mirror_electrode(n) in known]


@torch.no_grad()
def _encode(
    network: EEGPT,
    recording: Prepared,
    task: Task,
    columns: npt.NDArray[np.int64],
    mirror: list[int] | None,
    ids: Tensor,
    hops: IndexArray,
    device: str,
    bf16: bool,
) -> Tensor:
    """What the graph reads at a moment: (n_views, n_tokens, E, d), float16.

    ``columns`` are those of the electrodes ``ids``, -1 where there is none; ``mirror`` tells for
    each the place of its mirror image among them.
    """
    config = network.config
    first = max(0, int(hops[0]) - 2 * config.context)
    from_row = max(0, (first + 1) * config.n_hop - config.n_window)
    rows = np.asarray(recording.signal[from_row : int(hops[-1] + 1) * config.n_hop])[:, columns]
    windows = np.stack(
        [
            token_window(
                rows[: (h + 1) * config.n_hop - from_row],
                recording.mean[h, columns],
                recording.scale[h, columns],
                config.n_window,
            ).T
            for h in range(first, int(hops[-1]) + 1)
        ],
        axis=1,
    )
    views = np.stack([windows] if mirror is None else [windows, windows[mirror]])
    n = task.tokens_of(config)
    wanted = np.maximum(hops[:, None] - first - np.arange(n), 0)
    at, back = np.unique(wanted, return_inverse=True)
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16):
        _, read = network.encode_both(
            torch.from_numpy(views).to(device),
            ids.expand(len(views), -1).to(device),
            torch.from_numpy(at).to(device),
        )
    chosen = read[:, :, torch.from_numpy(back.reshape(-1)).to(device)]
    mean = chosen.view(*chosen.shape[:2], *wanted.shape, -1).mean(dim=3)
    made: Tensor = mean.transpose(1, 2).half().cpu()
    return made
