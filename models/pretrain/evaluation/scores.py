"""Scores of forecasts: from the sums of subjects to means over them, with intervals.

1 is what predicting the mean of the scored samples would get.  For each electrode of a subject an
error is divided by the variance; then comes the mean over electrodes, then over subjects, who are
what the bootstrap draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.bootstrap import Interval, bootstrap, ratio
from rtbci.models.pretrain.evaluation.horizons import LABELS, N_BINS, POINTS, POINTS_MS
from rtbci.models.pretrain.evaluation.methods import LEVELS
from rtbci.models.pretrain.evaluation.phase import LEAST_MOMENTS, PHASE_METHODS, PhaseSums
from rtbci.models.pretrain.evaluation.regions import REGIONS, STATES, region_masks
from rtbci.models.pretrain.evaluation.sums import BANDS_HZ, SHOWN_LEVELS, SubjectSums

Float64Array = npt.NDArray[np.float64]

REFERENCE = "blend"
"""What the model's gain is measured against."""

LEAST_SEGMENTS = 10
"""An electrode counts in an artefact state if it has so many segments in it."""

_STATE_ROWS = {"any": 2, "quiet": 0, "artefact": 1}


@dataclass(frozen=True)
class SubjectScores:
    """What one subject's recordings gave; NaN where there is nothing.

    Attributes
    ----------
    subject : str
    weights : str
        Hash of the weights that scored her; empty without.
    seconds : float
        Signal that was scored.
    artefacts : float
        Share of segments with an artefact.
    errors : dict of str to ndarray, shape (n_regions, n_states, n_columns)
        By method.
    bands : dict of str to ndarray, shape (n_bands, n_regions, n_columns)
    robust : dict of str to ndarray, shape (n_bins,)
        Medians over segments; empty where they were not asked for.
    coverage : dict of str to ndarray, shape (n_levels, n_regions, n_states, n_points)
        By kind of interval.
    crps, pinball : dict of str to ndarray, shape (n_regions, n_states, n_points)
        In standard deviations of the electrode; the pinball loss is the mean of that at 0.05 and
        0.95.
    phase : dict of str to ndarray, shape (n_ahead,)
        Mean absolute circular error, degrees; empty where mu did not stand out often enough.
    mu_share : float
        Share of central electrodes and moments at which mu stands out.
    """

    subject: str
    weights: str
    seconds: float
    artefacts: float
    errors: dict[str, Float64Array]
    bands: dict[str, Float64Array]
    robust: dict[str, Float64Array]
    coverage: dict[str, Float64Array]
    crps: dict[str, Float64Array]
    pinball: dict[str, Float64Array]
    phase: dict[str, Float64Array]
    mu_share: float


def score_subject(
    subject: str, weights: str, montages: Sequence[SubjectSums], phase: PhaseSums
) -> SubjectScores:
    """Divide what was summed; ``montages`` are the subject's sums, one for each montage."""
    masks = np.concatenate([region_masks(m.electrodes) for m in montages], axis=1)
    count = _joined([m.count for m in montages])
    enough = count[:, N_BINS:][:, :1] >= LEAST_SEGMENTS
    deviation = np.where(enough, _joined([m.deviation for m in montages]), 0.0)
    band_deviation = np.where(enough, _joined([m.band_deviation for m in montages]), 0.0)
    scale = np.sqrt(_divide(deviation, count))[:, POINTS]
    segments = count[:, N_BINS]
    errors, bands, robust = {}, {}, {}
    for method in montages[0].error:
        error = _joined([m.error[method] for m in montages])
        errors[method] = _by_region(_divide(error, deviation), masks)[:, _order()]
        in_bands = _joined([m.band_error[method] for m in montages])
        share = _divide(in_bands, band_deviation)[:, _STATE_ROWS["any"]]
        bands[method] = _by_region(share, masks).swapaxes(0, 1)
        parts = [
            p.transpose(1, 0, 2).reshape(N_BINS, -1)
            for m in montages
            for p in m.robust.get(method, [])
        ]
        if parts:
            robust[method] = np.nanmedian(np.concatenate(parts, axis=1), axis=1).astype(np.float64)
    coverage, crps, pinball = {}, {}, {}
    for name in montages[0].covered:
        held = _joined([m.covered[name] for m in montages])
        points = np.where(enough, count[:, POINTS], 0.0)
        coverage[name] = _by_region(_divide(held, points), masks).swapaxes(0, 1)[:, :, _order()]
        loss = _divide(_joined([m.pinball[name] for m in montages]), points * scale)
        crps[name] = _by_region(2 * loss.mean(axis=0), masks)[:, _order()]
        outer = 2 * LEVELS.index(max(LEVELS))
        pinball[name] = _by_region(loss[outer : outer + 2].mean(axis=0), masks)[:, _order()]
    known = phase.moments >= LEAST_MOMENTS
    return SubjectScores(
        subject=subject,
        weights=weights,
        seconds=sum(m.seconds for m in montages),
        artefacts=float(segments[1].sum() / max(segments[2].sum(), 1.0)),
        errors=errors,
        bands=bands,
        robust=robust,
        coverage=coverage,
        crps=crps,
        pinball=pinball,
        phase={m: off / phase.moments for m, off in phase.off.items()} if known else {},
        mu_share=phase.moments / phase.all_moments if phase.all_moments else np.nan,
    )


