"""How well forecasts do on people that the weights have never seen, beside the baselines.

Every recording runs through the live chain and the live model, token by token; every second a
forecast of each method is kept until its future has come.  The error is that of
:mod:`rtbci.skill`: squared error over variance on samples that no forecast had seen, for each
electrode of a subject, averaged over electrodes; then the mean over subjects, with a bootstrap
interval over subjects.  The first minute of a recording warms the baselines up and does not count.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.errors import BadInputError
from rtbci.models.baselines import blend, persistence
from rtbci.models.checkpoint import Checkpoint
from rtbci.models.config import ModelConfig
from rtbci.models.pretrain.corpus.prepared import RawRecording, is_held_out
from rtbci.models.pretrain.corpus.read import read_raw, recordings_in
from rtbci.models.streaming import EEGPTModel
from rtbci.preprocess import Preprocessor
from rtbci.ring import MirrorRing
from rtbci.skill import BINS_MS, SkillTracker
from rtbci.tick import Tick
from rtbci.types import FloatArray

Float64Array = npt.NDArray[np.float64]

METHODS = ("model", "blend", "ar", "ridge", "hold", "persistence", "mean")
"""Rows of the table: the model as it publishes (the network, mixed with AR as far as the
session's past advises, :mod:`rtbci.models.trust`); linear blend of AR and pooled ridge; the two of
them; the raw signal held and filtered on (``hold``: what the high-pass filter's memory alone
gives); the newest sample held; the running mean."""

N_BOOTSTRAP = 10_000


@dataclass
class _Sums:
    """Sums of one subject, each (n_bins, n_electrodes)."""

    electrodes: tuple[str, ...]
    deviation: Float64Array
    error: dict[str, Float64Array] = field(default_factory=dict)


@dataclass(frozen=True)
class ForecastScores:
    """Errors over variance on new samples; 1 is what predicting the mean would get.

    Attributes
    ----------
    model : str
        The model's name.
    subjects : tuple of str
    errors : ndarray, shape (n_subjects, n_methods, n_bins)
        Rows as :data:`METHODS`, bins as :data:`rtbci.skill.BINS_MS`; means over electrodes.
    regions : dict of str to ndarray, shape (n_methods, n_bins)
        The same for electrodes of one region, mean over subjects.
    seconds : float
        Of signal that was scored, all subjects together.
    """

    model: str
    subjects: tuple[str, ...]
    errors: Float64Array
    regions: dict[str, Float64Array]
    seconds: float

    def interval(self, method: str, against: str | None = None) -> Float64Array:
        """95 % bootstrap interval over subjects of a mean, or of a paired difference.

        Returns
        -------
        interval : ndarray, shape (2, n_bins)
        """
        values = self.errors[:, METHODS.index(method)]
        if against is not None:
            values = values - self.errors[:, METHODS.index(against)]
        rng = np.random.default_rng(0)
        drawn = rng.integers(len(values), size=(N_BOOTSTRAP, len(values)))
        bounds: Float64Array = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975], axis=0)
        return bounds

    def table(self) -> list[dict[str, Any]]:
        """One row a bin, plain values: each method's mean, and model minus blend with interval."""
        mean = self.errors.mean(axis=0)
        low, high = self.interval("model", "blend")
        rows: list[dict[str, Any]] = []
        for b, (start, stop) in enumerate(BINS_MS):
            row: dict[str, Any] = {"horizon_ms": [start, stop]}
            row |= {m: round(float(mean[i, b]), 4) for i, m in enumerate(METHODS)}
            gain = mean[METHODS.index("model"), b] - mean[METHODS.index("blend"), b]
            row["model_minus_blend"] = [round(float(v), 4) for v in (gain, low[b], high[b])]
            rows.append(row)
        return rows


def evaluate_forecast(
    checkpoint: Checkpoint,
    data: Sequence[Path],
    *,
    all_subjects: bool = False,
    warm_up_s: float = 60.0,
    every_s: float = 1.0,
    device: str = "cpu",
    progress: Callable[[float, str], None] | None = None,
) -> ForecastScores:
    """Score a model and the baselines on recordings.

    Parameters
    ----------
    checkpoint : Checkpoint
        With the pooled ridge among its extras.
    data : sequence of Path
        Recordings, or folders of them.
    all_subjects : bool
        Score subjects outside the test set too; shipped weights may have been trained on them.
    warm_up_s : float
        Start of each recording that is not scored, s.
    every_s : float
        From one scored forecast to the next, s.
    device : str
        ``cpu`` or ``cuda``.
    progress : callable, optional
        Called with the share that is done and the file at hand.

    Raises
    ------
    BadInputError
        Where nothing is left to score.
    """
    files = recordings_in(data)
    chosen = [(p, s) for p, s in files if all_subjects or is_held_out(s)]
    sums: dict[str, _Sums] = {}
    scored_s = 0.0
    for i, (path, subject) in enumerate(chosen):
        if progress is not None:
            progress(i / len(chosen), path.name)
        for raw in read_raw(path, subject):
            tracker = _run(checkpoint, raw, warm_up_s, every_s, device)
            scored_s += float(tracker.state.count.sum(axis=0).max()) / checkpoint.config.rate_hz
            _add(sums, raw, tracker)
    if not sums or scored_s == 0.0:
        raise BadInputError(
            f"nothing to score: of {len(files)} recordings {len(chosen)} are of held-out subjects "
            f"and none of these is longer than {warm_up_s:g} s; --all-subjects scores the others "
            "too (shipped weights may have been trained on them)."
        )
    ratios = {s: _ratios(v) for s, v in sums.items()}
    names = {s: v.electrodes for s, v in sums.items()}
    return ForecastScores(
        model=checkpoint.name,
        subjects=tuple(sums),
        errors=np.stack([np.nanmean(r, axis=2) for r in ratios.values()]),
        regions=_by_region(ratios, names),
        seconds=scored_s,
    )


def _run(
    checkpoint: Checkpoint, raw: RawRecording, warm_up_s: float, every_s: float, device: str
) -> SkillTracker:
    """Run one stretch of signal through chain and model as the pipeline does."""
    config = checkpoint.config
    n, hop = len(raw.electrodes), config.n_hop
    model = EEGPTModel(checkpoint, raw.electrodes, device=device)
    share = checkpoint.network.direct_head.blend.detach().cpu().numpy()
    chain = Preprocessor(raw.rate, n, config.preprocess, names=raw.electrodes)
    ring = MirrorRing(round(60.0 * config.rate_hz), n)
    tracker = SkillTracker(config.rate_hz, config.n_horizons, n, hop)
    good = np.ones(n, np.bool_)
    every = max(1, round(every_s / config.hop_s))
    first = -(-config.n_window // hop) - 1
    fed, h = 0, 0
    while (due := chain.ready((h + 1) * hop - 1)) <= len(raw.data):
        made = chain.push(raw.data[fed:due], good)
        fed = due
        ring.write(made.signal)
        if h >= first:
            history = ring.view(ring.size)
            tick = Tick(h - first, h - first, history, made.mean[-1], made.scale[-1], good)
            tracker.observe(tick.token, history, good)
            model.ingest(tick)
            # At every token, as live: the model learns from them how far to trust itself.
            ahead = model.forecast()
            if (h + 1) * config.hop_s >= warm_up_s and h % every == 0:
                forecasts = {
                    "model": ahead[model.published],
                    "ar": ahead["ar"],
                    "ridge": ahead["ridge"],
                    "blend": blend(ahead["ar"], ahead["ridge"], share),
                    "hold": _hold(chain, raw.data[fed - 1], raw.rate, config, good),
                    "persistence": persistence(tick, config.n_horizons),
                    "mean": np.repeat(tick.mean[None], config.n_horizons, axis=0),
                }
                tracker.expect(tick.token, forecasts, good)
        h += 1
    return tracker


def _hold(
    chain: Preprocessor,
    row: FloatArray,
    rate: float,
    config: ModelConfig,
    good: npt.NDArray[np.bool_],
) -> FloatArray:
    """Hold the newest raw row and let a copy of the chain run on: its next rows."""
    seconds = config.n_horizons / config.rate_hz + chain.delay_s
    n_rows = math.ceil(seconds * rate) + 2
    ahead = copy.deepcopy(chain).push(np.repeat(row[None], n_rows, axis=0), good)
    return ahead.signal[: config.n_horizons]


def _add(sums: dict[str, _Sums], raw: RawRecording, tracker: SkillTracker) -> None:
    """Add a recording's sums to its subject's; deviations count from the recording's own mean."""
    state = tracker.state
    if not state.count.any():
        return
    counted = np.maximum(state.count, 1.0)
    deviation = np.maximum(state.square - state.total**2 / counted, 0.0)
    own = sums.setdefault(
        raw.subject,
        _Sums(raw.electrodes, np.zeros_like(deviation)),
    )
    if own.electrodes != raw.electrodes:
        raise BadInputError(
            f"recording {raw.name} of {raw.subject} has other electrodes than those before it; "
            "score them one montage at a time."
        )
    own.deviation += deviation
    for method in METHODS:
        error = own.error.setdefault(method, np.zeros_like(deviation))
        error += state.error[method]


def _ratios(sums: _Sums) -> Float64Array:
    """Error over variance, (n_methods, n_bins, n_electrodes); NaN where nothing varied."""
    with np.errstate(invalid="ignore", divide="ignore"):
        scored = np.where(sums.deviation > 0, sums.deviation, np.nan)
        return np.stack([sums.error[m] / scored for m in METHODS])


def region_of(electrode: str) -> str:
    """Region of an electrode: ``frontal``, ``central``, ``temporal`` or ``posterior``."""
    letters = electrode.rstrip("0123456789z").upper()
    if letters in ("FP", "AF", "F"):
        return "frontal"
    if letters in ("FC", "C", "CP"):
        return "central"
    return "temporal" if "T" in letters else "posterior"


def _by_region(
    ratios: dict[str, Float64Array], names: dict[str, tuple[str, ...]]
) -> dict[str, Float64Array]:
    """Mean over a region's electrodes, then over the subjects that have any."""
    out = {}
    for region in ("frontal", "central", "temporal", "posterior"):
        means = []
        for subject, ratio in ratios.items():
            inside = [region_of(e) == region for e in names[subject]]
            if any(inside):
                means.append(np.nanmean(ratio[:, :, inside], axis=2))
        if means:
            out[region] = np.mean(means, axis=0)
    return out
