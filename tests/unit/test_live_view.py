"""A view: what one process puts in, another reads whole, or not at all."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtbci.errors import BadInputError
from rtbci.live import layout, registry
from rtbci.live.memory import MemoryView
from rtbci.live.reader import LiveView
from rtbci.live.registry import EVENTS_FILE, VIEW_FILE, SessionEntry
from rtbci.live.view import View, ViewInfo
from rtbci.live.writer import STATUS_BYTES, ViewWriter, ring_seconds
from rtbci.types import Channel, ChannelType, Chunk, Decode, Forecast

HOP_S = 0.1
INFO = ViewInfo(
    session="0a1b2c",
    source="a source",
    kind="simulator",
    rate=250.0,
    channels=(
        Channel("C3", full_scale=187500.0),
        Channel("C4"),
        Channel("T", ChannelType.TRIG, ""),
    ),
    electrodes=("C3", "C4"),
    model_rate=250.0,
    model="ar",
    classes=("left_hand", "right_hand"),
    decoder="ar, uncalibrated",
    calibrated=False,
    n_horizons=5,
    recording=None,
    subject="P07",
    begun=None,
    ring_s=2.0,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a session of this process that runs."""
    monkeypatch.setattr(registry, "runtime_folder", lambda: tmp_path)
    made = registry.session_folder(INFO.session)
    made.mkdir(parents=True)
    (made / EVENTS_FILE).touch()
    SessionEntry(INFO.session, made, 1, 0.0, INFO.source).write()
    return made


def chunk(start: int, n: int) -> Chunk:
    rows = np.arange(start, start + n)
    data = np.stack([rows, -rows, rows % 2], axis=1).astype(np.float32)
    return Chunk(start, data, rows / 250.0 + 100.0, received=0.0)


def forecast(token: int) -> Forecast:
    mean = np.full((5, 2), token, dtype=np.float32)
    mean[:, 1] = np.nan
    return Forecast(token, 25 * token, 100.0 + token / 10, 250.0, mean, "direct")


def decode(token: int, **change: Any) -> Decode:
    made = Decode(
        token,
        25 * token,
        100.0 + token / 10,
        INFO.classes,
        np.array([1 / 3, 2 / 3]),
        "right_hand",
        "",
        INFO.decoder,
        False,
        (-0.1, 0.1),
        (0.85, 0.4),
        ("eyes",),
    )
    return replace(made, **change)


def same(one: Any, other: Any) -> bool:
    """Whether two results are the same to the last bit."""
    pairs = [(getattr(one, f.name), getattr(other, f.name)) for f in fields(one)]
    return all(
        np.array_equal(a, b, equal_nan=True) if isinstance(a, np.ndarray) else a == b
        for a, b in pairs
    )


def test_what_is_put_in_comes_out_and_both_views_agree(folder: Path) -> None:
    writer = ViewWriter(folder / VIEW_FILE, INFO, HOP_S, time.monotonic())
    memory: MemoryView = MemoryView(INFO)
    live = LiveView.open(folder)
    views: tuple[View, View] = (live, memory)
    assert live.info == INFO
    assert [view.status() for view in views] == [None, None]
    assert [len(view.rows(0).data) for view in views] == [0, 0]
    start = 0
    for token, n in enumerate((1, 7, 100, 393, 250, 3, 700, 25)):
        made = chunk(start, n)
        writer.rows(made)
        memory.push_rows(made.data, made.times)
        writer.filtered(made.data[:, :2], made.times, token % 3 == 0)
        memory.push_filtered(made.data[:, :2], made.times, segment=token % 3 == 0)
        said = decode(token) if token % 2 else decode(token, p=np.full(2, np.nan), reason="no")
        writer.decode(said)
        memory.push_decode(said)
        writer.forecast(forecast(token))
        memory.push_forecast(forecast(token))
        start += n
        for after, limit in ((0, None), (0, 10), (start - 3, None), (start, None), (start + 9, 5)):
            for one, other in (
                (live.rows(after, limit), memory.rows(after, limit)),
                (live.filtered(after, limit), memory.filtered(after, limit)),
            ):
                assert one.start == other.start
                np.testing.assert_array_equal(one.data, other.data)
                np.testing.assert_array_equal(one.times, other.times)
        for token_before in (-1, token - 1, token):
            for got, wanted in (
                (live.forecasts(token_before), memory.forecasts(token_before)),
                (live.decodes(token_before), memory.decodes(token_before)),
            ):
                assert len(got) == len(wanted) <= token + 1
                assert all(same(a, b) for a, b in zip(got, wanted, strict=True))
        np.testing.assert_array_equal(live.filtered_breaks(1), memory.filtered_breaks(1))
    assert live.info.begun == memory.info.begun == 100.0
    assert live.rows(0).start == start - 500
    assert list(live.filtered_breaks(1)) == [108, 754]
    writer.status({"event": "status", "t_s": 1.0})
    writer.status({"event": "status", "t_s": 2.0})
    writer.status({"event": "status", "t_s": 3.0, "long": "x" * STATUS_BYTES})
    assert live.status() == {"event": "status", "t_s": 2.0}
    live.close()


