"""``rtbci report`` and ``rtbci review``: to look at a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rtbci.apps.options import Json
from rtbci.apps.printing import print_json, progress_bar

Recording = Annotated[Path, typer.Argument(help="A recording: its folder, or any file in it.")]


def report(
    recording: Recording,
    out: Annotated[
        Path | None, typer.Option(help="HTML file; beside the recording if left out.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Replay it, too, and say whether all comes again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write what a recording holds as one HTML page with plots."""
    from rtbci.apps.report.page import write_report

    with progress_bar(not as_json) as tell:
        written = write_report(recording, out, verify=verify, tell=tell)
    if as_json:
        print_json({"event": "summary", "recording": str(recording), "written": str(written)})
    else:
        Console().print(f"written: {written}", soft_wrap=True, highlight=False)


def review(recording: Recording) -> None:
    """Look through a recording in a window: signals, forecasts and decodes as they were."""
    from rtbci.apps.gui.review.app import show_recording

    raise typer.Exit(show_recording(recording))
