"""How fast a file is played: rows are due on an absolute schedule, however late they are asked."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from rtbci.errors import BadInputError
from rtbci.types import TimeArray

Speed = float | Literal["max"]
"""1 is life; ``max`` gives the next rows whenever they are asked for."""


def times_life(speed: Speed) -> float | None:
    """How many times faster than life; None for as fast as possible.

    Raises
    ------
    BadInputError
        On a speed that is none.
    """
    if speed == "max":
        return None
    if not (math.isfinite(speed) and speed > 0):
        raise BadInputError(f"a replay's speed is a number above 0 or 'max', got {speed!r}.")
    return float(speed)


def rows_due(times: TimeArray, start: float, now: float, speed: float | None) -> int:
    """Count the rows that are due.

    Parameters
    ----------
    times : ndarray, shape (n_times,), float64
        Of the next rows, seconds from row 0 of the file.
    start, now : float
        When row 0 was due, and the time; seconds of the session's clock.
    speed : float | None
        As :func:`times_life` gives it.
    """
    if speed is None:
        return len(times)
    # The very times that are handed out are compared, so that at speed 1 none is ahead.
    due = start + times if speed == 1.0 else start + times / speed
    return int(np.searchsorted(due, now, side="right"))
