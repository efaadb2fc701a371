"""Live rows from a stream of the Lab Streaming Layer, and the markers of another one.

Concurrency: as in :mod:`rtbci.sources.base`.  liblsl receives in threads of its own and keeps
six minutes; ``read`` takes what is there and never waits, ``reconnect`` hardly does.

A stream of text or without a rate is no signal; it can be the marker stream.  Streams of other
rates that shall be recorded beside the EEG are sources of their own, one :class:`LSLSource` each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rtbci.clock import Clock
from rtbci.errors import BadInputError, RtbciError, SourceError
from rtbci.liblsl import load_pylsl
from rtbci.sources.labels import Layout, make_layout
from rtbci.sources.lsl_inlet import Inlet, Pulled, open_inlet
from rtbci.sources.lsl_markers import MarkerReader
from rtbci.sources.lsl_network import (
    StreamEntry,
    choose,
    entry,
    find,
    list_streams,
    lsl_problems,
    predicate,
)
from rtbci.types import Marker, RawChunk, SourceClock, StreamInfo

__all__ = ["LSLSource", "StreamEntry", "list_streams", "lsl_problems"]

FORGET_S = 3.0
"""A sender that has not answered for so long is not there any more."""
RETRY_S = 1.0
"""Seconds between looks for a marker stream that is gone."""


@dataclass
class Link:
    """One stream that is subscribed to, and the search for it once it is gone.

    Attributes
    ----------
    wanted : str
        What the user called it.
    inlet : Inlet
    resolver : pylsl.ContinuousResolver | None
        Searches in the background while the stream is gone.
    retry_at : float
        When to look at what it found.
    """

    wanted: str
    inlet: Inlet
    resolver: Any = None
    retry_at: float = 0.0

    def found(self, *, signal: bool) -> Any:
        """Give the stream's new run if it answers.

        Raises
        ------
        SourceError
            Where nothing answers, or the old run does, and sends nothing.
        BadInputError
            Where several answer.
        """
        pylsl = load_pylsl()

        if self.resolver is None:
            self.resolver = pylsl.ContinuousResolver(
                pred=predicate(self.wanted), forget_after=FORGET_S
            )
        there = self.resolver.results()
        if not there:
            raise SourceError(f"the LSL stream {self.wanted!r} does not answer; start its sender.")
        found = choose(self.wanted, there, signal=signal)
        if found.uid() == self.inlet.uid():
            raise SourceError(
                f"the LSL stream {self.wanted!r} is there but sends nothing; start its device."
            )
        return found


@dataclass
class OpenStream:
    """All that is open.

    Attributes
    ----------
    signal : Link
    info : StreamInfo
    layout : Layout
    marks : Link | None
    reader : MarkerReader | None
        Makes markers of the rows of ``marks``.
    reconnected : bool
        The next rows are the first of a new connection.
    """

    signal: Link
    info: StreamInfo
    layout: Layout
    marks: Link | None = None
    reader: MarkerReader | None = None
    reconnected: bool = False


class LSLSource:
    """A stream, found by its name, type or source_id.

    Parameters
    ----------
    name : str
        Name, type or source_id of the signal.
    markers : str | None
        The same of a marker stream: text or numbers, or one column for each kind of marker
        (mne-lsl's annotations, whose values are durations).
    timeout_s : float
        How long to wait for each of them to answer.
    clock : Clock
        The session's.
    """

    def __init__(
        self, name: str, *, markers: str | None = None, timeout_s: float = 5.0, clock: Clock
    ) -> None:
        self._name = name
        self._markers = markers
        self._timeout_s = timeout_s
        self._clock = clock
        self._state: OpenStream | None = None

    def open(self) -> StreamInfo:
        """Find the streams, subscribe, measure their senders' clocks (1.7 s each).

        Raises
        ------
        SourceError
            Where a stream does not answer (the sentence lists those that do) or gives no
            connection.
        BadInputError
            Where several streams are meant, or the one meant is no signal.
        """
        self.close()
        found = find(self._name, self._timeout_s, signal=True)
        _require_signal(entry(found))
        inlet, full = open_inlet(found, self._timeout_s, self._clock)
        layout = _layout(full)
        info = _stream_info(full, inlet, layout)
        state = self._state = OpenStream(Link(self._name, inlet), info, layout)
        try:
            if self._markers is not None:
                marks = find(self._markers, self._timeout_s, signal=False)
                _require_markers(entry(marks))
                inlet, full = open_inlet(marks, self._timeout_s, self._clock)
                state.marks = Link(self._markers, inlet)
                state.reader = MarkerReader(full)
        except BaseException:
            self.close()
            raise
        return info

    def read(self) -> RawChunk:
        """Take what has come since the last call.

        Raises
        ------
        SourceError
            Where the stream is not open, or liblsl has given its sender up.
        """
        state = self._require_open()
        pulled = state.signal.inlet.pull()
        markers = self._read_markers(state)
        breaks = () if pulled.restart is None else (pulled.restart,)
        if len(pulled.times) and state.reconnected:
            breaks, state.reconnected = (0,), False
        return RawChunk(
            data=(pulled.rows * state.layout.scale).astype(np.float32),
            times=pulled.times,
            received=pulled.received,
            markers=markers,
            breaks=breaks,
        )

    def close(self) -> None:
        """Unsubscribe; safe to call twice and after a failed ``open``."""
        state, self._state = self._state, None
        if state is not None:
            state.signal.inlet.close()
            if state.marks is not None:
                state.marks.inlet.close()

    def reconnect(self) -> None:
        """Look whether rows come again, or the sender was restarted; hardly waits.

        A sender that was only late keeps its connection, and its backlog comes without a
        break.  liblsl may find a restarted sender first; then this one has nothing to do.

        Raises
        ------
        SourceError
            Where the stream is not back, or came back with other channels or another rate.
        """
        state = self._require_open()
        if state.signal.inlet.waiting():
            state.signal.resolver = None
            return
        try:
            found = state.signal.found(signal=True)
        except BadInputError as err:  # several answer now: one may go away again
            raise SourceError(str(err)) from err
        inlet, full = open_inlet(found, self._timeout_s, self._clock)
        layout = _layout(full)
        if layout.channels != state.layout.channels or full.nominal_srate() != state.info.rate:
            inlet.close()
            raise SourceError(
                f"the LSL stream {self._name!r} came back with {len(layout.channels)} channels at "
                f"{full.nominal_srate():g} Hz, but the session has {len(state.layout.channels)} at "
                f"{state.info.rate:g} Hz or other names; stop it and start a new one."
            )
        state.signal.inlet.close()
        state.signal = Link(self._name, inlet)
        state.layout = layout
        state.reconnected = True

    def _read_markers(self, state: OpenStream) -> tuple[Marker, ...]:
        """Markers that have come; a marker stream that is gone does not stop the signal."""
        link, reader = state.marks, state.reader
        if link is None or reader is None:
            return ()
        try:
            if link.inlet.state.lost:
                self._revive_markers(state, link)
                return ()
            pulled: Pulled = link.inlet.pull()
        except SourceError:
            link.retry_at = self._clock.now() + RETRY_S
            return ()
        return reader.read(pulled)

    def _revive_markers(self, state: OpenStream, link: Link) -> None:
        if self._clock.now() < link.retry_at:
            return
        link.retry_at = self._clock.now() + RETRY_S
        try:
            inlet, full = open_inlet(link.found(signal=False), self._timeout_s, self._clock)
        except RtbciError:
            return  # not back yet
        link.inlet.close()
        state.marks, state.reader = Link(link.wanted, inlet), MarkerReader(full)

    def _require_open(self) -> OpenStream:
        if self._state is None:
            raise SourceError(f"the LSL stream {self._name!r} is not open; open it first.")
        return self._state


def _require_signal(found: StreamEntry) -> None:
    if not found.regular:
        what = "sends text" if found.format == "string" else "has no regular rate"
        raise BadInputError(
            f"the LSL stream {found.describe()} {what}, so it is no signal; give it as "
            "--markers and name a stream of samples with --lsl (rtbci streams lists them)."
        )


def _require_markers(found: StreamEntry) -> None:
    if found.regular:
        raise BadInputError(
            f"the LSL stream {found.describe()} has samples at a rate, so it is no marker stream; "
            "give it as --lsl, and with --markers a stream of text or of single numbers."
        )


def _layout(full: Any) -> Layout:
    return make_layout(
        full.channel_count(),
        stream_type=full.type() or "EEG",
        labels=full.get_channel_labels(),
        types=full.get_channel_types(),
        units=full.get_channel_units(),
    )


def _stream_info(full: Any, inlet: Inlet, layout: Layout) -> StreamInfo:
    facts = inlet.facts
    notes = list(layout.notes)
    if not inlet.corrected:
        notes.append(
            f"The clock correction of LSL stream {facts.name!r} can't be measured (a firewall "
            "stops UDP); its sender is on this machine, so its stamps are used as they are."
        )
    device: dict[str, Any] = {
        "stream": facts.name,
        "stream_type": facts.type,
        "source_id": facts.source_id,
        "host": facts.host,
        "format": facts.format,
        "clock_correction_s": inlet.state.correction,
    }
    for key in ("manufacturer", "model", "serial_number"):
        value = full.desc().child_value(key) or full.desc().child("acquisition").child_value(key)
        if value:
            device[key] = value
    if notes:
        device["notes"] = notes
    made = StreamInfo(
        name=f"LSL stream {facts.name}",
        kind="lsl",
        rate=facts.rate,
        channels=layout.channels,
        clock=SourceClock.REMOTE,
    )
    return replace(made, device=device)
