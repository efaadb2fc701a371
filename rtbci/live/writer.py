"""The engine's side of a view: puts what the pipeline sees and makes into the mapped file.

Cheap enough for every session: a copy of the rows, a few hundred bytes for each result.

Concurrency: the pipeline thread alone writes; it waits for nobody.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rtbci.live import layout
from rtbci.live.layout import MappedFile, RingShape
from rtbci.live.view import DECODES_S, TOKENS_S, ViewInfo
from rtbci.types import Chunk, Decode, FloatArray, Forecast, TimeArray

RING_S = 60.0
"""Seconds of rows that are kept, where they fit into ``ROWS_BYTES``."""
LEAST_RING_S = 12.0
ROWS_BYTES = 32 << 20
BEAT, BEGUN = 0, 1
"""Marks: when the engine last beat, and the time of the first row."""
N_MARKS = 2
TEXT_BYTES = 2048
"""Room for a decode as text."""
STATUS_BYTES = 32 << 10
REASON_CHARS = 400
"""Of a decode's reason, where all of it does not fit."""


def ring_seconds(rate: float, n_channels: int) -> float:
    """Seconds of rows that a view keeps."""
    fits = ROWS_BYTES / (rate * (4 * n_channels + 8))
    return round(max(LEAST_RING_S, min(RING_S, fits)), 3)


class ViewWriter:
    """Writes one session's view.

    Parameters
    ----------
    path : Path
        Of the file; made here.
    info : ViewInfo
    hop_s : float
        From a token to the next.
    now : float
        Seconds of the session's clock: the first beat.

    Raises
    ------
    OSError
        Where the file can't be written.
    """

    def __init__(self, path: Path, info: ViewInfo, hop_s: float, now: float) -> None:
        self._file = _create(path, info, hop_s)
        rings = self._file.rings
        self._rows, self._filtered = rings["rows"], rings["filtered"]
        self._breaks, self._status = rings["breaks"], rings["status"]
        self._forecasts, self._decodes = rings["forecasts"], rings["decodes"]
        self._file.marks[BEGUN] = np.nan
        self.beat(now)

    def beat(self, now: float) -> None:
        """Say that the engine lives."""
        self._file.marks[BEAT] = now

    def rows(self, chunk: Chunk) -> None:
        """Take rows of the session."""
        if not len(chunk.data):
            return
        if self._rows.written == 0:
            self._file.marks[BEGUN] = chunk.times[0]
        self._rows.write(data=chunk.data, times=chunk.times)

    def filtered(self, signal: FloatArray, times: TimeArray, begins: bool) -> None:
        """Take rows at the model's rate; ``begins`` where a segment begins with the first."""
        if begins:
            self._breaks.write(row=[self._filtered.written])
        self._filtered.write(data=signal, times=times)

    def forecast(self, forecast: Forecast) -> None:
        """Take a forecast."""
        self._forecasts.write(
            token=[forecast.token],
            sample=[forecast.sample],
            time=[forecast.time],
            rate=[forecast.rate],
            by=[forecast.by.encode()],
            mean=forecast.mean[None],
        )

    def decode(self, decode: Decode) -> None:
        """Take a decode."""
        self._decodes.write(token=[decode.token], text=[_text(decode)])

    def status(self, status: dict[str, Any]) -> None:
        """Take a status event; one that is too long is left out."""
        text = json.dumps(status).encode()
        if len(text) <= STATUS_BYTES:
            self._status.write(text=[text])


def _create(path: Path, info: ViewInfo, hop_s: float) -> MappedFile:
    n_rows, n_filtered = round(info.ring_s * info.rate), round(info.ring_s * info.model_rate)
    mean = (info.n_horizons, len(info.electrodes))
    shapes = {
        "rows": RingShape(n_rows, {"data": ("f4", (len(info.channels),)), "times": ("f8", ())}),
        "filtered": RingShape(
            n_filtered, {"data": ("f4", (len(info.electrodes),)), "times": ("f8", ())}
        ),
        "breaks": RingShape(1024, {"row": ("i8", ())}),
        "forecasts": RingShape(
            round(TOKENS_S / hop_s),
            {
                "token": ("i8", ()),
                "sample": ("i8", ()),
                "time": ("f8", ()),
                "rate": ("f8", ()),
                "by": ("S16", ()),
                "mean": ("f4", mean),
            },
        ),
        "decodes": RingShape(
            round(DECODES_S / hop_s), {"token": ("i8", ()), "text": (f"S{TEXT_BYTES}", ())}
        ),
        "status": RingShape(4, {"text": (f"S{STATUS_BYTES}", ())}),
    }
    return layout.create(path, asdict(info), N_MARKS, shapes)


def _text(decode: Decode) -> bytes:
    """A decode as JSON; floats in Python's JSON come back to the last bit."""
    said = {
        "token": decode.token,
        "sample": decode.sample,
        "time": decode.time,
        "classes": decode.classes,
        "p": decode.p.tolist(),
        "decision": decode.decision,
        "reason": decode.reason,
        "decoder": decode.decoder,
        "calibrated": decode.calibrated,
        "evidence": decode.evidence,
        "thresholds": decode.thresholds,
        "flags": decode.flags,
    }
    text = json.dumps(said).encode()
    if len(text) > TEXT_BYTES:
        text = json.dumps(said | {"reason": decode.reason[:REASON_CHARS] + " ..."}).encode()
    return text
