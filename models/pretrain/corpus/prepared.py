"""Recordings for pretraining: behind the live chain once, then read from disk in any order.

    recording --Preprocessor--> signal, running mean and scale --ARForecaster, tick by tick-->
    a folder each:  signal.npy (n_rows, E)   stats.npy (2, n_hops, E)   valid.npy (n_hops, E)
                    ar.npy (n_positions, E, n_horizons)   meta.json

The very classes that run live prepare the data, so the network is trained on what it will meet.
A *hop* is 25 rows; token ``h`` ends at row ``25 (h + 1) - 1`` and knows nothing after it.  Where
hops begin differs from recording to recording (:func:`phase_of`): behind an upsampler the rows
carry its phase, and a fit that always meets the same one learns it instead of the brain.
Forecasts are learned at *positions*, every eighth hop, because AR is too slow for all of them.

Splits are by subject and fixed by the hash of the subject's name, so that a subject stays where
it is whatever else is trained on.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.config import HealthConfig
from rtbci.errors import BadInputError
from rtbci.models.baselines import ARForecaster
from rtbci.models.config import ModelConfig
from rtbci.models.tokens import bound, normalise
from rtbci.preprocess import Preprocessor
from rtbci.tick import Tick
from rtbci.types import BoolArray, FloatArray, IndexArray

ALWAYS_HELD_OUT = frozenset({"eegmmidb-S001"})
"""Documentation and tests quote what the shipped weights do on this subject."""

TEST_SHARE = 0.2
"""Share of subjects that are held out by their hash."""

POSITION_STRIDE = 8
"""Hops from a position to the next."""

MOST_WEIGHT = 4.0
"""Largest weight of :func:`score_weight`; 1 where the signal varies as it does on average."""

_VERSION = 3
"""Of the prepared folder's format and content; others are prepared anew."""

_PATTERNS = (
    (re.compile(r"^(S\d{3})R\d{2}$"), "eegmmidb"),
    (re.compile(r"^(Subject\d{2})_\d$"), "eegmat"),
    (re.compile(r"^sub-([A-Za-z0-9]+)_"), "bids"),
)


@dataclass(frozen=True)
class Cue:
    """What a person was asked to do.

    Attributes
    ----------
    time : float
        Seconds from the first row.
    label : str
        A class (``left_hand``).
    """

    time: float
    label: str


