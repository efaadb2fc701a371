"""What an OpenBCI Cyton (and Daisy) says and sends: commands in, answers and frames out.

No I/O and no clock: :mod:`cyton` puts this behind a pty.  Answers and frames follow the
firmware (github.com/OpenBCI/OpenBCI_Cyton_Library 3.1.x, OpenBCI_Radios for the dongle) and
docs.openbci.com/Cyton/CytonDataFormat.

Every frame has a number on the board's own clock (frames since power-on, streaming or not).
The first channel of the Cyton and of the Daisy carry their row's number as a plain count, so
that a test can tell which rows came; the other channels carry sines.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

FRAME_BYTES = 33
DAISY_LETTERS = b"QWERTYUI"
CHANNELS = b"12345678" + DAISY_LETTERS
GAINS = (1, 2, 4, 6, 8, 12, 24)
RADIO = 0xF0
SINE_UV = 20.0
DRIVE_A, DRIVE_HZ, SERIES_OHM = 6e-9, 31.25, 2200.0
"""The lead-off test's current, its frequency, and the resistor in front of each input."""
TAIL = {ord("x"): 8, ord("z"): 4, ord("~"): 1, ord("/"): 1, RADIO: 1}
"""Bytes that follow the first one of a command of several bytes."""


def sine_hz(channel: int) -> float:
    """Frequency of the sine on a channel (counted from 0; 0 and 8 carry the row's number)."""
    return 4.0 + 2.0 * (channel % 8)


def uv_per_count(gain: int) -> float:
    """Volts of the ADS1299 at this gain: 4.5 V / gain / (2^23 - 1), in µV a count."""
    return 4.5e6 / gain / (2**23 - 1)


