"""Where the cursor of a feedback run stands, from the newest decode."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

FULL = 1.5
"""The cursor reaches its end at so many times the upper threshold."""


def shares(decode: Mapping[str, Any] | None, classes: Sequence[str]) -> dict[str, float]:
    """How far each class is wanted, 0 to 1; all 0 where nothing is decoded.

    Accumulated evidence where the decoder has any, since that is what decides; else the
    probabilities, of which chance is 0.
    """
    nothing = dict.fromkeys(classes, 0.0)
    if not decode or decode.get("p") is None:
        return nothing
    names = list(decode["classes"])
    evidence, thresholds = decode.get("evidence"), decode.get("thresholds")
    if evidence and thresholds:
        top = FULL * float(thresholds[0])
        values = {n: float(e) / top for n, e in zip(names, evidence, strict=True)}
    else:
        chance = 1.0 / len(names)
        values = {
            n: (float(p) - chance) / (1.0 - chance) for n, p in zip(names, decode["p"], strict=True)
        }
    return {n: min(1.0, max(0.0, values.get(n, 0.0))) for n in nothing}


def position(decode: Mapping[str, Any] | None, classes: Sequence[str]) -> float:
    """Where a cursor between two classes stands, from -1 (the first) to 1 (the second)."""
    if len(classes) != 2:
        return 0.0
    told = shares(decode, classes)
    return told[classes[1]] - told[classes[0]]


def winner(decode: Mapping[str, Any] | None, classes: Sequence[str]) -> str:
    """The class that leads; empty where none does."""
    told = shares(decode, classes)
    best = max(told, key=lambda n: told[n], default="")
    return best if best and told[best] > 0 and not math.isnan(told[best]) else ""
