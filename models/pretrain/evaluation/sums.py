"""Sums over the moments of a subject's recordings, from which every score is made.

Sums are kept for each electrode, each column of :data:`~.horizons.LABELS` and each artefact state
apart, so that regions and states cost nothing.  An error is set against the variance of the very
samples that it was made on: their squared deviations from their mean over the recording.

In a band, forecast and truth are filtered by the same causal filter that has run over the past:
what differs between the two is then the filter's answer to the error alone, from rest, since
filters are linear and the past is the same.  Nothing after the forecast's last sample enters.
Part of what comes out of the filter after now is its memory of the past, which no method has to
foresee; the row ``mean`` shows how much.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfilt
from scipy.stats import norm

from rtbci.models.pretrain.evaluation.horizons import LABELS, N_BINS, Horizons
from rtbci.models.pretrain.evaluation.methods import LEVELS
from rtbci.models.pretrain.evaluation.moments import CausalSignal, Moments
from rtbci.types import BoolArray, FloatArray

Float64Array = npt.NDArray[np.float64]

BANDS_HZ: dict[str, tuple[float, float]] = {
    "delta": (0.0, 4.0),
    "theta": (4.0, 8.0),
    "mu": (8.0, 13.0),
    "beta": (13.0, 30.0),
}
"""Bands; the chain's high-pass is the lower edge of the lowest."""
BAND_ORDER = 2
"""Of the Butterworth filters (band-passes have twice as many poles)."""

SHOWN_LEVELS = (0.5, 0.9)
"""Central intervals whose coverage is counted."""

N_STATES = 2
"""Quiet, artefact."""


@dataclass
class Variation:
    """How much the scored samples vary, each (2 states, n_columns, n_electrodes)."""

    count: Float64Array
    total: Float64Array
    square: Float64Array

    @classmethod
    def empty(cls, n_electrodes: int) -> Variation:
        """Nothing seen yet."""
        shape = (N_STATES, len(LABELS), n_electrodes)
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(shape))

    def add(self, x: FloatArray, states: BoolArray, horizons: Horizons) -> None:
        """Take samples (n, n_horizons, E) whose states are (2, n, E)."""
        weight = states.astype(np.float64)
        self.count += weight.sum(axis=1)[:, None] * horizons.counts[:, None]
        self.total += np.einsum("sne,nce->sce", weight, horizons.sum(x))
        self.square += np.einsum("sne,nce->sce", weight, horizons.sum(x * x))

    def deviation(self) -> Float64Array:
        """Sums of squared deviations: quiet, artefact, and last both, (3, n_columns, E).

        All are deviations from the mean of both states, so that they add up.
        """
        mean = self.total.sum(axis=0) / np.maximum(self.count.sum(axis=0), 1.0)
        own = self.square - 2 * mean * self.total + mean**2 * self.count
        return _with_both(np.maximum(own, 0.0))


def _nothing() -> Float64Array:
    """An empty sum, to which an array of any shape can be added."""
    return np.zeros(())


@dataclass
class SubjectSums:
    """What is summed over one montage of one subject.

    Attributes
    ----------
    electrodes : tuple of str
    seconds : float
        Signal that was scored.
    deviation : ndarray, shape (3, n_columns, E)
        Squared deviations in quiet segments, those with artefacts, and both.
    count : ndarray, shape (3, n_columns, E)
        Samples.
    error : dict of str to ndarray, shape (3, n_columns, E)
    band_deviation, band_error
        The same in each band: (n_bands, 3, n_columns, E).
    covered : dict of str to ndarray, shape (n_shown_levels, 3, n_points, E)
        How often the interval held what came.
    pinball : dict of str to ndarray, shape (n_quantiles, 3, n_points, E)
        Pinball losses, µV.
    robust : dict of str to list of ndarray, shape (n, 5 bins, E)
        Each segment's squared error over that of the running mean.
    """

    electrodes: tuple[str, ...]
    seconds: float = 0.0
    deviation: Float64Array = field(default_factory=_nothing)
    count: Float64Array = field(default_factory=_nothing)
    error: dict[str, Float64Array] = field(default_factory=dict)
    band_deviation: Float64Array = field(default_factory=_nothing)
    band_error: dict[str, Float64Array] = field(default_factory=dict)
    covered: dict[str, Float64Array] = field(default_factory=dict)
    pinball: dict[str, Float64Array] = field(default_factory=dict)
    robust: dict[str, list[FloatArray]] = field(default_factory=dict)


