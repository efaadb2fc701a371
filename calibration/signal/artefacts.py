"""Eyes and muscle, flagged at every token: causal, and with nothing that must be calibrated.

    rows, µV -+-> forehead, left less right  -> below 6 Hz  -> reach in 0.4 s      -+-> "eyes"
              +-> rim and rest, left and right -> above 30 Hz -> log power of 0.2 s -+-> "muscle"
                                                                                    |
              median and spread of the last two minutes, made anew every second ----+

Where the stream has no electrode near the eyes, all of its electrodes are read for them.  A reach
or a power is out of the ordinary where it lies so many robust standard deviations above its
running median and is large enough besides.  Whoever blinks or clenches more than half of the time
is ordinary in doing so, and is not flagged.

Where a signal check was recorded, it has shown how far this subject's blinks, looks and clenched
jaw stand out: what lies half-way to them is flagged from the first token on, however much the
running spread would allow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import butter

from rtbci.calibration.signal.learned import Learned
from rtbci.calibration.signal.regression import reference_electrodes
from rtbci.filters import CausalFilter
from rtbci.montage import guess_type
from rtbci.ring import MirrorRing
from rtbci.types import ChannelType, FloatArray

Array64 = npt.NDArray[np.float64]

EYES, MUSCLE = "eyes", "muscle"
MAD_TO_SD = 1.4826
BLOCK_S = 0.1
"""What is judged at once, counted from the segment's first row."""
SETTLED = 5
"""Blocks of a segment after which what was learned is in force: the filters have settled."""
LONG_AGO = 1 << 40
"""Blocks: what has never been seen."""
_FOREHEAD = re.compile(r"Fp(?:\d|z)|AF[78]")


@dataclass(frozen=True)
class ArtefactConfig:
    """When a token is flagged.

    Attributes
    ----------
    eyes_below_hz, muscle_above_hz : float
        Corners of the causal filters (order 4).
    eyes_s, muscle_s : float
        How far back a reach and a power are taken.
    deviations : float
        Robust standard deviations above the running median.
    eyes_uv : float
        A reach below this is none of the eyes'.
    muscle_db : float
        Muscle is at least so far above the median.
    memory_s : float
        Of median and spread.
    eyes_learn_s, muscle_learn_s : float
        What is usual is known from then on.  Reaches wait longer: a segment's first seconds hold
        what the filters make of its beginning.
    first_uv : float
        Reach that is flagged before.
    eyes_hold_s, muscle_hold_s : float
        How long a flag stays after the last block that raised it.  Muscle has the rhythms'
        frequencies, so it counts for as long as it is in the decoder's window; a blink below
        6 Hz does not, and holding it for so long would flag most of a session.
    """

    eyes_below_hz: float = 6.0
    muscle_above_hz: float = 30.0
    eyes_s: float = 0.4
    muscle_s: float = 0.2
    deviations: float = 4.0
    eyes_uv: float = 25.0
    muscle_db: float = 5.0
    memory_s: float = 120.0
    eyes_learn_s: float = 10.0
    muscle_learn_s: float = 5.0
    first_uv: float = 100.0
    eyes_hold_s: float = 0.3
    muscle_hold_s: float = 2.0


@dataclass
class ArtefactState:
    """What :class:`ArtefactMonitor` carries from row to row, its filters' delays apart.

    Attributes
    ----------
    filled : int
        Rows of the block that is not complete yet.
    blocks : int
        Complete blocks of the segment.
    limits : ndarray, shape (n_features,)
        Above which a feature is flagged.
    since : ndarray, shape (n_features,)
        Blocks since each was above.
    """

    filled: int
    blocks: int
    limits: Array64
    since: npt.NDArray[np.int64]


