"""``rtbci doctor``: what is wrong with this machine; ``--timing``: when a cue's light comes."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rtbci.apps.commands_run import check_belongs, source_settings
from rtbci.apps.options import Board, Json, Lsl, SerialPort
from rtbci.apps.printing import print_json
from rtbci.apps.settings import Pins
from rtbci.apps.view import BAD, FAINT, GOOD
from rtbci.errors import BadInputError

LEAST_CUES = 10
BOARD = "openbci"
"""Looked for where no source is named."""


def doctor(
    timing: Annotated[
        bool, typer.Option("--timing", help="Measure the light of cues with a photodiode.")
    ] = False,
    cues: Annotated[
        int | None, typer.Option(min=LEAST_CUES, help="Cues to show with --timing [100].")
    ] = None,
    pins: Annotated[
        Pins | None, typer.Option(help="Pins of a Cyton that the photodiode is on [analog].")
    ] = None,
    channel: Annotated[
        str | None, typer.Option(help="The photodiode's channel; found by itself if not named.")
    ] = None,
    board: Board = None,
    serial_port: SerialPort = None,
    lsl: Lsl = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with this machine, and the command that mends it."""
    if timing:
        _measure(cues or 100, pins, channel, board, serial_port, lsl, as_json)
        return
    given = {
        "--cues": cues,
        "--pins": pins,
        "--channel": channel,
        "--board": board,
        "--serial-port": serial_port,
        "--lsl": lsl,
    }
    if said := [name for name, value in given.items() if value is not None]:
        raise BadInputError(f"{said[0]} is for the measurement with a photodiode: add --timing.")
    from rtbci.apps.doctor import examine

    findings = examine()
    if as_json:
        print_json({"findings": [asdict(f) for f in findings]})
    else:
        console = Console()
        for finding in findings:
            mark = f"[{GOOD}]ok  [/]" if finding.ok else f"[{BAD}]mend[/]"
            console.print(f"{mark} {finding.what}", soft_wrap=True, highlight=False)
            if finding.remedy:
                console.print(
                    f"     {finding.remedy}", soft_wrap=True, highlight=False, style=FAINT
                )
    raise typer.Exit(0 if all(f.ok or not f.serious for f in findings) else 1)


def _measure(
    cues: int,
    pins: Pins | None,
    channel: str | None,
    board: str | None,
    serial_port: str | None,
    lsl: str | None,
    as_json: bool,
) -> None:
    from rtbci.apps.gui.app import application
    from rtbci.apps.gui.calibration.light_bench import measure_light, with_pins
    from rtbci.apps.texts import t

    source = source_settings(board or (None if lsl else BOARD), lsl, None, None)
    check_belongs(source, {"--serial-port": serial_port, "--pins": pins}, {"--markers": None})
    source = with_pins(replace(source, serial_port=serial_port), pins)
    application()
    if not as_json:
        typer.echo(t("timing.place"))
        typer.echo(t("timing.wire", pins=t(f"timing.pins_{source.aux or 'other'}")))
        if sys.stdin.isatty():
            typer.prompt(t("timing.press"), default="", show_default=False, prompt_suffix=" ")
    with tempfile.TemporaryDirectory() as folder:
        found = measure_light(cues, Path(folder), source, channel=channel)
    if as_json:
        print_json(found.to_dict())
        return
    for line in found.lines():
        typer.echo(line)
