"""Recordings of small sessions, made by the pipeline and the recorder themselves, without threads.

A recording can have gaps, an electrode that goes flat, cues that are decoded, and it can end as
sessions do: properly, killed, or before anything was made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.clock import ManualClock
from rtbci.config import SessionConfig
from rtbci.models.ar_model import ARModel
from rtbci.pipeline import Pipeline
from rtbci.recording.layout import find_recording
from rtbci.recording.writer import Recorder
from rtbci.types import (
    BoolArray,
    Channel,
    ChannelHealth,
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

BEGUN = 100.0
"""Time of the first row, seconds of the session's clock."""
HANDS = ("left_hand", "right_hand")
CUE_EVERY_S = 5.0
FLAT_S = (8.0, 12.0)
"""When the last electrode gives nothing, where it is to."""


class Wisher:
    """Decodes what was asked for last, and every fourth time the other; looks back a second."""

    name = "P07: wisher"
    classes = HANDS
    calibrated = True
    window_s = 1.0

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._rows = 0

    def reset(self) -> None:
        """Wish from the beginning."""

    def push(self, block: FloatArray) -> None:
        """Count rows."""
        self._rows += len(block)

    def decode(self, good: BoolArray) -> tuple[npt.NDArray[np.float64], str]:
        """Give 0.9 for the hand that is wanted."""
        if not good.all():
            return np.full(2, np.nan), f"{int((~good).sum())} left out"
        cue = int(self._rows / self._rate // CUE_EVERY_S)
        left = (cue % 2 == 0) != (cue % 4 == 3)
        return np.array([0.9, 0.1] if left else [0.1, 0.9]), ""


@dataclass(frozen=True)
class Plan:
    """What happens in a session.

    Attributes
    ----------
    seconds : float
    electrodes : tuple of str
    gaps : bool
        Whether 40 ms are missing at a third of it, and 0.8 s at two thirds.
    flat : bool
        Whether the last electrode gives nothing for :data:`FLAT_S`.
    decodes, forecasts : bool
    killed : bool
        Whether it wrote no summary.
    subject : str
    """

    seconds: float = 20.0
    electrodes: tuple[str, ...] = ("C3", "Cz", "C4", "Pz")
    gaps: bool = False
    flat: bool = False
    decodes: bool = True
    forecasts: bool = True
    killed: bool = False
    subject: str = "unknown"
    rate: float = 250.0


def record(parent: Path, plan: Plan, extra: dict[str, Any] | None = None) -> Path:
    """Make a recording; give its folder."""
    channels = (*(Channel(name) for name in plan.electrodes), Channel("Trig", ChannelType.TRIG, ""))
    info = StreamInfo("a made-up board", "simulator", plan.rate, channels)
    config = SessionConfig()
    model = ARModel(plan.electrodes)
    decoder = Wisher(config.preprocess.rate_hz) if plan.decodes else None
    skip = (lambda *_: False) if plan.forecasts else (lambda *_: True)
    pipeline = Pipeline(info, config, model, decoder, skip=skip)
    facts = {
        "classes": {name: name for name in HANDS},
        "model": {"name": model.name, "hash": model.identity, "asked": "ar"},
        "decoder": None if decoder is None else {"name": decoder.name},
        "platform": {"rtbci": "0", "system": "Linux", "device": "cpu"},
    }
    recorder = Recorder(
        parent,
        info,
        config,
        subject=plan.subject,
        task="live",
        extra=facts if extra is None else extra,
        started=BEGUN,
        clock=ManualClock(),
    )
    for chunk in chunks(plan):
        recorder.write_chunk(chunk)
        for result in pipeline.push(chunk):
            _write(recorder, result)
    recorder.close({"seconds": plan.seconds, "ended": "", "skill": pipeline.skill.table()})
    if plan.killed:
        find_recording(recorder.folder).summary.unlink()
    return recorder.folder


def _write(recorder: Recorder, result: object) -> None:
    if isinstance(result, Decode):
        recorder.write_decode(result, *_timing(result))
    elif isinstance(result, Forecast):
        recorder.write_forecast(result, *_timing(result))
    elif isinstance(result, ChannelHealth):
        recorder.write_health(result)


def _timing(result: Decode | Forecast) -> tuple[float, float, dict[str, float]]:
    late = 0.004 + 0.001 * (result.token % 7)
    stages = {"driver": 0.002, "queue": 0.001, "compute": late - 0.003}
    return result.time, result.time + late, stages


def chunks(plan: Plan) -> list[Chunk]:
    """Rows of the session with its gaps and cues, 0.2 s at a time."""
    n = round(plan.seconds * plan.rate)
    times = BEGUN + np.arange(n) / plan.rate
    random = np.random.default_rng(0)
    t = np.arange(n) / plan.rate
    alpha = 12 * np.sin(2 * np.pi * 10.3 * t)[:, None] * np.linspace(1, 2, len(plan.electrodes))
    rows = (alpha + random.normal(0, 5, (n, len(plan.electrodes)))).astype(np.float32)
    if plan.flat:
        rows[(t >= FLAT_S[0]) & (t < FLAT_S[1]), -1] = 3.0
    rows = np.concatenate([rows, np.zeros((n, 1), dtype=np.float32)], axis=1)
    kept, gaps = np.ones(n, dtype=np.bool_), {}
    if plan.gaps:
        for first, lost, bridged in ((n // 3, 10, True), (2 * n // 3, 200, False)):
            kept[first : first + lost] = False
            length = lost / plan.rate
            at = int(kept[: first + lost].sum())
            start = float(times[first])
            cause = GapCause.LOST_FRAMES if bridged else GapCause.STALL
            gaps[at] = Gap(at, start, length, lost, cause, bridged)
    rows, times = rows[kept], times[kept]
    cue_times = np.arange(CUE_EVERY_S, plan.seconds, CUE_EVERY_S) + BEGUN
    cues = {
        int(np.searchsorted(times, when)): HANDS[(i + 1) % 2] for i, when in enumerate(cue_times)
    }
    step = round(0.2 * plan.rate)
    made = []
    for start in range(0, len(rows), step):
        stop = min(start + step, len(rows))
        inside = range(start, stop)
        made.append(
            Chunk(
                start,
                rows[start:stop],
                times[start:stop],
                float(times[stop - 1]),
                None,
                tuple(gap for at, gap in gaps.items() if at in inside),
                tuple(
                    Marker(float(times[at]), label, 0.0, "lsl", at)
                    for at, label in cues.items()
                    if at in inside
                ),
            )
        )
    return made
