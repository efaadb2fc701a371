"""From files to stretches of signal that can be prepared."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rtbci.classes import classes_for
from rtbci.errors import BadInputError
from rtbci.models.electrodes import GENERIC, electrode_ids
from rtbci.models.pretrain.corpus.prepared import Cue, RawRecording, subject_of
from rtbci.sources.formats import open_file

SUFFIXES = (".edf", ".bdf", ".gdf", ".vhdr", ".fif", ".set", ".xdf")
"""Kinds of files that are picked up in a folder."""

SHORTEST_S = 12.0
"""A stretch that is shorter teaches next to nothing: its baselines are not warm."""


def recordings_in(data: Sequence[Path]) -> list[tuple[Path, str]]:
    """Find recordings and whose they are, in a fixed order.

    Raises
    ------
    BadInputError
        Where a path does not exist or holds no recording.
    """
    found: list[Path] = []
    for path in data:
        if path.is_file():
            found.append(path)
            continue
        if not path.is_dir():
            raise BadInputError(f"{path} does not exist; name recordings or folders of them.")
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not inside:
            raise BadInputError(
                f"folder {path} holds no recording ({', '.join(SUFFIXES)}); name another."
            )
        found += inside
    if not found:
        raise BadInputError("there is no recording to train on; name files or folders.")
    return [(path, subject_of(path)) for path in dict.fromkeys(found)]


def read_raw(path: Path, subject: str) -> Iterator[RawRecording]:
    """Read a recording's electrodes, stretch by stretch where the file has gaps.

    Channels that are no electrode of the vocabulary are left out, as are stretches shorter than
    :data:`SHORTEST_S`.  Markers become cues where the file's name tells their classes.

    Raises
    ------
    BadInputError
        Where the file can't be read, with the reason.
    """
    opened = open_file(path)
    try:
        info = opened.info
        ids = electrode_ids(info.electrodes)
        columns = [c for c, i in zip(info.eeg, ids, strict=True) if i != GENERIC]
        names = tuple(info.channels[c].name for c in columns)
        classes = classes_for(path)
        edges = [0, *opened.breaks, opened.n_rows]
        for part, (start, stop) in enumerate(itertools.pairwise(edges)):
            if not columns or (stop - start) / info.rate < SHORTEST_S:
                continue
            begins, ends = start / info.rate, stop / info.rate
            yield RawRecording(
                name=path.stem if len(edges) == 2 else f"{path.stem}-{part}",
                subject=subject,
                rate=info.rate,
                electrodes=names,
                data=np.ascontiguousarray(opened.read(start, stop)[:, columns]),
                cues=tuple(
                    Cue(m.time - begins, classes[m.label])
                    for m in opened.markers
                    if m.label in classes and begins <= m.time < ends
                ),
            )
    finally:
        opened.close()
