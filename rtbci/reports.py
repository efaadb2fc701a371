"""What a session says of itself as a whole: while it runs (``status``), and at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rtbci import events
from rtbci.delivery import Delivery, Observer
from rtbci.pipeline import Pipeline
from rtbci.recording.writer import Recorder
from rtbci.sinks.switch import OutputSwitch
from rtbci.types import Gap


@dataclass
class SessionCounts:
    """What a running session has counted.  Written by the acquisition thread only.

    Attributes
    ----------
    start, end : float
        Time of the first row, and of the row after the last.
    begun : float
        When the first rows were taken.
    trouble : str
        What the watchdog last complained of; empty while rows flow.
    over : bool
        Whether rows came that lie behind the session's duration, and were left out.
    """

    start: float | None = None
    end: float = 0.0
    begun: float = 0.0
    samples: int = 0
    gaps: list[Gap] = field(default_factory=list)
    lost: int = 0
    trouble: str = ""
    over: bool = False


def status_event(
    counts: SessionCounts,
    pipeline: Pipeline,
    delivery: Delivery,
    outputs: OutputSwitch,
    *,
    now: float | None,
) -> dict[str, Any]:
    """The ``status`` event.

    Parameters
    ----------
    now : float | None
        Seconds of the session's clock, which give the newest decode its age: what is displayed
        says how old it is.  None for a source that keeps no time.
    """
    state, info = pipeline.state, pipeline.info
    decode = delivery.state.last_decode
    shown = None
    if decode is not None:
        age = 0.0 if now is None else now - decode.time
        shown = {**events.decode_event(decode, 0.0, counts.start), "age_s": round(age, 2)}
    return {
        "event": "status",
        "t_s": events.since(counts.start, counts.end),
        "source": info.name,
        "rate": info.rate,
        "electrodes": list(info.electrodes),
        "sd_uv": [round(float(v), 1) for v in pipeline.scale],
        "left_out": dict(delivery.state.left_out or {}),
        "trouble": counts.trouble,
        "outputs": len(outputs),
        "sinks": outputs.describe(),
        "stopped": outputs.stopped,
        "samples": counts.samples,
        "tokens": state.token,
        "skipped_forecasts": state.skipped,
        "backlog_tokens": int(max(0, counts.samples - state.rows) / pipeline.rows_per_hop),
        "device": pipeline.model.device,
        "gpu_bytes": getattr(pipeline.model, "gpu_bytes", None),
        "gaps": len(counts.gaps),
        "gap_s": round(sum(gap.length for gap in counts.gaps), 3),
        "latency_ms": delivery.latency.recent(),
        "latency_last": delivery.latency.last(),
        "skill": pipeline.skill.table(),
        "decode": shown,
    }


def summary_fields(
    counts: SessionCounts,
    pipeline: Pipeline,
    delivery: Delivery | None,
    recorder: Recorder | None,
    observers: Sequence[Observer],
    error: Exception | None,
) -> dict[str, Any]:
    """The fields of the ``summary`` event."""
    state = pipeline.state
    made: dict[str, Any] = {
        "electrodes": len(pipeline.info.eeg),
        "samples": counts.samples,
        "tokens": state.token,
        "dropped_tokens": int((counts.samples - state.rows) / pipeline.rows_per_hop),
        "forecasts": state.forecasts,
        "skipped_forecasts": state.skipped,
        "decodes": state.decodes,
        "segments": state.segments,
        "gaps": [events.gap_event(gap, counts.start) for gap in counts.gaps],
        "bridged_samples": state.bridged,
        "lost": counts.lost,
        "latency_ms": delivery.latency.summary() if delivery else None,
        "skill": pipeline.skill.table(),
        "recording": None if recorder is None else str(recorder.folder),
        "model": {"name": pipeline.model.name, "hash": pipeline.model.identity},
        "device": pipeline.model.device,
        "accuracy": None,
        "seconds": 0.0 if counts.start is None else round(counts.end - counts.start, 3),
        "ended": "" if error is None else f"error: {error}",
    }
    for observer in observers:
        made |= observer.summary()
    return made
