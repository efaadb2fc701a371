"""A source that a test has open, and all that it gave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np
import numpy.typing as npt

from rtbci.clock import Clock
from rtbci.errors import SourceError
from rtbci.sources.base import Source
from rtbci.types import Marker, RawChunk, StreamInfo

TRIES = 6000
"""Reads of 5 ms until a test gives up; how long one waits is never asserted."""
PAUSE_S = 0.005


class Reading:
    """Reads a source; use as a context manager, which opens and closes it.

    Parameters
    ----------
    source : Source
    clock : Clock
        The source's.
    """

    def __init__(self, source: Source, clock: Clock) -> None:
        self.source = source
        self.clock = clock
        self.chunks: list[RawChunk] = []

    def __enter__(self) -> Self:
        self.info: StreamInfo = self.source.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()

    def wait_for(self, done: Callable[[], bool]) -> None:
        """Wait until something is so."""
        for _ in range(TRIES):
            if done():
                return
            self.clock.sleep(PAUSE_S)
        raise AssertionError(f"what was waited for never came; {self.n_rows} rows did")

    def read_until(self, done: Callable[[], bool]) -> None:
        """Read until something is so."""
        self.wait_for(lambda: self._read() and done())

    def read_rows(self, n: int) -> None:
        """Read so many rows more, or a few beyond."""
        until = self.n_rows + n
        self.read_until(lambda: self.n_rows >= until)

    def reconnected(self) -> bool:
        """Try once to reconnect."""
        try:
            self.source.reconnect()
        except SourceError:
            return False
        return True

    def _read(self) -> bool:
        chunk = self.source.read()
        assert chunk is not None, "the source has ended"
        self.chunks.append(chunk)
        return True

    @property
    def n_rows(self) -> int:
        return sum(len(c.data) for c in self.chunks)

    @property
    def data(self) -> npt.NDArray[np.float32]:
        return np.concatenate([c.data for c in self.chunks])

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """Row numbers that the sender put into column 0."""
        return self.data[:, 0].astype(np.int64)

    @property
    def times(self) -> npt.NDArray[np.float64]:
        return np.concatenate([c.times for c in self.chunks])

    @property
    def counters(self) -> npt.NDArray[np.int64]:
        return np.concatenate([c.counters for c in self.chunks if c.counters is not None])

    @property
    def markers(self) -> list[Marker]:
        return [m for c in self.chunks for m in c.markers]

    @property
    def breaks(self) -> list[int]:
        """Rows before which the source knows of a discontinuity."""
        found, row = [], 0
        for chunk in self.chunks:
            found += [row + b for b in chunk.breaks]
            row += len(chunk.data)
        return found
