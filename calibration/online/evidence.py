"""From probabilities at every token to decisions: leaky log-odds, hysteresis, dwell, rest.

    p -> log-odds of each class against the others --and against doing nothing--> leaky mean
                                                                                    |
                                                                                 evidence
                                                                                    |
         decided from ``on`` (held for ``dwell_s``) until below ``off``, then quiet for a while

Windows of neighbouring tokens overlap, so their log-odds are averaged, not summed: evidence is
in log-odds, and a steady p of 0.7 between two classes comes to 0.85.  Where the calibration's own
pauses have shown what doing nothing looks like (:mod:`rtbci.calibration.online.idle`), a class
must be likelier than the others and than that.  A token at which the decoder
abstains adds nothing: the evidence leaks towards 0.  Nor does one that is flagged: the evidence
stands still for ``flag_hold_s``, then leaks.  Otherwise each blink would cut a lasting decision in
two, and eyes and muscle would make activations by the very flags that keep them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

from rtbci.calibration.online.config import OnlineConfig

REST = "rest"
"""Class that stands for doing nothing: it can be decided, and is no activation."""
LOG_TEMPERATURES = (-4.0, 4.0)
OVERLAPPING = 10.0
"""So many windows of a trial say no more than one: they begin 0.1 s after each other."""
FLOOR_P = 1e-9

Values = npt.NDArray[np.float64]


def tempered(p: Values, temperature: float) -> Values:
    """Divide log-probabilities by a temperature; shape (..., n_classes) in and out."""
    if temperature == 1.0:
        return p
    return np.asarray(np.exp(log_softmax(np.log(np.maximum(p, FLOOR_P)) / temperature, axis=-1)))


def log_odds(p: Values) -> Values:
    """Log-odds of each class against all others, 0 where all are equally likely.

    Parameters
    ----------
    p : ndarray, shape (..., n_classes)
    """
    q = np.clip(p, FLOOR_P, 1 - FLOOR_P)
    return np.asarray(np.log(q / (1 - q)) + np.log(q.shape[-1] - 1))


def meant_odds(odds: Values, intent: Values | None) -> Values:
    """Log-odds of each class against the others, and against doing nothing as well.

    Parameters
    ----------
    odds : ndarray, shape (..., n_classes)
        Against the others (:func:`log_odds`).
    intent : ndarray, shape (..., n_classes) | None
        Against doing nothing; None where nothing is known of that.

    Returns
    -------
    meant : ndarray, shape (..., n_classes)
        Log-odds of the product of both probabilities: no larger than the smaller of the two.
    """
    if intent is None:
        return odds
    return np.asarray(-logsumexp(np.stack([-odds, -intent, -odds - intent]), axis=0))


def fit_temperature(log_p: Values, y: npt.NDArray[np.intp]) -> float:
    """Temperature that makes probabilities calibrated (Guo et al. 2017, arXiv 1706.04599).

    Parameters
    ----------
    log_p : ndarray, shape (n_windows, n_classes)
        Log-probabilities of windows that the decoder was not fitted on.
    y : ndarray, shape (n_windows,)
        Their classes.

    Returns
    -------
    temperature : float
        Above 1 where the decoder was too sure of itself.

    Notes
    -----
    So few trials can all be decoded right, and would call for certainty.  As with Platt (1999),
    one window of each other class is added to the n of a class; n counts windows that don't
    overlap.
    """
    rows, n_classes = np.arange(len(y)), log_p.shape[1]
    counts = np.bincount(y, minlength=n_classes)[y] / OVERLAPPING
    target = np.repeat((1 / (counts + n_classes))[:, None], n_classes, axis=1)
    target[rows, y] = (counts + 1) / (counts + n_classes)

    def loss(log_t: float) -> float:
        return -float(np.mean(np.sum(target * log_softmax(log_p / np.exp(log_t), axis=1), axis=1)))

    best = minimize_scalar(loss, bounds=LOG_TEMPERATURES, method="bounded")
    return float(np.exp(best.x))


@dataclass
class LeakState:
    """Evidence of each class, log-odds, and how many flagged tokens came last."""

    levels: Values
    flagged: int = 0

    def reset(self) -> None:
        """Know nothing."""
        self.levels[:] = 0.0
        self.flagged = 0


class LeakyEvidence:
    """Leaky mean of log-odds.

    Parameters
    ----------
    n_classes : int
    hop_s : float
        From a token to the next.
    config : OnlineConfig
    """

    def __init__(self, n_classes: int, hop_s: float, config: OnlineConfig) -> None:
        self._keep = float(np.exp(-hop_s / config.leak_s))
        self._limit = config.limit
        self._hold = round(config.flag_hold_s / hop_s)
        self.state = LeakState(np.zeros(n_classes))

    def step(self, odds: Values, *, valid: bool, flagged: bool) -> Values:
        """Take one token's log-odds; they count where they are valid and not flagged."""
        levels = self.state.levels
        self.state.flagged = self.state.flagged + 1 if flagged else 0
        if valid and 0 < self.state.flagged <= self._hold:
            return levels
        levels *= self._keep
        if valid and not flagged:
            levels += (1 - self._keep) * np.clip(odds, -self._limit, self._limit)
        return levels


