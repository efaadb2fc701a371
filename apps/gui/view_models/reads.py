"""What the decoder reads: motor cortex, eyes or muscle, by its profile's control table.

The card is read here as plain TOML: :mod:`rtbci.calibration.card` would bring scikit-learn into
the window's process, five seconds in which nothing is drawn.
"""

from __future__ import annotations

import math
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

CARD = "profile.toml"
DECODER_FOLDER = "decoder"
"""Copy of the profile in a recording."""
HOME_VARIABLE = "RTBCI_HOME"
EYES = ("rim, low frequencies",)
MUSCLE = ("rim, decoder's band", "all, highest frequencies")
"""Rows of the control table that read them; the better one counts."""
NEAR = 0.05
"""A control that comes within this of the decoder may be what the decoder reads."""


def half_width(share: float, trials: int) -> float:
    """Half of a 95 % interval of a share of so many trials (Agresti & Coull 1998)."""
    n = trials + 4.0
    p = (share * trials + 2.0) / n
    return 1.96 * math.sqrt(p * (1.0 - p) / n)


@dataclass(frozen=True)
class Reading:
    """Balanced accuracies of the decoder and of what is not motor cortex.

    Attributes
    ----------
    decoder : float
        Of the decoder in use, cross-validated.
    eyes, muscle : float | None
        What these alone reach; None where the table has no such row.
    chance : float
    caveat : str
        What speaks against motor cortex, in the calibration's own words.
    trials : int
    created : str
        Date and time of the calibration (ISO 8601).
    dwell_s : float | None
        How long evidence must hold before a class is decided.
    """

    decoder: float
    eyes: float | None
    muscle: float | None
    chance: float
    caveat: str
    trials: int
    created: str
    dwell_s: float | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the decoder's balanced accuracy, by its trials alone."""
        half = half_width(self.decoder, self.trials)
        middle = (self.decoder * self.trials + 2.0) / (self.trials + 4.0)
        return max(0.0, middle - half), min(1.0, middle + half)

    @property
    def doubtful(self) -> tuple[str, ...]:
        """Which of ``eyes`` and ``muscle`` come within :data:`NEAR` of the decoder."""
        return tuple(
            name
            for name in ("eyes", "muscle")
            if (value := getattr(self, name)) is not None and value >= self.decoder - NEAR
        )

    def shares(self) -> tuple[float, float, float]:
        """Parts of the bar above chance: motor, eyes, muscle; they come to 1, or to nothing.

        Eyes and muscle have what they reach above chance; the motor cortex what the decoder
        reaches beyond the better of them.
        """
        eyes, muscle = (max(0.0, (v or 0.0) - self.chance) for v in (self.eyes, self.muscle))
        motor = max(0.0, self.decoder - self.chance - max(eyes, muscle))
        whole = motor + eyes + muscle
        return (0.0, 0.0, 0.0) if whole <= 0 else (motor / whole, eyes / whole, muscle / whole)


def find_reading(recording: str | None, subject: str | None) -> Reading | None:
    """Read the control table of the decoder in use.

    The recording's own copy of the profile comes first, since the subject may have been
    calibrated anew meanwhile; None where there is no profile or it can't be read.
    """
    places = []
    if recording:
        places.append(Path(recording) / DECODER_FOLDER / CARD)
    if subject:
        places.append(_subjects() / subject / CARD)
    for place in places:
        if place.is_file():
            return read_reading(place)
    return None


def read_reading(card: Path) -> Reading | None:
    """Read the control table of a card; None where it is damaged."""
    try:
        values = tomllib.loads(card.read_text(encoding="utf-8"))
        return _reading(values)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError):
        return None  # the session itself has refused, or will refuse, such a card in words


def find_card(subject: str) -> dict[str, Any] | None:
    """A subject's card as plain values; None where there is none, or it is damaged."""
    try:
        return tomllib.loads((_subjects() / subject / CARD).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None


def list_subjects() -> list[str]:
    """Names of all subjects that have a profile."""
    try:
        return sorted(p.name for p in _subjects().iterdir() if (p / CARD).is_file())
    except OSError:
        return []


def _reading(values: dict[str, Any]) -> Reading:
    score = values["score"]
    reached = {
        str(row["name"]): float(row["balanced"])
        for row in values.get("controls", ())
        if row.get("balanced") is not None
    }

    def best(names: tuple[str, ...]) -> float | None:
        return max((reached[name] for name in names if name in reached), default=None)

    return Reading(
        decoder=float(score["balanced"]),
        eyes=best(EYES),
        muscle=best(MUSCLE),
        chance=1.0 / len(values["classes"]),
        caveat=str(score.get("caveat", "")),
        trials=int(score["trials"]),
        created=str(values["created"]),
        dwell_s=values.get("online", {}).get("dwell_s"),
    )


def _subjects() -> Path:
    home = os.environ.get(HOME_VARIABLE, "")
    base = Path(home) if home else Path(platformdirs.user_data_dir("rtbci", appauthor=False))
    return base / "subjects"
