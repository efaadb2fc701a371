"""Readers of recordings on small files whose every value is known."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from recordings import XdfStream, write_brainvision, write_edf, write_xdf

from rtbci.clock import ManualClock
from rtbci.errors import BadInputError, SourceError
from rtbci.sources.formats.common import plain_label
from rtbci.sources.formats.times import counted_times, counter_step, even_times, nominal_rate
from rtbci.sources.replay import ReplaySource, read_recording
from rtbci.types import ChannelType, SourceClock

RNG = np.random.default_rng(0)
NOISE = RNG.normal(0, 20, (1000, 3)).round(1)


def test_edf_names_values_and_times(tmp_path: Path) -> None:
    path = tmp_path / "S001R04.edf"
    write_edf(path, ["C3..", "EEG CZ-Ref", "EOG-L"], NOISE)
    recording = read_recording(path)
    assert recording.info.electrodes == ("C3", "Cz")
    assert recording.info.channels[2].type is ChannelType.EOG
    assert recording.info.rate == 100.0
    assert recording.info.clock is SourceClock.EXACT
    np.testing.assert_allclose(recording.data, NOISE, atol=0.051)
    np.testing.assert_allclose(recording.times, np.arange(1000) / 100)
    assert "notes" not in recording.info.device


def test_channels_named_twice_in_a_file_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "twice.vhdr"
    write_brainvision(path, ["F4-A1", "F4-A2", "C3"], NOISE, [])
    info = ReplaySource(path).open()
    assert info.electrodes == ("F4", "F4 (2)", "C3")
    assert "came twice were numbered: F4" in info.device["notes"][0]


def test_biosemi_labels_are_not_ears(tmp_path: Path) -> None:
    path = tmp_path / "biosemi.vhdr"
    write_brainvision(path, ["A1", "A2", "A3"], NOISE, [])
    info = ReplaySource(path).open()
    assert info.electrodes == ("BioSemi A1", "BioSemi A2", "BioSemi A3")
    assert "name them by --montage" in info.device["notes"][0]
    assert ReplaySource(path, montage=["C3", "Cz", "C4"]).open().electrodes == ("C3", "Cz", "C4")


def test_brainvision_markers_and_new_segments(tmp_path: Path) -> None:
    path = tmp_path / "bv.vhdr"
    marks = [
        ("New Segment", "", 0),
        ("Stimulus", "S  1", 100),
        ("New Segment", "", 500),
        ("Comment", "überall", 700),
    ]
    write_brainvision(path, ["C3", "Cz", "C4"], NOISE, marks)
    recording = read_recording(path)
    np.testing.assert_allclose(recording.data, NOISE, rtol=1e-5)
    assert [(m.label, m.time, m.sample) for m in recording.markers] == [
        ("S  1", 1.0, 100),
        ("überall", 7.0, 700),
    ]
    assert recording.breaks == (500,)
    assert read_recording(path.with_suffix(".eeg")).info.electrodes == ("C3", "Cz", "C4")


def test_fif_with_trigger_channel_and_first_sample(tmp_path: Path) -> None:
    import mne

    stim = np.zeros(1000)
    stim[200:210], stim[300:303] = 7, 9
    info = mne.create_info(["C3", "C4", "STI 014"], 100.0, ["eeg", "eeg", "stim"])
    raw = mne.io.RawArray(
        np.vstack([NOISE[:, :2].T * 1e-6, stim]), info, first_samp=300, verbose="ERROR"
    )
    raw.set_annotations(mne.Annotations([1.5, 4.0], [2.0, 0.0], ["T1", "BAD boundary"]))
    for name in ("x_raw.fif", "x_raw.fif.gz"):
        raw.save(tmp_path / name, verbose="ERROR")
        recording = read_recording(tmp_path / name)
        np.testing.assert_allclose(recording.data[:, :2], NOISE[:, :2], atol=1e-3)
        assert recording.info.channels[2].type is ChannelType.TRIG
        got = [(m.label, round(m.time, 3), m.duration) for m in recording.markers]
        assert got == [("T1", 1.5, 2.0), ("7", 2.0, 0.0), ("9", 3.0, 0.0)]
        assert recording.breaks == (400,)


def test_a_cut_off_fif_is_told_at_once(tmp_path: Path) -> None:
    import mne

    path = tmp_path / "x_raw.fif"
    info = mne.create_info(["C3", "Cz", "C4"], 100.0, "eeg")
    mne.io.RawArray(NOISE.T * 1e-6, info, verbose="ERROR").save(path, verbose="ERROR")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 9 // 10])
    with pytest.raises(BadInputError, match="can't be read as FIF"):
        ReplaySource(path).open()


@pytest.mark.parametrize("name", ["S001R04.EDF", "sub.01.run.2.edf", "ü b.Edf"])
def test_any_spelling_of_a_file_name(tmp_path: Path, name: str) -> None:
    write_edf(tmp_path / name, ["C3", "Cz", "C4"], NOISE)
    assert ReplaySource(tmp_path / name).open().electrodes == ("C3", "Cz", "C4")


def test_volts_that_are_microvolts_are_repaired(tmp_path: Path) -> None:
    """A GDF exporter wrote µV and said V, and half of a public FIF set did: both decoded to 0."""
    import mne

    drifting = NOISE + 1e5
    info = mne.create_info(["C3", "Cz", "C4"], 100.0, "eeg")
    mne.io.RawArray(drifting.T, info, verbose="ERROR").save(tmp_path / "v_raw.fif", verbose="ERROR")
    recording = read_recording(tmp_path / "v_raw.fif")
    np.testing.assert_allclose(recording.data, drifting, rtol=1e-5)
    assert "values said to be volts are microvolts" in recording.info.device["notes"][0]


def test_large_offsets_and_faint_signals_with_a_unit_stay(tmp_path: Path) -> None:
    path = tmp_path / "dc.vhdr"
    for data in (NOISE + 3e5, NOISE * 1e-5):
        write_brainvision(path, ["C3", "Cz", "C4"], data, [])
        recording = read_recording(path)
        np.testing.assert_allclose(recording.data, data, rtol=1e-4)
        assert "notes" not in recording.info.device


def test_xdf_without_labels_with_markers_as_decimals(tmp_path: Path) -> None:
    path = tmp_path / "live.xdf"
    stamps = 5000.0 + np.arange(1000) / 100
    jitter = RNG.uniform(-0.02, 0.02, 1000)
    write_xdf(
        path,
        [
            XdfStream("Mark", "Markers", [5001.0, 5002.5], ["1111.000000000000", "left"]),
            XdfStream("acc", "Accelerometer", stamps[::10].tolist(), NOISE[::10], 10.0),
            XdfStream("obci", "EEG", (stamps + jitter).tolist(), NOISE + 2e5, 100.0),
        ],
    )
    recording = read_recording(path)
    info = recording.info
    assert info.electrodes == ("Ch1", "Ch2", "Ch3")
    assert info.rate == 100.0
    assert len(info.device["streams"]) == 3
    assert [m.label for m in recording.markers] == ["1111", "left"]
    assert recording.markers[0].time == pytest.approx(1.0, abs=0.01)
    assert np.diff(recording.times).min() > 0
    assert np.ptp(np.diff(recording.times)) < 1e-9
    np.testing.assert_allclose(recording.data, NOISE + 2e5, rtol=1e-6)


def test_xdf_labels_types_and_units(tmp_path: Path) -> None:
    path = tmp_path / "named.xdf"
    channels = "".join(
        f"<channel><label>{n}</label><type>{t}</type><unit>{u}</unit></channel>"
        for n, t, u in (("FCZ", "EEG", "mV"), ("X", "ACC", "g"), ("heog", "EEG", "microvolts"))
    )
    stamps = (np.arange(1000) / 100).tolist()
    write_xdf(path, [XdfStream("amp", "EEG", stamps, NOISE, 100.0, channels)])
    recording = read_recording(path)
    assert [(c.name, c.type, c.unit) for c in recording.info.channels] == [
        ("FCz", "EEG", "µV"),
        ("X", "ACCEL", "g"),
        ("heog", "EOG", "µV"),
    ]
    np.testing.assert_allclose(recording.data, NOISE * [1000, 1, 1], rtol=1e-5)


def test_xdf_in_volts_without_saying_so(tmp_path: Path) -> None:
    path = tmp_path / "volts.xdf"
    stamps = (np.arange(1000) / 100).tolist()
    write_xdf(path, [XdfStream("amp", "EEG", stamps, NOISE * 1e-6, 100.0)])
    recording = read_recording(path)
    np.testing.assert_allclose(recording.data, NOISE, atol=1e-3)
    assert "said to be microvolts are volts" in recording.info.device["notes"][0]


def test_xdf_gap_is_a_break_and_wrong_rate_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "gap.xdf"
    stamps = np.arange(2000) / 90.0
    stamps[1000:] += 30.0
    data = np.vstack([NOISE, NOISE])
    write_xdf(path, [XdfStream("amp", "EEG", stamps.tolist(), data, 100.0)])
    recording = read_recording(path)
    assert recording.breaks == (1000,)
    assert recording.info.rate == pytest.approx(90.0, rel=1e-3)
    assert recording.times[1000] - recording.times[999] == pytest.approx(30.0, abs=0.1)


def test_xdf_with_two_streams_of_eeg_says_so_and_plays_the_one_that_is_named(
    tmp_path: Path,
) -> None:
    path = tmp_path / "two.xdf"
    stamps = (np.arange(1000) / 100.0).tolist()
    two = [XdfStream(name, "EEG", stamps, k * NOISE, 100.0) for k, name in ((1, "a"), (2, "b"))]
    write_xdf(path, two)
    first, second = read_recording(path), read_recording(path, stream="b")
    [note] = [n for n in first.info.device["notes"] if "--file-stream" in n]
    assert note == "'a' is played; --file-stream takes another stream of EEG: 'b'"
    assert (first.info.device["stream"], second.info.device["stream"]) == ("a", "b")
    assert not any("--file-stream" in n for n in second.info.device.get("notes", ()))
    np.testing.assert_allclose(second.data, 2 * first.data, rtol=1e-6)


def test_xdf_without_the_stream_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "live.xdf"
    write_xdf(path, [XdfStream("Mark", "Markers", [1.0], ["a"])])
    with pytest.raises(BadInputError, match=r"no stream of signals.*Mark \(Markers, 1 channels"):
        read_recording(path)
    with pytest.raises(BadInputError, match="no stream of signals called 'amp'"):
        ReplaySource(path, stream="amp").open()


V6_NAMES = (
    "Sample Index, EXG Channel 0, EXG Channel 1, Accel Channel 0, Accel Channel 1, "
    "Accel Channel 2, Analog Channel 0, Timestamp, Marker Channel, Timestamp (Formatted)"
)


def openbci(path: Path, generation: int, index: list[int], stamps: list[float]) -> None:
    """Write two channels whose first is the row's number."""
    lines = ["%OpenBCI Raw EXG Data", "%Number of channels = 2", "%Sample Rate = 250,0 Hz"]
    if generation >= 5:
        lines.append("%Board = OpenBCI_GUI$BoardCytonSerial")
    if generation == 6:
        lines.append(V6_NAMES)
    if generation == 5:
        lines.append(",".join(["0.0"] * 9))
    for row, (i, t) in enumerate(zip(index, stamps, strict=True)):
        cells = f"{i}, {row}.5, -2.25, 0.1, 0.2, 0.3"
        day = "12:00:53.329"
        if generation == 4:
            lines.append(f"{cells}, {day}, {round(t * 1000)}")
        elif generation == 5:
            lines.append(f"{cells}, 0.0, {t:.3f}, {day}")
        else:
            lines.append(f"{cells}, 7.0, {t:.3f}, {3 if row == 50 else 0}, {day}")
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("generation", [4, 5, 6])
def test_openbci_text_of_three_generations(tmp_path: Path, generation: int) -> None:
    path = tmp_path / "gui.txt"
    n = 600
    openbci(
        path, generation, [i % 256 for i in range(n)], [1.6e9 + i // 8 * 0.032 for i in range(n)]
    )
    recording = read_recording(path)
    info = recording.info
    assert info.electrodes == ("Ch1", "Ch2")
    assert info.counter_modulus == 256
    assert [c.type for c in info.channels[2:5]] == [ChannelType.ACCEL] * 3
    np.testing.assert_array_equal(recording.data[:, 0], np.arange(n) + 0.5)
    np.testing.assert_allclose(recording.times, np.arange(n) / 250)
    assert [(m.label, m.sample) for m in recording.markers] == (
        [("3", 50)] if generation == 6 else []
    )
    if generation >= 5:
        assert info.channels[0].full_scale == 187_500.0
        assert info.device["board"] == "BoardCytonSerial"


def test_openbci_text_without_stamps_or_channel_count(tmp_path: Path) -> None:
    path = tmp_path / "old.txt"
    rows = "\n".join(f"{i % 256}, 1.5, 2.5, 3.5, 4.5, 0.1, 0.2, 0.3" for i in range(300))
    path.write_text(f"%OpenBCI Raw EEG Data\n%\n%Sample Rate = 200.0 Hz\n{rows}\n7, 1.5")
    info = read_recording(path).info
    assert len(info.eeg) == 4
    assert info.rate == 200.0
    assert info.device["notes"] == ["the last line is cut off and left out"]


def test_lost_rows_leave_room_in_time(tmp_path: Path) -> None:
    path = tmp_path / "lossy.txt"
    kept = [i for i in range(600) if i not in (100, 101, 300)]
    openbci(path, 6, [i % 256 for i in kept], [1.6e9 + i / 250 for i in kept])
    source = ReplaySource(path, speed="max")
    source.open()
    chunk = source.read()
    assert chunk is not None
    assert chunk.counters is not None
    np.testing.assert_allclose(chunk.times - chunk.times[0], np.array(kept) / 250, atol=1e-9)
    assert chunk.counters[100] == 102


def test_counted_times_tell_a_delay_from_the_loss_of_a_whole_turn() -> None:
    n, rate = 5000, 250.0
    device = np.arange(n) / rate
    stalled = device.copy()
    stalled[2000:2400] = np.maximum(stalled[2000:2400], 2400 / rate)  # 1.6 s come at once
    counters = np.arange(n) % 256
    np.testing.assert_allclose(counted_times(counters, stalled, rate, 1, 256), device)
    lost = np.r_[0:2000, 2256:n]
    np.testing.assert_allclose(
        counted_times(lost % 256, device[lost] + 0.01, rate, 1, 256), device[lost]
    )
    np.testing.assert_allclose(
        counted_times(lost % 256, None, rate, 1, 256), np.arange(len(lost)) / rate
    )


def test_counter_steps_of_daisy_and_of_no_counter() -> None:
    assert counter_step(np.arange(0, 1000, 2) % 256, 256) == 2
    assert counter_step(np.arange(1000) % 256, 256) == 1
    assert counter_step(np.zeros(100, dtype=np.int64), 256) == 0
    assert counter_step(np.arange(400) // 2 % 256, 256) == 0
    daisy = np.r_[0:100:2, 104:200:2]
    np.testing.assert_allclose(counted_times(daisy, None, 125.0, 2, 256), daisy / 2 / 125)


def test_even_times_never_run_backwards() -> None:
    stamps = np.r_[np.arange(500) / 100, np.arange(500) / 100 - 1000]
    times, rate, breaks = even_times(stamps + RNG.uniform(-0.02, 0.02, 1000))
    assert breaks == (500,)
    assert np.diff(times).min() > 0
    assert rate == pytest.approx(100, rel=0.01)
    assert times[500] - times[499] == pytest.approx(0.01, rel=0.05)
    with pytest.raises(ValueError, match="don't move ahead"):
        even_times(np.zeros(10))


def brainflow_rows(n: int, width: int, stamp: int, marker: int, step: int, rate: float) -> str:
    rows = RNG.normal(0, 20, (n, width)).round(3)
    rows[:, 0] = np.arange(n) * step % 256
    rows[:, marker] = 0
    rows[40, marker] = 2
    lines = []
    for i, row in enumerate(rows):
        cells = [f"{v:g}" for v in row]
        cells[stamp] = f"{1.7e9 + i / rate:.6f}"
        lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("board", "width", "stamp", "marker", "n_eeg", "rate", "step"),
    [("CYTON_BOARD", 24, 22, 23, 8, 250.0, 1), ("CYTON_DAISY_BOARD", 32, 30, 31, 16, 125.0, 2)],
)
def test_brainflow_csv_guesses_its_board(
    tmp_path: Path,
    board: str,
    width: int,
    stamp: int,
    marker: int,
    n_eeg: int,
    rate: float,
    step: int,
) -> None:
    path = tmp_path / "BrainFlow-RAW.csv"
    path.write_text(brainflow_rows(2000, width, stamp, marker, step, rate))
    recording = read_recording(path)
    info = recording.info
    assert info.device["board"] == board
    assert len(info.eeg) == n_eeg
    assert info.electrodes[0] == "Ch1"
    assert info.rate == rate
    assert info.counter_step == step
    assert [(m.label, m.sample) for m in recording.markers] == [("2", 40)]
    np.testing.assert_allclose(recording.times, np.arange(2000) / rate)
    assert ReplaySource(path, board=board.removesuffix("_BOARD").lower()).open().rate == rate


def test_brainflow_csv_of_no_board_or_the_wrong_one(tmp_path: Path) -> None:
    path = tmp_path / "raw.csv"
    path.write_text(brainflow_rows(100, 24, 22, 23, 1, 250.0))
    with pytest.raises(BadInputError, match="24 columns, but CYTON_DAISY_BOARD writes 32"):
        ReplaySource(path, board="cyton_daisy").open()
    with pytest.raises(BadInputError, match="no board 'citon'; did you mean CYTON"):
        ReplaySource(path, board="citon").open()
    path.write_text("\n".join("1\t2\t3\t4" for _ in range(50)))
    with pytest.raises(
        BadInputError, match="has 4 columns of numbers and no header, which no board"
    ):
        ReplaySource(path).open()


def test_csv_with_header_and_doubled_marker_rows(tmp_path: Path) -> None:
    """Notion's exporter writes some rows twice, stamp and marker too: one event, not two."""
    path = tmp_path / "expy.csv"
    lines = ["timestamps,TP9,AF7,Right AUX,Marker0"]
    for i in range(1000):
        mark = 1 if i in (100, 101) else "2.0" if i == 500 else 0
        lines.append(f"{1601067925213 + 4 * i},{NOISE[i, 0]},{NOISE[i, 1]},3.0,{mark}")
    path.write_text("\n".join(lines))
    recording = read_recording(path)
    assert recording.info.rate == 250.0
    assert recording.info.electrodes == ("TP9", "AF7")
    assert recording.info.channels[2].type is ChannelType.MISC
    assert [(m.label, m.sample) for m in recording.markers] == [("1", 100), ("2", 500)]


def test_nominal_rates_and_labels() -> None:
    assert nominal_rate(248.77) == 250.0
    assert nominal_rate(256.03) == 256.0
    assert nominal_rate(92.93) == 92.93
    assert [plain_label(x) for x in ("1111.000000000000", " T1 ", "1.5", 7.0)] == [
        "1111",
        "T1",
        "1.5",
        "7",
    ]


def test_unreadable_files_are_told_in_a_sentence(tmp_path: Path) -> None:
    whole = tmp_path / "whole.edf"
    write_edf(whole, ["C3", "Cz", "C4"], NOISE)
    content = whole.read_bytes()
    lone = tmp_path / "lone.vhdr"
    write_brainvision(lone, ["C3", "Cz", "C4"], NOISE, [])
    lone.with_suffix(".eeg").unlink()
    for name, body, match in (
        ("empty.edf", b"", r"is empty \(0 bytes\)"),
        ("cut.edf", content[:3000], r"as EDF: it ends after 3 of 10 records; the file is damaged"),
        ("header.edf", content[:100], "header is cut off after 100 bytes"),
        ("foreign.edf", b"PK\x03\x04" * 400, "can't be read as EDF"),
        ("foreign.bdf", b"\xff" * 700, "can't be read as BDF"),
        ("foreign.gdf", b"hello, world" * 100, "can't be read as GDF"),
        ("foreign.vhdr", b"hello", "can't be read as BrainVision"),
        ("foreign.set", b"\x00" * 300, "can't be read as EEGLAB"),
        ("foreign.fif", b"\x01" * 300, "can't be read as FIF"),
        ("foreign.fif.gz", gzip.compress(b"\x01" * 300), "can't be read as FIF"),
        ("foreign.xdf", b"not an xdf file", "can't be read as XDF"),
        ("foreign.txt", b"dear diary\n", "as CSV: it has no row of numbers"),
        ("binary.txt", bytes(range(256)), "it is not text"),
        ("noheader.txt", b"%OpenBCI Raw EEG Data\n0, 1, 2\n1, 1, 2\n", "no '%Sample Rate"),
        ("ragged.csv", b"time,C3\n0.0,1\n0.004\n0.008,3\n0.012,4\n", "row 3 has 1 cells, not 2"),
        ("word.csv", b"time,C3\n0.0,1\n0.004,x\n0.008,3\n", "row 3: could not convert"),
        ("notime.csv", b"C3,C4\n1,2\n3,4\n", r"named timestamps or time \(columns: C3, C4\)"),
        ("frozen.csv", b"time,C3\n1,2\n1,4\n", "don't move ahead"),
        ("movie.mp4", b"xyz", "unknown ending '.mp4'; rtbci replays .edf, .bdf"),
        ("README", b"xyz", "unknown ending 'none'"),
    ):
        path = tmp_path / name
        path.write_bytes(body)
        with pytest.raises(BadInputError, match=match) as caught:
            ReplaySource(path).open()
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(BadInputError, match="does not exist"):
        ReplaySource(tmp_path / "missing.edf").open()
    with pytest.raises(BadInputError, match="is a folder"):
        ReplaySource(tmp_path).open()
    with pytest.raises(BadInputError, match=r"belongs to .*lone\.eeg, which is not there"):
        ReplaySource(lone).open()


def test_a_file_without_eeg_needs_a_montage_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "heart.edf"
    write_edf(path, ["ECG"], NOISE[:, :1])
    with pytest.raises(BadInputError, match=r"no EEG channel, it holds ECG \(ECG\).*--montage"):
        ReplaySource(path).open()
    assert ReplaySource(path, montage=["Cz"]).open().electrodes == ("Cz",)


def test_montage_is_applied_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "x.edf"
    write_edf(path, ["1", "2", "3"], NOISE)
    assert ReplaySource(path, montage=["C3", "-", "C4"]).open().electrodes == ("C3", "C4")
    with pytest.raises(BadInputError, match=r"2 names but x.edf has 3 EEG channels"):
        ReplaySource(path, montage=["C3", "C4"]).open()


def test_replay_at_true_speed_follows_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "bv.vhdr"
    write_brainvision(path, ["C3", "Cz", "C4"], NOISE, [("Stimulus", "T1", 250)])
    clock = ManualClock(50.0)
    source = ReplaySource(path, clock=clock)
    source.open()
    data, marked = [], []
    for step in (0.0, 0.0, 0.505, 1.0, 0.001, 2.0, 3.0, 5.0):
        clock.advance(step)
        chunk = source.read()
        assert chunk is not None
        assert np.all(chunk.times <= clock.now())
        data.append(chunk.data)
        marked += [(m.label, m.time, clock.now()) for m in chunk.markers]
    assert [len(d) for d in data] == [1, 0, 50, 100, 0, 200, 300, 349]
    assert marked == [("T1", 52.5, 53.506)]
    assert source.read() is None
    np.testing.assert_allclose(np.concatenate(data), NOISE, rtol=1e-5)
    source.close()
    source.close()
    with pytest.raises(SourceError, match="is not open"):
        source.read()


def test_replay_twice_as_fast_keeps_the_times_of_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "x.edf"
    write_edf(path, ["1", "2", "3"], NOISE)
    clock = ManualClock()
    source = ReplaySource(path, speed=2.0, clock=clock)
    source.open()
    clock.advance(5.0)  # a model is loaded: the schedule begins with the first read
    first = source.read()
    clock.advance(1.0)
    second = source.read()
    assert first is not None
    assert second is not None
    times = np.concatenate([first.times, second.times])
    np.testing.assert_allclose(times, 5.0 + np.arange(201) / 100)


def test_replay_at_full_speed_gives_blocks_and_breaks(tmp_path: Path) -> None:
    path = tmp_path / "long.vhdr"
    data = RNG.normal(0, 10, (20_500, 2))
    write_brainvision(path, ["C3", "C4"], data, [("New Segment", "", 0), ("New Segment", "", 1500)])
    source = ReplaySource(path, speed="max")
    source.open()
    chunks = list(iter(source.read, None))
    assert [len(c.data) for c in chunks] == [1000] * 20 + [500]
    assert [c.breaks for c in chunks[:3]] == [(), (500,), ()]
    np.testing.assert_allclose(np.concatenate([c.data for c in chunks]), data, rtol=1e-5)


def test_drivers_are_imported_only_when_a_file_needs_them() -> None:
    code = (
        "import sys, rtbci.sources.replay, rtbci.sources.simulator;"
        "sys.exit(bool({'mne', 'pyxdf', 'brainflow', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_impossible_speeds_are_refused(speed: float) -> None:
    with pytest.raises(BadInputError, match="speed is a number above 0 or 'max', got"):
        ReplaySource("x.edf", speed=speed)
