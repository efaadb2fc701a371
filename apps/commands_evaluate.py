"""``rtbci evaluate decode``, ``adaptation`` and ``online``: honest tables of decoders."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rtbci.apps.options import Classes, Data, Json, Montage, Subject
from rtbci.apps.printing import print_json, progress_bar
from rtbci.errors import BadInputError


def evaluate_decode(
    data: Data,
    protocol: Annotated[
        str,
        typer.Option(help="within, few-shot, leave-one-subject-out; several with commas."),
    ] = "within",
    decoder: Annotated[
        str, typer.Option(help="Decoders, with commas; all for every one that is built in.")
    ] = "csp+lda,ts+lr,mdm,auto",
    classes: Classes = None,
    montage: Montage = None,
    electrodes: Annotated[
        list[str] | None,
        typer.Option(help="Which to decode from: motor, all, a montage, C3,Cz,C4; repeatable."),
    ] = None,
    task: Annotated[
        str, typer.Option(help="Only tasks whose names hold this, as in: imagined left")
    ] = "",
    judged_on: Annotated[
        str,
        typer.Option(help="Trials must be good on these electrodes, too: all, a montage, ..."),
    ] = "",
    cells: Annotated[
        Path | None,
        typer.Option(help="Keep every score in this file, and compute only what it lacks."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    report: Annotated[
        Path | None, typer.Option(help="Also write the tables to this file, as Markdown.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare decoders on the same trials: paired, with intervals, controls beside them."""
    from rtbci.apps.assemble import limit_threads
    from rtbci.calibration.evaluation import decode_tables
    from rtbci.calibration.evaluation.decode import MOTOR
    from rtbci.calibration.evaluation.protocols import parse_protocols
    from rtbci.calibration.evaluation.run import all_decoders
    from rtbci.calibration.evaluation.run import evaluate_decode as evaluate

    protocols = parse_protocols(protocol)
    for out in (report, cells):
        if out is not None and not out.parent.is_dir():
            raise BadInputError(f"{out.parent} is no folder, so {out} can't be written.")
    command = ["rtbci", "evaluate", "decode", *(p.name for p in data)]
    command += ["--protocol", protocol, "--decoder", decoder]
    command += [part for name in electrodes or () for part in ("--electrodes", name)]
    options = (("task", task), ("judged-on", judged_on), ("classes", classes), ("montage", montage))
    for option, value in options:
        command += [f"--{option}", value] if value else []
    limit_threads()
    names = all_decoders() if decoder == "all" else tuple(d.strip() for d in decoder.split(","))
    with progress_bar(not as_json) as tell:
        standing = evaluate(
            data,
            protocols=protocols,
            decoders=names,
            electrodes=tuple(electrodes or (MOTOR,)),
            tasks=(task,) if task else (),
            classes=classes,
            montage=montage,
            judged_on=judged_on,
            file=cells,
            command=shlex.join(command),
            jobs=jobs,
            progress=tell,
        )
    if report is not None:
        made_by = standing.commands or (shlex.join(command),)
        report.write_text(decode_tables.page(standing, made_by), encoding="utf-8")
    if as_json:
        print_json({"event": "summary", **decode_tables.to_dict(standing)})
        return
    for made in decode_tables.tables(standing):
        shown = Table(*decode_tables.columns(made), title=decode_tables.title(made))
        for row in made.rows:
            shown.add_row(*decode_tables.values(row))
        Console().print(shown)
        if note := decode_tables.footnote(made):
            Console().print(note, highlight=False)


def evaluate_adaptation(
    data: Data,
    decoder: Annotated[str, typer.Option(help="Decoders, with commas.")] = "csp+lda,ts+lr",
    classes: Classes = None,
    montage: Montage = None,
    as_json: Json = False,
) -> None:
    """Say what following the user gives: fitted on one recording, run on each later one."""
    from rtbci.apps.assemble import limit_threads
    from rtbci.calibration.evaluation import adaptation

    limit_threads()
    names = tuple(d.strip() for d in decoder.split(","))
    with progress_bar(not as_json) as tell:
        table = adaptation.evaluate_adaptation(
            data, names, classes=classes, montage=montage, progress=tell
        )
    if as_json:
        print_json({"event": "summary", "pairs": table.to_dict()})
        return
    for name in names:
        shown = Table(
            "adaptation", "balanced accuracy [95 %]", "minus off [95 %]", title=table.note(name)
        )
        for row, (score, gain) in table.means(name).items():
            shown.add_row(
                row, score.text(), "" if row == adaptation.OFF else gain.text(signed=True)
            )
        Console().print(shown)


def evaluate_online(
    data: Annotated[
        list[Path] | None, typer.Argument(help="Recordings that the profile was not fitted on.")
    ] = None,
    subject: Subject = None,
    classes: Classes = None,
    montage: Montage = None,
    simulated: Annotated[
        int, typer.Option(min=0, help="Instead: so many simulated subjects, whose truth is known.")
    ] = 0,
    skill: Annotated[float, typer.Option(min=0.0, help="Of the simulated subjects.")] = 1.0,
    decoder: Annotated[str, typer.Option(help="Of the simulated subjects.")] = "csp+lda",
    as_json: Json = False,
) -> None:
    """Count what a live session would have sent: accuracy, false activations, time to decision."""
    if bool(simulated) == bool(data) or bool(data) != (subject is not None):
        raise BadInputError(
            "name recordings and whose profile decodes them (rtbci evaluate online REC... "
            "--subject NAME), or a number of simulated subjects (--simulated 4)."
        )
    from rtbci.apps.assemble import limit_threads
    from rtbci.calibration.evaluation.pseudo_online import pseudo_online
    from rtbci.calibration.evaluation.simulated import simulate_online
    from rtbci.calibration.profile import load_profile

    limit_threads()
    with progress_bar(not as_json) as tell:
        if simulated:
            pooled = simulate_online(simulated, skill=skill, decoder=decoder, progress=tell)
            lines, values = pooled.lines(), pooled.to_dict()
        else:
            assert subject is not None
            profile, paths = load_profile(subject), data or []
            lines, values = [], {}
            for i, path in enumerate(paths):
                tell(i / len(paths), path.name)
                counted = pseudo_online(profile, path, classes=classes, montage=montage)
                values[path.name] = counted.to_dict()
                lines += [f"{path.name}:", *(f"  {line}" for line in counted.lines())]
    if as_json:
        print_json({"event": "summary", "online": values})
        return
    for line in lines:
        typer.echo(line)
