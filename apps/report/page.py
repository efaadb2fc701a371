"""Writes the page: one HTML file that needs nothing beside it, and nothing from the network.

recording -> gather (one pass, in blocks) -> sections -> one file
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import rtbci
from rtbci.apps.report import (
    sections_about,
    sections_card,
    sections_results,
    sections_signal,
)
from rtbci.apps.report.head import clip_shape
from rtbci.apps.report.material import Material, Tell, gather
from rtbci.apps.report.style import style_sheet
from rtbci.errors import BadInputError
from rtbci.recording.jsontext import write_whole
from rtbci.recording.reader import open_recording

if TYPE_CHECKING:
    from rtbci.apps.verify import Verification


def default_path(recording: Path) -> Path:
    """Where a report is written when nobody says where: beside the recording's folder."""
    return recording.with_name(f"{recording.name}.html")


def write_report(
    path: Path, out: Path | None = None, *, verify: bool = False, tell: Tell = lambda *_: None
) -> Path:
    """Write the report of a recording.

    Parameters
    ----------
    path : Path
        The recording's folder, or any file in it.
    out : Path | None
        The file; beside the recording's folder where None.
    verify : bool
        Whether the recording is replayed, too, to say whether all comes again.
    tell : callable
        Told the share that is done, and at what it is.

    Returns
    -------
    out : Path

    Raises
    ------
    BadInputError
        Where there is no recording of ours, or the file can't be written.
    RecordingError
        Where the recording is damaged in its middle.
    """
    recording = open_recording(path)
    target = default_path(recording.files.folder.resolve()) if out is None else out
    if target.is_dir():
        raise BadInputError(f"{target} is a folder; name the file: {target / 'report.html'}.")
    made = gather(recording, tell)
    verified = None
    if verify and not made.rehearsal:
        from rtbci.apps.verify import verify_recording

        tell(1.0, "replay")
        verified = verify_recording(recording.files.folder)
    try:
        write_whole(target, page(made, verified).encode())
    except OSError as err:
        raise BadInputError(
            f"the report can't be written to {target}: {err.strerror}; name another file with "
            "--out."
        ) from err
    return target


def page(made: Material, verified: Verification | None = None) -> str:
    """Give the whole page."""
    about, signal, results = sections_about, sections_signal, sections_results
    sections = (
        about.title(made),
        about.missing(made),
        about.glance(made),
        results.against_cues(made),
        results.abstentions(made),
        results.in_time(made),
        sections_card.calibration(made),
        signal.skill(made),
        signal.example(made),
        results.latency(made),
        signal.spectra(made),
        signal.gaps(made),
        signal.maps(made),
        signal.quality(made),
        about.facts(made),
        about.events(made),
        about.replays(made, verified),
    )
    name = escape(made.recording.files.stem)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title>\n<style>{style_sheet()}</style></head>\n<body>{clip_shape()}"
        f"<main>\n{chr(10).join(filter(None, sections))}\n"
        f"<footer>rtbci {rtbci.__version__} · one file, nothing is loaded from elsewhere"
        "</footer></main></body></html>\n"
    )
