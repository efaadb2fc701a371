"""When the light of a cue came, read from a photodiode in a recording's auxiliary channels.

    onsets as written ---> rows around each ---> dark before, lit at its end: which channel follows?
                                             +-> half way between them: the edge, between two rows

The time of an edge is that of the recording: what the board's link adds is in it, as it is in the
signal of the electrodes, so that a difference to the written onset is what epochs are off by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.apps.texts import t
from rtbci.types import Channel, ChannelType

FloatArray = npt.NDArray[np.float64]

BEFORE_S = 0.15
"""So long before the written onset the patch is taken to be dark."""
EARLIEST_S = 0.1
"""Edges are looked for so long before the written onset, too: a board's times may be off."""
SETTLED = 0.6
"""Share of a cue after which the patch is taken to be lit."""
STEP_NOISE = 5.0
"""Least step, in standard deviations of the rows while nothing changes."""
STEP_SPREAD = 0.5
"""A cue's step is one where it is off the median step by less than this share."""
LEAST_SEEN = 0.8
"""A channel follows the patch where this share of the cues has such a step."""
ROOT_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
BINS, BAR = 12, 40
"""Most rows of the histogram, and its longest bar."""


@dataclass(frozen=True)
class LightTiming:
    """What a photodiode has seen of cues.

    Attributes
    ----------
    channel : str
        The one that the photodiode is on.
    cues : int
        Whose onsets were written.
    rate : float
        Of the recording, Hz.
    frame_s : float
        Of the screen.
    delay_s : ndarray, shape (n_seen,)
        Edge minus written onset, of the cues whose edge was found.
    """

    channel: str
    cues: int
    rate: float
    frame_s: float
    delay_s: FloatArray

    @property
    def spread_s(self) -> float:
        """From the 5th to the 95th percentile."""
        low, high = np.quantile(self.delay_s, [0.05, 0.95])
        return float(high - low)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        shares = {"p05": 0.05, "p50": 0.5, "p95": 0.95, "smallest": 0.0, "largest": 1.0}
        values = np.quantile(self.delay_s, list(shares.values()))
        return {
            "event": "timing",
            "channel": self.channel,
            "cues": self.cues,
            "seen": len(self.delay_s),
            "rate": self.rate,
            "frame_ms": round(1000 * self.frame_s, 3),
            "delay_ms": {k: round(1000 * float(v), 2) for k, v in zip(shares, values, strict=True)},
            "delays_ms": [round(1000 * float(v), 2) for v in self.delay_s],
        }

    def lines(self) -> list[str]:
        """For people."""
        told = self.to_dict()
        row_ms = 1000 / self.rate
        return [
            t("timing.seen", row_ms=row_ms, **{k: told[k] for k in ("seen", "cues", "channel")}),
            t("timing.delay", **told["delay_ms"]),
            "",
            *_histogram(1000 * self.delay_s, row_ms),
            "",
            self.verdict(),
        ]

    def verdict(self) -> str:
        """Say in a sentence what it means for epochs."""
        median, spread = float(np.median(self.delay_s)), self.spread_s
        values = {
            "median": 1000 * abs(median),
            "spread": 1000 * spread,
            "frame": 1000 * self.frame_s,
        }
        # Two rows beside the frame: an edge lies between rows, and so does its board's clock.
        steady = spread <= self.frame_s + 2 / self.rate
        if not steady:
            return t("timing.scattered", **values)
        return t("timing.early" if median < -1 / self.rate else "timing.steady", **values)


def candidates(channels: Sequence[Channel]) -> list[int]:
    """Columns that a photodiode may be on: auxiliary inputs, no electrodes and no motion."""
    kinds = (ChannelType.MISC, ChannelType.TRIG)
    return [i for i, c in enumerate(channels) if c.type in kinds]


