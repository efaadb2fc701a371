"""``rtbci calibrate`` with a display: the guided session in a window; ``rtbci bench cues``.

The plan is checked here, before any window: what is wrong with a command line belongs where it was
typed.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from rtbci.apps.calibration_live import LiveCalibration
from rtbci.apps.options import Json
from rtbci.apps.printing import print_json

BLOCKS = 3
"""Planned where nobody says how many: 60 trials of two classes, a quarter of an hour."""


def calibrate_in_window(wanted: LiveCalibration) -> int:
    """Open the window; give its exit code.

    Raises
    ------
    BadInputError
        On a subject, protocol or number that can't be used, where no window can be shown, or what
        was left of an earlier session is damaged.
    """
    from rtbci.apps.gui.app import check_window
    from rtbci.apps.gui.calibration.opening import open_calibration
    from rtbci.apps.gui.calibration.protocols import protocols_of
    from rtbci.apps.gui.calibration.store import Plan
    from rtbci.calibration.names import check_subject
    from rtbci.calibration.protocol.config import load_protocol

    check_window()
    check_subject(wanted.subject)
    name = wanted.protocols[0]
    blocks = load_protocol(name).blocks
    plan = Plan(
        subject=wanted.subject,
        source=wanted.source,
        montage=wanted.montage,
        protocol=name,
        blocks=wanted.blocks if wanted.blocks is not None else max(blocks.count, BLOCKS),
        trials=wanted.trials if wanted.trials is not None else blocks.trials,
        decoder=wanted.decoder,
        seed=time.time_ns() % 2**31 if wanted.seed is None else wanted.seed,
        check=wanted.signal_check is not False,
    )
    protocols_of(plan)
    return open_calibration(plan, wanted.record, config=wanted.session)


def bench_cues(
    cues: Annotated[int, typer.Option(min=2, help="Cues to show.")] = 200,
    as_json: Json = False,
) -> None:
    """Show cues on a real window; compare the recorded onsets with the ends of their paints."""
    from rtbci.apps.gui.app import application
    from rtbci.apps.gui.calibration.cue_bench import measure_cues

    application()
    with tempfile.TemporaryDirectory() as folder:
        found = measure_cues(cues, Path(folder))
    if as_json:
        print_json(found.to_dict())
        return
    for line in found.lines():
        typer.echo(line)
