"""The list of what a corpus holds, of what was left out, and why.

Nothing in it depends on when, where or by how many processes it was made.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rtbci.config import PreprocessConfig, from_dict
from rtbci.errors import BadInputError
from rtbci.models.pretrain.corpus.prepared import FORMAT
from rtbci.recording.jsontext import write_json

FILE = "manifest.json"

_AGAIN = "prepare it anew: rtbci prepare DATA... --out SHARDS"


@dataclass(frozen=True)
class Entry:
    """A prepared recording.

    Attributes
    ----------
    name : str
        Of its folder.
    source : str
        Where it was found, below what was asked for.
    sha256 : str
        Of the file it came from (of all its files, where there are several).
    dataset, subject, session, run : str
    licence : str | None
        None where it is not known.
    rate_hz : float
        Of the recording; all are prepared at one rate.
    electrodes : tuple of str
    hours : float
    cues : dict of str to int
        How many of each class.
    left_out : dict of str to str
        Channels that were left out, with the reason.
    notes : tuple of str
        What else should be known.
    """

    name: str
    source: str
    sha256: str
    dataset: str
    subject: str
    session: str
    run: str
    licence: str | None
    rate_hz: float
    electrodes: tuple[str, ...]
    hours: float
    cues: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A recording that is not in the corpus.

    Attributes
    ----------
    source, subject : str
    reason : str
    """

    source: str
    subject: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """What a corpus holds.

    Attributes
    ----------
    settings : dict
        What shaped the arrays (:func:`rtbci.models.pretrain.corpus.prepared.settings_of`).
    complete : bool
        False where preparing was stopped before its end.
    recordings : tuple of Entry
        In the order of their names.
    left_out : tuple of LeftOut
        Recordings that could not be used.
    skipped : tuple of LeftOut
        Recordings of subjects who were not asked for.
    """

    settings: dict[str, Any]
    complete: bool
    recordings: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...] = ()
    skipped: tuple[LeftOut, ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        """Whose recordings it holds, sorted."""
        return tuple(sorted({e.subject for e in self.recordings}))

    @property
    def hours(self) -> float:
        """Of all recordings together."""
        return sum(e.hours for e in self.recordings)

    @property
    def electrode_hours(self) -> float:
        """Hours times electrodes."""
        return sum(e.hours * len(e.electrodes) for e in self.recordings)

    @property
    def preprocess(self) -> PreprocessConfig:
        """The chain that the recordings were prepared behind."""
        return from_dict(PreprocessConfig, self.settings["preprocess"], "the corpus's preprocess")

    def totals(self) -> dict[str, Any]:
        """How much of everything there is, plain values."""
        return {
            "recordings": len(self.recordings),
            "subjects": len(self.subjects),
            "datasets": len({e.dataset for e in self.recordings}),
            "hours": round(self.hours, 4),
            "electrode_hours": round(self.electrode_hours, 3),
            "left_out": len(self.left_out),
            "channels_left_out": sum(len(e.left_out) for e in self.recordings),
        }

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        values = {
            "format": FORMAT,
            "complete": self.complete,
            "settings": self.settings,
            "totals": self.totals(),
            "recordings": [asdict(e) for e in self.recordings],
            "left_out": [asdict(e) for e in self.left_out],
            "skipped": [asdict(e) for e in self.skipped],
        }
        write_json(folder / FILE, values)


def read_manifest(folder: Path) -> Manifest:
    """Read the list of a corpus.

    Raises
    ------
    BadInputError
        Where there is none, it is damaged, or another version wrote it.
    """
    path = folder / FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise BadInputError(
            f"{folder} is no corpus that rtbci prepare wrote: {path.name} can't be read "
            f"({err.strerror})."
        ) from err
    except ValueError as err:
        raise BadInputError(f"{path} is damaged ({err}); {_AGAIN}.") from err
    version = values.get("format") if isinstance(values, dict) else None
    if version != FORMAT:
        raise BadInputError(
            f"{folder} was prepared by another version of rtbci (its format is {version}, this "
            f"version reads {FORMAT}); {_AGAIN}."
        )
    try:
        if not isinstance(values["settings"]["preprocess"], dict):
            raise TypeError("its preprocess is no table of settings")
        return Manifest(
            settings=values["settings"],
            complete=values["complete"],
            recordings=tuple(entry_of(e) for e in values["recordings"]),
            left_out=tuple(LeftOut(**e) for e in values["left_out"]),
            skipped=tuple(LeftOut(**e) for e in values["skipped"]),
        )
    except (KeyError, TypeError) as err:
        raise BadInputError(f"{path} is damaged ({err!r}); {_AGAIN}.") from err


def entry_of(values: dict[str, Any]) -> Entry:
    """Read an entry back from plain values."""
    return Entry(
        **values | {"electrodes": tuple(values["electrodes"]), "notes": tuple(values["notes"])}
    )
