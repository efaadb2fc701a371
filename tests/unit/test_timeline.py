"""The timeline: even times, true gaps, markers at their rows, for every kind of clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest
from usb_link import START, Link

from rtbci.clock import ManualClock
from rtbci.config import TimelineConfig
from rtbci.errors import BadInputError, SourceError
from rtbci.timeline import Timeline
from rtbci.types import (
    Channel,
    Chunk,
    Gap,
    GapCause,
    Marker,
    RawChunk,
    SourceClock,
    StreamInfo,
)

CONFIG = TimelineConfig()
RATE = 250.0


@dataclass
class Session:
    """All that a timeline gave."""

    timeline: Timeline
    chunks: list[Chunk]

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        return np.concatenate([c.data[:, 0] for c in self.chunks]).astype(np.int64)

    @property
    def times(self) -> npt.NDArray[np.float64]:
        return np.concatenate([c.times for c in self.chunks])

    @property
    def gaps(self) -> list[Gap]:
        return [g for c in self.chunks for g in c.gaps]

    @property
    def markers(self) -> list[Marker]:
        return [m for c in self.chunks for m in c.markers]

    def found(self) -> list[tuple[int, int]]:
        return [(g.sample, g.missing) for g in self.gaps]


def run(info: StreamInfo, raw: Iterable[RawChunk]) -> Session:
    timeline = Timeline(info, CONFIG, ManualClock(START + 1e4))
    chunks = []
    for chunk in raw:
        chunks.append(timeline.push(chunk))
        if info.clock is not SourceClock.EXACT and len(chunks[-1].times):
            assert chunks[-1].times[-1] <= chunk.received
    chunks.append(timeline.flush())
    session = Session(timeline, chunks)
    assert np.all(np.diff(session.times) > 0)
    starts = np.cumsum([0] + [len(c.data) for c in chunks])[:-1]
    assert [c.start for c in chunks] == starts.tolist()
    return session


def chunk(
    rows: Sequence[int],
    times: Sequence[float] | npt.NDArray[np.float64],
    received: float | None = None,
    counters: Sequence[int] | None = None,
    markers: tuple[Marker, ...] = (),
    breaks: tuple[int, ...] = (),
) -> RawChunk:
    stamps = np.asarray(times, dtype=np.float64)
    return RawChunk(
        np.asarray(rows, dtype=np.float32).reshape(-1, 1),
        stamps,
        float(stamps[-1]) if received is None else received,
        None if counters is None else np.asarray(counters, dtype=np.int64),
        markers,
        breaks,
    )


def remote(rate: float = RATE) -> StreamInfo:
    return StreamInfo("a stream", "lsl", rate, (Channel("C3"),), SourceClock.REMOTE)


def exact(modulus: int | None = None, step: int = 1) -> StreamInfo:
    return StreamInfo(
        "a file", "replay", RATE, (Channel("C3"),), SourceClock.EXACT, step, modulus
    )  # fmt: skip


# HOST: receive times in bunches


@pytest.mark.parametrize(
    "link",
    [
        Link(rate=250.3),
        Link(rate=250.3, batch_s=0.023, poll_s=0.010),
        Link(rate=249.0, jitter_s=0.010),
        Link(rate=124.72, nominal=125.0, step=2),
        Link(rate=250.3, modulus=None),
    ],
    ids=["plain", "long batches", "jitter", "daisy", "no counter"],
)
def test_times_are_even_after_ten_seconds(link: Link) -> None:
    """Rows come up to 23 ms late in bunches; their times scatter by well under 1 ms."""
    n = int(40 * link.rate)
    session = run(link.info(), link.chunks(n))
    assert session.rows.tolist() == list(range(n))
    assert session.gaps == []
    error = session.times - link.true_times(n)
    late = error[int(10 * link.rate) :]
    assert np.ptp(late) < 1e-3
    assert late.std() < 0.4e-3
    assert 0.0 < late.mean() + 0.001 < 0.020
    assert session.timeline.rate == pytest.approx(link.rate, rel=1e-4)
    assert np.ptp(np.diff(session.times[int(10 * link.rate) :])) < 0.1e-3


def test_every_loss_is_found_at_its_row_also_whole_turns_of_the_counter() -> None:
    lost = [(1000, 1), (2000, 3), (3000, 25), (4000, 26), (5000, 300), (7000, 256), (9000, 512),
            (11000, 255)]  # fmt: skip
    session = run(Link(lost=lost).info(), Link(lost=lost).chunks(13_000))
    before = np.cumsum([0] + [n for _, n in lost])
    assert session.found() == [(f - b, n) for (f, n), b in zip(lost, before, strict=False)]
    assert {g.cause for g in session.gaps} == {GapCause.LOST_FRAMES}
    assert [g.bridged for g in session.gaps] == [n <= 25 for _, n in lost]
    for gap, (first, n) in zip(session.gaps, lost, strict=True):
        assert gap.length == pytest.approx(n / RATE, rel=2e-3)
        assert gap.start == pytest.approx(START + first / RATE, abs=0.025)


def test_delay_is_not_loss() -> None:
    """A stall of 3 s, also of exactly one turn of the counter, whose backlog comes."""
    link = Link(stalls=((20.0, 23.0), (30.0, 31.024), (40.0, 40.3)))
    session = run(link.info(), link.chunks(15_000))
    assert session.rows.tolist() == list(range(15_000))
    assert session.gaps == []
    error = session.times - link.true_times(15_000)
    assert np.ptp(error[2500:]) < 1e-3


@pytest.mark.parametrize("modulus", [256, None])
def test_a_backlog_that_trickles_in_is_no_loss(modulus: int | None) -> None:
    """The backlog of 2 s comes in reads of 60 rows every 60 ms, not at once."""
    info = Link(modulus=modulus).info()
    rows = np.arange(3500)
    came = START + rows / RATE + 0.004
    late = came > START + 8.0
    came[late] = np.maximum(came[late], START + 10.0 + 0.06 * (np.arange(late.sum()) // 60))
    raw = [
        chunk(rows[came == t].tolist(), came[came == t], t,
              None if modulus is None else (rows[came == t] % 256).tolist())
        for t in np.unique(came)
    ]  # fmt: skip
    session = run(info, raw)
    assert session.rows.tolist() == rows.tolist()
    assert session.gaps == []


def test_a_corrupted_counter_is_no_loss() -> None:
    link = Link()
    raw = link.chunks(5000)
    for k, value in ((200, 77), (300, 3), (400, 250)):
        counters = raw[k].counters
        assert counters is not None
        counters[-1] = value  # also as the newest row of its read
    session = run(link.info(), raw)
    assert session.rows.tolist() == list(range(5000))
    assert session.gaps == []


def test_a_jump_of_the_newest_row_waits_for_the_next_one() -> None:
    timeline = Timeline(Link().info(), CONFIG, ManualClock())
    t = START + np.arange(10) / RATE
    timeline.push(chunk([0, 1], t[:2], counters=[0, 1]))
    assert len(timeline.push(chunk([4], t[4:5], counters=[4])).data) == 0
    assert timeline.waiting == 1
    made = timeline.push(chunk([5], t[5:6], counters=[5]))
    assert made.data[:, 0].tolist() == [4, 5]
    assert [(g.sample, g.missing) for g in made.gaps] == [(2, 2)]


def test_a_counter_that_begins_anew_is_no_loss() -> None:
    """A board that was reset counts from 0 again; so many rows can't be missing."""
    link = Link()
    raw = [replace(c, counters=(c.data[:, 0].astype(np.int64) - 1234).clip(0) % 256)
           if c.data[0, 0] >= 1234 else c for c in link.chunks(3000)]  # fmt: skip
    session = run(link.info(), raw)
    assert session.rows.tolist() == list(range(3000))
    assert session.gaps == []


