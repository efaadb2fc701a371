"""Recordings for pretraining: behind the live chain once, then read from disk in any order.

    stretch --Preprocessor--> signal, running mean and scale --ARForecaster, tick by tick-->
    a folder each: hops.npy, ar.npy (:mod:`rtbci.models.pretrain.corpus.store`) and meta.json

The very classes that run live prepare the data, so the network is trained on what it will meet.
A *hop* is 25 rows; token ``h`` ends at row ``25 (h + 1) - 1`` and knows nothing after it.  Where
hops begin differs from recording to recording (:func:`phase_of`): behind an upsampler the rows
carry its phase, and a fit that always meets the same one learns it instead of the brain.
Forecasts are learned at *positions*, every fourth hop, because AR is too slow for all of them.

A recording is read, filtered and written block by block, so that memory does not grow with it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from rtbci.errors import BadInputError
from rtbci.models.config import ModelConfig
from rtbci.models.pretrain.corpus.chain import Chain
from rtbci.models.pretrain.corpus.recordings import Cue, Stretch
from rtbci.models.pretrain.corpus.store import StoredSignal, writing
from rtbci.types import BoolArray, FloatArray, IndexArray

POSITION_STRIDE = 4
"""Hops from a position to the next."""

MOST_WEIGHT = 4.0
"""Largest weight of :func:`score_weight`; 1 where the signal varies as it does on average."""

FORMAT = 4
"""Of the prepared folder's format and content; others are prepared anew."""

META = "meta.json"


@dataclass(frozen=True)
class Prepared:
    """A recording behind the causal chain; arrays are memory maps of its folder.

    Attributes
    ----------
    name, subject, electrodes, cues, dataset
        As in :class:`~rtbci.models.pretrain.corpus.recordings.Stretch`.
    delay_s : float
        Row ``n`` stands for the time ``n / rate_hz - delay_s``: the resampler's delay, less the
        rows that were left out in front.
    signal : ndarray, shape (n_rows, n_electrodes), float32, µV
        Array-like: 16 bit on disk, µV where it is read.
    mean, scale : ndarray, shape (n_hops, n_electrodes), float32, µV
        Running statistics at the last row of each hop.
    valid : ndarray, shape (n_hops, n_electrodes), bool
        Whether the last second up to this hop is a signal: neither flat nor noise.
    positions : ndarray, shape (n_positions,), int64
        Hops at which ``ar`` has forecasts.
    ar : ndarray, shape (n_positions, n_electrodes, n_horizons), float16
        AR forecasts in deviations; NaN where an electrode was not fitted yet.
    variance : ndarray, shape (n_electrodes,), float64, µV² | None
        Of the whole signal; None where it was not written down.
    """

    name: str
    subject: str
    electrodes: tuple[str, ...]
    cues: tuple[Cue, ...]
    delay_s: float
    signal: FloatArray
    mean: FloatArray
    scale: FloatArray
    valid: BoolArray
    positions: IndexArray
    ar: npt.NDArray[np.float16]
    dataset: str = ""
    variance: npt.NDArray[np.float64] | None = None


