"""Tells OpenBCI boards apart by what they answer on their serial port.

A Cyton's dongle is an FT231X, shared with many devices, and BrainFlow opens a Cyton with Daisy
where there is only a Cyton, and a Cyton where a Daisy makes every second frame its own.  So we
ask before BrainFlow does:

=================  ==============================================  =========================
asked              answer                                          means
=================  ==============================================  =========================
``F0 07``          ``Success: System is Up$$$``                    dongle, and its board is on
                   ``Failure: System is Down$$$``                  dongle, but no board
``v``              ``... On Board ADS1299 ... $$$``                Cyton
                   ``... On Daisy ADS1299 ... $$$``                Cyton with Daisy
                   ``OpenBCI Ganglion ...``                        Ganglion
``00 00 00 01``    ``00 00 00 01`` (BGAPI's hello)                 BLED112, the Ganglion's way
=================  ==============================================  =========================

Sources: docs.openbci.com/Cyton/CytonSDK, github.com/OpenBCI/OpenBCI_Radios, Bluegiga's
Bluetooth Smart Software API reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rtbci.errors import SourceError
from rtbci.sources import ports
from rtbci.sources.ports import PortEntry

CYTON, CYTON_DAISY, GANGLION = "CYTON_BOARD", "CYTON_DAISY_BOARD", "GANGLION_BOARD"
BAUD = 115200
READ_S = 0.1
"""How long one read waits; everything below counts such reads, so that no clock is needed."""
ANSWER_READS = 20
"""Empty reads until a question counts as not answered."""
LONGEST_ANSWER = 4096
"""Bytes after which what comes is no answer (a GPS that talks all the time)."""
STATUS, RESET, STOP, HELLO = b"\xf0\x07", b"v", b"s", b"\x00\x00\x00\x01"
END = b"$$$"
VERSION = "V"
"""Asks for the firmware's version, and changes nothing."""


class SerialLine(Protocol):
    """What is used of an open pyserial port; ``read`` waits :data:`READ_S` at most."""

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes."""

    def write(self, data: bytes) -> int | None:
        """Send all bytes."""

    def close(self) -> None:
        """Let go of the port."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A board as it described itself.

    Attributes
    ----------
    board : str
        Its name in BrainFlow: ``CYTON_BOARD``, ``CYTON_DAISY_BOARD`` or ``GANGLION_BOARD``.
    firmware : str
        ``v3.1.2``; empty where it does not say.
    """

    board: str
    firmware: str = ""


Opener = Callable[[str], SerialLine]


def open_line(path: str) -> SerialLine:
    """Open a serial port as OpenBCI's dongles want it.

    Raises
    ------
    SourceError
        Where the system refuses, with its reason.
    """
    from serial import Serial, SerialException

    try:
        line: SerialLine = Serial(path, BAUD, timeout=READ_S, write_timeout=1.0)
    except (SerialException, OSError) as err:
        raise SourceError(
            f"Serial port {path} can't be opened ({err}); close the program that uses it, or name "
            "another port with --serial-port."
        ) from err
    return line


def locate(
    wanted: str | None, path: str | None, opener: Opener = open_line
) -> tuple[PortEntry, Identity | None]:
    """Find an OpenBCI board: its port, and which board it is.

    Parameters
    ----------
    wanted : str | None
        BrainFlow's name of the board; None takes any that answers.
    path : str | None
        The port where the user knows it.  Neither its USB id nor its dongle's status matters
        then, but only what the board itself answers.

    Returns
    -------
    port : PortEntry
    identity : Identity | None
        None for a Ganglion on a given port, which BrainFlow alone can ask.

    Raises
    ------
    SourceError
        Where no port answers as that board does: what was asked, and what each port did.
    """
    if path is not None:
        ports.require_usable(path)
        if wanted == GANGLION:
            return PortEntry(path), None
        identity = identify(path, None if wanted else _usb_id(path), opener=opener)
        require_match(wanted, identity, path)
        return PortEntry(path), identity
    refused = []
    for port in ports.candidates():
        try:
            ports.require_usable(port.path)
            identity = identify(port.path, port.usb, status=True, opener=opener)
            require_match(wanted, identity, port.path)
        except SourceError as err:
            refused.append(str(err))
        else:
            return port, identity
    if refused:
        raise SourceError("No OpenBCI board answers: " + " ".join(refused))
    raise SourceError(
        f"No OpenBCI board found: {ports.describe(ports.list_ports())}, none of them an OpenBCI "
        f"dongle (USB {ports.FTDI_DONGLE}, or {ports.BLED112_DONGLE} for a Ganglion); plug the "
        "dongle in, or name the port with --serial-port."
    )


def require_match(wanted: str | None, identity: Identity, path: str) -> None:
    """Check that a board is the one that was asked for; a Cyton may have a Daisy, unused.

    Raises
    ------
    SourceError
        Where it is another, with what it said it is.
    """
    if wanted is None or wanted == identity.board:
        return
    said = identity.board.removesuffix("_BOARD").lower()
    if wanted == CYTON_DAISY and identity.board == CYTON:
        raise SourceError(
            f"The board on {path} has no Daisy: it says that it is a {said}; push the Daisy onto "
            "its pins and switch the board off and on, or use --board cyton."
        )
    if wanted == CYTON and identity.board == CYTON_DAISY:
        return
    raise SourceError(
        f"The board on {path} is no {wanted.removesuffix('_BOARD').lower()}: it says that it is a "
        f"{said}; use --board {said}, or name the other board's port with --serial-port."
    )


def identify(
    path: str, usb: str | None = None, *, status: bool = False, opener: Opener = open_line
) -> Identity:
    """Ask the board on a port what it is; a stream that still runs is stopped first.

    Parameters
    ----------
    path : str
    usb : str | None
        USB id of the port where it is known; it decides which language is spoken first.
    status : bool
        Whether the dongle must answer ``F0 07`` (a port that we chose, not the user).

    Raises
    ------
    SourceError
        Where nothing answers, or the dongle says that its board does not.
    """
    line = opener(path)
    try:
        if usb == ports.BLED112_DONGLE:
            return _identify_bluetooth(line, path)
        return _identify_cyton(line, path, status)
    except OSError as err:  # pyserial's exceptions are OSErrors
        raise SourceError(
            f"Serial port {path} failed while the board was asked what it is ({err}); plug the "
            "dongle in again."
        ) from err
    finally:
        line.close()


def read_greeting(text: str) -> Identity | None:
    """Read the answer to ``v``; None where it is no OpenBCI board's."""
    firmware = re.search(r"(?:Firmware:\s*|Ganglion\s+)(v?[\d.]+\d)", text)
    version = firmware.group(1) if firmware else ""
    if "Ganglion" in text:
        return Identity(GANGLION, version)
    if "On Daisy ADS1299" in text:
        return Identity(CYTON_DAISY, version)
    if "ADS1299" in text or "OpenBCI V3" in text:
        return Identity(CYTON, version)
    return None


