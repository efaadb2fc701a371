"""Calibration from recordings: trials, the choice of a decoder, its honest score, a profile.

    recordings -> follow, every view in one pass -> cues -> electrodes, bad trials -> windows
        -> auto: the choice, and its nested score -> permutations -> verdict, learning curve
        -> control table -> fit on all trials -> profile

Nothing is written before all of it has succeeded.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rtbci.calibration.card import Candidate, Card, Control, Rejected, Score
from rtbci.calibration.controls.control import Scored, caveat, control_table, control_views
from rtbci.calibration.controls.patterns import find_patterns
from rtbci.calibration.decoders.catalogue import (
    AUTO,
    AUTO_NAME,
    Recipe,
    Task,
    find_recipe,
    make_decoder,
)
from rtbci.calibration.evaluation.learning import learning_curve
from rtbci.calibration.online.adaptation import Referenced
from rtbci.calibration.online.config import OnlineConfig
from rtbci.calibration.online.evidence import fit_temperature
from rtbci.calibration.profile import check_subject, check_writable, earlier_looks, save_profile
from rtbci.calibration.reading.checks import (
    check_alike,
    check_classes,
    check_counts,
    check_different,
    check_named_once,
    check_window,
    pick_electrodes,
)
from rtbci.calibration.reading.cohort import follow_all, judge_all, subject_of
from rtbci.calibration.reading.moabb_source import expand, labels_of
from rtbci.calibration.reading.track import Track
from rtbci.calibration.reading.trials import Cue, TrialConfig, cut, find_cues
from rtbci.calibration.report import CalibrationReport, outcomes
from rtbci.calibration.scoring.cross_validation import Folds, permutation_test
from rtbci.calibration.scoring.metrics import measure
from rtbci.calibration.scoring.verdict import judge_score, permutations_needed
from rtbci.calibration.selection.auto import (
    Choice,
    choice_score,
    choose,
    combine,
    folds_of,
    nested_evidence,
)
from rtbci.calibration.selection.contest import Contest, enter
from rtbci.calibration.selection.stack import Stack, stack
from rtbci.calibration.signal.regression import reference_electrodes
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.classes import parse_classes
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.types import FloatArray

Progress = Callable[[str, float], None]
"""Told what is going on and which share of it is done (0 to 1)."""

PERMUTATIONS = 99
DECODER_VIEW = "decoder"
"""View of the decoder that was chosen."""


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
    progress : callable | None

    Raises
    ------
    BadInputError
        Where the profile can't be written, the recordings can't be read, don't fit each other,
        don't hold enough trials of two classes, or one is named twice.  An earlier profile is
        untouched then.
    """
    check_subject(subject)
    recipes = _recipes(decoder, view)
    paths = expand(recordings)
    if not paths:
        raise BadInputError("no recording was named; give one or more files to calibrate from.")
    check_named_once(paths)
    check_writable(profiles_dir)
    config, tell = config or SessionConfig(), progress or _silent
    maps = [labels_of(p) if classes is None else parse_classes(classes) for p in paths]
    trial = TrialConfig(trial_s=config.decode.trial_s)
    for recipe in recipes.values():
        check_window(recipe.view, trial)

    data = _read(paths, recipes, maps, trial, config, montage, electrodes, tell)
    task = Task(data.used, data.names, tuple({subject, *(subject_of(p) for p in paths)}))
    contest, refused = _contest(data, recipes, task, trial, config)

    tell("cross-validating", 0.0)
    choice = choose(contest)
    choice = replace(choice, dropped={**refused, **choice.dropped})
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
        progress=lambda done: tell("permuting labels", done / most),
    )
    tell("fitting", 0.0)
    own = combine(choice, {m: contest.cross(m, folds.folds) for m in choice.members})
    curve = learning_curve(contest, choice, folds, own)
    fitted, seen = _fit(contest, choice)
    tracks = [_with_view(t, seen, choice, recipes, config) for t in data.tracks]
    windows = cut(
        tracks, data.cues, data.used, trial, DECODER_VIEW, seen, config.preprocess.rate_hz
    )
    controls = control_table(
        Scored(
            tracks=tracks,
            cues=data.cues,
            folds=folds,
            n_classes=len(data.names),
            electrodes=data.used,
            view_name=DECODER_VIEW,
            view=seen,
            make=lambda: _unfitted(choice, recipes, task),
            evidence=own,
            trial=trial,
            preprocess=config.preprocess,
        )
    )
    reach = (seen.bands_hz[0][0], seen.bands_hz[-1][1])
    controls = (
        Control("decoder", len(data.used), reach, round(metrics.balanced, 4)),
        *controls,
    )
    in_fit = windows.x[windows.fit]
    card = Card(
        subject=subject,
        created=datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds"),
        decoder=choice.name,
        file="",
        sha256="",
        classes=data.names,
        electrodes=data.used,
        source_rate=data.tracks[0].rate,
        recordings=tuple(p.name for p in paths),
        score=Score(
            balanced=round(metrics.balanced, 4),
            label=folds.label,
            trials=len(contest.y),
            rejected=sum(data.rejected.values()),
            p_value=round(chance.p_value, 4),
            permutations=chance.permutations,
            caveat=caveat(metrics.balanced, controls[1:]),
        ),
        preprocess=config.preprocess,
        view=seen,
        online=OnlineConfig(temperature=_temperature(contest, choice, folds)),
        candidates=tuple(Candidate(k, round(v, 4)) for k, v in choice.scores.items()),
        controls=controls,
        chosen=choice.lines(),
        metrics=metrics.rounded(),
        verdict=judge_score(
            metrics.balanced,
            chance.p_value,
            chance.null_sd,
            len(contest.y),
            len(data.names),
            looked,
        ).rounded(),
        curve=curve,
        patterns=find_patterns(fitted, in_fit, seen.bands_hz, data.used, data.names),
        regressed=reference_electrodes(data.tracks[0].electrodes) if seen.regress == "rim" else (),
        montage=data.tracks[0].electrodes,
        rejected=tuple(Rejected(why, n) for why, n in data.rejected.items()),
    )
    referenced = Referenced.around(fitted, in_fit, len(seen.bands_hz))
    saved = save_profile(card, referenced, profiles_dir)
    told = outcomes(data.cues, evidence, data.names)
    return CalibrationReport(saved, data.rejected, data.left_out, told)


