"""What commands print: events as JSON lines, a bar while something takes its time."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Tell = Callable[[float, str], None]
"""Told the share that is done, and what is being done."""


def print_json(event: dict[str, Any]) -> None:
    """One event, one line, at once; what is not a number is null, as JSON has no NaN."""
    sys.stdout.write(json.dumps(_finite(event), allow_nan=False) + "\n")
    sys.stdout.flush()


def on_terminal(*, as_json: bool) -> bool:
    """Whether a terminal shows what a command says."""
    return sys.stdout is not None and sys.stdout.isatty() and not as_json


@contextmanager
def progress_bar(shown: bool, *, remaining: bool = False) -> Iterator[Tell]:
    """Show a progress bar on standard error; gives what moves it (share done, what at).

    With ``remaining`` it foretells its end, which only an even progress allows.
    """
    columns: list[ProgressColumn] = [TextColumn("{task.description:<40.40}"), BarColumn()]
    columns += [TimeElapsedColumn()]
    if remaining:
        columns += [TextColumn("left"), TimeRemainingColumn()]
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, disable=not (shown and console.is_terminal)
    ) as progress:
        task = progress.add_task("", total=1.0)

        def tell(share: float, text: str) -> None:
            progress.update(task, completed=share, description=text)

        yield tell


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
