"""The real BrainFlow driver against a Cyton emulated on a pty.

Each frame carries its number, so the tests say which rows came, not how many or when.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rtbci.clock import MonotonicClock
from rtbci.errors import BadInputError, SourceError
from rtbci.sources import brainflow, ports
from rtbci.sources.brainflow import BrainFlowSource
from rtbci.sources.ports import PortEntry
from rtbci.types import ChannelType, SourceClock

if sys.platform == "win32":
    pytest.skip("ptys are POSIX only", allow_module_level=True)

from cyton import CytonEmulator
from cyton_firmware import SINE_UV, sine_hz, uv_per_count
from reading import Reading

RECONNECTIONS = 5


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def cyton() -> Iterator[CytonEmulator]:
    with CytonEmulator() as board:
        yield board


@pytest.fixture
def daisy() -> Iterator[CytonEmulator]:
    with CytonEmulator(daisy=True) as board:
        yield board


class Session(Reading):
    """A source that is open, and all that it gave."""

    def __init__(self, board: str, port: str | None, gain: int | None = None) -> None:
        clock = MonotonicClock()
        super().__init__(BrainFlowSource(board, serial_port=port, gain=gain, clock=clock), clock)

    def drain(self, newest: int) -> None:
        """Read until the row of this number is here."""
        self.read_until(lambda: self.n_rows > 0 and int(self.planted()[-1]) >= newest)

    def is_silent(self) -> bool:
        """Whether rows have stopped: while some are under way, a source is simply back."""
        return not self.reconnected()

    def reconnect(self) -> None:
        """Try until the board is back, as the engine does: on a busy machine it may take two."""
        for _ in range(RECONNECTIONS):
            try:
                self.source.reconnect()
            except SourceError as err:
                why = err
            else:
                return
        raise why

    def planted(self, channel: int = 0) -> np.ndarray:
        """Row numbers that the board planted in a channel."""
        full_scale = self.info.channels[0].full_scale
        assert full_scale is not None
        return np.rint(self.data[:, channel].astype(float) / full_scale * (2**23 - 1)).astype(int)


def test_every_sample_arrives_once_and_in_order(cyton: CytonEmulator) -> None:
    with Session("cyton", cyton.port) as session:
        session.read_rows(600)
    planted = session.planted()
    first = cyton.truth().starts[0]
    np.testing.assert_array_equal(planted, first + np.arange(len(planted)))
    np.testing.assert_array_equal(session.counters, np.arange(len(planted)) % 256)
    times = np.concatenate([chunk.times for chunk in session.chunks])
    assert np.all(np.diff(times) >= 0)
    assert all(c.times[-1] <= c.received for c in session.chunks if len(c.times))


def test_the_other_channels_are_in_microvolts(cyton: CytonEmulator) -> None:
    with Session("cyton", cyton.port) as session:
        session.read_rows(100)
    rows = session.planted()[:, np.newaxis]
    hertz = np.array([sine_hz(channel) for channel in range(1, 8)])
    expected = SINE_UV * np.sin(2 * np.pi * hertz * rows / 250)
    np.testing.assert_allclose(session.data[:, 1:8], expected, atol=0.51 * uv_per_count(24))


def test_the_stream_says_what_it_is(cyton: CytonEmulator) -> None:
    with Session("Cyton_Board", cyton.port) as session:
        info = session.info
        session.read_rows(30)
    assert info.rate == 250
    assert info.clock is SourceClock.HOST
    assert info.electrodes == ("Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2")
    assert (info.counter_step, info.counter_modulus) == (1, 256)
    assert info.channels[0].full_scale == pytest.approx(187500.0)
    assert info.device["firmware"] == "v3.1.2"
    assert info.device["notes"] == []
    kinds = [channel.type for channel in info.channels]
    assert kinds == [ChannelType.EEG] * 8 + [ChannelType.ACCEL] * 3 + [ChannelType.MISC] * 10
    np.testing.assert_allclose(session.data[-1, 8:11], [0.1, -0.02, 1.0], rtol=1e-6)


def test_lost_frames_are_missing_and_nothing_else(cyton: CytonEmulator) -> None:
    with Session("cyton", cyton.port) as session:
        session.read_rows(10)
        cyton.lose(fraction=0.05)
        session.read_rows(500)
        planted = session.planted()
        truth = cyton.truth()
    made = np.arange(truth.starts[0], planted[-1] + 1)
    lost = [n for n in truth.lost if n <= planted[-1]]
    assert lost
    np.testing.assert_array_equal(planted, np.setdiff1d(made, lost))
    np.testing.assert_array_equal(np.diff(session.counters) % 256, np.diff(planted))


def test_a_frame_with_a_wrong_end_is_dropped(cyton: CytonEmulator) -> None:
    with Session("cyton", cyton.port) as session:
        session.read_rows(10)
        [bad] = cyton.corrupt(ahead=[100], byte=32)
        session.drain(bad + 20)
    assert cyton.truth().corrupted == [(bad, 32)]
    planted = session.planted()
    np.testing.assert_array_equal(
        planted, np.setdiff1d(np.arange(planted[0], planted[-1] + 1), bad)
    )


def test_bursts_and_a_stall_lose_nothing(cyton: CytonEmulator) -> None:
    """A stalled link is late, not lost: reconnect leaves it alone while its line lives."""
    with Session("cyton", cyton.port) as session:
        session.read_rows(10)
        cyton.burst(0.1)
        session.read_rows(100)
        cyton.stall(600.0)
        session.read_until(session.is_silent)
        with pytest.raises(SourceError, match=r"silent .* but still plugged in"):
            session.source.reconnect()
        cyton.stall(0.0)
        session.read_rows(300)
    np.testing.assert_array_equal(np.diff(session.planted()), 1)
    assert all(not chunk.breaks for chunk in session.chunks)


def test_unplug_and_replug(cyton: CytonEmulator) -> None:
    with Session("cyton", cyton.port) as session:
        session.read_rows(50)
        cyton.unplug()
        session.read_until(session.is_silent)
        with pytest.raises(SourceError, match=r"does not exist .* plug the board's dongle in"):
            session.source.reconnect()
        cyton.replug()
        session.reconnect()
        before = session.n_rows
        session.read_rows(50)
    again = next(c for c in session.chunks if c.breaks)
    assert [c.breaks for c in session.chunks if c.breaks] == [(0,)]
    assert again.counters is not None
    assert again.counters[0] == 0
    planted = session.planted()
    truth = cyton.truth()
    assert planted[before] == truth.starts[-1] > truth.starts[0]
    np.testing.assert_array_equal(np.diff(planted[:before]), 1)
    np.testing.assert_array_equal(np.diff(planted[before:]), 1)


def test_a_dongle_found_by_us_may_come_back_under_another_name(
    cyton: CytonEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = [PortEntry(cyton.port, "FT231X", ports.FTDI_DONGLE, "DM00ABCD")]
    monkeypatch.setattr(ports, "list_ports", lambda: seen)
    with CytonEmulator() as elsewhere, Session("openbci", None) as session:
        session.read_rows(20)
        cyton.unplug()
        session.read_until(session.is_silent)
        seen[:] = [PortEntry(elsewhere.port, "FT231X", ports.FTDI_DONGLE, "DM00ABCD")]
        session.reconnect()
        session.read_rows(20)
        assert elsewhere.truth().starts
    assert [c.breaks for c in session.chunks if c.breaks] == [(0,)]


def test_a_board_switched_off_and_on_is_started_anew(
    cyton: CytonEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brainflow, "PATIENCE_S", 0.0)
    with Session("cyton", cyton.port) as session:
        session.read_rows(20)
        cyton.power(False)
        session.read_until(session.is_silent)
        with pytest.raises(SourceError, match="its board does not"):
            session.source.reconnect()
        cyton.power(True)
        session.reconnect()
        session.read_rows(20)
    assert len(cyton.truth().starts) >= 2
    assert [c.breaks for c in session.chunks if c.breaks] == [(0,)]


def test_a_board_that_still_streams_is_taken_over(cyton: CytonEmulator) -> None:
    """A session killed with SIGKILL leaves its board streaming, which hid the answer to `v`."""
    with open(cyton.port, "r+b", buffering=0) as line:  # noqa: PTH123
        line.write(b"b")
        line.read(100)
    with Session("openbci", cyton.port) as session:
        session.read_rows(20)
    assert session.info.device["board"] == "CYTON_BOARD"
    np.testing.assert_array_equal(np.diff(session.planted()), 1)


def test_daisy_rows_join_two_frames(daisy: CytonEmulator) -> None:
    with Session("openbci", daisy.port) as session:
        session.read_rows(200)
    info = session.info
    assert info.rate == 125
    assert len(info.electrodes) == 16
    assert info.electrodes[8:] == ("F7", "F8", "F3", "F4", "T7", "T8", "P3", "P4")
    assert (info.counter_step, info.counter_modulus) == (2, 256)
    np.testing.assert_array_equal(np.diff(session.planted(0)), 1)
    np.testing.assert_array_equal(session.planted(8), session.planted(0))
    np.testing.assert_array_equal(session.counters, 2 * np.arange(session.n_rows) % 256)


def test_daisy_losses_look_as_the_timeline_expects(daisy: CytonEmulator) -> None:
    """A lost Cyton frame takes its row along; a lost Daisy frame repeats the last number."""
    with Session("cyton_daisy", daisy.port) as session:
        session.read_rows(10)
        even, odd = daisy.lose(ahead=[100, 141])
        session.drain(even // 2 + 30)
    rows, counters = session.planted(0), session.counters
    stale = int(np.flatnonzero(rows == even // 2)[0])
    assert counters[stale] == counters[stale - 1]
    assert session.planted(8)[stale] == even // 2 - 1
    assert odd // 2 not in rows
    jump = int(np.flatnonzero(np.diff(rows) == 2)[0])
    assert (counters[jump + 1] - counters[jump]) % 256 == 4


def test_a_cyton_asked_for_by_name_leaves_its_daisy_out(daisy: CytonEmulator) -> None:
    """BrainFlow would take the Daisy's frames for the Cyton's: every second row was wrong."""
    with Session("cyton", daisy.port) as session:
        session.read_rows(50)
    assert session.info.rate == 250
    assert "A Daisy is plugged in" in session.info.device["notes"][0]
    np.testing.assert_array_equal(np.diff(session.planted()), 1)


def test_the_gain_scales_and_survives_a_replug(cyton: CytonEmulator) -> None:
    with Session("cyton", cyton.port, gain=6) as session:
        session.read_rows(20)
        cyton.unplug()
        session.read_until(session.is_silent)
        cyton.replug()
        session.reconnect()
        session.read_rows(20)
    assert session.info.channels[0].full_scale == pytest.approx(4.5e6 / 6)
    assert session.planted()[-1] > cyton.truth().starts[1]
    assert np.abs(session.data[:, 1]).max() < SINE_UV * 1.01


def test_one_session_holds_a_board(cyton: CytonEmulator) -> None:
    with Session("cyton", cyton.port) as session:
        other = BrainFlowSource("cyton", serial_port=cyton.port, clock=MonotonicClock())
        with pytest.raises(SourceError, match=r"in use by a session on cyton \(pid \d+\)"):
            other.open()
        session.read_rows(10)


def test_a_busy_port_names_who_holds_it(cyton: CytonEmulator) -> None:
    if sys.platform != "linux":
        pytest.skip("holders are named from /proc")
    source = BrainFlowSource("cyton", serial_port=cyton.port, clock=MonotonicClock())
    with (
        open(cyton.port, "r+b", buffering=0),  # noqa: PTH123
        pytest.raises(SourceError, match=r"busy: .* \(pid \d+\) holds it.*close that program"),
    ):
        source.open()


def test_a_missing_daisy_is_named(cyton: CytonEmulator) -> None:
    source = BrainFlowSource("cyton_daisy", serial_port=cyton.port, clock=MonotonicClock())
    with pytest.raises(SourceError, match="has no Daisy: it says that it is a cyton; push"):
        source.open()


def test_a_board_that_is_off_is_named(cyton: CytonEmulator) -> None:
    cyton.power(False)
    source = BrainFlowSource("openbci", serial_port=cyton.port, clock=MonotonicClock())
    with pytest.raises(SourceError, match=r"dongle on .* answers, but its board does not"):
        source.open()


def test_a_silent_board_is_named(cyton: CytonEmulator) -> None:
    cyton.silence()
    source = BrainFlowSource("cyton", serial_port=cyton.port, clock=MonotonicClock())
    with pytest.raises(SourceError, match="answers nothing; switch it on"):
        source.open()


def test_openbci_finds_the_port_by_usb_id_and_answer(
    cyton: CytonEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = PortEntry(cyton.port, "FT231X USB UART", ports.FTDI_DONGLE, "DM00ABCD")
    monkeypatch.setattr(ports, "list_ports", lambda: [PortEntry("/dev/ttyS0"), entry])
    source = BrainFlowSource("openbci", clock=MonotonicClock())
    info = source.open()
    source.close()
    assert info.name == f"OpenBCI Cyton on {cyton.port}"
    assert info.device["dongle"] == "DM00ABCD"
    assert b"\xf0\x07" in cyton.heard()


def test_no_board_says_what_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "list_ports", lambda: [PortEntry("/dev/ttyS0")])
    source = BrainFlowSource("openbci", clock=MonotonicClock())
    with pytest.raises(SourceError, match="No OpenBCI board found: ports seen: /dev/ttyS0"):
        source.open()


@pytest.mark.parametrize(
    ("board", "options", "match"),
    [
        ("cytn", {}, "no board 'cytn'; did you mean cyton"),
        ("cyton", {"gain": 5}, "Gain must be one of 1, 2, 4, 6, 8, 12, 24, got 5"),
        ("synthetic", {"gain": 12}, "gain of synthetic can't be set, got 12"),
        ("synthetic", {"params": {"colour": "red"}}, "no parameter 'colour'; BrainFlow knows"),
        (
            "synthetic",
            {"params": {"timeout": "soon"}},
            "timeout must be a whole number, got 'soon'",
        ),
        ("playback_file", {}, "must know which: add --board-param master_board=NAME"),
    ],
)
def test_bad_input(board: str, options: dict[str, object], match: str) -> None:
    source = BrainFlowSource(board, clock=MonotonicClock(), **options)  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match=match):
        source.open()


@pytest.mark.parametrize(
    ("board", "port", "match"),
    [
        ("cyton", "/dev/nope", "Serial port /dev/nope does not exist"),
        ("freeeeg32", None, "reached by serial port, and BrainFlow needs to know where"),
    ],
)
def test_out_of_reach(board: str, port: str | None, match: str) -> None:
    source = BrainFlowSource(board, serial_port=port, clock=MonotonicClock())
    with pytest.raises(SourceError, match=match):
        source.open()
    source.close()


def test_a_closed_source_says_so() -> None:
    source = BrainFlowSource("synthetic", clock=MonotonicClock())
    with pytest.raises(SourceError, match="not open"):
        source.read()


def test_the_synthetic_board_streams() -> None:
    with Session("synthetic", None) as session:
        session.read_rows(50)
    assert len(session.info.electrodes) == 16
    np.testing.assert_array_equal(np.diff(session.counters) % 256, 1)
