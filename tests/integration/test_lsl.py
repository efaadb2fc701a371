"""LSL sources against senders in other processes; rows carry their numbers.

How long anything takes is never asserted.
"""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rtbci.clock import MonotonicClock
from rtbci.config import TimelineConfig
from rtbci.errors import BadInputError, SourceError
from rtbci.sources.lsl import LSLSource, StreamEntry, list_streams
from rtbci.timeline import Timeline
from rtbci.types import ChannelType, SourceClock

if sys.platform == "win32":
    pytest.skip("stalls are made by POSIX signals", allow_module_level=True)

from lsl_outlet import LslOutlet, OutletSpec
from reading import Reading

CLOCKS_S = 0.02
"""How far a clock's correction may be off: it is measured, and a busy machine answers late."""


def unique(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}"


class Session(Reading):
    """A source that is open, and all that it gave."""

    def __init__(self, name: str, markers: str | None = None) -> None:
        clock = MonotonicClock()
        super().__init__(LSLSource(name, markers=markers, timeout_s=30.0, clock=clock), clock)

    def read_out(self) -> None:
        """Read until nothing is on its way any more, and reconnection fails."""
        self.read_until(lambda: not self.reconnected())


@pytest.fixture(scope="module")
def network() -> Iterator[dict[str, str]]:
    """Some streams that are there all the time, by what they are called."""
    names = {k: unique(k) for k in ("eeg", "kind", "id", "cues", "codes", "text", "acc", "twin")}
    streams = (
        OutletSpec(
            names["eeg"],
            type=names["kind"],
            source_id=names["id"],
            n_channels=5,
            labels=("Index", "C3..", "EEG Cz", "EOG-L", "Bat"),
            types=("misc", "EEG", "eeg", "EOG", "MISC"),
            units=("none", "volts", "microvolts", "millivolts", "percent"),
            value=2.0,
            format="double64",
        ),
        OutletSpec(names["cues"], type="Markers", rate=0.0, n_channels=1, format="string"),
        OutletSpec(names["codes"], type="Markers", rate=0.0, n_channels=1, format="int32"),
        OutletSpec(names["text"], format="string", n_channels=1),
        OutletSpec(
            names["acc"], type="Accelerometer", rate=50.0, n_channels=3, units=("g", "g", "g")
        ),
        OutletSpec(names["twin"], source_id=unique("a")),
        OutletSpec(names["twin"], source_id=unique("b")),
    )
    with LslOutlet(*streams):
        yield names


@pytest.mark.parametrize("by", ["eeg", "kind", "id"])
def test_found_by_name_type_or_source_id(network: dict[str, str], by: str) -> None:
    with Session(network[by]) as session:
        assert session.info.device["stream"] == network["eeg"]
        assert session.info.rate == 250.0


def test_channels_are_named_typed_and_in_microvolts(network: dict[str, str]) -> None:
    with Session(network["eeg"]) as session:
        session.read_rows(20)
    info = session.info
    assert [c.name for c in info.channels] == ["Index", "C3", "Cz", "EOG-L", "Bat"]
    assert info.electrodes == ("C3", "Cz")
    assert [c.type for c in info.channels][3:] == [ChannelType.EOG, ChannelType.MISC]
    assert [c.unit for c in info.channels][1:] == ["µV", "µV", "µV", "percent"]
    assert info.clock is SourceClock.REMOTE
    rows = np.concatenate([c.data for c in session.chunks])
    np.testing.assert_array_equal(rows[:, 1:], np.tile([2e6, 2, 2e3, 2], (len(rows), 1)))


def test_no_row_is_lost_doubled_or_out_of_time(network: dict[str, str]) -> None:
    with Session(network["eeg"], markers=network["cues"]) as session:
        session.read_rows(300)
        session.read_until(lambda: sum(len(c.markers) for c in session.chunks) >= 10)
    numbers, times = session.numbers, session.times
    np.testing.assert_array_equal(np.diff(numbers), 1)
    np.testing.assert_allclose(times - times[0], (numbers - numbers[0]) / 250, atol=CLOCKS_S)
    for chunk in session.chunks:
        assert np.all(chunk.times <= chunk.received + CLOCKS_S)
    markers = [m for c in session.chunks for m in c.markers]
    assert {m.origin for m in markers} == {"lsl"}
    said = [int(m.label.removeprefix("m")) for m in markers]
    np.testing.assert_array_equal(np.diff(said), 1)
    # Cue k was sent k / 20 s after the sender's start, row n at n / 250 s.
    start = times[0] - numbers[0] / 250
    np.testing.assert_allclose(
        [m.time - start for m in markers], np.divide(said, 20), atol=CLOCKS_S
    )


