"""What a signal check shows at each electrode: alpha, blinks, looking aside, jaw, contact.

Everything here is found without the electrodes' names: the moment of a blink or of a look is where
all electrodes together move most, so that swapped electrodes come out swapped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.signal import butter, sosfiltfilt, welch

from rtbci.calibration.signal.check_data import CheckData, Stretch
from rtbci.types import BoolArray

Array64 = npt.NDArray[np.float64]

MARGIN_S = 1.5
"""Left out at the beginning of a part: the time to react, and what the filters make of it."""
PIECE_S = 2.0
"""Alpha is compared between pieces of this length."""
ALPHA_HZ = (8.0, 13.0)
EYES_BELOW_HZ = 10.0
BLINK_S = 0.25
"""A blink is over so long after its peak."""
SEEN_SD = 5.0
"""Robust standard deviations of the quiet signal that a blink is higher than."""
JAW_ABOVE_HZ = 25.0
LATEST_S = 1.5
"""Whatever was asked has begun so long after its prompt."""
STEP_S = 0.2
"""Means of this length before and after a look are compared."""
REACTION_S = 0.6
MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class Measure:
    """One quantity at each electrode.

    Attributes
    ----------
    values, errors : ndarray, shape (n_electrodes,)
        Median over the events and its standard error.  Alpha: logarithm of power, closed less
        open; blinks and looks: µV; jaw: dB.
    n : int
        Events (of alpha: pieces of the smaller part) that it rests on.
    asked : int
        Prompts that there were.
    """

    values: Array64
    errors: Array64
    n: int
    asked: int


@dataclass(frozen=True)
class Contact:
    """How good an electrode's signal was, without regard to what she did.

    Attributes
    ----------
    bad_share : float
        Share of the check in which the session's health watch left it out.
    reason : str
        What it said most often; empty where nothing.
    rms_uv : float
        Robust standard deviation of the quiet part, after the causal chain, µV.
    mains_uv : float
        Effective value of what lies at the mains frequency, µV.
    mains_hz : float
    """

    bad_share: float
    reason: str
    rms_uv: float
    mains_uv: float
    mains_hz: float


def alpha(data: CheckData) -> Measure | None:
    """How far alpha rises when the eyes close; None where one of the parts is missing."""
    closed, opened = (_alpha_power(data, label) for label in ("eyes_closed", "eyes_open"))
    if min(len(closed), len(opened)) < 3:
        return None
    values = closed.mean(axis=0) - opened.mean(axis=0)
    errors = np.sqrt(
        closed.var(axis=0, ddof=1) / len(closed) + opened.var(axis=0, ddof=1) / len(opened)
    )
    return Measure(values, errors, min(len(closed), len(opened)), len(data.parts))


def _alpha_power(data: CheckData, label: str) -> Array64:
    """Log of alpha's power in each piece of a part, shape (n_pieces, n_electrodes)."""
    found = []
    for part in data.part(label):
        start = part.start + MARGIN_S
        while start + PIECE_S <= part.stop:
            rows = data.rows(start, start + PIECE_S)
            start += PIECE_S
            if rows is None:
                continue
            hz, power = welch(data.clean[rows], data.rate, nperseg=round(data.rate), axis=0)
            inside = (hz >= ALPHA_HZ[0]) & (hz <= ALPHA_HZ[1])
            found.append(np.log(power[inside].mean(axis=0) + 1e-9))
    return np.array(found).reshape(-1, len(data.electrodes))


def blinks(data: CheckData, usable: BoolArray) -> Measure | None:
    """Height of a blink at each electrode; None where none was asked for.

    A height is what stands out for a fifth of a second over what lies before and after.  A prompt
    counts as followed where the electrodes' common height leaves the ordinary.
    """
    asked = data.asked("blink")
    height = _contrast(_slow_raw(data), data.raw_rate)
    windows = [
        height[rows] for p in asked if (rows := _raw_rows(data, p.start, p.start + LATEST_S))
    ]
    if not windows or not usable.any():
        return None
    joined = np.concatenate(windows)[:, usable]
    along = np.linalg.svd(joined, full_matrices=False)[2][0]
    quiet = [
        height[rows][:, usable] @ along
        for p in data.part("eyes_open") or data.parts
        if (rows := _raw_rows(data, p.start + MARGIN_S, p.stop))
    ]
    spread = MAD_TO_SD * np.median(np.abs(np.concatenate(quiet))) if quiet else 0.0
    heights = []
    for window in windows:
        course = window[:, usable] @ along
        peak = int(np.argmax(np.abs(course)))
        if abs(course[peak]) > SEEN_SD * spread:
            heights.append(window[peak])
    return _measure(heights, len(asked), len(data.electrodes))


