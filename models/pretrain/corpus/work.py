"""One recording from file to prepared stretches; what a worker process does, again and again.

OUT/NAME/            a stretch each (:mod:`rtbci.models.pretrain.corpus.prepared`)
OUT/sources/NAME.json    what came of a file: kept, so that it need not be read again
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rtbci.errors import BadInputError, RtbciError
from rtbci.models.config import ModelConfig
from rtbci.models.pretrain.corpus.manifest import Entry, LeftOut, entry_of
from rtbci.models.pretrain.corpus.prepared import open_prepared, prepare, settings_of
from rtbci.models.pretrain.corpus.quality import judge
from rtbci.models.pretrain.corpus.read import (
    NO_POSITION,
    SHORTEST_S,
    FileContent,
    FileStretch,
    content_of,
)
from rtbci.models.pretrain.corpus.sources import Source
from rtbci.models.pretrain.corpus.store import DiskError, writing
from rtbci.recording.jsontext import write_json

SOURCES = "sources"
_PIECE = 1 << 20


@dataclass(frozen=True)
class Outcome:
    """What came of a file.

    Attributes
    ----------
    entries : tuple of Entry
        Its prepared stretches.
    left_out : LeftOut | None
        Where there are none, why.
    """

    entries: tuple[Entry, ...] = ()
    left_out: LeftOut | None = None


def sha256_of(source: Source) -> str:
    """SHA-256 of a recording's file; of the hashes of all its files where there are several.

    Raises
    ------
    BadInputError
        Where one can't be read.
    """
    hashes = []
    for path in source.files():
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    digest.update(piece)
        except OSError as err:
            raise BadInputError(f"{path} can't be read: {err.strerror}.") from err
        hashes.append(digest.hexdigest())
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def prepare_source(
    source: Source,
    sha256: str,
    out: Path,
    config: ModelConfig,
    montage: Sequence[str] = (),
    progress: Callable[[float], None] | None = None,
) -> Outcome:
    """Prepare a recording, or take what is there of it.

    What is wrong with the recording becomes a reason, not an error.  ``montage`` names the channels
    of a recording that names none itself.

    Raises
    ------
    DiskError
        Where it can't be written.
    """
    made_with = {
        "sha256": sha256,
        "settings": settings_of(config),
        "montage": list(montage),
        "origin": asdict(source.origin),
    }
    kept = _kept(source, out, made_with)
    if kept is not None:
        return kept
    try:
        with content_of(source, cut_off=True, montage=montage) as content:
            outcome = _prepare_content(content, source, sha256, out, config, progress)
    except DiskError:
        raise
    except (RtbciError, OSError) as err:
        return _without(source, _reason(source, err))
    if outcome.entries:
        with writing(out):
            (out / SOURCES).mkdir(exist_ok=True)
            write_json(
                _journal(out, source),
                made_with | {"entries": [asdict(e) for e in outcome.entries]},
            )
    return outcome


def _prepare_content(
    content: FileContent,
    source: Source,
    sha256: str,
    out: Path,
    config: ModelConfig,
    progress: Callable[[float], None] | None,
) -> Outcome:
    """Judge and prepare the stretches of an open recording."""
    if not content.stretches:
        return _without(source, _nothing(content))
    made, reasons = [], []
    total = sum(s.n_rows for s in content.stretches)
    before = 0
    for stretch in content.stretches:
        begin, share = before / total, stretch.n_rows / total
        before += stretch.n_rows
        judged = judge(stretch, config.preprocess)
        kept = _keep(stretch, judged.left_out, judged.n_rows)
        if judged.n_rows < SHORTEST_S * stretch.rate:
            reasons.append(f"too short: {judged.note}")
            continue
        if not kept.electrodes:
            reasons.append(f"no good electrode: {_listed(judged.left_out)}")
            continue

        def tell(done: float, begin: float = begin, share: float = share) -> None:
            if progress is not None:
                progress(begin + share * done)

        prepared = prepare(kept, out, config, tell, f"{sha256} {stretch.start} {kept.stop}")
        notes = (*content.notes, judged.note) if judged.note else content.notes
        made.append(
            Entry(
                name=prepared.name,
                source=source.place,
                sha256=sha256,
                dataset=source.origin.dataset,
                subject=source.origin.subject,
                session=source.origin.session,
                run=source.origin.run,
                licence=source.origin.licence,
                rate_hz=stretch.rate,
                electrodes=prepared.electrodes,
                hours=round(len(prepared.signal) / config.rate_hz / 3600, 6),
                cues=dict(sorted(Counter(c.label for c in prepared.cues).items())),
                left_out=dict(sorted((content.left_out | judged.left_out).items())),
                notes=notes,
            )
        )
    if not made:
        return _without(source, "; ".join(dict.fromkeys(reasons)))
    if reasons:
        said = f"{len(reasons)} stretches left out: {'; '.join(dict.fromkeys(reasons))}"
        made = [replace(e, notes=(*e.notes, said)) for e in made]
    return Outcome(tuple(made))


def _keep(stretch: FileStretch, left_out: dict[str, str], n_rows: int) -> FileStretch:
    """Take bad channels and rows that can't be read off."""
    keep = np.array([name not in left_out for name in stretch.electrodes], np.bool_)
    stop = stretch.start + n_rows
    return replace(
        stretch,
        electrodes=tuple(n for n in stretch.electrodes if n not in left_out),
        columns=stretch.columns[keep],
        stop=stop,
        bridges={row: n for row, n in stretch.bridges.items() if row < stop},
        cues=tuple(c for c in stretch.cues if c.time < n_rows / stretch.rate),
    )


def _kept(source: Source, out: Path, made_with: dict[str, Any]) -> Outcome | None:
    """What came of a recording before; None where it is another, or something is missing."""
    try:
        known: dict[str, Any] = json.loads(_journal(out, source).read_text(encoding="utf-8"))
        entries = tuple(entry_of(e) for e in known.pop("entries"))
        if known != json.loads(json.dumps(made_with)):
            return None
        for entry in entries:
            open_prepared(out / entry.name)
    except (OSError, ValueError, KeyError, TypeError, BadInputError):
        return None
    return Outcome(tuple(replace(e, source=source.place) for e in entries))


def _journal(out: Path, source: Source) -> Path:
    return out / SOURCES / f"{source.name}.json"


def _without(source: Source, reason: str) -> Outcome:
    return Outcome(left_out=LeftOut(source.place, source.origin.subject, reason))


def _nothing(content: FileContent) -> str:
    """Why a recording holds no stretch at all."""
    if content.n_electrodes:
        return f"too short: {content.seconds:.1f} s, and {SHORTEST_S:g} s are the least"
    why = f"none of its {len(content.left_out)} channels is usable: {_listed(content.left_out)}"
    unnamed = any(reason.startswith(NO_POSITION) for reason in content.left_out.values())
    return why + ("; --montage tells what they are" if unnamed else "")


def _listed(left_out: dict[str, str]) -> str:
    """Name channels with their reasons, those with the same one together."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        by_reason.setdefault(reason, []).append(name)
    parts = []
    for reason, names in by_reason.items():
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        parts.append(f"{shown} ({reason})")
    return "; ".join(parts[:4]) + ("; ..." if len(parts) > 4 else "")


def _reason(source: Source, err: Exception) -> str:
    """What an error says, without the path of this machine."""
    text = " ".join(str(err).split())
    for name in {path.name for path in (*source.files(), source.path)}:
        text = re.sub(r"[^\s'\"]*[/\\]" + re.escape(name), name.replace("\\", r"\\"), text)
    return f"unreadable: {text.rstrip('.')}"
