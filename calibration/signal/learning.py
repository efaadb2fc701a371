"""From a recorded signal check to what a session begins with: regression and limits of the flags.

blinks, looks, jaw -> references x all electrodes -> moments of the regression
every 0.1 s -> reach and power as the flags see them -+- while the eyes are open and still
                                                      +- at blinks, looks, clenches
                                                         half-way between: the limit
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtbci.calibration.signal.artefacts import BLOCK_S, EYES, MAD_TO_SD, ArtefactMonitor
from rtbci.calibration.signal.check_data import CheckData, holds_check, read_check
from rtbci.calibration.signal.check_measures import jaw
from rtbci.calibration.signal.learned import Learned, Limit
from rtbci.calibration.signal.regression import LIMIT_UV, reference_electrodes
from rtbci.config import SessionConfig
from rtbci.types import FloatArray

Array64 = npt.NDArray[np.float64]

MOVING = ("blinks", "look_sides", "jaw")
LEAST_S = 10.0
"""Signal of moving eyes and jaw that a regression can be learned from."""
LATEST_S = 1.6
"""What was asked for has been seen so long after its prompt."""
STANDS_OUT = 2.0
"""Reach of what was asked for over the highest ordinary one."""
LEAST_DB = 2.0
LEAST_EVENTS = 3


def learn(data: CheckData, name: str) -> Learned | None:
    """Learn what a signal check shows; None where it shows neither eyes nor muscle.

    Parameters
    ----------
    data : CheckData
    name : str
        Of the recording.
    """
    muscle = _muscle(data)
    limits = _limits(data, Learned(name, muscle=muscle))
    stream = (*data.electrodes, *data.aside)
    references = reference_electrodes(stream)
    moving = [r for label in MOVING for p in data.part(label) if (r := data.rows(p.start, p.stop))]
    if references and sum(r.stop - r.start for r in moving) >= LEAST_S * data.rate:
        rows = _stream(data)[np.concatenate([np.arange(r.start, r.stop) for r in moving])]
        rows, at = rows.astype(np.float64), [stream.index(c) for c in references]
        near = np.clip(rows[:, at], -LIMIT_UV, LIMIT_UV)
        return Learned(
            name,
            references,
            stream,
            _plain(near.T @ near / len(rows)),
            _plain(near.T @ rows / len(rows)),
            muscle,
            limits,
        )
    return Learned(name, muscle=muscle, limits=limits) if limits else None


def learn_from(
    paths: Sequence[Path], montage: str | None = None, config: SessionConfig | None = None
) -> Learned | None:
    """Learn from the last of some recordings that holds a signal check; None where none does."""
    for path in reversed(paths):
        if holds_check(path):
            return learn(read_check(path, montage, config), path.name)
    return None


def _muscle(data: CheckData) -> tuple[str, ...]:
    """Electrodes at which the clenched jaw stands out most."""
    seen = jaw(data)
    if seen is None or seen.n < LEAST_EVENTS:
        return ()
    surely = seen.values - 2 * seen.errors
    least = max(LEAST_DB, float(surely.max()) / 2)
    return tuple(np.array(data.electrodes)[surely >= least].tolist())


def _limits(data: CheckData, learned: Learned) -> tuple[Limit, ...]:
    """Half-way between the quiet signal and what was asked for, where that stands out."""
    stream = (*data.electrodes, *data.aside)
    monitor = ArtefactMonitor(stream, data.rate, learned=learned)
    times, values = _course(data, monitor)
    quiet = _within(times, [(p.start + LATEST_S, p.stop) for p in data.part("eyes_open")])
    if not quiet.any():
        return ()
    usual = np.median(values[quiet], axis=0)
    spread = MAD_TO_SD * np.median(np.abs(values[quiet] - usual), axis=0)
    ordinary = usual + monitor.config.deviations * spread
    blinks, looks = (
        _peaks(data, times, values, "blink"),
        _peaks(data, times, values, "look_left", "look_right"),
    )
    clenched = _levels(data, times, values, "clench")
    found = []
    for i, feature in enumerate(monitor.features):
        if feature.startswith(EYES):
            seen = max((float(v[i]) for v in (blinks, looks) if v is not None), default=0.0)
            level = float(np.sqrt(seen * ordinary[i])) if seen > 0 else 0.0
            stands_out = seen > STANDS_OUT * ordinary[i]
        else:
            seen = -np.inf if clenched is None else float(clenched[i])
            level = max(float(ordinary[i]), (seen + float(usual[i])) / 2)
            stands_out = seen > ordinary[i]
        if stands_out:
            found.append(Limit(feature, round(level, 3)))
    return tuple(found)


def _course(data: CheckData, monitor: ArtefactMonitor) -> tuple[Array64, Array64]:
    """What the flags see at the end of each block of the check."""
    n_block, seen = max(1, round(BLOCK_S * data.rate)), _stream(data)
    times, values = [], []
    for number in np.unique(data.segment):
        rows = np.flatnonzero(data.segment == number)
        monitor.reset()
        for start in range(rows[0], rows[-1] + 2 - n_block, n_block):
            monitor.push(seen[start : start + n_block])
            times.append(data.times[start + n_block - 1])
            values.append(monitor.measure())
    return np.array(times), np.array(values).reshape(len(times), len(monitor.features))


def _stream(data: CheckData) -> FloatArray:
    """What a decoder gets: the electrodes, then EOG and EMG."""
    return np.hstack([data.clean, data.beside])


def _peaks(data: CheckData, times: Array64, values: Array64, *labels: str) -> Array64 | None:
    """Median over the prompts of the highest value after each."""
    found = []
    for prompt in data.asked(*labels):
        near = _within(times, [(prompt.start, prompt.start + LATEST_S)])
        if near.any():
            found.append(values[near].max(axis=0))
    return np.median(found, axis=0) if len(found) >= LEAST_EVENTS else None


def _levels(data: CheckData, times: Array64, values: Array64, label: str) -> Array64 | None:
    """Median over the prompts of the median value in the second half of each."""
    found = []
    for prompt in data.asked(label):
        near = _within(times, [((prompt.start + prompt.stop) / 2, prompt.stop)])
        if near.any():
            found.append(np.median(values[near], axis=0))
    return np.median(found, axis=0) if len(found) >= LEAST_EVENTS else None


def _within(times: Array64, spans: list[tuple[float, float]]) -> npt.NDArray[np.bool_]:
    inside = np.zeros(len(times), dtype=np.bool_)
    for start, stop in spans:
        inside |= (times > start) & (times <= stop)
    return inside


def _plain(matrix: Array64) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(v), 4) for v in row) for row in matrix)