@dataclass
class Firmware:
    """A board with its dongle; :meth:`receive` and :meth:`frame` are all that it does.

    Parameters
    ----------
    daisy : bool
        Whether a Daisy is plugged onto the Cyton.
    rate : float
        Frames a second; the real board makes 250 (with a Daisy two frames are one row).
    """

    daisy: bool = False
    rate: float = 250.0
    powered: bool = True
    silent: bool = False
    streaming: bool = False
    attached: bool = False
    first: int = 0
    mode: int = 0
    stamps: bool = False
    stamp_set: bool = False
    gains: list[int] = field(default_factory=lambda: [24] * 16)
    driven: list[bool] = field(default_factory=lambda: [False] * 16)
    ohms: list[float] = field(default_factory=lambda: [5000.0 * (n + 1) for n in range(16)])
    sticks: bool = False
    lights: list[tuple[int, bool]] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)
    _command: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.attached = self.daisy

    def receive(self, data: bytes, upcoming: int) -> bytes:
        """Take bytes from the host; ``upcoming`` is the number of the next frame."""
        self.heard += data
        if self.silent:
            return b""
        out = bytearray()
        for byte in data:
            self._command.append(byte)
            if len(self._command) > TAIL.get(self._command[0], 0):
                command = bytes(self._command)
                self._command.clear()
                out += self._answer(command, upcoming)
        return bytes(out)

    def row(self, frame: int) -> int:
        """Return the number of the row that a frame belongs to."""
        return frame // 2 if self.attached else frame

    def frame(self, number: int) -> bytes:
        """Make the 33 bytes of a frame; with a Daisy the even ones are its own channels."""
        counter = (number - self.first) & 0xFF
        base = 8 if self.attached and counter % 2 == 0 else 0
        row = self.row(number)
        row_rate = self.rate / 2 if self.attached else self.rate
        out = bytearray([0xA0, counter])
        planted = (row & 0x7FFFFF) + round(self._test_uv(base, row / row_rate) / uv_per_count(24))
        out += planted.to_bytes(3, "big", signed=True)
        for channel in range(base + 1, base + 8):
            sine = SINE_UV * math.sin(2 * math.pi * sine_hz(channel) * row / row_rate)
            sine += self._test_uv(channel, row / row_rate)
            count = round(sine / uv_per_count(self.gains[channel]))
            out += count.to_bytes(3, "big", signed=True)
        footer, aux = self._aux(number, counter)
        return bytes(out) + aux + bytes([footer])

    def _test_uv(self, channel: int, seconds: float) -> float:
        """Voltage of the lead-off test: 6 nA at 31.25 Hz through electrode and board."""
        if not self.driven[channel]:
            return 0.0
        ohm = self.ohms[channel] + SERIES_OHM
        # With a Daisy the firmware sends the mean of two samples.
        left = math.cos(math.pi * DRIVE_HZ / self.rate) if self.attached else 1.0
        return left * DRIVE_A * ohm * 1e6 * math.sin(2 * math.pi * DRIVE_HZ * seconds)

    def _forget(self) -> None:
        """Set every channel to its default."""
        self.gains = [24] * 16
        if not self.sticks:
            self.driven = [False] * 16

    def _aux(self, number: int, counter: int) -> tuple[int, bytes]:
        """Footer and six aux bytes: accelerometer at 25 Hz, pins, or board time."""
        analog = self.mode in (2, 3)
        if self.stamps:
            footer = 0xC3 if self.stamp_set else 0xC4
            self.stamp_set = False
            milliseconds = int(number * 1000 / self.rate) & 0xFFFFFFFF
            return footer + (2 if analog else 0), bytes(2) + struct.pack(">I", milliseconds)
        lit = self._lit(number)
        if self.mode == 2:  # the photodiode is at A6; A5 hums, as an open pin does
            return 0xC1, struct.pack(">3h", 500 + number * 37 % 23, 700 if lit else 90, 300)
        if self.mode == 3:  # D11, D12, D13, D17, none, D18; the photodiode pulls D17 down
            return 0xC1, bytes([0, 1, 0, 0 if lit else 1, 0, 0])
        return 0xC0, struct.pack(">3h", 800, -160, 8000) if counter % 10 == 0 else bytes(6)

    def _lit(self, number: int) -> bool:
        """Whether light falls on the photodiode while a frame is sampled."""
        return next((on for frame, on in reversed(self.lights) if frame <= number), False)

    def _answer(self, command: bytes, upcoming: int) -> bytes:
        if command[0] == RADIO:
            if command[1] == 7:
                return (
                    b"Success: System is Up$$$" if self.powered else b"Failure: System is Down$$$"
                )
            return b"Success: Host and Device on Channel Number 20$$$" if command[1] == 0 else b""
        if not self.powered:
            return b"Failure: Communications timeout - Device failed to poll Host$$$"
        was_streaming = self.streaming
        text = self._obey(command, upcoming)
        quiet = was_streaming and command != b"v"
        return b"" if quiet or text is None else text.encode() + b"$$$"

    def _obey(self, command: bytes, upcoming: int) -> str | None:
        """Carry a command out; its answer without the ``$$$``, None where it has none."""
        match chr(command[0]):
            case "b":
                if not self.streaming:
                    self.streaming, self.first = True, upcoming + (upcoming & 1)
            case "s":
                self.streaming = False
            case "v":
                self.streaming, self.attached, self.mode, self.stamps = False, self.daisy, 0, False
                self._forget()
                return self._greeting()
            case "V":
                return "v3.1.2"
            case "d":
                self._forget()
                return "updating channel settings to default"
            case "D":
                return "060110"
            case "?":
                return "\r\nBoard ADS Registers\r\nADS_ID, 00, 3E\r\n"
            case "<" | ">":
                self.stamps = self.stamp_set = command == b"<"
                return f"Time stamp {'ON' if self.stamps else 'OFF'}"
            case "c":
                removed, self.attached = self.attached, False
                return "daisy removed" if removed else "no daisy to remove!"
            case "C":
                news = (
                    ""
                    if self.attached
                    else ("daisy attached" if self.daisy else "no daisy to attach!")
                )
                self.attached = self.daisy
                return news + ("16" if self.daisy else "8")
            case "0" | "-" | "=" | "p" | "[" | "]":
                return "Success: Configured internal test signal."
            case "x":
                return self._set_channel(command)
            case "z":
                if command[-1:] != b"Z" or command[1] not in CHANNELS:
                    return "Failure: Err: 5th char not Z"
                channel, on = CHANNELS.index(command[1]), b"1" in command[2:4]
                self.driven[channel] = on or (self.sticks and self.driven[channel])
                return f"Success: Lead off set for {channel + 1}"
            case "~":
                # NB: over the radio the board falls back to 250 Hz at `b`, whatever was asked.
                valid = command[1:] in {bytes([c]) for c in b"0123456~"}
                return "Success: Sample rate is 250Hz" if valid else "Failure: invalid sample value"
            case "/":
                return self._set_mode(command)
            case _:
                pass
        return None

    def _greeting(self) -> str:
        daisy = "On Daisy ADS1299 Device ID: 0x3E\r\n" if self.daisy else ""
        return (
            "OpenBCI V3 8-16 channel\r\nOn Board ADS1299 Device ID: 0x3E\r\n"
            f"{daisy}LIS3DH Device ID: 0x33\r\nFirmware: v3.1.2\r\n"
        )

    def _set_channel(self, command: bytes) -> str:
        channel, gain = CHANNELS.find(command[1:2]), command[3] - ord("0")
        if command[-1:] != b"X" or channel < 0 or not 0 <= gain < len(GAINS):
            return "Failure: Err: 9th char not X"
        self.gains[channel] = GAINS[gain]
        return f"Success: Channel set for {channel + 1}"

    def _set_mode(self, command: bytes) -> str:
        names = ("default", "debug", "analog", "digital", "marker", "BLE")
        if command[1:] != b"/":
            mode = command[1] - ord("0")
            if not 0 <= mode < len(names):
                return "Failure: board mode value out of bounds."
            self.mode = mode
        return f"Success: {names[self.mode]}"
