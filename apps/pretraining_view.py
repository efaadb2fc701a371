"""A pretraining as it goes: a bar on a terminal, lines in a log, or JSON for machines."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from rtbci.apps.printing import print_json

if TYPE_CHECKING:
    from rtbci.models.pretrain.training import run
    from rtbci.models.pretrain.training.logs import Row

LINE_S = 20.0
"""Seconds from a line of a log that is no terminal to the next."""

STAGES = {
    "prepare": "preparing",
    "linear": "linear floor",
    "train": "training",
    "decode": "decode head",
}


@contextmanager
def watching(*, as_json: bool) -> Iterator[Callable[[run.Progress], None]]:
    """Show how far it is; gives what is to be told."""
    console = Console(stderr=True)
    if as_json:
        yield _tell_json
    elif not console.is_terminal:
        yield _Lines().tell
    else:
        view = _View()
        with Live(view, console=console, refresh_per_second=4, transient=True):
            yield view.tell


def _tell_json(at: run.Progress) -> None:
    if at.row is not None:
        print_json({"event": "step", **at.row.flat()})


class _Lines:
    """A line for each stage, and now and then one for the steps."""

    def __init__(self) -> None:
        self._stage = ""
        self._said = -math.inf

    def tell(self, at: run.Progress) -> None:
        if at.stage != self._stage:
            self._stage = at.stage
            typer.echo(STAGES[at.stage], err=True)
        now = time.monotonic()
        if at.row is not None and now - self._said >= LINE_S:
            self._said = now
            typer.echo(f"{at.text}: {in_words(at.row)}", err=True)
            sys.stderr.flush()


class _View:
    """The bar of the stage that runs, and what the last steps gave."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TextColumn("{task.fields[what]:.36}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._task = self._progress.add_task("starting", total=1.0, what="")
        self._stage = ""
        self._row: Row | None = None

    def tell(self, at: run.Progress) -> None:
        if at.stage != self._stage:  # a run that goes on begins in the middle of its bar
            self._stage = at.stage
            description = STAGES[at.stage]
            self._progress.reset(self._task, completed=at.done, description=description)  # type: ignore[arg-type]
        self._row = at.row or self._row
        self._progress.update(self._task, completed=at.done, what=at.text)

    def __rich__(self) -> Group:
        parts: list[Progress | Table | Text] = [self._progress]
        if self._row is not None:
            parts += [_figures(self._row), Text(_rates(self._row), style="dim")]
        return Group(*parts)


def in_words(row: Row) -> str:
    """Figures and rates in a line."""
    figures = ", ".join(f"{k} {v:.3f}" for k, v in row.figures.items())
    return f"error over the baseline's: {figures}; {_rates(row)}"


def _rates(row: Row) -> str:
    return (
        f"loss {row.loss:.4g}, {row.tokens_per_s:,.0f} tokens/s, "
        f"{row.waiting:.0%} of the time waiting for data"
    )


def _figures(row: Row) -> Table:
    table = Table(title="error over the baseline's", title_justify="left")
    for name in row.figures:
        table.add_column(name, justify="right")
    table.add_row(*(f"{v:.3f}" for v in row.figures.values()))
    return table
