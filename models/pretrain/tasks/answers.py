"""What a head says of the trials of its task, and how right it is, by subject.

Classes: balanced accuracy, a trial being decided by its summed log-odds; 0.5 is chance.  Numbers:
correlation within the subject, so that a constant, a scale or whose they are earns nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rtbci.models.pretrain.tasks.catalogue import HANDS, Task
from rtbci.models.pretrain.tasks.trials import Trials
from rtbci.models.teg import TEG

Array = npt.NDArray[np.float64]

TOGETHER = 64
"""Trials that a graph reads at a time."""

FEWEST = 5
"""Numbers of one subject from which on a correlation is computed."""


def key_of(task: Task) -> str:
    """Name that a graph knows a task's head by: the decode's has none."""
    return "" if task is HANDS else task.name


@torch.no_grad()
def outputs_of(graph: TEG, trials: Trials, task: Task = HANDS) -> Tensor:
    """Outputs at every token of the trials as recorded: (n_trials, n_tokens, n_outputs)."""
    graph.eval()
    n = trials.states.shape[2]
    rows = []
    for i in range(0, len(trials.subjects), TOGETHER):
        states = trials.states[i : i + TOGETHER, 0].flatten(0, 1).float()
        valid = trials.valid[i : i + TOGETHER].repeat_interleave(n, dim=0)
        ids = trials.electrode_ids.expand(len(states), -1)
        rows.append(graph(states, ids, valid, key_of(task)))
    said = torch.cat(rows)
    return said.view(-1, n, said.shape[-1])


def odds_of(outputs: Tensor, task: Task) -> Tensor:
    """Log-odds for the second class, or the number: (n_trials, n_tokens)."""
    return outputs[..., 1] - outputs[..., 0] if task.classes else outputs[..., 0]


def log_odds(graph: TEG, trials: Trials) -> Tensor:
    """Log-odds for the right hand at every token of the trials: (n_trials, n_tokens)."""
    return odds_of(outputs_of(graph, trials), HANDS)


@dataclass(frozen=True)
class Answers:
    """What was said of each trial, and what was true.

    Attributes
    ----------
    said : ndarray, shape (n_trials,)
        Above 0 for the second class, or the number.
    true : ndarray, shape (n_trials,)
        Number of the class, or the number.
    plain : ndarray, shape (n_trials,)
        What a baseline says of the number; NaN where there is none.
    subjects, groups : tuple of str
    classes : bool
        Whether it is classes that were told apart.
    """

    said: Array
    true: Array
    plain: Array
    subjects: tuple[str, ...]
    groups: tuple[str, ...]
    classes: bool

    def of_group(self, group: str) -> Answers:
        """Give those of one part of the task."""
        at = np.array([g == group for g in self.groups], dtype=np.bool_)
        return replace(
            self,
            said=self.said[at],
            true=self.true[at],
            plain=self.plain[at],
            subjects=tuple(s for s, a in zip(self.subjects, at, strict=True) if a),
            groups=tuple(g for g, a in zip(self.groups, at, strict=True) if a),
        )

    def by_subject(self) -> dict[str, float]:
        """Score of each subject; those with too few trials are missing."""
        if self.classes:
            right = (self.said > 0) == (self.true > 0)
            return self._each(lambda own: _balanced(right[own], self.true[own]))
        return self._each(lambda own: _correlation(self.said[own], self.true[own]))

    def floor(self) -> dict[str, float]:
        """What those subjects score without a network: chance, or the baseline's correlation."""
        if self.classes:
            return dict.fromkeys(self.by_subject(), 0.5)
        return self._each(lambda own: _correlation(self.plain[own], self.true[own]))

    def _each(self, score: Callable[[npt.NDArray[np.bool_]], float]) -> dict[str, float]:
        subjects = np.array(self.subjects)
        made = {s: score(subjects == s) for s in sorted(set(self.subjects))}
        return {s: v for s, v in made.items() if not np.isnan(v)}


def answers_of(outputs: Tensor, trials: Trials, task: Task) -> Answers:
    """Sum up what a head said at the tokens of each trial."""
    said = odds_of(outputs, task)
    summed = said.sum(dim=1) if task.classes else said.mean(dim=1)
    return Answers(
        summed.double().numpy(),
        trials.targets[:, 0].double().numpy(),
        trials.plain,
        trials.subjects,
        trials.groups,
        bool(task.classes),
    )


def join(parts: Sequence[Answers]) -> Answers:
    """Put answers of one task together."""
    return Answers(
        np.concatenate([p.said for p in parts]),
        np.concatenate([p.true for p in parts]),
        np.concatenate([p.plain for p in parts]),
        tuple(s for p in parts for s in p.subjects),
        tuple(g for p in parts for g in p.groups),
        parts[0].classes,
    )


def _balanced(right: npt.NDArray[np.bool_], labels: Array) -> float:
    """Mean recall of the classes that there are."""
    return float(np.mean([right[labels == c].mean() for c in np.unique(labels)]))


def _correlation(said: Array, true: Array) -> float:
    """Pearson's; NaN where it can't be."""
    if len(said) < FEWEST or not np.isfinite(said).all() or not (said.std() and true.std()):
        return float("nan")
    return float(np.corrcoef(said, true)[0, 1])