@dataclass(frozen=True)
class RawRecording:
    """A stretch of signal without gaps, before any filter.

    Attributes
    ----------
    name : str
        Unique among the recordings that are trained on.
    subject : str
        Whose it is; splits go by it.
    rate : float
        Hz.
    electrodes : tuple of str
    data : ndarray, shape (n_times, n_electrodes), float32, µV
    cues : tuple of Cue
    """

    name: str
    subject: str
    rate: float
    electrodes: tuple[str, ...]
    data: FloatArray
    cues: tuple[Cue, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A recording behind the causal chain; arrays are memory maps of its folder.

    Attributes
    ----------
    name, subject, electrodes, cues
        As in :class:`RawRecording`.
    delay_s : float
        Row ``n`` stands for the time ``n / rate_hz - delay_s``: the resampler's delay, less the
        rows that were left out in front.
    signal : ndarray, shape (n_rows, n_electrodes), float32, µV
    mean, scale : ndarray, shape (n_hops, n_electrodes), float32, µV
        Running statistics at the last row of each hop.
    valid : ndarray, shape (n_hops, n_electrodes), bool
        Whether the last second up to this hop is a signal: neither flat nor noise.
    positions : ndarray, shape (n_positions,), int64
        Hops at which ``ar`` has forecasts.
    ar : ndarray, shape (n_positions, n_electrodes, n_horizons), float16
        AR forecasts in deviations; NaN where an electrode was not fitted yet.
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


def subject_of(path: Path) -> str:
    """Whose recording a file is, by its name: EEGMMIDB, EEGMAT and BIDS names are known.

    A file named otherwise counts as a subject of its own.
    """
    for pattern, dataset in _PATTERNS:
        match = pattern.match(path.stem)
        if match:
            return f"{dataset}-{match[1]}"
    return path.stem


def phase_of(name: str, hop: int) -> int:
    """Rows that are left out in front of a recording, fewer than a hop, by the hash of its name."""
    digest = hashlib.sha256(f"rtbci phase: {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % hop


@dataclass(frozen=True)
class SubjectFold:
    """One of several parts of all subjects, by the hash of their names.

    Attributes
    ----------
    number : int
        From 1 on.
    of : int
        How many parts there are, 2 or more.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> SubjectFold:
        """Read ``2/4``.

        Raises
        ------
        BadInputError
            Where it is no such fraction.
        """
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) >= 2):
            raise BadInputError(f"a fold is one of several, as in 2/4, got {text!r}.")
        return cls(int(number), int(of))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def is_held_out(subject: str, fold: SubjectFold | None = None) -> bool:
    """Whether a subject belongs to the test set: the usual one, or a fold's."""
    if subject in ALWAYS_HELD_OUT:
        return True
    digest = hashlib.sha256(f"rtbci held out: {subject}".encode()).digest()
    place = int.from_bytes(digest[:8], "big")
    if fold is not None:
        return place % fold.of == fold.number - 1
    return place < TEST_SHARE * 2**64


def prepare(
    recording: RawRecording,
    folder: Path,
    config: ModelConfig,
    progress: Callable[[float], None] | None = None,
) -> Prepared:
    """Run a recording through the live chain and keep what training needs.

    A folder that already holds this very recording, prepared this way, is read instead.

    Parameters
    ----------
    recording : RawRecording
    folder : Path
        Where prepared recordings live; this one's folder in it is named after it.
    config : ModelConfig
        Its ``preprocess``, rate, window, hop and horizons.
    progress : callable, optional
        Called with the share that is done.

    Raises
    ------
    BadInputError
        Where the preprocessing can't run at the recording's rate.
    """
    target = folder / recording.name
    meta = {
        "key": _key(recording, config),
        "name": recording.name,
        "subject": recording.subject,
        "electrodes": recording.electrodes,
        "cues": [asdict(cue) for cue in recording.cues],
    }
    if (target / "meta.json").exists():
        known = json.loads((target / "meta.json").read_text(encoding="utf-8"))
        if known["key"] == meta["key"]:
            _write_meta(target, known | meta)
            return open_prepared(target)
    hop = config.n_hop
    good = np.ones(len(recording.electrodes), np.bool_)
    chain = Preprocessor(recording.rate, len(good), config.preprocess, names=recording.electrodes)
    made = chain.push(recording.data, good)
    phase = phase_of(recording.name, hop)
    signal = made.signal[phase:]
    n_hops = len(signal) // hop
    last_rows = phase + np.arange(1, n_hops + 1) * hop - 1
    stats = np.stack([made.mean[last_rows], made.scale[last_rows]])
    seen = [chain.ready(int(row)) for row in last_rows]
    valid = _valid(recording, signal, seen, hop)
    positions, ar = _forecast_ar(signal, stats, config, progress)

    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    np.save(partial / "signal.npy", signal)
    np.save(partial / "stats.npy", stats)
    np.save(partial / "valid.npy", valid)
    np.save(partial / "positions.npy", positions)
    np.save(partial / "ar.npy", ar)
    _write_meta(partial, meta | {"delay_s": -chain.source_position(phase) / recording.rate})
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)
    return open_prepared(target)


def open_prepared(folder: Path) -> Prepared:
    """Map a prepared recording into memory."""
    meta: dict[str, Any] = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    mean, scale = np.load(folder / "stats.npy")
    return Prepared(
        name=meta["name"],
        subject=meta["subject"],
        electrodes=tuple(meta["electrodes"]),
        cues=tuple(Cue(**cue) for cue in meta["cues"]),
        delay_s=meta["delay_s"],
        signal=np.load(folder / "signal.npy", mmap_mode="r"),
        mean=mean,
        scale=scale,
        valid=np.load(folder / "valid.npy"),
        positions=np.load(folder / "positions.npy"),
        ar=np.load(folder / "ar.npy", mmap_mode="r"),
    )


def score_weight(recording: Prepared) -> FloatArray:
    """What a squared error in deviations counts, shape (n_hops, n_electrodes), float32.

    Scores are errors in µV over the variance of the electrode (:mod:`rtbci.skill`), so that is
    what is learned: ``scale² / variance``.  It is bounded, or artefacts would be all there is.
    """
    variance = recording.signal.var(axis=0, dtype=np.float64)
    ratio = recording.scale**2 / np.maximum(variance, 1e-6)
    weight: FloatArray = np.minimum(ratio, MOST_WEIGHT).astype(np.float32)
    return weight


def _write_meta(folder: Path, meta: dict[str, Any]) -> None:
    partial = folder / "meta.json.partial"
    partial.write_text(json.dumps(meta), encoding="utf-8")
    partial.replace(folder / "meta.json")


def split(recordings: Sequence[Prepared]) -> tuple[list[Prepared], list[Prepared]]:
    """Part recordings into those to train on and those of held-out subjects."""
    train = [r for r in recordings if not is_held_out(r.subject)]
    test = [r for r in recordings if is_held_out(r.subject)]
    return train, test


def _key(recording: RawRecording, config: ModelConfig) -> str:
    """Hash of all that shapes the prepared arrays."""
    settings = {
        "version": _VERSION,
        "rate": recording.rate,
        "electrodes": recording.electrodes,
        "preprocess": asdict(config.preprocess),
        "token": [config.n_window, config.n_hop, config.n_horizons, POSITION_STRIDE],
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(recording.data.tobytes())
    return digest.hexdigest()


def _valid(recording: RawRecording, signal: FloatArray, seen: Sequence[int], hop: int) -> BoolArray:
    """Where the newest second is a signal, by the live limits: raw not flat, filtered not noise."""
    limits = HealthConfig()
    second = round(limits.window_s * recording.rate)
    valid = np.zeros((len(seen), signal.shape[1]), np.bool_)
    for h, stop in enumerate(seen):
        raw = recording.data[max(0, stop - second) : stop]
        filtered = signal[max(0, (h - 9) * hop) : (h + 1) * hop]
        valid[h] = np.isfinite(raw).all(axis=0) & (np.ptp(raw, axis=0) > limits.flat_uv)
        valid[h] &= filtered.std(axis=0) < limits.noisy_uv
    return valid


def _forecast_ar(
    signal: FloatArray,
    stats: FloatArray,
    config: ModelConfig,
    progress: Callable[[float], None] | None,
) -> tuple[IndexArray, npt.NDArray[np.float16]]:
    """AR forecasts at every position, by the live forecaster, tick by tick."""
    hop, n_hops, n_electrodes = config.n_hop, stats.shape[1], signal.shape[1]
    first_token = -(-config.n_window // hop) - 1
    ahead = config.n_horizons // hop
    positions = np.arange(first_token + POSITION_STRIDE, n_hops - ahead, POSITION_STRIDE)
    forecaster = ARForecaster(
        n_electrodes, rate_hz=config.rate_hz, n_horizons=config.n_horizons, hop=hop
    )
    good = np.ones(n_electrodes, np.bool_)
    made = np.full((len(positions), n_electrodes, config.n_horizons), np.nan, np.float16)
    for h in range(first_token, int(positions[-1]) + 1 if len(positions) else 0):
        index = h - first_token
        tick = Tick(index, index, signal[: (h + 1) * hop], stats[0, h], stats[1, h], good)
        forecaster.update(tick)
        if index and index % POSITION_STRIDE == 0:
            forecast = normalise(forecaster.forecast(tick), tick.mean, tick.scale)
            known = np.isfinite(forecast).all(axis=0)
            made[index // POSITION_STRIDE - 1, known] = bound(forecast[:, known]).T
            if progress is not None:
                progress(h / n_hops)
    return positions.astype(np.int64), made
