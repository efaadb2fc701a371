"""Thresholds from a block without control: so many false activations a minute, and no more.

    each leak: block -> evidence -> lowest threshold that keeps the wanted rate
               calibration's trials -> evidence -> time to the right decision with that threshold
    --> the leak whose trials are decided soonest, and its threshold

What the block's tokens added is played through the evidence again with one threshold after the
other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2

from rtbci.calibration.online.config import OnlineConfig
from rtbci.calibration.online.courses import Course, lateness, steps, times_to_decision
from rtbci.calibration.online.evidence import LeakyEvidence, Switch, Values, log_odds
from rtbci.errors import BadInputError
from rtbci.types import BoolArray, Decode

CONFIDENCE = 0.95
STEPS = 80
OFF_SHARE = 0.5
"""``off`` as a share of ``on``."""
LEAST_ON = 0.2
"""Lowest ``on`` that is set: a steady p of 0.55 is no decision, however quiet the block."""
MIN_BLOCK_S = 20.0
LEAKS_S = (0.25, 0.5, 1.0, 2.0)
"""Time constants of the evidence that are tried where the profile knows its trials' courses."""


@dataclass(frozen=True)
class FalseActivations:
    """Activations while nothing was meant.

    Attributes
    ----------
    count : int
    minutes : float
    """

    count: int
    minutes: float

    @property
    def rate(self) -> float:
        """A minute."""
        return self.count / self.minutes if self.minutes else float("nan")

    @property
    def bound(self) -> float:
        """Upper bound of the true rate: exact for a Poisson count, one-sided, 95 %."""
        if not self.minutes:
            return float("inf")
        return float(chi2.ppf(CONFIDENCE, 2 * (self.count + 1)) / 2 / self.minutes)

    def words(self) -> str:
        """For people."""
        return (
            f"{self.rate:.2f} false activations a minute ({self.count} in {self.minutes:.1f} min, "
            f"below {self.bound:.2f} with 95 % confidence)"
        )


@dataclass(frozen=True)
class Choice:
    """Thresholds, and what they give on the block that they were chosen on.

    Attributes
    ----------
    config : OnlineConfig
        With ``on`` and ``off`` set.
    false : FalseActivations
    reached : bool
        Whether the wanted rate is reached by any threshold.
    decided, trials : int
        Of the calibration's trials, those that these would have decided right; none known where
        ``trials`` is 0.
    median_s : float
        Time from cue to right decision that half of them keep; infinite where fewer than half
        were decided.
    """

    config: OnlineConfig
    false: FalseActivations
    reached: bool
    decided: int = 0
    trials: int = 0
    median_s: float = np.inf


@dataclass(frozen=True)
class Block:
    """Decodes of a stretch without control, in order.

    Attributes
    ----------
    odds : ndarray, shape (n_tokens, n_classes)
        Log-odds that each token adds to the evidence, flags apart; NaN where the decoder
        abstained.
    flagged : ndarray, shape (n_tokens,), bool
    begins : ndarray, shape (n_tokens,), bool
        Where evidence starts anew (a gap, or another stretch).
    """

    odds: Values
    flagged: BoolArray
    begins: BoolArray

    @property
    def valid(self) -> BoolArray:
        """Tokens at which the decoder did not abstain, shape (n_tokens,)."""
        return np.asarray(np.isfinite(self.odds).all(axis=1))

    @classmethod
    def of(cls, decodes: Sequence[Decode], hop_s: float, config: OnlineConfig) -> Block:
        """Take the decodes of one stretch or several; tokens that don't follow begin anew.

        Parameters
        ----------
        decodes : sequence of Decode
        hop_s : float
            From a token to the next.
        config : OnlineConfig
            With which they were decoded: what a token added is the step of the evidence, its
            leak taken off.  Decodes without evidence are taken by their probabilities.
        """
        time = np.array([d.time for d in decodes])
        begins = np.ones(len(decodes), dtype=np.bool_)
        begins[1:] = np.diff(time) > 1.5 * hop_s
        odds = log_odds(np.array([d.p for d in decodes], dtype=np.float64))
        if all(d.evidence for d in decodes):
            keep = float(np.exp(-hop_s / config.leak_s))
            levels = np.array([d.evidence for d in decodes], dtype=np.float64)
            added = (levels[1:] - keep * levels[:-1]) / (1 - keep)
            # What a stretch's first token adds can't be told: nothing is known of the one before.
            added = np.concatenate([np.full((1, levels.shape[1]), np.nan), added])
            known = np.isfinite(odds) & ~begins[:, np.newaxis]
            odds = np.where(known, added, np.nan)
        return cls(odds, np.array([bool(d.flags) for d in decodes], dtype=np.bool_), begins)


