"""From the pipeline to everyone who waits for a result: sinks first, then recorder and events.

Owned by the pipeline thread.  Nothing here blocks: sinks push without waiting, the recorder is
reached through a queue, and ``publish`` only queues.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rtbci import events
from rtbci.clock import Clock
from rtbci.latency import LatencyLog
from rtbci.live.writer import ViewWriter
from rtbci.recording.writer import Recorder
from rtbci.sinks.base import Sink
from rtbci.types import ChannelHealth, Chunk, Decode, DecoderChange, Forecast, Marker, Result

Publish = Callable[[dict[str, Any]], None]
Write = Callable[[Recorder], None]


class Observer(Protocol):
    """Someone who watches a session and adds to its summary (the trial scorer)."""

    def on_marker(self, marker: Marker) -> None:
        """A marker whose row is known."""

    def on_decode(self, decode: Decode) -> None:
        """A decode, valid or not."""

    def summary(self) -> dict[str, Any]:
        """Fields to add to the session's summary."""


@dataclass
class DeliveryState:
    """The rows being worked on, for what a result alone does not know.

    Attributes
    ----------
    chunk : Chunk | None
        Rows being pushed now.
    begun : float
        When the pipeline took them up, or gave the last result of an unpaced source.
    last_decode : Decode | None
        For the live view.
    left_out : dict
        Channels left out now, with the reason.
    """

    chunk: Chunk | None = None
    begun: float = 0.0
    last_decode: Decode | None = None
    left_out: dict[str, str] | None = None


class Delivery:
    """Sends results on their way and notes how long they took.

    Parameters
    ----------
    clock : Clock
    start : callable
        Gives the time of the session's first row, or None.
    paced : bool
        Whether the source keeps time: latency then counts from the scheduled arrival of a
        token's last row, else from when its computation began.
    every : bool
        Publish every decode and forecast.
    beat_s : float
        Seconds between heartbeats.
    write, publish : callable
        The recorder's queue; the events' queue.
    view : ViewWriter | None
        What other processes see of the session.
    """

    def __init__(
        self,
        electrodes: tuple[str, ...],
        *,
        clock: Clock,
        start: Callable[[], float | None],
        paced: bool,
        every: bool,
        beat_s: float,
        write: Callable[[Write], None],
        publish: Publish,
        sinks: Sequence[Sink] = (),
        observers: Sequence[Observer] = (),
        view: ViewWriter | None = None,
    ) -> None:
        self._electrodes = electrodes
        self._clock = clock
        self._start = start
        self._paced = paced
        self._every = every
        self._beat_s = beat_s
        self._next_beat = clock.now()
        self._write = write
        self._publish = publish
        self._sinks = sinks
        self._observers = observers
        self.view = view
        self.latency = LatencyLog()
        self.state = DeliveryState(left_out={})

    def begin(self, chunk: Chunk) -> None:
        """Take up a chunk: its markers go out at once."""
        self.state.chunk = chunk
        self.state.begun = self._clock.now()
        for marker in chunk.markers:
            for observer in self._observers:
                observer.on_marker(marker)
            for sink in self._sinks:
                sink.send(marker)
        if self.view is not None:
            self.view.rows(chunk)

    def age(self, sample: int) -> float:
        """Seconds since a row of the chunk taken up last was due; 0 for an unpaced source."""
        return self._clock.now() - self._time_of(sample) if self._paced else 0.0

    def beat(self, now: float) -> None:
        """Say that the engine lives, if it is time to; also in the middle of a backlog."""
        if self.view is not None:
            self.view.beat(now)
        if now >= self._next_beat:
            self._next_beat = now + self._beat_s
            for sink in self._sinks:
                sink.heartbeat()

    def send(self, result: Result) -> None:
        """Send one result of the chunk taken up last."""
        now = self._clock.now()
        self.beat(now)
        if isinstance(result, ChannelHealth):
            self._send_health(result)
            return
        if isinstance(result, DecoderChange):
            self._write(lambda recorder: recorder.write_change(result))
            self._publish(events.adaptation_event(result, self._start()))
            return
        due, stages = self._timing(result.sample, now)
        for sink in self._sinks:
            sink.send(result)
        if isinstance(result, Decode):
            self._send_decode(result, due, now, stages)
        else:
            self._send_forecast(result, due, now, stages)
        if not self._paced:
            self.state.begun = self._clock.now()

    def _timing(self, sample: int, now: float) -> tuple[float, dict[str, float]]:
        """When a result was due (seconds of the session's clock) and where its time went."""
        chunk, begun = self.state.chunk, self.state.begun
        if not self._paced or chunk is None:
            return begun, {"compute": now - begun}
        due = min(self._time_of(sample), chunk.received)
        return due, {
            "driver": chunk.received - due,
            "queue": begun - chunk.received,
            "compute": now - begun,
        }

    def _time_of(self, sample: int) -> float:
        """Time of a row of the chunk taken up last."""
        chunk = self.state.chunk
        assert chunk is not None
        return float(chunk.times[sample - chunk.start])

    def _send_health(self, change: ChannelHealth) -> None:
        left_out = dict(self.state.left_out or {})
        left_out.pop(change.channel, None)
        if change.reason:
            left_out[change.channel] = change.reason
        self.state.left_out = left_out
        self._write(lambda recorder: recorder.write_health(change))
        self._publish(events.channel_event(change, self._time_of(change.sample), self._start()))

    def _send_decode(
        self, decode: Decode, due: float, out: float, stages: dict[str, float]
    ) -> None:
        self.latency.add(out - due, stages)
        self.state.last_decode = decode
        self._write(lambda recorder: recorder.write_decode(decode, due, out, stages))
        if self.view is not None:
            self.view.decode(decode)
        for observer in self._observers:
            observer.on_decode(decode)
        if self._every:
            self._publish(events.decode_event(decode, out - due, self._start()))

    def _send_forecast(
        self, forecast: Forecast, due: float, out: float, stages: dict[str, float]
    ) -> None:
        if self.state.last_decode is None:
            self.latency.add(out - due, stages)
        self._write(lambda recorder: recorder.write_forecast(forecast, due, out, stages))
        if self.view is not None:
            self.view.forecast(forecast)
        if self._every:
            self._publish(
                events.forecast_event(forecast, out - due, self._start(), self._electrodes)
            )
