"""Phase of the mu rhythm some time after now: how far off each method is.

The truth is the phase (Hilbert) of the signal behind a zero-phase filter of 8-13 Hz, made offline
with the future at hand.  A forecast's phase is read off in the same way from past and forecast put
together.  Phase means nothing where there is no rhythm, so a moment counts only where mu stands out
of the spectrum of the ten seconds BEFORE it (:func:`stands_out`): nothing of the future gates.

Beside forecasts of the signal stand the methods of closed-loop stimulation
(:mod:`~.phase_methods`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.fft import next_fast_len
from scipy.signal import butter, hilbert, sosfiltfilt, welch

from rtbci.models.pretrain.evaluation.moments import CausalSignal, Moments
from rtbci.models.pretrain.evaluation.phase_methods import (
    EducatedPrediction,
    yule_walker_phase,
)
from rtbci.models.pretrain.evaluation.regions import region_of
from rtbci.types import BoolArray, FloatArray

Float64Array = npt.NDArray[np.float64]

MU_HZ = (8.0, 13.0)
FLANKS_HZ = ((4.0, 6.5), (16.0, 20.0))
AHEAD_MS = (20, 50, 100, 150)
PAST_S = 4.0
"""Past that is filtered together with a forecast."""
SNR_S = 10.0
SNR_DB = 3.0
"""Least ratio of mu to its flanks.  0 is what a spectrum without a peak has; twice the power, over
the whole width of the band, is a rhythm that can be seen."""
LEAST_MOMENTS = 20
"""Moments of an electrode and an instant that a subject must have to count."""

FORECASTS = ("model", "blend", "ar", "ar 4 s", "ridge")
YULE_WALKER, EDUCATED = "Yule-Walker", "ETP"
PHASE_METHODS = (*FORECASTS, YULE_WALKER, EDUCATED)
"""Rows of the table."""


@dataclass
class PhaseSums:
    """Absolute circular errors of one subject.

    Attributes
    ----------
    off : dict of str to ndarray, shape (n_ahead,)
        Sums of errors, degrees.
    moments, all_moments : int
        Electrodes and moments that counted, and those that were looked at.
    """

    off: dict[str, Float64Array] = field(default_factory=dict)
    moments: int = 0
    all_moments: int = 0


class MuPhase:
    """Scores the moments of one recording.

    Parameters
    ----------
    stretch : CausalSignal
    warm_up_s : float
        Start of the recording on which the educated prediction is trained, s.
    """

    def __init__(self, stretch: CausalSignal, warm_up_s: float) -> None:
        self._columns = np.array(
            [i for i, e in enumerate(stretch.electrodes) if region_of(e) == "central"], np.int64
        )
        self._rate = stretch.rate_hz
        self._signal = stretch.signal[:, self._columns].astype(np.float64)
        self._ahead = np.floor(np.array(AHEAD_MS) * stretch.rate_hz / 1000 + 1e-9).astype(np.int64)
        self._educated = None
        if len(self._columns):
            self._truth = mu_phase(self._signal, stretch.rate_hz)
            known = self._signal[: round(warm_up_s * stretch.rate_hz)]
            self._educated = EducatedPrediction.train(known, stretch.rate_hz, MU_HZ)

    def add(self, moments: Moments, sums: PhaseSums) -> None:
        """Score a batch of moments."""
        if self._educated is None:
            return
        n_past = round(PAST_S * self._rate)
        back = round(SNR_S * self._rate)
        rows = moments.rows[moments.rows >= max(n_past, back)]
        if not len(rows):
            return
        kept = np.isin(moments.rows, rows)
        before = np.stack([self._signal[row - back : row] for row in rows])
        usable = moments.usable[kept][:, self._columns] & stands_out(before, self._rate)
        sums.all_moments += usable.size
        at, electrode = np.nonzero(usable)
        if not len(at):
            return
        sums.moments += len(at)
        past = before[at, -n_past:, electrode]
        truth = self._truth[(rows[at] - 1)[:, None] + self._ahead, electrode[:, None]]
        found = {
            m: self._forecast_phase(
                past, moments.forecasts[m][kept][:, :, self._columns], at, electrode
            )
            for m in FORECASTS
            if m in moments.forecasts
        }
        found[YULE_WALKER] = yule_walker_phase(past, self._rate, MU_HZ, self._ahead)
        found[EDUCATED] = self._educated.phase(past, electrode, self._ahead)
        for method, phase in found.items():
            off = np.degrees(np.abs(np.angle(np.exp(1j * (phase - truth))))).sum(axis=0)
            sums.off[method] = sums.off.get(method, 0.0) + off

    def _forecast_phase(
        self,
        past: Float64Array,
        forecasts: FloatArray,
        at: npt.NDArray[np.int64],
        electrode: npt.NDArray[np.int64],
    ) -> Float64Array:
        """Phase at the instants asked for, (n, n_ahead), of past and forecast put together."""
        both = np.concatenate([past, forecasts[at, :, electrode]], axis=1)
        phase = mu_phase(both.T, self._rate)
        return np.asarray(phase[past.shape[1] - 1 + self._ahead].T)


def mu_phase(signal: Float64Array, rate_hz: float) -> Float64Array:
    """Phase behind the zero-phase filter, (n_times, n), radians; 0 is a peak."""
    sos = butter(2, MU_HZ, "bandpass", fs=rate_hz, output="sos")
    passed = sosfiltfilt(sos, signal, axis=0)
    n = next_fast_len(len(passed))
    return np.asarray(np.angle(hilbert(passed, N=n, axis=0)[: len(passed)]))


def mu_ratio(before: Float64Array, rate_hz: float) -> Float64Array:
    """Power density in mu over the geometric mean of that in its flanks.

    The flanks lie as far below 10 Hz as above on a logarithmic axis, so that a spectrum which falls
    by a power law gives 1.

    Parameters
    ----------
    before : ndarray, shape (n, n_times, E), µV
        Signal up to now.

    Returns
    -------
    ratio : ndarray, shape (n, E)
    """
    frequencies, power = welch(before, rate_hz, nperseg=round(2 * rate_hz), axis=1)

    def mean(band: tuple[float, float]) -> Float64Array:
        inside = (frequencies >= band[0]) & (frequencies <= band[1])
        return np.asarray(power[:, inside].mean(axis=1)) + 1e-12

    below, above = (mean(band) for band in FLANKS_HZ)
    return np.asarray(mean(MU_HZ) / np.sqrt(below * above))


def stands_out(before: Float64Array, rate_hz: float) -> BoolArray:
    """Whether there is a mu rhythm whose phase can be asked for, (n, E); see :func:`mu_ratio`."""
    return np.asarray(10 * np.log10(mu_ratio(before, rate_hz)) >= SNR_DB)
