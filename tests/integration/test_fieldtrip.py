"""The FieldTrip source against a buffer in another process; rows carry their numbers."""

from __future__ import annotations

import socket
import struct
import sys

import numpy as np
import pytest

from rtbci.clock import MonotonicClock
from rtbci.config import TimelineConfig
from rtbci.errors import BadInputError, SourceError
from rtbci.sources.fieldtrip import FieldTripSource
from rtbci.sources.fieldtrip_link import BufferLink
from rtbci.timeline import Timeline
from rtbci.types import ChannelType, Chunk, GapCause, SourceClock

if sys.platform == "win32":
    pytest.skip("stalls are made by POSIX signals", allow_module_level=True)

from fieldtrip_buffer import INT16, BufferSpec, FieldTripBuffer, event_payload
from reading import Reading


class Session(Reading):
    """A source that is open, and all that it gave."""

    def __init__(self, port: int, timeout_s: float = 10.0) -> None:
        clock = MonotonicClock()
        super().__init__(
            FieldTripSource("127.0.0.1", port, timeout_s=timeout_s, clock=clock), clock
        )
        self._port = port

    def let_rows_gather(self) -> None:
        """Read nothing until the buffer itself has had many more rows."""
        link = BufferLink("127.0.0.1", self._port, 10.0)
        try:
            first = link.header().n_samples
            self.wait_for(lambda: link.header().n_samples >= first + 100)
        finally:
            link.close()

    def overrun(self, buffer: FieldTripBuffer) -> None:
        """Stall the buffer's process until its amplifier has more rows than its ring holds."""
        buffer.stall()
        stalled = self.clock.now()
        enough_s = 2.5 * buffer.spec.capacity / buffer.spec.rate
        self.read_until(lambda: self.clock.now() - stalled >= enough_s)
        buffer.go_on()
        self.read_until(lambda: bool(np.any(np.diff(self.numbers) > 1)))

    def reconnect_fails(self) -> bool:
        """Raise as soon as nothing is on its way any more."""
        self.source.reconnect()
        return False

    def pushed(self) -> list[Chunk]:
        """Everything through a timeline."""
        timeline = Timeline(self.info, TimelineConfig(), self.clock)
        return [timeline.push(c) for c in self.chunks] + [timeline.flush()]


def test_rows_names_and_events() -> None:
    with FieldTripBuffer() as buffer, Session(buffer.port) as session:
        session.read_rows(400)
    info = session.info
    assert [c.name for c in info.channels] == ["Index", "C3", "Cz"]
    assert (info.rate, info.clock, info.kind) == (250.0, SourceClock.HOST, "fieldtrip")
    np.testing.assert_array_equal(np.diff(session.numbers), 1)
    np.testing.assert_array_equal(session.counters, session.numbers)
    rows = np.concatenate([c.data for c in session.chunks])
    np.testing.assert_array_equal(rows[:, 1:], 2.0)
    pushed = session.pushed()
    assert [g for c in pushed for g in c.gaps] == []
    markers = [m for c in pushed for m in c.markers]
    assert len(markers) >= 3
    for marker in markers:
        assert marker.sample is not None
        assert marker.label == f"T{session.numbers[marker.sample] // 100}"
        assert session.numbers[marker.sample] % 100 == 0
        assert (marker.duration, marker.origin) == (0.1, "board")


def test_integers_are_scaled_and_nameless_channels_are_numbered() -> None:
    spec = BufferSpec(named=False, data_type=INT16, resolution=0.5)
    with FieldTripBuffer(spec) as buffer, Session(buffer.port) as session:
        session.read_rows(10)
    assert [c.name for c in session.info.channels] == ["Ch1", "Ch2", "Ch3"]
    assert all(c.type is ChannelType.EEG for c in session.info.channels)
    rows = np.concatenate([c.data for c in session.chunks])
    np.testing.assert_array_equal(rows[:, 0], session.counters * 0.5)
    np.testing.assert_array_equal(rows[:, 1:], 1.0)


@pytest.mark.parametrize("busy", [False, True], ids=["read at once", "read later"])
def test_a_late_event_finds_its_row(busy: bool) -> None:
    with FieldTripBuffer() as buffer, Session(buffer.port) as session:
        session.read_rows(50)
        row = int(session.numbers[20])
        _put_event(buffer.port, event_payload(row, "key", ""))
        if busy:  # the event and many rows behind it come with one read
            session.let_rows_gather()
        session.read_until(lambda: any(m.label == "key" for m in session.markers))
        session.read_rows(10)
    [key] = [m for c in session.pushed() for m in c.markers if m.label == "key"]
    assert key.sample is not None
    assert session.numbers[key.sample] == row


