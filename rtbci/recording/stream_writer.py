"""Writes one stream: signal, sample times, counters, gaps and markers.

The order of the writes is the safety argument.  A killed process leaves a prefix of them, so:

1. ``commands.jsonl``: gaps and markers, before the rows that they belong to.  A replay must
   not miss a gap; one whose rows did not come any more is ignored by the reader.
2. ``*_times.bin``, then ``*_eeg.eeg``: the rows; what both have counts.
3. ``*_eeg.vmrk`` and ``*_events.tsv``: the same gaps and markers for other software, which
   complains of markers behind the end of the data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rtbci.recording.appendfile import AppendFile
from rtbci.recording.brainvision import header_text, marker_header_text
from rtbci.recording.jsontext import line, write_json, write_whole
from rtbci.recording.landmarks import (
    EVENT_HEADER,
    LandmarkText,
    WallClock,
    gap_values,
    in_file,
    marker_values,
)
from rtbci.recording.layout import StreamFiles
from rtbci.recording.sidecars import channels_text, sidecar
from rtbci.types import Chunk, Gap, StreamInfo

TIME_DTYPE = np.dtype([("time", "<f8"), ("counter", "<i8")])
"""A row of ``*_times.bin``."""
NO_COUNTER = np.iinfo(np.int64).min
"""Counter of a row that came without one."""


class StreamWriter:
    """One stream of a recording.  One thread at a time.

    Parameters
    ----------
    files : StreamFiles
        None of them exists yet.
    info : StreamInfo
    task : str
    wall : WallClock
    """

    def __init__(self, files: StreamFiles, info: StreamInfo, task: str, wall: WallClock) -> None:
        self.files = files
        self.info = info
        self.rows = 0
        self.gaps: list[Gap] = []
        self.markers = 0
        self._task = task
        self._wall = wall
        self._text: LandmarkText | None = None
        self._landmarks = 1
        write_static_files(files, info, task)
        self._commands = AppendFile(files.commands)
        self._times = AppendFile(files.times)
        self._data = AppendFile(files.data)
        self._vmrk = AppendFile(files.markers)
        self._events = AppendFile(files.events)
        self._vmrk.append(marker_header_text(files.data.name).encode())
        self._events.append(EVENT_HEADER.encode())
        self.commit()

    @property
    def open_files(self) -> tuple[AppendFile, ...]:
        """All files that grow."""
        return (self._commands, self._times, self._data, self._vmrk, self._events)

    def write_chunk(self, chunk: Chunk) -> None:
        """Append rows with their gaps and markers; the caller commits, or undoes at an OSError.

        Raises
        ------
        ValueError
            Where the chunk is not the next one, or not of this stream.
        """
        n_channels = len(self.info.channels)
        if chunk.start != self.rows:
            raise ValueError(f"row {self.rows} must be written next, got row {chunk.start}")
        if chunk.data.shape != (len(chunk.times), n_channels) or chunk.data.dtype != np.float32:
            raise ValueError(
                f"rows must be float32 of shape ({len(chunk.times)}, {n_channels}), got "
                f"{chunk.data.dtype} of shape {chunk.data.shape}"
            )
        after = self.rows + len(chunk.data)
        if chunk.gaps or chunk.markers:
            lines = [_command(gap.sample, "gap", gap_values(gap)) for gap in chunk.gaps]
            lines += [
                _command(marker.sample, "marker", marker_values(marker, chunk.start))
                for marker in chunk.markers
            ]
            self._commands.append(b"".join(lines))
        if len(chunk.data):
            times = np.empty(len(chunk.data), dtype=TIME_DTYPE)
            times["time"] = chunk.times
            times["counter"] = NO_COUNTER if chunk.counters is None else chunk.counters
            self._times.append(times.tobytes())
            self._data.append(chunk.data.astype("<f4", copy=False).tobytes())
            if self._text is None:
                first = float(chunk.times[0])
                self._text = LandmarkText(self.info.rate, first, self._wall)
                self._vmrk.append(self._text.vmrk_start().encode())
        items = in_file([*chunk.gaps, *chunk.markers], after)
        if items and self._text is not None:
            text, count = self._text, self._landmarks
            vmrk = "".join(text.vmrk(i, item) for i, item in enumerate(items, count + 1))
            self._vmrk.append(vmrk.encode())
            self._events.append("".join(map(text.event, items)).encode())
            self._landmarks += len(items)
        self.rows = after
        self.gaps.extend(chunk.gaps)
        self.markers += len(chunk.markers)

    def write_command(self, sample: int, kind: str, values: Any) -> None:
        """Append something that was decided at run time; the caller commits."""
        self._commands.append(_command(sample, kind, values))

    def commit(self) -> None:
        """Make what was written final."""
        for file in self.open_files:
            file.commit()

    def undo(self) -> None:
        """Take back what was written since the last commit."""
        for file in self.open_files:
            file.undo()

    def close(self) -> None:
        """Close the files; safe to call twice."""
        for file in self.open_files:
            file.close()

    def finish(self) -> None:
        """Write down how long it became, once no more rows come."""
        write_json(self.files.sidecar, sidecar(self.info, self._task, self.rows, self.gaps))


def write_static_files(files: StreamFiles, info: StreamInfo, task: str) -> list[Path]:
    """Write those files that don't grow and are not there yet; give their paths."""
    made: list[Path] = []
    header = header_text(info, files.data.name, files.markers.name)
    for path, text in ((files.header, header), (files.channels, channels_text(info))):
        if not path.exists():
            write_whole(path, text.encode())
            made.append(path)
    if not files.sidecar.exists():
        write_json(files.sidecar, sidecar(info, task))
        made.append(files.sidecar)
    return made


def _command(sample: int | None, kind: str, values: Any) -> bytes:
    return line({"sample": sample, "kind": kind, "values": values})