@dataclass(frozen=True)
class ForecastScores:
    """A whole evaluation.

    Attributes
    ----------
    model : str
        The weights' name.
    high_pass_hz : float
        Of the chain that the weights were trained behind.
    folds : int
        Weights that were chosen among; each subject is scored by some that have not seen her.
    subjects : tuple of SubjectScores
    left_out : tuple of str
        Subjects that all weights were trained on.
    trusted : bool
        False where subjects were scored that the weights were trained on.
    notes : tuple of str
        Files that could not be scored, and why.
    every_s, warm_up_s : float
    """

    model: str
    high_pass_hz: float
    folds: int
    subjects: tuple[SubjectScores, ...]
    left_out: tuple[str, ...]
    trusted: bool
    notes: tuple[str, ...]
    every_s: float
    warm_up_s: float

    @property
    def methods(self) -> tuple[str, ...]:
        """Rows that were scored."""
        return tuple(self.subjects[0].errors)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of intervals that were scored."""
        order = ("model", "model, Gaussian", "blend, Gaussian", "ar, Gaussian", "mean")
        return tuple(k for k in order if k in self.subjects[0].coverage)

    @property
    def phase_methods(self) -> tuple[str, ...]:
        """Methods whose phase was scored on somebody."""
        found = {m for s in self.subjects for m in s.phase}
        return tuple(m for m in PHASE_METHODS if m in found)

    def values(
        self, method: str, column: int, region: str = "all", state: str = "any"
    ) -> Float64Array:
        """Errors over variance, one for each subject; NaN where a subject has none."""
        at = (REGIONS.index(region), STATES.index(state), column)
        return np.array([s.errors[method][at] for s in self.subjects])

    def error(self, method: str, column: int, region: str = "all", state: str = "any") -> Interval:
        """Mean error over variance."""
        return mean(self.values(method, column, region, state))

    def difference(self, column: int, region: str = "all", state: str = "any") -> Interval:
        """Model minus blend, paired over subjects."""
        model = self.values("model", column, region, state)
        return mean(model - self.values(REFERENCE, column, region, state))

    def percent(self, column: int, region: str = "all", state: str = "any") -> Interval:
        """Model minus blend as percent of the blend's mean error."""
        reference = self.values(REFERENCE, column, region, state)
        gain = self.values("model", column, region, state) - reference
        known = np.isfinite(gain)
        return ratio(100 * gain[known], reference[known])

    def band(self, method: str, band: str, column: int, region: str = "all") -> Interval:
        """Mean error over variance in a band."""
        at = (list(BANDS_HZ).index(band), REGIONS.index(region), column)
        return mean([s.bands[method][at] for s in self.subjects])

    def robust(self, method: str, column: int) -> Interval:
        """Mean over subjects of the median over segments."""
        return mean([s.robust[method][column] for s in self.subjects if s.robust])

    def coverage(
        self, kind: str, level: float, point: int, region: str = "all", state: str = "any"
    ) -> Interval:
        """Mean share of what came that an interval held."""
        at = (SHOWN_LEVELS.index(level), REGIONS.index(region), STATES.index(state), point)
        return mean([s.coverage[kind][at] for s in self.subjects])

    def loss(self, what: str, kind: str, point: int, region: str = "all") -> Interval:
        """Mean ``crps`` or ``pinball`` loss, in standard deviations."""
        at = (REGIONS.index(region), STATES.index("any"), point)
        return mean([getattr(s, what)[kind][at] for s in self.subjects])

    def phase(self, method: str, ahead: int, against: str | None = None) -> Interval:
        """Mean absolute circular error in degrees, or the paired difference to another method's."""
        among = [s for s in self.subjects if method in s.phase]
        found = np.array([s.phase[method][ahead] for s in among])
        if against is not None:
            found = found - np.array([s.phase[against][ahead] for s in among])
        return mean(found)


def mean(values: npt.ArrayLike) -> Interval:
    """Mean over the subjects that have a value, with its bootstrap interval."""
    x = np.asarray(values, np.float64)
    return bootstrap(x[np.isfinite(x)])


def columns() -> tuple[str, ...]:
    """Names of the columns of :attr:`SubjectScores.errors`."""
    return LABELS


def point_labels() -> tuple[str, ...]:
    """Names of the single horizons, ms."""
    return tuple(map(str, POINTS_MS))


def _order() -> list[int]:
    return [_STATE_ROWS[state] for state in STATES]


def _joined(parts: Sequence[Float64Array]) -> Float64Array:
    """One array over the electrodes of all montages."""
    return np.concatenate(parts, axis=-1)


def _divide(x: Float64Array, by: Float64Array) -> Float64Array:
    """Quotients; NaN where there is nothing to divide by."""
    out = np.full(np.broadcast_shapes(x.shape, by.shape), np.nan)
    np.divide(x, by, out=out, where=by > 0)
    return out


def _by_region(x: Float64Array, masks: npt.NDArray[np.bool_]) -> Float64Array:
    """Mean over each region's electrodes that have a value: (..., n, E) -> (n_regions, ..., n)."""
    known = np.isfinite(x)
    filled = np.where(known, x, 0.0)
    sums = np.einsum("re,...e->r...", masks.astype(np.float64), filled)
    counts = np.einsum("re,...e->r...", masks.astype(np.float64), known.astype(np.float64))
    return _divide(sums, counts)
