"""How far the fine-tuning behind a profile is, and the offer that it made: files beside it.

subjects/P07/fine-tuning.json     what was asked, how far it is, what came of it
subjects/P07/fine-tuned/P07/      the offer: a whole profile, used by nobody before it is taken
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from rtbci.calibration.card import Candidate, Card
from rtbci.calibration.decoders.catalogue import AUTO_NAME, FINE_TUNED
from rtbci.calibration.online.adaptation import Referenced
from rtbci.calibration.profile import (
    CARD,
    Profile,
    load_estimator,
    load_profile,
    open_profile,
    save_profile,
)
from rtbci.config import SessionConfig, from_dict
from rtbci.errors import BadInputError, RecordingError
from rtbci.recording.jsontext import read_json, write_json

STATE = "fine-tuning.json"
OFFER = "fine-tuned"


class Outcome(StrEnum):
    """What came of a fine-tuning."""

    NONE = ""
    """Nothing yet."""
    OFFERED = "offered"
    """A fine-tuned decoder is better by more than one standard error, and can be taken."""
    NOT_BETTER = "not better"
    """None is, so the profile's own decoder stays."""
    FAILED = "failed"
    """It could not be told."""


@dataclass(frozen=True)
class Job:
    """What a profile was calibrated from, so that the same trials can be read again.

    Attributes
    ----------
    recordings : tuple of str
        Whole paths, in their order.
    decoder, classes, montage, electrodes
        As :func:`rtbci.calibration.fit.calibrate` got them.
    session : SessionConfig
    modes : tuple of str
        Decoders to try beside the profile's own, simplest first.
    """

    recordings: tuple[str, ...]
    decoder: str = AUTO_NAME
    classes: str | None = None
    montage: str | None = None
    electrodes: tuple[str, ...] | None = None
    session: SessionConfig = field(default_factory=SessionConfig)
    modes: tuple[str, ...] = FINE_TUNED


@dataclass(frozen=True)
class FineTuning:
    """State of a fine-tuning, as it lies in the profile's folder.

    Attributes
    ----------
    profile : str
        When the profile that it stands on was made.
    job : Job
    run : str
        Names this run; its process carries it on its command line.
    pid : int
    begun : str
        Date and time (ISO 8601).
    trying : str
        Decoder that is tried now.
    scores : tuple of Candidate
        Balanced accuracy of those tried so far, the profile's own first.
    outcome : str
        An :class:`Outcome`.
    said : str
        A sentence for the outcome.
    """

    profile: str
    job: Job
    run: str
    pid: int
    begun: str
    trying: str = ""
    scores: tuple[Candidate, ...] = ()
    outcome: str = Outcome.NONE
    said: str = ""


def read_state(folder: Path) -> FineTuning | None:
    """State of the fine-tuning behind the profile in a folder; None where there is none."""
    if not (folder / STATE).exists():
        return None
    try:
        return from_dict(FineTuning, read_json(folder / STATE), STATE)
    except (RecordingError, BadInputError, TypeError):
        return None  # of another version: nothing that could be gone on with


def write_state(folder: Path, state: FineTuning) -> None:
    """Write it, whole or not at all."""
    write_json(folder / STATE, state)


def clear(folder: Path) -> None:
    """Remove state and offer."""
    (folder / STATE).unlink(missing_ok=True)
    shutil.rmtree(folder / OFFER, ignore_errors=True)


def find_offer(profile: Profile) -> Profile | None:
    """The offer that was made from a profile; None where there is none from this one."""
    state = read_state(profile.folder)
    offer = profile.folder / OFFER / profile.subject
    mine = state is not None and state.profile == profile.card.created
    if state is None or state.outcome != Outcome.OFFERED or not mine:
        return None
    return open_profile(offer) if (offer / CARD).exists() else None


def save_offer(profile: Profile, card: Card, estimator: Referenced) -> Profile:
    """Put a fine-tuned decoder beside the profile, as one that can be taken."""
    shutil.rmtree(profile.folder / OFFER, ignore_errors=True)
    return save_profile(card, estimator, profile.folder / OFFER)


def take_offer(subject: str, profiles_dir: Path | None = None) -> Profile:
    """Make the offered decoder a subject's profile; the one in force goes into the history.

    Raises
    ------
    BadInputError
        Where there is no offer, or it was made from an older profile.
    """
    profile = load_profile(subject, profiles_dir)
    state = read_state(profile.folder)
    if state is None or state.outcome != Outcome.OFFERED:
        raise BadInputError(
            f"there is no fine-tuned decoder on offer for {subject}; `rtbci subjects show "
            f"{subject}` says what came of it."
        )
    if state.profile != profile.card.created:
        raise BadInputError(
            f"the fine-tuned decoder on offer was made from {subject}'s profile of "
            f"{state.profile}, but the profile in force was made at {profile.card.created}; "
            "calibrate with --fine-tune to have an offer made from this one."
        )
    offer = open_profile(profile.folder / OFFER / subject)
    taken = save_profile(offer.card, load_estimator(offer), profiles_dir)
    clear(profile.folder)
    return taken
