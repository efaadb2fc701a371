"""BrainVision header and marker files, as text (Core Data Format 1.0).

The signal beside them is plain float32, one row after the other: it can be appended to at any
time, and is whole up to the last row whenever the writer dies.
"""

from __future__ import annotations

from rtbci.recording.landmarks import bv_text
from rtbci.types import StreamInfo

_HEADER = """\
Brain Vision Data Exchange Header File Version 1.0
; written by rtbci

[Common Infos]
Codepage=UTF-8
DataFile={data}
MarkerFile={markers}
DataFormat=BINARY
; Data orientation: MULTIPLEXED=ch1,pt1, ch2,pt1 ...
DataOrientation=MULTIPLEXED
NumberOfChannels={count}
; Sampling interval in microseconds
SamplingInterval={interval}

[Binary Infos]
BinaryFormat=IEEE_FLOAT_32

[Channel Infos]
; Each entry: Ch<Channel number>=<Name>,<Reference channel name>,<Resolution in "Unit">,<Unit>
; Commas are coded as "\\1".
"""

_MARKERS = """\
Brain Vision Data Exchange Marker File, Version 1.0
; written by rtbci

[Common Infos]
Codepage=UTF-8
DataFile={data}

[Marker Infos]
; Each entry: Mk<Marker number>=<Type>,<Description>,<Position in data points>,
; <Size in data points>,<Channel number (0 = all)>,<Date (YYYYMMDDhhmmssuuuuuu), UTC>
; Commas are coded as "\\1". A New Segment after the first one is where rows are missing.
"""


def header_text(info: StreamInfo, data: str, markers: str) -> str:
    """Write the ``.vhdr`` of a stream.

    Parameters
    ----------
    info : StreamInfo
    data, markers : str
        Names of the ``.eeg`` and ``.vmrk`` files beside it.
    """
    interval = repr(1e6 / info.rate).removesuffix(".0")
    text = _HEADER.format(data=data, markers=markers, count=len(info.channels), interval=interval)
    # NB: an empty unit would mean µV.
    lines = (
        f"Ch{count}={bv_text(channel.name)},,1,{bv_text(channel.unit) or 'n/a'}\n"
        for count, channel in enumerate(info.channels, 1)
    )
    return text + "".join(lines)


def marker_header_text(data: str) -> str:
    """Write the beginning of a ``.vmrk``, up to the first marker."""
    return _MARKERS.format(data=data)
