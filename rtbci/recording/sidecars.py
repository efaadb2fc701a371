"""The BIDS files beside a signal: ``*_channels.tsv``, ``*_eeg.json``, ``*_events.json``.

Field names are those of BIDS 1.10 for EEG.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import rtbci
from rtbci.recording.landmarks import tsv_text
from rtbci.types import ChannelType, Gap, StreamInfo

BIDS_TYPES = {ChannelType.ACCEL: "MISC"}
"""Types that BIDS does not have for EEG recordings."""

EVENT_DESCRIPTIONS: dict[str, Any] = {
    "onset": {"Description": "Position in the file: sample over sampling rate", "Units": "s"},
    "duration": {"Description": "0 for an instant", "Units": "s"},
    "trial_type": {"Description": "Label of the marker, or gap where rows are missing"},
    "sample": {"Description": "Row, counted from 0; for a gap the first row after it"},
    "time_s": {
        "Description": "Time since row 0, gaps included, by the session's clock",
        "Units": "s",
    },
    "origin": {"Description": "Where a marker came from, or why rows are missing"},
    "length_s": {"Description": "How much is missing; nothing is inserted for it", "Units": "s"},
}


def channels_text(info: StreamInfo) -> str:
    """Write ``*_channels.tsv``."""
    rows = ["name\ttype\tunits\tsampling_frequency\tdescription\n"]
    for channel in info.channels:
        kind = BIDS_TYPES.get(channel.type, channel.type.value)
        name, unit = tsv_text(channel.name), tsv_text(channel.unit)
        rows.append(f"{name}\t{kind}\t{unit}\t{info.rate:.12g}\t{channel.type.value}\n")
    return "".join(rows)


def sidecar(
    info: StreamInfo, task: str, rows: int | None = None, gaps: Sequence[Gap] = ()
) -> dict[str, Any]:
    """Make ``*_eeg.json``.

    Parameters
    ----------
    info : StreamInfo
    task : str
    rows : int | None
        None while the recording grows.
    gaps : sequence of Gap
    """
    counts = Counter(channel.type for channel in info.channels)
    aux = ("EOG", "ECG", "EMG", "TRIG", "REF")
    made: dict[str, Any] = {
        "TaskName": task,
        "SamplingFrequency": info.rate,
        "EEGReference": "n/a",
        "PowerLineFrequency": "n/a",
        "SoftwareFilters": "n/a",
        "RecordingType": "discontinuous" if gaps else "continuous",
        "EEGChannelCount": counts[ChannelType.EEG],
        "EOGChannelCount": counts[ChannelType.EOG],
        "ECGChannelCount": counts[ChannelType.ECG],
        "EMGChannelCount": counts[ChannelType.EMG],
        "TriggerChannelCount": counts[ChannelType.TRIG],
        "MiscChannelCount": sum(
            count for kind, count in counts.items() if kind != "EEG" and kind.value not in aux
        ),
        "ManufacturersModelName": info.name,
        "SoftwareVersions": f"rtbci {rtbci.__version__}",
    }
    if rows is not None:
        made["RecordingDuration"] = rows / info.rate
    return made
