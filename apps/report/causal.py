"""The rows of a recording, and what the causal filters made of them, block by block.

The same chain as live (:class:`rtbci.preprocess.Preprocessor`), without tokens, model or decoder:
hours of recording pass through in the memory of one block.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rtbci.preprocess import Preprocessor, bridge_rows
from rtbci.recording.recording import Recording
from rtbci.types import BoolArray, FloatArray, Gap, TimeArray

BLOCK_ROWS = 5000
"""Rows of a block, at most."""
KEPT_ROWS = 64
"""Times of so many earlier rows are kept: the resampler looks back on fewer."""


@dataclass(frozen=True, slots=True)
class ChannelChange:
    """An electrode is left out, or taken back, behind row ``sample``; ``reason`` as recorded."""

    sample: int
    electrode: int
    reason: str


@dataclass(frozen=True, slots=True)
class Block:
    """Rows in one piece, all behind the same filters' state.

    Attributes
    ----------
    start : int
        Index of the first row.
    raw : ndarray, shape (n, n_electrodes), float32, µV
    times : ndarray, shape (n,), float64
        Seconds of the session's clock.
    broken : bool
        Whether rows are missing in front of the first one, bridged or not.
    begins : bool
        Whether a segment begins with the first row.
    signal : ndarray, shape (m, n_electrodes), float32, µV
        Filtered, at the model's rate; what a bridged gap made is in it.
    signal_times : ndarray, shape (m,), float64
    good : ndarray, shape (n_electrodes,), bool
        Electrodes in use.
    """

    start: int
    raw: FloatArray
    times: TimeArray
    broken: bool
    begins: bool
    signal: FloatArray
    signal_times: TimeArray
    good: BoolArray


def channel_changes(recording: Recording) -> list[ChannelChange]:
    """What was left out and taken back while the session ran, in order."""
    numbers = {name: i for i, name in enumerate(recording.info.electrodes)}
    return [
        ChannelChange(c.sample, numbers[c.values["channel"]], str(c.values["reason"]))
        for c in recording.commands()
        if c.kind == "channel" and c.sample is not None and c.values.get("channel") in numbers
    ]


class _Chain:
    """The filters, and where the rows that come out of them lie in time."""

    def __init__(self, recording: Recording) -> None:
        info, config = recording.info, recording.config.preprocess
        self._filters = Preprocessor(info.rate, len(info.eeg), config, names=info.electrodes)
        self._times: TimeArray = np.zeros(0)
        self._fed = self._made = 0

    def reset(self) -> None:
        self._filters.reset()
        self._times = np.zeros(0)
        self._fed = self._made = 0

    def push(
        self, rows: FloatArray, times: TimeArray, good: BoolArray
    ) -> tuple[FloatArray, TimeArray]:
        signal = self._filters.push(rows, good).signal
        self._fed += len(rows)
        known = np.concatenate([self._times, times])
        position = [self._filters.source_position(self._made + i) for i in range(len(signal))]
        where = np.arange(self._fed - len(known), self._fed)
        self._made += len(signal)
        self._times = known[-KEPT_ROWS:]
        return signal, np.interp(position, where, known) if len(known) else np.zeros(0)


def causal_blocks(recording: Recording, max_rows: int = BLOCK_ROWS) -> Iterator[Block]:
    """Give all rows of a recording with at least one electrode.

    Blocks end at gaps, and where an electrode is left out or taken back.
    """
    columns = np.array(recording.info.eeg, dtype=np.intp)
    chain = _Chain(recording)
    changes = channel_changes(recording)
    good: BoolArray = np.ones(len(columns), dtype=np.bool_)
    last: FloatArray | None = None
    last_time, done = 0.0, 0
    for chunk in recording.chunks(max_rows):
        rows = np.ascontiguousarray(chunk.data[:, columns])
        gaps = {gap.sample - chunk.start: gap for gap in chunk.gaps}
        inside = [c.sample + 1 - chunk.start for c in changes[done:] if c.sample < chunk.stop]
        cuts = sorted({0, len(rows), *gaps, *(c for c in inside if 0 < c < len(rows))})
        for at, stop in itertools.pairwise(cuts):
            while done < len(changes) and changes[done].sample < chunk.start + at:
                good = good.copy()
                good[changes[done].electrode] = not changes[done].reason
                done += 1
            gap, part, times = gaps.get(at), rows[at:stop], chunk.times[at:stop]
            begins = last is None or (gap is not None and not gap.bridged)
            if begins:
                chain.reset()
            bridge = _bridge(gap, last, part[0], last_time, float(times[0]))
            made = [chain.push(*bridge, good)] if bridge is not None and not begins else []
            made.append(chain.push(part, times, good))
            yield Block(
                start=chunk.start + at,
                raw=part,
                times=times,
                broken=gap is not None,
                begins=begins,
                signal=np.concatenate([signal for signal, _ in made]),
                signal_times=np.concatenate([when for _, when in made]),
                good=good,
            )
            last, last_time = part[-1], float(times[-1])


def _bridge(
    gap: Gap | None, last: FloatArray | None, first: FloatArray, before: float, after: float
) -> tuple[FloatArray, TimeArray] | None:
    """Rows and times that the session made up for a short gap; None where there is none."""
    if gap is None or last is None or not gap.bridged or gap.missing <= 0:
        return None
    step = (after - before) / (gap.missing + 1)
    return bridge_rows(last, first, gap.missing), before + step * np.arange(1.0, gap.missing + 1)
