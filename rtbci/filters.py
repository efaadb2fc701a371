"""Causal filters of the stream: hold what is not a number, high-pass, notches, low-pass.

One sample after the other with carried state (direct form II transposed), so the result does
not depend on how the stream was cut: bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, iirnotch, sosfilt, tf2sos

from rtbci.config import PreprocessConfig
from rtbci.errors import BadInputError
from rtbci.types import FloatArray

Array64 = npt.NDArray[np.float64]

LIMIT_UV = 1e9
"""Beyond this (a kilovolt) a value is no signal of any amplifier, and is held like a NaN."""
LOWEST_RATE_HZ = 50.0
"""Of a source: the slowest board's.  Mu and the lower beta band lie below half of it."""
NYQUIST_SHARE = 0.98
"""A notch at or above this share of the Nyquist frequency is skipped: nothing is there."""
LOW_PASS_SHARE = 0.9
"""The low-pass stays below this share of the Nyquist frequency (of the slower rate)."""


@dataclass
class HoldState:
    """What :class:`Hold` carries from row to row.

    Attributes
    ----------
    last : ndarray, shape (n_electrodes,), float64, µV
        Last finite value, less ``offset``; 0 before there was any.
    offset : ndarray, shape (n_electrodes,), float64, µV
        The segment's first finite value of each electrode; NaN until it came.
    """

    last: Array64
    offset: Array64

    def reset(self) -> None:
        """Begin a segment."""
        self.last.fill(0.0)
        self.offset.fill(np.nan)


class Hold:
    """Replace what is not finite by the last finite value, and take the first value off.

    Taking each electrode's first finite value off is what starting the high-pass in its steady
    state for that value would be (its gain at 0 Hz is zero): an offset of 1e5 µV does not ring,
    even where an electrode begins with NaN.

    Parameters
    ----------
    n_electrodes : int
    """

    def __init__(self, n_electrodes: int) -> None:
        self.state = HoldState(np.zeros(n_electrodes), np.full(n_electrodes, np.nan))

    def reset(self) -> None:
        """Begin a segment."""
        self.state.reset()

    def push(self, x: FloatArray) -> Array64:
        """Take rows, shape (n_times, n_electrodes), µV; give as many, finite."""
        state = self.state
        rows = x.astype(np.float64)
        if len(rows) == 0:
            return rows
        finite = np.abs(rows) <= LIMIT_UV  # False for NaN too
        fresh = np.isnan(state.offset) & finite.any(axis=0)
        for column in np.flatnonzero(fresh):
            state.offset[column] = rows[np.argmax(finite[:, column]), column]
        rows -= np.nan_to_num(state.offset)
        if not finite.all():
            source = np.where(finite, np.arange(len(rows))[:, None], -1)
            np.maximum.accumulate(source, axis=0, out=source)
            held = np.take_along_axis(rows, np.maximum(source, 0), axis=0)
            rows = np.where(source >= 0, held, state.last)
        state.last = rows[-1].copy()
        return rows


@dataclass
class FilterState:
    """What :class:`CausalFilter` carries from row to row.

    Attributes
    ----------
    zi : ndarray, shape (n_sections, 2, n_electrodes), float64
        Delays of every second-order section.
    """

    zi: Array64

    def reset(self) -> None:
        """Begin a segment at rest."""
        self.zi = np.zeros_like(self.zi)


class CausalFilter:
    """Second-order sections, one row after the other.

    Parameters
    ----------
    sos : ndarray, shape (n_sections, 6), float64
        As :mod:`scipy.signal` designs them.
    n_electrodes : int
    """

    def __init__(self, sos: Array64, n_electrodes: int) -> None:
        self.sos = sos
        self.state = FilterState(np.zeros((len(sos), 2, n_electrodes)))

    def reset(self) -> None:
        """Begin a segment."""
        self.state.reset()

    def push(self, x: Array64) -> Array64:
        """Filter rows, shape (n_times, n_electrodes)."""
        if x.size == 0:
            return x
        y, self.state.zi = sosfilt(self.sos, x, axis=0, zi=self.state.zi)
        return np.asarray(y)


def low_pass_corner(rate: float, config: PreprocessConfig) -> float:
    """Corner of the low-pass in Hz, clipped below the Nyquist frequency of the slower rate."""
    return min(config.low_pass_hz, LOW_PASS_SHARE * min(rate, config.rate_hz) / 2)


def design(rate: float, config: PreprocessConfig) -> Array64:
    """High-pass, notches and low-pass as second-order sections.

    Parameters
    ----------
    rate : float
        Sampling rate of the source, Hz.
    config : PreprocessConfig

    Returns
    -------
    sos : ndarray, shape (n_sections, 6), float64
        Butterworth high-pass, a notch (second order, quality ``notch_q``) for each line
        frequency below the Nyquist frequency, Butterworth low-pass.

    Raises
    ------
    BadInputError
        Where the corners don't fit each other or the rate.
    """
    if not rate > 0 or not np.isfinite(rate):
        raise BadInputError(
            f"the source gives a sampling rate of {rate} Hz; filters need a positive one: "
            "check the source's settings."
        )
    if rate < LOWEST_RATE_HZ:
        raise BadInputError(
            f"the source gives {rate:g} samples a second, and {LOWEST_RATE_HZ:g} are the least "
            "that hold the rhythms which are forecast and decoded; use a recording or stream of "
            "the raw EEG."
        )
    if not config.rate_hz > 0:
        raise BadInputError(
            f"preprocess.rate_hz is {config.rate_hz} Hz, but the model needs a positive rate."
        )
    low_pass = low_pass_corner(rate, config)
    if not 0 < config.high_pass_hz < low_pass:
        raise BadInputError(
            f"preprocess.high_pass_hz is {config.high_pass_hz} Hz, but it must lie above 0 and "
            f"below the low-pass, which is {low_pass:g} Hz for this source of {rate:g} Hz."
        )
    if config.high_pass_order < 1 or config.low_pass_order < 1 or not config.notch_q > 0:
        raise BadInputError(
            f"preprocess needs filter orders of at least 1 and a notch_q above 0, got orders "
            f"{config.high_pass_order} and {config.low_pass_order}, notch_q {config.notch_q}."
        )
    sections = [
        butter(config.high_pass_order, config.high_pass_hz, "highpass", fs=rate, output="sos")
    ]
    for line in config.line_hz:
        if not line > 0:
            raise BadInputError(f"preprocess.line_hz holds {line} Hz; mains are 50 or 60 Hz.")
        if line < NYQUIST_SHARE * rate / 2:
            sections.append(tf2sos(*iirnotch(line, config.notch_q, fs=rate)))
    sections.append(butter(config.low_pass_order, low_pass, "lowpass", fs=rate, output="sos"))
    return np.vstack(sections)
