"""``rtbci run`` and ``rtbci bench latency``: live sessions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from rtbci.apps import summary as summaries
from rtbci.apps.host import Send, run_session
from rtbci.apps.keys import pressed_keys
from rtbci.apps.options import (
    Board,
    BoardParam,
    Classes,
    Config,
    Device,
    FieldTrip,
    Gain,
    Gui,
    Headless,
    Json,
    Line,
    Lsl,
    Model,
    Montage,
    RunsOn,
    SerialPort,
    Subject,
)
from rtbci.apps.printing import print_json
from rtbci.apps.settings import RunSettings, SourceKind, SourceSettings, host_port
from rtbci.apps.view import ViewState, describe, render
from rtbci.apps.window_session import has_display
from rtbci.classes import parse_classes
from rtbci.config import SessionConfig, load_config
from rtbci.errors import BadInputError
from rtbci.montage import parse_montage

VIEW_HZ = 4.0
"""Frames a second of the terminal view."""
USER_LABEL = "user"
"""Label of the marker that a key sets."""


def run(
    board: Board = None,
    serial_port: SerialPort = None,
    gain: Gain = None,
    board_param: BoardParam = None,
    lsl: Lsl = None,
    markers: Annotated[str | None, typer.Option(help="LSL marker stream.")] = None,
    also_record: Annotated[
        list[str] | None, typer.Option(help="Further LSL stream to record beside the EEG.")
    ] = None,
    fieldtrip: FieldTrip = None,
    replay: Annotated[Path | None, typer.Option(help="Recording to replay as if live.")] = None,
    speed: Annotated[str, typer.Option(help="1 for true speed, max (replay, simulator).")] = "1",
    file_stream: Annotated[
        str | None, typer.Option(help="Which stream of an XDF file, with --replay.")
    ] = None,
    file_board: Annotated[
        str | None, typer.Option(help="Which board wrote a BrainFlow file, with --replay.")
    ] = None,
    montage: Montage = None,
    classes: Classes = None,
    subject: Subject = None,
    model: Model = None,
    device: RunsOn = Device.AUTO,
    record: Annotated[Path | None, typer.Option(help="Folder to record into.")] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds of session.")] = None,
    line: Line = None,
    lsl_out: Annotated[bool, typer.Option("--lsl-out", help="Send results by LSL.")] = False,
    osc: Annotated[str | None, typer.Option(help="Send results by OSC to HOST:PORT.")] = None,
    config: Config = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulator.")] = 0,
    headless: Headless = False,
    gui: Gui = False,
    as_json: Json = False,
    events: Annotated[
        bool, typer.Option("--events", help="With --json: every decode and forecast.")
    ] = False,
) -> None:
    """Run a live session: a board, stream or recording in, forecasts and decodes out."""
    if duration is not None and not duration > 0:
        raise BadInputError(f"--duration is seconds of session, above 0; got {duration:g}.")
    source = source_settings(board, lsl, fieldtrip, replay)
    check_belongs(
        source,
        {"--serial-port": serial_port, "--gain": gain, "--board-param": board_param},
        {"--markers": markers, "--also-record": also_record},
        {"--file-stream": file_stream, "--file-board": file_board},
    )
    source = replace(
        source,
        serial_port=serial_port,
        gain=gain,
        params=tuple(board_param or ()),
        markers=markers,
        extra=tuple(also_record or ()),
        speed=check_speed(speed, source),
        file_stream=file_stream,
        file_board=file_board,
        seed=seed,
    )
    settings = RunSettings(
        source=source,
        session=session_config(config, line),
        montage=montage,
        classes=classes,
        subject=subject,
        model=model,
        device=device.value,
        record=None if record is None else str(record),
        duration_s=duration,
        lsl_out=lsl_out,
        osc=osc,
        events=events,
    )
    check_values(settings)
    if wants_window(gui=gui, headless=headless, as_text=as_json or events):
        from rtbci.apps.commands_window import choose_and_run, run_with_window

        named = any(option is not None for option in (board, lsl, fieldtrip, replay))
        raise typer.Exit(run_with_window(settings) if named else choose_and_run(settings))
    follow(settings, as_json)


def wants_window(*, gui: bool, headless: bool, as_text: bool) -> bool:
    """Whether a session is shown in a window: where there is a display, and nobody says otherwise.

    Raises
    ------
    BadInputError
        Where a window is insisted on that can't be.
    """
    if gui and (headless or as_text):
        other = "--headless" if headless else "--json"
        raise BadInputError(f"--gui opens a window and {other} none; leave one of them out.")
    if gui:
        from rtbci.apps.commands_window import check_display

        check_display("--gui")
    return gui or (has_display() and not (headless or as_text))


def source_settings(
    board: str | None, lsl: str | None, fieldtrip: str | None, replay: Path | None
) -> SourceSettings:
    """Exactly one source, the simulator where none is named.

    Raises
    ------
    BadInputError
        Where several are named.
    """
    asked: list[tuple[SourceKind, str | None]] = [
        ("board", board),
        ("lsl", lsl),
        ("fieldtrip", fieldtrip),
        ("replay", None if replay is None else str(replay)),
    ]
    named = [(kind, name) for kind, name in asked if name is not None]
    if len(named) > 1:
        raise BadInputError(
            f"a session has one source, got {' and '.join('--' + kind for kind, _ in named)}."
        )
    if not named:
        return SourceSettings()
    kind, name = named[0]
    return SourceSettings(kind=kind, name=name or "")


def check_belongs(
    source: SourceSettings,
    for_board: dict[str, Any],
    for_lsl: dict[str, Any],
    for_file: dict[str, Any] | None = None,
) -> None:
    """Refuse options that the source would ignore: whoever names a port wants no simulator.

    Raises
    ------
    BadInputError
        With the option and the source that it belongs to.
    """
    simulated = source.simulated
    what = "the simulator" if simulated else f"--{source.kind} {source.name}"
    for option, value in for_board.items():
        if value is not None and (source.kind != "board" or simulated):
            raise BadInputError(
                f"{option} {_shown(value)} is for a board, and the source is {what}; add --board "
                "openbci, or the name of another board (`rtbci boards` lists all)."
            )
    for option, value in (for_file or {}).items():
        if value is not None and not source.is_file:
            raise BadInputError(
                f"{option} {value} is for --replay FILE, and the source is {what}; leave it out."
            )
    if for_lsl["--markers"] is not None and source.kind != "lsl":
        raise BadInputError(
            f"--markers {for_lsl['--markers']} belongs to --lsl NAME, and the source is {what}; "
            f"to record that stream beside it, use --also-record {for_lsl['--markers']}."
        )


def _shown(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


def check_values(settings: RunSettings) -> None:
    """Refuse what can't be read, before anything is opened or recorded.

    Raises
    ------
    BadInputError
        With the value and how it is written.
    """
    for pair in settings.source.params:
        if not all(pair.partition("=")):
            raise BadInputError(
                f"--board-param needs KEY=VALUE (as in mac_address=...), got {pair!r}."
            )
    if settings.montage is not None:
        parse_montage(settings.montage)
    if settings.classes is not None:
        parse_classes(settings.classes)
    if settings.osc is not None:
        host_port(settings.osc, "--osc")
    if settings.source.kind == "fieldtrip":
        host_port(settings.source.name, "--fieldtrip")


def check_speed(speed: str, source: SourceSettings) -> str:
    """``max`` or a positive number; only for what can be hurried.

    Raises
    ------
    BadInputError
        Where it is neither, or the source is live.
    """
    hurried = source.kind == "replay" or source.simulated
    if speed not in ("1", "max") and not (source.kind == "replay" and _positive(speed)):
        raise BadInputError(
            f"--speed must be max, or a number above 0 with --replay; got {speed!r}."
        )
    if speed != "1" and not hurried:
        raise BadInputError(
            f"--speed {speed} needs --replay or the simulator; {source.name} is live."
        )
    return speed


def _positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def session_config(path: Path | None, line: float | None) -> SessionConfig:
    """Settings from a file, with what the command line says on top."""
    config = SessionConfig() if path is None else load_config(path)
    if line is None:
        return config
    if line not in (50.0, 60.0):
        raise BadInputError(f"--line is the mains frequency, 50 or 60 Hz, got {line:g}.")
    return replace(config, preprocess=replace(config.preprocess, line_hz=(line,)))


def follow(settings: RunSettings, as_json: bool) -> dict[str, Any]:
    """Run a session and show it: JSON lines, a live view on a terminal, or plain sentences."""
    if as_json:
        return run_session(settings, print_json)
    console = Console()
    if console.is_terminal:
        with_view = replace(settings, status_s=1.0 / VIEW_HZ)
        made = _watch(with_view, console)
    else:
        made = run_session(settings, _teller(console))
    console.print(summaries.render(made))
    return made


def _teller(console: Console) -> Callable[[dict[str, Any]], None]:
    def tell(event: dict[str, Any]) -> None:
        if event["event"] == "started":
            where = f", recording to {event['recording']}" if event.get("recording") else ""
            console.print(f"started{where}", soft_wrap=True, highlight=False)
        elif event["event"] != "error" and (sentence := describe(event)):
            console.print(
                f"{event.get('t_s', 0.0):9.3f} s  {sentence}",
                soft_wrap=True,
                highlight=False,
            )

    return tell


def _watch(settings: RunSettings, console: Console) -> dict[str, Any]:
    state = ViewState()
    with contextlib.ExitStack() as stack:

        def take_keys(send: Send) -> None:
            state.keys = stack.enter_context(pressed_keys(partial(_press, state, send)))

        live = stack.enter_context(
            Live(render(state), console=console, auto_refresh=False, screen=True)
        )

        def show(event: dict[str, Any]) -> None:
            state.take(event)
            if event["event"] == "status" or not state.started:
                live.update(render(state), refresh=True)

        return run_session(settings, show, ready=take_keys)


def _press(state: ViewState, send: Send, key: str) -> None:
    """What a key of the live view does; the screen names them."""
    if key == "m":
        send({"command": "mark", "label": USER_LABEL})
    elif key == "s":
        stopped = state.status.get("stopped", False)
        send({"command": "resume_outputs" if stopped else "stop_outputs"})
    elif key == "q":
        send({"command": "stop"})


def bench_latency(
    board: Board = "simulator",
    serial_port: SerialPort = None,
    channels: Annotated[int, typer.Option(min=1, help="Electrodes of the simulator.")] = 22,
    duration: Annotated[float, typer.Option(min=1.0, help="Seconds of session.")] = 60.0,
    model: Model = None,
    device: RunsOn = Device.AUTO,
    forecast: Annotated[str, typer.Option(help="direct or rollout.")] = "direct",
    record: Annotated[Path | None, typer.Option(help="Record while measuring.")] = None,
    as_json: Json = False,
) -> None:
    """Time from the scheduled arrival of a token's last sample to the decode, open loop."""
    from rtbci.apps.bench import LatencyBench, bench_session, render_bench

    bench = LatencyBench(
        board=board or "simulator",
        serial_port=serial_port,
        channels=channels,
        duration_s=duration,
        model=model,
        device=device.value,
        forecast=forecast,
        record=None if record is None else str(record),
    )
    result = bench_session(bench)
    if as_json:
        print_json(result)
    else:
        Console().print(render_bench(result))
