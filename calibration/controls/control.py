"""The control table beside every decode score: what else than motor cortex would give it.

    rim, low frequencies       eyes: the signed course of the electrodes nearest to them
    rim, decoder's band        muscle, and the eyes in the decoder's own band
    central, low frequencies   slow potentials over the motor cortex, the eyes' field included
    central, low, regressed    the same after the regression: what it leaves of the eyes
    all, highest frequencies   muscle
    decoder, not regressed     the decoder without the regression of eyes and muscle
    decoder, before the cue    block order and anticipation
    decoder where rim fails    its trials that the rim, low frequencies, decides wrong

All on the same trials and folds.  Covariances are blind to the sign of a deflection, and looking
left and looking right differ in nothing else.  So the low controls read the course of the signal
itself: its mean in steps of a quarter of a window, by shrinkage LDA.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from rtbci.calibration.card import Control
from rtbci.calibration.decoders.catalogue import ts_lr
from rtbci.calibration.reading.track import Track
from rtbci.calibration.reading.trials import (
    Cue,
    TrialConfig,
    Windows,
    cut,
    rim_electrodes,
    trial_tokens,
    usable_electrodes,
)
from rtbci.calibration.scoring.accuracy import balanced_accuracy, trial_begin
from rtbci.calibration.scoring.cross_validation import Fold, Folds
from rtbci.calibration.selection.contest import Contest, Entry, Evidence
from rtbci.calibration.signal.streaming import LOW, ViewConfig
from rtbci.config import PreprocessConfig
from rtbci.filters import low_pass_corner
from rtbci.types import IndexArray

HIGH_HZ = 38.0
"""Muscle reaches from here to where the chain ends; the motor cortex's rhythms lie below."""
MIN_HIGH_HZ = 4.0
"""With less than this between :data:`HIGH_HZ` and the end of the chain there is nothing to read."""
STEPS = 4
NEAR = 0.05
"""A control that comes within this of the decoder may be what the decoder reads."""
MIN_FAILED = 8
"""Trials of which a share can be told at all."""
SAME_S = 1e-6
"""Times closer than this are the same."""
RIM_NAME = "rim, low frequencies"
RIM_BAND_NAME = "rim, decoder's band"
CENTRAL_NAME = "central, low frequencies"
CENTRAL_CLEAN_NAME = "central, low, regressed"
HIGH_NAME = "all, highest frequencies"
RAW_NAME = "decoder, not regressed"
BEFORE_NAME = "decoder, before the cue"
FAILED_NAME = "decoder where rim fails"

_LOW_VIEW, _LOW_CLEAN_VIEW, _HIGH_VIEW = "control: low", "control: low, regressed", "control: high"


def control_views(
    views: Mapping[str, ViewConfig], preprocess: PreprocessConfig
) -> dict[str, ViewConfig]:
    """Views that :func:`control_table` needs beside those of the decoders.

    Parameters
    ----------
    views : mapping of str to ViewConfig
        Of the decoders, as ``follow`` gets them.
    preprocess : PreprocessConfig
        Where the chain ends.
    """
    made = {_LOW_VIEW: LOW, _LOW_CLEAN_VIEW: replace(LOW, regress="rim")}
    top = low_pass_corner(np.inf, preprocess)
    if top >= HIGH_HZ + MIN_HIGH_HZ:
        made[_HIGH_VIEW] = ViewConfig(bands_hz=((HIGH_HZ, top),), regress="none")
    for name, view in views.items():
        if view.regress != "none":
            made[_raw_view(name)] = view.raw
    return made


def _raw_view(name: str) -> str:
    return f"control: {name}, not regressed"


