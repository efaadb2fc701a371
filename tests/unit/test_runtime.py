"""The engine: what comes in is recorded, worked through and sent on, whatever goes wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtbci.clock import Clock, ManualClock, MonotonicClock
from rtbci.commands import Mark, Note, SwitchOutputs
from rtbci.config import SessionConfig, TokenConfig
from rtbci.errors import BadInputError, RecordingError, RtbciError, SourceError
from rtbci.models.ar_model import ARModel
from rtbci.pipeline import Pipeline, Skip
from rtbci.recording.reader import RecordingSource, open_recording
from rtbci.recording.writer import Recorder
from rtbci.runtime import Engine, EngineParts, EngineSettings, ExtraStream, head
from rtbci.sources.base import Source
from rtbci.sources.simulator import Disturbance, SimulatorSource, Trouble
from rtbci.types import (
    Chunk,
    Decode,
    Forecast,
    Gap,
    GapCause,
    Marker,
    RawChunk,
    StreamInfo,
)

CONFIG = SessionConfig(token=TokenConfig(history_s=5.0))
MONTAGE = ("C3", "Cz", "C4")


@dataclass
class KeepingSink:
    """A sink that keeps what it was sent."""

    items: list[Any] = field(default_factory=list)
    beats: int = 0
    opened: bool = False
    closed: bool = False
    stopped: bool = False

    def open(self, info: StreamInfo, classes: tuple[str, ...]) -> None:
        self.opened = True

    def send(self, item: Decode | Forecast | Marker) -> None:
        self.items.append(item)

    def heartbeat(self) -> None:
        self.beats += 1

    def stop(self) -> None:
        self.stopped = True

    def resume(self) -> None:
        self.stopped = False

    def close(self) -> None:
        self.closed = True


@dataclass
class Run:
    """A finished session and what it told."""

    summary: dict[str, Any]
    events: list[dict[str, Any]]
    sink: KeepingSink

    def named(self, name: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e["event"] == name]


def record_into(parent: Path) -> Callable[[StreamInfo, Pipeline, float], Recorder]:
    def make(info: StreamInfo, pipeline: Pipeline, started: float) -> Recorder:
        return Recorder(parent, info, CONFIG, subject="T", task="live", extra={}, started=started)

    return make


def build(info: StreamInfo, skip: Skip) -> Pipeline:
    model = ARModel(info.electrodes, n_horizons=250)
    return Pipeline(info, CONFIG, model, skip=skip, warm_up_s=1.0)


def run(
    source: Source,
    settings: EngineSettings,
    record: Path | None = None,
    extra: tuple[ExtraStream, ...] = (),
    during: Callable[[Engine, dict[str, Any]], None] | None = None,
    sink: KeepingSink | None = None,
    clock: Clock | None = None,
) -> Run:
    events: list[dict[str, Any]] = []
    sink = sink or KeepingSink()

    def publish(event: dict[str, Any]) -> None:
        events.append(event)
        if during is not None:
            during(engine, event)

    parts = EngineParts(
        source=source,
        prepare=lambda info: info,
        build=build,
        record=None if record is None else record_into(record),
        sinks=(sink,),
        extra=extra,
    )
    engine = Engine(parts, CONFIG, settings, clock=clock or MonotonicClock(), publish=publish)
    return Run(engine.run(), events, sink)


def unpaced(duration_s: float | None = None, **kwargs: Any) -> SimulatorSource:
    return SimulatorSource(MONTAGE, paced=False, duration_s=duration_s, **kwargs)


FAST = EngineSettings(paced=False, events=True)


def test_a_session_from_the_first_row_to_the_summary(tmp_path: Path) -> None:
    made = run(unpaced(6.0), FAST, tmp_path)
    s = made.summary
    assert (s["samples"], s["tokens"], s["dropped_tokens"]) == (1500, 51, 0)
    assert (s["forecasts"], s["skipped_forecasts"], s["segments"]) == (51, 0, 1)
    assert s["gaps"] == []
    assert s["seconds"] == 6.0
    assert s["latency_ms"]["p50"] > 0
    assert len(made.named("started")) == 1
    assert len(made.named("forecast")) == 51
    assert made.sink.opened
    assert made.sink.closed
    assert [type(i) for i in made.sink.items] == [Forecast] * 51
    recording = open_recording(Path(s["recording"]))
    assert recording.n_rows == 1500
    assert sum(1 for _ in recording.forecasts()) == 51
    assert recording.summary is not None
    assert recording.summary["samples"] == 1500


def test_started_comes_once_the_first_rows_are_in_the_recording(tmp_path: Path) -> None:
    rows: list[int] = []

    def look(engine: Engine, event: dict[str, Any]) -> None:
        if event["event"] == "started":
            rows.append(open_recording(Path(event["recording"])).n_rows)

    run(unpaced(2.0), FAST, tmp_path, during=look)
    assert rows
    assert rows[0] > 0


def test_a_duration_is_kept_to_the_sample() -> None:
    assert run(unpaced(), EngineSettings(paced=False, duration_s=3.0)).summary["samples"] == 750
    paced = SimulatorSource(MONTAGE, paced=True)
    assert run(paced, EngineSettings(duration_s=0.5)).summary["samples"] == 125


def test_a_paced_session_beats_and_ends_when_it_is_asked_to() -> None:
    def stop(engine: Engine, event: dict[str, Any]) -> None:
        if event["event"] == "forecast" and sink.beats > 3:
            engine.stop()

    sink = KeepingSink()
    source = SimulatorSource(MONTAGE, paced=True)
    made = run(source, EngineSettings(paced=True, events=True), during=stop, sink=sink)
    assert made.summary["samples"] >= 250
    assert made.summary["ended"] == ""
    assert set(made.summary["latency_ms"]["stages"]) == {"driver", "queue", "compute"}


def test_gaps_are_events_and_fields(tmp_path: Path) -> None:
    lost = [Disturbance(Trouble.LOST, 2.0, 2.04), Disturbance(Trouble.LOST, 4.0, 4.5)]
    made = run(unpaced(6.0, disturbances=lost), FAST, tmp_path)
    s = made.summary
    assert [g["missing"] for g in s["gaps"]] == [10, 125]
    assert [g["start_s"] for g in s["gaps"]] == [2.0, 4.0]
    assert [g["bridged"] for g in s["gaps"]] == [True, False]
    assert len(made.named("gap")) == 2
    assert (s["segments"], s["bridged_samples"], s["samples"]) == (2, 10, 1365)
    assert len(open_recording(Path(s["recording"])).gaps()) == 2


def test_markers_and_channel_changes_reach_everyone(tmp_path: Path) -> None:
    script = [(1.0, "left_hand"), (2.0, "rest")]
    flat = [Disturbance(Trouble.FLAT, 2.0, 6.0, "C3")]
    made = run(unpaced(6.0, script=script, disturbances=flat), FAST, tmp_path)
    assert [i.label for i in made.sink.items if isinstance(i, Marker)] == ["left_hand", "rest"]
    changes = made.named("channel")
    assert [c["channel"] for c in changes] == ["C3"]
    assert "flat" in changes[0]["reason"]
    assert 2.5 < changes[0]["t_s"] < 4
    last = made.named("forecast")[-1]
    assert last["uv"]["C3"] is None
    assert len(last["uv"]["C4"]) == len(last["horizons_ms"])


class Broken(SimulatorSource):
    """Gives three chunks, then an error."""

    count = 0

    def read(self) -> RawChunk | None:
        self.count += 1
        if self.count > 3:
            raise SourceError("the file is damaged behind row 3000")
        return super().read()


def test_a_source_that_breaks_ends_the_session_and_keeps_the_recording(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="damaged behind row 3000"):
        run(Broken(MONTAGE, paced=False), FAST, tmp_path)
    [folder] = tmp_path.iterdir()
    assert open_recording(folder).n_rows == 3000


def test_a_full_disk_ends_the_session_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write_chunk = Recorder.write_chunk

    def full(self: Recorder, chunk: Chunk) -> None:
        if chunk.start >= 2000:
            raise RecordingError("the disk is full; free some space")
        write_chunk(self, chunk)
        written.append(chunk.stop)

    monkeypatch.setattr(Recorder, "write_chunk", full)
    with pytest.raises(RecordingError, match="the disk is full"):
        run(unpaced(60.0), FAST, tmp_path)
    [folder] = tmp_path.iterdir()
    assert open_recording(folder).n_rows == 2000


def test_a_full_disk_ends_a_session_whose_reader_waits_for_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader once waited for ever: its queue was full, and nobody emptied it any more."""
    count = 0

    def full(self: Recorder, *_: Any) -> None:
        nonlocal count
        count += 1
        if count > 10:
            raise RecordingError("the disk is full; free some space")

    monkeypatch.setattr(Recorder, "write_forecast", full)
    with pytest.raises(RecordingError, match="the disk is full"):
        run(unpaced(), FAST, tmp_path)


