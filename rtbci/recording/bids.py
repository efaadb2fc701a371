"""Writes a recording into a BIDS data set (1.10; EEG-BIDS, doi:10.1038/s41597-019-0104-8).

::

    out/
    ├── dataset_description.json  README  participants.tsv  participants.json
    └── sub-P07/
        ├── sub-P07_scans.tsv
        └── eeg/
            ├── sub-P07_task-live_run-01_eeg.vhdr .eeg .vmrk .json
            ├── ..._channels.tsv ..._events.tsv ..._events.json
            └── ..._recording-NAME_physio.tsv.gz .json      further streams
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

import rtbci
from rtbci.errors import BadInputError
from rtbci.recording.brainvision import header_text
from rtbci.recording.jsontext import write_json, write_whole
from rtbci.recording.landmarks import EVENT_HEADER
from rtbci.recording.layout import label
from rtbci.recording.recording import Recording
from rtbci.recording.recover import expected_text
from rtbci.recording.sidecars import EVENT_DESCRIPTIONS, channels_text, sidecar
from rtbci.recording.stream_reader import StreamReader

BIDS_VERSION = "1.10.0"
BLOCK_ROWS = 10_000
README = """\
EEG recorded with rtbci, a real-time brain-computer interface.

Signals are as they came, before any filter, in the units that *_channels.tsv names. Nothing is
inserted where rows are missing: events of type "gap" say where and how much.
"""


def export_bids(recording: Recording, root: Path) -> None:
    """Add a recording to the data set in ``root``, which is made where it is not there.

    Raises
    ------
    BadInputError
        Where the data set holds that run already.
    """
    subject = f"sub-{label(recording.subject)}"
    stem, folder = recording.files.stem, root / subject / "eeg"
    if list(folder.glob(f"{stem}_*")):
        raise BadInputError(
            f"{root} holds {stem} already; remove it there, or name another folder with --out."
        )
    folder.mkdir(parents=True, exist_ok=True)
    _describe(root, subject)
    try:
        _write_signal(recording, folder)
        for name, stream in recording.streams.items():
            _write_physio(recording, name, stream, folder)
    except OSError:
        for path in folder.glob(f"{stem}_*"):  # half a run would be taken for a whole one
            path.unlink()
        raise
    began = recording.wall.date(float(recording.main.times(0, 1)[0]))
    _append_row(
        root / subject / f"{subject}_scans.tsv",
        {
            "filename": f"eeg/{stem}_eeg.vhdr",
            "acq_time": began.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        },
    )


def _describe(root: Path, subject: str) -> None:
    """Files of the whole data set; those that are there already stay."""
    description = root / "dataset_description.json"
    if not description.exists():
        write_json(
            description,
            {
                "Name": "Recordings of rtbci",
                "BIDSVersion": BIDS_VERSION,
                "DatasetType": "raw",
                "GeneratedBy": [{"Name": "rtbci", "Version": rtbci.__version__}],
            },
        )
    if not list(root.glob("README*")):
        write_whole(root / "README", README.encode())
    table = root / "participants.tsv"
    if not table.exists():
        write_json(
            root / "participants.json", {"participant_id": {"Description": "Label of a person"}}
        )
    _append_row(table, {"participant_id": subject}, once=True)


def _append_row(path: Path, values: dict[str, str], *, once: bool = False) -> None:
    """Add a row to a table of tabs; columns that we don't know are n/a."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    columns = lines[0].split("\t") if lines else list(values)
    row = "\t".join(values.get(column, "n/a") for column in columns)
    key = next(iter(values.values()))
    if once and any(line.split("\t")[0] == key for line in lines[1:]):
        return
    content = "\n".join([*(lines or ["\t".join(columns)]), row]) + "\n"
    write_whole(path, content.encode())


def _write_signal(recording: Recording, folder: Path) -> None:
    """The first stream, as far as it is whole."""
    stem, info, main = recording.files.stem, recording.info, recording.main
    data, markers = folder / f"{stem}_eeg.eeg", folder / f"{stem}_eeg.vmrk"
    with data.open("wb") as file:
        for start in range(0, main.n_rows, BLOCK_ROWS):
            rows = main.data(start, min(start + BLOCK_ROWS, main.n_rows))
            file.write(rows.astype("<f4").tobytes())
    vmrk, events = expected_text(main, recording.wall)
    lines = events.removeprefix(EVENT_HEADER).splitlines(keepends=True)
    lines.sort(key=lambda line: float(line.split("\t")[0]))
    texts = {
        folder / f"{stem}_eeg.vhdr": header_text(info, data.name, markers.name),
        markers: vmrk,
        folder / f"{stem}_channels.tsv": channels_text(info),
        folder / f"{stem}_events.tsv": "".join([EVENT_HEADER, *lines]),
    }
    for path, text in texts.items():
        write_whole(path, text.encode())
    write_json(
        folder / f"{stem}_eeg.json", sidecar(info, recording.task, main.n_rows, recording.gaps())
    )
    write_json(folder / f"{stem}_events.json", EVENT_DESCRIPTIONS)


def _write_physio(recording: Recording, name: str, stream: StreamReader, folder: Path) -> None:
    """A further stream, its times in the first column."""
    base = folder / f"{recording.files.stem}_recording-{label(name)}_physio"
    first = float(recording.main.times(0, 1)[0])
    with gzip.open(base.with_name(base.name + ".tsv.gz"), "wt", encoding="utf-8") as file:
        for start in range(0, stream.n_rows, BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, stream.n_rows)
            times = stream.times(start, stop) - first
            for time, row in zip(times, stream.data(start, stop), strict=True):
                cells = (f"{v:.9g}" if np.isfinite(v) else "n/a" for v in row)
                file.write("\t".join([f"{time:.9f}", *cells]) + "\n")
    columns = ["time_s", *(channel.name for channel in stream.info.channels)]
    facts: dict[str, object] = {
        "SamplingFrequency": stream.info.rate,
        "StartTime": float(stream.times(0, 1)[0]) - first if stream.n_rows else 0.0,
        "Columns": columns,
        "time_s": {"Description": "Time since the first row of the EEG", "Units": "s"},
    }
    for channel in stream.info.channels:
        facts[channel.name] = {"Description": channel.type.value, "Units": channel.unit or "n/a"}
    write_json(base.with_name(base.name + ".json"), facts)
