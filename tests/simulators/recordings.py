"""Small recordings of many formats, written by hand so that every byte is known."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt


def write_edf(
    path: Path, labels: Sequence[str], data_uv: npt.NDArray[np.float64], rate: int = 100
) -> None:
    """Write plain EDF: data (n_times, n_channels) µV, whole seconds, 0.1 µV a count."""
    n, n_records = len(labels), len(data_uv) // rate

    def field(value: object, width: int) -> bytes:
        return str(value).ljust(width).encode("ascii")[:width]

    head = field("0", 8) + field("X X X X", 80) + field("Startdate X X X X", 80)
    head += field("01.01.20", 8) + field("00.00.00", 8) + field(256 * (n + 1), 8) + field("", 44)
    head += field(n_records, 8) + field(1, 8) + field(n, 4)
    for values, width in (
        (labels, 16),
        ([""] * n, 80),
        (["uV"] * n, 8),
        (["-3276.8"] * n, 8),
        (["3276.7"] * n, 8),
        (["-32768"] * n, 8),
        (["32767"] * n, 8),
        ([""] * n, 80),
        ([str(rate)] * n, 8),
        ([""] * n, 32),
    ):
        head += b"".join(field(v, width) for v in values)
    counts = np.round(data_uv[: n_records * rate] * 10).astype("<i2")
    blocks = counts.reshape(n_records, rate, n).transpose(0, 2, 1)
    path.write_bytes(head + blocks.tobytes())


def write_brainvision(
    path: Path,
    labels: Sequence[str],
    data_uv: npt.NDArray[np.float64],
    markers: Sequence[tuple[str, str, int]],
    rate: int = 100,
) -> None:
    """Write BrainVision in float32: markers are (type, description, row)."""
    stem = path.stem
    path.with_suffix(".eeg").write_bytes(data_uv.astype("<f4").tobytes())
    path.with_suffix(".vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={stem}.eeg\n\n[Marker Infos]\n"
        + "".join(f"Mk{i}={t},{d},{r + 1},1,0\n" for i, (t, d, r) in enumerate(markers, 1)),
        encoding="utf-8",
    )
    path.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={stem}.eeg\nMarkerFile={stem}.vmrk\nDataFormat=BINARY\n"
        f"DataOrientation=MULTIPLEXED\nNumberOfChannels={len(labels)}\n"
        f"SamplingInterval={1_000_000 // rate}\n\n[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n\n"
        "[Channel Infos]\n" + "".join(f"Ch{i}={n},,1,µV\n" for i, n in enumerate(labels, 1)),
        encoding="utf-8",
    )


def write_xdf(path: Path, streams: Sequence[XdfStream]) -> None:
    """Write an XDF file (version 1.0) of float32 and string streams."""
    out = b"XDF:" + _chunk(1, b"<?xml version='1.0'?><info><version>1.0</version></info>")
    for i, stream in enumerate(streams, start=1):
        out += _chunk(2, struct.pack("<I", i) + stream.header().encode())
        out += _chunk(3, struct.pack("<I", i) + stream.samples())
    path.write_bytes(out)


class XdfStream:
    """One stream of an XDF file; every sample bears its stamp."""

    def __init__(
        self,
        name: str,
        kind: str,
        stamps: Sequence[float],
        values: npt.NDArray[np.float64] | Sequence[str],
        rate: float = 0.0,
        channels: str = "",
    ) -> None:
        self.name, self.kind, self.rate, self.channels = name, kind, rate, channels
        self.stamps, self.values = stamps, values

    def header(self) -> str:
        """Give the stream header."""
        text = not isinstance(self.values, np.ndarray)
        count = 1 if text else np.shape(self.values)[1]
        described = f"<channels>{self.channels}</channels>" if self.channels else ""
        return (
            f"<?xml version='1.0'?><info><name>{self.name}</name><type>{self.kind}</type>"
            f"<channel_count>{count}</channel_count><nominal_srate>{self.rate}</nominal_srate>"
            f"<channel_format>{'string' if text else 'float32'}</channel_format>"
            f"<desc>{described}</desc></info>"
        )

    def samples(self) -> bytes:
        """Give the body of the samples chunk."""
        out = b"\x04" + struct.pack("<I", len(self.stamps))
        for stamp, value in zip(self.stamps, self.values, strict=True):
            out += b"\x08" + struct.pack("<d", stamp)
            if isinstance(value, str):
                raw = value.encode()
                out += b"\x04" + struct.pack("<I", len(raw)) + raw
            else:
                out += np.asarray(value, "<f4").tobytes()
        return out


def _chunk(tag: int, body: bytes) -> bytes:
    """Frame a chunk: length of length, length, tag, body."""
    return b"\x04" + struct.pack("<IH", len(body) + 2, tag) + body
