"""The engine: the one module that owns threads.

Three threads share an :class:`Engine`, and nothing else does:

- *acquisition* drains the source, asks the watchdog, reconnects; it may wait for the driver only;
- *pipeline* (the thread that calls :meth:`Engine.run`) pushes rows and sends results on;
- *writer* records; it may wait for the disk.

Commands may come from any thread (:meth:`Engine.obey`): outputs are switched at once, markers
wait in a queue for the acquisition thread.

They meet in two queues.  The recording queue never drops.  The pipeline queue never drops
either: a backlog of a live source is caught up in order, and only forecasts that come too
late to matter are skipped (counted and written down).  For a source that is read faster than
life both queues are bounded, and the reader waits.  An error in any thread stops all three;
what is recorded by then stays readable.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from rtbci import events
from rtbci.acquisition import Acquisition, Notice
from rtbci.clock import Clock
from rtbci.commands import (
    Command,
    LeaveOut,
    Mark,
    Note,
    SetThreshold,
    Steer,
    Stop,
    SwitchOutputs,
    TakeBack,
    steer_line,
)
from rtbci.config import SessionConfig
from rtbci.delivery import Delivery, Observer, Publish, Write
from rtbci.errors import BadInputError
from rtbci.live.writer import ViewWriter
from rtbci.pipeline import Pipeline, Skip
from rtbci.recording.writer import Recorder
from rtbci.reports import SessionCounts, status_event, summary_fields
from rtbci.sinks.base import Sink
from rtbci.sinks.switch import OutputSwitch
from rtbci.sources.base import Source, Watcher
from rtbci.types import Chunk, Marker, StreamInfo

POLL_S = 0.004
"""Pause of the acquisition thread when the driver had nothing."""
TOO_LATE_S = 0.5
"""A forecast of a token older than this is skipped: half of what it foretells has come."""
SELF_PACED_KINDS = ("replay", "simulator")
"""Sources that are never lost: they deliver or they end."""
UNPACED_QUEUE = 4
UNPACED_WRITES = 4096
VIEW_STATUS_S = 0.1
"""Between two states in the view of other processes."""


@dataclass(frozen=True)
class ExtraStream:
    """One more stream that is recorded beside the EEG (an LSL stream of another rate)."""

    name: str
    source: Source


@dataclass(frozen=True)
class EngineSettings:
    """What the engine itself needs to know.

    Attributes
    ----------
    paced : bool
        Whether the source keeps time; False for a replay as fast as possible.
    duration_s : float | None
        Seconds of session after which it ends.
    events : bool
        Publish every decode and forecast.
    status_s : float
        Seconds between ``status`` events for a live view; 0 for none.
    """

    paced: bool = True
    duration_s: float | None = None
    events: bool = False
    status_s: float = 0.0


@dataclass(frozen=True)
class EngineParts:
    """What a session is made of; built outside, because the core knows no model by name.

    Attributes
    ----------
    source : Source
        Not yet open.
    prepare : callable
        Given the open stream, names its channels by the montage; may refuse it.
    build : callable
        Given the prepared stream and the rule for skipping forecasts, makes the pipeline
        (loads and warms up the model).
    record : callable | None
        Given stream, pipeline and start time, makes the recorder.
    observers : callable
        Given the pipeline, makes those who watch the session.
    view : callable
        Given pipeline and recording, makes what other processes see of the session, or None.
    """

    source: Source
    prepare: Callable[[StreamInfo], StreamInfo]
    build: Callable[[StreamInfo, Skip], Pipeline]
    record: Callable[[StreamInfo, Pipeline, float], Recorder] | None = None
    observers: Callable[[Pipeline], Sequence[Observer]] = lambda _: ()
    sinks: tuple[Sink, ...] = ()
    extra: tuple[ExtraStream, ...] = ()
    view: Callable[[Pipeline, Recorder | None], ViewWriter | None] = lambda _pipeline, _rec: None


class Engine:
    """Runs one session from the first row to the summary."""

    def __init__(
        self,
        parts: EngineParts,
        config: SessionConfig,
        settings: EngineSettings,
        *,
        clock: Clock,
        publish: Publish,
    ) -> None:
        self._parts = parts
        self._config = config
        self._settings = settings
        self._clock = clock
        self._publish = publish
        paced = settings.paced
        self._rows: queue.Queue[Chunk | None] = queue.Queue(0 if paced else UNPACED_QUEUE)
        self._writes: queue.Queue[Write | None] = queue.Queue(0 if paced else UNPACED_WRITES)
        self._marks: queue.SimpleQueue[Marker] = queue.SimpleQueue()
        self._steers: queue.SimpleQueue[Steer] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._switch = OutputSwitch(parts.sinks)
        self._error: Exception | None = None
        self._counts = SessionCounts()
        self._delivery: Delivery | None = None

    def stop(self) -> None:
        """Ask the session to end; rows already taken are still worked through."""
        self._stop.set()

    def obey(self, command: Command) -> None:
        """Do what was asked for; from any thread, at any time."""
        match command:
            case Stop():
                self.stop()
            case Mark():
                self.mark(command.marker(self._now()))
            case SwitchOutputs(stopped, output):
                self._switch_outputs(stopped, output)
            case Note(kind, values):
                self._note(kind, dict(values))
            case LeaveOut() | TakeBack() | SetThreshold():
                self._steers.put(command)

    def mark(self, marker: Marker) -> None:
        """Put a marker on the session; it is recorded with the row nearest to its time."""
        self._marks.put(marker)

    def _now(self) -> float:
        """Time on the session's rows: of a source read faster than life, that of its newest."""
        return self._clock.now() if self._settings.paced else self._counts.end

    def _switch_outputs(self, stopped: bool, output: str | None) -> None:
        self._switch.switch(stopped, output)
        now = self._now()
        one = {} if output is None else {"output": output}
        self._note("outputs", {"stopped": stopped, "time": now, **one})
        self._publish(events.outputs_event(stopped, now, self._counts.start, output))

    def _note(self, kind: str, values: dict[str, Any]) -> None:
        self._writes.put(partial(_write_command, self._counts.samples, kind, values))

    def run(self) -> dict[str, Any]:
        """Run the session to its end.

        Returns
        -------
        summary : dict
            The fields of the ``summary`` event.

        Raises
        ------
        RtbciError
            What ended the session before its time; the recording up to then is complete.
        """
        parts = self._parts
        with contextlib.ExitStack() as open_things:
            open_things.callback(parts.source.close)
            info = parts.prepare(parts.source.open())
            for sentence in info.device.get("notes", ()):
                self._publish({"event": "note", "message": sentence})
            pipeline = parts.build(info, self._too_late)
            observers = parts.observers(pipeline)
            beside = []
            for stream in parts.extra:
                open_things.callback(stream.source.close)
                notice = partial(self._notice_beside, stream.name)
                beside.append(self._line(stream.source, stream.source.open(), True, notice))
            for sink in parts.sinks:
                open_things.callback(sink.close)
                sink.open(info, pipeline.classes)
            watch = info.kind not in SELF_PACED_KINDS
            if watch:
                parts.source.read()  # came while the model was loading: not session
            line = self._line(parts.source, info, watch, self._notice)
            recorder = self._record(info, pipeline, beside)
            view = self._parts.view(pipeline, recorder)
            self._delivery = self._deliver(info, observers, view)
            if view is not None:
                pipeline.watch = view.filtered
            self._run_threads(line, beside, pipeline, recorder)
            summary = summary_fields(
                self._counts, pipeline, self._delivery, recorder, observers, self._error
            )
            if recorder is not None:
                self._guard(recorder.close, summary)
        if self._error is not None:
            raise self._error
        return summary

    def _record(
        self, info: StreamInfo, pipeline: Pipeline, beside: Sequence[Acquisition]
    ) -> Recorder | None:
        if self._parts.record is None:
            return None
        recorder = self._parts.record(info, pipeline, self._clock.now())
        try:
            for stream, other in zip(self._parts.extra, beside, strict=True):
                recorder.add_stream(stream.name, other.info)
        except Exception as err:
            recorder.close({"ended": f"error: {err}"})
            raise
        return recorder

    def _run_threads(
        self,
        line: Acquisition,
        beside: Sequence[Acquisition],
        pipeline: Pipeline,
        recorder: Recorder | None,
    ) -> None:
        writer = threading.Thread(target=self._write, args=(recorder,), name="rtbci-writer")
        acquisition = threading.Thread(
            target=self._guard, args=(self._acquire, line, beside), name="rtbci-acquisition"
        )
        writer.start()
        acquisition.start()
        self._guard(self._pump, pipeline)
        while acquisition.is_alive():  # after an error it may wait for a place in the queue
            with contextlib.suppress(queue.Empty):
                self._rows.get(timeout=POLL_S)
        self._writes.put(None)
        writer.join()

    def _line(self, source: Source, info: StreamInfo, watch: bool, notice: Notice) -> Acquisition:
        timeline = self._config.timeline
        return Acquisition(source, info, timeline, self._clock, watch=watch, notice=notice)

    def _deliver(
        self, info: StreamInfo, observers: Sequence[Observer], view: ViewWriter | None
    ) -> Delivery:
        return Delivery(
            info.electrodes,
            clock=self._clock,
            start=lambda: self._counts.start,
            paced=self._settings.paced,
            every=self._settings.events,
            beat_s=self._config.output.heartbeat_s,
            write=self._writes.put,
            publish=self._publish,
            sinks=self._parts.sinks,
            observers=observers,
            view=view,
        )

    # Any thread

    def _guard(self, work: Callable[..., None], *args: Any) -> None:
        """Run a thread's work; its error becomes the session's error and stops the others."""
        try:
            work(*args)
        except Exception as err:  # noqa: BLE001 - a thread's boundary: run() raises it
            if self._error is None:
                self._error = err
            self._stop.set()

    def _notice_beside(self, name: str, event: str, sentence: str) -> None:
        """Say what befell a further stream; it is not the session's trouble."""
        self._publish({"event": "note", "message": f"stream {name} is {event}: {sentence}"})

    def _notice(self, event: str, sentence: str) -> None:
        counts = self._counts
        counts.lost += event == "lost"
        counts.trouble = "" if event in ("flowing", "reconnected") else sentence
        self._publish(events.notice_event(event, sentence, self._clock.now(), counts.start))

    # Acquisition thread

    def _acquire(self, line: Acquisition, beside: Sequence[Acquisition]) -> None:
        over = False  # the session's time is up
        try:
            while not (self._stop.is_set() or line.ended or over):
                self._place_marks(line)
                chunk = line.step()
                for stream, other in zip(self._parts.extra, beside, strict=True):
                    extra = other.step()
                    if extra is not None:
                        self._writes.put(_stream_write(stream.name, extra))
                if chunk is not None:
                    over = self._take(chunk, line.info.rate)
                elif not line.ended:
                    over = self._over()
                    self._clock.sleep(0.0 if over else POLL_S)
            self._finish(line, beside)
        finally:
            self._rows.put(None)

    def _finish(self, line: Acquisition, beside: Sequence[Acquisition]) -> None:
        """Take what the timelines hold back: a few rows, and markers whose row never came."""
        self._place_marks(line)
        rest = line.finish()
        if rest is not None:
            self._take(rest, line.info.rate)
        for stream, other in zip(self._parts.extra, beside, strict=True):
            rest = other.finish()
            if rest is not None:
                self._writes.put(_stream_write(stream.name, rest))

    def _place_marks(self, line: Acquisition) -> None:
        while not self._marks.empty():
            marker = self._marks.get()
            if isinstance(self._parts.source, Watcher):
                self._parts.source.on_marker(marker)
            line.place(marker)

    def _over(self) -> bool:
        """Whether a source that has gone silent has used up the session's time."""
        counts, duration = self._counts, self._settings.duration_s
        if duration is None or counts.start is None or not self._settings.paced:
            return False
        return self._clock.now() - counts.begun >= duration + TOO_LATE_S

    def _take(self, chunk: Chunk, rate: float) -> bool:
        """Hand rows to the writer and to the pipeline; True when the session's time is up."""
        counts, duration = self._counts, self._settings.duration_s
        if counts.over:
            chunk = _markers_before(chunk, counts.samples, counts.end)
        first = counts.start is None and len(chunk.data) > 0
        if first:
            counts.start = counts.end = float(chunk.times[0])
            counts.begun = self._clock.now()
        if duration is not None and counts.start is not None:
            keep = int(np.searchsorted(chunk.times, counts.start + duration - 0.5 / rate))
            if keep < len(chunk.data):
                chunk, counts.over = head(chunk, keep), True
        counts.samples += len(chunk.data)
        counts.gaps.extend(chunk.gaps)
        if len(chunk.data):
            counts.end = float(chunk.times[-1]) + 1.0 / rate
        self._writes.put(lambda recorder: recorder.write_chunk(chunk))
        if first:
            self._writes.put(_Started(self._publish))
        for gap in chunk.gaps:
            self._publish({"event": "gap", **events.gap_event(gap, counts.start)})
        for marker in chunk.markers:
            self._publish(events.marker_event(marker, counts.start))
        self._rows.put(chunk)
        return counts.over

    # Pipeline thread

    def _pump(self, pipeline: Pipeline) -> None:
        assert self._delivery is not None
        delivery, beat = self._delivery, self._config.output.heartbeat_s
        told = _Every(self._settings.status_s)
        shown = _Every(VIEW_STATUS_S if delivery.view is not None else 0.0)
        while not (self._stop.is_set() and self._error is not None):
            try:
                chunk = self._rows.get(timeout=beat / 2)
            except queue.Empty:
                pass
            else:
                if chunk is None:
                    return
                self._steer(pipeline, pipeline.state.rows)
                delivery.begin(chunk)
                pipeline.push(chunk, delivery.send)
            now = self._clock.now()
            delivery.beat(now)
            tell, show = (every.due(now, pipeline.state.token) for every in (told, shown))
            if tell or show:
                status = self._status(pipeline, delivery, now)
                if tell:
                    self._publish(status)
                if show and delivery.view is not None:
                    delivery.view.status(status)

    def _steer(self, pipeline: Pipeline, sample: int) -> None:
        """Hand on what was asked for, before row ``sample`` is pushed: there a replay does it."""
        while not self._steers.empty():
            steer = self._steers.get()
            kind, values = steer_line(steer)
            try:
                pipeline.steer(sample, steer)
            except BadInputError as err:
                self._publish({"event": "note", "message": str(err)})
                continue
            self._writes.put(partial(_write_command, sample, kind, values))
            if kind == "threshold":
                self._publish(events.threshold_event(values, self._now(), self._counts.start))

    def _status(self, pipeline: Pipeline, delivery: Delivery, now: float) -> dict[str, Any]:
        return status_event(
            self._counts,
            pipeline,
            delivery,
            self._switch,
            now=now if self._settings.paced else None,
        )

    def _too_late(self, token: int, sample: int) -> bool:
        """Whether a token is too old for its forecast to matter."""
        delivery = self._delivery
        if delivery is None or delivery.age(sample) <= TOO_LATE_S:
            return False
        values = {"token": token}
        self._writes.put(lambda recorder: recorder.write_command(sample, "skip_forecast", values))
        return True

    # Writer thread

    def _write(self, recorder: Recorder | None) -> None:
        """Work off the recording queue; after an error only empty it, so that nobody waits."""
        failed = False
        while (write := self._writes.get()) is not None:
            if failed or (recorder is None and not isinstance(write, _Started)):
                continue
            try:
                write(recorder)  # type: ignore[arg-type]
            except Exception as err:  # noqa: BLE001 - a thread's boundary: run() raises it
                failed = True
                self._error = self._error or err
                self._stop.set()


