"""Mends what a crash left of a recording.

What a killed session can leave: a torn row, record or line at the end of a file, times whose
rows did not come any more, gaps and markers that have not reached the files for other software,
and no summary.  All that is cut off is kept in a ``.torn`` file beside it; files that somebody
has edited since are not written over.  Mending twice changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rtbci.errors import RecordingError, RtbciError, SourceError
from rtbci.events import gap_event
from rtbci.recording.brainvision import marker_header_text
from rtbci.recording.jsontext import line, whole_lines, write_json
from rtbci.recording.landmarks import EVENT_HEADER, ArrivedMarker, LandmarkText, WallClock, in_file
from rtbci.recording.layout import (
    TORN,
    RecordingFiles,
    StreamFiles,
    find_recording,
    find_recordings,
)
from rtbci.recording.recording import Recording, read_recording
from rtbci.recording.results import read_header
from rtbci.recording.sidecars import sidecar
from rtbci.recording.stream_reader import StreamReader
from rtbci.recording.stream_writer import TIME_DTYPE, write_static_files
from rtbci.recording.writer import recording_lock

Tell = Callable[[dict[str, Any]], None]


class StillRecordingError(RecordingError):
    """A session is writing the recording."""


@dataclass(frozen=True, slots=True)
class Repair:
    """Something that was mended.

    Attributes
    ----------
    path : Path
    what : str
        For people.
    """

    path: Path
    what: str


def recover(path: Path | str, tell: Tell | None = None) -> list[Repair]:
    """Mend a recording, or all recordings in a folder.

    Parameters
    ----------
    path : Path
        A recording's folder, a file in it, or a folder that holds recordings.  In such a folder
        those that are still being recorded are passed over, and one that can't be mended does
        not keep the others from it.
    tell : callable, optional
        Called at once with each ``repair`` event, and a ``note`` for what is passed over.

    Returns
    -------
    repairs : list of Repair
        Empty where there was nothing to mend.

    Raises
    ------
    BadInputError
        Where there is no recording.
    RecordingError
        Where the one that was named is still being recorded, or one can't be written to or
        has lost a file that can't be made again; raised once all others are mended.
    """
    path, tell = Path(path), tell or _nobody
    there = find_recordings(path) if path.is_dir() else []
    if [files.folder for files in there] in ([], [path]):
        return _told(_recover_one(find_recording(path)), tell)
    repairs: list[Repair] = []
    left: list[str] = []
    for files in there:
        try:
            repairs += _told(_recover_one(files), tell)
        except StillRecordingError as err:
            tell({"event": "note", "message": f"passed over: {err}"})
        except RtbciError as err:
            left.append(str(err))
    if left:
        raise RecordingError(
            f"{len(left)} of the {len(there)} recordings in {path} could not be mended (all "
            f"others are): {' '.join(left)}"
        )
    return repairs


def _nobody(_: dict[str, Any]) -> None:
    """Tell nobody."""


def _told(repairs: list[Repair], tell: Tell) -> list[Repair]:
    for repair in repairs:
        tell({"event": "repair", "file": str(repair.path), "what": repair.what})
    return repairs


def _recover_one(files: RecordingFiles) -> list[Repair]:
    """Mend one recording while nobody writes it."""
    lock = recording_lock(files)
    if not os.access(files.folder, os.W_OK):
        raise RecordingError(
            f"{files.folder} can't be mended: it can't be written to; make it writable, or mend "
            "a copy."
        )
    try:
        lock.acquire("rtbci recover")
    except SourceError as err:
        raise StillRecordingError(
            f"{files.folder} can't be mended now, because it is still being recorded; end that "
            f"session first: {lock.remedy}."
        ) from err
    try:
        repairs = _mend(files)
        if repairs:
            _note(files, repairs)
        return repairs
    except OSError as err:
        raise RecordingError(
            f"{files.folder} can't be mended: {err.strerror or err}; nothing was lost by trying. "
            "Free some space, and mend it again."
        ) from err
    finally:
        lock.release()
        lock.path.unlink(missing_ok=True)


def _mend(files: RecordingFiles) -> list[Repair]:
    recording = read_recording(files)
    repairs: list[Repair] = []
    for stream in (recording.main, *recording.streams.values()):
        repairs += _mend_stream(stream, recording.task, recording.wall)
    repairs += _cut(files.decodes, _whole_lines(files.decodes), "torn line")
    repairs += _cut(files.forecasts, _whole_records(files.forecasts), "torn record")
    recording = read_recording(files)
    if not files.summary.exists():
        for stream in (recording.main, *recording.streams.values()):
            facts = sidecar(stream.info, recording.task, stream.n_rows, stream.gaps())
            write_json(stream.files.sidecar, facts)
        write_json(files.summary, recovered_summary(recording))
        repairs.append(Repair(files.summary, "written from what is there"))
    return repairs


def _mend_stream(stream: StreamReader, task: str, wall: WallClock) -> list[Repair]:
    files, n_rows = stream.files, stream.n_rows
    _refuse_lost(files)
    repairs = [
        Repair(path, "was missing; made again")
        for path in write_static_files(files, stream.info, task)
    ]
    row = 4 * len(stream.info.channels)
    repairs += _cut(files.data, n_rows * row, "rows that are not whole")
    repairs += _cut(files.times, n_rows * TIME_DTYPE.itemsize, "times without rows")
    repairs += _cut(files.commands, _whole_lines(files.commands), "torn line")
    vmrk, events = expected_text(stream, wall)
    repairs += _complete(files.markers, vmrk)
    repairs += _complete(files.events, events)
    return repairs


def _refuse_lost(files: StreamFiles) -> None:
    """Refuse to go on where rows without times, or times without rows, would be cut away."""
    there = [path for path in (files.data, files.times) if path.exists()]
    if len(there) == 1 and there[0].stat().st_size:
        lost = files.times if there[0] == files.data else files.data
        raise RecordingError(
            f"{lost} is gone, and {there[0].name} alone can't be read; a crash does not remove "
            "files, so take it from a backup."
        )
    for path in (files.data, files.times):
        path.touch()


def expected_text(stream: StreamReader, wall: WallClock) -> tuple[str, str]:
    """What ``*_eeg.vmrk`` and ``*_events.tsv`` of a stream should hold."""
    vmrk, events = [marker_header_text(stream.files.data.name)], [EVENT_HEADER]
    if stream.n_rows:
        text = LandmarkText(stream.info.rate, float(stream.times(0, 1)[0]), wall)
        landmarks = [
            item.marker if isinstance(item, ArrivedMarker) else item for item in stream.landmarks()
        ]
        items = in_file(landmarks, stream.n_rows)
        vmrk.append(text.vmrk_start())
        vmrk += [text.vmrk(count, item) for count, item in enumerate(items, 2)]
        events += [text.event(item) for item in items]
    return "".join(vmrk), "".join(events)


def _complete(path: Path, expected: str) -> list[Repair]:
    """Cut a torn line, and add the lines that are missing if the rest is as we wrote it."""
    repairs = _cut(path, _whole_lines(path), "torn line")
    there = path.read_bytes() if path.exists() else b""
    wanted = expected.encode()
    if there != wanted and wanted.startswith(there):
        with path.open("ab") as file:
            file.write(wanted[len(there) :])
        count = wanted[len(there) :].count(b"\n")
        repairs.append(Repair(path, f"{count} missing line{'s' * (count != 1)} added"))
    return repairs


def _cut(path: Path, size: int, what: str) -> list[Repair]:
    """Cut a file to ``size`` bytes; what is cut off is kept beside it."""
    there = path.stat().st_size if path.exists() else 0
    if there <= size:
        return []
    with path.open("r+b") as file:
        file.seek(size)
        torn = file.read()
        with path.with_name(path.name + TORN).open("ab") as kept:
            kept.write(torn)
            kept.flush()
            os.fsync(kept.fileno())
        file.truncate(size)
    return [
        Repair(path, f"{what} at its end cut off ({len(torn)} bytes, kept in {path.name}{TORN})")
    ]


def _whole_lines(path: Path) -> int:
    return whole_lines(path.read_bytes()) if path.exists() else 0


def _whole_records(path: Path) -> int:
    known = read_header(path)
    if known is None:
        return 0
    header, start = known
    size = header.dtype.itemsize
    return start + (path.stat().st_size - start) // size * size


def recovered_summary(recording: Recording) -> dict[str, Any]:
    """Make the summary of a session that had no end, from what is there."""
    gaps, n_rows = recording.gaps(), recording.n_rows
    times = recording.main.times()
    first = float(times[0]) if n_rows else None
    decodes = [item.decode for item in recording.decodes()]
    return {
        "samples": n_rows,
        "decodes": sum(decode.valid for decode in decodes),
        "forecasts": sum(1 for _ in recording.forecasts()),
        "gaps": [gap_event(gap, first) for gap in gaps],
        "recording": recording.files.folder,
        "model": recording.extra.get("model"),
        "seconds": 0.0
        if first is None
        else round(float(times[-1]) - first + 1 / recording.info.rate, 3),
        "recovered": True,
    }


def _note(files: RecordingFiles, repairs: list[Repair]) -> None:
    """Write down in the recording what was mended."""
    when = datetime.now(UTC).isoformat()
    lines = [line({"when": when, "file": r.path.name, "what": r.what}) for r in repairs]
    with files.recovery.open("ab") as file:
        file.write(b"".join(lines))
