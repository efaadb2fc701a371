"""What a calibration says when it is done: the score never without its control table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rtbci.calibration.profile import Profile
from rtbci.calibration.reading.checks import count
from rtbci.calibration.reading.trials import Cue
from rtbci.calibration.scoring.metrics import Evidence


@dataclass(frozen=True)
class Outcome:
    """What became of one trial.

    Attributes
    ----------
    run : int
        Number of its recording.
    time : float
        From when it counts, seconds of the recording's clock.
    wanted, decided : str
        Its class; what was decided without it in the fit, empty where it was left out.
    reason : str
        Why it was left out; empty where it was used.
    """

    run: int
    time: float
    wanted: str
    decided: str
    reason: str


def outcomes(cues: Sequence[Cue], evidence: Evidence, names: Sequence[str]) -> tuple[Outcome, ...]:
    """Outcomes of all trials.

    Parameters
    ----------
    cues : sequence of Cue
        Judged, in order of time.
    evidence : ndarray, shape (n_used, n_classes)
        Of those without a reason, in the same order.
    names : sequence of str
        Classes.
    """
    decided = iter(np.argmax(evidence, axis=1).tolist())
    return tuple(
        Outcome(c.run, c.time, names[c.wanted], "" if c.reason else names[next(decided)], c.reason)
        for c in cues
    )


@dataclass(frozen=True)
class CalibrationReport:
    """What a calibration made, and what it left out.

    Attributes
    ----------
    profile : Profile
        As saved.
    rejected : dict
        Trials left out, by reason.
    left_out : tuple of str
        Electrodes left out, because they were bad in too many trials.
    outcomes : tuple of Outcome
        One a trial, in order of time.
    """

    profile: Profile
    rejected: dict[str, int]
    left_out: tuple[str, ...]
    outcomes: tuple[Outcome, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {
            "profile": str(self.profile.folder),
            **asdict(self.profile.card),
            "rejected": self.rejected,
            "left_out": list(self.left_out),
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
        }

    def lines(self) -> list[str]:
        """Text for a terminal: the score, and the control table without which none stands."""
        card = self.profile.card
        s = card.score
        made = [
            f"{card.subject}: {card.decoder} on {len(card.electrodes)} electrodes, "
            f"{', '.join(card.classes)}",
            *card.chosen,
            f"balanced accuracy {s.balanced:.2f} over {count(s.trials, 'trial')} ({s.label}), "
            f"p = {s.p_value:.3f} by {count(s.permutations, 'permutation')}",
        ]
        if card.metrics is not None:
            m = card.metrics
            made.append(
                f"kappa {m.kappa:.2f}, AUC {m.auc:.2f}, {m.itr_bits:.2f} bits a decision, "
                f"{m.itr_bits_min:.1f} bits/min"
            )
        if card.verdict is not None:
            made += card.verdict.lines()
        if card.curve is not None:
            made.append(card.curve.line())
        made += [f"  {c.name:<26}{c.balanced:.2f}" for c in card.candidates]
        made.append("control (same trials, same folds)")
        for c in card.controls:
            value = "none" if c.balanced is None else f"{c.balanced:.2f}"
            band = f"{c.band_hz[0]:g}-{c.band_hz[1]:g} Hz"
            electrodes = count(c.electrodes, "electrode")
            made.append(f"  {c.name:<26}{value:<6}{electrodes}, {band} {c.note}".rstrip())
        regressed = ", ".join(card.regressed) or "nothing: there is no electrode near the eyes"
        made.append(f"regressed out: {regressed}")
        if card.learned is not None:
            check = card.learned.recording
            made.append(f"regression and flags begin with the signal check of {check}")
        if s.caveat:
            made.append(f"NB: {s.caveat}.")
        if self.rejected:
            why = ", ".join(f"{n} ({reason})" for reason, n in self.rejected.items())
            made.append(f"trials left out: {why}")
        if self.left_out:
            made.append(f"electrodes left out, bad in too many trials: {', '.join(self.left_out)}")
        for pattern in card.patterns:
            made += pattern.lines()
        made.append(f"profile: {self.profile.folder}")
        return made
