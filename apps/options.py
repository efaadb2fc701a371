"""Options that several commands have: what they are called, what they take, what help says."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    """Where the model runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


Data = Annotated[list[Path], typer.Argument(help="Recordings, or folders of them.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")]
Config = Annotated[Path | None, typer.Option(help="TOML file of settings.")]
Model = Annotated[str | None, typer.Option(help="Weights by name or path, or ar.")]
RunsOn = Annotated[Device, typer.Option(help="Where the model runs.")]

Board = Annotated[
    str | None,
    typer.Option(
        help="BrainFlow board by name, openbci (finds Cyton, Daisy, Ganglion), simulator."
    ),
]
SerialPort = Annotated[str | None, typer.Option(help="Port of the board.")]
Gain = Annotated[int | None, typer.Option(help="Amplifier gain (OpenBCI).")]
BoardParam = Annotated[
    list[str] | None, typer.Option(help="KEY=VALUE of BrainFlow's input parameters.")
]
Lsl = Annotated[str | None, typer.Option(help="LSL stream: name, type or source_id.")]
FieldTrip = Annotated[str | None, typer.Option(help="FieldTrip buffer, HOST:PORT.")]
Line = Annotated[float | None, typer.Option(help="Mains frequency, 50 or 60 Hz.")]
Montage = Annotated[
    str | None, typer.Option(help="What the channels are: a name, a file, or C3,Cz,C4,...")
]
Classes = Annotated[
    str | None, typer.Option(help="Markers that are classes: T1=left_hand,T2=right_hand")
]
Subject = Annotated[str | None, typer.Option(help="Whose profile decodes.")]
Gui = Annotated[bool, typer.Option("--gui", help="A window, or an error.")]
Headless = Annotated[bool, typer.Option("--headless", help="No window.")]