def looks(data: CheckData) -> Measure | None:
    """Step at each electrode when the eyes go to her left; None where that was not asked for.

    Steps to the right count with the opposite sign, so that what comes at every prompt alike, as
    a blink does, is no look.
    """
    steps = _directions(data)
    low = _slow_raw(data)
    n_step = round(STEP_S * data.raw_rate)
    courses, signs = [], []
    for prompt, sign in steps:
        rows = _raw_rows(data, prompt.start - STEP_S, prompt.start + LATEST_S)
        if rows is not None:
            means = _moving_mean(low[rows], n_step)
            courses.append(sign * (means[n_step:] - means[:-n_step]))
            signs.append(sign)
    if not {1.0, -1.0} <= set(signs):
        return None
    length = min(map(len, courses))
    stacked = np.array([course[:length] for course in courses])
    sides = [stacked[np.array(signs) == s].mean(axis=0) for s in (1.0, -1.0)]
    at = int(np.argmax(np.linalg.norm(sides[0] + sides[1], axis=1)))
    return _measure(list(stacked[:, at]), len(steps), len(data.electrodes))


def _slow_raw(data: CheckData) -> Array64:
    """The raw signal below 10 Hz.

    NB: not what a decoder gets: the causal high-pass turns a step into bumps of both signs.
    """
    sos = butter(4, EYES_BELOW_HZ, "lowpass", fs=data.raw_rate, output="sos")
    return np.asarray(sosfiltfilt(sos, np.nan_to_num(data.raw.astype(np.float64)), axis=0))


def _raw_rows(data: CheckData, start: float, stop: float) -> slice | None:
    """Rows of ``raw`` from ``start`` to ``stop``; None where they are not all there."""
    if data.rows(start, stop) is None:
        return None
    first, last = np.searchsorted(data.raw_times, (start, stop))
    return slice(int(first), int(last)) if last > first else None


def _moving_mean(rows: Array64, n: int) -> Array64:
    """Means of ``n`` rows, shape (n_rows - n + 1, n_columns)."""
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    return np.asarray((sums[n:] - sums[:-n]) / n)


def _contrast(rows: Array64, rate: float) -> Array64:
    """How far each row stands out over those ``BLINK_S`` before and after, same shape."""
    means = _moving_mean(rows, max(1, round(0.06 * rate)))
    apart = round(BLINK_S * rate)
    out = np.zeros_like(rows)
    edge = (len(rows) - len(means)) // 2
    middle = slice(apart + edge, apart + edge + len(means) - 2 * apart)
    out[middle] = means[apart:-apart] - (means[: -2 * apart] + means[2 * apart :]) / 2
    return out


def _directions(data: CheckData) -> list[tuple[Stretch, float]]:
    """Prompts after which the eyes move, with 1 for her left and -1 for her right."""
    found: list[tuple[Stretch, float]] = []
    gaze = 0.0
    where = {"look_left": 1.0, "look_right": -1.0, "look_centre": 0.0}
    for prompt in data.asked(*where):
        to = where[prompt.label]
        if to != gaze:
            found.append((prompt, np.sign(to - gaze)))
        gaze = to
    return found


def jaw(data: CheckData) -> Measure | None:
    """Power above 25 Hz while the jaw is clenched, over that when it is not, dB."""
    high = data.filtered(JAW_ABOVE_HZ, None) ** 2

    def power(label: str) -> Array64:
        found = []
        for prompt in data.asked(label):
            rows = data.rows(prompt.start + REACTION_S, prompt.stop)
            if rows is not None:
                found.append(10 * np.log10(high[rows].mean(axis=0) + 1e-9))
        return np.array(found).reshape(-1, len(data.electrodes))

    on, off = power("clench"), power("release")
    if not len(on) or not len(off):
        return None
    return _measure(list(on - np.median(off, axis=0)), len(data.asked("clench")), on.shape[1])


