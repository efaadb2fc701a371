"""Writes EDF+ and BDF+ files.

Each channel is scaled to its own range, so that 16 bits lose as little as they can: a channel
that spans 2 mV has steps of 0.03 µV in EDF and of 0.0001 µV in BDF.  The format knows neither
NaN nor part of a data record: such values are written as 0, the last record is filled up with
the last value, and annotations say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.recording.recording import Recording

LEAST, MOST = -999_999.0, 9_999_998.0
"""Range beyond which a number does not fit a header's eight characters; values are clipped."""
EDF_DIGITAL = (-32768, 32767)
BDF_DIGITAL = (-8388608, 8388607)
LABEL_CHARACTERS = 16
UNIT_CHARACTERS = 8


def export_edf(
    recording: Recording,
    target: Path,
    annotations: Sequence[tuple[float, float, str]],
    *,
    wide: bool,
) -> None:
    """Write the first stream of a recording.

    Parameters
    ----------
    recording : Recording
    target : Path
    annotations : sequence of (onset, duration, text)
        Seconds in the file.
    wide : bool
        24 bits (BDF) instead of 16 (EDF).
    """
    import edfio

    info, n_rows = recording.info, recording.n_rows
    per_record, duration = record_size(info.rate)
    rate = per_record / duration
    filled = -n_rows % per_record
    data = recording.main.data()
    notes = [edfio.EdfAnnotation(*note) for note in annotations]
    notes += [
        edfio.EdfAnnotation(start / rate, (stop - start) / rate, "BAD_NOT_A_NUMBER")
        for start, stop in stretches(np.logical_not(np.isfinite(data).all(axis=1)))
    ]
    if filled:
        notes.append(edfio.EdfAnnotation(n_rows / rate, filled / rate, "BAD_ACQ_SKIP"))
    kind: Any = edfio.BdfSignal if wide else edfio.EdfSignal
    labels = ascii_names([channel.name for channel in info.channels], LABEL_CHARACTERS)
    signals = []
    for column, channel in enumerate(info.channels):
        values = np.nan_to_num(data[:, column].astype(np.float64), posinf=0.0, neginf=0.0)
        limits = physical_range(values)
        values = np.pad(np.clip(values, *limits), (0, filled), mode="edge")
        signals.append(
            kind(
                values,
                rate,
                label=labels[column],
                physical_dimension=ascii_text(channel.unit.replace("µ", "u"))[:UNIT_CHARACTERS],
                physical_range=limits,
                digital_range=BDF_DIGITAL if wide else EDF_DIGITAL,
            )
        )
    began = recording.wall.date(float(recording.main.times(0, 1)[0]))
    make: Any = edfio.Bdf if wide else edfio.Edf
    file = make(
        signals,
        patient=edfio.Patient(code=_code(recording.subject)),
        recording=edfio.Recording(
            startdate=began.date(), equipment_code=_code(f"rtbci {recording.rtbci}")
        ),
        starttime=began.time(),
        data_record_duration=duration,
        annotations=notes,
    )
    file.write(target)


def physical_range(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Range that holds all values, within limits, in the eight characters that a header has."""
    low, high = (float(np.clip(v, LEAST, MOST)) for v in (values.min(), values.max()))
    for decimals in (4, 3, 2, 1):
        scale = 10.0**decimals
        lower = round(float(np.floor(low * scale) / scale), decimals)
        upper = round(float(np.ceil(high * scale) / scale), decimals)
        if lower == upper:
            upper = round(upper + 1 / scale, decimals)
        if max(len(str(lower)), len(str(upper))) <= 8:
            return lower, upper
    return float(np.floor(low)), float(np.floor(high)) + 1.0


def record_size(rate: float) -> tuple[int, float]:
    """Rows in a data record and its duration in s, which must fit eight characters."""
    rows = max(1, round(rate))
    duration = float(f"{rows / rate:.8g}"[:8])
    return rows, duration


def stretches(bad: npt.ArrayLike) -> Iterable[tuple[int, int]]:
    """First and one past the last of each run of True."""
    edges = np.flatnonzero(np.diff(np.asarray(bad, dtype=np.int8), prepend=0, append=0))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def ascii_names(names: Sequence[str], most: int) -> list[str]:
    """Shorten names to ``most`` ASCII characters each and keep them unique."""
    made: list[str] = []
    for name in names:
        short = ascii_text(name)[:most] or "channel"
        count = 1
        while short in made:
            count += 1
            ending = f"-{count}"
            short = (ascii_text(name)[: most - len(ending)] or "channel") + ending
        made.append(short)
    return made


def ascii_text(text: str) -> str:
    """Text for a header that knows only ASCII; other characters become ``_``."""
    return "".join(c if c.isascii() and c.isprintable() else "_" for c in text).strip()


def _code(text: str) -> str:
    """A word for the header's identification fields, 24 characters at most."""
    return ascii_text(text).replace(" ", "_")[:24] or "X"
