"""A source is drained, watched and called back, on a clock that the test moves."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import pytest

from rtbci.acquisition import BACK_OFF_S, Acquisition
from rtbci.clock import ManualClock
from rtbci.config import TimelineConfig
from rtbci.errors import SourceError
from rtbci.types import Channel, GapCause, RawChunk, SourceClock, StreamInfo

RATE = 100.0
INFO = StreamInfo("fake board", "fake", RATE, (Channel("Cz"),), SourceClock.EXACT)


@dataclass
class FakeSource:
    """Gives rows as the clock goes on, unless it is unplugged."""

    clock: ManualClock
    row: int = 0
    plugged: bool = True
    ends_at: int | None = None
    broken: bool = False
    refuse: int = 0
    calls: deque[float] = field(default_factory=deque)
    behind_a_break: bool = False
    origin: float = 0.0

    def open(self) -> StreamInfo:
        return INFO

    def close(self) -> None:
        pass

    def reconnect(self) -> None:
        self.calls.append(self.clock.now())
        if self.refuse > 0:
            self.refuse -= 1
            raise SourceError("not there yet")
        self.plugged = True
        self.behind_a_break = True
        self.origin = self.clock.now() - self.row / RATE

    def read(self) -> RawChunk | None:
        if self.broken:
            self.broken = False
            raise SourceError("the driver says that the connection is gone")
        if self.ends_at is not None and self.row >= self.ends_at:
            return None
        due = int((self.clock.now() - self.origin) * RATE) if self.plugged else self.row
        rows = np.arange(self.row, max(due, self.row))
        self.row = max(due, self.row)
        breaks = (0,) if self.behind_a_break and len(rows) else ()
        if len(rows):
            self.behind_a_break = False
        return RawChunk(
            rows[:, None].astype(np.float32),
            self.origin + rows / RATE,
            received=self.clock.now(),
            breaks=breaks,
        )


@dataclass
class Line:
    """An acquisition under test and what it said."""

    clock: ManualClock
    source: FakeSource
    acquisition: Acquisition
    notices: list[tuple[float, str]] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)
    gaps: list[tuple[int, float, GapCause]] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.01)):
            self.clock.advance(0.01)
            chunk = self.acquisition.step()
            if chunk is not None:
                self.rows += chunk.data[:, 0].tolist()
                self.gaps += [(g.sample, round(g.length, 2), g.cause) for g in chunk.gaps]


@pytest.fixture
def line() -> Line:
    clock = ManualClock()
    source = FakeSource(clock)
    made: list[tuple[float, str]] = []
    acquisition = Acquisition(
        source,
        INFO,
        TimelineConfig(),
        clock,
        watch=True,
        notice=lambda event, _: made.append((round(clock.now(), 2), event)),
    )
    return Line(clock, source, acquisition, made)


def test_rows_come_once_and_in_order(line: Line) -> None:
    line.run(3.0)
    assert line.rows == list(range(len(line.rows)))
    assert len(line.rows) >= 298
    assert line.notices == []


def test_an_unplugged_source_is_late_then_stalled_then_lost_then_back(line: Line) -> None:
    line.run(1.0)
    line.source.plugged = False
    line.source.refuse = 2
    line.run(4.0)
    assert [event for _, event in line.notices] == ["late", "stalled", "lost"]
    assert [round(t - 1.0, 1) for t, _ in line.notices] == [0.2, 1.0, 2.0]
    line.run(3.0)
    assert line.notices[-1][1] == "reconnected"
    waits = np.diff(line.source.calls)
    np.testing.assert_allclose(waits, BACK_OFF_S[1:3], atol=0.011)
    line.run(1.0)
    assert line.rows == list(range(len(line.rows)))
    [(sample, length, _)] = line.gaps
    assert sample == pytest.approx(100, abs=1)
    assert length == pytest.approx(line.source.calls[-1] - 1.0, abs=0.05)


def test_a_driver_that_says_it_is_gone_is_lost_at_once(line: Line) -> None:
    line.run(1.0)
    line.source.broken = True
    line.run(0.5)
    assert [event for _, event in line.notices] == ["lost", "reconnected"]


def test_a_backlog_ends_the_loss_without_a_reconnection(line: Line) -> None:
    line.run(1.0)
    line.source.plugged = False
    line.source.refuse = 1
    line.run(2.2)
    assert [event for _, event in line.notices] == ["late", "stalled", "lost"]
    line.source.plugged = True  # it was stalled: all rows come now, in order
    line.run(0.5)
    assert line.notices[-1][1] == "reconnected"
    assert len(line.source.calls) == 1
    assert line.rows == list(range(len(line.rows)))
    assert len(line.rows) >= 365
    assert line.gaps == []


def test_attempts_go_on_for_ever_at_the_last_pause(line: Line) -> None:
    line.run(1.0)
    line.source.plugged = False
    line.source.refuse = 10_000
    line.run(200.0)
    assert np.diff(line.source.calls)[-3:] == pytest.approx(BACK_OFF_S[-1], abs=0.011)


def test_an_end_is_no_loss() -> None:
    clock = ManualClock()
    source = FakeSource(clock, ends_at=50)
    notices: list[str] = []
    acquisition = Acquisition(
        source, INFO, TimelineConfig(), clock, watch=False, notice=lambda e, _: notices.append(e)
    )
    line = Line(clock, source, acquisition)
    line.run(10.0)
    assert acquisition.ended
    assert notices == []
    assert len(line.rows) >= 50


def test_without_a_watch_an_error_is_the_sessions_error() -> None:
    clock = ManualClock()
    source = FakeSource(clock, broken=True)
    acquisition = Acquisition(
        source, INFO, TimelineConfig(), clock, watch=False, notice=lambda *_: None
    )
    with pytest.raises(SourceError, match="connection is gone"):
        acquisition.step()