def contacts(data: CheckData) -> tuple[Contact, ...]:
    """How good each electrode's signal was during the check."""
    start = min(p.start for p in data.parts)
    stop = max(p.stop for p in data.parts)
    inside = (data.good_times >= start) & (data.good_times <= stop)
    share = 1.0 - data.good[inside].mean(axis=0) if inside.any() else np.zeros(len(data.electrodes))
    quiet = _quiet(data, data.clean)
    rms = MAD_TO_SD * np.median(np.abs(quiet - np.median(quiet, axis=0)), axis=0)
    raw = data.raw[(data.raw_times >= start) & (data.raw_times <= stop)]
    mains_hz, mains = _mains(raw, data.raw_rate)
    made = []
    for i, name in enumerate(data.electrodes):
        said = [h.reason for h in data.health if h.channel == name and h.reason]
        kinds = [reason.split(":")[0] for reason in said]
        reason = said[-1 - kinds[::-1].index(max(kinds, key=kinds.count))] if said else ""
        made.append(Contact(float(share[i]), reason, float(rms[i]), float(mains[i]), mains_hz))
    return tuple(made)


def _mains(raw: npt.NDArray[np.float32], rate: float) -> tuple[float, Array64]:
    """Mains frequency, and the effective value there at each electrode."""
    n = raw.shape[1]
    if len(raw) < 2 * rate:
        return 50.0, np.zeros(n)
    finite = np.nan_to_num(raw.astype(np.float64))
    hz, power = welch(finite, rate, nperseg=round(2 * rate), axis=0, detrend="linear")
    found = {}
    for mains in (50.0, 60.0):
        near, around = (
            np.abs(hz - mains) <= 1.0,
            (np.abs(hz - mains) > 1.5) & (np.abs(hz - mains) < 5),
        )
        if mains + 1.0 < rate / 2 and around.any():
            floor = np.median(power[around], axis=0)
            over = np.clip(power[near] - floor, 0.0, None).sum(axis=0) * (hz[1] - hz[0])
            found[mains] = np.sqrt(over)
    if not found:
        return 50.0, np.zeros(n)
    best = max(found, key=lambda f: float(np.median(found[f])))
    return best, found[best]


def _quiet(data: CheckData, signal: npt.NDArray[np.floating]) -> Array64:
    """Rows of the part with open eyes; of the whole check where there was none."""
    for parts in (data.part("eyes_open"), data.parts):
        rows = [r for p in parts if (r := data.rows(p.start + MARGIN_S, p.stop))]
        if rows:
            return np.concatenate([signal[r] for r in rows]).astype(np.float64)
    return np.zeros((1, len(data.electrodes)))


def _measure(found: list[Array64], asked: int, n_electrodes: int) -> Measure:
    """Median over events, and its standard error from the median deviation."""
    if not found:
        return Measure(np.zeros(n_electrodes), np.full(n_electrodes, np.inf), 0, asked)
    each = np.array(found)
    values = np.median(each, axis=0)
    spread = MAD_TO_SD * np.median(np.abs(each - values), axis=0)
    # 1.25: a median is so much less certain than a mean (of normal values).
    errors = (
        1.2533 * spread / np.sqrt(len(each)) if len(each) > 2 else np.full(n_electrodes, np.inf)
    )
    return Measure(values, np.asarray(errors), len(each), asked)


def interval(measure: Measure, weights: Array64, looked: int = 1) -> tuple[float, float, float]:
    """A weighted sum over electrodes with its 95 % interval.

    Electrodes move together, so their errors are added, not their squares.

    Parameters
    ----------
    looked : int
        The highest of so many instants was taken, and the interval allows for it (Bonferroni).
    """
    value = float(measure.values @ weights)
    t = float(stats.t.ppf(1.0 - 0.025 / looked, max(1, measure.n - 1)))
    reach = t * float(np.abs(weights) @ np.where(weights != 0, measure.errors, 0.0))
    return value, value - reach, value + reach
