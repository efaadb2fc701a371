"""``rtbci evaluate tasks``: the heads of stage II on subjects that the weights have not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from rtbci.apps.options import Data, Json
from rtbci.apps.printing import print_json, progress_bar
from rtbci.bootstrap import FEW_SUBJECTS, bootstrap, paired

if TYPE_CHECKING:
    from rtbci.models.pretrain.tasks.scores import TaskScore


def evaluate_tasks(
    data: Data,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Weights by name or path; more come as differences to the first."),
    ] = None,
    all_subjects: Annotated[
        bool, typer.Option("--all-subjects", help="Also those that were trained on.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Heads of all tasks on unseen subjects: hands, feet, arithmetic, N170, alpha power."""
    from rtbci.apps.assemble import limit_threads
    from rtbci.models.checkpoint import DEFAULT, find_checkpoint, load_checkpoint
    from rtbci.models.pretrain.tasks.scores import score_tasks

    limit_threads()
    checkpoints = [load_checkpoint(find_checkpoint(name)) for name in model or [DEFAULT]]
    made: list[list[TaskScore]] = []
    with progress_bar(not as_json) as tell:
        for i, checkpoint in enumerate(checkpoints):

            def report(done: float, what: str, i: int = i) -> None:
                tell((i + done) / len(checkpoints), what)

            scored = score_tasks(checkpoint, data, all_subjects=all_subjects, progress=report)
            made.append(scored)
    if as_json:
        print_json(
            {
                "event": "summary",
                "models": [
                    {"name": c.name, "hash": c.identity, "tasks": [s.to_dict() for s in scores]}
                    for c, scores in zip(checkpoints, made, strict=True)
                ],
            }
        )
        return
    console = Console()
    console.print(_table(checkpoints[0].name, made[0]))
    for checkpoint, scores in zip(checkpoints[1:], made[1:], strict=True):
        console.print(_differences(checkpoint.name, checkpoints[0].name, scores, made[0]))


def _table(name: str, scores: list[TaskScore]) -> Table:
    table = Table(
        title=f"{name}: heads on subjects that it has not seen",
        caption="Mean over subjects [95 % by bootstrap over subjects]. Without a network: chance, "
        "or for a number what the second before would have scored. Numbers are scored by their "
        f"correlation within subjects. With fewer than {FEW_SUBJECTS} subjects an interval is "
        "too narrow.",
    )
    for column in ("task", "measure"):
        table.add_column(column)
    for column in ("subjects", "trials", "score", "without a network"):
        table.add_column(column, justify="right")
    for s in scores:
        table.add_row(
            _name(s),
            s.measure,
            str(len(s.by_subject)),
            str(s.trials),
            s.score.text(),
            bootstrap(list(s.floor.values())).text(),
        )
    return table


def _differences(name: str, first: str, scores: list[TaskScore], others: list[TaskScore]) -> Table:
    table = Table(title=f"{name} minus {first}, same subjects")
    table.add_column("task")
    table.add_column("subjects", justify="right")
    table.add_column("difference", justify="right")
    known = {(s.task, s.group): s for s in others}
    for s in scores:
        other = known.get((s.task, s.group))
        if other is not None:
            difference = paired(s.by_subject, other.by_subject)
            table.add_row(_name(s), str(difference.subjects), difference.text(signed=True))
    return table


def _name(score: TaskScore) -> str:
    return f"  {score.group}" if score.group else score.task.replace("_", " or ")