class ArtefactMonitor:
    """Flags eye movements and muscle in the preprocessed signal.

    Parameters
    ----------
    electrodes : sequence of str
        Columns of the stream; at least one.
    rate : float
        Of the preprocessed signal, Hz.
    config : ArtefactConfig
    learned : Learned | None
        What a signal check showed.

    Attributes
    ----------
    features : tuple of str
        What is judged, and of which electrodes it is made.
    """

    def __init__(
        self,
        electrodes: Sequence[str],
        rate: float,
        config: ArtefactConfig = ArtefactConfig(),
        learned: Learned | None = None,
    ) -> None:
        self.config = config
        eyes, muscle = _eye_channels(electrodes), _muscle_groups(electrodes)
        if learned is not None and learned.muscle and set(learned.muscle) <= set(electrodes):
            muscle.append(np.flatnonzero(np.isin(electrodes, learned.muscle)))
        self.features = (
            *(f"{EYES}: {_named(electrodes, weights)}" for weights in eyes),
            *(f"{MUSCLE}: {' '.join(electrodes[i] for i in group)}" for group in muscle),
        )
        self._caps = np.full(len(self.features), np.inf)
        if learned is not None:
            self._caps = learned.caps(self.features)
        self._eyes = np.stack(eyes, axis=1)
        self._members = muscle
        low, high = config.eyes_below_hz, min(config.muscle_above_hz, 0.4 * rate)
        self._low = CausalFilter(butter(4, low, "lowpass", fs=rate, output="sos"), len(eyes))
        self._used = np.unique(np.concatenate(muscle))
        self._high = CausalFilter(
            butter(4, high, "highpass", fs=rate, output="sos"), len(self._used)
        )
        self._n_block = max(1, round(BLOCK_S * rate))
        self._n_eyes = len(eyes)
        self._per_second = max(1, round(1.0 / BLOCK_S))
        n = len(eyes) + len(muscle)
        seconds = np.repeat([config.eyes_learn_s, config.muscle_learn_s], [len(eyes), len(muscle)])
        self._learned = np.round(seconds / BLOCK_S)
        self._block = np.zeros((self._n_block, len(eyes) + len(self._used)))
        # Of each block: highest and lowest of the eyes' channels, mean square of the others.
        short = max(1, round(max(config.eyes_s, config.muscle_s) / BLOCK_S))
        self._recent = MirrorRing(short, 2 * len(eyes) + len(self._used), dtype=np.float64)
        self._past = MirrorRing(round(config.memory_s / BLOCK_S), n, dtype=np.float64)
        self.state = ArtefactState(0, 0, np.zeros(n), np.zeros(n, dtype=np.int64))
        self.reset()

    def reset(self) -> None:
        """Begin a segment: nothing is known."""
        for part in (self._low, self._high, self._recent, self._past):
            part.reset()
        n = len(self.state.limits)
        first = np.where(np.arange(n) < self._n_eyes, self.config.first_uv, np.inf)
        self.state = ArtefactState(0, 0, first, np.full(n, LONG_AGO))

    def push(self, block: FloatArray) -> None:
        """Take preprocessed rows, shape (n_times, n_electrodes of the stream), float32, µV."""
        rows, state, at = block.astype(np.float64), self.state, 0
        low = self._low.push(_project(rows, self._eyes))
        high = self._high.push(np.ascontiguousarray(rows[:, self._used]))
        both = np.hstack([low, high])
        while at < len(both):
            stop = min(len(both), at + self._n_block - state.filled)
            self._block[state.filled : state.filled + stop - at] = both[at:stop]
            state.filled += stop - at
            at = stop
            if state.filled == self._n_block:
                self._judge()

    def flags(self) -> tuple[str, ...]:
        """What disturbs the newest token: ``eyes``, ``muscle``, both or nothing."""
        config, since = self.config, self.state.since * BLOCK_S
        eyes = (since[: self._n_eyes] <= config.eyes_hold_s + BLOCK_S / 2).any()
        muscle = (since[self._n_eyes :] <= config.muscle_hold_s + BLOCK_S / 2).any()
        return tuple(name for name, on in ((EYES, eyes), (MUSCLE, muscle)) if on)

    def _judge(self) -> None:
        """Compare the block that is complete with what is usual, then learn from it."""
        state, n = self.state, self._n_eyes
        state.filled = 0
        state.blocks += 1
        eyes, high = self._block[:, :n], self._block[:, n:]
        row = np.concatenate([eyes.max(axis=0), eyes.min(axis=0), np.mean(high**2, axis=0)])
        self._recent.write(row[np.newaxis])
        features = self.measure()
        state.since = np.where(features > state.limits, 0, state.since + 1)
        self._past.write(features[np.newaxis])
        if state.blocks == SETTLED:
            state.limits = np.minimum(state.limits, self._caps)
        if state.blocks % self._per_second == 0:
            state.limits = np.where(state.blocks >= self._learned, self._usual(), state.limits)

    def _usual(self) -> Array64:
        """Limits from the past, shape (n_features,)."""
        config, n = self.config, self._n_eyes
        past = self._past.view(self._past.size)
        median = np.median(past, axis=0)
        spread = MAD_TO_SD * np.median(np.abs(past - median), axis=0)
        limits = median + config.deviations * spread
        limits[:n] = np.maximum(limits[:n], config.eyes_uv)
        limits[n:] = np.maximum(limits[n:], median[n:] + config.muscle_db)
        # NB: a signal that has become noisier than what was learned must not be flagged for ever.
        capped = np.where(median < self._caps, np.minimum(limits, self._caps), limits)
        return np.asarray(capped)

    def measure(self) -> Array64:
        """Reach of the eyes' channels in µV, power of the muscles' in dB, of the newest blocks."""
        config, n = self.config, self._n_eyes
        near = self._recent.view(min(self._recent.size, round(config.eyes_s / BLOCK_S)))
        reach = near[:, :n].max(axis=0) - near[:, n : 2 * n].min(axis=0)
        near = self._recent.view(min(self._recent.size, round(config.muscle_s / BLOCK_S)))
        power = 10 * np.log10(near[:, 2 * n :].mean(axis=0) + 1e-6)
        place = {c: i for i, c in enumerate(self._used.tolist())}
        muscle = [np.mean([power[place[c]] for c in group]) for group in self._members]
        return np.concatenate([reach, muscle])


