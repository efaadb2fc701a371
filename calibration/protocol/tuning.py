"""Thresholds from a recorded block without control: its decodes are those that the user saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtbci.calibration.online.threshold import Block, Choice, threshold_for
from rtbci.calibration.profile import Profile, load_estimator, load_profile, save_profile
from rtbci.calibration.protocol.config import BAD, NO_CONTROL
from rtbci.errors import BadInputError
from rtbci.recording.reader import open_recording
from rtbci.types import Decode, Marker

WANTED_PER_MIN = 1.0
"""False activations a minute that are allowed."""


@dataclass(frozen=True)
class Tuned:
    """New thresholds.

    Attributes
    ----------
    profile : Profile
        As saved.
    choice : Choice
    wanted_per_min : float
    """

    profile: Profile
    choice: Choice
    wanted_per_min: float

    def lines(self) -> list[str]:
        """For people."""
        online = self.choice.config
        said = [
            f"thresholds for at most {self.wanted_per_min:g} false activations a minute: on at "
            f"{online.on:.2f}, off at {online.off:.2f}",
            f"on the block without control they give {self.choice.false.words()}",
            *_decided(self.choice),
            f"profile: {self.profile.folder}",
        ]
        if not self.choice.reached:
            said.insert(1, "NB: no threshold reaches that rate; these come nearest.")
        return said


def _decided(choice: Choice) -> list[str]:
    if not choice.trials:
        return []
    median = (
        f"half of them within {choice.median_s:.1f} s of the cue"
        if np.isfinite(choice.median_s)
        else "fewer than half"
    )
    return [
        f"of the calibration's trials they decide {choice.decided} of {choice.trials} right, "
        f"{median} (evidence over {choice.config.leak_s:g} s)"
    ]


def without_control(decodes: Sequence[Decode], markers: Sequence[Marker]) -> list[Decode]:
    """Decodes of the time in which nothing was wanted, pauses left out."""

    def inside(time: float, spans: Sequence[Marker]) -> bool:
        return any(m.time <= time < m.time + m.duration for m in spans)

    wanted = [m for m in markers if m.label == NO_CONTROL]
    void = [m for m in markers if m.label.startswith(BAD)]
    return [d for d in decodes if inside(d.time, wanted) and not inside(d.time, void)]


def tune_thresholds(
    subject: str,
    recording: Path,
    wanted_per_min: float = WANTED_PER_MIN,
    profiles_dir: Path | None = None,
) -> Tuned:
    """Set a profile's thresholds by a recorded block without control.

    Parameters
    ----------
    subject : str
        Whose profile decoded in that block.
    recording : Path
    wanted_per_min : float
        False activations a minute that are allowed.
    profiles_dir : Path | None

    Raises
    ------
    BadInputError
        Where there is no such block, another decoder was at work in it, or it is too short.
    """
    recorded, profile = open_recording(recording), load_profile(subject, profiles_dir)
    decodes = without_control([r.decode for r in recorded.decodes()], recorded.markers())
    if not decodes:
        raise BadInputError(
            f"{recording} holds no decodes of a block without control; record one with: rtbci "
            f"calibrate --subject {subject} --protocol no-control"
        )
    other = {d.classes for d in decodes if d.classes != profile.card.classes}
    if other:
        raise BadInputError(
            f"{recording} was decoded into {', '.join(other.pop())}, but {subject}'s profile knows "
            f"{', '.join(profile.card.classes)}; record a block without control with this profile."
        )
    hop_s = recorded.config.token.hop_s
    card = profile.card
    choice = threshold_for(
        Block.of(decodes, hop_s, card.online),
        card.classes,
        hop_s,
        card.online,
        wanted_per_min,
        card.courses,
    )
    saved = save_profile(replace(card, online=choice.config), load_estimator(profile), profiles_dir)
    return Tuned(saved, choice, wanted_per_min)
