"""One way to play a file, whoever wrote it: a recording of ours, or any format that we read.

And one way to know what its markers mean.
"""

from __future__ import annotations

import json
from pathlib import Path

from rtbci.classes import CLASSES, classes_for
from rtbci.clock import Clock
from rtbci.montage import parse_montage
from rtbci.recording.reader import RecordingSource, is_recording, open_recording
from rtbci.sources import moabb_source
from rtbci.sources.base import Source
from rtbci.sources.pace import Speed
from rtbci.sources.replay import ReplaySource
from rtbci.types import CUE_ORIGIN


def file_source(
    path: Path,
    *,
    speed: Speed,
    montage: str | None = None,
    clock: Clock | None = None,
    board: str | None = None,
    stream: str | None = None,
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
    board, stream : str | None
        The board of a BrainFlow file, the stream of an XDF file, where the file alone does not
        tell which is meant.

    Raises
    ------
    BadInputError
        Where the montage or the speed is none.
    """
    names = None if montage is None else parse_montage(montage)
    if is_recording(path):
        return RecordingSource(path, speed=speed, montage=names, clock=clock)
    return ReplaySource(path, speed=speed, montage=names, clock=clock, board=board, stream=stream)


def known_classes(path: Path) -> dict[str, str]:
    """Tell what a file itself says of its markers: class by label, empty where it says nothing.

    A recording of ours knows the classes of its session; where it had none, markers that are
    called as a class are that class.  (``rest`` only where it was shown as a cue: it often
    marks the end of a trial.)  A run of a public data set has the list of its classes beside it
    (:mod:`rtbci.sources.moabb_source`).  Of other files the name may tell
    (:func:`rtbci.classes.classes_for`).
    """
    if not is_recording(path):
        beside = path.parent / moabb_source.CLASSES
        if path.suffix == ".fif" and beside.is_file():
            return {name: name for name in json.loads(beside.read_text(encoding="utf-8"))}
        return classes_for(path)
    recording = open_recording(path)
    said = recording.extra.get("classes")
    if said:
        return dict(said)
    cues = {
        marker.label
        for marker in recording.markers()
        if marker.label != "rest" or marker.origin == CUE_ORIGIN
    }
    return {name: name for name in CLASSES if name in cues}
