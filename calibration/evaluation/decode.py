"""``rtbci evaluate decode``: decoders side by side on the same trials of the same subjects.

    for each session (subject, task)
        one pass a file -> for each set of electrodes -> for each condition of the protocol
            -> every decoder, ``auto`` and the controls, fitted on the same trials, scored on the
               same others
    -> means over subjects with intervals, and paired differences to the best classic decoder

A cell whose decoder has seen the subject while it was pretrained is marked and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from rtbci.calibration.controls import rows as control_rows
from rtbci.calibration.decoders.catalogue import (
    AUTO,
    AUTO_NAME,
    BUILT_IN,
    Recipe,
    Task,
    find_recipe,
)
from rtbci.calibration.evaluation.protocols import Condition, Protocol, conditions
from rtbci.calibration.reading.cohort import Trials, find_sessions, read_session
from rtbci.calibration.reading.trials import TrialConfig, Windows, cut, motor_electrodes
from rtbci.calibration.scoring.accuracy import balanced_accuracy
from rtbci.calibration.scoring.cross_validation import Fold
from rtbci.calibration.scoring.metrics import Metrics, measure
from rtbci.calibration.selection.auto import auto_evidence
from rtbci.calibration.selection.contest import Contest, Evidence, enter
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.montage import parse_montage
from rtbci.types import IndexArray

MOTOR = "motor"
ALL = "all"
CLASSIC = ("csp+lda", "ts+lr", "mdm")
"""Decoders of the subject's own trials alone that others are measured by."""
CONTAMINATED = "contaminated"
POPULATION = "population"
BETTER = "better of own and population"
"""The classic decoder or the population's that one half of the test trials speaks for, scored on
the other half, and the other way round."""
BIASED = "+bias"
"""Behind a decoder's name: a slow causal mean of its past decision values is subtracted."""
BIAS_RATE = 0.05
"""Of that mean, for each trial."""

Tell = Callable[[float, str], None]


@dataclass(frozen=True)
class Cell:
    """One decoder of one subject under one condition.

    Attributes
    ----------
    protocol : Protocol
    task, electrodes, condition, decoder, subject : str
    metrics : Metrics | None
        Means over the condition's splits; None where there is no score.
    note : str
        Why there is none (``contaminated``, or the decoder's own sentence).
    chosen : tuple of str
        What ``auto`` chose, split by split.
    """

    protocol: Protocol
    task: str
    electrodes: str
    condition: str
    decoder: str
    subject: str
    metrics: Metrics | None
    note: str = ""
    chosen: tuple[str, ...] = ()


@dataclass
class Standing:
    """All cells of an evaluation.

    Attributes
    ----------
    protocols : tuple of Protocol
    decoders : tuple of str
        In the order in which they were asked for.
    controls : tuple of str
    cells : list of Cell
    trials : dict of str to int
        Trials used, by task.
    rejected : dict of str to int
        Trials left out, by task.
    """

    protocols: tuple[Protocol, ...]
    decoders: tuple[str, ...]
    controls: tuple[str, ...] = control_rows.NAMES
    cells: list[Cell] = field(default_factory=list)
    trials: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)

    def scores(
        self, protocol: Protocol, task: str, electrodes: str, condition: str, decoder: str
    ) -> dict[str, Metrics]:
        """Metrics by subject of one row of a table."""
        wanted = (protocol, task, electrodes, condition, decoder)
        return {
            c.subject: c.metrics
            for c in self.cells
            if (c.protocol, c.task, c.electrodes, c.condition, c.decoder) == wanted
            and c.metrics is not None
        }


def evaluate_decode(
    data: Sequence[Path],
    *,
    protocols: Sequence[Protocol] = (Protocol.WITHIN,),
    decoders: Sequence[str] = (),
    electrodes: Sequence[str] = (MOTOR,),
    tasks: Sequence[str] = (),
    classes: str | None = None,
    montage: str | None = None,
    config: SessionConfig | None = None,
    progress: Tell | None = None,
) -> Standing:
    """Score decoders under one protocol or several.

    Parameters
    ----------
    data : sequence of Path
        Recordings or folders of them.
    protocols : sequence of Protocol
        All on one pass over the files.
    decoders : sequence of str
        Names, ``auto`` among them if wanted, each also with :data:`BIASED` behind it; the classic
        ones and ``auto`` where empty.
    electrodes : sequence of str
        Sets of them, each a table of its own: ``motor``, ``all``, a montage's name, or a list.
    tasks : sequence of str
        Parts of the names of the tasks that are wanted; all where empty.
    classes, montage : str | None
        As on the command line.
    progress : callable | None
        Told the share that is done and what is being read.

    Raises
    ------
    BadInputError
        Where there is nothing to read, a decoder is unknown, or no session can be scored.
    """
    names = tuple(decoders) or (*CLASSIC, AUTO_NAME)
    config = config or SessionConfig()
    recipes = {name: find_recipe(name) for name in _needed(names)}
    sessions = [s for s in find_sessions(data) if _wanted_task(s.task, tasks)]
    if not sessions:
        raise BadInputError(
            f"no recording is of the task {', '.join(tasks)}; leave --task out for all there are."
        )
    sets = {label: electrode_set(label) for label in electrodes}
    standing = Standing(tuple(protocols), names)
    views = {r.view.key: r.view for r in recipes.values()}
    for i, session in enumerate(sessions):

        def at(path: Path, done: float = i / len(sessions)) -> None:
            if progress is not None:
                progress(done, path.name)

        def wanted(there: Sequence[str]) -> tuple[str, ...]:
            return tuple(e for e in there if any(e in pick(there) for pick in sets.values()))

        trials = read_session(
            session,
            {**views, **control_rows.views(config.preprocess)},
            wanted,
            classes=classes,
            montage=montage,
            config=config,
            progress=at,
        )
        _count(standing, trials)
        for label, pick in sets.items():
            chosen = tuple(e for e in trials.electrodes if e in pick(trials.tracks[0].electrodes))
            if len(chosen) < 2:
                continue
            score_session(standing, trials, label, chosen, recipes, config)
    if not standing.cells:
        needs = "; ".join(f"{p.value} needs {_NEEDS[p]}" for p in protocols)
        raise BadInputError(f"no subject has enough trials: {needs}.")
    return standing


