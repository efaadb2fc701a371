"""Whatever the link does, every planted gap is found at its row, and nothing else is one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from usb_link import START, Link

from rtbci.clock import ManualClock
from rtbci.config import TimelineConfig
from rtbci.timeline import Timeline
from rtbci.types import Channel, Chunk, Marker, RawChunk, SourceClock, StreamInfo

BOARDS = st.sampled_from([(250.0, 256, 1), (125.0, 256, 2), (200.0, 256, 1), (1000.0, 65536, 1)])


@st.composite
def links(draw: st.DrawFn) -> tuple[Link, int]:
    """Draw a link with losses and stalls, far enough apart to be told apart, and its rows."""
    nominal, modulus, step = draw(BOARDS)
    rate = nominal * draw(st.floats(0.997, 1.003))
    turn = modulus // step
    lost: list[tuple[int, int]] = []
    stalls: list[tuple[float, float]] = []
    row = int(2 * rate)  # the line needs a moment before whole turns can be told by time
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            row += draw(st.integers(2, int(rate)))
            sizes = st.integers(1, 30) | st.integers(1, min(3 * turn, 800))
            lost.append((row, draw(sizes)))
            row += lost[-1][1] + int(0.6 * rate)
        else:
            start = row / rate + draw(st.floats(0.0, 0.5))
            stalls.append((start, start + draw(st.floats(0.05, 4.0))))
            row = int((stalls[-1][1] + 0.6) * rate)
    link = Link(
        rate, nominal, draw(st.floats(0.002, 0.023)), draw(st.floats(0.002, 0.010)),
        lost, stalls, draw(st.floats(0.0, 0.010)), modulus, step,
    )  # fmt: skip
    return link, row + int(0.5 * rate)


def deliver(link: Link, n: int, seed: int) -> list[Chunk]:
    timeline = Timeline(link.info(), TimelineConfig(), ManualClock(START + 1e4))
    chunks = []
    for raw in link.chunks(n, seed):
        chunks.append(timeline.push(raw))
        if len(chunks[-1].times):
            assert chunks[-1].times[-1] <= raw.received
    return [*chunks, timeline.flush()]


@given(links(), st.integers(0, 2**16))
def test_planted_gaps_are_found_exactly(drawn: tuple[Link, int], seed: int) -> None:
    link, n = drawn
    chunks = deliver(link, n, seed)
    rows = np.concatenate([c.data[:, 0] for c in chunks]).astype(int)
    times = np.concatenate([c.times for c in chunks])
    kept = np.ones(n, dtype=bool)
    planted = []
    for first, count in link.lost:
        planted.append((int(kept[:first].sum()), count))
        kept[first : first + count] = False
    assert rows.tolist() == np.flatnonzero(kept).tolist()
    gaps = [g for c in chunks for g in c.gaps]
    assert [(g.sample, g.missing) for g in gaps] == planted
    assert all(g.bridged == (g.length <= 0.1 * 1.005) for g in gaps)
    assert np.all(np.diff(times) > 0)
    assert np.abs(times - link.true_times(n)[rows])[int(2 * link.rate) :].max(initial=0.0) < 0.06
    for chunk in chunks:
        assert all(chunk.start <= g.sample < chunk.stop for g in chunk.gaps)


@settings(max_examples=20)
@given(links(), st.integers(0, 2**16), st.lists(st.integers(0, 400), max_size=20))
def test_a_replay_cut_otherwise_has_the_same_gaps_times_and_markers(
    drawn: tuple[Link, int], seed: int, cuts: list[int]
) -> None:
    """Recorded times and counters, in any chunks, give the session again."""
    link, n = drawn
    live = deliver(link, n, seed)
    data = np.concatenate([c.data for c in live])
    times = np.concatenate([c.times for c in live])
    counters = np.concatenate([c.counters for c in live if c.counters is not None])
    info = StreamInfo(
        "a file", "replay", link.nominal, (Channel("C3"),), SourceClock.EXACT, link.step,
        link.modulus,
    )  # fmt: skip
    markers = [Marker(float(times[i]), str(i)) for i in range(0, len(times), 97)]

    def replay(sizes: list[int]) -> tuple[list[tuple[int, int, bool]], bytes, set[tuple[str, int]]]:
        timeline = Timeline(info, TimelineConfig(), ManualClock())
        made: list[Chunk] = []
        at = 0
        for size in [*sizes, len(times)]:
            part = slice(at, at + size)
            at = min(len(times), at + size)
            mine = tuple(markers) if not made else ()
            made.append(
                timeline.push(RawChunk(data[part], times[part], START, counters[part], mine))
            )
        made.append(timeline.flush())
        return (
            [(g.sample, g.missing, g.bridged) for c in made for g in c.gaps],
            np.concatenate([c.times for c in made]).tobytes(),
            {(m.label, m.sample or 0) for c in made for m in c.markers},
        )

    gaps, again, placed = replay(cuts)
    assert gaps == [(g.sample, g.missing, g.bridged) for c in live for g in c.gaps]
    assert again == times.tobytes()
    assert placed == {(m.label, int(m.label)) for m in markers}
    assert (gaps, again, placed) == replay([])
