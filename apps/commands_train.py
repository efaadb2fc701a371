"""``rtbci calibrate``, ``subjects``, ``pretrain`` and ``evaluate``: fitting, honestly scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from rtbci.apps.commands_run import Device, Json, print_json
from rtbci.errors import BadInputError

Name = Annotated[str, typer.Argument(help="The subject.")]
Data = Annotated[list[Path], typer.Argument(help="Recordings, or folders of them.")]
Tell = Callable[[float, str], None]


@contextmanager
def progress_bar(shown: bool) -> Iterator[Tell]:
    """Show a progress bar on standard error; gives what moves it (share done, what at)."""
    columns = (TextColumn("{task.description:<40.40}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as progress:
        task = progress.add_task("", total=1.0)

        def tell(share: float, text: str) -> None:
            progress.update(task, completed=share, description=text)

        yield tell


def calibrate(
    subject: Annotated[str, typer.Option(help="Whose profile is made.")],
    recordings: Annotated[
        list[Path] | None, typer.Argument(help="Recordings with cues, of one subject.")
    ] = None,
    from_recordings: Annotated[
        bool, typer.Option("--from", help="Fit from the recordings named.")
    ] = False,
    classes: Annotated[
        str | None, typer.Option(help="Markers that are classes: T1=left_hand,T2=right_hand")
    ] = None,
    montage: Annotated[
        str | None, typer.Option(help="Electrodes: a name, a file, or C3,Cz,C4,...")
    ] = None,
    decoder: Annotated[
        str, typer.Option(help="auto, the name of a decoder, or module:factory.")
    ] = "auto",
    as_json: Json = False,
) -> None:
    """Fit a subject's decoder from recordings with cues, with a blocked cross-validated score."""
    if not from_recordings or not recordings:
        raise BadInputError(
            "name the recordings to fit from: rtbci calibrate --from FILE... --subject NAME "
            "(a guided session needs the window, which this version does not have yet)."
        )
    from rtbci.apps.assemble import limit_threads
    from rtbci.calibration.fit import calibrate as fit

    limit_threads()
    report = fit(recordings, subject, classes=classes, montage=montage, decoder=decoder)
    if as_json:
        print_json({"event": "summary", **report.to_dict()})
        return
    for line in report.lines():
        typer.echo(line)


def subjects_list(as_json: Json = False) -> None:
    """List the profiles at hand."""
    from rtbci.calibration.profile import list_profiles, load_profile

    cards = [load_profile(name).card for name in list_profiles()]
    if as_json:
        print_json({"subjects": [asdict(card) for card in cards]})
        return
    if not cards:
        typer.echo("No profile yet: rtbci calibrate --from RECORDING... --subject NAME")
        return
    table = Table("subject", "made", "decoder", "classes", "score", "electrodes")
    for card in cards:
        score = f"{card.score.balanced:.2f} ({card.score.trials} trials, {card.score.label})"
        table.add_row(
            card.subject,
            card.created[:10],
            card.decoder,
            ", ".join(card.classes),
            score,
            str(len(card.electrodes)),
        )
    Console().print(table)


def subjects_show(name: Name, as_json: Json = False) -> None:
    """Show all that a profile holds."""
    from rtbci.calibration.profile import CARD, load_profile

    profile = load_profile(name)
    if as_json:
        print_json(asdict(profile.card))
    else:
        typer.echo(f"# {profile.folder / CARD}")
        typer.echo((profile.folder / CARD).read_text(encoding="utf-8"))


def subjects_forget(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a subject's profile, its history included."""
    from rtbci.calibration.profile import forget_profile, load_profile

    folder = load_profile(name).folder
    if not yes:
        typer.confirm(f"Remove {folder} and all in it?", abort=True)
    forget_profile(name)
    typer.echo(f"{name} is forgotten: {folder} is gone; recordings stay where they are.")


def pretrain(
    data: Annotated[
        list[Path] | None, typer.Argument(help="Recordings, or folders of them.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the weights.")] = None,
    size: Annotated[str, typer.Option(help="Size of the network (rtbci models).")] = "base",
    steps: Annotated[int, typer.Option(min=1, help="Steps of the optimiser.")] = 1200,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    stop_after: Annotated[
        int | None, typer.Option(min=1, help="Stop after this step, to be resumed.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
    as_json: Json = False,
) -> None:
    """Train a model offline, from recordings to a checkpoint that rtbci run --model takes."""
    if (resume is None) == (out is None) or (resume is None) == (not data):
        raise BadInputError(
            "name recordings and a folder (rtbci pretrain DATA... --out OUT), or a run to go on "
            "with (rtbci pretrain --resume OUT), which takes everything else from there."
        )
    from rtbci.models.pretrain import train

    with progress_bar(not as_json) as tell:

        def report(at: train.Progress) -> None:
            tell(at.done, f"{at.stage} {at.text}")

        if resume is not None:
            result = train.resume(
                resume, stop_after=stop_after, device=device.value, progress=report
            )
        else:
            assert out is not None
            result = train.pretrain(
                data or [],
                out,
                size=size,
                steps=steps,
                seed=seed,
                stop_after=stop_after,
                device=device.value,
                progress=report,
            )
    if as_json:
        print_json({"event": "summary", **asdict(result), "model": str(result.model)})
        return
    typer.echo(
        f"step {result.step}: error {result.loss:.4f} of the linear blend's on the last batches; "
        f"{result.hours:.1f} h of {len(result.subjects)} subjects, {len(result.held_out)} held out"
    )
    if result.model is not None:
        typer.echo(f"weights: {result.model}; use them with: rtbci run --model {result.model}")


def evaluate_forecast(
    data: Data,
    model: Annotated[str | None, typer.Option(help="Weights by name or path.")] = None,
    all_subjects: Annotated[
        bool, typer.Option("--all-subjects", help="Also those that may have been trained on.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Forecast error by horizon beside AR, ridge, their blend, persistence and filter-and-hold."""
    from rtbci.apps.assemble import limit_threads
    from rtbci.models.checkpoint import DEFAULT, find_checkpoint, load_checkpoint
    from rtbci.models.pretrain.evaluate import evaluate_forecast as evaluate

    limit_threads()
    checkpoint = load_checkpoint(find_checkpoint(model or DEFAULT))
    with progress_bar(not as_json) as tell:
        scores = evaluate(checkpoint, data, all_subjects=all_subjects, progress=tell)
    rows = scores.table()
    if as_json:
        print_json({"event": "summary", "subjects": list(scores.subjects), "skill": rows})
    else:
        Console().print(_score_table(rows, scores.model, len(scores.subjects)))


def _score_table(rows: list[dict[str, Any]], model: str, subjects: int) -> RenderableType:
    title = f"{model}: error over variance, mean of {subjects} subjects (less is better)"
    table = Table(title=title)
    methods = [k for k in rows[0] if k not in ("horizon_ms", "model_minus_blend")]
    table.add_column("horizon, ms")
    for name in methods:
        table.add_column(name.replace("_", " "), justify="right")
    table.add_column("model minus blend [95 %]", justify="right")
    for row in rows:
        low, high = row["horizon_ms"]
        gain, least, most = row["model_minus_blend"]
        values = [f"{row[name]:.3f}" for name in methods]
        table.add_row(f"{low}–{high}", *values, f"{gain:+.3f} [{least:+.3f}, {most:+.3f}]")
    return table