def phase_of(name: str, hop: int) -> int:
    """Rows that are left out in front of a recording, fewer than a hop, by the hash of its name."""
    digest = hashlib.sha256(f"rtbci phase: {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % hop


def settings_of(config: ModelConfig) -> dict[str, Any]:
    """What of a model's settings shapes prepared arrays, plain values."""
    return {
        "format": FORMAT,
        "preprocess": asdict(config.preprocess) | {"line_hz": list(config.preprocess.line_hz)},
        "n_window": config.n_window,
        "n_hop": config.n_hop,
        "n_horizons": config.n_horizons,
        "position_stride": POSITION_STRIDE,
    }


def prepare(
    stretch: Stretch,
    folder: Path,
    config: ModelConfig,
    progress: Callable[[float], None] | None = None,
    key: str | None = None,
) -> Prepared:
    """Run a stretch through the live chain and keep what training needs.

    A folder that already holds this very recording, prepared this way, is read instead.

    Parameters
    ----------
    stretch : Stretch
    folder : Path
        Where prepared recordings live; this one's folder in it is named after it.
    config : ModelConfig
        Its ``preprocess``, rate, window, hop and horizons.
    progress : callable, optional
        Called with the share that is done.
    key : str | None
        What tells this signal from any other; the hash of its samples where None.

    Raises
    ------
    BadInputError
        Where the preprocessing can't run at the recording's rate.
    DiskError
        Where it can't be written.
    """
    target = folder / stretch.name
    meta: dict[str, Any] = {
        "key": _key(stretch, config, key),
        "name": stretch.name,
        "subject": stretch.subject,
        "dataset": stretch.dataset,
        "electrodes": list(stretch.electrodes),
        "cues": [asdict(cue) for cue in stretch.cues],
    }
    known = _known(target)
    if known is not None and known["key"] == meta["key"]:
        if known != known | meta:
            with writing(target):
                _write_meta(target, known | meta)
        return open_prepared(target)
    partial = target.with_name(target.name + ".partial")
    with writing(partial):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    phase = phase_of(stretch.name, config.n_hop)
    chain = Chain(stretch, config, phase=phase, stride=POSITION_STRIDE, progress=progress)
    meta |= chain.write(partial)
    with writing(target):
        _write_meta(partial, meta)
        shutil.rmtree(target, ignore_errors=True)
        partial.replace(target)
    return open_prepared(target)


def open_prepared(folder: Path) -> Prepared:
    """Map a prepared recording into memory.

    Raises
    ------
    BadInputError
        Where another version wrote it, or it is damaged.
    """
    meta = _known(folder)
    if meta is None:
        raise BadInputError(
            f"{folder} holds no recording that this version of rtbci prepared; prepare it anew: "
            "rtbci prepare DATA... --out SHARDS."
        )
    try:
        hops = np.load(folder / "hops.npy", mmap_mode="r")
        ar = np.load(folder / "ar.npy", mmap_mode="r")
        return Prepared(
            name=meta["name"],
            subject=meta["subject"],
            dataset=meta["dataset"],
            electrodes=tuple(meta["electrodes"]),
            cues=tuple(Cue(**cue) for cue in meta["cues"]),
            delay_s=meta["delay_s"],
            # To all who slice it an array; its µV are made where they are asked for.
            signal=cast(FloatArray, StoredSignal(hops)),
            mean=hops["mean"],
            scale=hops["scale"],
            valid=hops["valid"],
            positions=meta["first_position"] + meta["position_stride"] * np.arange(len(ar)),
            ar=ar,
            variance=np.array(meta["variance"]),
        )
    except (OSError, ValueError, EOFError, KeyError, TypeError, IndexError) as err:
        raise BadInputError(
            f"{folder} is damaged ({err}); remove it and prepare its recording again."
        ) from err


def score_weight(recording: Prepared, hops: slice | IndexArray = slice(None)) -> FloatArray:
    """What a squared error in deviations counts at hops, shape (n_hops, n_electrodes), float32.

    Scores are errors in µV over the variance of the electrode (:mod:`rtbci.skill`), so that is
    what is learned: ``scale² / variance``.  It is bounded, or artefacts would be all there is.
    """
    variance = recording.variance
    if variance is None:
        variance = np.asarray(recording.signal).var(axis=0, dtype=np.float64)
    ratio = recording.scale[hops] ** 2 / np.maximum(variance, 1e-6)
    weight: FloatArray = np.minimum(ratio, MOST_WEIGHT).astype(np.float32)
    return weight


def _known(folder: Path) -> dict[str, Any] | None:
    """What is known of a prepared recording; None where this version did not prepare it."""
    try:
        meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return meta if isinstance(meta, dict) and meta.get("format") == FORMAT else None


def _write_meta(folder: Path, meta: dict[str, Any]) -> None:
    partial = folder / (META + ".partial")
    partial.write_text(json.dumps({"format": FORMAT, **meta}, sort_keys=True), encoding="utf-8")
    partial.replace(folder / META)


def _key(stretch: Stretch, config: ModelConfig, key: str | None) -> str:
    """Hash of all that shapes the prepared arrays."""
    settings = settings_of(config) | {
        "name": stretch.name,
        "rate": stretch.rate,
        "electrodes": stretch.electrodes,
        "signal": key,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    if key is None:
        for block in stretch.blocks():
            digest.update(np.ascontiguousarray(block).tobytes())
    return digest.hexdigest()
