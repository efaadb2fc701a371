"""Finding recordings: in folders, BIDS roots and public data sets; whose they are, by their names.

Names of BIDS, EEGMMIDB, EEGMAT and EEG-ExPy tell subject, session and run.  A file named otherwise
counts as a subject of its own: name it as BIDS does where one person has several.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rtbci.errors import BadInputError
from rtbci.recording.layout import SESSION
from rtbci.sources.formats import looks_like_recording
from rtbci.sources.moabb_source import CLASSES, PREFIX, expand

SUFFIXES = (".edf", ".bdf", ".gdf", ".vhdr", ".fif", ".fif.gz", ".set", ".xdf", ".xdfz")
"""Kinds of files that are picked up in a folder; .csv and .txt where they begin as recordings."""

DESCRIPTION = "dataset_description.json"
"""A folder that holds it is a BIDS root."""

LICENCES = {"eegmmidb": "ODC-By-1.0", "eegmat": "ODC-By-1.0", "eegexpy": "BSD-3-Clause"}
"""Of data sets that are known by the names of their files."""

_COMPANIONS = {".vhdr": (".eeg", ".vmrk", ".dat"), ".set": (".fdt",)}
_NOT_RAW = {"derivatives", "sourcedata", "code", "stimuli"}
_LATER_PART = re.compile(r"(?:-\d+|_split-0*(?:[2-9]|[1-9]\d+)\w*)(?:\.fif)(?:\.gz)?$")
_EEGMMIDB = re.compile(r"^(?P<subject>S\d{3})R(?P<run>\d{2})$")
_EEGMAT = re.compile(r"^(?P<subject>Subject\d{2})_(?P<run>\d)$")
_BIDS = re.compile(r"^sub-(?P<subject>[A-Za-z0-9]+)_")
_ENTITY = re.compile(r"_(?P<key>ses|run)-(?P<value>[A-Za-z0-9]+)")
_EXPY = re.compile(r"^(?P<site>.+)_sub(?P<subject>\d+)_ses(?P<session>\d+)_")
_EXPY_FOLDERS = re.compile(
    r"(?P<site>[^/]+)/[^/]+/subject(?P<subject>\d+)/session(?P<session>\d+)$"
)


@dataclass(frozen=True)
class Origin:
    """Where a recording comes from.

    Attributes
    ----------
    dataset : str
    subject : str
        Its data set in front, so that two of them never share one.
    session, run : str
        Empty where there is none.
    licence : str | None
        None where it is not known.
    """

    dataset: str
    subject: str
    session: str = ""
    run: str = ""
    licence: str | None = None


@dataclass(frozen=True)
class Source:
    """A recording that was found.

    Attributes
    ----------
    path : Path
        A file, or the folder of a recording of ours.
    place : str
        Where it is below what was asked for, that one's name in front; the same on any machine.
    name : str
        Unique among all that were found.
    origin : Origin
    """

    path: Path
    place: str
    name: str
    origin: Origin

    def files(self) -> list[Path]:
        """All files it consists of, in a fixed order."""
        if self.path.is_dir():
            return sorted(p for p in self.path.iterdir() if p.is_file())
        beside = _COMPANIONS.get(self.path.suffix.lower(), ())
        more = [self.path.with_suffix(s) for s in beside]
        return [self.path, *(p for p in more if p.is_file())]


def find_sources(data: Sequence[Path | str]) -> list[Source]:
    """Find recordings, in a fixed order.

    Parameters
    ----------
    data : sequence of path or str
        Recordings, folders, BIDS roots, ``moabb:NAME`` or ``moabb:NAME/SUBJECT``.

    Raises
    ------
    BadInputError
        Where one of them does not exist or holds no recording.
    """
    found: dict[Path, Source] = {}
    for place, path in sorted((place, path) for asked in data for path, place in _inside(asked)):
        source = Source(path, place, _stem(path), describe(path))
        found.setdefault(path.resolve(), source)
    if not found:
        raise BadInputError("there is no recording to train on; name files or folders.")
    return _named(list(found.values()))


def subject_of(path: Path) -> str:
    """Whose recording a file is, by its name."""
    return describe(path).subject


def describe(path: Path) -> Origin:
    """Where a recording comes from, by its name and what stands beside it."""
    stem = _stem(path)
    for dataset, pattern in (("eegmmidb", _EEGMMIDB), ("eegmat", _EEGMAT)):
        match = pattern.match(stem)
        if match:
            return Origin(
                dataset, f"{dataset}-{match['subject']}", "", match["run"], LICENCES[dataset]
            )
    expy = _EXPY.match(stem) or _EXPY_FOLDERS.search(path.parent.as_posix())
    if expy and path.suffix == ".csv":
        subject = f"eegexpy-{expy['site']}-{expy['subject']}"
        return Origin("eegexpy", subject, expy["session"], "", LICENCES["eegexpy"])
    match = _BIDS.match(stem + "_")
    if match:
        entities = {m["key"]: m["value"] for m in _ENTITY.finditer(stem)}
        dataset, licence = _bids_dataset(path)
        subject = f"{dataset}-{match['subject']}"
        return Origin(dataset, subject, entities.get("ses", ""), entities.get("run", ""), licence)
    return Origin(path.absolute().parent.name, stem)


def bids_root(path: Path) -> Path | None:
    """The BIDS root that a file lies in; None outside of any."""
    return next((p for p in path.absolute().parents if (p / DESCRIPTION).is_file()), None)


def _bids_dataset(path: Path) -> tuple[str, str | None]:
    """Name and licence of the data set of a file that is named as BIDS has it."""
    if (path.parent / CLASSES).is_file():
        return path.absolute().parent.name, None
    if any(path.glob(f"*{SESSION}")):
        return "rtbci", None
    root = bids_root(path)
    if root is None:
        return "bids", None
    try:
        said = json.loads((root / DESCRIPTION).read_text(encoding="utf-8"))
        name, licence = str(said.get("Name", "")), said.get("License")
    except (OSError, ValueError, AttributeError):
        name, licence = "", None
    plain = re.sub(r"[^A-Za-z0-9]+", "-", name or root.name).strip("-").lower()
    return plain or "bids", str(licence) if licence else None


def _inside(asked: Path | str) -> Iterator[tuple[Path, str]]:
    """Recordings in what was asked for, each with its place."""
    text = str(asked)
    if text.startswith(PREFIX):
        dataset = text.partition("/")[0]
        for file in expand([text]):
            yield file, f"{dataset}/{file.name}"
        return
    path = Path(asked)
    if path.is_file():
        own = sorted(path.parent.glob(f"*{SESSION}"))
        mine = bool(own) and path.name.startswith(own[0].name.removesuffix(SESSION))
        chosen = path.parent if mine else path
        yield chosen, chosen.absolute().name
        return
    if not path.is_dir():
        raise BadInputError(f"{path} does not exist; name recordings or folders of them.")
    top = path.resolve()
    inside = sorted(_walk(path))
    if not inside:
        raise BadInputError(
            f"folder {path} holds no recording ({', '.join(SUFFIXES)}, .csv, .txt); name another."
        )
    for file in inside:
        below = file.relative_to(path).as_posix()
        yield file, top.name if below == "." else f"{top.name}/{below}"


def _walk(top: Path) -> Iterator[Path]:
    """Recordings in a folder and those below it."""
    for at, folders, names in os.walk(top, followlinks=True):
        here = Path(at)
        if any(name.endswith(SESSION) for name in names):
            folders.clear()
            yield here
            continue
        left_out = _NOT_RAW if DESCRIPTION in names else set()
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in left_out)
        for name in names:
            if not name.startswith(".") and _is_recording(here / name, names):
                yield here / name


def _is_recording(path: Path, beside: Sequence[str]) -> bool:
    """Whether a file is picked up."""
    name = path.name.lower()
    if name.endswith(SUFFIXES):
        later = _LATER_PART.search(name)
        first = later and any(
            n.lower().startswith(name[: later.start()]) for n in beside if n != path.name
        )
        return not first
    return name.endswith((".csv", ".txt")) and looks_like_recording(path)


def _stem(path: Path) -> str:
    """Name without its ending."""
    if path.is_dir():
        return path.absolute().name
    return path.name.removesuffix(".gz").rsplit(".", 1)[0] or path.name


def _named(sources: Sequence[Source]) -> list[Source]:
    """Give each a name of its own: that of its file, of its folders too where that comes twice."""
    names = [s.name for s in sources]
    for depth in range(1, 9):
        counts = Counter(names)
        if counts.most_common(1)[0][1] == 1:
            break
        names = [
            "-".join([*Path(s.place).parts[-1 - depth : -1], s.name]) if counts[n] > 1 else n
            for s, n in zip(sources, names, strict=True)
        ]
    seen: Counter[str] = Counter()
    made = []
    for source, name in zip(sources, names, strict=True):
        seen[name] += 1
        own = name if seen[name] == 1 else f"{name}-{seen[name]}"
        made.append(replace(source, name=own.replace(":", "-")))
    return made
