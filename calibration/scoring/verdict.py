"""Above chance, practically at chance, or can't tell yet: a word that holds when one keeps looking.

    look after 10 trials    after 20    after 30   ...     each look may say "above chance" wrongly
    0.005                +  0.010    +  0.010    + ...     with so much, in all less than 0.05

The p-value is that of one look: labels permuted within blocks, the whole of ``auto`` run again.
Whoever looks after every block and stops when it is small would find something in noise sooner or
later.  So each look spends a part of the error that was not spent before, whatever the data
(Lan & DeMets 1983, doi:10.1093/biomet/70.3.659).  How much may have been spent after so many
trials is fixed in advance, so it does not matter how often or when one looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from scipy.stats import norm

ALPHA = 0.05
"""Share of subjects who imagine nothing of whom "above chance" may ever be said."""
HALF_TRIALS = 30
"""Trials after which half of it may have been spent."""
MARGIN = 0.10
"""Practically at chance: even the upper bound lies less than this above chance (two classes:
under 0.60)."""
ONE_SIDED = float(norm.ppf(0.95))
MOST_TRIALS = 200
"""More trials than this nobody gives in a session."""


class Finding(StrEnum):
    """What a calibration's score says."""

    ABOVE = "above chance"
    """It did better than its own permutations, by the level of this look."""
    UNSURE = "can't tell yet"
    """Neither is shown; more trials would."""
    CHANCE = "practically at chance"
    """If it is above chance at all, then by less than anybody could use."""


@dataclass(frozen=True)
class Verdict:
    """A finding, and what it rests on.

    Attributes
    ----------
    finding : str
        A :class:`Finding`.
    p_value : float
        Of this look.
    level : float
        What it had to be below or at.
    looks : tuple of int
        Numbers of trials at which one has looked, this look last.
    upper : float
        Upper 95 % bound of the balanced accuracy, one-sided.
    more_trials : int
        So many more would probably tell; 0 where it is told, or where it would take more than
        :data:`MOST_TRIALS`.
    """

    finding: str
    p_value: float
    level: float
    looks: tuple[int, ...]
    upper: float
    more_trials: int = 0

    def rounded(self) -> Verdict:
        """As it is written: four decimals."""
        return replace(
            self,
            finding=str(self.finding),
            p_value=round(self.p_value, 4),
            level=round(self.level, 4),
            upper=round(self.upper, 4),
        )

    def lines(self) -> list[str]:
        """Say it, with what usually helps."""
        p = f"p = {self.p_value:.3f}, needed at this look: {self.level:.3f} or less"
        if self.finding == Finding.ABOVE:
            return [f"verdict: above chance ({p})"]
        if self.finding == Finding.CHANCE:
            said = f"verdict: practically at chance: at most {self.upper:.2f} ({p})"
        elif self.more_trials:
            said = f"verdict: can't tell yet; {self.more_trials} more trials probably would ({p})"
        else:
            said = f"verdict: can't tell yet, nor would {MOST_TRIALS} trials ({p})"
        return [said, *(f"  - {text}" for text in HELP)]


HELP = (
    "more trials: 20 of each class are usual, 10 are few",
    "imagine the feeling of the movement (grip, tension), not its picture",
    "electrodes over C3, Cz and C4 with good contact; the signal check shows which are not",
    "sit still, jaw and neck loose, and look at one point while imagining",
    "another pair of classes: hands against feet is easier for many than left against right",
)
"""What usually helps, most helpful first."""


def spent(trials: int) -> float:
    """Error that may have been spent after so many trials."""
    return ALPHA * trials**2 / (trials**2 + HALF_TRIALS**2)


def level(trials: int, looked: Sequence[int] = ()) -> float:
    """What the p-value of a look must not exceed.

    Parameters
    ----------
    trials : int
        Trials at this look.
    looked : sequence of int
        Numbers of trials at earlier looks at the same session; those with as many or more don't
        count, since they are this look.
    """
    return spent(trials) - spent(max((n for n in looked if n < trials), default=0))


def permutations_needed(wanted: int, trials: int, looked: Sequence[int] = ()) -> int:
    """Permutations with which one that did as well is within the level; at least ``wanted``."""
    return max(wanted, math.ceil(2.0 / level(trials, looked)))


def judge_score(
    balanced: float,
    p_value: float,
    null_sd: float,
    trials: int,
    n_classes: int,
    looked: Sequence[int] = (),
) -> Verdict:
    """Give a verdict on a score.

    Parameters
    ----------
    balanced : float
        Balanced accuracy of trials that neither fit nor choice has seen.
    p_value : float
        Of this look.
    null_sd : float
        Standard deviation of the score where labels mean nothing (of the permutations).
    trials : int
    n_classes : int
    looked : sequence of int
        As in :func:`level`.
    """
    needed = level(trials, looked)
    looks = (*(n for n in sorted(set(looked)) if n < trials), trials)
    chance = 1.0 / n_classes
    upper = min(1.0, balanced + ONE_SIDED * null_sd)
    if p_value <= needed:
        return Verdict(Finding.ABOVE, p_value, needed, looks, upper)
    if upper < chance + MARGIN:
        return Verdict(Finding.CHANCE, p_value, needed, looks, upper)
    more = _more(balanced - chance, null_sd, trials, looks)
    return Verdict(Finding.UNSURE, p_value, needed, looks, upper, more)


def _more(gain: float, sd: float, trials: int, looks: Sequence[int]) -> int:
    """Trials until another verdict, if the score stays and its error shrinks with them."""
    for total in range((trials // 10 + 1) * 10, trials + MOST_TRIALS + 1, 10):
        error = sd * math.sqrt(trials / total)
        shown = gain >= float(norm.isf(level(total, looks))) * error
        excluded = gain + ONE_SIDED * error < MARGIN
        if shown or excluded:
            return total - trials
    return 0
