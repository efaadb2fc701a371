"""Every real recording there is, opened and played."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from rtbci.classes import classes_for
from rtbci.errors import BadInputError
from rtbci.montage import parse_montage
from rtbci.sources.replay import ReplaySource, read_recording
from rtbci.types import ChannelType, RawChunk, StreamInfo

_ENDINGS = {".edf", ".bdf", ".gdf", ".vhdr", ".fif", ".set", ".xdf", ".txt", ".csv"}
_FOLDER = Path(os.environ.get("RTBCI_DATA") or "/nonexistent")
# Where there are no recordings one case is left, and `data_dir` skips it with the reason.
FILES = sorted(str(p.relative_to(_FOLDER)) for p in _FOLDER.rglob("*") if p.suffix in _ENDINGS) or [
    "none"
]
_NO_EEG = {"test_1ch.gdf", "empty_streams.xdf"}
_NOT_OF_A_HEAD = {
    "clock_resets.xdf",  # uniform noise
    "eeglab_test.xdf",  # sines of unit height
    "eeglab_test.edf",  # 0.4 µV
    "minimal.xdf",  # nine rows
    "test_NO.vhdr",  # 0.4 s of an unfiltered scanner recording
    "test_raw_chanloc.set",  # scaled down by its exporter
    "OpenBCI_2016-02-13_focus.txt",  # most channels railed
}


def play(path: Path, seconds: float = 20.0) -> tuple[StreamInfo, list[RawChunk]]:
    source = ReplaySource(path, speed="max")
    info = source.open()
    chunks: list[RawChunk] = []
    while (chunk := source.read()) is not None:
        chunks.append(chunk)
        if sum(len(c.data) for c in chunks) > seconds * info.rate:
            break
    source.close()
    return info, chunks


@pytest.mark.parametrize("name", FILES)
def test_every_recording_plays(data_dir: Path, name: str) -> None:
    path = data_dir / name
    if path.name in _NO_EEG:
        with pytest.raises(BadInputError, match="has no EEG channel, it holds"):
            play(path)
        return
    info, chunks = play(path)
    data = np.concatenate([c.data for c in chunks])
    times = np.concatenate([c.times for c in chunks])
    names = [c.name for c in info.channels]
    assert data.dtype == np.float32
    assert data.shape == (len(times), len(info.channels))
    assert len(set(names)) == len(names)
    assert len(info.eeg) > 0
    assert np.diff(times).min() > 0
    assert all(m.label for c in chunks for m in c.markers)
    if path.name in _NOT_OF_A_HEAD:
        return
    band = butter(2, [1.0, 40.0], "bandpass", fs=info.rate, output="sos")
    eeg = data[:, list(info.eeg)].astype(float)
    filtered = sosfilt(band, np.nan_to_num(eeg - np.nanmedian(eeg, axis=0)), axis=0)
    second = round(info.rate)
    spreads = [
        filtered[i : i + second].std(axis=0)
        for i in range(len(filtered) // 4, len(filtered) - second + 1, second)
    ] or [filtered.std(axis=0)]
    assert 2.0 < float(np.median(np.array(spreads))) < 80.0


def test_eegmmidb_is_read_as_its_authors_describe_it(data_dir: Path) -> None:
    recording = read_recording(data_dir / "motor_imagery/eegmmidb/S001/S001R04.edf")
    assert recording.info.rate == 160.0
    assert recording.info.electrodes[:4] == ("FC5", "FC3", "FC1", "FCz")
    assert len(recording.info.electrodes) == 64
    labels = [m.label for m in recording.markers]
    assert [labels.count(t) for t in ("T0", "T1", "T2")] == [15, 8, 7]
    assert recording.markers[1].sample == round(4.2 * 160)
    assert classes_for("S001R04.edf") == {"T1": "left_hand", "T2": "right_hand"}


def test_three_generations_of_openbci_text_hold_one_recording(data_dir: Path) -> None:
    folder = data_dir / "formats/openbci_txt"
    old, v5, v6 = (
        read_recording(folder / f"OpenBCI{name}-blinks-jawClench-alpha.txt")
        for name in ("-sampleData-1", "_GUI-v5", "_GUI-v6")
    )
    for other in (v5, v6):
        np.testing.assert_array_equal(other.data[:, :8], old.data[:, :8])
        np.testing.assert_array_equal(other.times, old.times)
        assert other.info.electrodes == old.info.electrodes
    assert old.info.rate == 250.0
    assert [c.type for c in v6.info.channels[8:11]] == [ChannelType.ACCEL] * 3


def test_xdf_of_a_live_session_has_its_cues(data_dir: Path) -> None:
    recording = read_recording(
        data_dir / "motor_imagery/openbci_lsl_xdf/sub-01_rec-003.xdf",
        montage=parse_montage("C3,C4,Cz,FC1,FC2,FC5,FC6,CP1,CP2,CP5,CP6,-,-,-,-,-"),
    )
    labels = [m.label for m in recording.markers]
    counts = {label: labels.count(label) for label in sorted(set(labels))}
    assert counts == {"1": 10, "1111": 30, "111": 1, "2": 10, "3": 10, "9": 30, "99": 1}
    assert recording.info.rate == 125.0
    assert recording.info.electrodes[0] == "C3"
    assert len(recording.info.eeg) == 11
    assert np.abs(np.median(recording.data[:, 0])) > 1e4


def test_clock_resets_leave_a_break_and_times_in_order(data_dir: Path) -> None:
    recording = read_recording(data_dir / "formats/xdf/clock_resets.xdf")
    assert recording.breaks == (12876,)
    assert np.diff(recording.times).min() > 0
    assert recording.info.rate == pytest.approx(92.93, abs=0.01)


def test_gdf_that_says_volts_for_microvolts_is_repaired(data_dir: Path) -> None:
    recording = read_recording(data_dir / "motor_imagery/graz_biosig/sample.gdf")
    assert "values said to be volts are microvolts" in recording.info.device["notes"][0]
    labels = [m.label for m in recording.markers]
    assert (labels.count("769"), labels.count("770")) == (20, 20)


def test_an_analogue_trigger_input_gives_no_markers(data_dir: Path) -> None:
    """Its noise once became 30 000 markers."""
    recording = read_recording(data_dir / "formats/bdf/multiple_annotation_chans.bdf")
    assert len(recording.markers) == 10
    assert {c.type for c in recording.info.channels} >= {
        ChannelType.EMG,
        ChannelType.EOG,
        ChannelType.ECG,
        ChannelType.ACCEL,
        ChannelType.TRIG,
    }


def test_slices_of_a_file_are_the_whole(data_dir: Path) -> None:
    path = data_dir / "other/eegmat/Subject00_2.edf"
    whole = read_recording(path).data
    _, chunks = play(path, seconds=1e9)
    np.testing.assert_array_equal(np.concatenate([c.data for c in chunks]), whole)
