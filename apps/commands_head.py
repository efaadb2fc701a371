"""``rtbci evaluate head``: what an uncalibrated decode head reads, beside its own controls."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from rtbci.apps.options import Data, Json
from rtbci.apps.printing import print_json, progress_bar

COLUMNS = {
    "eyes": "eyes alone",
    "head": "head",
    "regressed": "eyes taken out",
    "high_passed": "from 6 Hz",
}
"""What the methods of :mod:`rtbci.calibration.evaluation.head_controls` are called in the table."""


def evaluate_head(
    data: Data,
    model: Annotated[str | None, typer.Option(help="Weights by name or path.")] = None,
    as_json: Json = False,
) -> None:
    """Uncalibrated decode head beside its controls: the eyes alone, and the head without them."""
    from rtbci.apps.assemble import limit_threads
    from rtbci.calibration.evaluation.head_controls import head_controls
    from rtbci.models.checkpoint import DEFAULT, find_checkpoint, load_checkpoint

    limit_threads()
    checkpoint = load_checkpoint(find_checkpoint(model or DEFAULT))
    with progress_bar(not as_json) as tell:
        scores = head_controls(checkpoint, data, progress=tell).to_dict()
    if as_json:
        print_json({"event": "summary", **scores})
    else:
        Console().print(_table(scores))


def _table(scores: dict[str, Any]) -> Table:
    n_others = len(scores["eyes_learned_on"])
    table = Table(
        title=f"{scores['model']}: left against right hand without calibration",
        caption="Balanced accuracy; 0.5 is chance. Of the eyes alone (learned on "
        f"{n_others} other subjects); of the head as it is, with the eyes regressed out of what "
        "it gets, and high-passed at 6 Hz.",
    )
    table.add_column("subject")
    table.add_column("trials", justify="right")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    for row in scores["subjects"]:
        table.add_row(row["subject"], str(row["trials"]), *_cells(row["balanced"]))
    table.add_section()
    table.add_row("mean", str(scores["trials"]), *_cells(scores["mean"]))
    table.add_section()
    for row in scores["pooled"]:
        table.add_row(f"eyes {row['eyes']}", str(row["trials"]), *_cells(row["balanced"]))
    return table


def _cells(balanced: dict[str, float | None]) -> list[str]:
    values = (balanced.get(method) for method in COLUMNS)
    return ["–" if v is None else f"{v:.2f}" for v in values]
