"""Calibration from recordings: trials, the choice of a decoder, its honest score, a profile.

    recordings -> follow, every view in one pass -> cues -> electrodes, bad trials -> windows
        -> auto: the choice, and its nested score -> permutations -> verdict, learning curve
        -> control table -> fit on all trials -> profile

Nothing is written before all of it has succeeded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rtbci.calibration.basis import Progress as Progress
from rtbci.calibration.basis import read_basis, recipes_of
from rtbci.calibration.decoders.catalogue import AUTO_NAME
from rtbci.calibration.evaluation.learning import learning_curve
from rtbci.calibration.finish import DECODER_VIEW as DECODER_VIEW
from rtbci.calibration.finish import finish
from rtbci.calibration.profile import check_subject, check_writable, earlier_looks, save_profile
from rtbci.calibration.reading.checks import check_named_once
from rtbci.calibration.report import CalibrationReport, outcomes
from rtbci.calibration.scoring.cross_validation import permutation_test
from rtbci.calibration.scoring.metrics import measure
from rtbci.calibration.scoring.verdict import judge_score, permutations_needed
from rtbci.calibration.selection.auto import (
    choice_score,
    choose,
    combine,
    folds_of,
    nested_evidence,
)
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.sources.moabb_source import expand

PERMUTATIONS = 99


def calibrate(
    recordings: Sequence[Path | str],
    subject: str,
    *,
    classes: str | None = None,
    montage: str | None = None,
    decoder: str = AUTO_NAME,
    electrodes: Sequence[str] | None = None,
    profiles_dir: Path | None = None,
    config: SessionConfig | None = None,
    view: ViewConfig | None = None,
    permutations: int | None = None,
    looked: Sequence[int] | None = None,
    signal_check: bool = True,
    progress: Progress | None = None,
) -> CalibrationReport:
    """Fit a subject's decoder to recordings and save it as her profile.

    Parameters
    ----------
    recordings : sequence of path
        Files, recordings of ours, or ``moabb:NAME/SUBJECT``; of one subject, one montage and one
        rate, in the order in which they were made.
    subject : str
        Name of the profile.
    classes : str | None
        ``T1=left_hand,T2=right_hand``; files called SnnnRmm need none.
    montage : str | None
        As ``--montage`` takes it.
    decoder : str
        ``auto`` chooses among the built-in ones; else a name or ``module:factory``.
    electrodes : sequence of str | None
        What the decoder reads; the motor electrodes where None.
    profiles_dir : Path | None
        Folder of profiles; the user's own where None.
    config : SessionConfig | None
        Preprocessing, health and trial of the sessions to come.
    view : ViewConfig | None
        What every decoder sees; each one's own view where None.
    permutations : int | None
        For the p-value, at most; where None, :data:`PERMUTATIONS`, or as many as this look needs
        for any verdict.
    looked : sequence of int | None
        Numbers of trials at which one has looked at this session before; those of the earlier
        profile where None, if it was made from one of these recordings.
    signal_check : bool
        Whether regression and flags begin with what the newest signal check in the recordings
        showed, where they hold one.
    progress : callable | None

    Raises
    ------
    BadInputError
        Where the profile can't be written, the recordings can't be read, don't fit each other,
        don't hold enough trials of two classes, or one is named twice.  An earlier profile is
        untouched then.
    """
    check_subject(subject)
    recipes = recipes_of(decoder, view)
    paths = expand(recordings)
    if not paths:
        raise BadInputError("no recording was named; give one or more files to calibrate from.")
    check_named_once(paths)
    check_writable(profiles_dir)
    config, tell = config or SessionConfig(), progress or _silent
    basis = read_basis(
        paths,
        subject,
        recipes,
        config,
        tell,
        classes=classes,
        montage=montage,
        electrodes=electrodes,
        signal_check=signal_check,
    )
    contest = basis.contest

    tell("cross-validating", 0.0)
    choice = choose(contest)
    choice = replace(choice, dropped={**basis.refused, **choice.dropped})
    folds = folds_of(contest, np.arange(len(contest.y)))
    evidence, _ = nested_evidence(contest, folds)
    metrics = measure(evidence, contest.y, config.decode.trial_s[1])
    if looked is None:
        looked = earlier_looks(subject, [p.name for p in paths], profiles_dir)
    most = permutations or permutations_needed(PERMUTATIONS, len(contest.y), looked)
    chance = permutation_test(
        lambda labels: choice_score(contest, folds, labels),
        contest.y,
        contest.run,
        most=most,
        folds=folds.folds,
        progress=lambda done: tell("permuting labels", done / most),
    )
    tell("fitting", 0.0)
    own = combine(choice, {m: contest.cross(m, folds.folds) for m in choice.members})
    curve = learning_curve(contest, choice, folds, own)
    verdict = judge_score(
        metrics.balanced,
        chance.p_value,
        chance.null_sd,
        len(contest.y),
        len(basis.data.names),
        looked,
    )
    card, estimator = finish(
        basis,
        subject,
        choice,
        folds,
        own,
        metrics,
        p_value=chance.p_value,
        permutations=chance.permutations,
    )
    card = replace(card, verdict=verdict.rounded(), curve=curve)
    saved = save_profile(card, estimator, profiles_dir)
    told = outcomes(basis.data.cues, evidence, basis.data.names)
    return CalibrationReport(saved, basis.data.rejected, basis.data.left_out, told)


def _silent(_: str, __: float) -> None:
    """Tell nobody."""
