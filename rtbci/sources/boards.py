"""BrainFlow's boards: their names, how they are reached, and what they deliver."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rtbci.errors import BadInputError
from rtbci.sources.driver import load_brainflow
from rtbci.types import Channel, ChannelType

SUFFIX = "_BOARD"
DEFAULT_GAIN = 24
GAINS = (1, 2, 4, 6, 8, 12, 24)
"""Gains of the ADS1299 in the order of their codes 0-6."""
GAIN_BOARDS = ("CYTON_BOARD", "CYTON_DAISY_BOARD")
AUX_COMMANDS = {"analog": "/2", "digital": "/3"}
"""What makes a Cyton read pins in place of its accelerometer (docs.openbci.com/Cyton/CytonSDK):
``analog`` A5, A6 and A7; ``digital`` D11, D12, D13, D17 and D18."""
ADS1299_VOLT = 4.5
GANGLION_FULL_SCALE_UV = 1.2e6 / (1.5 * 51.0)
"""MCP3912 with 1.2 V reference behind gains of 1.5 and 51, as BrainFlow scales it."""

KINDS: tuple[tuple[str, ChannelType, str, str], ...] = (
    ("eeg_channels", ChannelType.EEG, "EEG", "µV"),
    ("eog_channels", ChannelType.EOG, "EOG", "µV"),
    ("emg_channels", ChannelType.EMG, "EMG", "µV"),
    ("ecg_channels", ChannelType.ECG, "ECG", "µV"),
    ("accel_channels", ChannelType.ACCEL, "ACCEL", "g"),
    ("gyro_channels", ChannelType.MISC, "GYRO", "n/a"),
    ("magnetometer_channels", ChannelType.MISC, "MAGN", "n/a"),
    ("rotation_channels", ChannelType.MISC, "ROTATION", "n/a"),
    ("analog_channels", ChannelType.MISC, "ANALOG", "n/a"),
    ("eda_channels", ChannelType.MISC, "EDA", "n/a"),
    ("ppg_channels", ChannelType.MISC, "PPG", "n/a"),
    ("optical_channels", ChannelType.MISC, "OPTICAL", "n/a"),
    ("temperature_channels", ChannelType.MISC, "TEMPERATURE", "n/a"),
    ("resistance_channels", ChannelType.MISC, "RESISTANCE", "kOhm"),
    ("other_channels", ChannelType.MISC, "OTHER", "n/a"),
)
"""BrainFlow's kinds of rows with our type, name and unit.  A row that BrainFlow lists under
several kinds (a Cyton's eight are EEG, EMG, ECG and EOG) is what it is called first here."""

TRANSPORTS = (
    ("SYNTHETIC", "none"),
    ("PLAYBACK_FILE", "file"),
    ("STREAMING", "network"),
    ("WIFI", "network"),
    ("GALEA NOTION CROWN EMOTIBIT BIOLISTENER", "network"),
    ("BLED GANGLION_BOARD GFORCE", "Bluetooth dongle"),
    ("CYTON FREEEEG NEUROPAWN IRONBCI SHIMMER", "serial port"),
    ("ANT_NEURO", "USB"),
    ("PIEEG", "SPI"),
)
"""How boards are reached, by words in their names, the first that fits; others: Bluetooth."""


@dataclass(frozen=True, slots=True)
class BoardEntry:
    """A board that BrainFlow knows.

    Attributes
    ----------
    name : str
        As ``--board`` takes it.
    id : int
        BrainFlow's BoardIds value.
    rate : float
        Hz; 0 where it depends on the file or stream that is played.
    n_eeg : int
    transport : str
        ``serial port``, ``Bluetooth``, ``Bluetooth dongle``, ``network``, ``USB``, ``SPI``,
        ``file`` or ``none``.
    """

    name: str
    id: int
    rate: float
    n_eeg: int
    transport: str


@dataclass(frozen=True, slots=True)
class Counting:
    """How a board counts its packages.

    Attributes
    ----------
    step : int
        From a row to the next.
    modulus : int
        Where it wraps.
    """

    step: int
    modulus: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Which of BrainFlow's rows become what.

    Attributes
    ----------
    rate : float
        Hz.
    n_rows : int
        All rows that BrainFlow gives.
    rows : tuple of int
        Those that are recorded, in the order of ``channels``.
    channels : tuple of Channel
    counting : Counting | None
        None where the package row finds no losses; it is then a channel.
    package_row, stamp_row, marker_row : int
    """

    rate: float
    n_rows: int
    rows: tuple[int, ...]
    channels: tuple[Channel, ...]
    counting: Counting | None
    package_row: int
    stamp_row: int
    marker_row: int

    @property
    def n_eeg(self) -> int:
        """How many of the channels are EEG."""
        return sum(c.type is ChannelType.EEG for c in self.channels)


COUNTING = {
    "CYTON_BOARD": Counting(1, 256),
    "CYTON_DAISY_BOARD": Counting(2, 256),
    "CYTON_WIFI_BOARD": Counting(1, 256),
    "SYNTHETIC_BOARD": Counting(1, 256),
}
"""Boards whose counter finds losses.  Others' package rows are recorded as a channel: a
Ganglion gives two rows the same number and starts over with each compression."""


def list_boards() -> list[BoardEntry]:
    """List every board that this BrainFlow can open, by name."""
    shim = load_brainflow()
    entries = []
    for board in shim.BoardIds:
        if board is shim.BoardIds.NO_BOARD:
            continue
        description = shim.BoardShim.get_board_descr(board)
        entries.append(
            BoardEntry(
                name=board.name.removesuffix(SUFFIX).lower(),
                id=int(board),
                rate=float(description.get("sampling_rate", 0)),
                n_eeg=len(description.get("eeg_channels", ())),
                transport=transport(board.name),
            )
        )
    return sorted(entries, key=lambda entry: entry.name)


def find_board_id(name: str) -> Any:
    """Find a board by its BrainFlow name, in any case, with or without ``_BOARD``, or its number.

    Raises
    ------
    BadInputError
        Where there is none of that name; the nearest names are given.
    """
    shim = load_brainflow()
    known = {b.name: b for b in shim.BoardIds if b is not shim.BoardIds.NO_BOARD}
    if name.strip() in (numbers := {str(int(b)): b for b in known.values()}):
        return numbers[name.strip()]
    wanted = name.strip().upper().replace("-", "_").replace(" ", "_")
    for spelling in (wanted, wanted + SUFFIX):
        if spelling in known:
            return known[spelling]
    names = [n.removesuffix(SUFFIX).lower() for n in known] + ["openbci", "simulator"]
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else ""
    raise BadInputError(
        f"There is no board {name!r}; {hint + ' ' if hint else ''}`rtbci boards` lists all."
    )


def transport(board: str) -> str:
    """Tell how a board is reached, from its BrainFlow name."""
    for words, way in TRANSPORTS:
        if any(word in board for word in words.split()):
            return way
    return "Bluetooth"


def full_scale_uv(board: str, gain: int) -> float | None:
    """Return the largest voltage that a board can report, µV; None where we don't know."""
    if board in GAIN_BOARDS:
        return ADS1299_VOLT * 1e6 / gain
    return GANGLION_FULL_SCALE_UV if board.startswith("GANGLION") else None


def check_gain(board: str, gain: int | None) -> None:
    """Check a gain that was asked for.

    Raises
    ------
    BadInputError
        Where the amplifier does not have it, or we can't set it on this board.
    """
    if gain is None:
        return
    if board not in GAIN_BOARDS:
        raise BadInputError(
            f"The gain of {board.removesuffix(SUFFIX).lower()} can't be set, got {gain}; leave "
            "--gain out (only Cyton and Cyton with Daisy have one)."
        )
    if gain not in GAINS:
        raise BadInputError(
            f"Gain must be one of {', '.join(map(str, GAINS))}, got {gain}; 24 is the default."
        )


def check_aux(board: str, aux: str) -> None:
    """Check pins that are to be read.

    Raises
    ------
    BadInputError
        Where the board has none.
    """
    if aux and board not in GAIN_BOARDS:
        raise BadInputError(
            f"{board.removesuffix(SUFFIX).lower()} has no {aux} pins that can be read (only Cyton "
            "and Cyton with Daisy have)."
        )


def gain_command(n_channels: int, gain: int) -> str:
    """Write the command that sets the gain of all channels and leaves the rest at its default.

    ``x CHANNEL POWER GAIN INPUT BIAS SRB2 SRB1 X``, docs.openbci.com/Cyton/CytonSDK.
    """
    letters = "12345678QWERTYUI"[:n_channels]
    return "".join(f"x{letter}0{GAINS.index(gain)}0110X" for letter in letters)


def lay_out(board: str, description: Mapping[str, Any], gain: int) -> Layout:
    """Lay out what is recorded of a board.

    Parameters
    ----------
    board : str
        BrainFlow's name.
    description : mapping
        BrainFlow's ``get_board_descr``.
    gain : int
        That the amplifier is set to.
    """
    names = str(description.get("eeg_names", "")).split(",")
    rows: list[int] = []
    channels: list[Channel] = []
    for key, kind, prefix, unit in KINDS:
        taken = set(rows)
        fresh = [row for row in description.get(key, ()) if row not in taken]
        for number, row in enumerate(fresh, 1):
            named = kind is ChannelType.EEG and len(names) == len(fresh)
            scale = full_scale_uv(board, gain) if kind is ChannelType.EEG else None
            name = names[number - 1] if named else f"{prefix}{number}"
            rows.append(row)
            channels.append(Channel(name, kind, unit, scale))
    counting = COUNTING.get(board)
    singles = [("battery_channel", "BATTERY")]
    if counting is None:
        singles.append(("package_num_channel", "PACKAGE"))
    for key, name in singles:
        if key in description:
            rows.append(description[key])
            channels.append(Channel(name, ChannelType.MISC, "n/a"))
    return Layout(
        rate=float(description["sampling_rate"]),
        n_rows=description["num_rows"],
        rows=tuple(rows),
        channels=tuple(channels),
        counting=counting,
        package_row=description.get("package_num_channel", 0),
        stamp_row=description["timestamp_channel"],
        marker_row=description["marker_channel"],
    )