def test_daisy_repeats_are_dropped_and_counted() -> None:
    """An even packet lost: the number before comes again, with stale Daisy values."""
    link = Link(rate=125.0, nominal=125.0, step=2, lost=[(700, 1)])
    raw = link.chunks(1500)
    doubled = []
    for c in raw:
        assert c.counters is not None
        counters = c.counters.copy()
        counters[c.data[:, 0] == 500] -= 2
        doubled.append(replace(c, counters=counters))
    session = run(link.info(), doubled)
    assert session.timeline.state.repeats == 1
    assert session.found() == [(500, 1), (699, 1)]
    assert 500 not in session.rows
    assert 700 not in session.rows


def test_no_counter_a_loss_is_a_silence_without_backlog() -> None:
    link = Link(modulus=None, lost=[(3000, 250)], stalls=((30.0, 31.0),))
    session = run(link.info(), link.chunks(12_000))
    assert [g.sample for g in session.gaps] == [3000]
    assert session.gaps[0].missing == pytest.approx(250, abs=6)  # a batch is 4 rows long
    assert session.gaps[0].cause is GapCause.STALL


def test_a_reconnection_is_a_gap_of_the_time_it_took() -> None:
    """Unplugged for 5 s; the board counts from 0 again."""
    link = Link(rate=250.3)
    first = link.chunks(2503)
    again = [
        replace(c, times=c.times + 15.0, received=c.received + 15.0, data=c.data + 2503)
        for c in link.chunks(2503, seed=1)
    ]
    again[0] = replace(again[0], breaks=(0,))
    session = run(link.info(), first + again)
    assert session.rows.tolist() == list(range(5006))
    (gap,) = session.gaps
    assert (gap.sample, gap.cause, gap.bridged) == (2503, GapCause.RECONNECT, False)
    assert gap.length == pytest.approx(5.0, abs=0.03)
    assert gap.missing == pytest.approx(1250, abs=8)
    error = session.times[3000:] - (link.true_times(2503)[497:] + 15.0)
    assert np.abs(error).max() < 0.03