@dataclass
class SwitchState:
    """What is decided.

    Attributes
    ----------
    active : int
        Number of the class that is decided now; -1 for none.
    candidate, held : int
        The class whose evidence is above ``on``, and for how many tokens it has been.
    quiet : int
        Tokens for which nothing is decided yet.
    unsettled : int
        Tokens without a flag that are still wanted before anything is decided.
    barred : int
        The class that was given up under flags: it must fall below ``off`` by itself before it
        can be decided again.  -1 for none.
    """

    active: int = -1
    candidate: int = -1
    held: int = 0
    quiet: int = 0
    unsettled: int = 0
    barred: int = -1

    def reset(self) -> None:
        """Nothing is decided, and nothing waits."""
        self.active, self.candidate, self.held, self.quiet = -1, -1, 0, 0
        self.unsettled, self.barred = 0, -1


class Switch:
    """Decides by evidence, with hysteresis, dwell and refractory time.

    Parameters
    ----------
    classes : sequence of str
    hop_s : float
    config : OnlineConfig
    """

    def __init__(self, classes: Sequence[str], hop_s: float, config: OnlineConfig) -> None:
        self._rest = classes.index(REST) if REST in classes else -1
        self._on, self._off = config.on, config.off
        self._dwell = max(1, round(config.dwell_s / hop_s))
        self._refractory = round(config.refractory_s / hop_s)
        self._settle = round(config.flag_settle_s / hop_s)
        self.state = SwitchState()

    def set_thresholds(self, on: float, off: float) -> None:
        """Decide by these from the next token on; what is decided stays until it falls below."""
        self._on, self._off = on, off

    def step(self, levels: Sequence[float], *, flagged: bool = False) -> bool:
        """Take one token's evidence; True where a class other than rest begins to be decided."""
        s = self.state
        s.unsettled = self._settle if flagged else max(0, s.unsettled - 1)
        if s.active >= 0 and levels[s.active] < self._off:
            if flagged and s.active != self._rest:
                s.barred = s.active
            self.release()
        elif s.quiet:
            s.quiet -= 1
        if s.barred >= 0 and not s.unsettled and levels[s.barred] < self._off:
            s.barred = -1
        top = max(range(len(levels)), key=levels.__getitem__)
        above = levels[top] >= self._on
        s.held = s.held + 1 if above and top == s.candidate else int(above)
        s.candidate = top if above else -1
        if s.active >= 0 or s.quiet or s.unsettled or s.held < self._dwell or top == s.barred:
            return False
        s.active = top
        return top != self._rest

    def release(self) -> None:
        """Give up what is decided; a command is followed by the refractory time."""
        s = self.state
        if s.active >= 0 and s.active != self._rest:
            s.quiet = self._refractory
        s.active, s.candidate, s.held = -1, -1, 0


@dataclass
class Evidence:
    """Evidence and decision of one decoder.

    Parameters
    ----------
    classes : tuple of str
    hop_s : float
    config : OnlineConfig
    """

    classes: tuple[str, ...]
    hop_s: float
    config: OnlineConfig
    leak: LeakyEvidence = field(init=False)
    switch: Switch = field(init=False)

    def __post_init__(self) -> None:
        self.leak = LeakyEvidence(len(self.classes), self.hop_s, self.config)
        self.switch = Switch(self.classes, self.hop_s, self.config)

    @property
    def decision(self) -> str | None:
        """The class that is decided now."""
        active = self.switch.state.active
        return None if active < 0 else self.classes[active]

    @property
    def levels(self) -> tuple[float, ...]:
        """Evidence of each class, log-odds."""
        return tuple(self.leak.state.levels.tolist())

    def reset(self) -> None:
        """Begin a segment: know nothing, decide nothing."""
        self.leak.state.reset()
        self.switch.state.reset()

    def step(self, p: Values, *, valid: bool, flagged: bool, intent: Values | None = None) -> bool:
        """Take one token.

        Parameters
        ----------
        p : ndarray, shape (n_classes,)
        valid : bool
            Whether there is a probability; nothing is decided where there is none.
        flagged : bool
            Whether eyes or muscle moved: such a token adds nothing, and decides nothing new.
        intent : ndarray, shape (n_classes,) | None
            Log-odds of each class against doing nothing.

        Returns
        -------
        begins : bool
            Whether a class other than rest is decided that was not decided before.
        """
        odds = meant_odds(log_odds(p), intent)
        levels = self.leak.step(odds, valid=valid, flagged=flagged)
        if not valid:
            self.switch.release()
            return False
        return self.switch.step(levels.tolist(), flagged=flagged)
