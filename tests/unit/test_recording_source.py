"""A recording played again is the stream that it was: same rows, gaps and markers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtbci.clock import ManualClock
from rtbci.config import SessionConfig, TimelineConfig
from rtbci.errors import BadInputError, SourceError
from rtbci.playback import file_source
from rtbci.recording.reader import RecordingSource, open_recording
from rtbci.recording.stream_reader import Upcoming
from rtbci.recording.writer import Recorder
from rtbci.timeline import Timeline
from rtbci.types import (
    Channel,
    Chunk,
    Gap,
    GapCause,
    IndexArray,
    Marker,
    RawChunk,
    SourceClock,
    StreamInfo,
    TimeArray,
)

INFO = StreamInfo(
    "board",
    "brainflow",
    250.0,
    (Channel("C3"), Channel("C4")),
    clock=SourceClock.HOST,
    counter_modulus=256,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two thousand rows: 3 lost frames, a reconnection, markers on time, late and at the end."""
    recorder = Recorder(
        tmp_path, INFO, SessionConfig(), subject="P07", task="live", extra={}, started=500.0
    )
    index = np.arange(2000)
    number = index + 3 * (index >= 700) + 1250 * (index >= 1200)
    times = 500.0 + number / 250
    data = np.repeat(index[:, None], 2, axis=1).astype(np.float32)
    gaps = (
        Gap(700, float(times[699]) + 1 / 250, 3 / 250, 3, GapCause.LOST_FRAMES, True),
        Gap(1200, float(times[1199]) + 1 / 250, 5.0, 1250, GapCause.RECONNECT, False),
    )
    markers = {
        400: Marker(float(times[400]), "on time", sample=400),
        900: Marker(float(times[850]), "late", sample=850),
        1999: Marker(float(times[1999]) + 0.1, "after the end", sample=1999),
    }
    for start in range(0, 2000, 100):
        stop = start + 100
        chunk = Chunk(
            start,
            data[start:stop],
            times[start:stop],
            float(times[stop - 1]),
            number[start:stop] % 256,
            tuple(g for g in gaps if start <= g.sample < stop),
            tuple(m for arrived, m in markers.items() if start <= arrived < stop),
        )
        recorder.write_chunk(chunk)
    recorder.close({})
    return recorder.folder


def play(source: RecordingSource, clock: ManualClock) -> tuple[StreamInfo, list[RawChunk]]:
    info, chunks = source.open(), []
    while (chunk := source.read()) is not None:
        chunks.append(chunk)
        clock.advance(0.037)
    return info, chunks


@pytest.mark.parametrize("speed", [1.0, 4.0, "max"])
def test_a_replay_through_the_timeline_is_the_session_again(folder: Path, speed: float) -> None:
    clock = ManualClock(10_000.0)
    source = RecordingSource(folder, speed=speed, clock=clock)
    info, raw = play(source, clock)
    assert (info.kind, info.clock) == ("replay", SourceClock.EXACT)
    timeline = Timeline(info, TimelineConfig(), clock)
    chunks = [timeline.push(chunk) for chunk in raw]
    recording = open_recording(folder)
    np.testing.assert_array_equal(np.concatenate([c.data for c in chunks]), recording.main.data())
    shift = 10_000.0 - recording.main.times(0, 1)[0]
    np.testing.assert_allclose(
        np.concatenate([c.times for c in chunks]), recording.main.times() + shift, atol=1e-9
    )
    lost, back = [gap for c in chunks for gap in c.gaps]
    assert (lost.sample, lost.missing, lost.cause, lost.bridged) == (
        700,
        3,
        GapCause.LOST_FRAMES,
        True,
    )
    assert (back.sample, back.missing, back.bridged) == (1200, 1250, False)
    assert back.cause is GapCause.RECONNECT
    assert back.length == pytest.approx(5.0)
    placed = [(m.label, m.sample) for c in chunks for m in c.markers]
    assert placed == [("on time", 400), ("late", 850), ("after the end", 1999)]


def gaps_again(folder: Path, config: TimelineConfig) -> list[Gap]:
    clock = ManualClock(10_000.0)
    source = RecordingSource(folder, speed="max", clock=clock)
    info, raw = play(source, clock)
    timeline = Timeline(info, config, clock)
    return [gap for chunk in raw for gap in timeline.push(chunk).gaps]


