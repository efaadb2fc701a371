"""From the rows of an LSL stream to markers.

Three kinds are common: text, numbers, and one column for each kind of marker whose value is its
duration (mne-lsl's annotations: -1 stands for an instant, 0 for nothing).
"""

from __future__ import annotations

import math
from typing import Any

from rtbci.sources.lsl_inlet import Pulled
from rtbci.types import Marker


class MarkerReader:
    """Makes markers of one stream's rows.

    Parameters
    ----------
    info : pylsl.StreamInfo
        With its description: labels of several number columns are labels of markers.
    """

    def __init__(self, info: Any) -> None:
        labels = [label or "" for label in info.get_channel_labels() or ()]
        several = info.channel_count() > 1 and all(labels) and len(labels) > 1
        self._labels = tuple(labels) if several else ()

    def read(self, pulled: Pulled) -> tuple[Marker, ...]:
        """Give the markers of some rows, in their order; empty labels are left out."""
        made = []
        for time, row in zip(pulled.times, pulled.rows, strict=True):
            if self._labels and not isinstance(row[0], bytes):
                made += [
                    Marker(float(time), label, duration=max(0.0, float(value)), origin="lsl")
                    for label, value in zip(self._labels, row, strict=True)
                    if value and math.isfinite(value)
                ]
                continue
            label = ",".join(filter(None, map(plain, row)))
            if label:
                made.append(Marker(float(time), label, origin="lsl"))
        return tuple(made)


def plain(value: Any) -> str:
    """Write one value as a label: ``T1``, ``769``, ``0.5``; nothing for NaN."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace").strip()
    if not math.isfinite(value):
        return ""
    return str(int(value)) if float(value).is_integer() else f"{float(value):g}"
