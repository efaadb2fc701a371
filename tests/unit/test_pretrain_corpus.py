"""Prepared recordings: what the live chain gives, stored compactly, read block by block."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pretraining import NAMES, RATE, TINY, brain, raw, write_files
from recordings import write_brainvision, write_edf

from rtbci.errors import BadInputError
from rtbci.models.baselines import ARForecaster
from rtbci.models.pretrain.corpus import chain as chain_module
from rtbci.models.pretrain.corpus import read
from rtbci.models.pretrain.corpus.prepared import (
    POSITION_STRIDE,
    Prepared,
    open_prepared,
    phase_of,
    prepare,
    score_weight,
)
from rtbci.models.pretrain.corpus.read import content_of, read_raw, recordings_in
from rtbci.models.pretrain.corpus.recordings import BLOCK_ROWS, Cue, RawRecording
from rtbci.models.pretrain.corpus.sources import Source, describe, subject_of
from rtbci.models.pretrain.corpus.store import (
    GrowingArray,
    StoredSignal,
    hop_dtype,
    to_counts,
)
from rtbci.models.pretrain.corpus.subjects import is_held_out
from rtbci.models.tokens import normalise
from rtbci.preprocess import Preprocessor
from rtbci.sources.formats.common import Opened, slicer, stream_info
from rtbci.tick import Tick
from rtbci.types import Channel, FloatArray, Marker


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture(scope="module")
def own(folder: Path) -> Prepared:
    return prepare(raw("S003R04", 1), folder, TINY)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("recordings"))


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("S012R04.edf", "eegmmidb-S012"),
        ("Subject03_1.edf", "eegmat-Subject03"),
        ("sub-P07_task-motor_run-01_eeg.vhdr", "bids-P07"),
        ("lab_home_sub0004_ses001_recording_2020.csv", "eegexpy-lab_home-0004"),
        ("visual-N170/lab/muse2016/subject0003/session002/data.csv", "eegexpy-lab-0003"),
        ("monday.xdf", "monday"),
    ],
)
def test_subjects_are_known_by_the_names_of_files(name: str, subject: str) -> None:
    assert subject_of(Path("somewhere") / name) == subject


def test_the_test_set_never_changes() -> None:
    """Weights have been published with these subjects held out: moving one would leak."""
    subjects = [f"eegmmidb-S{i:03d}" for i in range(1, 25)]
    held_out = [s[-4:] for s in subjects if is_held_out(s)]
    assert held_out == ["S001", "S002", "S014", "S017", "S024"]


def test_prepared_signal_is_what_the_live_chain_gives(own: Prepared) -> None:
    recording = raw("S003R04", 1)
    chain = Preprocessor(RATE, len(NAMES), TINY.preprocess, names=NAMES)
    good = np.ones(len(NAMES), np.bool_)
    hop = TINY.n_hop
    phase = phase_of("S003R04", hop)
    assert phase > 0
    chain.push(recording.data[:phase], good)
    off = []
    for h in range(len(own.mean)):
        made = chain.push(recording.data[phase + h * hop : phase + (h + 1) * hop], good)
        off.append(own.signal[h * hop : (h + 1) * hop] - made.signal)
        np.testing.assert_array_equal(own.mean[h], made.mean[-1])
        np.testing.assert_array_equal(own.scale[h], made.scale[-1])
    assert np.concatenate(off).std() < 0.002, "µV; an amplifier has 0.2"
    assert own.valid[20:].all()
    assert own.cues[1] == Cue(9.0, "right_hand")
    unwritten = dataclasses.replace(own, variance=None)
    np.testing.assert_allclose(score_weight(own), score_weight(unwritten), rtol=1e-3)


def test_prepared_forecasts_are_those_of_the_live_forecaster(own: Prepared) -> None:
    hop = TINY.n_hop
    recording = raw("S003R04", 1)
    chain = Preprocessor(RATE, len(NAMES), TINY.preprocess, names=NAMES)
    made = chain.push(recording.data, np.ones(len(NAMES), np.bool_))
    signal = made.signal[phase_of("S003R04", hop) :]
    ar = ARForecaster(len(NAMES))
    at = 6
    last = int(own.positions[at])
    for h in range(9, last + 1):
        history = signal[: (h + 1) * hop]
        now = Tick(h - 9, h - 9, history, own.mean[h], own.scale[h], np.ones(5, np.bool_))
        ar.update(now)
    expected = normalise(ar.forecast(now), now.mean, now.scale).T
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(own.ar[at], expected, rtol=1e-3, atol=1e-3)
    assert np.isnan(own.ar[0]).all(), "too early for a fit"
    assert (np.diff(own.positions) == POSITION_STRIDE).all()
    ahead = TINY.n_horizons // hop
    assert len(own.mean) - ahead - POSITION_STRIDE <= own.positions[-1] < len(own.mean) - ahead


def test_a_recording_is_prepared_once(folder: Path, own: Prepared) -> None:
    shares: list[float] = []
    recording = raw("S003R04", 1)
    again = prepare(recording, folder, TINY, shares.append)
    assert not shares, "it was read, not computed"
    np.testing.assert_array_equal(again.signal, own.signal)
    assert again.electrodes == NAMES
    renamed = dataclasses.replace(recording, cues=(Cue(1.0, "feet"),))
    assert prepare(renamed, folder, TINY, shares.append).cues == renamed.cues
    assert not shares, "what cues are called changes no sample"
    prepare(recording, folder, TINY, shares.append)


def test_flat_electrodes_are_not_valid(tmp_path: Path) -> None:
    recording = raw("flat", 3)
    data = recording.data[: round(6 * RATE)].copy()
    data[round(3 * RATE) :, 2] = data[round(3 * RATE), 2]
    own = prepare(dataclasses.replace(recording, data=data), tmp_path, TINY)
    assert own.valid[20:, [0, 1, 3, 4]].all()
    assert not own.valid[40:, 2].any()


@dataclasses.dataclass(frozen=True)
class Endless:
    """A stretch that is made while it is read, and tells the largest block."""

    n_rows: int
    name: str = "endless"
    subject: str = "nobody"
    dataset: str = ""
    rate: float = RATE
    electrodes: tuple[str, ...] = NAMES
    cues: tuple[Cue, ...] = ()

    def blocks(self) -> Iterator[FloatArray]:
        for start in range(0, self.n_rows, BLOCK_ROWS):
            rows = np.arange(start, min(start + BLOCK_ROWS, self.n_rows))[:, None]
            yield np.asarray(20 * np.sin(rows * (0.1 + 0.01 * np.arange(len(NAMES)))), np.float32)


class NoForecast(ARForecaster):
    """Memory is what is looked at; fits would take minutes."""

    def update(self, tick: Tick) -> None:
        assert len(tick.history) <= 60 * RATE


def test_memory_does_not_grow_with_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_module, "ARForecaster", NoForecast)
    peaks = []
    for minutes in (1.5, 6):
        stretch = Endless(round(minutes * 60 * RATE), f"endless-{minutes}")
        tracemalloc.start()
        made = prepare(stretch, tmp_path, TINY, key=str(minutes))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(made.signal) / RATE == pytest.approx(minutes * 60, abs=0.2)
    whole = 6 * 60 * RATE * len(NAMES) * 4
    assert peaks[1] < 1.1 * peaks[0] + whole / 10, peaks


def test_stored_signal_is_read_as_an_array(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((7, 25, 3)).astype(np.float32) * [1.0, 100.0, 1e5]
    signal[2, :, 0], signal[3, 4, 1] = 0.0, 3e6
    records = np.zeros(7, hop_dtype(25, 3))
    records["signal"], records["exponent"] = to_counts(signal.astype(np.float32))
    with GrowingArray(tmp_path / "hops.npy", records.dtype) as file:
        file.append(records[:3])
        file.append(records[3:])
    stored = StoredSignal(np.load(tmp_path / "hops.npy", mmap_mode="r"))
    plain = signal.reshape(-1, 3)
    peak = np.abs(signal).max(axis=1).repeat(25, axis=0)
    assert (np.abs(np.asarray(stored) - plain) <= peak * 2**-15).all()
    whole = np.asarray(stored)
    assert (len(stored), stored.shape, stored.ndim) == (175, (175, 3), 2)
    columns = [2, 0]
    for rows in (slice(3, 60), slice(None, -30), slice(-9, None), slice(9, 3), slice(5, 90, 7)):
        np.testing.assert_array_equal(stored[rows], whole[rows])
        np.testing.assert_array_equal(stored[rows, columns], whole[rows, columns])
        np.testing.assert_array_equal(
            np.ascontiguousarray(stored[rows][:, columns]), whole[rows][:, columns]
        )
    np.testing.assert_array_equal(stored[:90][-20:, 1], whole[70:90, 1])
    np.testing.assert_array_equal(stored[::-1], whole[::-1])
    np.testing.assert_array_equal(stored[np.array([4, 99, 4])], whole[[4, 99, 4]])
    np.testing.assert_array_equal(stored[-1], whole[-1])
    np.testing.assert_array_equal((stored[10:20] - 1.0) / whole[3], (whole[10:20] - 1.0) / whole[3])


def test_counts_are_far_finer_than_an_amplifier() -> None:
    eeg = brain(5).astype(np.float32)[:7000].reshape(-1, 25, len(NAMES))
    counts, exponent = to_counts(eeg)
    off = np.ldexp(counts.astype(np.float32), exponent[:, None]) - eeg
    assert 0 < off.std() < 0.005


def test_a_damaged_or_older_folder_is_said(tmp_path: Path) -> None:
    recording = dataclasses.replace(raw(), data=raw().data[:3000])
    made = prepare(recording, tmp_path, TINY)
    target = tmp_path / made.name
    meta = (target / "meta.json").read_text()
    (target / "meta.json").write_text(meta.replace('"format": 4', '"format": 3'))
    with pytest.raises(BadInputError, match="no recording that this version of rtbci prepared"):
        open_prepared(target)
    (target / "meta.json").write_text(meta)
    size = (target / "hops.npy").stat().st_size
    with (target / "hops.npy").open("r+b") as file:
        file.truncate(size // 2)
    with pytest.raises(BadInputError, match="is damaged"):
        open_prepared(target)


def test_files_become_recordings_with_cues(files: Path) -> None:
    found = recordings_in([files])
    assert [p.stem for p, _ in found] == ["S001R04", "S003R04", "S004R04"]
    (recording,) = read_raw(*found[1])
    assert recording.name == "S003R04"
    assert recording.electrodes == NAMES
    assert [c.label for c in recording.cues[:2]] == ["left_hand", "right_hand"]
    np.testing.assert_allclose([c.time for c in recording.cues], [4, 9, 14, 19, 24])
    np.testing.assert_allclose(recording.data, brain(0), atol=1e-3)


def test_a_break_parts_a_recording_and_its_cues(tmp_path: Path) -> None:
    at = round(14.5 * RATE)
    cue = ("Stimulus", "T1")
    markers = [(*cue, round(4 * RATE)), ("New Segment", "", at), (*cue, round(20 * RATE))]
    write_brainvision(tmp_path / "S003R04.vhdr", NAMES, brain(0), markers, round(RATE))
    first, second = read_raw(tmp_path / "S003R04.vhdr", "someone")
    assert (first.name, second.name) == ("S003R04-0", "S003R04-1")
    assert len(first.data) == at
    assert [c.time for c in first.cues] == pytest.approx([4.0])
    assert [c.time for c in second.cues] == pytest.approx([5.5])


def write_csv(path: Path, times: npt.NDArray[np.float64], marked: dict[int, str]) -> Path:
    rows = ["timestamps,TP9,AF7,AF8,TP10,Marker0"]
    values = brain(0)[: len(times), :4]
    for i, (t, row) in enumerate(zip(times, values, strict=True)):
        rows.append(f"{t:.4f},{','.join(f'{v:.3f}' for v in row)},{marked.get(i, '0')}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")
    return path


def test_cues_are_counted_in_rows(tmp_path: Path) -> None:
    """A clock that is 0.5 % slow moved the cues of a minute by 0.3 s against the signal."""
    times = 100 + np.arange(5000) / (0.995 * RATE)
    path = write_csv(tmp_path / "n170" / "a_sub0001_ses001_x.csv", times, {1500: "1", 4500: "2"})
    (recording,) = read_raw(path, "someone")
    assert recording.dataset == "eegexpy"
    assert [c.label for c in recording.cues] == ["house", "face"]
    assert [round(c.time * RATE) for c in recording.cues] == [1500, 4500]


def test_short_gaps_are_bridged_and_longer_ones_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = np.arange(12000) / RATE
    times[5000:] += 10 / RATE
    times[8000:] += 1.0
    data = brain(0, 48).astype(np.float32)
    info = stream_info(tmp_path / "S003R04.edf", RATE, [Channel(n) for n in NAMES])
    markers = tuple(Marker(float(times[row]), "T1") for row in (4999, 5000, 8010))
    opened = Opened(info, len(data), slicer(data), times, markers=markers)
    monkeypatch.setattr(read, "open_file", lambda *_, **__: opened)
    first, second = read_raw(tmp_path / "S003R04.edf", "someone")
    assert (len(first.data), len(second.data)) == (8010, 4000)
    np.testing.assert_array_equal(first.data[:5000], data[:5000])
    np.testing.assert_array_equal(first.data[5010:], data[5000:8000])
    line = np.linspace(data[4999], data[5000], 12)
    np.testing.assert_allclose(first.data[4999:5011], line, atol=1e-4)
    assert [round(c.time * RATE) for c in first.cues] == [4999, 5010]
    assert [round(c.time * RATE) for c in second.cues] == [10]


def test_cues_that_overlap_are_nobodys(tmp_path: Path) -> None:
    for second, expected in ((10.0, ["left_hand"]), (4.0, [])):
        markers = [("Stimulus", "T1", 1000), ("Stimulus", "T2", round(second * RATE))]
        write_brainvision(tmp_path / "S003R04.vhdr", NAMES, brain(0), markers, round(RATE))
        source = Source(tmp_path / "S003R04.vhdr", "", "x", describe(tmp_path / "S003R04.vhdr"))
        with content_of(source) as content:
            (stretch,) = content.stretches
            assert [c.label for c in stretch.cues][:1] == expected
            assert any("2 of 2 cues left out" in n for n in content.notes) != bool(expected)


def test_a_file_that_ends_early_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "S003R04.edf"
    write_edf(path, NAMES, brain(0), round(RATE))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 12 * round(RATE) * len(NAMES) * 2 - 77])
    with pytest.raises(BadInputError, match="ends after 17 of 30 records"):
        next(read_raw(path, "someone"))
    with content_of(Source(path, "", "x", describe(path)), cut_off=True) as content:
        (stretch,) = content.stretches
        assert stretch.n_rows == 17 * RATE
        assert content.notes == ("it ends after 17 of 30 records",)
        np.testing.assert_allclose(stretch.load().data, brain(0)[: stretch.n_rows], atol=0.06)


def test_missing_or_empty_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="nowhere does not exist"):
        recordings_in([tmp_path / "nowhere"])
    with pytest.raises(BadInputError, match=r"holds no recording \(.edf"):
        recordings_in([tmp_path])


def test_blocks_are_the_whole_recording() -> None:
    recording = RawRecording("x", "x", RATE, NAMES, brain(0).astype(np.float32))
    blocks = list(recording.blocks())
    assert max(map(len, blocks)) <= BLOCK_ROWS
    np.testing.assert_array_equal(np.concatenate(blocks), recording.data)