def test_a_late_event_of_a_lost_row_goes_to_the_first_one_behind_it() -> None:
    with FieldTripBuffer(BufferSpec(capacity=100)) as buffer, Session(buffer.port) as session:
        session.read_rows(50)
        session.overrun(buffer)
        numbers = session.numbers
        at = np.flatnonzero(np.diff(numbers) != 1)[0]
        _put_event(buffer.port, event_payload(int(numbers[at]) + 1, "lost", ""))
        _put_event(buffer.port, event_payload(int(numbers[at]), "before", ""))
        session.read_until(lambda: {"lost", "before"} <= {m.label for m in session.markers})
    rows = {m.label: m.sample for c in session.pushed() for m in c.markers}
    assert (rows["before"], rows["lost"]) == (int(at), int(at) + 1)


def test_a_ring_that_overran_is_a_loss_of_its_true_length() -> None:
    with FieldTripBuffer(BufferSpec(capacity=100)) as buffer, Session(buffer.port) as session:
        session.read_rows(150)
        session.overrun(buffer)
        session.read_rows(150)
    np.testing.assert_array_equal(session.counters, session.numbers)
    jumps = np.diff(session.numbers)
    lost = [(int(at) + 1, int(jumps[at]) - 1) for at in np.flatnonzero(jumps != 1)]
    gaps = [g for c in session.pushed() for g in c.gaps]
    assert [(g.sample, g.missing) for g in gaps] == lost
    assert {g.cause for g in gaps} == {GapCause.LOST_FRAMES}


def test_a_stalled_buffer_is_read_on_without_loss() -> None:
    with FieldTripBuffer() as buffer, Session(buffer.port, timeout_s=0.3) as session:
        session.read_rows(50)
        buffer.stall()
        with pytest.raises(SourceError, match=r"gave no answer in 0.3 s"):
            session.read_until(session.reconnect_fails)
        buffer.go_on()
        session.wait_for(session.reconnected)
        session.read_rows(200)
    np.testing.assert_array_equal(np.diff(session.numbers), 1)
    assert all(c.breaks == () for c in session.chunks)


def test_a_killed_buffer_comes_back_with_a_break() -> None:
    with FieldTripBuffer() as buffer, Session(buffer.port) as session:
        session.read_rows(100)
        buffer.kill()
        with pytest.raises(SourceError, match=r"connection to the FieldTrip buffer .* is gone"):
            session.read_until(lambda: False)
        with pytest.raises(SourceError, match=r"can be reached at .*; start it, or check"):
            session.source.reconnect()
        buffer.start()
        session.wait_for(session.reconnected)
        before = session.n_rows
        session.read_rows(100)
    assert session.breaks == [before]
    np.testing.assert_array_equal(np.diff(session.numbers[before:]), 1)
    gaps = [g for c in session.pushed() for g in c.gaps]
    assert [g.cause for g in gaps] == [GapCause.RECONNECT]


def test_a_buffer_that_comes_back_different_is_refused() -> None:
    with FieldTripBuffer() as buffer, Session(buffer.port) as session:
        session.read_rows(10)
        buffer.kill()
        with pytest.raises(SourceError, match="is gone"):
            session.read_until(lambda: False)
        with (
            FieldTripBuffer(BufferSpec(port=buffer.port, rate=500.0)),
            pytest.raises(SourceError, match="came back with 3 channels at 500 Hz"),
        ):
            session.source.reconnect()


def test_an_empty_buffer_says_what_to_start() -> None:
    source = FieldTripSource("127.0.0.1", 1, clock=MonotonicClock())
    with FieldTripBuffer(BufferSpec(rate=0.0)) as buffer:
        source = FieldTripSource("127.0.0.1", buffer.port, clock=MonotonicClock())
        with pytest.raises(SourceError, match="holds no data yet; start the acquisition"):
            source.open()


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    source = FieldTripSource("127.0.0.1", port, clock=MonotonicClock())
    with pytest.raises(SourceError, match=f"reached at 127.0.0.1:{port} .*; start it, or check"):
        source.open()
    with pytest.raises(SourceError, match="is not open; open it first"):
        source.read()


def test_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        source = FieldTripSource("127.0.0.1", port, timeout_s=0.1, clock=MonotonicClock())
        with pytest.raises(SourceError, match=r"gave no answer in 0.1 s"):
            source.open()


def test_a_host_that_does_not_exist() -> None:
    source = FieldTripSource("no-such-host.invalid", 1972, clock=MonotonicClock())
    with pytest.raises(BadInputError, match=r"'no-such-host.invalid' .* is not known"):
        source.open()


def _put_event(port: int, payload: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.sendall(struct.pack("HHI", 1, 0x103, len(payload)) + payload)
        link.recv(8)