def time_course(x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Mean of each channel in a few steps of the window.

    Parameters
    ----------
    x : ndarray, shape (n_windows, n_channels, n_times), µV

    Returns
    -------
    features : ndarray, shape (n_windows, n_channels * n_steps), µV
    """
    steps = np.array_split(np.asarray(x, dtype=np.float64), STEPS, axis=2)
    return np.concatenate([step.mean(axis=2) for step in steps], axis=1)


def course_lda() -> Pipeline:
    """Make the classifier of the low controls."""
    return make_pipeline(
        FunctionTransformer(time_course),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    )


def log_power(x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Logarithm of each channel's power, (n_windows, n_channels, n_times) to 2-D."""
    return np.asarray(np.log(np.mean(np.asarray(x, dtype=np.float64) ** 2, axis=2) + 1e-12))


def log_power_lda() -> Pipeline:
    """Make the classifier of the highest frequencies: where muscle is, there is power."""
    return make_pipeline(
        FunctionTransformer(log_power),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    )


@dataclass(frozen=True)
class Scored:
    """The decoder that is controlled, and the trials that it was scored on.

    Attributes
    ----------
    tracks : sequence of Track
        With the decoder's view and those of :func:`control_views`.
    cues : sequence of Cue
        Judged; those with a reason are passed over.
    folds : Folds
        Over the trials that are used.
    n_classes : int
    electrodes : tuple of str
        Of the decoder.
    view_name : str
        Its view's name in the tracks.
    view : ViewConfig
    make : callable
        Gives the unfitted decoder.
    evidence : ndarray, shape (n_trials, n_classes)
        Its own, on the same folds.
    trial : TrialConfig
    preprocess : PreprocessConfig
    """

    tracks: Sequence[Track]
    cues: Sequence[Cue]
    folds: Folds
    n_classes: int
    electrodes: tuple[str, ...]
    view_name: str
    view: ViewConfig
    make: Callable[[], Any]
    evidence: Evidence
    trial: TrialConfig
    preprocess: PreprocessConfig

    @property
    def used(self) -> list[Cue]:
        """Trials that are used, in order of time."""
        return [c for c in self.cues if not c.reason]

    def windows(
        self, name: str, view: ViewConfig, electrodes: Sequence[str], cues: Sequence[Cue]
    ) -> Windows:
        """Windows of some electrodes in one of the tracks' views, as long as the decoder's."""
        view = replace(view, window_s=self.view.window_s)
        rate = self.preprocess.rate_hz
        return cut(self.tracks, cues, electrodes, self.trial, name, view, rate)


def control_table(scored: Scored) -> tuple[Control, ...]:
    """Score the decoder's controls.

    Returns
    -------
    controls : tuple of Control
        One for each row of the module's table; where a score can't be had, its note says why.
    """
    there = scored.tracks[0].electrodes
    rim = usable_electrodes(scored.tracks, scored.used, rim_electrodes(there))[0]
    every = usable_electrodes(scored.tracks, scored.used, there)[0]
    central = scored.electrodes
    eyes = _course(scored, rim, _LOW_VIEW) if rim else None
    return (
        _row(scored, RIM_NAME, rim, LOW, eyes, "no such electrodes here"),
        _rim_in_band(scored, rim),
        _row(scored, CENTRAL_NAME, central, LOW, _course(scored, central, _LOW_VIEW)),
        _clean(scored),
        _high(scored, every),
        _not_regressed(scored),
        _before(scored),
        _where_rim_fails(scored, eyes),
    )


def caveat(balanced: float, controls: Sequence[Control]) -> str:
    """Say what speaks against motor cortex as the source of a score; empty where nothing does."""
    reached = {c.name: c.balanced for c in controls if c.balanced is not None}
    rim = max((reached[n] for n in (RIM_NAME, RIM_BAND_NAME) if n in reached), default=None)
    if rim is None:
        return "no rim electrodes, so eyes and muscle can't be ruled out"
    if rim >= balanced - NEAR:
        return (
            f"this decoder may be reading eyes or muscle: the rim alone reaches {rim:.2f}, "
            f"the decoder {balanced:.2f}"
        )
    before = reached.get(BEFORE_NAME, 0.0)
    if before >= balanced - NEAR:
        return (
            f"this decoder may be reading the order of the cues: before them it reaches "
            f"{before:.2f}, after them {balanced:.2f}"
        )
    return ""


def decide(
    make: Callable[[], Any], windows: Windows, folds: Sequence[Fold], n_classes: int
) -> Evidence:
    """Evidence of each trial by what was fitted without it, shape (n_trials, n_classes)."""
    return Contest({"control": Entry(make, windows)}, n_classes).cross("control", folds)


def _course(scored: Scored, electrodes: Sequence[str], view_name: str) -> Evidence:
    windows = scored.windows(view_name, LOW, electrodes, scored.used)
    return decide(course_lda, windows, scored.folds.folds, scored.n_classes)


def _covariance(scored: Scored, windows: Windows) -> Evidence:
    """Evidence by tangent space and logistic regression, summed over bands."""
    n = windows.x.shape[1] // len(scored.view.bands_hz)
    parts = [
        replace(windows, x=windows.x[:, b * n : (b + 1) * n])
        for b in range(len(scored.view.bands_hz))
    ]
    made = [decide(ts_lr, part, scored.folds.folds, scored.n_classes) for part in parts]
    return np.asarray(np.sum(made, axis=0))


def _row(
    scored: Scored,
    name: str,
    electrodes: Sequence[str],
    view: ViewConfig,
    evidence: Evidence | None,
    note: str = "",
) -> Control:
    band = (view.bands_hz[0][0], view.bands_hz[-1][1])
    if evidence is None:
        return Control(name, 0, band, None, note)
    y = np.array([c.wanted for c in scored.used], dtype=np.int64)
    return Control(name, len(electrodes), band, _balanced(evidence, y))


def _balanced(evidence: Evidence, y: IndexArray) -> float:
    decided = np.argmax(evidence, axis=1).astype(np.int64)
    return round(balanced_accuracy(y, decided, evidence.shape[1]), 4)


def _rim_in_band(scored: Scored, rim: Sequence[str]) -> Control:
    view = scored.view
    if not rim:
        return _row(scored, RIM_BAND_NAME, rim, view, None, "no such electrodes here")
    windows = scored.windows(scored.view_name, view, rim, scored.used)
    return _row(scored, RIM_BAND_NAME, rim, view, _covariance(scored, windows))


def _clean(scored: Scored) -> Control:
    references = scored.tracks[0].references
    if not references or set(scored.electrodes) <= set(references):
        return _row(scored, CENTRAL_CLEAN_NAME, (), LOW, None, "no electrode to regress on here")
    evidence = _course(scored, scored.electrodes, _LOW_CLEAN_VIEW)
    return _row(scored, CENTRAL_CLEAN_NAME, scored.electrodes, LOW, evidence)


def _high(scored: Scored, every: Sequence[str]) -> Control:
    top = min(low_pass_corner(t.rate, scored.preprocess) for t in scored.tracks)
    view = ViewConfig(bands_hz=((HIGH_HZ, top),), regress="none")
    if top < HIGH_HZ + MIN_HIGH_HZ or _HIGH_VIEW not in scored.tracks[0].signals:
        return _row(scored, HIGH_NAME, (), view, None, f"the chain ends at {top:g} Hz")
    windows = scored.windows(_HIGH_VIEW, view, every, scored.used)
    evidence = decide(log_power_lda, windows, scored.folds.folds, scored.n_classes)
    return _row(scored, HIGH_NAME, every, view, evidence)


def _not_regressed(scored: Scored) -> Control:
    name, view = _raw_view(scored.view_name), scored.view
    references = scored.tracks[0].references
    if name not in scored.tracks[0].signals:
        return _row(scored, RAW_NAME, (), view, None, "it is never regressed")
    if not references or set(scored.electrodes) <= set(references):
        return _row(scored, RAW_NAME, (), view, None, "no electrode to regress on here")
    windows = scored.windows(name, view, scored.electrodes, scored.used)
    evidence = decide(scored.make, windows, scored.folds.folds, scored.n_classes)
    return _row(scored, RAW_NAME, scored.electrodes, view, evidence)


def _before(scored: Scored) -> Control:
    """Score the decoder on windows that end when the cue comes."""
    cues, kept = [], []
    n_rows = scored.view.rows(scored.preprocess.rate_hz)
    for i, cue in enumerate(scored.used):
        track = scored.tracks[cue.run]
        time = cue.time - _shown_s(track, cue.time) - scored.trial.trial_s[1]
        tokens = trial_tokens(track, time, scored.view.window_s, scored.trial.trial_s)
        columns = track.columns(scored.electrodes)
        whole = all(
            len(track.window(scored.view_name, int(t), n_rows, columns[:1])) == n_rows
            for t in tokens
        )
        if len(tokens) and whole and track.token_good[tokens][:, columns].all():
            cues.append(replace(cue, time=time, tokens=tokens))
            kept.append(i)
    windows = scored.windows(scored.view_name, scored.view, scored.electrodes, cues)
    folds = [f for f in _remapped(scored.folds, kept) if _has_all(windows.y, f, scored.n_classes)]
    if not folds:
        note = "too few trials have enough signal before their cue"
        return _row(scored, BEFORE_NAME, (), scored.view, None, note)
    test = np.concatenate([f.test for f in folds])
    evidence = decide(scored.make, windows, folds, scored.n_classes)[test]
    band = (scored.view.bands_hz[0][0], scored.view.bands_hz[-1][1])
    balanced = _balanced(evidence, windows.y[test])
    return Control(BEFORE_NAME, len(scored.electrodes), band, balanced)


def _shown_s(track: Track, begin: float) -> float:
    """How long before its trial a cue came, seconds: for as long as it was shown."""
    shown = [begin - m.time for m in track.markers if abs(trial_begin(m) - begin) < SAME_S]
    return max(shown, default=0.0)


def _remapped(folds: Folds, kept: Sequence[int]) -> list[Fold]:
    """Folds over the trials that are kept, numbered anew."""
    place = {old: new for new, old in enumerate(kept)}

    def only(trials: IndexArray) -> IndexArray:
        return np.array([place[t] for t in trials.tolist() if t in place], dtype=np.int64)

    return [Fold(only(f.train), only(f.test)) for f in folds.folds]


def _has_all(y: IndexArray, fold: Fold, n_classes: int) -> bool:
    counts = np.bincount(y[fold.train], minlength=n_classes)
    return len(fold.test) > 0 and bool(counts.min() >= 2)


def _where_rim_fails(scored: Scored, eyes: Evidence | None) -> Control:
    """Score the decoder's own decisions on the trials that the eyes do not give away."""
    n, band = len(scored.electrodes), (scored.view.bands_hz[0][0], scored.view.bands_hz[-1][1])
    if eyes is None:
        return Control(FAILED_NAME, 0, band, None, "no such electrodes here")
    y = np.array([c.wanted for c in scored.used], dtype=np.int64)
    failed = np.argmax(eyes, axis=1) != y
    count = int(failed.sum())
    if count < MIN_FAILED:
        return Control(FAILED_NAME, 0, band, None, f"it fails in {count} trials only")
    balanced = _balanced(scored.evidence[failed], y[failed])
    return Control(FAILED_NAME, n, band, balanced, f"{count} trials")