def _identify_cyton(line: SerialLine, path: str, status: bool) -> Identity:
    if status:
        answer = _ask(line, STATUS)
        if b"System is" not in answer:
            raise SourceError(
                f"{path} does not answer as an OpenBCI dongle (to F0 07 it said "
                f"{_shown(answer)}); if it is one, plug it in again or name it with --serial-port."
            )
        if b"System is Up" not in answer:
            raise SourceError(_board_off(path, answer))
    _hush(line)
    # NB: a board that has just been switched on can miss its first question.
    answer = _ask(line, RESET) or _ask(line, RESET)
    if not answer:
        raise SourceError(
            f"The board on {path} answers nothing; switch it on (to PC, the blue light shows), "
            "check its battery and that the dongle is set to GPIO6, and that this is its port."
        )
    if answer.lstrip().startswith(b"Failure"):
        raise SourceError(_board_off(path, answer))
    identity = read_greeting(answer.decode("ascii", "replace"))
    if identity is None:
        raise SourceError(
            f"What is on {path} is no OpenBCI board: to `v` it said {_shown(answer)}; name the "
            "board's port with --serial-port, or the board with --board."
        )
    return identity


def _identify_bluetooth(line: SerialLine, path: str) -> Identity:
    line.write(HELLO)
    answer = line.read(len(HELLO))
    if answer != HELLO:
        raise SourceError(
            f"{path} does not answer as the Ganglion's BLED112 dongle (to BGAPI's hello it said "
            f"{_shown(answer)}); plug it in again."
        )
    return Identity(GANGLION)


def _hush(line: SerialLine) -> None:
    """Stop a stream that a killed session left running, and drop what it sent."""
    line.write(STOP)
    for _ in range(ANSWER_READS):
        if not line.read(LONGEST_ANSWER):
            return


def _ask(line: SerialLine, question: bytes) -> bytes:
    """Send a question and read its answer up to ``$$$``, or all that comes."""
    line.write(question)
    answer = b""
    empty = 0
    while empty < ANSWER_READS and len(answer) < LONGEST_ANSWER and not answer.endswith(END):
        # Byte by byte past the first, since a longer read would wait for bytes after the `$$$`.
        came = line.read(1)
        answer += came
        empty = 0 if came else empty + 1
    return answer


def _board_off(path: str, answer: bytes) -> str:
    return (
        f"The dongle on {path} answers, but its board does not ({_shown(answer)}); switch the "
        "board on (to PC), check its battery, and that both are on the same radio channel."
    )


def _shown(answer: bytes) -> str:
    return repr(answer[:60].decode("ascii", "replace")) if answer else "nothing"


def _usb_id(path: str) -> str | None:
    """Return the USB id of a path, where it is a port that the system lists."""
    device = ports.real_path(path)
    return next((p.usb for p in ports.list_ports() if ports.real_path(p.path) == device), None)
