"""Two methods by which closed-loop stimulation foretells the phase of a rhythm.

Yule-Walker: the newest window is band-passed forwards and backwards, the edge that this spoils is
cut off, an autoregression fitted to the rest foretells edge and future, and Hilbert gives the
phase (Chen et al. 2013, doi:10.1109/TBME.2011.2109715; Zrenner et al. 2018,
doi:10.1016/j.brs.2017.11.016).

ETP, educated temporal prediction: the time from peak to peak is learned once, on a recording made
beforehand; afterwards the next peak is expected that long after the last one (Shirinpour et al.
2020, doi:10.1088/1741-2552/ab9dba, whose published program fixes what the text leaves open).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, filtfilt, find_peaks, firwin, hilbert, sosfiltfilt

Float64Array = npt.NDArray[np.float64]

YW_WINDOW_S, YW_EDGE_S, YW_TAPS_S, YW_ORDER_S = 1.5, 0.064, 0.256, 0.06
"""Window, edge, filter and autoregression of Yule-Walker: the published ones but for the window,
which is the best of 0.5, 0.72, 1 and 1.5 s on subjects that the shipped weights were trained on."""

ETP_WINDOW_S = 0.5
ETP_TRIAL_S = 0.35
"""From one trial of the training's second half to the next."""
SLOWEST_HZ = 6.7
"""A longer time from peak to peak is none."""


def yule_walker_phase(
    past: Float64Array, rate_hz: float, band: tuple[float, float], ahead: npt.NDArray[np.int64]
) -> Float64Array:
    """Phase after now by Yule-Walker and Hilbert.

    Parameters
    ----------
    past : ndarray, shape (n, n_times), µV
        Up to now, at least a window long.
    band : tuple of float
        Hz.
    ahead : ndarray, shape (n_ahead,), int64
        Samples after the newest one.

    Returns
    -------
    phase : ndarray, shape (n, n_ahead), radians
    """
    window, edge = round(YW_WINDOW_S * rate_hz), round(YW_EDGE_S * rate_hz)
    order = round(YW_ORDER_S * rate_hz)
    taps = firwin(round(YW_TAPS_S * rate_hz) + 1, band, pass_zero=False, fs=rate_hz)
    newest = past[:, -window:]
    pad = min(3 * len(taps), window - 1)
    passed = filtfilt(taps, [1.0], newest, axis=1, padlen=pad)[:, edge : window - edge]
    coefficients = yule_walker(passed, order)
    margin = 2 * edge
    n_new = edge + int(ahead.max()) + margin
    series = np.concatenate([passed, np.empty((len(passed), n_new))], axis=1)
    for i in range(passed.shape[1], series.shape[1]):
        series[:, i] = np.einsum("nk,nk->n", series[:, i - order : i], coefficients[:, ::-1])
    now = passed.shape[1] + edge - 1
    return np.asarray(np.angle(hilbert(series, axis=1))[:, now + ahead])


def yule_walker(x: Float64Array, order: int) -> Float64Array:
    """Autoregressive coefficients, (n, order), from biased autocovariances of (n, n_times).

    ``x[t]`` is predicted by ``sum_i coefficients[i] * x[t - 1 - i]``.
    """
    n_times = x.shape[1]
    centred = x - x.mean(axis=1, keepdims=True)
    covariance = np.stack(
        [(centred[:, lag:] * centred[:, : n_times - lag]).sum(axis=1) for lag in range(order + 1)],
        axis=1,
    )
    lags = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
    floor = 1e-9 * covariance[:, :1] + 1e-12
    normal = covariance[:, lags] + floor[..., None] * np.eye(order)
    return np.asarray(np.linalg.solve(normal, covariance[:, 1:, None])[..., 0])


@dataclass(frozen=True)
class EducatedPrediction:
    """What the training recording taught of each electrode.

    Attributes
    ----------
    period : ndarray, shape (E,)
        Typical time from peak to peak, samples.
    first : ndarray, shape (E,)
        Time from the last peak found to the next one, the bias of the finding taken off.
    rate_hz : float
    band : tuple of float
    """

    period: Float64Array
    first: Float64Array
    rate_hz: float
    band: tuple[float, float]

    @classmethod
    def train(cls, known: Float64Array, rate_hz: float, band: tuple[float, float]) -> Self:
        """Learn from a recording made beforehand, (n_times, E): periods from its first half.

        In its second half the next peak is predicted again and again; the mean phase in which the
        signal then is, is the bias.
        """
        sos = butter(2, band, "bandpass", fs=rate_hz, output="sos")
        passed = sosfiltfilt(sos, known, axis=0)
        half, window = len(known) // 2, round(ETP_WINDOW_S * rate_hz)
        typical = rate_hz / np.mean(band)
        period = np.full(known.shape[1], typical)
        for i, series in enumerate(passed[:half].T):
            peaks, _ = find_peaks(series, distance=max(1.0, rate_hz / (band[1] + 3)))
            apart = np.diff(peaks)
            apart = apart[apart <= rate_hz / SLOWEST_HZ]
            if len(apart):
                period[i] = np.exp(np.log(apart).mean())
        phase = np.angle(hilbert(passed, axis=0))
        starts = np.arange(half, len(known) - 2 * window, round(ETP_TRIAL_S * rate_hz))
        made = cls(period, period, rate_hz, band)
        if not len(starts):
            return made
        columns = np.arange(known.shape[1])
        windows = np.stack([known[s : s + window] for s in starts])
        last = made.last_peak(windows.transpose(0, 2, 1).reshape(-1, window))
        ends = starts[:, None] + last.reshape(len(starts), -1) + period
        reached = phase[np.clip(np.round(ends), 0, len(phase) - 1).astype(np.int64), columns]
        bias = np.angle(np.exp(1j * reached).mean(axis=0))
        return cls(period, period - bias / (2 * np.pi) * period, rate_hz, band)

    def last_peak(self, windows: Float64Array) -> Float64Array:
        """Where the last peak of each window lies, (n,), behind a brick-wall band-pass."""
        n = windows.shape[1]
        frequencies = np.fft.rfftfreq(n, 1 / self.rate_hz)
        outside = (frequencies < self.band[0]) | (frequencies > self.band[1])
        spectrum = np.fft.rfft(windows, axis=1)
        spectrum[:, outside] = 0.0
        passed = np.fft.irfft(spectrum, n, axis=1)
        passed = passed[:, : n - round(self.rate_hz / (3 * np.mean(self.band)))]
        peak = (passed[:, 1:-1] > passed[:, :-2]) & (passed[:, 1:-1] >= passed[:, 2:])
        return np.asarray(passed.shape[1] - 2 - np.argmax(peak[:, ::-1], axis=1), np.float64)

    def phase(
        self,
        past: Float64Array,
        electrode: npt.NDArray[np.int64],
        ahead: npt.NDArray[np.int64],
    ) -> Float64Array:
        """Phase after now, (n, n_ahead), radians, of windows of these electrodes.

        Parameters
        ----------
        past : ndarray, shape (n, n_times), µV
            Up to now.
        electrode : ndarray, shape (n,), int64
        ahead : ndarray, shape (n_ahead,), int64
            Samples after the newest one.
        """
        window = round(ETP_WINDOW_S * self.rate_hz)
        last = self.last_peak(past[:, -window:])
        peak = last + self.first[electrode]
        since = (window - 1 + ahead) - peak[:, None]
        return np.asarray(2 * np.pi * since / self.period[electrode][:, None])