def find_light(
    times: FloatArray,
    rows: FloatArray,
    onsets: FloatArray,
    lit_s: float,
    rate: float,
) -> tuple[int, FloatArray] | None:
    """Find the column that follows the patch, and its edges.

    Parameters
    ----------
    times : ndarray, shape (n_times,), seconds
    rows : ndarray, shape (n_times, n_columns)
        In whatever units; light may raise or lower the values.
    onsets : ndarray, shape (n_cues,), seconds
        As written.
    lit_s : float
        How long the patch is white.
    rate : float
        Hz.

    Returns
    -------
    found : (int, ndarray of shape (n_cues,)) | None
        Column, and each edge minus its onset in seconds, NaN where it was not found.  None where
        no column follows the patch.
    """
    best: tuple[int, float, int] | None = None
    for column in range(rows.shape[1]):
        levels = _levels(times, rows[:, column], onsets, lit_s)
        size = float(np.nanmedian(levels.step)) if np.any(np.isfinite(levels.step)) else 0.0
        if size == 0.0 or abs(size) < STEP_NOISE * levels.noise:
            continue
        seen = int(np.sum(np.abs(levels.step - size) < STEP_SPREAD * abs(size)))
        clear = abs(size) / max(levels.noise, 1e-3 * abs(size))
        if seen >= LEAST_SEEN * len(onsets) and (best is None or (seen, clear) > best[:2]):
            best = (seen, clear, column)
    if best is None:
        return None
    column = best[2]
    levels = _levels(times, rows[:, column], onsets, lit_s)
    size = float(np.nanmedian(levels.step))
    delays = np.full(len(onsets), np.nan)
    for i, onset in enumerate(onsets):
        if abs(levels.step[i] - size) < STEP_SPREAD * abs(size):
            half = levels.dark[i] + levels.step[i] / 2
            delays[i] = _edge(times, (rows[:, column] - half) * np.sign(size), onset, lit_s, rate)
    return column, delays


@dataclass(frozen=True)
class _Levels:
    """Of one column: dark level and step of each cue, and the noise while nothing changes."""

    dark: FloatArray
    step: FloatArray
    noise: float


def _levels(times: FloatArray, values: FloatArray, onsets: FloatArray, lit_s: float) -> _Levels:
    dark, step, rest = np.full((2, len(onsets)), np.nan), np.full(len(onsets), np.nan), []
    for i, onset in enumerate(onsets):
        spans = ((onset - BEFORE_S, onset), (onset + SETTLED * lit_s, onset + lit_s))
        for j, (start, stop) in enumerate(spans):
            a, b = np.searchsorted(times, [start, stop])
            if b > a:
                dark[j, i] = np.median(values[a:b])
                rest.append(values[a:b] - dark[j, i])
        step[i] = dark[1, i] - dark[0, i]
    noise = ROOT_MAD * float(np.median(np.abs(np.concatenate(rest)))) if rest else 0.0
    return _Levels(dark[0], step, noise)


def _edge(times: FloatArray, above: FloatArray, onset: float, lit_s: float, rate: float) -> float:
    """Time from an onset to where a signal crosses 0 upwards, between two rows; NaN if nowhere."""
    start, stop = np.searchsorted(times, [onset - EARLIEST_S, onset + lit_s])
    lit = np.flatnonzero(above[start:stop] >= 0)
    if len(lit) == 0 or lit[0] == 0:
        return float("nan")
    after = int(start + lit[0])
    before = after - 1
    if times[after] - times[before] > 1.5 / rate:  # rows are missing just there
        return float("nan")
    share = -above[before] / (above[after] - above[before])
    return float(times[before] + share * (times[after] - times[before]) - onset)


def _histogram(values_ms: FloatArray, row_ms: float) -> list[str]:
    """Draw bars of text, one a bin."""
    low, high = float(np.min(values_ms)), float(np.max(values_ms))
    width = max(1.0, np.ceil(max(high - low, row_ms) / BINS))
    first = np.floor(low / width) * width
    n = int((high - first) // width) + 1
    counts, edges = np.histogram(values_ms, bins=first + width * np.arange(n + 1))
    most = int(np.max(counts))
    return [
        f"{edges[i]:7.0f} … {edges[i + 1]:<5.0f} {'█' * round(BAR * count / most):<{BAR}} {count}"
        for i, count in enumerate(counts.tolist())
    ]
