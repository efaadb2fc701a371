"""How signals are shown: settings, and the causal filters of the display.

They act on copies of the rows: what is decoded and recorded does not depend on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, iirnotch, sosfilt, tf2sos

from rtbci.config import PreprocessConfig
from rtbci.filters import LOW_PASS_SHARE, CausalFilter, Hold, design
from rtbci.types import BoolArray, Channel, ChannelType, FloatArray

Array64 = npt.NDArray[np.float64]

SHOWN_TYPES = (ChannelType.EEG, ChannelType.EOG, ChannelType.EMG, ChannelType.ECG)
"""Channels that are drawn, all of them in µV."""
NOTCH_Q = 30.0
OFFSET_HZ = 0.1
"""Of the first-order high-pass that centres the signal "as recorded"."""


@dataclass(frozen=True)
class Band:
    """A pass band for the display.

    Attributes
    ----------
    low_hz, high_hz : float | None
        None where that side is open.
    model : bool
        The model's own filters, to which forecasts join without a seam.
    """

    low_hz: float | None
    high_hz: float | None
    model: bool = False


MODEL_BAND = Band(PreprocessConfig().high_pass_hz, PreprocessConfig().low_pass_hz, model=True)
BANDS = (
    MODEL_BAND,
    Band(1.0, 40.0),
    Band(4.0, 30.0),
    Band(8.0, 30.0),
    Band(OFFSET_HZ, None),
)
LINES_HZ = (None, 50.0, 60.0)
SCALES_UV = (10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
WINDOWS_S = (4.0, 6.0, 10.0, 20.0)


@dataclass(frozen=True)
class DisplaySettings:
    """What the person in front of the screen has chosen.

    Attributes
    ----------
    band : Band
    line_hz : float | None
        Mains frequency that is notched out; the model's band has notches of its own.
    average : bool
        Whether the mean of the good electrodes is taken off.
    scale_uv : float | None
        µV from a channel to the next; None for each channel by its own size.
    window_s, ahead_s : float
        Seconds of the past, and of the forecast.
    sweep : bool
        New columns over the oldest ones; else the signal scrolls.
    past_s : float | None
        Past forecasts are drawn as they were so far ahead; None for none.
    """

    band: Band = MODEL_BAND
    line_hz: float | None = None
    average: bool = False
    scale_uv: float | None = 50.0
    window_s: float = 6.0
    ahead_s: float = 1.0
    sweep: bool = False
    past_s: float | None = None

    def same_filters(self, other: DisplaySettings) -> bool:
        """Whether both show the same values."""
        return (self.band, self.line_hz, self.average) == (
            other.band,
            other.line_hz,
            other.average,
        )


def shown_columns(channels: tuple[Channel, ...]) -> tuple[int, ...]:
    """Columns that are drawn: the electrodes first, then eyes, muscles and heart."""
    return tuple(
        i for kind in SHOWN_TYPES for i, channel in enumerate(channels) if channel.type is kind
    )


def sections(rate: float, settings: DisplaySettings, *, after_model: bool = False) -> Array64:
    """Design the display's filter.

    Parameters
    ----------
    rate : float
        Of the rows, Hz.
    after_model : bool
        For rows that have passed the model's filters (forecasts): its own band adds nothing.

    Returns
    -------
    sos : ndarray, shape (n_sections, 6), float64
        Butterworth of order 2 at the lower and 4 at the upper corner, a notch; none where nothing
        is to be done.
    """
    band, top = settings.band, LOW_PASS_SHARE * rate / 2
    made: list[Array64] = []
    if band.model:
        if not after_model:
            made.append(design(rate, PreprocessConfig()))
    else:
        if band.low_hz is not None:
            order = 1 if band.low_hz <= OFFSET_HZ else 2
            made.append(butter(order, band.low_hz, "highpass", fs=rate, output="sos"))
        if band.high_hz is not None and band.high_hz < top:
            made.append(butter(4, band.high_hz, "lowpass", fs=rate, output="sos"))
    if settings.line_hz is not None and settings.line_hz < top:
        made.append(tf2sos(*iirnotch(settings.line_hz, NOTCH_Q, fs=rate)))
    return np.concatenate(made) if made else np.zeros((0, 6))


class DisplayFilter:
    """Hold, band, notch and reference, row by row with carried state.

    Parameters
    ----------
    rate : float
    n_channels, n_electrodes : int
        Columns of the rows; the first ones are electrodes and get the reference.
    settings : DisplaySettings
    """

    def __init__(
        self, rate: float, n_channels: int, n_electrodes: int, settings: DisplaySettings
    ) -> None:
        self._hold = Hold(n_channels)
        self._filter = CausalFilter(sections(rate, settings), n_channels)
        self._electrodes = n_electrodes if settings.average else 0

    def reset(self) -> None:
        """Begin anew, after rows that are missing."""
        self._hold.reset()
        self._filter.reset()

    def push(self, rows: FloatArray, good: BoolArray) -> FloatArray:
        """Filter rows, shape (n, n_channels), µV; ``good`` are the electrodes of the reference."""
        filtered = self._filter.push(self._hold.push(rows))
        n = self._electrodes
        return rereference(filtered, n, good).astype(np.float32)


def rereference(rows: Array64, n_electrodes: int, good: BoolArray) -> Array64:
    """Take the mean of the good ones of the first columns off them; none where there are 0."""
    if n_electrodes and good.any():
        rows = rows.copy()
        rows[:, :n_electrodes] -= rows[:, :n_electrodes][:, good].mean(axis=1, keepdims=True)
    return rows


def filter_rows(sos: Array64, rows: npt.NDArray[np.floating], axis: int = 0) -> Array64:
    """Filter from rest along an axis; as it is where there are no sections."""
    if len(sos) == 0:
        return np.asarray(rows, dtype=np.float64)
    return np.asarray(sosfilt(sos, rows, axis=axis))
