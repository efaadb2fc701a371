"""What a recorder wrote is what a reader gives: every row, time, counter, gap and marker."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import mne
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtbci.clock import ManualClock
from rtbci.config import PreprocessConfig, SessionConfig
from rtbci.recording.reader import open_recording
from rtbci.recording.recover import recover
from rtbci.recording.writer import Recorder
from rtbci.types import (
    Channel,
    ChannelHealth,
    ChannelType,
    Chunk,
    Decode,
    Forecast,
    Gap,
    GapCause,
    Marker,
    SourceClock,
    StreamInfo,
)

INFO = StreamInfo(
    name="board",
    kind="brainflow",
    rate=250.0,
    channels=(
        Channel("C3", full_scale=187_500.0),
        Channel("C4"),
        Channel("Accel X", ChannelType.ACCEL, "g"),
    ),
    clock=SourceClock.HOST,
    counter_modulus=256,
    device={"gain": 24, "serial": "DN00"},
)
EXTRA = {"model": {"name": "ar", "hash": "f00"}, "platform": {"threads": 1}}


def start(parent: Path, info: StreamInfo = INFO, config: SessionConfig | None = None) -> Recorder:
    return Recorder(
        parent,
        info,
        config or SessionConfig(),
        subject="P07",
        task="live",
        extra=EXTRA,
        started=100.0,
        clock=ManualClock(),
    )


def rows(begin: int, n: int, info: StreamInfo = INFO) -> Chunk:
    """Rows whose values are their own indices."""
    index = np.arange(begin, begin + n)
    data = index[:, None] + 0.125 * np.arange(len(info.channels))
    times = 100.0 + index / info.rate
    received = float(times[-1]) if n else 100.0
    return Chunk(begin, data.astype(np.float32), times, received, index % 256)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


finite = st.floats(0, 1e5)
labels = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@st.composite
def sessions(draw: st.DrawFn) -> list[Chunk]:
    """Chunks of one session: NaN and infinities in the data, gaps, markers late and on time."""
    chunks: list[Chunk] = []
    at, time = 0, draw(st.floats(0, 1e6))
    for _ in range(draw(st.integers(0, 5))):
        n = draw(st.sampled_from([0, 1, 2, 17]))
        data = draw(
            st.lists(st.lists(st.floats(width=32), min_size=3, max_size=3), min_size=n, max_size=n)
        )
        steps = draw(st.lists(st.floats(1e-6, 2.0), min_size=n, max_size=n))
        times = time + np.cumsum(np.array(steps, dtype=np.float64))
        time = float(times[-1]) if n else time
        counters = None
        if draw(st.booleans()):
            values = st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=n, max_size=n)
            counters = np.array(draw(values), dtype=np.int64)
        gaps = tuple(
            Gap(
                at + offset,
                draw(finite),
                draw(finite),
                draw(st.integers(0, 10**9)),
                draw(st.sampled_from(GapCause)),
                draw(st.booleans()),
            )
            for offset in sorted(draw(st.sets(st.integers(0, n - 1), max_size=2)) if n else ())
        )
        markers = tuple(
            Marker(
                draw(finite),
                draw(labels),
                draw(st.floats(0, 100)),
                draw(st.sampled_from(["annotation", "lsl", "board", "user"])),
                draw(st.integers(0, at + n - 1)) if at + n else None,
            )
            for _ in range(draw(st.integers(0, 2)))
        )
        chunks.append(
            Chunk(
                at,
                np.array(data, dtype=np.float32).reshape(n, 3),
                times,
                time,
                counters,
                gaps,
                markers,
            )
        )
        at += n
    return chunks


@given(sessions(), st.integers(1, 20))
def test_reader_gives_what_the_writer_took(chunks: list[Chunk], max_rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        recorder = start(Path(folder))
        for chunk in chunks:
            recorder.write_chunk(chunk)
        recorder.close({"samples": 1})
        recording = open_recording(recorder.folder)
        given_back = list(recording.chunks(max_rows))
        assert recover(recorder.folder) == []

        n_rows = chunks[-1].stop if chunks else 0
        assert recording.n_rows == n_rows
        assert [c.start for c in given_back] == list(
            np.cumsum([0] + [len(c.data) for c in given_back])[:-1]
        )
        empty = np.zeros((0, 3), dtype=np.float32)
        assert same_bits(
            np.concatenate([empty, *(c.data for c in given_back)]),
            np.concatenate([empty, *(c.data for c in chunks)]),
        )
        assert same_bits(
            np.concatenate([np.zeros(0), *(c.times for c in given_back)]),
            np.concatenate([np.zeros(0), *(c.times for c in chunks)]),
        )
        assert _counters(given_back) == _counters(chunks)
        assert [g for c in given_back for g in c.gaps] == [g for c in chunks for g in c.gaps]
        assert [m for c in given_back for m in c.markers] == [m for c in chunks for m in c.markers]
        for chunk in given_back:
            assert all(chunk.start <= gap.sample < chunk.stop for gap in chunk.gaps)
            assert len(chunk.data) <= max_rows


def _counters(chunks: list[Chunk]) -> list[int | None]:
    values: list[int | None] = []
    for chunk in chunks:
        none: list[int | None] = [None] * len(chunk.data)
        values += none if chunk.counters is None else chunk.counters.tolist()
    return values


def test_identity_config_and_extra_come_back(tmp_path: Path) -> None:
    config = SessionConfig(preprocess=PreprocessConfig(line_hz=(60.0,), high_pass_hz=0.1))
    recorder = start(tmp_path, config=config)
    recorder.close({"samples": 0, "skill": [np.float32(0.5), float("nan")]})
    recording = open_recording(recorder.folder / "commands.jsonl")
    assert recording.info == INFO
    assert recording.config == config
    assert recording.extra == EXTRA
    assert (recording.subject, recording.task, recording.run) == ("P07", "live", 1)
    assert recording.wall.started == 100.0
    assert recording.summary == {"samples": 0, "skill": [0.5, None]}
    assert not recording.recovered
    assert not list(recorder.folder.glob("*.lock"))


def test_decodes_and_commands_come_back_to_the_last_bit(tmp_path: Path) -> None:
    recorder = start(tmp_path)
    p = np.array([1 / 3, 2 / 3])
    decode = Decode(0, 249, 100.996, ("left", "right"), p, None, "", "P07: ts+lr", True)
    abstained = replace(decode, token=1, p=np.full(2, np.nan), reason="C3 left out: flat")
    stages = {"driver": 0.004, "queue": 1e-4, "compute": 0.1 + 0.2}
    recorder.write_decode(decode, 100.996, 101.01, stages)
    recorder.write_decode(abstained, 101.1, 101.2, stages)
    recorder.write_health(ChannelHealth(300, "C3", "flat: 0.0 µV"))
    recorder.write_command(310, "skip_forecast", {"token": np.int64(7)})
    recorder.close({})
    recording = open_recording(recorder.folder)
    first, second = recording.decodes()
    assert same_bits(first.decode.p, p)
    # NB: from Python 3.13 on, dataclasses compare arrays even where they are one and the same.
    assert asdict(first.decode) | {"p": None} == asdict(decode) | {"p": None}
    assert (first.due, first.out, first.stages) == (100.996, 101.01, stages)
    assert np.isnan(second.decode.p).all()
    assert not second.decode.valid
    health, skip = recording.commands()
    assert (health.sample, health.kind) == (300, "channel")
    assert health.values == {"channel": "C3", "reason": "flat: 0.0 µV"}
    assert (skip.sample, skip.kind, skip.values) == (310, "skip_forecast", {"token": 7})


def test_forecasts_keep_published_horizons_and_a_hash_of_all(tmp_path: Path) -> None:
    recorder = start(tmp_path)
    mean = np.random.default_rng(3).normal(scale=30, size=(250, 2)).astype(np.float32)
    mean[:, 1] = np.nan
    mean[4, 0] = 1e6  # more than a float16 holds
    forecast = Forecast(12, 3010, 112.0004, 250.0, mean, "direct")
    recorder.write_forecast(forecast, 112.0, 112.02, {"compute": 0.02})
    recorder.write_forecast(replace(forecast, token=13, by="ar"), 112.1, 112.2, {})
    recorder.close({})
    first, second = open_recording(recorder.folder).forecasts()
    assert first.same(forecast)
    assert (first.due, first.out, first.stages) == (112.0, 112.02, {"compute": 0.02})
    assert first.rows == (4, 11, 24, 49, 124, 249)
    with np.errstate(over="ignore"):
        kept = mean[list(first.rows)].astype(np.float16)
    assert same_bits(first.published, kept)
    assert (second.token, second.by) == (13, "ar")
    assert np.isnan(second.stages["compute"])
    changed = mean.copy()
    changed[200, 0] = np.nextafter(changed[200, 0], np.float32(np.inf))
    assert not first.same(replace(forecast, mean=changed))


def test_a_forecast_of_another_shape_is_refused(tmp_path: Path) -> None:
    recorder = start(tmp_path)
    forecast = Forecast(0, 0, 0.0, 250.0, np.zeros((250, 2), np.float32), "ar")
    recorder.write_forecast(forecast, 0.0, 0.0, {"compute": 0.0})
    with pytest.raises(ValueError, match=r"shape \(250, 2\) at 250 Hz, got \(125, 2\)"):
        recorder.write_forecast(replace(forecast, mean=forecast.mean[:125]), 0.0, 0.0, {})
    with pytest.raises(ValueError, match=r"stages \('compute',\) can't hold \('gpu',\)"):
        recorder.write_forecast(forecast, 0.0, 0.0, {"gpu": 0.1})
    recorder.close({})
    assert len(list(open_recording(recorder.folder).forecasts())) == 1


def test_mne_reads_signal_units_markers_and_date(tmp_path: Path) -> None:
    recorder = start(tmp_path)
    first = replace(rows(0, 500), markers=(Marker(100.4, "T1, left", 0.02, sample=100),))
    gap = Gap(600, 102.4, 1.0, 250, GapCause.LOST_FRAMES, False)
    late = Marker(100.8, "key", origin="user", sample=200)
    recorder.write_chunk(first)
    recorder.write_chunk(replace(rows(500, 500), gaps=(gap,), markers=(late,)))
    recorder.close({})
    raw = mne.io.read_raw_brainvision(next(recorder.folder.glob("*.vhdr")), verbose="error")
    assert raw.info["sfreq"] == 250.0
    assert raw.get_channel_types() == ["eeg", "eeg", "misc"]
    data = np.concatenate([rows(0, 500).data, rows(500, 500).data]).T
    np.testing.assert_allclose(raw.get_data()[:2] * 1e6, data[:2], rtol=1e-12)
    np.testing.assert_array_equal(raw.get_data()[2], data[2])
    marks = [(a["description"], round(a["onset"] * 250)) for a in raw.annotations]
    assert marks == [("Stimulus/T1, left", 100), ("Comment/key", 200), ("New Segment/", 600)]
    assert raw.annotations.duration[0] == pytest.approx(0.02)
    assert raw.info["meas_date"] == open_recording(recorder.folder).wall.at


def test_further_streams_have_their_own_rate_and_files(tmp_path: Path) -> None:
    recorder = start(tmp_path)
    info = StreamInfo("gaze", "lsl", 60.0, (Channel("x", ChannelType.MISC, "px"),))
    recorder.add_stream("eye tracker", info)
    recorder.write_chunk(rows(0, 25))
    recorder.write_stream("eye tracker", rows(0, 6, info))
    recorder.write_stream(
        "eye tracker", replace(rows(6, 6, info), markers=(Marker(100.1, "blink", sample=6),))
    )
    recorder.close({})
    recording = open_recording(recorder.folder)
    assert list(recording.streams) == ["eye tracker"]
    stream = recording.streams["eye tracker"]
    assert stream.info == info
    np.testing.assert_array_equal(stream.data()[:, 0], np.arange(12))
    assert [m.label for m in stream.markers()] == ["blink"]
    assert recording.n_rows == 25
    header = stream.files.header
    assert header.name == "sub-P07_task-live_run-01_recording-eyetracker_eeg.vhdr"
    assert mne.io.read_raw_brainvision(header, verbose="error").n_times == 12


def test_rows_out_of_order_are_refused(tmp_path: Path) -> None:
    recorder = start(tmp_path)
    recorder.write_chunk(rows(0, 10))
    with pytest.raises(ValueError, match="row 10 must be written next, got row 11"):
        recorder.write_chunk(rows(11, 5))
    with pytest.raises(ValueError, match="must be float32 of shape"):
        recorder.write_chunk(replace(rows(10, 5), data=np.zeros((5, 2), np.float32)))
    recorder.write_chunk(rows(10, 5))
    recorder.close({})
    assert open_recording(recorder.folder).n_rows == 15


def test_a_recording_can_be_read_while_it_grows(tmp_path: Path) -> None:
    recorder = start(tmp_path)
    recorder.write_chunk(rows(0, 30))
    recording = open_recording(recorder.folder)
    recorder.write_chunk(rows(30, 30))
    assert recording.n_rows == 30
    assert len(recording.main.data()) == 30
    assert recording.summary is None
    assert open_recording(recorder.folder).n_rows == 60
    recorder.close({})
    recorder.close({})