def test_a_break_without_rows_stands_before_the_next_one() -> None:
    timeline = Timeline(Link().info(), CONFIG, ManualClock())
    t = START + np.arange(10) / RATE
    timeline.push(chunk([0, 1], t[:2], counters=[0, 1]))
    empty = RawChunk(np.zeros((0, 1), np.float32), np.zeros(0), START + 5, breaks=(0,))
    assert len(timeline.push(empty).data) == 0
    made = timeline.push(chunk([2], t[2:3] + 5.0, counters=[0]))
    assert [(g.sample, g.cause) for g in made.gaps] == [(2, GapCause.RECONNECT)]
    assert timeline.push(chunk([3], t[3:4] + 5.0, counters=[1])).gaps == ()


def test_times_recover_from_a_first_read_that_came_late() -> None:
    link = Link(stalls=((0.0, 0.4),))
    session = run(link.info(), link.chunks(5000))
    error = session.times - link.true_times(5000)
    assert np.ptp(error[2500:]) < 1e-3
    assert session.gaps == []


# REMOTE: a sender's stamps


def stamped(
    stamps: npt.NDArray[np.float64], *, per_read: int = 5, latency: float = 0.01
) -> list[RawChunk]:
    rows = np.arange(len(stamps))
    true = START + rows / RATE
    return [
        chunk(rows[i : i + per_read].tolist(), stamps[i : i + per_read],
              max(float(true[i : i + per_read][-1]), START) + latency)
        for i in range(0, len(stamps), per_read)
    ]  # fmt: skip


def test_remote_jitter_is_smoothed() -> None:
    true = START + np.arange(10_000) / RATE
    stamps = true + np.random.default_rng(0).normal(scale=0.003, size=len(true))
    session = run(remote(), stamped(stamps, latency=0.03))
    assert session.gaps == []
    error = session.times - true
    assert error[2500:].std() < 0.3e-3
    assert abs(error[2500:].mean()) < 0.5e-3


def test_remote_a_sender_that_lost_rows() -> None:
    true = START + np.arange(6000) / RATE
    kept = np.delete(np.arange(6000), np.r_[3000:3001, 5000:5250])
    rows = [chunk([int(r)], [true[r]], true[r] + 0.01) for r in kept]
    session = run(remote(), rows)
    assert session.found() == [(3000, 1), (4999, 250)]
    assert {g.cause for g in session.gaps} == {GapCause.STALL}
    assert [g.bridged for g in session.gaps] == [True, False]


def test_remote_backlog_has_its_own_stamps_and_is_no_gap() -> None:
    """The network stalls for 20 s; the rows come with the stamps that they were sent with."""
    true = START + np.arange(10_000) / RATE
    raw = stamped(true)
    raw = [replace(c, received=START + 30.0) if 10 < c.received - START < 30 else c for c in raw]
    session = run(remote(), raw)
    assert session.gaps == []
    assert np.abs(session.times - true)[2500:].max() < 1e-3


def test_remote_a_sender_that_hung_stamps_its_backlog_late() -> None:
    true = START + np.arange(10_000) / RATE
    stamps = true.copy()
    stamps[5000:5125] = true[5125]
    raw = [replace(c, received=max(c.received, float(c.times[-1]))) for c in stamped(stamps)]
    session = run(remote(), raw)
    assert session.gaps == []
    assert np.abs(session.times - true)[2500:].max() < 2e-3


def test_remote_stamps_from_the_future_are_held_at_the_clock() -> None:
    """The de-jittering of liblsl put a backlog 1.6 s into the future."""
    true = START + np.arange(10_000) / RATE
    stamps = true.copy()
    stamps[5000:5500] += 1.6
    session = run(remote(), stamped(stamps))
    assert session.gaps == []
    assert np.abs(session.times - true)[2500:].max() < 0.02