@dataclass(frozen=True)
class _Data:
    """What the recordings gave.

    Attributes
    ----------
    tracks : list of Track
    cues : list of Cue
        Judged.
    names : tuple of str
        Classes.
    used, left_out : tuple of str
        Electrodes of the decoder, and those that are too bad for it.
    rejected : dict of str to int
        Trials left out, by reason.
    """

    tracks: list[Track]
    cues: list[Cue]
    names: tuple[str, ...]
    used: tuple[str, ...]
    left_out: tuple[str, ...]
    rejected: dict[str, int]


def _silent(_: str, __: float) -> None:
    """Tell nobody."""


def _recipes(decoder: str, view: ViewConfig | None) -> dict[str, Recipe]:
    names = AUTO if decoder == AUTO_NAME else (decoder,)
    found = {name: find_recipe(name) for name in names}
    if view is None:
        return found
    return {name: replace(recipe, view=view) for name, recipe in found.items()}


def _read(
    paths: Sequence[Path],
    recipes: dict[str, Recipe],
    maps: Sequence[dict[str, str]],
    trial: TrialConfig,
    config: SessionConfig,
    montage: str | None,
    electrodes: Sequence[str] | None,
    tell: Progress,
) -> _Data:
    """Run the recordings through the causal chain, find their trials and judge them once."""
    views = {v.key: v for r in recipes.values() for v in (r.view, r.view.raw)}
    tracks, base = follow_all(
        paths,
        {**views, **control_views({}, config.preprocess)},
        config,
        montage,
        lambda path: tell(f"reading {path.name}", paths.index(path) / len(paths)),
    )
    check_different(tracks)
    check_alike(tracks)
    names = check_classes(tracks, maps)
    cues = find_cues(tracks, maps, names, trial, base.window_s)
    used, left_out = pick_electrodes(tracks, cues, electrodes)
    cues, rejected = judge_all(tracks, cues, used, base, config)
    check_counts(tracks, cues, names, rejected)
    return _Data(tracks, cues, names, used, left_out, rejected)


def _contest(
    data: _Data,
    recipes: dict[str, Recipe],
    task: Task,
    trial: TrialConfig,
    config: SessionConfig,
) -> tuple[Contest, dict[str, str]]:
    """All candidates on the same trials, and why some can't be made for this task."""
    rate = config.preprocess.rate_hz
    entries, refused = enter(
        recipes,
        task,
        lambda view: cut(data.tracks, data.cues, data.used, trial, view.key, view, rate),
    )
    if not entries:
        raise BadInputError(next(iter(refused.values())))
    return Contest(entries, len(data.names)), refused


def _temperature(contest: Contest, choice: Choice, folds: Folds) -> float:
    """Temperature of single windows that the chosen decoder was not fitted on."""
    log_p, y = [], []
    for fold in folds.folds:
        each = [contest.log_probabilities(m, fold.train, fold.test) for m in choice.members]
        total: Any = sum(w * lp for w, (lp, _) in zip(choice.weights, each, strict=True))
        log_p.append(total)
        y.append(contest.y[fold.test[each[0][1]]])
    return round(fit_temperature(np.concatenate(log_p), np.concatenate(y).astype(np.intp)), 4)


def _fit(contest: Contest, choice: Choice) -> tuple[Any, ViewConfig]:
    """Fit the chosen decoder on all trials; give it with the view that it sees."""
    members = [contest.fit(m) for m in choice.members]
    views = [contest.entry(m).view or ViewConfig() for m in choice.members]
    if len(members) == 1:
        return members[0], views[0]
    return stack(members, views, choice.weights)


def _unfitted(choice: Choice, recipes: dict[str, Recipe], task: Task) -> Any:
    """Make the chosen decoder anew, for the controls."""
    members = [make_decoder(m, task) for m in choice.members]
    if len(members) == 1:
        return members[0]
    made: Stack = stack(members, [recipes[m].view for m in choice.members], choice.weights)[0]
    return made


def _with_view(
    track: Track,
    seen: ViewConfig,
    choice: Choice,
    recipes: dict[str, Recipe],
    config: SessionConfig,
) -> Track:
    """The track with the chosen decoder's view, and with what it would be without regression."""
    views = [recipes[m].view for m in choice.members]
    signals = {**track.signals, DECODER_VIEW: _joined(track, views, seen)}
    for name, view in control_views({DECODER_VIEW: seen}, config.preprocess).items():
        if name not in signals:
            signals[name] = _joined(track, [v.raw for v in views], view)
    return replace(track, signals=signals)


def _joined(track: Track, views: Sequence[ViewConfig], seen: ViewConfig) -> FloatArray:
    """Bands of one or several views side by side, as the view that holds them all has them."""
    bands = {
        band: track.signals[view.key][:, i]
        for view in views
        for i, band in enumerate(view.bands_hz)
    }
    return np.stack([bands[band] for band in seen.bands_hz], axis=1)
