"""What a calibration's recordings say of doing nothing, and of how soon its trials are decided.

trials and pauses -> idle model, on all of them
each fold: decoder and idle model without its trials -> every token about them -> courses
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtbci.calibration.online.courses import BEFORE_S, MOST, Course
from rtbci.calibration.online.evidence import REST, log_odds, meant_odds, tempered
from rtbci.calibration.online.idle import Idle, fit_idle, pauses
from rtbci.calibration.reading.track import Track
from rtbci.calibration.reading.trials import Cue, Windows
from rtbci.calibration.scoring.accuracy import trial_begin
from rtbci.calibration.scoring.cross_validation import Folds
from rtbci.calibration.signal.streaming import ViewConfig, as_trial
from rtbci.types import FloatArray, IndexArray


@dataclass(frozen=True)
class Seen:
    """Trials and pauses in the view of the decoder that was chosen.

    Attributes
    ----------
    tracks : sequence of Track
    cues : sequence of Cue
        All of them, judged.
    electrodes : tuple of str
    classes : tuple of str
    view : str
        Name of the decoder's view in the tracks.
    config : ViewConfig
    rate : float
        Of the view, Hz.
    hop_s : float
        From a token to the next.
    end_s : float
        Where a trial ends, seconds after its cue has gone.
    windows : Windows
        Of the trials that are used.
    """

    tracks: Sequence[Track]
    cues: Sequence[Cue]
    electrodes: tuple[str, ...]
    classes: tuple[str, ...]
    view: str
    config: ViewConfig
    rate: float
    hop_s: float
    end_s: float
    windows: Windows

    @property
    def used(self) -> IndexArray:
        """Places of the cues that are used, shape (n_trials,)."""
        return np.flatnonzero([not c.reason for c in self.cues])


@dataclass(frozen=True)
class Pauses:
    """Windows in front of cues: what each is in front of, and the windows."""

    x: FloatArray
    cue: IndexArray


def find_pauses(seen: Seen) -> Pauses | None:
    """Windows of doing nothing; None where the decoder has a class for that."""
    if REST in seen.classes:
        return None
    found = pauses(
        seen.tracks, seen.cues, seen.electrodes, seen.end_s, seen.view, seen.config, seen.rate
    )
    return Pauses(*found)


def idle_model(
    seen: Seen, found: Pauses | None, trials: IndexArray | None = None, *, sure: bool = False
) -> Idle | None:
    """Fit the idle model to some trials, or to all, and to the pauses in front of them.

    Parameters
    ----------
    trials : ndarray of int | None
        Places among the trials that are used.
    sure : bool
        Fit without asking whether it says anything.
    """
    if found is None:
        return None
    w, used = seen.windows, seen.used
    own = w.fit if trials is None else w.fit & np.isin(w.trial, trials)
    near = np.ones(len(found.cue), dtype=np.bool_)
    if trials is not None:
        near = np.isin(found.cue, used[trials])
    return fit_idle(
        w.x[own],
        w.y[w.trial[own]],
        used[w.trial[own]],
        found.x[near],
        found.cue[near],
        sure=sure,
    )


def courses_of(
    seen: Seen,
    found: Pauses | None,
    folds: Folds,
    fit: Callable[[IndexArray], Any],
    temperature: float,
) -> tuple[Course, ...]:
    """Courses of trials by decoders that do not know them.

    Parameters
    ----------
    found : Pauses | None
        None where no idle model is used.
    folds : Folds
    fit : callable
        Given trials, the chosen decoder fitted on them.
    temperature : float
        Of its probabilities.
    """
    made: dict[int, Course] = {}
    kept = np.linspace(0, len(seen.used) - 1, min(MOST, len(seen.used))).round().astype(int)
    for fold in folds.folds:
        wanted = [int(t) for t in fold.test if t in kept]
        idle = idle_model(seen, found, fold.train, sure=True)
        if not wanted or (found is not None and idle is None):
            continue
        estimator = fit(fold.train)
        for trial in wanted:
            cue = seen.cues[seen.used[trial]]
            about = _about(seen, cue)
            if about is None:
                continue
            x, begin_s = about
            odds = log_odds(tempered(np.asarray(estimator.predict_proba(x)), temperature))
            if idle is not None:
                odds = meant_odds(odds, np.stack([idle(window) for window in x]))
            rows = tuple(tuple(round(float(v), 2) for v in row) for row in odds)
            made[trial] = Course(cue.wanted, round(begin_s, 4), rows)
    return tuple(made[t] for t in sorted(made))


def _about(seen: Seen, cue: Cue) -> tuple[FloatArray, float] | None:
    """Windows of all tokens about a cue, and when the first one ends; None where some lack."""
    track, n_rows = seen.tracks[cue.run], seen.config.rows(seen.rate)
    shown = max((m.time for m in track.markers if trial_begin(m) == cue.time), default=cue.time)
    time, columns = track.token_time, track.columns(seen.electrodes)
    tokens = np.flatnonzero((time >= shown - BEFORE_S) & (time <= cue.time + seen.end_s))
    if len(tokens) < 2 or not track.token_good[tokens][:, columns].all():
        return None
    rows = [track.window(seen.view, int(t), n_rows, columns) for t in tokens]
    whole = all(len(r) == n_rows for r in rows)
    if not whole or np.diff(time[tokens]).max() > 1.5 * seen.hop_s:
        return None
    return np.stack([as_trial(r, seen.config) for r in rows]), float(time[tokens[0]] - shown)
