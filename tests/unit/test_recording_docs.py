"""The code in docs/recording.md reads a recording as it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from rtbci.config import SessionConfig
from rtbci.recording.results import digest
from rtbci.recording.writer import Recorder
from rtbci.types import Channel, Chunk, Decode, Forecast, Marker, StreamInfo

DOCUMENT = Path(__file__).parents[2] / "docs" / "recording.md"


def test_code_blocks_read_a_recording(tmp_path: Path) -> None:
    info = StreamInfo("board", "simulator", 250.0, (Channel("C3"), Channel("C4")))
    recorder = Recorder(
        tmp_path, info, SessionConfig(), subject="P07", task="live", extra={}, started=0.0
    )
    data = np.arange(20, dtype=np.float32).reshape(10, 2)
    times = np.arange(10) / 250
    recorder.write_chunk(
        Chunk(0, data, times, 1.0, np.arange(10), (), (Marker(0.0, "cue", sample=0),))
    )
    mean = np.linspace(-50, 50, 500).reshape(250, 2).astype(np.float32)
    mean[:, 1] = np.nan
    recorder.write_forecast(Forecast(3, 9, 0.036, 250.0, mean, "ar"), 0.04, 0.05, {"compute": 0.01})
    p = np.array([0.2, 0.8])
    decode = Decode(3, 9, 0.036, ("a", "b"), p, "b", "", "ts+lr", True)
    recorder.write_decode(decode, 0.04, 0.05, {"compute": 0.01})
    recorder.close({})

    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, Any] = {"folder": recorder.folder}
    for block in blocks:
        exec(block, names)
    np.testing.assert_array_equal(names["data"], data)
    np.testing.assert_array_equal(names["rows"]["time"], times)
    np.testing.assert_array_equal(names["rows"]["counter"], np.arange(10))
    (record,) = names["records"]
    assert (record["token"], record["by"]) == (3, b"ar")
    assert record.dtype.itemsize == names["header"]["record_bytes"]
    np.testing.assert_array_equal(
        record["published"], mean[names["header"]["rows"]].astype(np.float16)
    )
    assert record["digest"].tobytes() == digest(mean)


def test_every_nan_has_the_documented_bits() -> None:
    """0x7fc00000, as docs/recording.md says, whatever made the NaN."""
    odd = np.array([[0xFFC00001]], dtype="<u4").view("<f4")
    assert np.float32(np.nan).tobytes() == bytes.fromhex("0000c07f")
    assert digest(odd) == digest(np.full((1, 1), np.nan, dtype=np.float32))