def test_a_reason_that_does_not_fit_is_cut_and_the_decode_still_read(folder: Path) -> None:
    writer = ViewWriter(folder / VIEW_FILE, INFO, HOP_S, 0.0)
    writer.decode(decode(0, reason="C3 left out, " * 1000, p=np.full(2, np.nan)))
    live = LiveView.open(folder)
    [got] = live.decodes(-1)
    assert got.reason.startswith("C3 left out")
    assert got.reason.endswith("...")
    live.close()


def test_events_are_read_line_by_line_from_where_the_last_read_ended(folder: Path) -> None:
    ViewWriter(folder / VIEW_FILE, INFO, HOP_S, 0.0)
    live = LiveView.open(folder)
    assert live.events(0) == ([], 0)
    with (folder / EVENTS_FILE).open("a", encoding="utf-8") as file:
        file.write('{"event": "note", "message": "µ"}\n{"event": "torn')
        file.flush()
        first, at = live.events(0)
        assert [e["event"] for e in first] == ["note"]
        file.write(' no more"}\n')
    rest, at = live.events(at)
    assert [e["event"] for e in rest] == ["torn no more"]
    assert live.events(at) == ([], at)
    live.close()


def test_a_view_of_nobody_or_of_another_version_says_so(folder: Path) -> None:
    with pytest.raises(BadInputError, match="there is no session in"):
        LiveView.open(folder)
    (folder / VIEW_FILE).write_bytes(b"")
    with pytest.raises(BadInputError, match="not ready yet"):
        LiveView.open(folder)
    (folder / VIEW_FILE).write_bytes(b"rtbci 9\n" + bytes(4096))
    with pytest.raises(BadInputError, match="another version"):
        LiveView.open(folder)


def test_many_channels_are_kept_for_a_shorter_time() -> None:
    assert ring_seconds(250.0, 64) == 60.0
    assert ring_seconds(1000.0, 256) < 60.0
    assert ring_seconds(20000.0, 1024) == 12.0


WRITER = """
import sys
from pathlib import Path
import numpy as np
from rtbci.live import layout
from rtbci.live.layout import RingShape

shapes = {"ring": RingShape(32, {"a": ("i8", (16,)), "b": ("i8", ())})}
ring = layout.create(Path(sys.argv[1]), {}, 0, shapes).rings["ring"]
print("ready", flush=True)
rng, at = np.random.default_rng(0), 0
while True:
    n = int(rng.integers(1, 40))
    rows = np.arange(at, at + n)
    ring.write(a=np.repeat(rows[:, None], 16, axis=1), b=rows)
    at += n
"""


def test_a_reader_in_another_process_never_sees_a_torn_row(tmp_path: Path) -> None:
    """The writer is as fast as it can be, on a ring so small that it laps the reader often."""
    path = tmp_path / "ring.bin"
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            ring = layout.attach(path).rings["ring"]
            seen = lapped = whole = 0
            while whole < 2000 or lapped == 0:
                start, got = ring.read(seen)
                lapped += start > seen
                whole += len(got["b"]) > 0
                wanted = np.arange(start, start + len(got["b"]))
                np.testing.assert_array_equal(got["b"], wanted)
                np.testing.assert_array_equal(got["a"], np.repeat(wanted[:, None], 16, axis=1))
                seen = start + len(got["b"])
                assert writer.poll() is None
        finally:
            writer.kill()
