"""Exports say the same as the recording: values, units, markers, gaps, dates."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mne
import mne_bids
import numpy as np
import pytest

from rtbci.config import SessionConfig
from rtbci.errors import BadInputError, RecordingError
from rtbci.recording.edf import ascii_names, physical_range, record_size, stretches
from rtbci.recording.export import export
from rtbci.recording.reader import open_recording
from rtbci.recording.writer import Recorder
from rtbci.types import Channel, ChannelType, Chunk, FloatArray, Gap, GapCause, Marker, StreamInfo

RATE = 250.0
ROWS = 1130
CHANNELS = (
    Channel("C3"),
    Channel("C4"),
    Channel("EOG-L", ChannelType.EOG),
    Channel("Accel X", ChannelType.ACCEL, "g"),
    Channel("Battery", ChannelType.MISC, "V"),
)
MARKERS = (
    Marker(10.8, "left_hand", 2.0, sample=200),
    Marker(14.0, "right_hand", sample=750),
)


def signal() -> FloatArray:
    """Signals of each kind: an offset of 1e5 µV, gravity, a voltage that does not change."""
    rng = np.random.default_rng(5)
    data = rng.normal(scale=30.0, size=(ROWS, len(CHANNELS)))
    data[:, 1] += 1e5
    data[:, 3] = 1 + 0.01 * data[:, 3]
    data[:, 4] = 3.7
    return data.astype(np.float32)


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Path]:
    def make(data: FloatArray | None = None, rate: float = RATE) -> Path:
        info = StreamInfo("board", "brainflow", rate, CHANNELS)
        recorder = Recorder(
            tmp_path / "rec",
            info,
            SessionConfig(),
            subject="P07",
            task="live",
            extra={},
            started=10.0,
        )
        gaze = StreamInfo("gaze", "lsl", 60.0, (Channel("x", ChannelType.MISC, "px"),))
        recorder.add_stream("gaze", gaze)
        data = signal() if data is None else data
        times = 10.0 + np.arange(len(data)) / rate
        times[500:] += 0.7
        gap = Gap(500, float(times[499]) + 1 / rate, 0.7, 175, GapCause.LOST_FRAMES, False)
        chunk = Chunk(0, data, times, 20.0, None, (gap,), MARKERS)
        recorder.write_chunk(chunk)
        eyes = np.array([[1.5], [np.nan]], dtype=np.float32)
        recorder.write_stream("gaze", Chunk(0, eyes, np.array([10.5, 10.6]), 11.0))
        recorder.close({})
        return recorder.folder

    return make


def notes(raw: mne.io.BaseRaw) -> list[tuple[str, float, float]]:
    """Description, onset and duration of annotations, to the tenth of a millisecond."""
    return [
        (str(a["description"]), round(float(a["onset"]), 4), round(float(a["duration"]), 4))
        for a in raw.annotations
    ]


EXPECTED = [
    ("left_hand", 0.8, 2.0),
    ("EDGE gap of 0.7 s: lost frames", 2.0, 0.0),
    ("right_hand", 3.0, 0.0),
]


def test_fif_has_volts_types_markers_and_gaps(record: Callable[..., Path]) -> None:
    folder = record()
    written = export(folder, "fif")
    assert written == folder.parent / "sub-P07_task-live_run-01_eeg.fif"
    raw = mne.io.read_raw_fif(written, verbose="error")
    assert raw.ch_names == [c.name for c in CHANNELS]
    assert raw.get_channel_types() == ["eeg", "eeg", "eog", "misc", "misc"]
    scales = np.array([1e6, 1e6, 1e6, 1, 1])
    np.testing.assert_allclose(raw.get_data().T * scales, signal(), rtol=1.2e-7)
    assert notes(raw) == EXPECTED
    assert raw.info["meas_date"] == open_recording(folder).wall.at


@pytest.mark.parametrize(("to", "step"), [("edf", 0.01), ("bdf", 1e-4)])
def test_edf_and_bdf_are_within_half_a_step(
    record: Callable[..., Path], to: str, step: float
) -> None:
    folder = record()
    read = mne.io.read_raw_edf if to == "edf" else mne.io.read_raw_bdf
    raw = read(export(folder, to), preload=True, verbose="error")
    assert raw.ch_names == [c.name for c in CHANNELS]
    assert raw.info["sfreq"] == RATE
    data = raw.get_data().T[:ROWS] * np.array([1e6, 1e6, 1e6, 1, 1e0])
    np.testing.assert_allclose(data[:, :3], signal()[:, :3], atol=step, rtol=0)
    np.testing.assert_allclose(data[:, 3], signal()[:, 3], atol=1e-4)
    np.testing.assert_allclose(data[:, 4], signal()[:, 4], atol=1e-4)
    padding = ("BAD_ACQ_SKIP", ROWS / RATE, (1250 - ROWS) / RATE)
    assert raw.n_times == 1250
    assert notes(raw) == [*EXPECTED, padding]
    began = open_recording(folder).wall.at
    assert abs((raw.info["meas_date"] - began).total_seconds()) < 1.0


def test_edf_says_where_values_are_no_numbers(record: Callable[..., Path]) -> None:
    data = signal()
    data[100:125, 0] = np.nan
    data[300, 2] = np.inf
    written = export(record(data), "edf")
    raw = mne.io.read_raw_edf(written, preload=True, verbose="error")
    bad = [(o, d) for t, o, d in notes(raw) if t == "BAD_NOT_A_NUMBER"]
    assert bad == [(0.4, 0.1), (1.2, 0.004)]
    assert raw.get_data()[0, 110] == pytest.approx(0, abs=1e-8)


def test_edf_of_a_rate_that_is_no_whole_number(record: Callable[..., Path]) -> None:
    raw = mne.io.read_raw_edf(export(record(rate=249.93), "edf"), verbose="error")
    assert raw.info["sfreq"] == pytest.approx(249.93, rel=1e-6)


def test_bids_is_read_back_by_mne_bids(record: Callable[..., Path], tmp_path: Path) -> None:
    folder, root = record(), tmp_path / "dataset"
    assert export(folder, "bids", root) == root
    path = mne_bids.BIDSPath(
        subject="P07", task="live", run="01", datatype="eeg", suffix="eeg", root=root
    )
    raw = mne_bids.read_raw_bids(path, verbose="error")
    assert raw.ch_names == [c.name for c in CHANNELS]
    assert raw.get_channel_types() == ["eeg", "eeg", "eog", "misc", "misc"]
    scales = np.array([1e6, 1e6, 1e6, 1, 1])
    np.testing.assert_allclose(raw.get_data().T * scales, signal(), rtol=1e-6)
    assert [(t, o) for t, o, _ in notes(raw)] == [
        ("left_hand", 0.8),
        ("gap", 2.0),
        ("right_hand", 3.0),
    ]
    facts = json.loads(path.copy().update(extension=".json").fpath.read_text())
    assert facts["RecordingType"] == "discontinuous"
    assert facts["RecordingDuration"] == ROWS / RATE
    physio = path.fpath.parent / "sub-P07_task-live_run-01_recording-gaze_physio.tsv.gz"
    np.testing.assert_array_equal(
        np.genfromtxt(physio, missing_values="n/a"), [[0.5, 1.5], [0.6, np.nan]]
    )


def test_a_second_run_joins_the_data_set(record: Callable[..., Path], tmp_path: Path) -> None:
    root = tmp_path / "dataset"
    first, second = record(), record()
    export(first, "bids", root)
    (root / "participants.tsv").write_text("participant_id\tage\nsub-01\t30\n")
    export(second, "bids", root)
    assert (
        root / "participants.tsv"
    ).read_text() == "participant_id\tage\nsub-01\t30\nsub-P07\tn/a\n"
    scans = (root / "sub-P07" / "sub-P07_scans.tsv").read_text().splitlines()
    assert len(scans) == 3
    assert len(mne_bids.get_entity_vals(root, "run", verbose="error")) == 2
    with pytest.raises(BadInputError, match="holds sub-P07_task-live_run-01 already"):
        export(first, "bids", root)


def test_nothing_is_written_over(record: Callable[..., Path], tmp_path: Path) -> None:
    folder = record()
    written = export(folder, "edf", tmp_path)
    assert written == tmp_path / "sub-P07_task-live_run-01_eeg.edf"
    with pytest.raises(BadInputError, match="is there already; remove it"):
        export(folder, "edf", written)


def test_what_can_not_be_exported_is_said(record: Callable[..., Path], tmp_path: Path) -> None:
    folder = record()
    with pytest.raises(BadInputError, match="can't be exported to 'gdf'; it is bids, fif"):
        export(folder, "gdf")
    with pytest.raises(
        BadInputError, match=r"--out must end with .fif or be a folder, got .*x.edf"
    ):
        export(folder, "fif", tmp_path / "x.edf")
    with pytest.raises(BadInputError, match="there is no recording"):
        export(tmp_path / "nothing", "fif")
    (tmp_path / "file").write_text("")
    with pytest.raises(
        RecordingError, match=r"can't be written: .*the recording itself is untouched"
    ):
        export(folder, "fif", tmp_path / "file" / "x.fif")
    info = replace(open_recording(folder).info, channels=CHANNELS[:1])
    empty = Recorder(
        tmp_path, info, SessionConfig(), subject="P", task="live", extra={}, started=0.0
    )
    empty.close({})
    with pytest.raises(BadInputError, match="holds no rows"):
        export(empty.folder, "bids")


def test_small_pieces_of_edf() -> None:
    assert record_size(250.0) == (250, 1.0)
    assert record_size(0.25) == (1, 4.0)
    assert ascii_names(["Fp1", "a" * 20, "a" * 20, "µ"], 16) == [
        "Fp1",
        "a" * 16,
        "a" * 14 + "-2",
        "_",
    ]
    assert list(stretches([False, True, True, False, True])) == [(1, 3), (4, 5)]
    assert physical_range(np.array([-1.23456, 2.0])) == (-1.2346, 2.0)
    assert physical_range(np.array([3.7])) == (3.7, 3.7001)
    assert physical_range(np.array([99990.12345, 100012.3])) == (99990.12, 100012.3)
    for low, high in ((-3e38, 3e38), (-1e-9, 1e-9), (-187500.02, 187499.98)):
        a, b = physical_range(np.array([low, high]))
        assert a < b
        assert max(len(repr(a).removesuffix(".0")), len(repr(b).removesuffix(".0"))) <= 8
