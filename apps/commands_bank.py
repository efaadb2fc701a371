"""``rtbci bank``: other people's trials, that decoders may stand on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rtbci.apps.options import Classes, Json, Montage
from rtbci.apps.printing import print_json, progress_bar
from rtbci.errors import BadInputError

Recordings = Annotated[list[Path], typer.Argument(help="Recordings with cues, or folders of them.")]
Classes = Classes
Montage = Montage


def bank_list(as_json: Json = False) -> None:
    """List the subjects of the bank: those that come with rtbci, and your own."""
    from rtbci.calibration.population.bank import count
    from rtbci.calibration.population.store import all_banks

    rows = [(bank, *row) for bank in all_banks() for row in count(bank)]
    if as_json:
        print_json(
            {
                "subjects": [
                    {
                        "subject": subject,
                        "bank": bank.name,
                        "trials": trials,
                        "electrodes": list(bank.electrodes),
                        **bank.about,
                    }
                    for bank, subject, trials in rows
                ]
            }
        )
        return
    table = Table("subject", "bank", "trials", "electrodes", "consent or licence")
    for bank, subject, trials in rows:
        words = ", ".join(f"{n} {name}" for name, n in trials.items())
        terms = bank.about.get("consent") or bank.about.get("licence", "")
        table.add_row(subject, bank.name, words, str(len(bank.electrodes)), terms)
    Console().print(table)


def bank_add(
    recordings: Recordings,
    subject: Annotated[str, typer.Option(help="A pseudonym: letters, digits, - and _.")],
    consent: Annotated[str, typer.Option(help="What the subject has agreed to, in words.")],
    classes: Classes = None,
    montage: Montage = None,
) -> None:
    """Add a subject of your own: her trials' covariances, no signal."""
    from rtbci.apps.assemble import limit_threads
    from rtbci.calibration.population.bank import count
    from rtbci.calibration.population.store import add_subject, own_subjects

    limit_threads()
    path = add_subject(recordings, subject, consent, classes=classes, montage=montage)
    bank = next(b for b in own_subjects() if b.name == path.stem)
    trials = ", ".join(f"{n} {name}" for name, n in count(bank)[0][1].items())
    typer.echo(f"{subject} is in the bank with {trials}: {path}")


def bank_remove(subject: Annotated[str, typer.Argument(help="Her pseudonym.")]) -> None:
    """Remove a subject of your own; profiles that were fitted with her stay as they are."""
    from rtbci.calibration.population.store import remove_subject

    typer.echo(f"{subject} is out of the bank: {remove_subject(subject)} is gone.")


def bank_build(
    data: Recordings,
    out: Annotated[Path, typer.Option(help="File to write, as in mylab.safetensors.")],
    source: Annotated[str, typer.Option(help="Where the recordings come from.")] = "",
    licence: Annotated[str, typer.Option(help="Under which terms they may be used.")] = "",
    without: Annotated[
        list[str] | None, typer.Option(help="Subjects to leave out; repeatable.")
    ] = None,
    electrodes: Annotated[
        str | None, typer.Option(help="C3,Cz,C4,...; by default those of the shipped bank.")
    ] = None,
    classes: Classes = None,
    montage: Montage = None,
    as_json: Json = False,
) -> None:
    """Build a bank of many subjects' recordings, as the one that comes with rtbci was."""
    from rtbci.apps.assemble import limit_threads
    from rtbci.calibration.population.bank import write_bank
    from rtbci.calibration.population.build import ELECTRODES, build_bank

    if not out.parent.is_dir():
        raise BadInputError(f"{out.parent} is no folder, so {out} can't be written.")
    limit_threads()
    wanted = tuple(e.strip() for e in electrodes.split(",")) if electrodes else ELECTRODES
    with progress_bar(not as_json) as tell:
        report = build_bank(
            data,
            out.stem,
            {"source": source, "licence": licence},
            without=tuple(without or ()),
            electrodes=wanted,
            classes=classes,
            montage=montage,
            progress=lambda path, share: tell(share, path.name),
        )
    write_bank(report.bank, out)
    done = {
        "bank": str(out),
        "subjects": list(report.bank.subjects),
        "trials": len(report.bank.subject),
        "rejected": report.rejected,
        "bytes": out.stat().st_size,
    }
    if as_json:
        print_json({"event": "summary", **done, "skipped": report.skipped})
        return
    typer.echo(
        f"{out}: {done['trials']} trials of {len(report.bank.subjects)} subjects "
        f"({report.rejected} left out), {out.stat().st_size / 1e6:.1f} MB."
    )
    for path, why in report.skipped.items():
        typer.echo(f"not used: {path}: {why}")


def bank_features(
    data: Recordings,
    weights: Annotated[
        str, typer.Option(help="Of our network: a name, a path, or a folder of folds.")
    ] = "",
    electrodes: Annotated[
        str, typer.Option(help="Which: motor, all, a montage, C3,Cz,C4.")
    ] = "motor",
    task: Annotated[str, typer.Option(help="Only tasks whose names hold this.")] = "",
    classes: Classes = None,
    montage: Montage = None,
    as_json: Json = False,
) -> None:
    """Keep what the foundation model makes of other people's trials, for eegpt-population."""
    from rtbci.apps.assemble import limit_threads
    from rtbci.calibration.decoders.across import maker
    from rtbci.calibration.decoders.catalogue import FOUNDATION_VIEW
    from rtbci.calibration.evaluation.decode import electrode_set
    from rtbci.calibration.population.feature_bank import bank_path, build_features, write_features
    from rtbci.models.seen import DEFAULT, folds

    limit_threads()
    made_by = dict(maker(name) for name in folds(weights or DEFAULT))
    with progress_bar(not as_json) as tell:
        banks = build_features(
            data,
            made_by,
            electrode_set(electrodes),
            FOUNDATION_VIEW,
            tasks=(task,) if task else (),
            classes=classes,
            montage=montage,
            progress=tell,
        )
    for bank in banks:
        path = bank_path(bank.identity, bank.electrodes)
        write_features(bank, path)
        trials, people = len(bank.subject), len(bank.subjects)
        if as_json:
            print_json({"event": "features", "file": str(path), "trials": trials, "people": people})
            continue
        size = path.stat().st_size / 1e6
        typer.echo(f"{path}: {trials} trials of {people} subjects, {size:.1f} MB.")
