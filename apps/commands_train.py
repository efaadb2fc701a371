"""``rtbci calibrate``, ``pretrain`` and ``evaluate``: fitting, honestly scored."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table

from rtbci.apps.commands_run import (
    check_belongs,
    check_speed,
    check_values,
    session_config,
    source_settings,
)
from rtbci.apps.options import (
    Board,
    BoardParam,
    Classes,
    Config,
    Data,
    Device,
    FieldTrip,
    Gain,
    Gui,
    Headless,
    Json,
    Line,
    Lsl,
    Montage,
    SerialPort,
)
from rtbci.apps.printing import print_json, progress_bar
from rtbci.apps.settings import RunSettings
from rtbci.errors import BadInputError


def calibrate(
    subject: Annotated[str, typer.Option(help="Whose profile is made.")],
    recordings: Annotated[
        list[Path] | None, typer.Argument(help="Recordings with cues, of one subject.")
    ] = None,
    from_recordings: Annotated[
        bool, typer.Option("--from", help="Fit from the recordings named.")
    ] = False,
    classes: Classes = None,
    montage: Montage = None,
    decoder: Annotated[
        str, typer.Option(help="auto, the name of a decoder, or module:factory.")
    ] = "auto",
    protocol: Annotated[
        list[str] | None,
        typer.Option(help="What is asked of the subject: a name or a TOML file; may come again."),
    ] = None,
    blocks: Annotated[int | None, typer.Option(help="Blocks of trials.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials of each class in every block.")] = None,
    record: Annotated[Path, typer.Option(help="Folder to record the session into.")] = Path(
        "recordings"
    ),
    board: Board = None,
    serial_port: SerialPort = None,
    gain: Gain = None,
    board_param: BoardParam = None,
    lsl: Lsl = None,
    fieldtrip: FieldTrip = None,
    line: Line = None,
    config: Config = None,
    speed: Annotated[str, typer.Option(help="1, or max for the simulated subject.")] = "1",
    skill: Annotated[
        float, typer.Option(help="Of the simulated subject; 0 imagines nothing.")
    ] = 1.0,
    seed: Annotated[
        int | None, typer.Option(help="Of the order of the cues; another one each time if none.")
    ] = None,
    fine_tune: Annotated[
        bool | None,
        typer.Option(
            "--fine-tune/--no-fine-tune",
            help="Whether fine-tuning goes on in the background; after auto it does by itself.",
        ),
    ] = None,
    headless: Headless = False,
    gui: Gui = False,
    as_json: Json = False,
) -> None:
    """Calibrate a subject's decoder: live, in a window or on the terminal, or --from recordings."""
    if recordings and not from_recordings:
        raise BadInputError(
            f"to fit from {recordings[0]}, say so: rtbci calibrate --from {recordings[0]} "
            f"--subject {subject}; without recordings the session is live."
        )
    if not from_recordings:
        source = source_settings(board, lsl, fieldtrip, None)
        check_belongs(
            source,
            {"--serial-port": serial_port, "--gain": gain, "--board-param": board_param},
            {"--markers": None},
        )
        source = replace(
            source,
            serial_port=serial_port,
            gain=gain,
            params=tuple(board_param or ()),
            speed=check_speed(speed, source),
            seed=seed or 0,
            skill=skill,
        )
        check_values(RunSettings(source=source, montage=montage))
        if classes is not None:
            raise BadInputError(
                f"--classes {classes} is for --from; the classes of a live session are those of "
                "its --protocol."
            )
        from rtbci.apps.calibration_live import LiveCalibration, calibrate_live, in_window

        wanted = LiveCalibration(
            subject=subject,
            source=source,
            protocols=tuple(protocol or ("graz-2",)),
            record=record,
            blocks=blocks,
            trials=trials,
            seed=seed,
            montage=montage,
            decoder=decoder,
            session=session_config(config, line),
            fine_tune=fine_tune,
            as_json=as_json,
        )
        if in_window(wanted, gui=gui, headless=headless):
            from rtbci.apps.calibration_window import calibrate_in_window

            raise typer.Exit(calibrate_in_window(wanted))
        calibrate_live(wanted)
        return
    if not recordings:
        raise BadInputError(
            "name the recordings to fit from: rtbci calibrate --from FILE... --subject NAME."
        )
    from rtbci.apps.assemble import limit_threads
    from rtbci.calibration.fit import calibrate as fit

    limit_threads()
    with progress_bar(not as_json) as tell:
        report = fit(
            recordings,
            subject,
            classes=classes,
            montage=montage,
            decoder=decoder,
            progress=lambda what, done: tell(done, what),
        )
    from rtbci.apps.fine_tuning import go_on
    from rtbci.calibration.offer import Job

    job = Job(tuple(map(str, recordings)), decoder, classes, montage)
    goes_on = go_on(report.profile, job, fine_tune, as_json=as_json)
    if as_json:
        print_json({"event": "summary", **report.to_dict(), "fine_tuning": goes_on})
        return
    for said in (*report.lines(), *filter(None, [goes_on])):
        typer.echo(said)


def pretrain(
    data: Annotated[
        list[Path] | None, typer.Argument(help="Recordings, or folders of them.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the weights.")] = None,
    size: Annotated[str, typer.Option(help="Size of the network (rtbci models).")] = "base",
    steps: Annotated[int, typer.Option(min=1, help="Steps of the optimiser.")] = 1200,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    fold: Annotated[
        str, typer.Option(metavar="K/N", help="Hold out the K-th of N parts of the subjects.")
    ] = "",
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
    from rtbci.models.pretrain.training import train

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
                fold=fold,
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
    from rtbci.models.pretrain.evaluation.forecast import evaluate_forecast as evaluate

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
