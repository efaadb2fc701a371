"""A decoder in a stream of cued trials whose covariances say what was imagined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from rtbci.calibration.online.adaptation import Referenced
from rtbci.calibration.online.config import OnlineConfig
from rtbci.calibration.online.decoder import AdaptiveDecoder
from rtbci.calibration.online.idle import Idle
from rtbci.calibration.signal.streaming import CausalView, StreamingDecoder, ViewConfig, as_trial
from rtbci.config import SessionConfig
from rtbci.tick import Answer, Moment
from rtbci.types import FloatArray, Marker

HANDS = ("left_hand", "right_hand")
NAMES = ("C3", "Cz", "C4")
RATE, HOP = 250, 25
VIEW = ViewConfig(bands_hz=((8.0, 13.0), (16.0, 28.0)), window_s=1.0, regress="none")
SESSION = SessionConfig()
EVERY_S, CUE_S = 4.0, 0.3
"""Of each trial, and when in it the cue comes; 3.5 s of imagery follow."""

Mixing = npt.NDArray[np.float64]


def imagery(
    states: Sequence[int], seed: int, *, depth: float = 0.5, mixing: Mixing | None = None
) -> FloatArray:
    """Noise of 10 µV, less of it at C4 (left hand, 0) or C3 (right hand, 1); -1 is rest.

    Parameters
    ----------
    states : sequence of int
        One for each stretch of 4 s.
    depth : float
        Share of the amplitude that goes away.
    mixing : ndarray, shape (3, 3)
        What another cap makes of it: ``x @ mixing.T``.
    """
    rng = np.random.default_rng(seed)
    n = round(EVERY_S * RATE)
    x = 10.0 * rng.standard_normal((n * len(states), len(NAMES)))
    for k, state in enumerate(states):
        if state >= 0:
            begin = round((EVERY_S * k + CUE_S + 0.2) * RATE)
            x[begin : n * (k + 1), 2 if state == 0 else 0] *= 1 - depth
    if mixing is not None:
        x = x @ mixing.T
    return x.astype(np.float32)


class LogPower:
    """Logistic regression on the logarithms of the channels' powers; quick to ask."""

    def __init__(self) -> None:
        self.regression = LogisticRegression()
        self.classes_ = np.arange(2)

    def fit(self, x: npt.NDArray[np.float32], y: npt.NDArray[np.int64]) -> LogPower:
        self.regression.fit(np.log(x.var(axis=2)), y)
        return self

    def predict_proba(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        z = np.log(x.var(axis=2)) @ self.regression.coef_[0] + self.regression.intercept_[0]
        p = 1 / (1 + np.exp(-z))
        return np.stack([1 - p, p], axis=1)


def fitted(seed: int = 0, n_trials: int = 40) -> Referenced:
    """A decoder of both bands, as a calibration leaves it."""
    states = [k % 2 for k in range(n_trials)]
    seen = CausalView(range(3), RATE, VIEW).push(imagery(states, seed))
    rows = VIEW.rows(RATE)
    x, y = [], []
    for k, state in enumerate(states):
        for late in (1.6, 2.2, 2.9, 3.5):
            stop = round((EVERY_S * k + CUE_S + late) * RATE)
            x.append(as_trial(seen[stop - rows : stop], VIEW))
            y.append(state)
    trials = np.stack(x)
    made = Referenced.around(LogPower().fit(trials, np.array(y)), trials, 2)
    # Almost always sure that something is meant: it has its part in all that is decided.
    made.idle = Idle(np.full((2, trials.shape[1]), 0.05), np.full(2, 3.0))
    return made


def decoder(
    estimator: object,
    config: OnlineConfig,
    labels: Mapping[str, str] | None = None,
    session: SessionConfig = SESSION,
) -> AdaptiveDecoder:
    stream = StreamingDecoder("P07: test", estimator, HANDS, NAMES, NAMES, RATE, VIEW)
    named = {name: name for name in HANDS} if labels is None else labels
    return AdaptiveDecoder(stream, config, session, named)


@dataclass
class Played:
    """What came of a stream.

    Attributes
    ----------
    states : ndarray, shape (n_trials,)
    decided : ndarray, shape (n_trials,)
        By the summed log-probabilities of the tokens 2 to 3.5 s after the cue.
    answers : list of Answer
    """

    states: npt.NDArray[np.intp]
    decided: npt.NDArray[np.intp]
    answers: list[Answer] = field(default_factory=list)

    def right(self, state: int | None = None, last: int | None = None) -> float:
        """Share of trials (of one class, the last so many) that were decided right."""
        chosen = (
            np.ones(len(self.states), dtype=np.bool_) if state is None else self.states == state
        )
        same = self.states[chosen] == self.decided[chosen]
        return float(np.mean(same if last is None else same[-last:]))


def play(
    d: AdaptiveDecoder,
    x: FloatArray,
    states: Sequence[int],
    *,
    cued: bool = True,
    extra: Sequence[tuple[int, Marker]] = (),
) -> Played:
    """Run a decoder over a stream; cues come with the token behind their row.

    Parameters
    ----------
    extra : sequence of (int, Marker)
        Further markers, each with the row from which on it is known.
    """
    times = [EVERY_S * k + CUE_S for k in range(len(states))]
    cues = [
        (round(t * RATE), Marker(t, HANDS[s], sample=round(t * RATE)))
        for t, s in zip(times, states, strict=True)
        if cued and s >= 0
    ]
    waiting = sorted([*cues, *extra], key=lambda item: item[0])
    sums = np.zeros((len(states), 2))
    answers = []
    for token, (a, b) in enumerate(pairwise(range(0, len(x) + 1, HOP))):
        d.push(x[a:b])
        known = tuple(m for row, m in waiting if row < b)
        waiting = [item for item in waiting if item[0] >= b]
        time = (b - 1) / RATE
        answer = d.answer(np.ones(3, dtype=np.bool_), Moment(token, b - 1, time, known))
        answers.append(answer)
        trial, inside = int(time // EVERY_S), time % EVERY_S - CUE_S
        if 2.0 <= inside <= 3.5 and not answer.reason:
            sums[trial] += np.log(np.maximum(answer.p, 1e-9))
    return Played(np.array(states), np.argmax(sums, axis=1), answers)


def changes(answers: Sequence[Answer]) -> Iterator[str]:
    """All changes of the decoder, in order."""
    for answer in answers:
        for change in answer.changes:
            yield change.change