@pytest.mark.parametrize("back", [0.3, 3600.0])
def test_remote_clock_set_back_goes_on(back: float) -> None:
    true = START + np.arange(10_000) / RATE
    stamps = true.copy()
    stamps[5000:] -= back
    session = run(remote(), stamped(stamps))
    assert session.gaps == []
    assert np.abs(session.times - true)[2500:].max() < 0.1


# EXACT: times are known


def test_exact_times_are_passed_on_bit_for_bit() -> None:
    t = START + np.arange(1000) / RATE + 1e-4 * np.sin(np.arange(1000))
    session = run(exact(), [chunk(range(400), t[:400]), chunk(range(400, 1000), t[400:])])
    assert session.times.tobytes() == t.tobytes()
    assert session.gaps == []
    assert session.timeline.rate == RATE


def test_exact_gaps_from_times_counters_and_breaks() -> None:
    rows = np.delete(np.arange(2000), np.r_[500:520, 900:1300])
    raw = [
        chunk(r.tolist(), START + r / RATE, counters=(r % 256).tolist())
        for r in (rows[i : i + 100] for i in range(0, len(rows), 100))
    ]  # fmt: skip
    raw[15] = replace(raw[15], breaks=(50,))
    session = run(exact(256), raw)
    assert session.found() == [(500, 20), (880, 400), (1550, 0)]
    assert [g.cause for g in session.gaps] == [
        GapCause.LOST_FRAMES, GapCause.LOST_FRAMES, GapCause.SOURCE,
    ]  # fmt: skip
    assert [g.bridged for g in session.gaps] == [True, False, False]
    assert session.gaps[0].start == pytest.approx(START + 500 / RATE)
    assert session.gaps[0].length == pytest.approx(20 / RATE)
    assert [(s, m) for s, m in run(exact(), raw).found()] == session.found()


def test_exact_counters_show_a_loss_that_made_up_times_hide() -> None:
    """OpenBCI text files: sample index with holes, times counted out by row."""
    rows = np.delete(np.arange(600), np.r_[100:103])
    t = START + np.arange(len(rows)) / RATE
    session = run(exact(256), [chunk(rows.tolist(), t, counters=(rows % 256).tolist())])
    (gap,) = session.gaps
    assert (gap.sample, gap.missing, gap.cause) == (100, 3, GapCause.LOST_FRAMES)
    assert gap.length == pytest.approx(3 / RATE)
    assert session.times.tobytes() == t.tobytes()


def test_exact_times_that_run_backwards_go_on_behind_the_last_row() -> None:
    t = START + np.arange(300) / RATE
    t[200:] -= 100.0
    session = run(exact(), [chunk(range(250), t[:250]), chunk(range(250, 300), t[250:])])
    np.testing.assert_allclose(np.diff(session.times), 1 / RATE, rtol=1e-6)
    (gap,) = session.gaps
    assert (gap.sample, gap.missing, gap.cause) == (200, 0, GapCause.SOURCE)
    assert not gap.bridged


def test_a_recorded_session_has_the_same_gaps_when_it_is_replayed() -> None:
    """What the pipeline does at a gap must not depend on whether it is live."""
    link = Link(rate=250.4, lost=[(900, 1), (1000, 24), (2000, 25), (3000, 26), (4000, 700)])
    live = run(link.info(), link.chunks(8000))
    raw = [
        RawChunk(c.data, c.times, c.received, c.counters) for c in live.chunks if len(c.data)
    ]  # fmt: skip
    for info in (exact(256), exact()):
        again = run(info, raw)
        assert [g.sample for g in again.gaps] == [g.sample for g in live.gaps]
        assert [g.bridged for g in again.gaps] == [g.bridged for g in live.gaps]
        assert [g.missing for g in again.gaps][:4] == [g.missing for g in live.gaps][:4]
    assert run(exact(256), raw).found() == live.found()


# Markers


def test_markers_find_the_nearest_row_also_before_it_has_come() -> None:
    t = START + np.arange(1000) / RATE
    cue = Marker(float(t[600]), "T1", 4.1)
    raw = [
        chunk(range(500), t[:500], markers=(cue, Marker(float(t[100]) + 0.0015, "near"))),
        chunk(range(500, 1000), t[500:], markers=(Marker(float(t[10]), "late"),)),
    ]
    session = run(exact(), raw)
    assert [m.label for m in session.chunks[0].markers] == ["near"]
    assert [(m.label, m.sample) for m in session.markers] == [
        ("near", 100), ("late", 10), ("T1", 600),
    ]  # fmt: skip
    assert session.markers[2].duration == 4.1
    assert session.markers[2].time == t[600]


