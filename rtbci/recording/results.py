"""Decodes and forecasts as recordings hold them.

A decode is a line of ``*_decodes.jsonl``, to the last bit.  Whole forecasts would outgrow the
signal tenfold, so a record of ``*_forecasts.bin`` keeps the published horizons as float16 and
a hash of the full float32 array: enough to see what was foretold, and to tell whether a replay
foretells exactly the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.errors import RecordingError
from rtbci.events import published_rows
from rtbci.recording.jsontext import number
from rtbci.types import Decode, FloatArray, Forecast

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class RecordedDecode:
    """A decode and how it came out.

    Attributes
    ----------
    decode : Decode
    due, out : float
        When it was due and when it came out, seconds of the session's clock.
    stages : dict
        Where the time between went, seconds by stage.
    """

    decode: Decode
    due: float
    out: float
    stages: dict[str, float]


@dataclass(frozen=True, slots=True)
class RecordedForecast:
    """A forecast as recorded.

    Attributes
    ----------
    token, sample, time, rate, by
        As in :class:`rtbci.types.Forecast`.
    rows : tuple of int
        Rows of the full array that are kept.
    published : ndarray, shape (n_rows, n_electrodes), float16, µV
        NaN for electrodes that were left out; infinite beyond 65504 µV.
    digest : bytes
        :func:`digest` of the full array.
    due, out, stages
        As in :class:`RecordedDecode`.
    """

    token: int
    sample: int
    time: float
    rate: float
    by: str
    rows: tuple[int, ...]
    published: npt.NDArray[np.float16]
    digest: bytes
    due: float
    out: float
    stages: dict[str, float]

    def same(self, forecast: Forecast) -> bool:
        """Whether ``forecast`` is this one, to the last bit."""
        return (
            (self.token, self.sample, self.time, self.rate, self.by)
            == (forecast.token, forecast.sample, forecast.time, forecast.rate, forecast.by)
        ) and self.digest == digest(forecast.mean)


@dataclass(frozen=True, slots=True)
class ForecastHeader:
    """What all forecasts of a recording share; the first line of their file.

    Attributes
    ----------
    rate : float
        Samples a second of the forecasts.
    n_horizons : int
        Of the full array.
    rows : tuple of int
        Those that are kept.
    electrodes : tuple of str
    stages : tuple of str
    """

    rate: float
    n_horizons: int
    rows: tuple[int, ...]
    electrodes: tuple[str, ...]
    stages: tuple[str, ...]

    @property
    def dtype(self) -> np.dtype[np.void]:
        """A record: no padding, little-endian."""
        return np.dtype(
            [
                ("token", "<i8"),
                ("sample", "<i8"),
                ("time", "<f8"),
                ("due", "<f8"),
                ("out", "<f8"),
                ("stages", "<f8", (len(self.stages),)),
                ("by", "S16"),
                ("digest", "u1", (DIGEST_BYTES,)),
                ("published", "<f2", (len(self.rows), len(self.electrodes))),
            ]
        )

    def to_line(self) -> bytes:
        """The first line of the file."""
        values = {
            "format": "rtbci forecasts",
            "version": 1,
            "rate": self.rate,
            "n_horizons": self.n_horizons,
            "rows": self.rows,
            "electrodes": self.electrodes,
            "stages": self.stages,
            "record_bytes": self.dtype.itemsize,
        }
        return json.dumps(values).encode() + b"\n"


class ForecastCodec:
    """Packs the forecasts of one session.

    Parameters
    ----------
    electrodes : tuple of str
    """

    def __init__(self, electrodes: tuple[str, ...]) -> None:
        self._electrodes = electrodes
        self._header: ForecastHeader | None = None

    def pack(
        self, forecast: Forecast, due: float, out: float, stages: Mapping[str, float]
    ) -> bytes:
        """Bytes to append: a record, with the header in front of the first one.

        Raises
        ------
        ValueError
            Where shape, rate or stages are not those of the first forecast.
        """
        first, header = b"", self._header
        if header is None:
            header = ForecastHeader(
                float(forecast.rate),
                len(forecast.mean),
                tuple(published_rows(forecast.rate, len(forecast.mean))),
                self._electrodes,
                tuple(stages),
            )
            first = header.to_line()
        shape = (header.n_horizons, len(header.electrodes))
        if forecast.mean.shape != shape or forecast.rate != header.rate:
            raise ValueError(
                f"forecasts of this session have shape {shape} at {header.rate:g} Hz, got "
                f"{forecast.mean.shape} at {forecast.rate:g} Hz"
            )
        if not set(stages) <= set(header.stages) or len(forecast.by.encode()) > 16:
            raise ValueError(f"stages {header.stages} can't hold {tuple(stages)} of {forecast.by}")
        record = np.zeros((), dtype=header.dtype)
        record["token"], record["sample"] = forecast.token, forecast.sample
        record["time"], record["due"], record["out"] = forecast.time, due, out
        record["stages"] = [stages.get(name, np.nan) for name in header.stages]
        record["by"] = forecast.by.encode()
        record["digest"] = np.frombuffer(digest(forecast.mean), dtype=np.uint8)
        record["published"] = published(forecast)
        self._header = header
        return first + record.tobytes()


def published(forecast: Forecast) -> npt.NDArray[np.float16]:
    """What is kept of a forecast, shape (n_rows, n_electrodes), µV."""
    rows = published_rows(forecast.rate, len(forecast.mean))
    with np.errstate(over="ignore"):
        return forecast.mean[rows].astype(np.float16)


def digest(mean: FloatArray) -> bytes:
    """Hash a full forecast: BLAKE2b of its float32 values, little-endian, row by row.

    Every NaN counts as the same one: its payload is an accident of the instruction that made it.
    """
    values = np.array(mean, dtype="<f4", order="C")
    values[np.isnan(values)] = np.nan
    return hashlib.blake2b(values.tobytes(), digest_size=DIGEST_BYTES).digest()


def decode_values(
    decode: Decode, due: float, out: float, stages: Mapping[str, float]
) -> dict[str, Any]:
    """A decode for ``*_decodes.jsonl``."""
    return {
        "token": decode.token,
        "sample": decode.sample,
        "time": decode.time,
        "classes": decode.classes,
        "p": decode.p,
        "decision": decode.decision,
        "reason": decode.reason,
        "decoder": decode.decoder,
        "calibrated": decode.calibrated,
        "evidence": decode.evidence,
        "thresholds": decode.thresholds,
        "flags": decode.flags,
        "due": due,
        "out": out,
        "stages": stages,
    }


def read_decode(values: dict[str, Any]) -> RecordedDecode:
    """Read back what :func:`decode_values` made."""
    thresholds = values.get("thresholds")
    decode = Decode(
        token=values["token"],
        sample=values["sample"],
        time=number(values["time"]),
        classes=tuple(values["classes"]),
        p=np.array([number(p) for p in values["p"]], dtype=np.float64),
        decision=values["decision"],
        reason=values["reason"],
        decoder=values["decoder"],
        calibrated=values["calibrated"],
        evidence=tuple(number(e) for e in values.get("evidence", ())),
        thresholds=None if thresholds is None else (number(thresholds[0]), number(thresholds[1])),
        flags=tuple(values.get("flags", ())),
    )
    stages = {name: number(value) for name, value in values["stages"].items()}
    return RecordedDecode(decode, number(values["due"]), number(values["out"]), stages)


def read_header(path: Path) -> tuple[ForecastHeader, int] | None:
    """Header of a file of forecasts and its length in bytes; None where there is no whole one.

    Raises
    ------
    RecordingError
        Where the header is damaged.
    """
    try:
        with path.open("rb") as file:
            text = file.readline()
    except FileNotFoundError:
        return None
    if not text.endswith(b"\n"):
        return None
    try:
        values = json.loads(text)
        header = ForecastHeader(
            float(values["rate"]),
            int(values["n_horizons"]),
            tuple(values["rows"]),
            tuple(values["electrodes"]),
            tuple(values["stages"]),
        )
    except (ValueError, KeyError, TypeError) as err:
        raise RecordingError(
            f"the header of {path} is damaged ({err!r}), so its forecasts can't be read; take the "
            "file from a backup, or remove it to use the rest of the recording."
        ) from err
    return header, len(text)


def read_forecasts(path: Path) -> Iterator[RecordedForecast]:
    """Read the whole records of a file of forecasts.

    Raises
    ------
    RecordingError
        Where the header is damaged.
    """
    known = read_header(path)
    if known is None:
        return
    header, start = known
    size = header.dtype.itemsize
    with path.open("rb") as file:
        file.seek(start)
        while len(block := file.read(256 * size)) >= size:
            for record in np.frombuffer(block[: len(block) // size * size], dtype=header.dtype):
                yield RecordedForecast(
                    token=int(record["token"]),
                    sample=int(record["sample"]),
                    time=float(record["time"]),
                    rate=header.rate,
                    by=record["by"].decode(),
                    rows=header.rows,
                    published=record["published"].copy(),
                    digest=record["digest"].tobytes(),
                    due=float(record["due"]),
                    out=float(record["out"]),
                    stages=dict(zip(header.stages, map(float, record["stages"]), strict=True)),
                )
