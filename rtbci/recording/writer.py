"""Records a session so that nothing can spoil it: not a crash, not a full disk.

Owned by one thread, which may wait for the disk.  Every write is with the operating system
when it returns (a killed process loses nothing that was written), and on the disk within
:data:`SYNC_S` (neither does a machine without power, beyond that).
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rtbci
from rtbci.clock import Clock, MonotonicClock
from rtbci.config import SessionConfig, to_dict
from rtbci.errors import BadInputError, RecordingError, SourceError
from rtbci.locks import DeviceLock
from rtbci.recording.appendfile import AppendFile
from rtbci.recording.jsontext import line, plain, write_json
from rtbci.recording.landmarks import WallClock
from rtbci.recording.layout import RecordingFiles, create_folder, label
from rtbci.recording.results import ForecastCodec, decode_values
from rtbci.recording.stream_writer import StreamWriter
from rtbci.types import ChannelHealth, Chunk, Decode, DecoderChange, Forecast, StreamInfo

FORMAT = "rtbci recording"
VERSION = 1
SYNC_S = 1.0
"""Seconds after which what was written is on the disk itself."""


class Recorder:
    """Writes one session.

    Parameters
    ----------
    parent : Path
        Folder in which the session's own folder is made.
    info : StreamInfo
        The stream that the pipeline sees.
    config : SessionConfig
    subject, task : str
        For the BIDS name.
    extra : dict
        What else decides a result (versions, model, decoder, device, seeds), plain values.
    started : float
        Now, in seconds of the session's clock; the wall clock is read once, here.
    clock : Clock
        For the second after which the disk must have it all.

    Attributes
    ----------
    folder : Path
        The session's folder.

    Raises
    ------
    BadInputError
        Where the folder can't be made or written to.
    """

    def __init__(
        self,
        parent: Path,
        info: StreamInfo,
        config: SessionConfig,
        *,
        subject: str,
        task: str,
        extra: Mapping[str, Any],
        started: float,
        clock: Clock | None = None,
    ) -> None:
        self._wall = WallClock(started, datetime.now(UTC))
        self._clock = clock or MonotonicClock()
        self._synced = self._clock.now()
        self._error: RecordingError | None = None
        self._task = task
        self._files, run = create_folder(Path(parent), subject, task)
        self.folder = self._files.folder
        self._lock = recording_lock(self._files)
        session = {
            "format": FORMAT,
            "version": VERSION,
            "rtbci": rtbci.__version__,
            "subject": subject,
            "task": task,
            "run": run,
            "wall_clock": self._wall.at.isoformat(),
            "started": started,
            "stream": info,
            "config": to_dict(config),
            "extra": extra,
        }
        try:
            self._lock.acquire("a session that is being recorded")
            write_json(self._files.session, session)
            self._main = StreamWriter(self._files.main, info, task, self._wall)
            self._decodes = AppendFile(self._files.decodes)
            self._forecasts = AppendFile(self._files.forecasts)
        except (OSError, SourceError) as err:
            self._lock.release()
            shutil.rmtree(self.folder, ignore_errors=True)  # no row is in it
            why = getattr(err, "strerror", None) or err
            raise BadInputError(
                f"nothing can be recorded in {parent}: {why}; make room there, or name another "
                "folder with --record."
            ) from err
        self._codec = ForecastCodec(info.electrodes)
        self._streams: dict[str, StreamWriter] = {}

    def add_stream(self, name: str, info: StreamInfo) -> None:
        """Record a further stream, of any rate, beside the first one.

        Raises
        ------
        BadInputError
            Where another stream of this session has that name, or one that BIDS can't tell
            from it.
        RecordingError
            Where the disk is full.
        """
        known = label(name)
        if known in {label(other) for other in self._streams}:
            raise BadInputError(
                f"two streams can't both be recorded as {known!r}; {name!r} needs another name."
            )
        files = self._files.stream_files(name)
        with self._writing():
            write_json(files.stream, {"name": name, "stream": info})
            self._streams[name] = StreamWriter(files, info, self._task, self._wall)

    def write_chunk(self, chunk: Chunk) -> None:
        """Append rows of the first stream with their gaps and markers.

        Raises
        ------
        RecordingError
            Where the disk is full or gone; what came before is complete, and nothing more can
            be written.
        """
        with self._writing():
            self._main.write_chunk(chunk)

    def write_stream(self, name: str, chunk: Chunk) -> None:
        """Append rows of a further stream.

        Raises
        ------
        RecordingError
            As :meth:`write_chunk`.
        """
        with self._writing():
            self._streams[name].write_chunk(chunk)

    def write_decode(
        self, decode: Decode, due: float, out: float, stages: Mapping[str, float]
    ) -> None:
        """Append a decode: due and out in seconds of the session's clock, stages in seconds.

        Raises
        ------
        RecordingError
            As :meth:`write_chunk`.
        """
        with self._writing():
            self._decodes.append(line(decode_values(decode, due, out, stages)))

    def write_forecast(
        self, forecast: Forecast, due: float, out: float, stages: Mapping[str, float]
    ) -> None:
        """Append the published horizons of a forecast and the hash of all of it.

        Raises
        ------
        RecordingError
            As :meth:`write_chunk`.
        """
        with self._writing():
            self._forecasts.append(self._codec.pack(forecast, due, out, stages))

    def write_health(self, change: ChannelHealth) -> None:
        """Append that a channel was left out, or taken back.

        Raises
        ------
        RecordingError
            As :meth:`write_chunk`.
        """
        values = {"channel": change.channel, "reason": change.reason}
        self.write_command(change.sample, "channel", values)

    def write_change(self, change: DecoderChange) -> None:
        """Append that the decoder has changed, and why.

        Raises
        ------
        RecordingError
            As :meth:`write_chunk`.
        """
        values = {"time": change.time, "change": change.change, "values": change.values}
        self.write_command(change.sample, "adaptation", values)

    def write_command(self, sample: int, kind: str, values: Mapping[str, Any]) -> None:
        """Append something that was decided at run time, so that a replay can obey it.

        Parameters
        ----------
        sample : int
            Row from which it holds.
        kind : str
        values : mapping
            Plain values.

        Raises
        ------
        RecordingError
            As :meth:`write_chunk`.
        """
        with self._writing():
            self._main.write_command(sample, kind, values)

    def flush(self) -> None:
        """Wait until the disk itself has everything.

        Raises
        ------
        RecordingError
            Where the disk reports an error.
        """
        self._synced = self._clock.now()
        try:
            for file in self._open_files():
                file.sync()
        except OSError as err:
            raise self._fail(err) from err

    def close(self, summary: Mapping[str, Any]) -> None:
        """End the recording; safe to call again.

        Parameters
        ----------
        summary : mapping
            What the session came to.

        Raises
        ------
        RecordingError
            Where the disk is full; what was recorded is complete without the summary.
        """
        if not self._lock.held:
            return
        try:
            self.flush()
            for writer in (self._main, *self._streams.values()):
                writer.finish()
            write_json(self._files.summary, plain(summary))
        except OSError as err:
            raise self._fail(err) from err
        finally:
            for file in self._open_files():
                file.close()
            self._lock.release()
            self._lock.path.unlink(missing_ok=True)

    def _open_files(self) -> Iterator[AppendFile]:
        for writer in (self._main, *self._streams.values()):
            yield from writer.open_files
        yield self._decodes
        yield self._forecasts

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One write: it counts as a whole, or is taken back."""
        if self._error is not None:
            raise self._error
        try:
            yield
        except OSError as err:
            for file in self._open_files():
                file.undo()
            raise self._fail(err) from err
        for file in self._open_files():
            file.commit()
        if self._clock.now() - self._synced >= SYNC_S:
            self.flush()

    def _fail(self, err: OSError) -> RecordingError:
        """Stop recording for good: rows after a hole would be at wrong places."""
        self._error = self._error or RecordingError(
            f"the recording {self.folder} can't go on: {err.strerror or err}; its first "
            f"{self._main.rows} rows are complete. Free some space, or record to another disk "
            "with --record."
        )
        return self._error


def recording_lock(files: RecordingFiles) -> DeviceLock:
    """Lock that a recording's writer holds, so that nobody mends it meanwhile."""
    return DeviceLock(files.stem, str(files.folder), files.folder)