class RecordingSums:
    """Takes the moments of one recording, then adds what came out to its subject's sums.

    Parameters
    ----------
    stretch : CausalSignal
    n_horizons : int
    robust : bool
        Whether segments are remembered one by one.
    """

    def __init__(self, stretch: CausalSignal, n_horizons: int, *, robust: bool = False) -> None:
        n = len(stretch.electrodes)
        self._horizons = Horizons.of(stretch.rate_hz, n_horizons)
        self._filters = [_band(low, high, stretch.rate_hz) for low, high in BANDS_HZ.values()]
        self._passed = [sosfilt(f, stretch.signal, axis=0) for f in self._filters]
        self._robust = robust
        self._seconds = n_horizons / stretch.rate_hz
        self._variation = Variation.empty(n)
        self._band_variation = [Variation.empty(n) for _ in BANDS_HZ]
        self._own = SubjectSums(stretch.electrodes)
        self._moments = 0

    def add(self, moments: Moments) -> None:
        """Score a batch of moments."""
        quiet = moments.usable & ~moments.artefact
        states = np.stack([quiet, moments.usable & moments.artefact])
        self._moments += len(moments.rows)
        self._variation.add(moments.future, states, self._horizons)
        n_horizons = moments.future.shape[1]
        for variation, passed in zip(self._band_variation, self._passed, strict=True):
            truth = np.stack([passed[row : row + n_horizons] for row in moments.rows])
            variation.add(truth, states, self._horizons)
        weight = states.astype(np.float64)
        squared: dict[str, Float64Array] = {}
        for method, forecast in moments.forecasts.items():
            off = np.where(moments.usable[:, None], forecast - moments.future, np.float32(0.0))
            squared[method] = self._horizons.sum(off * off)
            _grow(self._own.error, method, np.einsum("sne,nce->sce", weight, squared[method]))
            in_bands = [sosfilt(f, off, axis=1) for f in self._filters]
            summed = np.stack(
                [np.einsum("sne,nce->sce", weight, self._horizons.sum(b * b)) for b in in_bands]
            )
            _grow(self._own.band_error, method, summed)
        if self._robust:
            self._remember(squared, moments.usable)
        self._score_intervals(moments, weight)

    def _remember(self, squared: dict[str, Float64Array], usable: BoolArray) -> None:
        reference = squared["mean"][:, :N_BINS]
        with np.errstate(invalid="ignore", divide="ignore"):
            for method, error in squared.items():
                share = np.where(usable[:, None], error[:, :N_BINS] / reference, np.nan)
                self._own.robust.setdefault(method, []).append(share.astype(np.float32))

    def _score_intervals(self, moments: Moments, weight: Float64Array) -> None:
        truth = moments.future[:, self._horizons.points]
        rows = {
            _gaussian_name(method): _gaussian(
                moments.forecasts[method][:, self._horizons.points], spread
            )
            for method, spread in moments.spreads.items()
        }
        if moments.quantiles is not None:
            rows["model"] = moments.quantiles.transpose(1, 2, 0, 3, 4)
        for name, ends in rows.items():
            covered = [
                (truth >= ends[LEVELS.index(level), 0]) & (truth <= ends[LEVELS.index(level), 1])
                for level in SHOWN_LEVELS
            ]
            held = np.einsum("sne,lnpe->lspe", weight, np.stack(covered).astype(np.float64))
            _grow(self._own.covered, name, held)
            loss = np.stack(
                [
                    _pinball(truth, end, 0.5 + side * level / 2)
                    for level, both in zip(LEVELS, ends, strict=True)
                    for side, end in zip((-1, 1), both, strict=True)
                ]
            )
            # Left-out electrodes may have no number at all: they weigh nothing, but 0 x NaN is NaN.
            _grow(self._own.pinball, name, np.einsum("sne,qnpe->qspe", weight, np.nan_to_num(loss)))

    def finish(self, into: SubjectSums) -> None:
        """Add this recording to its subject's sums."""
        own = self._own
        into.seconds += self._moments * self._seconds
        into.deviation = into.deviation + self._variation.deviation()
        into.count = into.count + _with_both(self._variation.count)
        bands = np.stack([v.deviation() for v in self._band_variation])
        into.band_deviation = into.band_deviation + bands
        for method, error in own.error.items():
            _grow(into.error, method, _with_both(error))
            _grow(into.band_error, method, _with_both(own.band_error[method], axis=1))
        for name, held in own.covered.items():
            _grow(into.covered, name, _with_both(held, axis=1))
            _grow(into.pinball, name, _with_both(own.pinball[name], axis=1))
        for method, parts in own.robust.items():
            into.robust.setdefault(method, []).extend(parts)


def _gaussian_name(method: str) -> str:
    return "mean" if method == "mean" else f"{method}, Gaussian"


def _band(low: float, high: float, rate_hz: float) -> FloatArray:
    """Second-order sections of a band's causal filter, float32."""
    if low <= 0:
        sos = butter(BAND_ORDER, high, "lowpass", fs=rate_hz, output="sos")
    else:
        sos = butter(BAND_ORDER, (low, high), "bandpass", fs=rate_hz, output="sos")
    return np.asarray(sos, np.float32)


def _gaussian(forecast: FloatArray, spread: FloatArray) -> FloatArray:
    """Ends of the central intervals, (n_levels, 2, n, n_points, E)."""
    half = norm.ppf(0.5 + np.array(LEVELS, np.float64) / 2).astype(np.float32)
    off = half[:, None, None, None] * spread
    return np.stack([forecast - off, forecast + off], axis=1)


def _pinball(truth: FloatArray, quantile: FloatArray, level: float) -> FloatArray:
    """Pinball loss of a quantile (Koenker and Bassett, doi:10.2307/1913643)."""
    off = truth - quantile
    return np.asarray(np.maximum(level * off, (level - 1.0) * off))


def _with_both(x: Float64Array, axis: int = 0) -> Float64Array:
    """Append the sum of both states."""
    return np.concatenate([x, x.sum(axis=axis, keepdims=True)], axis=axis)


def _grow(sums: dict[str, Float64Array], name: str, more: Float64Array) -> None:
    sums[name] = sums[name] + more if name in sums else more.copy()