_NEEDS = {
    Protocol.WITHIN: "at least 4 usable trials of each class",
    Protocol.FEW_SHOT: "at least 2 trials of each class among the first 30 % and in the rest",
    Protocol.LEAVE_ONE_SUBJECT_OUT: "two runs with 2 trials of each class",
}


def electrode_set(label: str) -> Callable[[Sequence[str]], tuple[str, ...]]:
    """What picks a set of electrodes out of those that are there.

    Parameters
    ----------
    label : str
        ``motor``, ``all``, or as ``--montage`` takes it.
    """
    if label == MOTOR:
        return motor_electrodes
    if label == ALL:
        return lambda there: tuple(there)
    named = parse_montage(label)
    return lambda there: tuple(e for e in named if e in there)


def unbiased(evidence: Evidence, rate: float = BIAS_RATE) -> Evidence:
    """Subtract a slow mean of past decision values from each trial's; trials in order of time."""
    values = evidence - evidence.mean(axis=1, keepdims=True)
    bias = np.zeros(evidence.shape[1])
    made: Evidence = np.empty_like(values)
    for i, value in enumerate(values):
        made[i] = value - bias
        bias = (1 - rate) * bias + rate * value
    return made


def _needed(names: Sequence[str]) -> tuple[str, ...]:
    """Every decoder that has to be fitted: those named and those that ``auto`` chooses among."""
    plain = [n.removesuffix(BIASED) for n in names]
    own = [n for n in plain if n != AUTO_NAME]
    return tuple(dict.fromkeys([*own, *(AUTO if AUTO_NAME in plain else ())]))


def _wanted_task(task: str, tasks: Sequence[str]) -> bool:
    return task != "rest" and (not tasks or any(t in task for t in tasks))


def _count(standing: Standing, trials: Trials) -> None:
    task = trials.session.task
    lost = sum(trials.rejected.values())
    standing.trials[task] = standing.trials.get(task, 0) + len(trials.cues) - lost
    standing.rejected[task] = standing.rejected.get(task, 0) + lost


def score_session(
    standing: Standing,
    trials: Trials,
    label: str,
    electrodes: tuple[str, ...],
    recipes: Mapping[str, Recipe],
    config: SessionConfig,
) -> None:
    """Score every decoder and control of one subject with one set of electrodes.

    Parameters
    ----------
    standing : Standing
        Gets the cells.
    trials : Trials
        With the views of all recipes and of the controls.
    label : str
        Of the set of electrodes.
    electrodes : tuple of str
    recipes : mapping of str to Recipe
        Every decoder that is named, and ``auto``'s candidates.
    """
    trial = TrialConfig(trial_s=config.decode.trial_s)
    rate = config.preprocess.rate_hz
    task = Task(electrodes, trials.classes, (trials.session.subject,))

    @cache
    def windows(view: ViewConfig) -> Windows:
        return cut(trials.tracks, trials.cues, electrodes, trial, view.key, view, rate)

    fair = {n: r for n, r in recipes.items() if not (r.saw and r.saw(trials.session.subject))}
    notes = dict.fromkeys(set(recipes) - set(fair), CONTAMINATED)
    entries, refused = enter(fair, task, windows)
    notes |= refused
    first = windows(next(iter(recipes.values())).view)
    contest = Contest(entries, len(trials.classes)) if entries else None
    controls = control_rows.rows(trials, electrodes, trial, config.preprocess)
    decision_s = config.decode.trial_s[1]
    each = [
        (p, c)
        for p in standing.protocols
        for c in conditions(p, first.y, first.run, len(trials.classes))
    ]
    for protocol, condition in each:
        kept: dict[str, list[Scored]] = {}

        def put(
            decoder: str,
            found: list[Scored],
            note: str = "",
            chosen: tuple[str, ...] = (),
            protocol: Protocol = protocol,
            condition: Condition = condition,
            kept: dict[str, list[Scored]] = kept,
        ) -> None:
            if found:
                kept[decoder] = found
            if decoder.endswith(BIASED):
                found = [(test, unbiased(evidence)) for test, evidence in found]
            metrics = _mean(found, first.y, decision_s) if found else None
            standing.cells.append(
                Cell(
                    protocol,
                    trials.session.task,
                    label,
                    condition.name,
                    decoder,
                    trials.session.subject,
                    metrics,
                    note,
                    chosen,
                )
            )

        for shown in standing.decoders:
            name, as_shown = shown.removesuffix(BIASED), partial(put, shown)
            if name == AUTO_NAME:
                _score_auto(contest, condition, as_shown)
            elif name in notes:
                as_shown([], notes[name])
            elif contest is not None:
                _score_one(contest, name, condition, as_shown)
        if condition.labelled:
            rivals = [kept[n] for n in (*CLASSIC, POPULATION) if n in kept]
            if POPULATION in kept and len(rivals) > 1:
                put(BETTER, better_by_halves(rivals, first.y, len(trials.classes)))
            for name, row in controls.items():
                if row.contest is None:
                    put(name, [], row.why)
                else:
                    only = _only(condition, row.there)
                    _score_one(row.contest, name, only, partial(put, name))
        if contest is not None:
            contest.forget()


