"""How often "above chance" is said of somebody who imagines nothing, looking after every block.

    python tests/simulators/false_alarms.py --seeds 500

A small, fast configuration of ``auto`` serves for the count: two nearest-mean decoders on the log
power of four channels, their nested choice and as many permutations as a look needs; looks after
10, 20, ... 60 trials, and the session ends at the first "above chance".  What is counted does not
depend on the decoders: permuted labels go through the same ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from contests import Labels, fast_contest
from scipy.stats import beta

from rtbci.calibration.scoring.cross_validation import permutation_test
from rtbci.calibration.scoring.verdict import Finding, judge_score, level, permutations_needed
from rtbci.calibration.selection.auto import choice_score, folds_of
from rtbci.calibration.selection.contest import Contest, Entry

LOOKS = (10, 20, 30, 40, 50, 60)
PERMUTATIONS = 99


def balanced_labels(n: int, rng: np.random.Generator) -> Labels:
    """Five trials of each class in every block of ten, in random order."""
    return np.concatenate([rng.permutation(np.arange(10) % 2) for _ in range(n // 10)])


def first(contest: Contest, y: Labels, n: int) -> Contest:
    """The first trials of a contest, with other labels."""
    entries = {}
    for name in contest.names:
        w = contest.entry(name).windows
        kept = w.trial < n
        part = replace(w, x=w.x[kept], trial=w.trial[kept], fit=w.fit[kept], y=y[:n], run=w.run[:n])
        entries[name] = Entry(contest.entry(name).make, part)
    return Contest(entries, contest.n_classes)


def said_above(seed: int, looks: tuple[int, ...] = LOOKS, effect: float = 0.0) -> int:
    """Trials after which "above chance" is said of one session; 0 where it never is."""
    rng = np.random.default_rng(seed)
    whole = fast_contest(looks[-1], effect, seed=seed)
    y = whole.y if effect else balanced_labels(looks[-1], rng)
    looked: tuple[int, ...] = ()
    for n in looks:
        contest = first(whole, y, n)
        folds = folds_of(contest, np.arange(n))
        test = permutation_test(
            partial(choice_score, contest, folds),
            contest.y,
            contest.run,
            most=permutations_needed(PERMUTATIONS, n, looked),
            seed=seed,
        )
        score = round(choice_score(contest, folds, contest.y), 2)
        verdict = judge_score(score, test.p_value, test.null_sd, n, 2, looked)
        assert verdict.level == level(n, looked)
        if verdict.finding == Finding.ABOVE:
            return n
        looked = verdict.looks
    return 0


def count(seeds: int, tell: Callable[[int, int], None] | None = None) -> int:
    """Sessions of noise of which "above chance" is said at some look."""
    found = 0
    for seed in range(seeds):
        found += said_above(seed) > 0
        if tell is not None:
            tell(seed + 1, found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500)
    seeds = parser.parse_args().seeds

    def tell(done: int, found: int) -> None:
        if done % 25 == 0:
            sys.stderr.write(f"{done} sessions, {found} called above chance\n")

    found = count(seeds, tell)
    upper = beta.ppf(0.975, found + 1, seeds - found)
    sys.stdout.write(
        f"{found} of {seeds} sessions ({found / seeds:.1%}, upper 97.5 % bound {upper:.1%}) with a "
        f"look after {', '.join(map(str, LOOKS))} trials\n"
    )


if __name__ == "__main__":
    main()
