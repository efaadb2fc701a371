"""From files to stretches of signal that can be prepared: electrodes, gaps, cues.

    file --open_file--> rows --gaps--> stretches of electrodes that have a place, with their cues

Rows are read block by block.  A gap that is bridged live is bridged here in the same way; behind a
longer one a new stretch begins.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtbci.classes import CLASSES
from rtbci.errors import BadInputError, SourceError
from rtbci.models.electrodes import GENERIC, electrode_ids
from rtbci.models.pretrain.corpus import bids, gaps
from rtbci.models.pretrain.corpus.recordings import BLOCK_ROWS, Cue, RawRecording
from rtbci.models.pretrain.corpus.sources import Source, describe, find_sources
from rtbci.montage import apply_montage
from rtbci.playback import known_classes
from rtbci.preprocess import bridge_rows
from rtbci.recording.reader import is_recording, open_recording
from rtbci.sources.formats import open_file
from rtbci.sources.formats.common import Opened
from rtbci.types import ChannelType, FloatArray, Gap, IndexArray, Marker, TimeArray

SHORTEST_S = 12.0
"""A stretch that is shorter teaches next to nothing: its baselines are not warm."""

NO_POSITION = "no position"
"""Begins the reason of a channel whose place on the head nobody knows."""

N170_CLASSES = {"1": "house", "2": "face"}
"""Markers of EEG-ExPy's visual N170 experiment."""

_N170 = re.compile(r"n170", re.IGNORECASE)
_OVERLAP_S = 0.1
"""Cues may overlap by so much before nobody knows which of them was meant."""


@dataclass(frozen=True)
class FileStretch:
    """A :class:`~rtbci.models.pretrain.corpus.recordings.Stretch` of an open file.

    Attributes
    ----------
    name, subject, dataset, electrodes, cues
        As of any stretch.
    opened : Opened
    columns : ndarray, shape (n_electrodes,), int64
    start, stop : int
        Rows of the file.
    bridges : mapping of int to int
        Rows that are missing before a row of the file.
    """

    name: str
    subject: str
    dataset: str
    electrodes: tuple[str, ...]
    cues: tuple[Cue, ...]
    opened: Opened
    columns: IndexArray
    start: int
    stop: int
    bridges: Mapping[int, int]

    @property
    def rate(self) -> float:
        """Hz."""
        return self.opened.info.rate

    @property
    def n_rows(self) -> int:
        """Rows in all, bridges included."""
        return self.stop - self.start + sum(self.bridges.values())

    def blocks(self) -> Iterator[FloatArray]:
        """All rows in order, block by block.

        Raises
        ------
        SourceError
            Where the file is damaged further on.
        """
        before: FloatArray | None = None
        for start in range(self.start, self.stop, BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, self.stop)
            block = np.ascontiguousarray(self.opened.read(start, stop)[:, self.columns])
            parts, done = [], 0
            for row in sorted(r for r in self.bridges if start <= r < stop):
                at = row - start
                last = block[at - 1] if at else before
                parts.append(block[done:at])
                if last is not None:
                    parts.append(bridge_rows(last, block[at], self.bridges[row]))
                done = at
            before = block[-1]
            yield np.concatenate([*parts, block[done:]]) if parts else block

    def load(self) -> RawRecording:
        """Read all rows into memory."""
        return RawRecording(
            name=self.name,
            subject=self.subject,
            rate=self.rate,
            electrodes=self.electrodes,
            data=np.concatenate(list(self.blocks())),
            cues=self.cues,
            dataset=self.dataset,
        )


@dataclass(frozen=True)
class FileContent:
    """What is in an open file.

    Attributes
    ----------
    stretches : tuple of FileStretch
        Those that are long enough, of the electrodes that have a place.
    left_out : dict of str to str
        Channels that are no such electrodes, with the reason.
    notes : tuple of str
        What else should be known.
    n_electrodes : int
        Channels that are not left out.
    seconds : float
        Of all that is in it.
    """

    stretches: tuple[FileStretch, ...]
    left_out: dict[str, str]
    notes: tuple[str, ...]
    n_electrodes: int
    seconds: float


