"""What one live session was asked to do: plain values, so that they travel to the engine.

The command line fills :class:`RunSettings`, the engine process reads it back as JSON, and the
recording keeps it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Literal

from rtbci.config import SessionConfig, from_dict
from rtbci.errors import BadInputError

SourceKind = Literal["board", "lsl", "fieldtrip", "replay"]
MEASURES_IMPEDANCE = ("openbci", "cyton", "cyton_daisy", "ganglion")
Pins = Literal["analog", "digital"]


@dataclass(frozen=True)
class SourceSettings:
    """Which signal, and how it is reached.

    Attributes
    ----------
    kind : str
        ``board`` (``name`` is a BrainFlow board, ``openbci`` or ``simulator``), ``lsl`` (name,
        type or source_id), ``fieldtrip`` (``HOST:PORT``) or ``replay`` (a path).
    markers : str | None
        LSL marker stream.
    extra : tuple of str
        Further LSL streams that are recorded beside the EEG.
    params : tuple of str
        ``KEY=VALUE`` for BrainFlow's input parameters.
    aux : str
        What a Cyton reads in place of its accelerometer: its ``analog`` or ``digital`` pins.
    speed : str
        ``1`` for true speed, ``max`` as fast as possible; replays and the simulator.
    file_board, file_stream : str | None
        Of a replay: the board of a BrainFlow file, the stream of an XDF file.
    rate, seed, skill
        Of the simulator.
    scripted : bool
        Whether the simulated subject follows cues of her own; else she waits for the session's.
    """

    kind: SourceKind = "board"
    name: str = "simulator"
    serial_port: str | None = None
    gain: int | None = None
    params: tuple[str, ...] = ()
    aux: Literal["", "analog", "digital"] = ""
    markers: str | None = None
    extra: tuple[str, ...] = ()
    speed: str = "1"
    file_board: str | None = None
    file_stream: str | None = None
    rate: float = 250.0
    seed: int = 0
    skill: float = 1.0
    scripted: bool = True

    @property
    def simulated(self) -> bool:
        """Whether it is the simulator."""
        return self.kind == "board" and self.name == "simulator"

    @property
    def measures_impedance(self) -> bool:
        """Whether the impedances of its electrodes can be measured."""
        return self.kind == "board" and self.name.lower() in MEASURES_IMPEDANCE

    @property
    def is_file(self) -> bool:
        """Whether it is a file that is replayed."""
        return self.kind == "replay"

    @property
    def paced(self) -> bool:
        """Whether the source keeps the session's time: at true speed only."""
        return self.speed != "max" and float(self.speed) == 1.0


@dataclass(frozen=True)
class RunSettings:
    """A live session.

    Attributes
    ----------
    montage, classes : str | None
        As on the command line.
    subject : str | None
        Whose profile decodes.
    profile : str | None
        Folder of the profile, where it is not the subject's current one (a replay).
    decodes : bool
        Whether that profile is used at all.
    task : str
        Of the recording's name.
    model : str | None
        Name or path of weights, ``ar``, or None for the default.
    record : str | None
        Folder in which the session's own folder is made.
    osc : str | None
        ``HOST:PORT``.
    as_recorded : bool
        Of a replayed recording: whether what was changed by hand then is changed again.
    begin_with : tuple of str
        Commands in front of the first row, JSON lines (:mod:`rtbci.commands`).
    """

    source: SourceSettings = field(default_factory=SourceSettings)
    session: SessionConfig = field(default_factory=SessionConfig)
    montage: str | None = None
    classes: str | None = None
    subject: str | None = None
    profile: str | None = None
    decodes: bool = True
    task: str = "live"
    model: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    record: str | None = None
    duration_s: float | None = None
    lsl_out: bool = False
    osc: str | None = None
    events: bool = False
    status_s: float = 0.0
    as_recorded: bool = False
    begin_with: tuple[str, ...] = ()

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> RunSettings:
        """Read what :meth:`to_json` wrote."""
        return from_dict(cls, json.loads(line), "run settings")


def host_port(text: str, option: str) -> tuple[str, int]:
    """Split ``HOST:PORT``.

    Raises
    ------
    BadInputError
        Where there is no port or it is no number from 1 to 65535.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadInputError(f"{option} needs HOST:PORT (as in 127.0.0.1:1972), got {text!r}.")
    return host, int(port)
