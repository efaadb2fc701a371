"""One way to play a file, whoever wrote it: a recording of ours, or any format that we read."""

from __future__ import annotations

from pathlib import Path

from rtbci.clock import Clock
from rtbci.montage import parse_montage
from rtbci.recording.reader import RecordingSource, is_recording
from rtbci.sources.base import Source
from rtbci.sources.pace import Speed
from rtbci.sources.replay import ReplaySource


def file_source(
    path: Path, *, speed: Speed, montage: str | None = None, clock: Clock | None = None
) -> Source:
    """Make the source that plays a file; not open yet.

    Parameters
    ----------
    path : Path
    speed : float | "max"
        1 is life.
    montage : str | None
        As ``--montage`` takes it; the file's own names where None.
    clock : Clock | None
        The session's clock; the machine's where None.

    Raises
    ------
    BadInputError
        Where the montage or the speed is none.
    """
    names = None if montage is None else parse_montage(montage)
    kind = RecordingSource if is_recording(path) else ReplaySource
    return kind(path, speed=speed, montage=names, clock=clock)