def test_numbers_can_be_markers(network: dict[str, str]) -> None:
    with Session(network["eeg"], markers=network["codes"]) as session:
        session.read_until(lambda: sum(len(c.markers) for c in session.chunks) >= 3)
    labels = [m.label for c in session.chunks for m in c.markers]
    assert all(label.isdigit() for label in labels)


def test_streams_of_two_rates_in_one_session(network: dict[str, str]) -> None:
    with Session(network["eeg"]) as eeg, Session(network["acc"]) as acc:
        eeg.read_rows(250)
        acc.read_rows(50)
    assert acc.info.rate == 50.0
    assert [c.type for c in acc.info.channels] == [ChannelType.ACCEL] * 3
    assert [(c.name, c.unit) for c in acc.info.channels] == [(f"Ch{i}", "g") for i in (1, 2, 3)]
    assert acc.info.eeg == ()
    np.testing.assert_array_equal(np.diff(acc.numbers), 1)
    # Both are on one clock: their senders began together.
    starts = eeg.times - eeg.numbers / 250, acc.times - acc.numbers / 50
    assert abs(starts[0].mean() - starts[1].mean()) < CLOCKS_S


def test_streams_are_listed(network: dict[str, str]) -> None:
    found: dict[str, StreamEntry] = {}
    for _ in range(20):
        found |= {e.name: e for e in list_streams(1.0)}
        if set(network.values()) & set(found) >= {network[k] for k in ("acc", "cues", "eeg")}:
            break
    assert found[network["acc"]].rate == 50.0
    assert found[network["cues"]].format == "string"
    assert not found[network["cues"]].regular
    assert found[network["eeg"]].source_id == network["id"]


def test_an_unknown_stream_names_those_that_are_there(network: dict[str, str]) -> None:
    source = LSLSource("nobody", timeout_s=0.6, clock=MonotonicClock())
    with pytest.raises(SourceError, match=r"'nobody' \(waited 0.6 s\).*Start the sender"):
        source.open()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("twin", "2 LSL streams have the name .*source_id or name"),
        ("text", "sends text, so it is no signal; give it as --markers"),
        ("codes", "has no regular rate, so it is no signal; give it as --markers"),
    ],
)
def test_what_can_t_be_the_signal_is_refused(network: dict[str, str], name: str, said: str) -> None:
    source = LSLSource(network[name], timeout_s=30.0, clock=MonotonicClock())
    with pytest.raises(BadInputError, match=said):
        open_often(source)


def test_a_signal_is_no_marker_stream(network: dict[str, str]) -> None:
    source = LSLSource(
        network["eeg"], markers=network["acc"], timeout_s=30.0, clock=MonotonicClock()
    )
    with pytest.raises(BadInputError, match="samples at a rate, so it is no marker stream"):
        source.open()
    with pytest.raises(SourceError, match="is not open; open it first"):
        source.read()


def test_a_killed_sender_comes_back_with_a_break() -> None:
    name = unique("killed")
    spec = OutletSpec(name, source_id=name)
    with LslOutlet(spec) as outlet, Session(name) as session:
        session.read_rows(100)
        outlet.kill()
        session.read_out()
        outlet.start()
        before = session.n_rows
        session.read_until(lambda: session.n_rows > before or session.reconnected())
        session.read_rows(100)
    # The sender counts anew, from where it was when it was found.
    assert session.breaks == [before]
    numbers = session.numbers
    np.testing.assert_array_equal(np.diff(numbers[:before]), 1)
    np.testing.assert_array_equal(np.diff(numbers[before:]), 1)
    assert np.all(np.diff(session.times) > 0)


