"""The command line: each command parses, calls one library function, prints.

Exit 0: done.  Exit 2: what was asked for can't be done as asked.  Exit 1: it failed while
running.  An error is one sentence on standard error, never a traceback.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated, Any, NoReturn

import typer

import rtbci
from rtbci.apps import (
    calibration_window,
    commands_bank,
    commands_bench,
    commands_check,
    commands_data,
    commands_doctor,
    commands_evaluate,
    commands_forecast,
    commands_head,
    commands_prepare,
    commands_pretrain,
    commands_report,
    commands_run,
    commands_setup,
    commands_subjects,
    commands_tasks,
    commands_train,
    commands_window,
)
from rtbci.errors import BadInputError, RtbciError

UsageError: Any = typer.BadParameter.__base__
"""What typer raises for a command line that it can't read; it has no public name for it."""

app = typer.Typer(
    name="rtbci",
    help="Real-time brain-computer interface: EEG in, forecasts and motor-imagery decodes out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
bench = typer.Typer(help="Benchmarks: distributions, not averages.", no_args_is_help=True)
subjects = typer.Typer(help="Profiles of subjects.", no_args_is_help=True)
bank = typer.Typer(help="Other people's trials that decoders stand on.", no_args_is_help=True)
evaluate = typer.Typer(help="Honest tables beside the baselines.", no_args_is_help=True)

app.command("run")(commands_run.run)
app.command("attach")(commands_window.attach)
app.command("stop")(commands_window.stop)
app.command("calibrate")(commands_train.calibrate)
app.command("check")(commands_check.check)
app.command("recheck")(commands_check.recheck)
app.command("replay")(commands_data.replay)
app.command("recover")(commands_data.recover)
app.command("export")(commands_data.export)
app.command("report")(commands_report.report)
app.command("review")(commands_report.review)
app.command("boards")(commands_setup.boards)
app.command("streams")(commands_setup.streams)
app.command("doctor")(commands_doctor.doctor)
app.command("models")(commands_setup.models)
app.command("prepare")(commands_prepare.prepare)
app.command("pretrain")(commands_pretrain.pretrain)
bench.command("latency")(commands_run.bench_latency)
bench.command("cues")(calibration_window.bench_cues)
bench.command("window")(commands_bench.bench_window)
bench.command("pretrain")(commands_pretrain.bench_pretrain)
subjects.command("list")(commands_subjects.subjects_list)
subjects.command("show")(commands_subjects.subjects_show)
subjects.command("take")(commands_subjects.subjects_take)
subjects.command("forget")(commands_subjects.subjects_forget)
bank.command("list")(commands_bank.bank_list)
bank.command("add")(commands_bank.bank_add)
bank.command("remove")(commands_bank.bank_remove)
bank.command("build")(commands_bank.bank_build)
bank.command("features")(commands_bank.bank_features)
evaluate.command("forecast")(commands_forecast.evaluate_forecast)
evaluate.command("decode")(commands_evaluate.evaluate_decode)
evaluate.command("adaptation")(commands_evaluate.evaluate_adaptation)
evaluate.command("online")(commands_evaluate.evaluate_online)
evaluate.command("head")(commands_head.evaluate_head)
evaluate.command("tasks")(commands_tasks.evaluate_tasks)
app.add_typer(bench, name="bench")
app.add_typer(subjects, name="subjects")
app.add_typer(bank, name="bank")
app.add_typer(evaluate, name="evaluate")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rtbci {rtbci.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit."""
    try:
        code = app(prog_name="rtbci", standalone_mode=False)
        if sys.stdout is not None:  # closed by the caller, as in: rtbci run >&-
            sys.stdout.flush()
    except RtbciError as err:
        _fail(str(err), err.exit_code)
    except UsageError as err:
        _fail(_usage(err), BadInputError.exit_code)
    except typer.Abort:
        _fail("nothing was done, because the question was not answered with yes.", 1)
    except BrokenPipeError:  # the reader of our output has gone, as in: rtbci boards | head
        _drop_output()
        sys.exit(1)
    except OSError as err:
        _drop_output()
        what = f"{err.filename} can't be used" if err.filename else "the output can't be written"
        _fail(f"{what}: {err.strerror or err}; check it, or name another place.", 1)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(sentence: str, code: int) -> NoReturn:
    """Say what went wrong, and exit."""
    if sys.stderr is not None:
        sys.stderr.write(f"rtbci: {sentence}\n")
    sys.exit(code)


def _usage(err: Any) -> str:
    """One sentence for a command line that can't be read; the help where it was left out."""
    path = err.ctx.command_path if err.ctx is not None else "rtbci"
    if type(err).__name__ == "NoArgsIsHelpError":
        text = err.ctx.get_help()  # typer prints it itself where rich is there
        if text:
            typer.echo(text)
        return f"say what to do: {path} COMMAND."
    said = " ".join(str(err.format_message()).split()).rstrip(".").replace(": Value error,", ":")
    return f"{said}; `{path} --help` lists what there is."


def _drop_output() -> None:
    """Let what is still to be printed go nowhere: Python would fail on it once more at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
