"""SIGKILL at any moment: what was written before is there, whole, and MNE opens it.

Run as a program, this file is the victim: it records a synthetic stream and prints how many
rows the recorder has taken.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mne
import numpy as np
import pytest

from rtbci.clock import MonotonicClock
from rtbci.config import SessionConfig
from rtbci.recording.layout import find_recordings
from rtbci.recording.reader import open_recording
from rtbci.recording.recover import recover
from rtbci.recording.writer import Recorder
from rtbci.types import (
    Channel,
    ChannelType,
    Chunk,
    Decode,
    FloatArray,
    Forecast,
    Gap,
    GapCause,
    Marker,
    StreamInfo,
)

RATE = 250.0
ELECTRODES = 22
MARKER_ROWS = 40
GAP_ROWS = 90
TOKEN_ROWS = 25
INFO = StreamInfo(
    "synthetic",
    "simulator",
    RATE,
    (
        *(Channel(f"E{i}") for i in range(ELECTRODES)),
        Channel("Accel X", ChannelType.ACCEL, "g"),
    ),
    counter_modulus=256,
)


def signal(start: int, stop: int) -> FloatArray:
    """Row and column planted in every value."""
    rows, columns = np.arange(start, stop), np.arange(len(INFO.channels)) / 32
    return (rows[:, None] + columns).astype(np.float32)


def chunk_of(start: int, stop: int, begun: float) -> Chunk:
    index = np.arange(start, stop)
    times = begun + (index + index // GAP_ROWS) / RATE
    gaps = tuple(
        Gap(i, begun, 1 / RATE, 1, GapCause.LOST_FRAMES, True)
        for i in range(start, stop)
        if i % GAP_ROWS == 0 and i
    )
    markers = tuple(
        Marker(begun, f"cue {i}", sample=i) for i in range(start, stop) if i % MARKER_ROWS == 0
    )
    return Chunk(start, signal(start, stop), times, float(times[-1]), index % 256, gaps, markers)


def victim(parent: Path, *, paced: bool) -> None:
    """Record until killed, in real time or as fast as it goes."""
    clock = MonotonicClock()
    begun = clock.now()
    recorder = Recorder(
        parent, INFO, SessionConfig(), subject="P07", task="kill", extra={}, started=begun
    )
    mean = np.zeros((250, ELECTRODES), dtype=np.float32)
    row, token = 0, 0
    while True:
        due = int((clock.now() - begun) * RATE) if paced else row + 3
        if due > row:
            recorder.write_chunk(chunk_of(row, due, begun))
            row = due
            while (token + 1) * TOKEN_ROWS <= row:
                p = np.array([0.5, 0.5])
                decode = Decode(token, row, begun, ("a", "b"), p, None, "", "none", True)
                recorder.write_decode(decode, begun, begun, {"compute": 0.0})
                forecast = Forecast(token, row, begun, RATE, mean, "ar")
                recorder.write_forecast(forecast, begun, begun, {"compute": 0.0})
                token += 1
            sys.stdout.write(f"{row} {token}\n")
            sys.stdout.flush()
        if paced:
            clock.sleep(0.004)


def kill_after(parent: Path, rows: int, mode: str) -> tuple[int, int]:
    """Start a victim, kill it once it has reported ``rows``; give the last report."""
    child = subprocess.Popen(
        [sys.executable, __file__, str(parent), mode], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    reported, tokens = 0, 0
    with child.stdout:
        for line in child.stdout:
            reported, tokens = map(int, line.split())
            if reported >= rows:
                break
        child.kill()
        for line in child.stdout:  # said before the kill, not yet read
            if line.endswith("\n"):
                reported, tokens = map(int, line.split())
    child.wait()
    return reported, tokens


KILLS = [("paced", seed) for seed in range(3)] + [("fast", seed) for seed in range(6)]


@pytest.mark.parametrize(("mode", "seed"), KILLS)
def test_nothing_reported_is_lost(tmp_path: Path, mode: str, seed: int) -> None:
    most = 400 if mode == "paced" else 6000
    rows = int(np.random.default_rng([seed, most]).integers(1, most))
    reported, tokens = kill_after(tmp_path, rows, mode)
    assert reported >= rows

    (files,) = find_recordings(tmp_path)
    torn = mne.io.read_raw_brainvision(files.main.header, verbose="error")  # before it is mended
    assert torn.n_times >= reported
    assert recover(tmp_path)
    assert recover(tmp_path) == []

    recording = open_recording(files.folder)
    n_rows = recording.n_rows
    assert n_rows >= reported
    assert recording.recovered
    assert recording.summary is not None
    assert recording.summary["samples"] == n_rows
    raw = mne.io.read_raw_brainvision(files.main.header, preload=True, verbose="error")
    assert raw.n_times == n_rows
    np.testing.assert_array_equal(recording.main.data(), signal(0, n_rows))
    np.testing.assert_allclose(
        raw.get_data()[:ELECTRODES].T * 1e6, signal(0, n_rows)[:, :ELECTRODES], rtol=1e-12
    )
    counters, known = recording.main.counters()
    assert known.all()
    np.testing.assert_array_equal(counters, np.arange(n_rows) % 256)

    cues = list(range(0, n_rows, MARKER_ROWS))
    gaps = list(range(GAP_ROWS, n_rows, GAP_ROWS))
    assert [m.sample for m in recording.markers()] == cues
    assert [m.label for m in recording.markers()] == [f"cue {i}" for i in cues]
    assert [g.sample for g in recording.gaps()] == gaps
    marks = [(a["description"], round(a["onset"] * RATE)) for a in raw.annotations]
    assert sorted(marks) == sorted(
        [(f"Stimulus/cue {i}", i) for i in cues] + [("New Segment/", i) for i in gaps]
    )
    decodes, forecasts = list(recording.decodes()), list(recording.forecasts())
    assert [d.decode.token for d in decodes] == list(range(len(decodes)))
    assert [f.token for f in forecasts] == list(range(len(forecasts)))
    assert min(len(decodes), len(forecasts)) >= tokens


if __name__ == "__main__":
    victim(Path(sys.argv[1]), paced=sys.argv[2] == "paced")
