"""The signals of a session, filtered for the display, with gaps, markers and what is left out.

    rows -> raw ring (the window and what filters need before it)
         -> display filter -> display ring -> pieces for the drawing

A change of the filters is put on the whole ring at once, so what is on screen changes with it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rtbci.apps.gui.view_models.display import (
    SCALES_UV,
    WINDOWS_S,
    DisplayFilter,
    DisplaySettings,
    shown_columns,
)
from rtbci.config import TimelineConfig
from rtbci.ring import MirrorRing
from rtbci.types import BoolArray, FloatArray, TimeArray

if TYPE_CHECKING:
    from rtbci.apps.gui.view_models.update import Update
    from rtbci.live.view import ViewInfo

WARM_UP_S = 5.0
"""Rows that filters see before the first one that is shown."""
BREAK = 1.5
"""Rows that lie further apart than so many of them have a gap between them."""
FIT_S = 3.0
"""Signal from which a scale is chosen."""
MANY = 32
"""With more channels than this a lane is only a few pixels high."""
MARKS = 2000
"""Markers and gaps that are kept, each."""
SEGMENT_S = TimelineConfig().bridge_s
"""Filters begin anew behind a gap longer than this."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive rows as they are drawn.

    Attributes
    ----------
    times : ndarray, shape (n,), float64
        Seconds of the session's clock.
    data : ndarray, shape (n, n_shown), float32, µV
    """

    times: TimeArray
    data: FloatArray


@dataclass(frozen=True, slots=True)
class Mark:
    """A marker on the time axis, at seconds of the session's clock."""

    time: float
    label: str
    duration: float = 0.0
    origin: str = "user"


@dataclass(frozen=True, slots=True)
class GapMark:
    """Rows that never came: from ``start`` for ``length`` seconds."""

    start: float
    length: float
    cause: str


