"""From a choice to what is saved: the decoder fitted on all trials, and a card that describes it.

choice -> fit on all trials -> its view joined -> control table, patterns, temperature, idle model,
courses -> card
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rtbci.calibration.basis import Basis
from rtbci.calibration.card import Candidate, Card, Control, Rejected, Score
from rtbci.calibration.controls.control import Scored, caveat, control_table, control_views
from rtbci.calibration.controls.patterns import find_patterns
from rtbci.calibration.decoders.catalogue import is_quick, make_decoder
from rtbci.calibration.intent import Seen, courses_of, find_pauses, idle_model
from rtbci.calibration.online.adaptation import Referenced
from rtbci.calibration.online.config import OnlineConfig
from rtbci.calibration.online.courses import Course
from rtbci.calibration.online.evidence import fit_temperature
from rtbci.calibration.reading.track import Track
from rtbci.calibration.reading.trials import cut
from rtbci.calibration.scoring.cross_validation import Folds
from rtbci.calibration.scoring.metrics import Metrics
from rtbci.calibration.selection.auto import Choice
from rtbci.calibration.selection.contest import Contest, Evidence
from rtbci.calibration.selection.stack import Stack, stack
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.types import FloatArray, IndexArray

DECODER_VIEW = "decoder"
"""View of the decoder that was chosen."""


def finish(
    basis: Basis,
    subject: str,
    choice: Choice,
    folds: Folds,
    own: Evidence,
    metrics: Metrics,
    *,
    p_value: float,
    permutations: int,
) -> tuple[Card, Referenced]:
    """Fit the chosen decoder on all trials and describe it.

    Parameters
    ----------
    basis : Basis
    subject : str
    choice : Choice
    folds : Folds
        That it was scored on.
    own : ndarray, shape (n_trials, n_classes)
        Evidence of the chosen decoder on those folds, for the control table.
    metrics : Metrics
        Of the whole choice, made again in each fold.
    p_value, permutations
        Of the score.

    Returns
    -------
    card : Card
        Without verdict and learning curve; ``file`` and ``sha256`` are empty.
    estimator : Referenced
        Fitted.
    """
    data, config, contest = basis.data, basis.config, basis.contest
    fitted, seen = _fit(contest, choice)
    tracks = [_with_view(t, seen, choice, basis) for t in data.tracks]
    windows = cut(
        tracks, data.cues, data.used, basis.trial, DECODER_VIEW, seen, config.preprocess.rate_hz
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
            make=lambda: _unfitted(choice, basis),
            evidence=own,
            trial=basis.trial,
            preprocess=config.preprocess,
        )
    )
    reach = (seen.bands_hz[0][0], seen.bands_hz[-1][1])
    controls = (
        Control("decoder", len(data.used), reach, round(metrics.balanced, 4)),
        *controls,
    )
    in_fit = windows.x[windows.fit]
    about = Seen(
        tracks,
        data.cues,
        data.used,
        data.names,
        DECODER_VIEW,
        seen,
        config.preprocess.rate_hz,
        config.token.hop_s,
        basis.trial.trial_s[1],
        windows,
    )
    pauses = find_pauses(about)
    idle = idle_model(about, pauses)
    temperature = _temperature(contest, choice, folds)
    courses: tuple[Course, ...] = ()
    if all(is_quick(m) for m in choice.members):
        courses = courses_of(
            about,
            pauses if idle is not None else None,
            folds,
            lambda trials: _fit(contest, choice, trials)[0],
            temperature,
        )
    card = Card(
        subject=subject,
        created=datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds"),
        decoder=choice.name,
        file="",
        sha256="",
        classes=data.names,
        electrodes=data.used,
        source_rate=data.tracks[0].rate,
        recordings=tuple(p.name for p in basis.paths),
        score=Score(
            balanced=round(metrics.balanced, 4),
            label=folds.label,
            trials=len(contest.y),
            rejected=sum(data.rejected.values()),
            p_value=round(p_value, 4),
            permutations=permutations,
            caveat=caveat(metrics.balanced, controls[1:]),
        ),
        preprocess=config.preprocess,
        view=seen,
        online=OnlineConfig(temperature=temperature),
        candidates=tuple(Candidate(k, round(v, 4)) for k, v in choice.scores.items()),
        controls=controls,
        chosen=choice.lines(),
        metrics=metrics.rounded(),
        patterns=find_patterns(fitted, in_fit, seen.bands_hz, data.used, data.names),
        regressed=data.tracks[0].references if seen.regress == "rim" else (),
        montage=data.tracks[0].electrodes,
        rejected=tuple(Rejected(why, n) for why, n in data.rejected.items()),
        learned=data.learned,
        courses=courses,
    )
    referenced = Referenced.around(fitted, in_fit, len(seen.bands_hz))
    referenced.idle = idle
    return card, referenced


def _temperature(contest: Contest, choice: Choice, folds: Folds) -> float:
    """Temperature of single windows that the chosen decoder was not fitted on."""
    log_p, y = [], []
    for fold in folds.folds:
        each = [contest.log_probabilities(m, fold.train, fold.test) for m in choice.members]
        total: Any = sum(w * lp for w, (lp, _) in zip(choice.weights, each, strict=True))
        log_p.append(total)
        y.append(contest.y[fold.test[each[0][1]]])
    return round(fit_temperature(np.concatenate(log_p), np.concatenate(y).astype(np.intp)), 4)


def _fit(
    contest: Contest, choice: Choice, trials: IndexArray | None = None
) -> tuple[Any, ViewConfig]:
    """Fit the chosen decoder on some trials, or on all; give it with the view that it sees."""
    members = [contest.fit(m, trials) for m in choice.members]
    views = [contest.entry(m).view or ViewConfig() for m in choice.members]
    if len(members) == 1:
        return members[0], views[0]
    return stack(members, views, choice.weights)


def _unfitted(choice: Choice, basis: Basis) -> Any:
    """Make the chosen decoder anew, for the controls."""
    members = [make_decoder(m, basis.task) for m in choice.members]
    if len(members) == 1:
        return members[0]
    views = [basis.recipes[m].view for m in choice.members]
    made: Stack = stack(members, views, choice.weights)[0]
    return made


def _with_view(track: Track, seen: ViewConfig, choice: Choice, basis: Basis) -> Track:
    """The track with the chosen decoder's view, and with what it would be without regression."""
    views = [basis.recipes[m].view for m in choice.members]
    signals = {**track.signals, DECODER_VIEW: _joined(track, views, seen)}
    for name, view in control_views({DECODER_VIEW: seen}, basis.config.preprocess).items():
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
