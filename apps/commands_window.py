"""``rtbci attach`` and ``rtbci stop``: sessions that run already; the window of ``rtbci run``."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from rtbci.apps import window_session
from rtbci.apps.options import Json
from rtbci.apps.printing import print_json
from rtbci.apps.settings import RunSettings
from rtbci.errors import BadInputError, RtbciError
from rtbci.live import registry
from rtbci.live.control import end_session
from rtbci.live.registry import SessionEntry

Session = Annotated[
    str | None, typer.Argument(help="Id of the session, or how it begins; the newest if left out.")
]


def attach(
    session: Session = None,
    list_all: Annotated[bool, typer.Option("--list", help="Only list what runs.")] = False,
    theme: Annotated[str, typer.Option(help="auto, dark or light.")] = "auto",
    as_json: Json = False,
) -> None:
    """Open a window on a session that runs; closing it costs the session nothing."""
    if list_all or as_json:
        _list(registry.sessions(), as_json)
        return
    entry = registry.find(session)
    check_display("rtbci attach")
    raise typer.Exit(open_window(entry.folder, ask_on_close=entry.detached, theme=theme))


def stop(session: Session = None, as_json: Json = False) -> None:
    """End a session that runs, as Ctrl-C in its terminal would."""
    entry = registry.find(session)
    end_session(entry.folder)
    if as_json:
        print_json({"event": "stopped", "session": entry.id, "recording": entry.recording})
        return
    where = f"; its recording is {entry.recording}" if entry.recording else ""
    Console().print(f"session {entry.id} has ended{where}", soft_wrap=True, highlight=False)


def choose_and_run(settings: RunSettings) -> int:
    """Let a source be chosen in a window, and run a session on it; give the window's exit code.

    Raises
    ------
    BadInputError
        Where no window can be shown.
    """
    from rtbci.apps.gui.app import open_start

    return open_start(settings)


def run_with_window(settings: RunSettings) -> int:
    """Run a session of its own and show it; give the exit code of the window.

    Raises
    ------
    BadInputError, RtbciError
        Where no window can be shown, or the session ends before there is something to show.
    """
    from rtbci.apps.gui.app import check_window, open_live

    check_window()  # before the engine is started, which nobody could reach without a window
    engine = window_session.start(settings)
    try:
        folder = engine.wait()
    except BaseException:  # Ctrl-C, too
        engine.end()
        raise
    try:
        code = open_live(folder, duration=settings.duration_s is not None)
    except RtbciError:
        engine.end()
        raise
    for entry in registry.sessions():
        if entry.detached:
            Console().print(
                f"session {entry.id} ({entry.source}) goes on; reach it with: rtbci attach "
                f"{entry.id}, end it with: rtbci stop {entry.id}",
                soft_wrap=True,
                highlight=False,
            )
    return code


def open_window(folder: Path, *, ask_on_close: bool, theme: str = "auto") -> int:
    """Show a session that runs; give the exit code of the window."""
    from rtbci.apps.gui.app import open_live

    return open_live(folder, ask_on_close=ask_on_close, theme=theme)


def check_display(what: str) -> None:
    """Refuse to open a window where there is no display.

    Raises
    ------
    BadInputError
        With the remedy.
    """
    if not window_session.has_display():
        raise BadInputError(
            f"{what} opens a window, and there is no display: none of "
            f"{', '.join(window_session.DISPLAYS)} is set; call it on a desktop or through ssh -X, "
            "or run without a window: rtbci run --headless."
        )


def _list(running: list[SessionEntry], as_json: bool) -> None:
    if as_json:
        for entry in running:
            print_json(_plain(entry))
        return
    console = Console()
    if not running:
        console.print("no session runs here; begin one with: rtbci run")
        return
    table = Table(
        "id", "source", "since", Column("recording", overflow="fold"), "belongs to", "pid"
    )
    for entry in running:
        table.add_row(
            entry.id,
            entry.source,
            time.strftime("%H:%M:%S", time.localtime(entry.started)),
            entry.recording or "none",
            "itself" if entry.detached else "its terminal",
            str(entry.pid),
        )
    console.print(table)


def _plain(entry: SessionEntry) -> dict[str, Any]:
    return {"event": "session", **asdict(entry), "folder": str(entry.folder)}