Scored = tuple[IndexArray, Evidence]
"""Trials and the evidence that a decoder had on them."""
Put = Callable[..., None]


def _only(condition: Condition, there: IndexArray) -> Condition:
    """The condition without the trials that a control has no windows of."""
    splits = tuple(
        Fold(np.intersect1d(f.train, there), np.intersect1d(f.test, there))
        for f in condition.splits
    )
    return replace(condition, splits=splits)


def _score_one(contest: Contest, name: str, condition: Condition, put: Put) -> None:
    found: list[Scored] = []
    try:
        for fold in condition.splits:
            if condition.labelled:
                found.append((fold.test, contest.evidence(name, fold.train, fold.test)))
            else:
                evidence = contest.zero_shot(name, fold.train, fold.test)
                if evidence is None:
                    return
                found.append((fold.test, evidence))
    except BadInputError as err:
        put([], str(err))
        return
    put(found)


def _score_auto(contest: Contest | None, condition: Condition, put: Put) -> None:
    if not condition.labelled or contest is None:
        return
    own = contest.only(AUTO)
    found: list[Scored] = []
    chosen = []
    try:
        for fold in condition.splits:
            evidence, choice = auto_evidence(own, fold.train, fold.test)
            found.append((fold.test, evidence))
            chosen.append(choice.name)
    except BadInputError as err:
        put([], str(err))
        return
    put(found, "", tuple(chosen))


def better_by_halves(
    rivals: Sequence[Sequence[Scored]], y: IndexArray, n_classes: int
) -> list[Scored]:
    """Evidence of the rival that the other half of the test trials speaks for.

    Halves are every other trial of each class, over all splits.  A rival is chosen without the
    trials that it is then scored on, so the better of several is not better by luck.

    Parameters
    ----------
    rivals : sequence
        Of each, the splits' test trials and its evidence there; all with the same splits.
    y : ndarray, shape (n_trials,)
    """
    first = np.zeros(len(y), dtype=bool)
    for c in range(n_classes):
        first[np.flatnonzero(y == c)[::2]] = True
    tests = [test for test, _ in rivals[0]]
    evidence = [np.concatenate([e for _, e in found]) for found in rivals]
    tested = np.concatenate(tests)
    joined = np.empty_like(evidence[0])
    for half in (first[tested], ~first[tested]):
        scores = [
            balanced_accuracy(y[tested][~half], np.argmax(e[~half], axis=1), n_classes)
            for e in evidence
        ]
        joined[half] = evidence[int(np.argmax(scores))][half]
    parts = np.split(joined, np.cumsum([len(t) for t in tests])[:-1])
    return list(zip(tests, parts, strict=True))


def _mean(found: Sequence[Scored], y: IndexArray, decision_s: float) -> Metrics:
    """Mean of each metric over the splits; folds that test each trial once count as one."""
    tested = np.concatenate([test for test, _ in found])
    if len(np.unique(tested)) == len(tested):
        return measure(np.concatenate([e for _, e in found]), y[tested], decision_s)
    each = [measure(e, y[test], decision_s) for test, e in found]
    mean = {
        k: float(np.mean([getattr(m, k) for m in each]))
        for k in ("balanced", "kappa", "auc", "itr_bits", "itr_bits_min")
    }
    return replace(each[0], **mean, trials=sum(m.trials for m in each))


def all_decoders() -> tuple[str, ...]:
    """Every built-in decoder, and ``auto``."""
    return (*BUILT_IN, AUTO_NAME)
