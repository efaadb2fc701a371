"""Controls of an evaluation: decoders of what is not motor cortex, on the decoders' own splits.

The control table of a calibration (:mod:`rtbci.calibration.controls.control`) is of one
decoder; here its rows are fitted and scored as contestants, split by split, so that any protocol
can have them.  Where a row needs a decoder, it is tangent space and logistic regression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rtbci.calibration.controls import control
from rtbci.calibration.decoders.catalogue import ts_lr
from rtbci.calibration.reading.cohort import Trials
from rtbci.calibration.reading.trials import Cue, TrialConfig, cut, rim_electrodes
from rtbci.calibration.selection.contest import Contest, Entry
from rtbci.calibration.signal.streaming import LOW, ViewConfig
from rtbci.config import PreprocessConfig

VIEW = ViewConfig()
"""What the rows with a decoder see."""
RAW_NAME = "central, not regressed"
BEFORE_NAME = "central, before the cue"
NAMES = (
    control.RIM_NAME,
    control.RIM_BAND_NAME,
    control.CENTRAL_NAME,
    control.CENTRAL_CLEAN_NAME,
    control.HIGH_NAME,
    RAW_NAME,
    BEFORE_NAME,
)


@dataclass(frozen=True)
class ControlRow:
    """One control of one subject.

    Attributes
    ----------
    contest : Contest | None
        With one decoder, called as the row; None where there is none.
    there : ndarray of int
        Trials that have windows.
    why : str
        Why there is none.
    """

    contest: Contest | None
    there: Any
    why: str = ""


def views(preprocess: PreprocessConfig) -> dict[str, ViewConfig]:
    """Views that the controls need, by name."""
    return {v.key: v for v in (VIEW, *control.control_views({"base": VIEW}, preprocess).values())}


def rows(
    trials: Trials, electrodes: tuple[str, ...], trial: TrialConfig, preprocess: PreprocessConfig
) -> dict[str, ControlRow]:
    """Contests of all controls, one each.

    Parameters
    ----------
    trials : Trials
        With :func:`views` among its views.
    electrodes : tuple of str
        Of the decoders.
    """
    there = trials.tracks[0].electrodes
    rim = rim_electrodes(there)
    raw = replace(VIEW, regress="none")
    clean = replace(LOW, regress="rim")
    high = next(
        (v for v in views(preprocess).values() if v.bands_hz[0][0] == control.HIGH_HZ), None
    )
    regressed = bool(trials.tracks[0].references)
    no_rim, nothing = "no such electrodes here", "no electrode to regress on here"
    before = tuple(replace(c, time=c.time - trial.trial_s[1]) for c in trials.cues)
    wanted: dict[str, tuple[Callable[[], Any] | None, ViewConfig, tuple[str, ...], str]] = {
        control.RIM_NAME: (control.course_lda if rim else None, LOW, rim, no_rim),
        control.RIM_BAND_NAME: (ts_lr if rim else None, VIEW, rim, no_rim),
        control.CENTRAL_NAME: (control.course_lda, LOW, electrodes, ""),
        control.CENTRAL_CLEAN_NAME: (
            control.course_lda if regressed else None,
            clean,
            electrodes,
            nothing,
        ),
        control.HIGH_NAME: (
            control.log_power_lda if high else None,
            high or VIEW,
            there,
            "the causal chain ends too low",
        ),
        RAW_NAME: (ts_lr if regressed else None, raw, electrodes, nothing),
        BEFORE_NAME: (ts_lr, VIEW, electrodes, ""),
    }
    made = {}
    for name, (make, view, used, why) in wanted.items():
        if make is None:
            made[name] = ControlRow(None, None, why)
            continue
        cues = before if name == BEFORE_NAME else trials.cues
        made[name] = _row(name, make, trials, cues, view, used, trial, preprocess.rate_hz)
    return made


def _row(
    name: str,
    make: Callable[[], Any],
    trials: Trials,
    cues: tuple[Cue, ...],
    view: ViewConfig,
    used: tuple[str, ...],
    trial: TrialConfig,
    rate: float,
) -> ControlRow:
    windows = cut(trials.tracks, cues, used, trial, view.key, view, rate)
    contest = Contest({name: Entry(make, windows)}, len(trials.classes))
    return ControlRow(contest, np.unique(windows.trial))
