"""What a session tells the outside: plain dicts, one a line with ``--json``.

``event`` names each: started, gap, marker, outputs, output, threshold, channel, late, stalled,
flowing, lost, reconnected, decode, forecast, status, summary.  Times are seconds from the first row
of the session.  Others' scripts read these fields: add some, rename none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rtbci.types import ChannelHealth, Decode, DecoderChange, Forecast, Gap, Marker

PUBLISHED_MS = (20, 50, 100, 200, 500, 1000)
"""Horizons of the forecasts that leave the engine, milliseconds."""


def published_rows(rate: float, n_horizons: int) -> list[int]:
    """Rows of ``Forecast.mean`` at the published horizons (the nearest sample to each)."""
    rows = [max(0, round(ms * rate / 1000) - 1) for ms in PUBLISHED_MS]
    return [min(row, n_horizons - 1) for row in rows]


def since(start: float | None, time: float) -> float:
    """Seconds from the first row, to the microsecond; 0 before there is one."""
    return 0.0 if start is None else round(time - start, 6)


def gap_event(gap: Gap, start: float | None) -> dict[str, Any]:
    """A gap, when it is noticed; without ``event``, as the summary lists it."""
    return {
        "start_s": since(start, gap.start),
        "length_s": round(gap.length, 6),
        "cause": gap.cause.value,
        "sample": gap.sample,
        "missing": gap.missing,
        "bridged": gap.bridged,
    }


def marker_event(marker: Marker, start: float | None) -> dict[str, Any]:
    """A marker whose row is known."""
    return {
        "event": "marker",
        "t_s": since(start, marker.time),
        "label": marker.label,
        "duration_s": round(marker.duration, 6),
        "origin": marker.origin,
        "sample": marker.sample,
    }


def outputs_event(
    stopped: bool, time: float, start: float | None, output: str | None = None
) -> dict[str, Any]:
    """Somebody stopped the outputs, or one of them (event ``output``), or let them go on."""
    says = "stopped: nothing but neutral goes out" if stopped else "resumed"
    if output is not None:
        says = "off: nothing but neutral goes out there" if stopped else "on"
        return {
            "event": "output",
            "t_s": since(start, time),
            "output": output,
            "off": stopped,
            "message": f"the output {output.upper()} is {says}.",
        }
    return {
        "event": "outputs",
        "t_s": since(start, time),
        "stopped": stopped,
        "message": f"outputs are {says}.",
    }


def threshold_event(values: Mapping[str, Any], time: float, start: float | None) -> dict[str, Any]:
    """Somebody moved the thresholds of the decision."""
    on, off = values["on"], values["off"]
    given_up = "" if off is None else f" and given up below {off:g}"
    return {
        "event": "threshold",
        "t_s": since(start, time),
        "on": on,
        "off": off,
        "message": f"a class is decided from {on:g} on{given_up}.",
    }


def channel_event(change: ChannelHealth, time: float, start: float | None) -> dict[str, Any]:
    """A channel that was left out (with the reason) or taken back (without)."""
    return {
        "event": "channel",
        "t_s": since(start, time),
        "channel": change.channel,
        "reason": change.reason,
    }


def adaptation_event(change: DecoderChange, start: float | None) -> dict[str, Any]:
    """The decoder in use has changed: ``change`` is ``updated``, ``kept`` or ``reverted``."""
    return {
        "event": "adaptation",
        "t_s": since(start, change.time),
        "change": change.change,
        **change.values,
    }


def decode_event(decode: Decode, latency: float, start: float | None) -> dict[str, Any]:
    """A decode; ``p`` is null and ``reason`` says why where the decoder abstains.

    ``evidence`` (accumulated log-odds by class) and ``thresholds`` (on, off) are null for a
    decoder that accumulates none; ``flags`` names what keeps a token from adding evidence.
    """
    return {
        "event": "decode",
        "t_s": since(start, decode.time),
        "token": decode.token,
        "classes": list(decode.classes),
        "p": [round(float(p), 6) for p in decode.p] if decode.valid else None,
        "decision": decode.decision,
        "reason": decode.reason,
        "decoder": decode.decoder,
        "calibrated": decode.calibrated,
        "evidence": [round(e, 4) for e in decode.evidence] or None,
        "thresholds": None if decode.thresholds is None else list(decode.thresholds),
        "flags": list(decode.flags),
        "latency_ms": round(1000 * latency, 3),
    }


def forecast_event(
    forecast: Forecast, latency: float, start: float | None, electrodes: tuple[str, ...]
) -> dict[str, Any]:
    """A forecast at the published horizons, µV by electrode; null where one is left out."""
    rows = published_rows(forecast.rate, len(forecast.mean))
    values = {
        name: [round(float(v), 3) for v in column] if np.isfinite(column).all() else None
        for name, column in zip(electrodes, forecast.mean[rows].T, strict=True)
    }
    return {
        "event": "forecast",
        "t_s": since(start, forecast.time),
        "token": forecast.token,
        "by": forecast.by,
        "horizons_ms": list(PUBLISHED_MS),
        "uv": values,
        "latency_ms": round(1000 * latency, 3),
    }


def notice_event(event: str, sentence: str, time: float, start: float | None) -> dict[str, Any]:
    """What the watchdog has to say: late, stalled, lost, reconnected, flowing."""
    return {"event": event, "t_s": since(start, time), "message": sentence}


def status_event(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The state of the session for a live view; comes at most a few times a second."""
    return {"event": "status", **fields}
