"""What every source does: open, read chunks, close.

Concurrency: one thread owns a source and calls all three; ``read`` never blocks for longer
than a few milliseconds and returns an empty chunk where nothing has come.  A source does not
judge silence: the watchdog in :mod:`rtbci.watchdog` does, for all sources alike.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from rtbci.types import Marker, RawChunk, StreamInfo


class Source(Protocol):
    """A board, a stream, a file or the simulator."""

    def open(self) -> StreamInfo:
        """Connect and start; the first rows may take a moment.

        Raises
        ------
        SourceError
            Where it can't be reached (port busy, board silent), in a sentence with the remedy.
        BadInputError
            Where what was asked for does not exist (unknown board, foreign file).
        """

    def read(self) -> RawChunk | None:
        """Take what has come since the last call.

        Returns
        -------
        chunk : RawChunk | None
            Possibly without rows; None once the source has ended for good (end of a file).

        Raises
        ------
        SourceError
            Where the driver itself says that the connection is gone.
        """

    def close(self) -> None:
        """Stop and let go of the device; safe to call twice and after a failed ``open``."""

    def reconnect(self) -> None:
        """Try once to get a lost source back; the engine calls again, with pauses, until it is.

        Here it is ``close`` and ``open`` again; a source that can resume faster, or whose
        device may come back under another name, does it its own way.  The stream is the same
        afterwards (channels, rate), and its next rows begin with a break
        (``RawChunk.breaks == (0,)``) unless none were lost.  It may block for as long as
        ``open`` does.

        Raises
        ------
        SourceError
            Where the source is not back yet; the source can be asked again.
        """
        self.close()
        self.open()


@runtime_checkable
class Watcher(Protocol):
    """A source that sees the session's markers as a subject sees cues (the simulator)."""

    def on_marker(self, marker: Marker) -> None:
        """Somebody has put a marker on the session; the source's own thread calls."""