def test_a_sink_that_cannot_open_leaves_no_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: KeepingSink, info: StreamInfo, classes: tuple[str, ...]) -> None:
        raise BadInputError("no such host")

    monkeypatch.setattr(KeepingSink, "open", fail)
    with pytest.raises(BadInputError, match="no such host"):
        run(unpaced(2.0), FAST, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_pipeline_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: ARModel) -> dict[str, Any]:
        raise RtbciError("the model gave up")

    monkeypatch.setattr(ARModel, "forecast", fail)
    with pytest.raises(RtbciError, match="the model gave up"):
        run(unpaced(), FAST)


def test_a_source_that_cannot_open_is_closed_and_says_why() -> None:
    class Missing(SimulatorSource):
        closed = False

        def open(self) -> StreamInfo:
            raise BadInputError("there is no such board")

        def close(self) -> None:
            Missing.closed = True

    with pytest.raises(BadInputError, match="no such board"):
        run(Missing(MONTAGE), FAST)
    assert Missing.closed


def test_a_stream_of_another_rate_is_recorded_beside(tmp_path: Path) -> None:
    beside = ExtraStream("gaze", SimulatorSource(("EyeX", "EyeY"), rate=60.0, paced=True))
    source = SimulatorSource(MONTAGE, paced=True)
    made = run(source, EngineSettings(duration_s=1.0), tmp_path, extra=(beside,))
    recording = open_recording(Path(made.summary["recording"]))
    stream = recording.streams["gaze"]
    assert stream.n_rows >= 45
    np.testing.assert_allclose(np.diff(stream.times()), 1 / 60, rtol=0, atol=1e-6)
    assert recording.n_rows == 250


