"""Gaps of a recording: short ones are bridged, longer ones part it, as in a live session."""

from __future__ import annotations

import numpy as np

from rtbci.config import TimelineConfig
from rtbci.exact import ExactTimes
from rtbci.models.pretrain.corpus.recordings import BLOCK_ROWS
from rtbci.sources.formats.common import Opened
from rtbci.types import Gap, RawChunk


def decided(gaps: list[Gap], n_rows: int) -> tuple[list[int], dict[int, int]]:
    """Edges and bridges as they were decided while it was recorded."""
    edges = [gap.sample for gap in gaps if not gap.bridged and gap.sample > 0]
    return [0, *edges, n_rows], {gap.sample: gap.missing for gap in gaps if gap.bridged}


def found(opened: Opened) -> tuple[list[int], dict[int, int]]:
    """Edges of the stretches between gaps, and rows to bridge before a row, as live."""
    info, longest = opened.info, round(TimelineConfig().bridge_s * opened.info.rate)
    exact = ExactTimes(info)
    edges, bridges = [0], {}
    for start in range(0, opened.n_rows, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, opened.n_rows)
        times = np.arange(start, stop) / info.rate
        if opened.times is not None:
            times = opened.times[start:stop]
        _, missing = exact.push(
            RawChunk(
                np.zeros((stop - start, 0), np.float32),
                times,
                received=0.0,
                counters=None if opened.counters is None else opened.counters[start:stop],
                breaks=tuple(b - start for b in opened.breaks if start <= b < stop),
            )
        )
        for gap in missing:
            if 1 <= gap.rows <= longest:
                bridges[start + gap.before] = gap.rows
            else:
                edges.append(start + gap.before)
    return [*edges, opened.n_rows], bridges
