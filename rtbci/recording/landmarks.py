"""Gaps and markers of a stream, as text: losslessly, for BrainVision and for BIDS.

``commands.jsonl`` holds them to the last bit; ``*_eeg.vmrk`` and ``*_events.tsv`` say the same
to other software and can be written again from it.  One definition of each line serves the
writer, the repair and the export.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rtbci.recording.jsontext import number
from rtbci.types import Gap, GapCause, Marker

EVENT_COLUMNS = ("onset", "duration", "trial_type", "sample", "time_s", "origin", "length_s")
EVENT_HEADER = "\t".join(EVENT_COLUMNS) + "\n"


@dataclass(frozen=True, slots=True)
class WallClock:
    """What the wall clock said at an instant of the session's clock, once.

    Attributes
    ----------
    started : float
        Seconds of the session's clock.
    at : datetime
        The wall clock then, UTC.
    """

    started: float
    at: datetime

    def date(self, time: float) -> datetime:
        """Date of an instant of the session's clock, UTC."""
        try:
            return self.at + timedelta(seconds=time - self.started)
        except (OverflowError, ValueError):  # a source whose times are no times
            return self.at


@dataclass(frozen=True, slots=True)
class ArrivedMarker:
    """A marker, and the row that the session had come to when it was written down."""

    marker: Marker
    arrived: int


@dataclass(frozen=True, slots=True)
class LandmarkText:
    """Writes gaps and markers of one stream for other software.

    Attributes
    ----------
    rate : float
        Nominal, Hz.
    first : float
        Time of row 0, seconds of the session's clock.
    wall : WallClock
    """

    rate: float
    first: float
    wall: WallClock

    def vmrk_start(self) -> str:
        """First marker: when the recording began."""
        return f"Mk1=New Segment,,1,1,0,{self._stamp(self.first)}\n"

    def vmrk(self, count: int, item: Gap | Marker) -> str:
        """Line of a gap or marker whose row is there; ``count`` of them all, from 2."""
        if isinstance(item, Gap):
            stamp = self._stamp(item.start + item.length)
            return f"Mk{count}=New Segment,,{item.sample + 1},1,0,{stamp}\n"
        assert item.sample is not None
        kind = "Comment" if item.origin == "user" else "Stimulus"
        size = max(1, round(item.duration * self.rate)) if math.isfinite(item.duration) else 1
        return f"Mk{count}={kind},{bv_text(item.label)},{item.sample + 1},{size},0\n"

    def event(self, item: Gap | Marker) -> str:
        """BIDS event of a gap or marker whose row is there.

        ``onset`` is where it lies in the file (nothing is inserted for gaps), ``time_s`` when
        it was, both in seconds from row 0.
        """
        if isinstance(item, Gap):
            when, label, duration = item.start + item.length, "gap", 0.0
            origin, length = item.cause.value, _text(item.length)
        else:
            when, label, duration = item.time, tsv_text(item.label), item.duration
            origin, length = tsv_text(item.origin), "n/a"
        assert item.sample is not None
        onset = _text(item.sample / self.rate)
        time = _text(round(when - self.first, 9))
        return f"{onset}\t{_text(duration)}\t{label}\t{item.sample}\t{time}\t{origin}\t{length}\n"

    def _stamp(self, time: float) -> str:
        return self.wall.date(time).strftime("%Y%m%d%H%M%S%f")


def in_file(items: Iterable[Gap | Marker], n_rows: int) -> list[Gap | Marker]:
    """Those whose row is among the first ``n_rows``."""
    return [item for item in items if item.sample is not None and 0 <= item.sample < n_rows]


def gap_values(gap: Gap) -> dict[str, Any]:
    """A gap for ``commands.jsonl``, its sample left out."""
    return {
        "start": gap.start,
        "length": gap.length,
        "missing": gap.missing,
        "cause": gap.cause.value,
        "bridged": gap.bridged,
    }


def read_gap(sample: int, values: dict[str, Any]) -> Gap:
    """Read back what :func:`gap_values` made."""
    return Gap(
        sample,
        number(values["start"]),
        number(values["length"]),
        int(values["missing"]),
        GapCause(values["cause"]),
        bool(values["bridged"]),
    )


def marker_values(marker: Marker, arrived: int) -> dict[str, Any]:
    """A marker for ``commands.jsonl``, its sample left out."""
    return {
        "time": marker.time,
        "label": marker.label,
        "duration": marker.duration,
        "origin": marker.origin,
        "arrived": arrived,
    }


def read_marker(sample: int | None, values: dict[str, Any]) -> ArrivedMarker:
    """Read back what :func:`marker_values` made."""
    marker = Marker(
        number(values["time"]),
        values["label"],
        number(values["duration"]),
        values["origin"],
        sample,
    )
    return ArrivedMarker(marker, int(values["arrived"]))


def bv_text(text: str) -> str:
    r"""Text for a BrainVision field: commas are ``\1`` there, and a line is a line."""
    return _one_line(text).replace(",", r"\1")


def tsv_text(text: str) -> str:
    """Text for a cell of a BIDS table."""
    return _one_line(text) or "n/a"


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _text(value: float) -> str:
    """A number that BIDS tables hold: no exponent where it can be helped, no ``.0``."""
    return repr(float(value)).removesuffix(".0")