def monitor_for(
    electrodes: Sequence[str],
    rate: float,
    window_s: float = 2.0,
    learned: Learned | None = None,
) -> ArtefactMonitor | None:
    """Make a monitor of a stream for a decoder's window; None where there is no electrode."""
    if not electrodes:
        return None
    return ArtefactMonitor(electrodes, rate, ArtefactConfig(muscle_hold_s=window_s), learned)


def _project(rows: Array64, weights: Array64) -> Array64:
    """Weighted sums of columns, rounded alike however many rows there are."""
    out = np.zeros((len(rows), weights.shape[1]))
    for column in np.flatnonzero(np.any(weights != 0, axis=1)):
        out += rows[:, column, np.newaxis] * weights[column]
    return out


def _named(electrodes: Sequence[str], weights: Array64) -> str:
    """Electrodes of a weighted sum, those that are taken off behind a word."""
    plus, minus = (
        " ".join(e for e, w in zip(electrodes, s * weights, strict=True) if w > 0) for s in (1, -1)
    )
    return f"{plus} less {minus}" if minus else plus


def _eye_channels(electrodes: Sequence[str]) -> list[Array64]:
    """Weights of the channels that show the eyes: EOG, forehead, and left less right."""
    names = list(electrodes)
    near = [c for c in reference_electrodes(names) if guess_type(c) is ChannelType.EEG] or names
    forehead = [c for c in near if _FOREHEAD.fullmatch(c)] or near
    left, right = _sides(near)
    made = [_mean(names, [c]) for c in names if guess_type(c) is ChannelType.EOG]
    made.append(_mean(names, forehead))
    if left and right:
        made.append(_mean(names, left) - _mean(names, right))
    return made


def _muscle_groups(electrodes: Sequence[str]) -> list[npt.NDArray[np.intp]]:
    """Columns of the groups that show muscle: EMG channels, the rim's and the other electrodes."""
    names = list(electrodes)
    eeg = [c for c in names if guess_type(c) is ChannelType.EEG]
    rim = [c for c in reference_electrodes(names) if c in eeg]
    rest = [c for c in eeg if c not in rim]
    groups = [[c] for c in names if guess_type(c) is ChannelType.EMG]
    for part in (rim, rest):
        sides = [side for side in _sides(part) if side]
        groups += sides or [part] * bool(part)
    return [np.array([names.index(c) for c in g], dtype=np.intp) for g in groups or [names]]


def _sides(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Electrodes on the left and on the right: odd and even numbers in 10-20 names."""
    numbers = {c: re.fullmatch(r"[A-Za-z]+?(\d+)h?", c) for c in names}
    odd = [c for c in names if (m := numbers[c]) and int(m[1]) % 2]
    even = [c for c in names if (m := numbers[c]) and not int(m[1]) % 2]
    return odd, even


def _mean(names: Sequence[str], chosen: Sequence[str]) -> Array64:
    return np.array([(name in chosen) / len(chosen) for name in names])