def activations(block: Block, classes: Sequence[str], hop_s: float, config: OnlineConfig) -> int:
    """How often a class other than rest is decided in a block."""
    return _count(block, _levels(block, len(classes), hop_s, config), classes, hop_s, config)


def threshold_for(
    block: Block,
    classes: Sequence[str],
    hop_s: float,
    config: OnlineConfig,
    wanted_per_min: float,
    courses: Sequence[Course] = (),
) -> Choice:
    """Lowest threshold with no more than the wanted rate of false activations.

    Where the calibration's trials are known, the leak is chosen with it, for the soonest right
    decision.

    Parameters
    ----------
    block : Block
        Decoded while nothing was meant.
    classes : sequence of str
    hop_s : float
        From a token to the next.
    config : OnlineConfig
        All but ``on``, ``off`` and, with courses, ``leak_s`` is kept.
    wanted_per_min : float
    courses : sequence of Course
        Of the calibration's trials.

    Raises
    ------
    BadInputError
        Where the block is shorter than 20 s of valid decodes, or the rate is negative.
    """
    minutes = float(np.sum(block.valid)) * hop_s / 60
    if 60 * minutes < MIN_BLOCK_S:
        raise BadInputError(
            f"the block without control has {60 * minutes:.0f} s of decodes, but a rate needs at "
            f"least {MIN_BLOCK_S:.0f} s; record a longer one (three minutes are usual)."
        )
    if not wanted_per_min >= 0:
        raise BadInputError(
            f"{wanted_per_min} false activations a minute can't be wanted; use 0 or more."
        )
    allowed = int(np.floor(wanted_per_min * minutes + 1e-9))
    if not courses:
        return _threshold(block, classes, hop_s, config, allowed)
    leaks = sorted({config.leak_s, *LEAKS_S})
    made = []
    for leak_s in leaks:
        with_leak = replace(config, leak_s=leak_s)
        found = _threshold(block, classes, hop_s, with_leak, allowed)
        levels = steps(courses, hop_s, with_leak)
        times = times_to_decision(courses, levels, classes, hop_s, found.config)
        median = float(np.quantile(times, 0.5, method="inverted_cdf"))
        known = replace(
            found,
            decided=int(np.isfinite(times).sum()),
            trials=len(times),
            median_s=round(median, 2),
        )
        made.append((not found.reached, lateness(times, courses, hop_s), known))
    return min(made, key=lambda one: one[:2])[2]


def _threshold(
    block: Block, classes: Sequence[str], hop_s: float, config: OnlineConfig, allowed: int
) -> Choice:
    minutes = float(np.sum(block.valid)) * hop_s / 60
    levels = _levels(block, len(classes), hop_s, config)
    highest = max(LEAST_ON, *(max(row) for row in levels)) + 1e-3
    # NB: counts need not fall with every step up, so the search goes down from the top.  It ends
    # where the last activation that is allowed comes: at that level the true rate is the counted
    # one on average.  Further down, just before the next one comes, it is one activation more.
    best, count = _with(config, highest), 0
    for on in np.linspace(highest, LEAST_ON, STEPS):
        tried = _with(config, float(on))
        found = _count(block, levels, classes, hop_s, tried)
        if found > allowed:
            break
        best, count = tried, found
        if 0 < allowed == found:
            break
    return Choice(best, FalseActivations(count, minutes), count <= allowed)


def _with(config: OnlineConfig, on: float) -> OnlineConfig:
    return replace(config, on=round(on, 4), off=round(OFF_SHARE * on, 4))


def _levels(block: Block, n_classes: int, hop_s: float, config: OnlineConfig) -> list[list[float]]:
    """Evidence at every token."""
    leak, made = LeakyEvidence(n_classes, hop_s, config), []
    rows = zip(block.odds, block.valid, block.flagged, block.begins, strict=True)
    for odds, valid, flagged, begins in rows:
        if begins:
            leak.state.reset()
        made.append(leak.step(odds, valid=bool(valid), flagged=bool(flagged)).tolist())
    return made


def _count(
    block: Block,
    levels: Sequence[Sequence[float]],
    classes: Sequence[str],
    hop_s: float,
    config: OnlineConfig,
) -> int:
    switch, count = Switch(classes, hop_s, config), 0
    rows = zip(levels, block.valid, block.flagged, block.begins, strict=True)
    for row, known, flagged, begins in rows:
        if begins:
            switch.state.reset()
        if known:
            count += switch.step(row, flagged=bool(flagged))
        else:
            switch.release()
    return count