def test_a_sender_without_source_id_is_found_again_by_its_name() -> None:
    name = unique("nameless")
    with LslOutlet(OutletSpec(name)) as outlet, Session(name) as session:
        session.read_rows(50)
        outlet.kill()
        with pytest.raises(SourceError, match=r"is gone: its sender .* has ended"):
            session.read_until(lambda: False)
        session.wait_for(lambda: _says(session, "does not answer; start its sender"))
        outlet.start()
        session.wait_for(session.reconnected)
        session.read_rows(50)
    (at,) = session.breaks
    np.testing.assert_array_equal(np.diff(session.numbers[at:]), 1)


def test_a_sender_that_comes_back_different_is_refused() -> None:
    name = unique("changed")
    outlet = LslOutlet(OutletSpec(name, n_channels=4))
    with outlet, Session(name) as session:
        session.read_rows(10)
        outlet.kill()
        with pytest.raises(SourceError, match="is gone"):
            session.read_until(lambda: False)
        with LslOutlet(OutletSpec(name, n_channels=8)):
            session.wait_for(lambda: _says(session, "came back with 8 channels"))


def test_a_stall_delays_and_loses_nothing() -> None:
    name = unique("stalled")
    with LslOutlet(OutletSpec(name, source_id=name)) as outlet, Session(name) as session:
        timeline = Timeline(session.info, TimelineConfig(), session.clock)
        session.read_rows(100)
        outlet.stall()
        silent_from = session.clock.now()
        session.wait_for(lambda: session.clock.now() - silent_from > 2.2)
        session.read_out()
        session.wait_for(lambda: _says(session, "does not answer"))
        outlet.go_on()
        session.wait_for(session.reconnected)
        session.read_rows(800)
    assert session.breaks == []
    np.testing.assert_array_equal(np.diff(session.numbers), 1)
    rows = [timeline.push(chunk) for chunk in session.chunks] + [timeline.flush()]
    assert [gap for chunk in rows for gap in chunk.gaps] == []
    assert sum(len(chunk.data) for chunk in rows) == session.n_rows


def open_often(source: LSLSource) -> None:
    """Open again and again: one of twins may answer much later than the other."""
    for _ in range(20):
        source.open()
        source.close()


def _says(session: Session, text: str) -> bool:
    try:
        session.source.reconnect()
    except SourceError as err:
        return text in str(err)
    return False


PLAYER = """
import json, sys
from mne_lsl.player import PlayerLSL
file, name = sys.argv[1:]
player = PlayerLSL(file, chunk_size=16, n_repeat=1, name=name, source_id=name)
player.start()
print("ready", flush=True)
sys.stdin.read()
player.stop()
"""


def test_mne_lsl_s_player_gives_the_file_s_very_values(data_dir: Path) -> None:
    import mne

    file = data_dir / "motor_imagery/eegmmidb/S001/S001R04.edf"
    raw = mne.io.read_raw_edf(file, preload=True, verbose="error")
    wanted = (raw.get_data() * 1e6).T.astype(np.float32)
    name = unique("player")
    player = subprocess.Popen(
        [sys.executable, "-c", PLAYER, str(file), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert player.stdout is not None
    try:
        while player.stdout.readline() not in ("ready\n", ""):
            pass
        with Session(name, markers=f"{name}-annotations") as session:
            session.read_rows(480)
            session.read_until(lambda: any(c.markers for c in session.chunks))
    finally:
        player.communicate()
    info = session.info
    assert (info.rate, len(info.eeg)) == (160.0, 64)
    assert info.electrodes[:4] == ("FC5", "FC3", "FC1", "FCz")
    rows = np.concatenate([c.data for c in session.chunks])
    start = next(i for i in range(len(wanted)) if np.array_equal(wanted[i], rows[0]))
    np.testing.assert_allclose(rows, wanted[start : start + len(rows)], rtol=1e-6, atol=1e-4)
    marker = next(m for c in session.chunks for m in c.markers)
    row = int(np.argmin(np.abs(session.times - marker.time)))
    onsets = {round(a["onset"] * 160): a for a in raw.annotations}
    nearest = min(onsets, key=lambda onset: abs(onset - (start + row)))
    # mne-lsl stamps a chunk's rows backwards from when it is sent; cues are 4 s apart.
    assert abs(nearest - (start + row)) <= 80
    assert marker.label == onsets[nearest]["description"]
    assert marker.duration == pytest.approx(onsets[nearest]["duration"])
