"""Live rows from a FieldTrip buffer, the server of many amplifiers' acquisition programs.

    buffer --TCP--> receiver thread --queue--> read()

Concurrency: as in :mod:`rtbci.sources.base`.  A thread of this source waits for the buffer, so
that ``read`` does not; they share a deque and nothing else.

A row's number in the buffer is its package counter: where the buffer's ring overran, the loss
has its true length.  After a broken connection the numbers go on where they were, as long as the
buffer holds the row that came last; another row there means that it was started anew.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.clock import Clock
from rtbci.errors import BadInputError, SourceError
from rtbci.sources.fieldtrip_link import BufferLink, Header
from rtbci.sources.fieldtrip_receiver import Block, Event, Position, Receiver, changed
from rtbci.sources.labels import make_layout
from rtbci.types import FloatArray, Marker, RawChunk, SourceClock, StreamInfo

COUNTER_MODULUS = 2**32
"""Of the numbers of rows in the protocol."""


@dataclass
class OpenBuffer:
    """A buffer that is open.

    Attributes
    ----------
    header : Header
    scale : ndarray, shape (n_channels,), float64
        To µV.
    receiver : Receiver
    pending : list of Event
        Whose rows have not come.
    next_row : int
        Number of the row after the newest that ``read`` gave.
    given : int
        Rows that ``read`` has given.
    runs : list of (int, int)
        Where numbers without a gap begin: the first one, and how many rows were given before it.
    """

    header: Header
    scale: npt.NDArray[np.float64]
    receiver: Receiver
    next_row: int
    pending: list[Event] = field(default_factory=list)
    given: int = 0
    runs: list[tuple[int, int]] = field(default_factory=list)


class FieldTripSource:
    """A FieldTrip buffer on the network.

    Parameters
    ----------
    host : str
    port : int
    timeout_s : float
        How long to wait for a connection and for the header.
    clock : Clock
        The session's.
    """

    def __init__(
        self, host: str, port: int = 1972, *, timeout_s: float = 3.0, clock: Clock
    ) -> None:
        self._host = host
        self._port = port
        self._timeout_s = timeout_s
        self._clock = clock
        self._state: OpenBuffer | None = None

    def open(self) -> StreamInfo:
        """Connect; rows that are put into the buffer from now on will be read.

        Raises
        ------
        SourceError
            Where nobody listens or answers, or the buffer holds nothing yet.
        BadInputError
            Where the host is not known, or the stream has no rate.
        """
        self.close()
        link, header = self._connect()
        if not (np.isfinite(header.rate) and header.rate > 0 and header.n_channels > 0):
            link.close()
            raise BadInputError(
                f"the FieldTrip buffer at {link.where} states {header.n_channels} channels at "
                f"{header.rate:g} Hz; check the acquisition that fills it."
            )
        layout = make_layout(
            header.n_channels,
            stream_type="EEG",
            labels=header.labels,
            units=("uV",) * header.n_channels,
        )
        position = Position(header.n_samples, header.n_events)
        receiver = Receiver(link, header, position, self._clock)
        scale = np.array(header.resolutions or 1.0)
        self._state = OpenBuffer(header, scale, receiver, header.n_samples)
        info = StreamInfo(
            name=f"FieldTrip buffer at {link.where}",
            kind="fieldtrip",
            rate=header.rate,
            channels=layout.channels,
            clock=SourceClock.HOST,
            counter_modulus=COUNTER_MODULUS,
        )
        device: dict[str, Any] = {
            "address": link.where,
            "unit": "taken as µV: the protocol states none",
            "resolutions": list(header.resolutions),
            "first_row": header.n_samples,
        }
        if layout.notes:
            device["notes"] = list(layout.notes)
        return replace(info, device=device)

    def read(self) -> RawChunk:
        """Take what has come since the last call; never waits.

        Raises
        ------
        SourceError
            Where the source is not open, or the connection is gone.
        """
        state = self._require_open()
        blocks = []
        while state.receiver.blocks:
            blocks.append(state.receiver.blocks.popleft())
        if not blocks and state.receiver.error is not None:
            error = state.receiver.error
            if isinstance(error, SourceError):
                raise SourceError(str(error)) from error
            raise SourceError(
                f"the connection to the FieldTrip buffer at {state.receiver.link.where} is gone "
                f"({error}); start the buffer again."
            ) from error
        return self._chunk(state, blocks)

    def close(self) -> None:
        """Hang up; safe to call twice and after a failed ``open``."""
        state, self._state = self._state, None
        if state is not None:
            state.receiver.stop()

    def reconnect(self) -> None:
        """Connect again and go on where reading stopped, if the buffer still has it.

        Raises
        ------
        SourceError
            Where the buffer does not answer, or has other channels or another rate now.
        """
        state = self._require_open()
        if state.receiver.blocks:
            return
        died = state.receiver.error is not None
        state.receiver.stop()
        position = state.receiver.position
        try:
            link, header = self._connect()
        except BadInputError as err:  # the name server is gone with the network
            raise SourceError(str(err)) from err
        if not header.same_stream(state.header):
            link.close()
            raise SourceError(changed(link.where, state.header, header))
        try:
            same = _goes_on(link, header, position, died=died)
        except OSError as err:
            link.close()
            raise SourceError(f"the FieldTrip buffer at {link.where} hung up: {err}.") from err
        if not same:
            position = Position(header.n_samples, header.n_events, new=True)
        state.receiver = Receiver(link, header, position, self._clock, state.receiver.blocks)

    def _connect(self) -> tuple[BufferLink, Header]:
        link = BufferLink(self._host, self._port, self._timeout_s)
        try:
            return link, link.header()
        except BaseException:
            link.close()
            raise

    def _chunk(self, state: OpenBuffer, blocks: list[Block]) -> RawChunk:
        """Join blocks; events get their rows."""
        received = blocks[-1].received if blocks else self._clock.now()
        markers: list[Marker] = []
        data: list[FloatArray] = [np.zeros((0, state.header.n_channels), dtype=np.float32)]
        times, counters, breaks, row = [np.zeros(0)], [np.zeros(0, dtype=np.int64)], [], 0
        for block in blocks:
            n = len(block.rows)
            if block.new:
                state.pending.clear()
                state.runs.clear()
                breaks += [row] if n else []
            state.pending += block.events
            if n:
                data.append((block.rows * state.scale).astype(np.float32))
                times.append(np.full(n, block.received))
                counters.append(np.arange(block.first, block.first + n))
                if not state.runs or block.first != state.next_row:
                    state.runs.append((block.first, state.given + row))
                state.next_row = block.first + n
            markers += self._place(state, block.received)
            row += n
        markers = [
            m if m.sample is None else replace(m, sample=m.sample - state.given) for m in markers
        ]
        state.given += row
        return RawChunk(
            data=np.concatenate(data),
            times=np.concatenate(times),
            received=received,
            counters=np.concatenate(counters),
            markers=tuple(markers),
            breaks=tuple(breaks),
        )

    def _place(self, state: OpenBuffer, received: float) -> list[Marker]:
        """Make markers of events whose row has come; ``sample`` counts all rows given."""
        placed, waiting = [], []
        for event in state.pending:
            if not state.runs or event.row >= state.next_row:
                waiting.append(event)
                continue
            time = received - (state.next_row - event.row) / state.header.rate
            marker = Marker(time, event.label, event.duration, origin="board")
            placed.append(replace(marker, sample=_row_of(event.row, state.runs)))
        state.pending = waiting
        return placed

    def _require_open(self) -> OpenBuffer:
        if self._state is None:
            raise SourceError(
                f"the FieldTrip buffer at {self._host}:{self._port} is not open; open it first."
            )
        return self._state


def _row_of(number: int, runs: list[tuple[int, int]]) -> int:
    """Which of all rows has a number; of a number that never came, the first one behind it."""
    at = max(0, bisect_right(runs, number, key=lambda run: run[0]) - 1)
    first, before = runs[at]
    row = before + max(0, number - first)
    return min(row, runs[at + 1][1]) if at + 1 < len(runs) else row


def _goes_on(link: BufferLink, header: Header, position: Position, *, died: bool) -> bool:
    """Whether the buffer is the one that was read, by the row that came last."""
    if header.n_samples < position.row:
        return False
    if position.last is None:
        return not died
    found = link.rows(position.row - 1, position.row)
    if found is None:  # overwritten: a buffer that hung up may be a new one
        return not died
    return bool(np.array_equal(found[0], position.last, equal_nan=True))
