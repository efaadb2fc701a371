"""Scores of a checkpoint's task heads on recordings: what a stranger may expect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtbci.bootstrap import Interval, bootstrap, paired
from rtbci.errors import BadInputError
from rtbci.models.checkpoint import Checkpoint
from rtbci.models.config import ModelConfig
from rtbci.models.pretrain.corpus.prepared import Prepared
from rtbci.models.pretrain.corpus.read import read_raw, recordings_in
from rtbci.models.pretrain.corpus.recordings import RawRecording
from rtbci.models.pretrain.tasks.answers import Answers, answers_of, join, key_of, outputs_of
from rtbci.models.pretrain.tasks.catalogue import HANDS, TASKS, Task
from rtbci.models.pretrain.tasks.trials import collect_trials
from rtbci.models.seen import trained_on
from rtbci.preprocess import Preprocessor


@dataclass(frozen=True)
class TaskScore:
    """Score of one head on a task or a part of it.

    Attributes
    ----------
    task : str
    group : str
        Part of the task (``imagined``); empty for all of it.
    measure : str
        ``balanced accuracy`` or ``correlation``.
    trials : int
    by_subject : dict of str to float
    floor : dict of str to float
        What needs no network: chance, or the value of the second before.
    """

    task: str
    group: str
    measure: str
    trials: int
    by_subject: dict[str, float]
    floor: dict[str, float]

    @property
    def score(self) -> Interval:
        """Mean over subjects."""
        return bootstrap(list(self.by_subject.values()))

    @property
    def gain(self) -> Interval:
        """Mean over subjects of what is above the floor."""
        return paired(self.by_subject, self.floor)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "task": self.task,
            "group": self.group,
            "measure": self.measure,
            "trials": self.trials,
            "subjects": len(self.by_subject),
            "score": _plain(self.score),
            "floor": _plain(bootstrap(list(self.floor.values()))),
            "gain": _plain(self.gain),
            "by_subject": {k: round(v, 4) for k, v in self.by_subject.items()},
        }


def score_tasks(
    checkpoint: Checkpoint,
    data: Sequence[Path],
    *,
    all_subjects: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> list[TaskScore]:
    """Score all heads of a checkpoint on recordings.

    Parameters
    ----------
    checkpoint : Checkpoint
    data : sequence of Path
        Recordings, or folders of them; those that no head can be scored on are passed over.
    all_subjects : bool
        Also those whom the weights were trained on.
    progress : callable, optional
        Called with the share that is done and what is done.

    Raises
    ------
    BadInputError
        Where the weights have no head, or there is no trial of a subject that they have not seen.
    """
    heads = heads_of(checkpoint.config)
    if not heads:
        raise BadInputError(
            f"{checkpoint.name} has no head for any task; pretrain one on recordings with cues."
        )
    tell = progress or (lambda _done, _what: None)
    files = recordings_in(data)
    chosen = [(p, s) for p, s in files if all_subjects or not trained_on(checkpoint, s)]
    said: dict[Task, list[Answers]] = {task: [] for task in heads}
    for i, (path, subject) in enumerate(chosen):
        tell(i / len(chosen), path.name)
        for raw in read_raw(path, subject):
            recording = behind_chain(raw, checkpoint.config)
            for task in heads:
                said[task] += _answers(checkpoint, recording, task)
    tell(1.0, "done")
    made = [s for task in heads if said[task] for s in _scores(task, join(said[task]))]
    if not made:
        raise BadInputError(
            f"{len(chosen)} of {len(files)} recordings are of subjects that {checkpoint.name} has "
            f"not seen, and none of these has a trial of {', '.join(t.name for t in heads)}; name "
            "others, or score all with --all-subjects."
        )
    return made


def heads_of(config: ModelConfig) -> list[Task]:
    """Tasks that a network of these settings has heads for."""
    known = {task.name for task in config.tasks}
    hands = config.classes == HANDS.classes
    return [t for t in TASKS if t.name in known or (t is HANDS and hands)]


def behind_chain(raw: RawRecording, config: ModelConfig) -> Prepared:
    """Run a recording through the live chain; without AR, which states have no use for."""
    n = len(raw.electrodes)
    chain = Preprocessor(raw.rate, n, config.preprocess, names=raw.electrodes)
    made = chain.push(raw.data, np.ones(n, np.bool_))
    last_rows = np.arange(config.n_hop - 1, len(made.signal), config.n_hop)
    n_hops = len(last_rows)
    hops = made.signal[: n_hops * config.n_hop].reshape(n_hops, config.n_hop, n)
    return Prepared(
        name=raw.name,
        subject=raw.subject,
        dataset=raw.dataset,
        electrodes=raw.electrodes,
        cues=raw.cues,
        delay_s=-chain.source_position(0) / raw.rate,
        signal=made.signal,
        mean=made.mean[last_rows],
        scale=made.scale[last_rows],
        valid=np.ptp(hops, axis=1) > 0,
        positions=np.zeros(0, np.int64),
        ar=np.zeros((0, n, config.n_horizons), np.float16),
        variance=made.signal.var(axis=0, dtype=np.float64),
    )


def _answers(checkpoint: Checkpoint, recording: Prepared, task: Task) -> list[Answers]:
    """What a head says of a recording's trials; empty where it has none."""
    trials = collect_trials(checkpoint.network, [recording], task)
    if trials is None:
        return []
    graph = checkpoint.network.graph_of(key_of(task))
    return [answers_of(outputs_of(graph, trials, task), trials, task)]


def _scores(task: Task, answers: Answers) -> list[TaskScore]:
    """Score of a task, and of its parts where it has several."""
    groups = sorted(set(answers.groups) - {""})
    parts = [("", answers), *((g, answers.of_group(g)) for g in groups if len(groups) > 1)]
    measure = "balanced accuracy" if task.classes else "correlation"
    return [
        TaskScore(task.name, g, measure, len(a.said), a.by_subject(), a.floor()) for g, a in parts
    ]


def _plain(interval: Interval) -> dict[str, float | None]:
    values = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {k: None if np.isnan(v) else round(v, 4) for k, v in values.items()}