def test_a_marker_inside_a_gap_belongs_to_the_row_behind_it() -> None:
    rows = np.delete(np.arange(100), np.r_[50:60])
    t = START + rows / RATE
    marker = Marker(START + 55 / RATE, "in")
    session = run(exact(), [chunk(rows.tolist(), t, markers=(marker,))])
    assert [(m.label, m.sample) for m in session.markers] == [("in", 50)]


def test_flush_places_what_never_got_its_row() -> None:
    t = START + np.arange(100) / RATE
    session = run(exact(), [chunk(range(100), t, markers=(Marker(START + 9, "end"),))])
    assert [(m.label, m.sample) for m in session.chunks[-1].markers] == [("end", 99)]


def test_a_board_marker_stays_with_its_row() -> None:
    """A marker that the board attached to a row keeps it, though row and stamp differ by 20 ms."""
    link = Link(lost=[(999, 1)])
    raw = link.chunks(3000)
    for k, c in enumerate(raw):
        at = np.flatnonzero(c.data[:, 0] == 1000)
        if len(at):
            marker = Marker(float(c.times[at[0]]), "7", origin="board", sample=int(at[0]))
            raw[k] = replace(c, markers=(marker,))
    session = run(link.info(), raw)
    (marker,) = session.markers
    assert marker.sample is not None
    assert session.rows[marker.sample] == 1000


def test_a_marker_of_a_row_that_came_earlier_keeps_its_row() -> None:
    link = Link(lost=[(999, 1)])
    raw = link.chunks(3000)
    late = len(raw) // 2
    rows = np.concatenate([c.data[:, 0] for c in raw[:late]])
    back = int(np.flatnonzero(rows == 1000)[0]) - len(rows)
    assert back < 0
    marker = Marker(0.0, "7", origin="board", sample=back)  # whatever its time
    raw[late] = replace(raw[late], markers=(marker,))
    session = run(link.info(), raw)
    (marker,) = session.markers
    assert marker.sample is not None
    assert session.rows[marker.sample] == 1000


@pytest.mark.parametrize(("back", "sample"), [(-3, 7), (-99, 0)])
def test_exact_rows_are_counted_back_to_the_first_at_most(back: int, sample: int) -> None:
    timeline = Timeline(exact(), CONFIG, ManualClock(START + 1.0))
    t = START + np.arange(20) / RATE
    timeline.push(chunk(range(10), t[:10]))
    late = Marker(0.0, "7", sample=back)
    (marker,) = timeline.push(replace(chunk(range(10, 20), t[10:]), markers=(late,))).markers
    assert marker.sample == sample


def test_a_marker_of_the_user_is_stamped_by_the_clock() -> None:
    clock = ManualClock(START + 0.5)
    timeline = Timeline(exact(), CONFIG, clock)
    timeline.mark("blink")
    t = START + np.arange(200) / RATE
    (marker,) = timeline.push(chunk(range(200), t)).markers
    assert (marker.label, marker.origin, marker.sample) == ("blink", "user", 125)


# What can't be


def test_a_stream_without_a_rate_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"sampling rate of 0\.0 Hz"):
        Timeline(remote(rate=0.0), CONFIG, ManualClock())


def test_a_counter_that_cannot_count_is_refused() -> None:
    with pytest.raises(BadInputError, match="steps of 3 modulo 256"):
        Timeline(exact(256, step=3), CONFIG, ManualClock())


def test_rows_that_do_not_fit_are_refused() -> None:
    t = START + np.arange(3) / RATE
    timeline = Timeline(Link().info(), CONFIG, ManualClock())
    with pytest.raises(SourceError, match=r"gave nan s as the time of row 1"):
        timeline.push(chunk([0, 1, 2], [t[0], np.nan, t[2]], counters=[0, 1, 2]))
    with pytest.raises(SourceError, match="3 rows but 2 times"):
        timeline.push(chunk([0, 1, 2], t[:2], counters=[0, 1, 2]))
    with pytest.raises(SourceError, match="without the package counter"):
        timeline.push(chunk([0, 1, 2], t))
    with pytest.raises(SourceError, match="has 1 channels"):
        timeline.push(RawChunk(np.zeros((1, 2), np.float32), t[:1], START))


def test_empty_reads_give_empty_chunks() -> None:
    timeline = Timeline(Link().info(), CONFIG, ManualClock(START))
    empty = RawChunk(np.zeros((0, 1), np.float32), np.zeros(0), START)
    for made in (timeline.push(empty), timeline.flush()):
        assert made.data.shape == (0, 1)
        assert made.start == 0
        assert made.gaps == ()
        assert made.markers == ()