@dataclass
class _Every:
    """Tells when it is time for the next status.

    Attributes
    ----------
    seconds : float
        From one to the next; 0 for none.
    """

    seconds: float
    next: float = 0.0
    token: int = -1

    def due(self, now: float, token: int) -> bool:
        """Whether it is; best right behind a token, when no other waits for the thread."""
        waits = token == self.token and now < self.next + self.seconds
        if not self.seconds or now < self.next or waits:
            return False
        self.next, self.token = now + self.seconds, token
        return True


class _Started:
    """Says that the session has started, once the rows queued before it are on disk."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish

    def __call__(self, recorder: Recorder | None) -> None:
        folder = None if recorder is None else str(recorder.folder)
        self._publish({"event": "started", "t_s": 0.0, "recording": folder})


def _write_command(sample: int, kind: str, values: dict[str, Any], recorder: Recorder) -> None:
    recorder.write_command(sample, kind, values)


def _stream_write(name: str, chunk: Chunk) -> Write:
    return lambda recorder: recorder.write_stream(name, chunk)


def _markers_before(chunk: Chunk, rows: int, end: float) -> Chunk:
    """Give what a session that is over still takes: the markers of its time, no rows."""
    nothing = head(replace(chunk, markers=()), 0)
    markers = tuple(
        replace(m, sample=min(m.sample or 0, rows - 1)) for m in chunk.markers if m.time < end
    )
    return replace(nothing, start=rows, gaps=(), markers=markers)


def head(chunk: Chunk, n: int) -> Chunk:
    """Give the first ``n`` rows of a chunk, with what belongs to them."""
    stop = chunk.start + n
    return replace(
        chunk,
        data=chunk.data[:n],
        times=chunk.times[:n],
        counters=None if chunk.counters is None else chunk.counters[:n],
        gaps=tuple(gap for gap in chunk.gaps if gap.sample < stop),
        markers=tuple(m for m in chunk.markers if m.sample is None or m.sample < stop),
    )
