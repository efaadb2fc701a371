"""``rtbci evaluate forecast``: forecasts beside every baseline, on people never trained on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from rtbci.apps.options import Data, Json, Model
from rtbci.apps.printing import print_json, progress_bar
from rtbci.errors import BadInputError

if TYPE_CHECKING:
    from rtbci.models.pretrain.evaluation.tables import Sheet

ABREAST = 5
"""Columns that a terminal has room for; the others follow below."""


def evaluate_forecast(
    data: Data,
    model: Model = None,
    high_pass: Annotated[
        float | None, typer.Option("--highpass", help="Corner in Hz, for --model ar.")
    ] = None,
    runs: Annotated[
        int | None, typer.Option(min=1, help="Newest recordings of each subject; all if none.")
    ] = None,
    electrodes: Annotated[str, typer.Option(help="Only these: a montage, or C3,Cz,C4.")] = "",
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between forecasts.")] = 1.0,
    robust: Annotated[bool, typer.Option("--robust", help="Medians over segments, too.")] = False,
    rollout: Annotated[bool, typer.Option("--rollout", help="The rollout, too (slow).")] = False,
    all_subjects: Annotated[
        bool, typer.Option("--all-subjects", help="Also those that the weights were trained on.")
    ] = False,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write all tables to this file, as Markdown.")
    ] = None,
    card: Annotated[
        bool, typer.Option("--card", help="Print the tables of the weights' card, as Markdown.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Forecast error by horizon, band, region and state; intervals; phase of mu; all baselines.

    --model takes weights, a folder of folds (each subject is scored by weights that have not seen
    her), or ar for the methods that need none.
    """
    from rtbci.apps.assemble import limit_threads
    from rtbci.models.pretrain.evaluation import report, tables
    from rtbci.models.pretrain.evaluation.forecast import EvaluationSettings
    from rtbci.models.pretrain.evaluation.forecast import evaluate_forecast as evaluate
    from rtbci.models.seen import DEFAULT, base, folds
    from rtbci.montage import parse_montage

    if markdown is not None and not markdown.parent.is_dir():
        raise BadInputError(f"{markdown.parent} is no folder, so {markdown} can't be written.")
    if card and as_json:
        raise BadInputError("--card prints Markdown and --json JSON; ask for one of them.")
    limit_threads()
    name = model or DEFAULT
    weights = [] if name == "ar" else [base(fold) for fold in folds(name)]
    settings = EvaluationSettings(
        every_s=every,
        runs=runs,
        electrodes=parse_montage(electrodes) if electrodes else (),
        rollout=rollout,
        robust=robust,
        all_subjects=all_subjects,
        high_pass_hz=high_pass,
    )
    with progress_bar(not as_json) as tell:
        scores = evaluate(weights, data, settings, tell)
    command = ["rtbci", "evaluate", "forecast", *(p.name for p in data)]
    for option, value in (
        ("--model", Path(model).name if model else None),
        ("--highpass", high_pass),
        ("--runs", runs),
        ("--electrodes", electrodes or None),
        ("--every", every if every != 1.0 else None),
    ):
        command += [option, str(value)] if value is not None else []
    for option, asked in (
        ("--robust", robust),
        ("--rollout", rollout),
        ("--all-subjects", all_subjects),
    ):
        command += [option] if asked else []
    said = shlex.join(command)
    if markdown is not None:
        markdown.write_text(report.page(scores, said), encoding="utf-8")
    if as_json:
        print_json({"event": "summary", **report.to_dict(scores)})
    elif card:
        typer.echo(report.card_text(scores, said))
    else:
        for line in report.who(scores):
            typer.echo(line)
        for sheet in tables.sheets(scores):
            if sheet.main:
                for part in shown(sheet):
                    Console().print(part)
                if sheet.note:
                    typer.echo(sheet.note)


def shown(sheet: Sheet) -> list[Table]:
    """Make tables of a sheet that fit 100 columns; an interval stands below its mean."""
    made = []
    for first in range(1, len(sheet.head), ABREAST):
        some = slice(first, first + ABREAST)
        table = Table(title=sheet.title, title_justify="left", box=SIMPLE, padding=(0, 1))
        table.add_column(sheet.head[0])
        for name in sheet.head[some]:
            table.add_column(name, justify="right", no_wrap=True)
        for name, *cells in sheet.rows:
            table.add_row(
                name, *(c.replace(" [", "\n[") for c in cells[first - 1 : first - 1 + ABREAST])
            )
        made.append(table)
    return made
