"""One source kept alive: drained, de-jittered, watched, and reconnected when it is lost.

Owned by one thread.  ``step`` waits for nothing but the driver; while the source is lost,
each step listens, and makes at most one attempt to reconnect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rtbci.clock import Clock
from rtbci.config import TimelineConfig
from rtbci.errors import RtbciError
from rtbci.sources.base import Source
from rtbci.timeline import Timeline
from rtbci.types import Chunk, Marker, RawChunk, StreamInfo
from rtbci.watchdog import SourceState, Watchdog

BACK_OFF_S = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Pauses before attempts to reconnect; the last one repeats for ever."""

Notice = Callable[[str, str], None]


@dataclass
class LostState:
    """A source that is gone: how often it was called, and when to call it again."""

    attempts: int = 0
    next_at: float = 0.0


class Acquisition:
    """Turns a source into rows of the session.

    Parameters
    ----------
    source : Source
        Open.
    info : StreamInfo
        What it delivers.
    watch : bool
        Whether silence means that the source is lost (a board or a stream, not a file).
    notice : callable
        Told ``("late" | "stalled" | "lost" | "reconnected" | "flowing", sentence)``.
    """

    def __init__(
        self,
        source: Source,
        info: StreamInfo,
        config: TimelineConfig,
        clock: Clock,
        *,
        watch: bool,
        notice: Notice,
    ) -> None:
        self._source = source
        self._info = info
        self._config = config
        self._clock = clock
        self._watch = watch
        self._notice = notice
        self._timeline = Timeline(info, config, clock)
        self._watchdog = Watchdog(config)
        self._state = SourceState.OK
        self._lost: LostState | None = None
        self.ended = False

    @property
    def info(self) -> StreamInfo:
        """The stream that is acquired."""
        return self._info

    def step(self) -> Chunk | None:
        """Drain the source once.

        Returns
        -------
        chunk : Chunk | None
            The rows that came; None where none did (``ended`` tells whether any more will).
        """
        if self._lost is not None:
            raw = self._call(self._lost)
            if raw is None:
                return None
        else:
            try:
                raw = self._source.read()
            except RtbciError as err:
                if not self._watch:
                    raise
                self._lose(str(err))
                return None
        if raw is None:
            self.ended = True
            return self.finish()
        if self._watch:
            self._judge(len(raw.data))
        if not (len(raw.data) or raw.markers or raw.breaks):
            return None
        return _worth(self._timeline.push(raw))

    def place(self, marker: Marker) -> None:
        """Take a marker from outside; the timeline finds its row by its time."""
        self._timeline.place(marker)

    def finish(self) -> Chunk | None:
        """Give what the timeline holds back, at the end of a session."""
        return _worth(self._timeline.flush())

    def _judge(self, rows: int) -> None:
        before, self._state = self._state, self._watchdog.update(self._clock.now(), rows)
        if self._state is before:
            return
        if self._state is SourceState.LOST:
            self._lose(f"no rows for {self._config.lost_s:g} s")
        elif self._state is SourceState.OK:
            self._notice("flowing", f"{self._info.name} delivers again.")
        else:
            self._notice(self._state.value, f"{self._info.name} is {self._state.value}.")

    def _lose(self, why: str) -> None:
        self._lost = LostState(0, self._clock.now() + BACK_OFF_S[0])
        self._notice(
            "lost",
            f"{self._info.name} is lost ({why}); reconnecting until it is back. "
            "Is it on and plugged in?",
        )

    def _call(self, lost: LostState) -> RawChunk | None:
        """Listen, and reconnect if it is time to; give what came once the source is back."""
        raw = self._listen()
        if raw is None and self._clock.now() >= lost.next_at:
            try:
                self._source.reconnect()
            except RtbciError:
                lost.attempts += 1
                pause = BACK_OFF_S[min(lost.attempts, len(BACK_OFF_S) - 1)]
                lost.next_at = self._clock.now() + pause
                return None
            raw = self._source.read()
        if raw is None:
            return None
        self._lost = None
        self._watchdog = Watchdog(self._config)
        self._state = SourceState.OK
        self._notice("reconnected", f"{self._info.name} is back.")
        return raw

    def _listen(self) -> RawChunk | None:
        """Rows of a source that was only stalled: a backlog, which no reconnection may drop."""
        try:
            raw = self._source.read()
        except RtbciError:  # still gone
            return None
        return raw if raw is not None and len(raw.data) else None


def _worth(chunk: Chunk) -> Chunk | None:
    """Give a chunk that holds something; the timeline may hold all rows back for a moment."""
    return chunk if len(chunk.data) or chunk.markers else None
