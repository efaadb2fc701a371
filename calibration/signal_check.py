"""What a recorded signal check says: eyes, alpha and muscle where they belong, contacts, swaps.

    recording -> parts and prompts -> alpha, blinks, looks, jaw at each electrode -+-> findings
                                      contact of each electrode -------------------+   in sentences
                                      perhaps swapped -----------------------------+

The check is two minutes before the cues (``rtbci calibrate --protocol signal-check``).  A finding
is ``good``, ``fair`` (one can go on, and should know) or ``bad`` (mend it first).  An electrode
that gives no signal stops the session until somebody says that it may go on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rtbci.calibration.signal import check_measures as measures
from rtbci.calibration.signal import check_words as words
from rtbci.calibration.signal.check_data import CheckData, read_check
from rtbci.calibration.signal.check_measures import Contact, Measure
from rtbci.calibration.signal.check_swaps import Swap, find_swaps
from rtbci.calibration.signal.check_words import Finding
from rtbci.config import SessionConfig

__all__ = ["Finding", "SignalCheck", "evaluate_signal_check", "judge_signal_check"]


@dataclass(frozen=True)
class SignalCheck:
    """A signal check, evaluated.

    Attributes
    ----------
    recording : str
        Name of the file.
    electrodes : tuple of str
    findings : tuple of Finding
        Alpha, blinks, looks, jaw; then electrodes with a fault, and those perhaps swapped.
    alpha, blinks, looks, jaw : Measure | None
        None where it was not asked for.  Looks have the sign that they would have if blinks pointed
        up.
    contacts : tuple of Contact
    swaps : tuple of Swap
    stops : tuple of str
        Electrodes that give no signal: nobody goes on over them without being told to.
    """

    recording: str
    electrodes: tuple[str, ...]
    findings: tuple[Finding, ...]
    alpha: Measure | None
    blinks: Measure | None
    looks: Measure | None
    jaw: Measure | None
    contacts: tuple[Contact, ...]
    swaps: tuple[Swap, ...]
    stops: tuple[str, ...]

    @property
    def may_go_on(self) -> bool:
        """Whether the session may go on without asking anybody."""
        return not self.stops

    @property
    def worst(self) -> words.Level:
        """The worst level of all findings."""
        levels: tuple[words.Level, ...] = ("bad", "fair", "good")
        return next(level for level in levels if any(f.level == level for f in self.findings))

    def lines(self) -> list[str]:
        """For people: a line a finding, and whether one may go on."""
        said = [f"{finding.level:<5} {finding.sentence}" for finding in self.findings]
        return [*said, self.verdict]

    @property
    def verdict(self) -> str:
        """Whether one may go on."""
        if self.stops:
            gives = "gives" if len(self.stops) == 1 else "give"
            return (
                f"stop: {', '.join(self.stops)} {gives} no signal; mend the contact and check "
                "again, or go on without."
            )
        if self.worst == "bad":
            return "go on only if what is bad above can't be mended."
        return "go on."

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "recording": self.recording,
            "electrodes": list(self.electrodes),
            "findings": [asdict(finding) for finding in self.findings],
            "may_go_on": self.may_go_on,
            "stops": list(self.stops),
            "verdict": self.verdict,
            **{
                name: _plain(measure)
                for name, measure in (
                    ("alpha", self.alpha),
                    ("blinks", self.blinks),
                    ("looks", self.looks),
                    ("jaw", self.jaw),
                )
            },
            "contacts": [asdict(contact) for contact in self.contacts],
            "swaps": [asdict(swap) for swap in self.swaps],
        }


def evaluate_signal_check(
    recording: Path, *, montage: str | None = None, config: SessionConfig | None = None
) -> SignalCheck:
    """Evaluate the signal check that a recording holds.

    Parameters
    ----------
    recording : Path
        A recording of ours, or any file whose annotations are called as the check's markers.
    montage : str | None
        As ``--montage`` takes it.
    config : SessionConfig | None
        The recording's own where None.

    Raises
    ------
    BadInputError
        Where the file can't be read, or holds no signal check.
    """
    return judge_signal_check(read_check(recording, montage, config), recording.name)


def judge_signal_check(data: CheckData, name: str = "") -> SignalCheck:
    """Evaluate a signal check that has been read."""
    contacts = measures.contacts(data)
    stops = words.stopping(data.electrodes, contacts)
    faults = words.contact_findings(data.electrodes, contacts)
    bad = {f.subject for f in faults if f.level == "bad"} | set(stops)
    usable = np.array([e not in bad for e in data.electrodes], dtype=np.bool_)
    alpha, looks, jaw = measures.alpha(data), measures.looks(data), measures.jaw(data)
    blinks = measures.blinks(data, usable)
    if looks is not None:
        looks = replace(
            looks, values=words.polarity(data.electrodes, usable, blinks) * looks.values
        )
    swaps = find_swaps(data.electrodes, usable, blinks, looks, alpha)
    findings = (
        words.alpha_finding(data.electrodes, usable, alpha),
        words.blink_finding(data.electrodes, usable, blinks),
        words.look_finding(data.electrodes, usable, looks),
        words.jaw_finding(data.electrodes, usable, jaw),
        *faults,
        *words.swap_findings(swaps),
    )
    return SignalCheck(
        name, data.electrodes, findings, alpha, blinks, looks, jaw, contacts, swaps, stops
    )


def _plain(measure: Measure | None) -> dict[str, Any] | None:
    """A measure as plain values; an error that is not known as None."""
    if measure is None:
        return None
    return {
        "values": [round(float(v), 3) for v in measure.values],
        "errors": [round(float(e), 3) if np.isfinite(e) else None for e in measure.errors],
        "events": measure.n,
        "asked": measure.asked,
    }