def recordings_in(data: Sequence[Path | str]) -> list[tuple[Path, str]]:
    """Find recordings and whose they are, in a fixed order.

    Raises
    ------
    BadInputError
        Where a path does not exist or holds no recording.
    """
    return [(source.path, source.origin.subject) for source in find_sources(data)]


def read_raw(path: Path, subject: str) -> Iterator[RawRecording]:
    """Read a recording's electrodes into memory, stretch by stretch where the file has gaps.

    Channels that are no electrode of the vocabulary are left out, as are stretches shorter than
    :data:`SHORTEST_S`.  Markers become cues where the file, its name or what stands beside it
    tells their classes.

    Raises
    ------
    BadInputError
        Where the file can't be read, with the reason.
    """
    origin = dataclasses.replace(describe(path), subject=subject)
    stem = path.name if path.is_dir() else path.stem
    with content_of(Source(path, path.name, stem, origin)) as content:
        for stretch in content.stretches:
            yield stretch.load()


@contextmanager
def content_of(
    source: Source, *, cut_off: bool = False, montage: Sequence[str] = ()
) -> Iterator[FileContent]:
    """Open a recording and tell what is in it; it is closed again behind the ``with``.

    Parameters
    ----------
    source : Source
    cut_off : bool
        Take a file that ends too early for what is there.
    montage : sequence of str
        Names of the channels of a recording that names none itself.

    Raises
    ------
    BadInputError
        Where the file can't be read, with the reason.
    """
    path = source.path
    decided: list[Gap] | None = None
    if path.is_dir():
        opened, decided = _open_own(path)
    else:
        opened = open_file(path, cut_off=cut_off)
    try:
        if montage and not any(electrode_ids(opened.info.electrodes)):
            opened = dataclasses.replace(opened, info=apply_montage(opened.info, montage))
        yield _content(opened, source, decided)
    finally:
        opened.close()


def _content(opened: Opened, source: Source, decided: list[Gap] | None) -> FileContent:
    info, path = opened.info, source.path
    columns, left_out = _electrodes(opened, path)
    electrodes = tuple(info.channels[c].name for c in columns)
    cues, notes = _cues(opened, path)
    rows = _rows_of(opened, cues)
    edges, bridges = gaps.found(opened) if decided is None else gaps.decided(decided, opened.n_rows)
    stretches, short = [], []
    for part, (start, stop) in enumerate(itertools.pairwise(edges)):
        inside = {row: n for row, n in bridges.items() if start < row < stop}
        if (stop - start) / info.rate < SHORTEST_S:
            short.append(f"{(stop - start) / info.rate:.1f} s")
            continue
        stretches.append(
            FileStretch(
                name=source.name if len(edges) == 2 else f"{source.name}-{part}",
                subject=source.origin.subject,
                dataset=source.origin.dataset,
                electrodes=electrodes,
                cues=tuple(_within(cues, rows, start, stop, inside, info.rate)),
                opened=opened,
                columns=np.array(columns, np.int64),
                start=start,
                stop=stop,
                bridges=inside,
            )
        )
    notes = [*map(str, info.device.get("notes", ())), *notes]
    if short:
        shown = ", ".join(short[:5]) + (", ..." if len(short) > 5 else "")
        notes.append(
            f"{len(short)} of {len(edges) - 1} stretches between gaps left out, shorter than "
            f"{SHORTEST_S:g} s: {shown}"
        )
    if bridges:
        notes.append(f"{len(bridges)} short gaps bridged ({sum(bridges.values())} rows)")
    return FileContent(
        stretches=tuple(stretches) if columns else (),
        left_out=left_out,
        notes=tuple(notes),
        n_electrodes=len(columns),
        seconds=opened.n_rows / info.rate,
    )


