"""The control beside every decode score: what eyes and slow potentials alone would give.

Covariances are blind to the sign of a deflection, and looking left and looking right differ in
nothing else.  So the control reads the course of the signal itself: its mean in steps of a
quarter of a window, by shrinkage LDA, on the same windows, trials and folds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from rtbci.calibration.card import Control
from rtbci.calibration.evaluate import Folds, cross_validate, prepare, score
from rtbci.calibration.streaming import ViewConfig
from rtbci.calibration.trials import Windows

LOW = ViewConfig(bands_hz=((0.5, 4.0),), order=2)
"""What the controls see: eye movements and slow potentials, no rhythm of the motor cortex."""
STEPS = 4
NEAR = 0.05
"""A rim that comes within this of the decoder may be what the decoder reads."""
RIM_NAME = "rim, low frequencies"
CENTRAL_NAME = "central, low frequencies"


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
    """Make the control's classifier."""
    return make_pipeline(
        FunctionTransformer(time_course),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    )


def control(name: str, windows: Windows, folds: Folds, n_classes: int) -> Control:
    """Score the control on the decoder's trials and folds."""
    evidence = cross_validate(prepare(course_lda(), windows, folds), windows.y, n_classes)
    return Control(name, windows.x.shape[1], LOW.bands_hz[0], score(evidence, windows.y))


def no_control(name: str, why: str) -> Control:
    """Make the row of a control that can't be computed."""
    return Control(name, 0, LOW.bands_hz[0], None, why)


def caveat(balanced: float, controls: tuple[Control, ...]) -> str:
    """Say what speaks against motor cortex as the source of a score; empty where nothing does."""
    rim = next((c.balanced for c in controls if c.name == RIM_NAME), None)
    if rim is None:
        return "no rim electrodes, so eyes and muscle can't be ruled out"
    if rim >= balanced - NEAR:
        return (
            f"this decoder may be reading eyes or muscle: the rim alone reaches {rim:.2f}, "
            f"the decoder {balanced:.2f}"
        )
    return ""
