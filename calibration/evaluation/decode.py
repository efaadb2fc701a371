"""One subject's decoders side by side, on the same trials.

    trials -> for each condition of the protocols
        -> every decoder, ``auto`` and the controls, fitted on the same trials, scored on the
           same others -> cells

A cell whose decoder has seen the subject while it was pretrained is marked and counts for nothing.
:mod:`rtbci.calibration.evaluation.run` does it for all subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np

from rtbci.calibration.controls import rows as control_rows
from rtbci.calibration.decoders.catalogue import (
    AUTO,
    AUTO_NAME,
    Recipe,
    Task,
)
from rtbci.calibration.evaluation.cells import Cell
from rtbci.calibration.evaluation.protocols import Condition, Protocol, conditions
from rtbci.calibration.reading.cohort import Trials
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
    commands : tuple of str
        By which the cells came.
    """

    protocols: tuple[Protocol, ...]
    decoders: tuple[str, ...]
    controls: tuple[str, ...] = control_rows.NAMES
    cells: list[Cell] = field(default_factory=list)
    trials: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    commands: tuple[str, ...] = ()

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


def score_session(
    standing: Standing,
    trials: Trials,
    label: str,
    electrodes: tuple[str, ...],
    recipes: Mapping[str, Recipe],
    config: SessionConfig,
    *,
    with_controls: bool = True,
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
    with_controls : bool
        Whether the controls are wanted, too.
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
    controls = {}
    if with_controls:
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