class SignalsModel:
    """What the signals panel shows.

    Parameters
    ----------
    info : ViewInfo

    Attributes
    ----------
    names : tuple of str
        Of the channels that are drawn: electrodes first.
    columns : tuple of int
        Where they are in the session's rows.
    n_electrodes : int
    left_out : dict
        Channels that are left out now, with the reason.
    sd_uv : dict
        Standard deviation of the electrodes, from the engine's status.
    version : int
        Grows whenever what has been drawn is worthless (other filters).
    """

    def __init__(self, info: ViewInfo) -> None:
        self.rate = info.rate
        self.begun = info.begun
        self.columns = shown_columns(info.channels)
        self.names = tuple(info.channels[i].name for i in self.columns)
        self.n_electrodes = len(info.electrodes)
        self.left_out: dict[str, str] = {}
        self.sd_uv: dict[str, float] = {}
        self.markers: deque[Mark] = deque(maxlen=MARKS)
        self.gaps: deque[GapMark] = deque(maxlen=MARKS)
        self.version = 0
        self.settings = DisplaySettings()
        kept = round((max(WINDOWS_S) + WARM_UP_S) * info.rate)
        n = len(self.columns)
        self._raw, self._shown = MirrorRing(kept, n), MirrorRing(kept, n)
        self._times = MirrorRing(kept, 1, np.float64)
        self._filter = self.make_filter()

    def take(self, update: Update) -> None:
        """Take new rows and events."""
        rows = update.rows
        if update.begun is not None:
            self.begun = update.begun
        elif self.begun is None and len(rows.times):
            self.begun = float(rows.times[0])
        for event in update.events:
            self._take_event(event)
        if update.status is not None:
            self.left_out = dict(update.status["left_out"])
            self.sd_uv = dict(zip(update.status["electrodes"], update.status["sd_uv"], strict=True))
        if len(rows.times):
            skipped = max(0, len(rows.times) - self._times.capacity)
            times, raw = rows.times[skipped:], rows.data[skipped:, self.columns]
            shown = filter_pieces(self._filter, times, raw, self.good, self.newest)
            self._times.write(times[:, None])
            self._raw.write(raw)
            self._shown.write(shown)

    def set(self, settings: DisplaySettings) -> None:
        """Show the signals another way."""
        before, self.settings = self.settings, settings
        if not settings.same_filters(before):
            self._filter = self.make_filter()
            self._shown.reset()
            n = self._times.size
            times, raw = self._times.view(n)[:, 0], self._raw.view(n)
            self._shown.write(filter_pieces(self._filter, times, raw, self.good))
            self.version += 1

    def make_filter(self) -> DisplayFilter:
        """Make a filter as the settings want it, at rest."""
        return DisplayFilter(self.rate, len(self.columns), self.n_electrodes, self.settings)

    @property
    def good(self) -> BoolArray:
        """Electrodes that are not left out, shape (n_electrodes,)."""
        return np.array([n not in self.left_out for n in self.names[: self.n_electrodes]], bool)

    @property
    def newest(self) -> float:
        """Time of the newest row, seconds of the session's clock; NaN before the first."""
        return float(self._times.view(1)[0, 0]) if self._times.size else float("nan")

    def between(self, start: float, stop: float) -> Piece:
        """Give the rows in [start, stop], with one on either side to draw lines from and to.

        The arrays are valid until the next ``take``.
        """
        times = self._times.view(self._times.size)[:, 0]
        first = max(int(np.searchsorted(times, start)) - 1, 0)
        last = min(int(np.searchsorted(times, stop, side="right")) + 1, len(times))
        return Piece(times[first:last], self._shown.view(self._shown.size)[first:last])

    def own_scales(self) -> FloatArray:
        """µV from a channel to the next that suit each channel's size, shape (n_shown,).

        Six standard deviations of the robust kind (from the median deviation) of the last seconds.
        """
        n = min(self._shown.size, round(self.settings.window_s * self.rate))
        if n < self.rate / 2:
            return np.full(len(self.names), 50.0, dtype=np.float32)
        rows = self._shown.view(n)
        spread = np.median(np.abs(rows - np.median(rows, axis=0)), axis=0) * (6 * 1.4826)
        return np.asarray(np.maximum(spread, 1.0), dtype=np.float32)

    def common_scale(self) -> float | None:
        """One of the usual scales that suits the electrodes; None before there is signal enough.

        Where there are many channels, lines may reach over their neighbours.
        """
        n = self.n_electrodes
        if n == 0 or self._shown.size < FIT_S * self.rate or not self.good.any():
            return None
        size = float(np.median(self.own_scales()[:n][self.good]))
        wanted = size * (0.5 if n > MANY else 0.9)
        return min(SCALES_UV, key=lambda scale: abs(np.log(scale / wanted)))

    def _take_event(self, event: dict[str, Any]) -> None:
        kind, begun = event["event"], self.begun or 0.0
        if kind == "gap":
            self.gaps.append(
                GapMark(begun + event["start_s"], event["length_s"], str(event["cause"]))
            )
        elif kind == "marker":
            self.markers.append(
                Mark(
                    begun + event["t_s"],
                    event["label"],
                    event.get("duration_s", 0.0),
                    event.get("origin", ""),
                )
            )
        elif kind == "channel":
            if event["reason"]:
                self.left_out[event["channel"]] = event["reason"]
            else:
                self.left_out.pop(event["channel"], None)


def filter_pieces(
    display: DisplayFilter,
    times: TimeArray,
    raw: FloatArray,
    good: BoolArray,
    last: float = float("nan"),
) -> FloatArray:
    """Filter rows that come after one at time ``last``; filters begin anew behind every long gap.

    As the pipeline does at a new segment, so that no step rings.
    """
    jumps = np.diff(times, prepend=last if np.isfinite(last) else times[:1]) > SEGMENT_S
    shown = []
    for piece in np.split(np.arange(len(times)), np.flatnonzero(jumps)):
        if len(piece) and jumps[piece[0]]:
            display.reset()
        shown.append(display.push(raw[piece], good))
    return np.concatenate(shown)


def breaks(times: TimeArray, rate: float) -> BoolArray:
    """Tell between which rows a line is drawn: True where the next one follows at once."""
    if len(times) == 0:
        return np.zeros(0, dtype=np.bool_)
    connected = np.ones(len(times), dtype=np.bool_)
    connected[:-1] = np.diff(times) <= BREAK / rate
    return connected
