"""Fine-tuning the foundation model behind a profile, and the offer where that is better.

    the profile's recordings -> the same trials, the same folds
        -> the profile's own decoder beside each mode of fine-tuning, simplest first
        -> better by more than one standard error? -> fitted on all trials -> the offer

It takes minutes, so it runs in a process of its own (:mod:`rtbci.apps.fine_tuning`); nothing here
knows of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtbci.calibration.basis import Basis, read_basis, recipes_of
from rtbci.calibration.card import Candidate, Card
from rtbci.calibration.decoders.catalogue import find_recipe
from rtbci.calibration.finish import finish
from rtbci.calibration.offer import Job, Outcome
from rtbci.calibration.online.adaptation import Referenced
from rtbci.calibration.profile import Profile
from rtbci.calibration.reading.checks import count
from rtbci.calibration.reading.trials import MIN_MOTOR, MOTOR
from rtbci.calibration.scoring.cross_validation import Folds
from rtbci.calibration.scoring.metrics import measure
from rtbci.calibration.selection.auto import Choice, choose, combine, folds_of, one_standard_error
from rtbci.calibration.selection.contest import Evidence
from rtbci.errors import BadInputError
from rtbci.models.electrodes import GENERIC, electrode_ids
from rtbci.types import IndexArray

MIN_TRIALS = 10
"""Of each class, on average: with fewer, one standard error is more than can be gained."""
NOTE = (
    "fine-tuned after the calibration: p-value and verdict are of the calibration's own choice; "
    "none is claimed for the fine-tuned decoder"
)
"""Stands in the card of every offer."""

Tell = Callable[[str, Sequence[Candidate]], None]
"""Told which decoder is tried now (empty: none), and the scores so far."""


@dataclass(frozen=True)
class Found:
    """What a fine-tuning found.

    Attributes
    ----------
    outcome : Outcome
    said : str
    scores : tuple of Candidate
    card, estimator
        Of the offer, where there is one.
    """

    outcome: Outcome
    said: str
    scores: tuple[Candidate, ...]
    card: Card | None = None
    estimator: Referenced | None = None


def why_not(card: Card) -> str:
    """Why fine-tuning makes no sense behind a profile; empty where it does."""
    known = electrode_ids(card.electrodes)
    motor = [
        e
        for e, row in zip(card.electrodes, known, strict=True)
        if row != GENERIC and MOTOR.fullmatch(e)
    ]
    if len(motor) < MIN_MOTOR:
        return (
            f"the decoder reads {count(len(motor), 'electrode')} over the motor cortex, and "
            f"fine-tuning needs {MIN_MOTOR}"
        )
    needed = MIN_TRIALS * len(card.classes)
    if card.score.trials < needed:
        return f"there are {count(card.score.trials, 'trial')}, and fine-tuning needs {needed}"
    return ""


def fine_tune(profile: Profile, job: Job, tell: Tell) -> Found:
    """Score the modes of fine-tuning beside a profile's own decoder, and fit the better one.

    Parameters
    ----------
    profile : Profile
    job : Job
    tell : callable

    Raises
    ------
    BadInputError
        Where the recordings can't be read, or don't give the trials and the decoder of the
        profile any more.
    """
    card = profile.card
    own = recipes_of(job.decoder)
    modes = {name: find_recipe(name) for name in job.modes if name not in own}
    tell("", ())
    basis = read_basis(
        [Path(r) for r in job.recordings],
        card.subject,
        {**own, **modes},
        job.session,
        lambda _, __: None,
        classes=job.classes,
        montage=job.montage,
        electrodes=job.electrodes,
    )
    contest = basis.contest
    folds = folds_of(contest, np.arange(len(contest.y)))
    before = choose(contest.only(tuple(own)))
    _check_same(card, basis, before)
    evidence = {
        before.name: combine(before, {m: contest.cross(m, folds.folds) for m in before.members})
    }
    dropped = dict(basis.refused)
    for name in modes:
        if name in dropped:
            continue
        tell(name, _scores(evidence, contest.y))
        why = _contaminated(basis, name)
        try:
            if not why:
                evidence[name] = contest.cross(name, folds.folds)
        except BadInputError as err:
            why = str(err)
        if why:
            dropped[name] = why
    scores = _scores(evidence, contest.y)
    tell("", scores)
    if len(evidence) == 1:
        return Found(Outcome.FAILED, f"nothing could be tried: {_listed(dropped)}", scores)
    choice = _choice(evidence, contest.y, dropped)
    if choice.name == before.name:
        return Found(Outcome.NOT_BETTER, _not_better(choice, before.name), scores)
    tell(choice.name, scores)
    metrics = measure(_rechosen(evidence, contest.y, folds), contest.y, basis.trial.trial_s[1])
    made, estimator = finish(
        basis,
        card.subject,
        choice,
        folds,
        evidence[choice.name],
        metrics,
        p_value=card.score.p_value,
        permutations=card.score.permutations,
    )
    made = replace(made, chosen=(*made.chosen, NOTE), verdict=card.verdict)
    gain = choice.scores[choice.name] - choice.scores[before.name]
    said = (
        f"{choice.name} is better than {before.name} by {gain:.2f}, more than one standard error "
        f"({choice.errors[before.name]:.2f})"
    )
    return Found(Outcome.OFFERED, said, scores, made, estimator)


def _check_same(card: Card, basis: Basis, choice: Choice) -> None:
    """Refuse to compare with a profile of other trials or another decoder."""
    now = (basis.data.names, basis.data.used, len(basis.contest.y))
    if now != (card.classes, card.electrodes, card.score.trials):
        raise BadInputError(
            f"the recordings don't give the {card.score.trials} trials of "
            f"{len(card.electrodes)} electrodes any more that {card.subject}'s profile was made "
            "from; calibrate again."
        )
    if choice.name != card.decoder:
        raise BadInputError(
            f"{card.subject}'s profile has decoder {card.decoder}, but the choice is now "
            f"{choice.name}, as where the bank has changed since; calibrate again."
        )


def _contaminated(basis: Basis, name: str) -> str:
    """Why a decoder's score on this subject would be no test; empty where it is one."""
    saw = basis.recipes[name].saw
    known = [s for s in basis.task.without if saw is not None and saw(s)]
    return f"its weights were trained on {known[0]}" if known else ""


