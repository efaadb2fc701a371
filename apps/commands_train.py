"""``rtbci calibrate``: fitting, honestly scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

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
from rtbci.apps.printing import on_terminal, print_json, progress_bar
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
    signal_check: Annotated[
        bool | None,
        typer.Option(
            "--signal-check/--no-signal-check",
            help="Whether the signal is checked first; it is, unless --protocol says what comes.",
        ),
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
            signal_check=signal_check,
            named=bool(protocol),
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
    goes_on = go_on(report.profile, job, fine_tune, shown=on_terminal(as_json=as_json))
    if as_json:
        print_json({"event": "summary", **report.to_dict(), "fine_tuning": goes_on})
        return
    for said in (*report.lines(), *filter(None, [goes_on])):
        typer.echo(said)