def test_a_marker_of_the_user_has_the_row_of_its_time(tmp_path: Path) -> None:
    times: dict[str, float] = {}

    def ask(engine: Engine, event: dict[str, Any]) -> None:
        if event["event"] == "marker" and event["label"] == "after":
            engine.stop()
        if event["event"] == "forecast" and not times:
            now = time.monotonic()
            times.update(now=now, before=now - 0.5, after=now + 0.25)
            engine.obey(Mark("now"))
            engine.mark(Marker(times["before"], "before", 0.2, "cue"))
            engine.obey(Mark("after", times["after"]))

    settings = EngineSettings(events=True)
    made = run(SimulatorSource(MONTAGE, paced=True), settings, tmp_path, during=ask)
    recording = open_recording(Path(made.summary["recording"]))
    rows = recording.main.times()
    markers = {m.label: m for m in recording.markers()}
    assert set(markers) == {"now", "before", "after"}
    assert (markers["before"].duration, markers["before"].origin) == (0.2, "cue")
    assert markers["now"].origin == "user"
    assert markers["now"].time >= times["now"]
    for label, marker in markers.items():
        assert marker.sample == int(np.argmin(np.abs(rows - marker.time)))
        assert label == "now" or marker.time == times[label]
    told = {e["label"]: e["sample"] for e in made.named("marker")}
    assert told == {label: m.sample for label, m in markers.items()}
    assert {m.label for m in made.sink.items if isinstance(m, Marker)} == set(markers)


def test_a_marker_comes_with_the_same_row_in_every_replay(tmp_path: Path) -> None:
    """What a marker changes in the pipeline holds from that row on, live and replayed."""

    def ask(engine: Engine, event: dict[str, Any]) -> None:
        if event["event"] == "forecast" and event["token"] % 3 == 0:
            engine.mark(Marker(time.monotonic() - 0.3, f"late {event['token']}"))
        if event["event"] == "marker":
            told.append(event["label"])
            if len(told) == 5:
                engine.stop()

    told: list[str] = []
    live: list[tuple[int, str]] = []
    push = Pipeline.push

    def note(self: Pipeline, chunk: Chunk, *args: Any) -> Any:
        live.extend((chunk.start, m.label) for m in chunk.markers)
        return push(self, chunk, *args)

    settings = EngineSettings(events=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pipeline, "push", note)
        made = run(SimulatorSource(MONTAGE, paced=True), settings, tmp_path, during=ask)
    recording = open_recording(Path(made.summary["recording"]))
    assert len(live) >= 5
    assert [(c.start, m.label) for c in recording.chunks() for m in c.markers] == live
    played = RecordingSource(recording.files.folder, speed="max")
    played.open()
    seen, row = [], 0
    while (raw := played.read()) is not None:
        seen += [(row, m.label) for m in raw.markers]
        row += len(raw.data)
    assert seen == live


def test_a_marker_that_comes_last_is_kept(tmp_path: Path) -> None:
    def ask(engine: Engine, event: dict[str, Any]) -> None:
        if event["event"] == "started":
            engine.obey(Mark("end", time.monotonic() + 30.0))
            engine.stop()

    made = run(SimulatorSource(MONTAGE, paced=True), EngineSettings(), tmp_path, during=ask)
    recording = open_recording(Path(made.summary["recording"]))
    [marker] = recording.markers()
    assert (marker.label, marker.sample) == ("end", recording.n_rows - 1)


