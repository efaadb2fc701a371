"""A recording that is open for reading: who, when, with which settings, and all that came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rtbci.config import SessionConfig, from_dict
from rtbci.errors import BadInputError, RecordingError
from rtbci.recording.jsontext import read_json, read_lines
from rtbci.recording.landmarks import WallClock
from rtbci.recording.layout import RecordingFiles
from rtbci.recording.results import (
    RecordedDecode,
    RecordedForecast,
    read_decode,
    read_forecasts,
)
from rtbci.recording.stream_reader import Command, StreamReader
from rtbci.recording.writer import FORMAT, VERSION
from rtbci.types import Channel, ChannelType, Chunk, Gap, Marker, SourceClock, StreamInfo


@dataclass(frozen=True)
class Recording:
    """One session on disk; :func:`rtbci.recording.reader.open_recording` makes it.

    Works on a recording that is torn, or still being written: it is what was whole when it was
    opened.

    Attributes
    ----------
    files : RecordingFiles
    info : StreamInfo
        The stream that the pipeline saw.
    config : SessionConfig
    subject, task : str
    run : int
    wall : WallClock
        Turns times of the session's clock into dates.
    rtbci : str
        Version that wrote it.
    extra : dict
        What else decides a result: model, decoder, platform, settings.
    main : StreamReader
    streams : dict of str to StreamReader
        Further streams by name.
    """

    files: RecordingFiles
    info: StreamInfo
    config: SessionConfig
    subject: str
    task: str
    run: int
    wall: WallClock
    rtbci: str
    extra: dict[str, Any]
    main: StreamReader
    streams: dict[str, StreamReader] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Rows that are whole."""
        return self.main.n_rows

    @property
    def summary(self) -> dict[str, Any] | None:
        """What the session came to; None where it did not end properly.

        Raises
        ------
        RecordingError
            Where it is damaged.
        """
        return read_json(self.files.summary) if self.files.summary.exists() else None

    @property
    def recovered(self) -> bool:
        """Whether something was mended after a crash."""
        return self.files.recovery.exists()

    def chunks(self, max_rows: int = 1000) -> Iterator[Chunk]:
        """Rows exactly as the pipeline saw them; see :meth:`StreamReader.chunks`."""
        return self.main.chunks(max_rows)

    def gaps(self) -> list[Gap]:
        """Gaps of the first stream."""
        return self.main.gaps()

    def markers(self) -> list[Marker]:
        """Markers of the first stream."""
        return self.main.markers()

    def commands(self) -> Iterator[Command]:
        """All that was decided at run time, gaps and markers included, in order."""
        return self.main.commands()

    def decodes(self) -> Iterator[RecordedDecode]:
        """Every decode, valid or not.

        Raises
        ------
        RecordingError
            Where a line before the last one is damaged.
        """
        for count, values in enumerate(read_lines(self.files.decodes), 1):
            try:
                decode = read_decode(values)
            except (KeyError, TypeError, ValueError, AttributeError) as err:
                raise RecordingError(
                    f"line {count} of {self.files.decodes} is damaged: {err!r}."
                ) from err
            yield decode

    def forecasts(self) -> Iterator[RecordedForecast]:
        """Every forecast: its published horizons and the hash of all of it.

        Raises
        ------
        RecordingError
            Where the file's header is damaged.
        """
        return read_forecasts(self.files.forecasts)


def read_recording(files: RecordingFiles) -> Recording:
    """Open the recording whose files these are.

    Raises
    ------
    BadInputError
        Where it was written by a later version, or the file is not ours.
    RecordingError
        Where its session file is damaged.
    """
    values = read_json(files.session)
    if values.get("format") != FORMAT:
        raise BadInputError(f"{files.session} was not written by rtbci, so this is no recording.")
    if values.get("version") != VERSION:
        raise BadInputError(
            f"{files.folder} is a recording of version {values.get('version')!r}, and this rtbci "
            f"({values.get('rtbci')} wrote it) reads version {VERSION}; install a newer rtbci."
        )
    try:
        info = read_info(values["stream"])
        streams = {}
        for stream in files.streams().values():
            said = read_json(stream.stream)
            streams[str(said["name"])] = StreamReader(stream, read_info(said["stream"]))
        return Recording(
            files=files,
            info=info,
            config=from_dict(SessionConfig, values["config"], f"{files.session}: config"),
            subject=values["subject"],
            task=values["task"],
            run=int(values["run"]),
            wall=WallClock(float(values["started"]), datetime.fromisoformat(values["wall_clock"])),
            rtbci=values["rtbci"],
            extra=values["extra"],
            main=StreamReader(files.main, info),
            streams=streams,
        )
    except (KeyError, TypeError, ValueError) as err:
        raise RecordingError(
            f"{files.session} is damaged ({err!r}), and without it the recording can't be "
            "understood; take it from a backup."
        ) from err


def read_info(values: dict[str, Any]) -> StreamInfo:
    """Read back a stream's description from plain values."""
    channels = tuple(
        Channel(c["name"], ChannelType(c["type"]), c["unit"], c["full_scale"])
        for c in values["channels"]
    )
    return StreamInfo(**(values | {"channels": channels, "clock": SourceClock(values["clock"])}))
