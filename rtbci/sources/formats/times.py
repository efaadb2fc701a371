"""Times of rows from what recordings have: package counters, or jittered time stamps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rtbci.types import IndexArray, TimeArray

_USUAL_RATES = (
    *(100.0, 125.0, 128.0, 160.0, 200.0, 220.0, 240.0, 250.0, 256.0, 300.0, 400.0, 500.0, 512.0),
    *(600.0, 1000.0, 1024.0, 1200.0, 2000.0, 2048.0, 2400.0, 4000.0, 4096.0, 5000.0),
)
_BREAK_S = 1.0
_LEAD_S = 5.0


def even_times(stamps: npt.NDArray[np.float64]) -> tuple[TimeArray, float, tuple[int, ...]]:
    """Turn jittered time stamps into even ones, segment by segment.

    A segment ends where stamps jump ahead by more than a second or run backwards by as much;
    in it, times are the straight line through the stamps (least squares).  After a backward
    jump the clock was set, so what follows is joined on without a pause.

    Parameters
    ----------
    stamps : ndarray, shape (n_times,)
        Seconds.

    Returns
    -------
    times : ndarray, shape (n_times,)
        Seconds from row 0, strictly increasing.
    rate : float
        Rows a second, over all segments.
    breaks : tuple of int
        First rows of all segments but the first.

    Raises
    ------
    ValueError
        Where the stamps don't move ahead, so that there is no rate, or one is no number.
    """
    missing = np.flatnonzero(~np.isfinite(stamps))
    if len(missing):
        raise ValueError(f"its time stamp of row {missing[0]} is {stamps[missing[0]]}")
    steps = np.diff(stamps)
    long = max(_BREAK_S, 3.0 * float(np.median(steps))) if len(steps) else _BREAK_S
    breaks = tuple((np.flatnonzero((steps > long) | (steps < -_BREAK_S)) + 1).tolist())
    edges = [0, *breaks, len(stamps)]
    spans = list(pairwise(edges))
    rows_in = sum(b - a - 1 for a, b in spans)
    span_s = sum(float(stamps[b - 1] - stamps[a]) for a, b in spans)
    if rows_in <= 0 or span_s <= 0:
        raise ValueError("its time stamps don't move ahead")
    rate = rows_in / span_s
    times = np.empty(len(stamps))
    end = -np.inf
    for a, b in spans:
        row = np.arange(b - a) - (b - a - 1) / 2
        slope = float(row @ stamps[a:b]) / float(row @ row) if b - a > 2 else 1 / rate
        if not 0.5 < slope * rate < 2.0:
            slope = 1 / rate
        line = float(stamps[a:b].mean()) + slope * row
        times[a:b] = line + max(0.0, end + 1 / rate - line[0])
        end = float(times[b - 1])
    return times - times[0], rate, breaks


def counted_times(
    counters: IndexArray,
    stamps: npt.NDArray[np.float64] | None,
    rate: float,
    step: int,
    modulus: int,
) -> TimeArray:
    """Give rows even times by their package counter, leaving room for those that were lost.

    Parameters
    ----------
    counters : ndarray, shape (n_times,)
        As they came, modulo and all.
    stamps : ndarray, shape (n_times,) | None
        Receive times in seconds; they tell losses of a whole modulus or more, which the
        counter can't: after such a loss, stamps stay ahead, after a mere delay they don't.
    rate : float
        Hz.
    step, modulus : int
        By how much the counter grows from row to row, and where it wraps.

    Returns
    -------
    times : ndarray, shape (n_times,)
        Seconds from row 0, strictly increasing.
    """
    ahead = np.maximum(1, np.diff(counters, prepend=counters[:1] - step) % modulus // step)
    ahead[0] = 0
    times = np.cumsum(ahead) / rate
    if stamps is None:
        return times
    wrap_s = modulus / step / rate
    lead = stamps - stamps[0] - times
    width = round(_LEAD_S * rate)
    for i in np.flatnonzero(np.diff(stamps, prepend=stamps[0]) > 0.5 * wrap_s):
        before, after = lead[max(0, i - width) : i].min(), lead[i : i + width].min()
        wraps = round(float(after - before) / wrap_s)
        if wraps > 0:
            times[i:] += wraps * wrap_s
            lead[i:] -= wraps * wrap_s
    return times


def counter_step(counters: IndexArray, modulus: int) -> int:
    """Tell by how much a counter usually grows; 0 where it tells nothing of lost rows."""
    steps = np.diff(counters) % modulus
    if not len(steps):
        return 0
    step = int(np.bincount(steps).argmax())
    return step if step and np.mean(steps == step) > 0.5 else 0


def nominal_rate(rate: float) -> float:
    """Take a measured rate for the usual one that was meant, where one lies within 1 %."""
    usual = min(_USUAL_RATES, key=lambda r: abs(rate / r - 1))
    return usual if abs(rate / usual - 1) < 0.01 else rate