def record(parent: Path, times: TimeArray, counters: IndexArray, gaps: tuple[Gap, ...]) -> Path:
    recorder = Recorder(
        parent, INFO, SessionConfig(), subject="P07", task="live", extra={}, started=0.0
    )
    data = np.zeros((len(times), 2), dtype=np.float32)
    recorder.write_chunk(Chunk(0, data, times, float(times[-1]), counters, gaps))
    recorder.close({})
    return recorder.folder


def test_a_corrupted_counter_is_no_gap_when_it_is_played_again(tmp_path: Path) -> None:
    """One flipped byte: the live timeline saw through it, the replay once made two gaps of it."""
    counters = np.arange(600) % 256
    counters[300] ^= 64
    folder = record(tmp_path, 5.0 + np.arange(600) / 250, counters, ())
    assert gaps_again(folder, TimelineConfig()) == []


def test_gaps_are_played_as_they_were_decided(tmp_path: Path) -> None:
    """Neither times nor counters say it: made-up times do not step where frames are missing."""
    times = 5.0 + np.arange(600) / 250
    gap = Gap(300, float(times[300]), 3 / 250, 3, GapCause.LOST_FRAMES, True)
    folder = record(tmp_path, times, np.arange(600) % 256, (gap,))
    [again] = gaps_again(folder, TimelineConfig())
    assert again.start == pytest.approx(gap.start + 10_000.0 - 5.0)
    assert replace(again, start=gap.start) == gap
    # What becomes of it is the session's choice: another one may bridge less.
    [again] = gaps_again(folder, TimelineConfig(bridge_s=0.004))
    assert (again.missing, again.bridged) == (3, False)


def test_items_are_handed_out_once_and_in_order() -> None:
    upcoming = Upcoming([("late", 7), ("first", 0), ("second", 3), ("too", 3)])
    assert upcoming.take(3) == ("first",)
    assert upcoming.take(3) == ()
    assert upcoming.take(4) == ("second", "too")
    assert upcoming.take(np.inf) == ("late",)


def test_a_montage_names_the_channels_of_a_recording(folder: Path) -> None:
    """It was taken by ``run --replay`` and quietly ignored."""
    source = file_source(folder, speed="max", montage="FC3,FC4", clock=ManualClock())
    assert source.open().electrodes == ("FC3", "FC4")
    assert file_source(folder, speed="max", clock=ManualClock()).open().electrodes == ("C3", "C4")
    with pytest.raises(BadInputError, match="the montage has 3 names but board has 2 EEG channels"):
        file_source(folder, speed="max", montage="C3,Cz,C4").open()


def test_a_paced_replay_is_never_ahead_of_the_clock(folder: Path) -> None:
    clock = ManualClock(3.0)
    source = RecordingSource(folder, clock=clock)
    source.open()
    while (chunk := source.read()) is not None:
        assert (chunk.times <= clock.now()).all()
        assert chunk.received == clock.now()
        clock.advance(0.01)
    assert clock.now() == pytest.approx(3.0 + 2000 / 250 + 5.0, abs=0.05)


def test_reconnecting_goes_on_where_it_was(folder: Path) -> None:
    source = RecordingSource(folder, speed="max", clock=ManualClock())
    source.open()
    first = source.read()
    source.reconnect()
    second = source.read()
    assert first is not None
    assert second is not None
    assert second.data[0, 0] == len(first.data)


def test_what_can_not_be_played_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"speed is a number above 0 or 'max', got -1\.0"):
        RecordingSource(folder, speed=-1.0)
    with pytest.raises(SourceError, match="is not open"):
        RecordingSource(folder).read()
    with pytest.raises(BadInputError, match="there is no recording"):
        RecordingSource(tmp_path / "none").open()
    empty = Recorder(
        tmp_path,
        replace(INFO, name="empty"),
        SessionConfig(),
        subject="P08",
        task="live",
        extra={},
        started=0.0,
    )
    empty.close({})
    with pytest.raises(BadInputError, match="holds no rows, so there is nothing to replay"):
        RecordingSource(empty.folder).open()