def _decided(evidence: Mapping[str, Evidence], trials: IndexArray) -> dict[str, IndexArray]:
    return {k: np.argmax(e[trials], axis=1).astype(np.int64) for k, e in evidence.items()}


def _choice(evidence: Mapping[str, Evidence], y: IndexArray, dropped: dict[str, str]) -> Choice:
    n_classes = next(iter(evidence.values())).shape[1]
    decided = _decided(evidence, np.arange(len(y)))
    name, scores, errors = one_standard_error(decided, y, n_classes)
    return Choice(name, (name,), (1.0,), scores, errors, dropped)


def _scores(evidence: Mapping[str, Evidence], y: IndexArray) -> tuple[Candidate, ...]:
    scores = _choice(evidence, y, {}).scores
    return tuple(Candidate(name, round(score, 4)) for name, score in scores.items())


def _rechosen(evidence: Mapping[str, Evidence], y: IndexArray, folds: Folds) -> Evidence:
    """Evidence of the choice made again for each fold from the decisions in the others.

    A best of several is best by luck, too, and this takes most of it out of the score.  What
    decides in the other folds has been fitted with this fold's trials, so not all.
    """
    made = np.zeros_like(next(iter(evidence.values())))
    for fold in folds.folds:
        others = np.setdiff1d(np.arange(len(y)), fold.test)
        name = one_standard_error(_decided(evidence, others), y[others], made.shape[1])[0]
        made[fold.test] = evidence[name][fold.test]
    return made


def _not_better(choice: Choice, own: str) -> str:
    best = max(choice.scores, key=lambda k: choice.scores[k])
    if best == own:
        return f"no fine-tuned decoder is better than {own}"
    return (
        f"{best} is better than {own} by {choice.scores[best] - choice.scores[own]:.2f}, not more "
        f"than one standard error ({choice.errors[own]:.2f})"
    )


def _listed(dropped: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in dropped.items())
