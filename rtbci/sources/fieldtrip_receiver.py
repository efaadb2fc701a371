"""The thread that empties a FieldTrip buffer, and how far it has come.

Concurrency: the thread owns its link; it shares a deque of blocks with the source, which takes
from it, and nothing else.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.clock import Clock
from rtbci.errors import SourceError
from rtbci.sources.fieldtrip_link import BLOCK, BufferLink, Header
from rtbci.sources.lsl_markers import plain

WAIT_S = 0.05
"""How long the buffer holds an answer back while nothing is new."""
IDLE_S = 0.002
"""Pause where it does not hold it back."""


@dataclass(frozen=True)
class Event:
    """One event of the buffer.

    Attributes
    ----------
    row : int
        Number of the row that it belongs to.
    label : str
        Its value, or its type where it has no value.
    duration : float
        Seconds.
    """

    row: int
    label: str
    duration: float


@dataclass(frozen=True)
class Block:
    """What one question to the buffer gave.

    Attributes
    ----------
    first : int
        Number of the first row.
    rows : ndarray, shape (n_times, n_channels)
        As the buffer has them.
    received : float
        Seconds of the session's clock.
    events : tuple of Event
    new : bool
        These are the first rows of a buffer that was started anew.
    """

    first: int
    rows: npt.NDArray[Any]
    received: float
    events: tuple[Event, ...] = ()
    new: bool = False


@dataclass
class Position:
    """How far the buffer has been read.

    Attributes
    ----------
    row, event : int
        Numbers of the next ones.
    last : ndarray, shape (n_channels,) | None
        The row before ``row``.
    new : bool
        The next row is the first of a buffer that was started anew.
    """

    row: int
    event: int
    last: npt.NDArray[Any] | None = None
    new: bool = False


class Receiver:
    """The thread that empties the buffer.

    Parameters
    ----------
    link : BufferLink
        From now on its own.
    header : Header
    position : Position
        Where to begin; advanced by the thread, readable once it has ended.
    clock : Clock
    blocks : iterable of Block
        Read before, by the receiver that this one follows.
    """

    def __init__(
        self,
        link: BufferLink,
        header: Header,
        position: Position,
        clock: Clock,
        blocks: Iterable[Block] = (),
    ) -> None:
        self.link = link
        self.position = position
        self.blocks = deque(blocks)
        self.error: Exception | None = None
        self._header = header
        self._clock = clock
        self._stop = threading.Event()
        link.wait_for_ever()
        self._thread = threading.Thread(target=self._run, name="rtbci-fieldtrip", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and hang up."""
        self._stop.set()
        self.link.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._step()
        except Exception as err:  # noqa: BLE001 - a thread's boundary: read() raises it
            if not self._stop.is_set():
                self.error = err

    def _step(self) -> None:
        at = self.position
        n_rows, n_events = self.link.wait(at.row, at.event, WAIT_S)
        if n_rows < at.row or n_events < at.event:
            self._begin_anew(n_rows)
        events = self._events(n_events)
        if n_rows <= at.row and not events:
            self._clock.sleep(IDLE_S)
            return
        while True:
            stop = min(n_rows, at.row + BLOCK)
            rows = self.link.rows(at.row, stop) if stop > at.row else np.zeros((0, 0))
            if rows is None:
                at.row = self.link.oldest(at.row, n_rows)
                continue
            self.blocks.append(Block(at.row, rows, self._clock.now(), events, at.new))
            events = ()
            if len(rows):
                at.row, at.last, at.new = at.row + len(rows), rows[-1].copy(), False
            if at.row >= n_rows:
                return

    def _begin_anew(self, n_rows: int) -> None:
        """Go to the end of a buffer whose numbers have been set back."""
        header = self.link.header()
        if not header.same_stream(self._header):
            raise SourceError(changed(self.link.where, self._header, header))
        at = self.position
        at.row, at.event, at.new = min(n_rows, header.n_samples), 0, True

    def _events(self, n_events: int) -> tuple[Event, ...]:
        at = self.position
        if n_events <= at.event:
            return ()
        found = self.link.events(at.event, n_events)
        at.event = n_events
        made = (_event(event, self._header.rate) for event in found)
        return tuple(event for event in made if event.label)


def changed(where: str, old: Header, new: Header) -> str:
    """Say that a buffer has another stream now."""
    return (
        f"the FieldTrip buffer at {where} came back with {new.n_channels} channels at "
        f"{new.rate:g} Hz, but the session has {old.n_channels} at {old.rate:g} Hz or other names "
        "or scales; stop it and start a new one."
    )


def _event(event: Any, rate: float) -> Event:
    value, kind = _text(event.value), _text(event.type)
    return Event(int(event.sample), value or kind, max(0, int(event.duration)) / rate)


def _text(value: Any) -> str:
    """Text or numbers of an event as a label."""
    if isinstance(value, np.ndarray):
        return ",".join(filter(None, map(plain, value.tolist())))
    return plain(value.rstrip(b"\0") if isinstance(value, bytes) else str(value).encode())
