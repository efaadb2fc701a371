"""Where an electrode lies, and whether its signal is quiet around a forecast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtbci.types import BoolArray, FloatArray

REGIONS = ("all", "central", "frontal", "temporal", "posterior")
STATES = ("any", "quiet", "artefact")

ARTEFACT_DEVIATIONS = 5.0
"""An electrode that swings further than this around a forecast has an artefact (a blink on
frontal ones, movement elsewhere), in robust deviations of the recording (1.4826 times the median
absolute deviation): blinks are 5 to 15 of them, rhythms below 4."""


def region_of(electrode: str) -> str:
    """Region of an electrode: ``frontal``, ``central``, ``temporal`` or ``posterior``."""
    letters = electrode.rstrip("0123456789z").upper()
    if letters in ("FP", "AF", "F"):
        return "frontal"
    if letters in ("FC", "C", "CP"):
        return "central"
    return "temporal" if "T" in letters else "posterior"


def region_masks(electrodes: Sequence[str]) -> BoolArray:
    """Which electrodes belong to each of :data:`REGIONS`, shape (n_regions, n_electrodes)."""
    own = np.array([region_of(e) for e in electrodes])
    return np.stack([np.ones(len(own), np.bool_) if r == "all" else own == r for r in REGIONS])


def robust_deviation(signal: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Median and robust deviation of a whole recording, each (n_electrodes,), µV.

    They know its future: segments are sorted by them, nothing is forecast with them.
    """
    middle = np.median(signal, axis=0)
    spread = 1.4826 * np.median(np.abs(signal - middle), axis=0)
    return middle.astype(np.float32), spread.astype(np.float32)


def has_artefact(around: FloatArray, middle: FloatArray, spread: FloatArray) -> BoolArray:
    """Whether each electrode swings too far, shape (n_electrodes,).

    Parameters
    ----------
    around : ndarray, shape (n_times, n_electrodes), µV
        The second before a forecast and the time that it is of.
    middle, spread : ndarray, shape (n_electrodes,), µV
    """
    swing = np.abs(around - middle).max(axis=0)
    return np.asarray(swing > ARTEFACT_DEVIATIONS * spread)
