"""What a subject's profile says of itself: plain values, written as TOML and checked when read."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtbci.calibration.controls.patterns import Pattern
from rtbci.calibration.evaluation.learning import LearningCurve
from rtbci.calibration.online.config import OnlineConfig
from rtbci.calibration.online.courses import Course
from rtbci.calibration.scoring.metrics import Metrics
from rtbci.calibration.scoring.verdict import Verdict
from rtbci.calibration.signal.learned import Learned
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.config import PreprocessConfig, from_dict
from rtbci.errors import BadInputError


@dataclass(frozen=True)
class Control:
    """One row of the table without which no decode score stands.

    Attributes
    ----------
    name : str
        ``decoder``, ``rim, low frequencies`` or ``central, low frequencies``.
    electrodes : int
        How many it reads.
    band_hz : tuple of float
    balanced : float | None
        Cross-validated balanced accuracy per trial; None where it could not be computed.
    note : str
        Why it could not, or what it reads.
    """

    name: str
    electrodes: int
    band_hz: tuple[float, float]
    balanced: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Candidate:
    """A decoder that was tried, and its balanced accuracy on the folds of the choice."""

    name: str
    balanced: float


@dataclass(frozen=True)
class Score:
    """How well the decoder did on trials that it was not fitted on.

    Attributes
    ----------
    balanced : float
        Balanced accuracy, one decision a trial.  Where several decoders were tried it is that of
        the whole choice, made again in each fold without the trials that it is scored on.
    label : str
        How it was split: ``across runs`` or ``within one run``.
    trials, rejected : int
        Trials scored, and trials left out as too bad.
    p_value : float
        From ``permutations`` permutations of the labels inside each run, the choice of the
        decoder included.
    caveat : str
        What speaks against reading it as motor cortex; empty where nothing does.
    """

    balanced: float
    label: str
    trials: int
    rejected: int
    p_value: float
    permutations: int
    caveat: str = ""


@dataclass(frozen=True)
class Rejected:
    """How many trials were left out for one reason."""

    reason: str
    trials: int


@dataclass(frozen=True)
class Card:
    """A profile, but for the decoder itself.

    Attributes
    ----------
    subject, created : str
        Pseudonym; date and time of the calibration (ISO 8601).
    decoder : str
        Name of the decoder (``csp+lda``).
    file, sha256 : str
        Where the fitted decoder lies beside the card, and its content hash.
    classes, electrodes : tuple of str
        In the decoder's order.
    source_rate : float
        Of the recordings, Hz.
    recordings : tuple of str
        Names of what it was fitted on.
    preprocess, view
        The causal chain that its input went through.
    online : OnlineConfig
        Evidence, thresholds and adaptation in a session.
    score, controls
        Cross-validated, before the decoder was fitted on all.
    candidates : tuple of Candidate
        Every decoder that was tried, simplest first.
    chosen : tuple of str
        What was chosen, what was left, and why.
    metrics : Metrics | None
        All scores of the trials that ``score`` is of.
    verdict : Verdict | None
    curve : LearningCurve | None
        None where there were too few trials for one.
    patterns : tuple of Pattern
        What the decoder reads, on the head.
    regressed : tuple of str
        Electrodes that are regressed out of the decoder's.
    montage : tuple of str
        All EEG electrodes of the recordings.
    rejected : tuple of Rejected
        Trials left out, by reason.
    learned : Learned | None
        What a signal check showed of eyes and muscle: regression and flags begin with it.
    rechecked : tuple of str
        When it was checked again, and what was found; the last comes last.
    courses : tuple of Course
        What its trials' tokens say to a decoder that does not know them.
    """

    subject: str
    created: str
    decoder: str
    file: str
    sha256: str
    classes: tuple[str, ...]
    electrodes: tuple[str, ...]
    source_rate: float
    recordings: tuple[str, ...]
    score: Score
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    view: ViewConfig = field(default_factory=ViewConfig)
    online: OnlineConfig = field(default_factory=OnlineConfig)
    candidates: tuple[Candidate, ...] = ()
    controls: tuple[Control, ...] = ()
    chosen: tuple[str, ...] = ()
    metrics: Metrics | None = None
    verdict: Verdict | None = None
    curve: LearningCurve | None = None
    patterns: tuple[Pattern, ...] = ()
    regressed: tuple[str, ...] = ()
    montage: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    learned: Learned | None = None
    rechecked: tuple[str, ...] = ()
    courses: tuple[Course, ...] = ()


BEFORE: dict[str, dict[str, Any]] = {"online": {"flag_hold_s": 0.0, "flag_settle_s": 0.0}}
"""What decoders did before a knob was there, by table: cards that lack it were made then, and
what was recorded with them replays as it was."""


def write_card(card: Card) -> str:
    """TOML text of a card."""
    return "".join(_lines(dataclasses.asdict(card), ""))


def read_card(path: Path) -> Card:
    """Read a card.

    Raises
    ------
    BadInputError
        Where it can't be read, is not TOML, or lacks what a card has.
    """
    remedy = "calibrate again, or take the last one from its history folder"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise BadInputError(f"profile {path} can't be read: {err.strerror}; {remedy}.") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise BadInputError(f"profile {path} is damaged ({err}); {remedy}.") from err
    for table, knobs in BEFORE.items():
        if isinstance(values.get(table), dict):
            values[table] = knobs | values[table]
    needed = [
        f.name
        for f in dataclasses.fields(Card)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    lacking = [name for name in needed if name not in values]
    if lacking:
        raise BadInputError(f"profile {path} is damaged (it has no {lacking[0]}); {remedy}.")
    try:
        return from_dict(Card, values, str(path))
    except TypeError as err:
        raise BadInputError(f"profile {path} is damaged ({err}); {remedy}.") from err


def _lines(table: dict[str, Any], prefix: str) -> list[str]:
    """Lines of a table: its own values first, then its tables; None is left out."""
    made, below = [], []
    for key, value in table.items():
        name = f"{prefix}{key}"
        if value is None:
            continue
        if isinstance(value, dict):
            below += [f"\n[{name}]\n", *_lines(value, f"{name}.")]
        elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
            for row in value:
                below += [f"\n[[{name}]]\n", *_lines(row, f"{name}.")]
        else:
            # NB: JSON's strings, numbers and arrays are TOML's too, for finite numbers.
            made.append(f"{key} = {json.dumps(value, ensure_ascii=False)}\n")
    return made + below
