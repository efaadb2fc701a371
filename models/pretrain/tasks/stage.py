"""Stage II as a whole: from a frozen encoder and recordings to a network with heads.

Yue et al. (arXiv 2410.19779, section 3.3) train one graph and all heads jointly; ``separate`` gives
every task a graph of its own, for comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

import numpy as np
import torch

from rtbci.errors import BadInputError
from rtbci.models.config import ModelConfig, TaskConfig
from rtbci.models.eegpt import EEGPT
from rtbci.models.pretrain.corpus.prepared import Prepared
from rtbci.models.pretrain.tasks.answers import key_of
from rtbci.models.pretrain.tasks.catalogue import HANDS, TASKS, TEG_TOKENS, Task
from rtbci.models.pretrain.tasks.heads import Fit, fit_heads
from rtbci.models.pretrain.tasks.trials import Trials, collect_trials
from rtbci.models.teg import TEG

Graphs = Literal["joint", "separate", "hands"]
"""One graph for all tasks, one for each, or the head that sessions decode by alone."""


@dataclass(frozen=True)
class StageTwo:
    """What came of stage II.

    Attributes
    ----------
    network : EEGPT
        The encoder as it was, with the heads of all tasks that the recordings offer.
    fits : dict of str to Fit
        By task: how it went.
    trials : dict of str to int
        By task: how many there were to learn from.
    """

    network: EEGPT
    fits: dict[str, Fit]
    trials: dict[str, int]

    def summary(self) -> dict[str, dict[str, float]]:
        """Plain values by task: trials, steps, and scores on left-out training subjects if any."""
        made: dict[str, dict[str, float]] = {}
        for name, fit in self.fits.items():
            made[name] = {"trials": self.trials[name], "steps": fit.steps}
            if not np.isnan(fit.left_out[name]):
                made[name] |= {"linear_probe": fit.start[name], "left_out": fit.left_out[name]}
        return made


def check_graphs(graphs: str) -> None:
    """Refuse what is none of :data:`Graphs`.

    Raises
    ------
    BadInputError
    """
    if graphs not in get_args(Graphs):
        raise BadInputError(f"tasks can be {', '.join(get_args(Graphs))}, got {graphs!r}.")


def fit_tasks(
    network: EEGPT,
    recordings: Sequence[Prepared],
    *,
    graphs: Graphs = "joint",
    graph_layers: int | None = None,
    seed: int = 0,
    bf16: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> StageTwo:
    """Train graph and heads on all tasks that recordings offer; the encoder stands still.

    Parameters
    ----------
    network : EEGPT
        Its encoder and forecast heads are kept.
    recordings : sequence of Prepared
        Of the subjects to train on.
    graphs : str
        ``joint`` or ``separate``; ``hands`` leaves all other tasks out.
    graph_layers : int, optional
        Other than the network's: 0 pools without a graph.
    seed : int
    bf16 : bool
        Whether the encoder's matrix products are in bfloat16; heads are float32 in any case.
    progress : callable, optional
        Called with the share that is done and what is done.
    """
    tell = progress or (lambda _done, _what: None)
    device = str(next(network.parameters()).device)
    config = replace(
        network.config,
        classes=(),
        tasks=(),
        graphs="separate" if graphs == "separate" else "joint",
        teg_layers=network.config.teg_layers if graph_layers is None else graph_layers,
        teg_tokens=1 if network.config.summary else TEG_TOKENS,
    )
    encoder = _with_heads(network, config)
    found: dict[Task, Trials] = {}
    wanted = (HANDS,) if graphs == "hands" else TASKS
    for i, task in enumerate(wanted):
        tell(0.5 * i / len(wanted), task.name)
        trials = collect_trials(encoder.to(device), recordings, task, device=device, bf16=bf16)
        if trials is not None and _can_be_learned(task, trials):
            found[task] = trials
    tasks = tuple(_settings(task, trials) for task, trials in found.items() if task is not HANDS)
    scaled = {
        task: _standard(trials, next((t for t in tasks if t.name == task.name), None))
        for task, trials in found.items()
    }
    made = _with_heads(
        network, replace(config, classes=HANDS.classes if HANDS in found else (), tasks=tasks)
    )
    joint = [{t: x} for t, x in scaled.items()] if graphs == "separate" else [dict(scaled)]
    fits: dict[str, Fit] = {}
    for i, material in enumerate(joint if found else []):
        names = ", ".join(t.name for t in material)
        tell(0.5 + 0.5 * i / len(joint), names)
        like = made.graph_of(key_of(next(iter(material))))
        graph, fit = fit_heads(partial(_fresh, like, made.config, seed), material, seed=seed)
        like.load_state_dict(graph.state_dict())
        fits |= {t.name: fit for t in material}
    tell(1.0, "done")
    return StageTwo(made.eval(), fits, {t.name: len(x.subjects) for t, x in found.items()})


def _with_heads(network: EEGPT, config: ModelConfig) -> EEGPT:
    """Give a network of these settings with the same encoder and forecast heads, on the CPU."""
    made = EEGPT(config)
    kept = {k: v for k, v in network.state_dict().items() if not k.startswith(("teg.", "graphs."))}
    made.load_state_dict(kept, strict=False)
    made.requires_grad_(False)
    return made.eval()


def _fresh(like: TEG, config: ModelConfig, seed: int) -> TEG:
    """Give a new graph with the heads that ``like`` has, always the same one for a seed."""
    tasks = [t for t in config.tasks if t.name in like.tasks]
    hands = "out" in dict(like.named_children())
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TEG(config if hands else replace(config, classes=()), tasks)


def _can_be_learned(task: Task, trials: Trials) -> bool:
    """Whether there are trials of both classes, or numbers that differ."""
    return bool(trials.targets.std() > 0) and (not task.classes or len(trials.subjects) > 1)


def _settings(task: Task, trials: Trials) -> TaskConfig:
    """Head of a task, with mean and deviation of the numbers that it learns."""
    number = not task.classes
    return TaskConfig(
        name=task.name,
        classes=task.classes,
        electrodes=task.electrodes,
        unit=task.unit,
        centre=float(trials.targets.mean()) if number else 0.0,
        spread=float(trials.targets.std()) if number else 1.0,
    )


def _standard(trials: Trials, settings: TaskConfig | None) -> Trials:
    """Trials with numbers as the head gives them."""
    if settings is None or settings.classes:
        return trials
    return replace(trials, targets=(trials.targets - settings.centre) / settings.spread)
