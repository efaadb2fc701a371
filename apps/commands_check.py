"""``rtbci check`` and ``rtbci recheck``: whether the signal is good and a profile still holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtbci.apps.options import Json, Montage
from rtbci.apps.printing import print_json

Recording = Annotated[Path, typer.Argument(help="A recording with a signal check.")]
Montage = Montage


def check(recording: Recording, montage: Montage = None, as_json: Json = False) -> None:
    """Say what a recorded signal check shows: eyes, alpha, jaw, contacts, swapped electrodes."""
    from rtbci.apps.assemble import limit_threads
    from rtbci.calibration.signal_check import evaluate_signal_check

    limit_threads()
    found = evaluate_signal_check(recording, montage=montage)
    if as_json:
        print_json({"event": "check", **found.to_dict()})
        return
    for said in found.lines():
        typer.echo(said)


def recheck(
    subject: Annotated[str, typer.Argument(help="Whose profile.")],
    recording: Annotated[Path, typer.Argument(help="A recording of the protocol recheck.")],
    montage: Montage = None,
    save: Annotated[bool, typer.Option(help="Save what was found in the profile.")] = True,
    as_json: Json = False,
) -> None:
    """Say whether a profile still holds today: kept, re-centred, or calibrate again."""
    from rtbci.apps.assemble import limit_threads
    from rtbci.calibration.recheck import recheck as judge

    limit_threads()
    found = judge(subject, recording, montage=montage, save=save)
    if as_json:
        print_json({"event": "recheck", **found.to_dict()})
        return
    for said in found.lines():
        typer.echo(said)