def _electrodes(opened: Opened, path: Path) -> tuple[list[int], dict[str, str]]:
    """Columns of electrodes that have a place on the head; why the other channels are none."""
    said = bids.bad_channels(path)
    columns, left_out = [], {}
    for column, channel in enumerate(opened.info.channels):
        if channel.type is not ChannelType.EEG:
            left_out[channel.name] = f"not an electrode ({channel.type})"
        elif channel.name in said:
            left_out[channel.name] = said[channel.name]
        elif electrode_ids([channel.name]) == [GENERIC]:
            left_out[channel.name] = f"{NO_POSITION}: its name is none of the 10-05 system"
        else:
            columns.append(column)
    return columns, left_out


def _rows_of(opened: Opened, markers: Sequence[Marker]) -> TimeArray:
    """Where markers lie between the rows of the file, shape (n_markers,).

    Rows count, not seconds: a device whose clock is 0.5 % slow is off by 0.3 s after a minute.
    """
    times = np.array([m.time for m in markers])
    if opened.times is None:
        return times * opened.info.rate
    at: TimeArray = np.interp(times, opened.times, np.arange(opened.n_rows), -1.0, np.inf)
    return at


def _within(
    cues: Sequence[Marker],
    rows: TimeArray,
    start: int,
    stop: int,
    bridges: Mapping[int, int],
    rate: float,
) -> Iterator[Cue]:
    """Cues within a stretch, their times counted in its rows."""
    for cue, row in zip(cues, rows, strict=True):
        if start <= row < stop:
            bridged = sum(n for at, n in bridges.items() if at <= row)
            yield Cue(float(row - start + bridged) / rate, cue.label)


def _cues(opened: Opened, path: Path) -> tuple[list[Marker], list[str]]:
    """Markers whose class is known, called as it; and what is wrong with others."""
    markers, classes = opened.markers, known_classes(path)
    if not classes and _N170.search(path.absolute().as_posix()) and path.suffix == ".csv":
        classes = N170_CLASSES
    if not classes:
        markers = bids.events(path) or markers
        classes = {c: c for c in CLASSES}
    cues = [dataclasses.replace(m, label=classes[m.label]) for m in markers if m.label in classes]
    clear = [
        not any(
            other is not cue
            and other.label != cue.label
            and other.time < cue.time + max(cue.duration - _OVERLAP_S, 1e-9)
            and cue.time < other.time + max(other.duration - _OVERLAP_S, 1e-9)
            for other in cues[max(0, i - 8) : i + 9]
        )
        for i, cue in enumerate(cues)
    ]
    if all(clear):
        return cues, []
    note = f"{clear.count(False)} of {len(cues)} cues left out: they overlap with others"
    return [c for c, good in zip(cues, clear, strict=True) if good], [note]


def _open_own(path: Path) -> tuple[Opened, list[Gap]]:
    """Open a recording of ours, with the gaps that were decided live."""
    if not is_recording(path):
        raise BadInputError(f"{path} is a folder that holds no recording of rtbci.")
    recording = open_recording(path)
    main = recording.main
    if main.n_rows == 0:
        raise BadInputError(f"{path} holds no rows: nothing was recorded.")
    begins = float(main.times(0, 1)[0])
    markers = [dataclasses.replace(m, time=m.time - begins) for m in main.markers()]

    def read(start: int, stop: int) -> FloatArray:
        try:
            return main.data(start, stop)
        except (OSError, ValueError) as err:
            raise SourceError(f"{path} can't be read at row {start}: {err}.") from err

    opened = Opened(
        info=dataclasses.replace(recording.info, name=path.name),
        n_rows=main.n_rows,
        read=read,
        times=main.times() - begins,
        markers=tuple(sorted(markers, key=lambda m: m.time)),
    )
    return opened, main.gaps()
