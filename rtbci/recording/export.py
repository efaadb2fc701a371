"""Converts recordings: to BIDS, FIF, EDF and BDF.

Nothing is inserted for gaps here either: an annotation ``EDGE gap of 0.5 s: lost frames`` says
where rows are missing.  MNE takes annotations that begin with ``EDGE`` for ends of a stretch
of signal and does not filter across them.  FIF, EDF and BDF hold the first stream; BIDS holds
all of them.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rtbci.errors import BadInputError, RecordingError
from rtbci.recording.bids import export_bids
from rtbci.recording.edf import ascii_names, ascii_text, export_edf
from rtbci.recording.landmarks import ArrivedMarker, in_file, tsv_text
from rtbci.recording.reader import open_recording
from rtbci.recording.recording import Recording
from rtbci.types import Channel, ChannelType, Gap

Format = Literal["bids", "fif", "edf", "bdf"]
FORMATS: tuple[Format, ...] = ("bids", "fif", "edf", "bdf")
FIF_NAME_CHARACTERS = 64
VOLTS = {"V": 1.0, "mV": 1e-3, "µV": 1e-6, "uV": 1e-6, "nV": 1e-9}
MNE_TYPES = {
    ChannelType.EEG: "eeg",
    ChannelType.EOG: "eog",
    ChannelType.EMG: "emg",
    ChannelType.ECG: "ecg",
    ChannelType.TRIG: "stim",
}
"""MNE's types; all others are ``misc``, whose values it leaves as they are."""


def export(path: Path | str, to: str, out: Path | str | None = None) -> Path:
    """Convert a recording.

    Parameters
    ----------
    path : Path
        A recording's folder, or any file in it.  A torn one is exported as far as it is whole.
    to : str
        ``bids``, ``fif``, ``edf`` or ``bdf``.
    out : Path | None
        The file to write, or a folder for it; for BIDS the root of the data set, which may
        hold other recordings already.  Beside the recording where None.

    Returns
    -------
    written : Path
        The file, or the root of the BIDS data set.

    Raises
    ------
    BadInputError
        Where there is no recording or no such format, the recording holds no rows, ``out``
        exists already, or a name does not fit the format.
    RecordingError
        Where the recording is damaged, or ``out`` can't be written.
    """
    if to not in FORMATS:
        raise BadInputError(f"recordings can't be exported to {to!r}; it is {', '.join(FORMATS)}.")
    recording = open_recording(path)
    if recording.n_rows == 0:
        raise BadInputError(
            f"{recording.files.folder} holds no rows, so there is nothing to export."
        )
    target = _target(recording, to, None if out is None else Path(out))
    try:
        if to == "bids":
            export_bids(recording, target)
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        if to == "fif":
            _export_fif(recording, target)
        else:
            export_edf(recording, target, file_notes(recording), wide=to == "bdf")
    except OSError as err:
        with contextlib.suppress(OSError):
            if to != "bids":
                target.unlink(missing_ok=True)  # half a file would be taken for a whole one
        raise RecordingError(
            f"{target} can't be written: {err.strerror or err}; the recording itself is untouched. "
            "Free some space, or name another place with --out."
        ) from err
    return target


def file_notes(recording: Recording) -> list[tuple[float, float, str]]:
    """Gaps and markers whose rows are there: onset and duration in s of the file, and text."""
    landmarks = recording.main.landmarks()
    items = [item.marker if isinstance(item, ArrivedMarker) else item for item in landmarks]
    made = []
    for item in in_file(items, recording.n_rows):
        assert item.sample is not None
        onset = item.sample / recording.info.rate
        if isinstance(item, Gap):
            made.append((onset, 0.0, f"EDGE gap of {item.length:.6g} s: {item.cause.value}"))
        else:
            duration = item.duration if np.isfinite(item.duration) else 0.0
            made.append((onset, duration, tsv_text(item.label)))
    return sorted(made)


def _target(recording: Recording, to: str, out: Path | None) -> Path:
    """Where to write; never over something that is there."""
    folder = recording.files.folder
    if to == "bids":
        return folder.parent / "bids" if out is None else out
    name = f"{recording.files.stem}_eeg.{to}"
    target = folder.parent / name if out is None else out / name if out.is_dir() else out
    if target.suffix.lower() != f".{to}":
        raise BadInputError(f"--out must end with .{to} or be a folder, got {target}.")
    if target.exists():
        raise BadInputError(f"{target} is there already; remove it, or name another with --out.")
    return target


def _export_fif(recording: Recording, target: Path) -> None:
    """Write a FIF file; MNE splits it where it would pass 2 GB."""
    import mne

    info = recording.info
    types = [MNE_TYPES.get(channel.type, "misc") for channel in info.channels]
    scales = np.array([_scale(c, kind) for c, kind in zip(info.channels, types, strict=True)])
    data = recording.main.data().T.astype(np.float64) * scales[:, None]
    names = ascii_names([channel.name for channel in info.channels], FIF_NAME_CHARACTERS)
    raw: Any = mne.io.RawArray(data, mne.create_info(names, info.rate, types), verbose="error")
    raw.set_meas_date(recording.wall.date(float(recording.main.times(0, 1)[0])))
    notes = file_notes(recording)
    raw.set_annotations(
        mne.Annotations([n[0] for n in notes], [n[1] for n in notes], [n[2] for n in notes]),
        verbose="error",
    )
    raw.info["description"] = ascii_text(f"{info.name}; rtbci {recording.rtbci}")
    raw.save(target, fmt="single", verbose="error")


def _scale(channel: Channel, kind: str) -> float:
    """Factor to volts, where MNE wants them."""
    return VOLTS.get(channel.unit, 1e-6) if kind in ("eeg", "eog", "emg", "ecg") else 1.0
