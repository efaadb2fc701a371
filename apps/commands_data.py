"""``rtbci replay``, ``recover`` and ``export``: what to do with a recording."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from rtbci.apps.commands_run import check_speed, follow
from rtbci.apps.options import Device, Json
from rtbci.apps.printing import print_json
from rtbci.apps.settings import RunSettings, SourceSettings
from rtbci.errors import BadInputError

Recordings = Annotated[
    list[Path], typer.Argument(help="Recordings: the folder of each, or any file in it.")
]


def replay(
    recordings: Recordings,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare with what was decoded live; exit 1 if not.")
    ] = False,
    speed: Annotated[str, typer.Option(help="1 for true speed, max as fast as possible.")] = "max",
    device: Annotated[
        Device, typer.Option(help="Where the model runs; auto verifies where it ran live.")
    ] = Device.AUTO,
    as_json: Json = False,
) -> None:
    """Run recordings through the same pipeline again."""
    same = True
    for recording in recordings:
        if len(recordings) > 1 and not as_json:
            Console().print(f"{recording}:", soft_wrap=True, highlight=False)
        if verify:
            same &= _verified(recording, device, as_json)
        else:
            follow(as_recorded(recording, speed, device), as_json)
    raise typer.Exit(0 if same else 1)


def _verified(recording: Path, device: Device, as_json: bool) -> bool:
    from rtbci.apps.verify import verify_recording

    result = verify_recording(recording, device.value, print_json if as_json else None)
    if as_json:
        print_json(result.to_event())
    else:
        Console().print(result.words())
    return result.same


def as_recorded(path: Path, speed: str, device: Device) -> RunSettings:
    """Settings of a session that plays a recording with what it was decoded with."""
    from rtbci.apps.assemble import DECODER_FOLDER
    from rtbci.recording.reader import open_recording

    recording = open_recording(path)
    decoder = recording.files.folder / DECODER_FOLDER
    classes = recording.extra["classes"]
    source = SourceSettings(kind="replay", name=str(path))
    return RunSettings(
        source=replace(source, speed=check_speed(speed, source)),
        session=recording.config,
        classes=",".join(f"{marker}={name}" for marker, name in classes.items()) or None,
        subject=recording.subject if decoder.exists() else None,
        profile=str(decoder) if decoder.exists() else None,
        model=recording.extra["model"]["asked"],
        device=device.value,
        as_recorded=True,
    )


def recover(
    recordings: Annotated[
        list[Path], typer.Argument(help="Recordings, or folders that hold several.")
    ],
    as_json: Json = False,
) -> None:
    """Mend what a crash left: recordings, or folders that hold several."""
    from rtbci.recording.recover import recover as mend

    console = Console()

    def tell(event: dict[str, Any]) -> None:
        if as_json:
            print_json(event)
        elif event["event"] == "repair":
            console.print(f"{event['file']}: {event['what']}", soft_wrap=True)
        else:
            console.print(event["message"], soft_wrap=True)

    count = 0
    for recording in recordings:
        repairs = mend(recording, tell)
        count += len(repairs)
        if not repairs and not as_json:
            console.print(f"{recording}: nothing to mend", soft_wrap=True)
    if as_json:
        print_json({"event": "summary", "repairs": count})


class Format(StrEnum):
    """Formats that a recording can be converted to."""

    BIDS = "bids"
    FIF = "fif"
    EDF = "edf"
    BDF = "bdf"


def export(
    recordings: Recordings,
    to: Annotated[Format, typer.Option(help="Format.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="File (of one recording), or folder for BIDS; beside the recording if left out."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Convert recordings."""
    from rtbci.recording.export import export as convert

    if out is not None and len(recordings) > 1 and to is not Format.BIDS:
        raise BadInputError(
            f"--out {out} is one file, and {len(recordings)} recordings were named; leave it out, "
            "and each file is written beside its recording."
        )
    for recording in recordings:
        written = convert(recording, to.value, out)
        if as_json:
            print_json({"event": "summary", "recording": str(recording), "written": str(written)})
        else:
            Console().print(f"written: {written}", soft_wrap=True)
