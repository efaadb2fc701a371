from __future__ import annotations

from collections import deque

import pytest

from rtbci.errors import SourceError
from rtbci.sources import openbci, ports
from rtbci.sources.openbci import Identity, identify, locate, read_greeting
from rtbci.sources.ports import BLED112_DONGLE, FTDI_DONGLE, PortEntry

CYTON = b"OpenBCI V3 8-16 channel\r\nOn Board ADS1299 Device ID: 0x3E\r\nFirmware: v3.1.2\r\n$$$"
DAISY = CYTON.replace(b"Firmware", b"On Daisy ADS1299 Device ID: 0x3E\r\nFirmware")
GANGLION = b"OpenBCI Ganglion v3.0.1\r\nLIS2DH ID: 0x33\r\n$$$"
UP = b"Success: System is Up$$$"


class FakeLine:
    """A board that knows these answers; a question can take several tries."""

    def __init__(self, answers: dict[bytes, bytes], deaf_to: int = 0) -> None:
        self.answers = answers
        self.deaf_to = deaf_to
        self.waiting: deque[int] = deque()
        self.asked: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> int:
        self.asked.append(data)
        if data == openbci.RESET and self.deaf_to:
            self.deaf_to -= 1
        else:
            self.waiting.extend(self.answers.get(data, b""))
        return len(data)

    def read(self, size: int) -> bytes:
        return bytes(self.waiting.popleft() for _ in range(min(size, len(self.waiting))))

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("answer", "board", "firmware"),
    [
        (CYTON, "CYTON_BOARD", "v3.1.2"),
        (DAISY, "CYTON_DAISY_BOARD", "v3.1.2"),
        (GANGLION, "GANGLION_BOARD", "v3.0.1"),
        (b"OpenBCI V3 16 channel\nADS1299 Device ID: 0x3E\n$$$", "CYTON_BOARD", ""),
    ],
)
def test_boards_are_told_apart_by_their_greeting(answer: bytes, board: str, firmware: str) -> None:
    line = FakeLine({b"v": answer})
    assert identify("COM3", opener=lambda path: line) == Identity(board, firmware)
    assert line.asked == [b"s", b"v"]
    assert line.closed


def test_a_stranger_has_no_greeting() -> None:
    assert read_greeting("Grbl 1.1h ['$' for help]") is None


def test_a_ganglion_dongle_is_greeted_in_its_own_language() -> None:
    line = FakeLine({openbci.HELLO: openbci.HELLO})
    assert identify("COM4", BLED112_DONGLE, opener=lambda path: line).board == "GANGLION_BOARD"
    assert line.asked == [openbci.HELLO]


def test_a_dongle_that_is_no_bled112_is_refused() -> None:
    with pytest.raises(SourceError, match=r"BLED112 dongle .*said nothing"):
        identify("COM4", BLED112_DONGLE, opener=lambda path: FakeLine({}))


def test_a_board_just_switched_on_is_asked_twice() -> None:
    line = FakeLine({b"v": CYTON}, deaf_to=1)
    assert identify("COM3", opener=lambda path: line).board == "CYTON_BOARD"


@pytest.mark.parametrize(
    ("answers", "match"),
    [
        ({}, "answers nothing; switch it on"),
        ({b"v": b"Failure: Communications timeout$$$"}, "its board does not .*same radio channel"),
        ({b"v": b"Grbl 1.1h$$$"}, "no OpenBCI board: to `v` it said 'Grbl 1.1h"),
        ({b"s": b"$GPGGA," * 20000}, "no OpenBCI board"),
    ],
)
def test_what_does_not_answer_as_a_board_is_refused(
    answers: dict[bytes, bytes], match: str
) -> None:
    line = FakeLine(answers)
    with pytest.raises(SourceError, match=match):
        identify("COM3", opener=lambda path: line)
    assert line.closed


def test_a_port_that_fails_meanwhile_is_named() -> None:
    class Broken(FakeLine):
        def write(self, data: bytes) -> int:
            raise OSError(5, "Input/output error")

    with pytest.raises(SourceError, match=r"COM3 failed while .*Input/output error"):
        identify("COM3", opener=lambda path: Broken({}))


def test_only_ports_of_our_own_choice_must_give_a_status() -> None:
    mute = FakeLine({b"v": CYTON})
    with pytest.raises(SourceError, match=r"does not answer as an OpenBCI dongle \(to F0 07"):
        identify("COM3", status=True, opener=lambda path: mute)
    assert mute.asked == [openbci.STATUS], "an unrelated FT231X must hear no more than that"
    off = FakeLine({openbci.STATUS: b"Failure: System is Down$$$"})
    with pytest.raises(SourceError, match="dongle on COM3 answers, but its board does not"):
        identify("COM3", status=True, opener=lambda path: off)
    on = FakeLine({openbci.STATUS: UP, b"v": DAISY})
    assert identify("COM3", status=True, opener=lambda path: on).board == "CYTON_DAISY_BOARD"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeLine]:
    """A machine with a stranger, a Ganglion's dongle and a Cyton's."""
    entries = [
        PortEntry("/dev/ttyUSB0", "FT231X", FTDI_DONGLE),
        PortEntry("/dev/ttyACM0", "BLED112", BLED112_DONGLE),
        PortEntry("/dev/ttyUSB1", "FT231X", FTDI_DONGLE),
    ]
    monkeypatch.setattr(ports, "list_ports", lambda: entries)
    monkeypatch.setattr(ports, "require_usable", lambda path: None)
    return {
        "/dev/ttyUSB0": FakeLine({}),
        "/dev/ttyACM0": FakeLine({openbci.HELLO: openbci.HELLO}),
        "/dev/ttyUSB1": FakeLine({openbci.STATUS: UP, b"v": CYTON}),
    }


@pytest.mark.parametrize(
    ("wanted", "path", "board"),
    [
        (None, "/dev/ttyACM0", "GANGLION_BOARD"),
        ("GANGLION_BOARD", "/dev/ttyACM0", "GANGLION_BOARD"),
        ("CYTON_BOARD", "/dev/ttyUSB1", "CYTON_BOARD"),
    ],
)
def test_the_board_that_was_asked_for_is_found(
    lines: dict[str, FakeLine], wanted: str | None, path: str, board: str
) -> None:
    port, identity = locate(wanted, None, opener=lambda path: lines[path])
    assert port.path == path
    assert identity is not None
    assert identity.board == board


def test_what_every_port_said_is_told(lines: dict[str, FakeLine]) -> None:
    match = "No OpenBCI board answers: .*ttyUSB0 does not.*ttyACM0 is no.*ttyUSB1 has no Daisy"
    with pytest.raises(SourceError, match=match):
        locate("CYTON_DAISY_BOARD", None, opener=lambda path: lines[path])


def test_a_given_port_needs_no_usb_id_and_no_status(lines: dict[str, FakeLine]) -> None:
    lines["/dev/board"] = FakeLine({b"v": DAISY})
    port, identity = locate(None, "/dev/board", opener=lambda path: lines[path])
    assert port == PortEntry("/dev/board")
    assert identity == Identity("CYTON_DAISY_BOARD", "v3.1.2")


def test_a_ganglion_on_a_given_port_is_left_to_brainflow(lines: dict[str, FakeLine]) -> None:
    assert locate("GANGLION_BOARD", "/dev/ttyACM0") == (PortEntry("/dev/ttyACM0"), None)
