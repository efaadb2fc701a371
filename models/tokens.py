"""What a token is: the newest window of every electrode in units of its running deviation.

Training and live use call the same functions, so that the network never meets an input that was
computed another way.  Statistics are those at the token's newest sample and stay frozen for its
whole window and for the forecast made from it.
"""

from __future__ import annotations

import numpy as np

from rtbci.types import FloatArray

CLIP = 12.0
"""Deviations beyond which an input is cut: artefacts must not drown what is beside them."""


def normalise(signal: FloatArray, mean: FloatArray, scale: FloatArray) -> FloatArray:
    """Signal in deviations, not cut: targets and linear forecasts.

    Parameters
    ----------
    signal : ndarray, shape (..., n_electrodes), float32, µV
    mean, scale : ndarray, broadcastable to ``signal``, float32, µV
        Running mean and standard deviation; ``scale`` > 0.

    Returns
    -------
    normalised : ndarray, shape (..., n_electrodes), float32
    """
    out: FloatArray = (signal - mean) / scale
    return out


def restore(normalised: FloatArray, mean: FloatArray, scale: FloatArray) -> FloatArray:
    """Undo :func:`normalise`: deviations back to µV."""
    out: FloatArray = normalised * scale + mean
    return out


def bound(normalised: FloatArray) -> FloatArray:
    """Cut at ``CLIP`` deviations and put 0 (the mean) where a value is not a number, in place."""
    np.clip(normalised, -CLIP, CLIP, out=normalised)
    np.nan_to_num(normalised, copy=False, nan=0.0)
    return normalised


def token_window(
    history: FloatArray, mean: FloatArray, scale: FloatArray, n_window: int = 250
) -> FloatArray:
    """Cut a token's window from the signal before it.

    Parameters
    ----------
    history : ndarray, shape (n_times, n_electrodes), float32, µV
        Newest row last.  Where it is shorter than the window the missing front is 0, the mean.
    mean, scale : ndarray, shape (n_electrodes,), float32, µV
        Frozen statistics at the newest row.
    n_window : int
        Samples of a window.

    Returns
    -------
    window : ndarray, shape (n_window, n_electrodes), float32
        Finite, within ±``CLIP``.
    """
    newest = history[-n_window:]
    with np.errstate(invalid="ignore", over="ignore"):
        window = bound(normalise(newest, mean, scale))
    missing = n_window - len(window)
    if missing:
        window = np.concatenate([np.zeros((missing, window.shape[1]), np.float32), window])
    return window


def linear_inputs(
    ar: FloatArray, ridge: FloatArray | None, mean: FloatArray, scale: FloatArray
) -> FloatArray:
    """Bring the linear forecasts into the form that the direct head takes.

    Parameters
    ----------
    ar, ridge : ndarray, shape (n_horizons, n_electrodes), µV
        NaN where there is none: each stands in for the other then, and the mean for both.
    mean, scale : ndarray, shape (n_electrodes,), µV

    Returns
    -------
    linear : ndarray, shape (n_electrodes, 2, n_horizons), float32, in deviations
        Finite and bounded.
    """
    other = ar if ridge is None else ridge
    both = np.stack([np.where(np.isnan(ar), other, ar), np.where(np.isnan(other), ar, other)])
    inputs = bound(normalise(both, mean, scale).astype(np.float32, copy=False))
    return np.ascontiguousarray(inputs.transpose(2, 0, 1))
