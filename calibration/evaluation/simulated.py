"""``rtbci evaluate online --simulated``: the whole loop on subjects whose truth is known.

    cues (10 of each hand) -> calibrate -> three minutes without control
        -> thresholds -> another session, pseudo-online -> counted against what she really did
        -> three other minutes without control ----------> false activations, too

Nothing is kept: profiles and recordings live in a temporary folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rtbci.calibration.evaluation.pseudo_online import (
    PseudoOnline,
    listen,
    live_decoder,
    pseudo_online,
)
from rtbci.calibration.fit import calibrate
from rtbci.calibration.online.threshold import Block, FalseActivations, threshold_for
from rtbci.calibration.protocol.config import load_protocol
from rtbci.calibration.protocol.rehearsal import SubjectSettings, rehearse
from rtbci.calibration.protocol.tuning import WANTED_PER_MIN, without_control
from rtbci.config import SessionConfig
from rtbci.sources.simulated_subject import REACTION_S, SimulatedSubject
from rtbci.types import Marker

TRIALS = 10
"""Of each class, for the calibration and again in the session that is scored."""
SESSIONS = 3
"""Recordings of a subject: calibration, without control, the session that is scored."""
AGAIN = 1000
"""Added to the seed of the other minutes without control."""


@dataclass(frozen=True)
class Pooled:
    """Several subjects' sessions together.

    Attributes
    ----------
    each : tuple of PseudoOnline
    """

    each: tuple[PseudoOnline, ...]

    @property
    def whole(self) -> PseudoOnline:
        """All trials and all minutes as one session; accuracy is the mean over subjects."""
        balanced = [e.accuracy["balanced"] for e in self.each if e.accuracy]
        trials = sum(e.trials for e in self.each)
        return PseudoOnline(
            {"balanced": round(float(np.mean(balanced)), 4), "trials": trials},
            trials,
            sum(e.decided for e in self.each),
            sum(e.right for e in self.each),
            FalseActivations(
                sum(e.false.count for e in self.each), sum(e.false.minutes for e in self.each)
            ),
            tuple(d for e in self.each for d in e.delays_s),
            float(np.mean([e.flagged for e in self.each])),
        )

    def lines(self) -> list[str]:
        """For people."""
        whole = self.whole
        assert whole.accuracy is not None
        return [
            f"{len(self.each)} simulated subjects, calibrated with {TRIALS} trials of each class",
            f"balanced accuracy {whole.accuracy['balanced']:.2f}, mean of the subjects",
            *whole.lines(),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**self.whole.to_dict(), "subjects": [e.to_dict() for e in self.each]}


def simulate_online(
    subjects: int,
    *,
    skill: float = 1.0,
    decoder: str = "csp+lda",
    wanted_per_min: float = WANTED_PER_MIN,
    config: SessionConfig | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Pooled:
    """Calibrate simulated subjects and run a later session of each.

    Parameters
    ----------
    subjects : int
    skill : float
        How far their rhythms fall; with 0 they imagine nothing.
    decoder : str
    wanted_per_min : float
        False activations a minute that the thresholds may allow.
    progress : callable | None
        Told the share that is done and of which subject.
    """
    config = config or SessionConfig()
    made = []
    for i in range(subjects):
        if progress is not None:
            progress(i / subjects, f"subject {i + 1}")
        with tempfile.TemporaryDirectory() as folder:
            made.append(_subject(Path(folder), i, skill, decoder, wanted_per_min, config))
    return Pooled(tuple(made))


def _subject(
    folder: Path, number: int, skill: float, decoder: str, wanted: float, config: SessionConfig
) -> PseudoOnline:
    cues = replace(load_protocol("graz-2").scaled(1, TRIALS), instructions=())
    idle = replace(load_protocol("no-control"), instructions=())
    # NB: other seeds for each session: another signal, another order.
    train, calm, test, again = (
        rehearse(
            protocol,
            folder,
            SubjectSettings(seed=SESSIONS * number + k, skill=skill),
            seed=SESSIONS * number + k,
            config=config,
        )
        for k, protocol in ((0, cues), (1, idle), (2, cues), (1 + AGAIN, idle))
    )
    report = calibrate(
        [train], "simulated", decoder=decoder, permutations=1, profiles_dir=folder, config=config
    )
    card = report.profile.card
    sent, markers = listen(live_decoder(report.profile, {}, config), calm, config=config)
    quiet = without_control([s.decode for s in sent], markers)
    hop_s = config.token.hop_s
    block = Block.of(quiet, hop_s, card.online)
    choice = threshold_for(block, card.classes, hop_s, card.online, wanted, card.courses)
    her = SimulatedSubject(SESSIONS * number + 2, REACTION_S)

    def changes(shown: Sequence[Marker]) -> list[float]:
        return [her.react(m) for m in shown]

    made = pseudo_online(report.profile, test, config=config, online=choice.config, changes=changes)
    more = pseudo_online(report.profile, again, config=config, online=choice.config)
    false = FalseActivations(
        made.false.count + more.false.count, made.false.minutes + more.false.minutes
    )
    return replace(made, false=false)