def test_a_mark_on_a_session_faster_than_life_goes_to_its_newest_row(tmp_path: Path) -> None:
    def ask(engine: Engine, event: dict[str, Any]) -> None:
        if event["event"] == "gap":
            engine.obey(Mark("here"))

    lost = [Disturbance(Trouble.LOST, 5.0, 5.5)]
    made = run(unpaced(20.0, disturbances=lost), FAST, tmp_path, during=ask)
    [marker] = open_recording(Path(made.summary["recording"])).markers()
    assert marker.sample is not None
    # The chunk that held the gap had 875 rows and was the second of 1000.
    assert marker.sample == 1875


def test_outputs_are_stopped_and_resumed_and_that_is_recorded(tmp_path: Path) -> None:
    def ask(engine: Engine, event: dict[str, Any]) -> None:
        if event["event"] != "status" or not event["samples"]:
            return
        shown.append((event["stopped"], sink.stopped))
        if len(shown) < 3:
            engine.obey(SwitchOutputs(stopped=len(shown) == 1))
        else:
            engine.stop()

    shown: list[tuple[bool, bool]] = []
    sink = KeepingSink()
    settings = EngineSettings(status_s=0.01)
    made = run(SimulatorSource(MONTAGE), settings, tmp_path, during=ask, sink=sink)
    assert shown[:3] == [(False, False), (True, True), (False, False)]
    assert [e["stopped"] for e in made.named("outputs")] == [True, False]
    commands = open_recording(Path(made.summary["recording"])).commands()
    written = [c for c in commands if c.kind == "outputs"]
    assert [c.values["stopped"] for c in written] == [True, False]
    assert all(0 < (c.sample or 0) <= made.summary["samples"] for c in written)


def test_a_note_is_written_down(tmp_path: Path) -> None:
    def ask(engine: Engine, event: dict[str, Any]) -> None:
        if event["event"] == "started":
            engine.obey(Note("pause", {"block": 3}))

    made = run(SimulatorSource(MONTAGE), EngineSettings(duration_s=1.0), tmp_path, during=ask)
    commands = open_recording(Path(made.summary["recording"])).commands()
    assert [(c.kind, c.values) for c in commands if c.kind == "pause"] == [("pause", {"block": 3})]


def test_late_forecasts_are_skipped_counted_and_written_down(tmp_path: Path) -> None:
    class Late(SimulatorSource):
        """Delivers a backlog of four seconds at once, as after a stall."""

        def read(self) -> RawChunk | None:
            chunk = super().read()
            if chunk is None:
                return None
            return replace(chunk, times=chunk.times - 4.0)

    made = run(Late(MONTAGE, paced=True), EngineSettings(duration_s=3.0), tmp_path)
    s = made.summary
    assert s["tokens"] == 21
    assert s["dropped_tokens"] == 0
    assert s["skipped_forecasts"] == 21
    commands = open_recording(Path(s["recording"])).commands()
    skipped = [c.values["token"] for c in commands if c.kind == "skip_forecast"]
    assert skipped == list(range(21))


def test_of_a_backlog_the_stale_forecasts_are_skipped_and_the_newest_made() -> None:
    """It was the other way round: a chunk was as old as its last row."""

    class Held(SimulatorSource):
        """Gives its first four seconds in one chunk; time stands still from then on."""

        _nothing: RawChunk

        def read(self) -> RawChunk | None:
            if self._state.begun and clock.now() < self._state.start + 4.0:
                return replace(self._nothing, received=clock.now())
            chunk = super().read()
            assert chunk is not None
            self._nothing = replace(
                chunk,
                data=chunk.data[:0],
                times=chunk.times[:0],
                counters=chunk.counters[:0],  # type: ignore[index]
                markers=(),
            )
            return chunk

    clock = ManualClock(1000.0)
    settings = EngineSettings(paced=True, duration_s=4.0, events=True)
    made = run(Held(MONTAGE, paced=True, clock=clock), settings, clock=clock)
    tokens = [e["token"] for e in made.named("forecast")]
    assert made.summary["tokens"] == 31
    assert made.summary["skipped_forecasts"] == 31 - len(tokens)
    assert tokens == [26, 27, 28, 29, 30]  # their last rows are less than half a second old


def test_the_head_of_a_chunk_keeps_what_belongs_to_it() -> None:
    gap = Gap(105, 1.0, 0.1, 10, GapCause.LOST_FRAMES, True)
    chunk = Chunk(
        100,
        np.zeros((10, 2), np.float32),
        np.arange(10.0),
        9.0,
        np.arange(10),
        (gap,),
        (Marker(0.0, "a", sample=99), Marker(8.0, "b", sample=108)),
    )
    first = head(chunk, 5)
    assert (first.stop, len(first.times), first.gaps) == (105, 5, ())
    assert [m.label for m in first.markers] == ["a"]
    assert head(chunk, 6).gaps == (gap,)
