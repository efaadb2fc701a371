"""A view that is fed by calls: for tests and pictures, without an engine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rtbci.live.view import DECODES_S, TOKENS_S, Rows, ViewInfo
from rtbci.types import Decode, FloatArray, Forecast, IndexArray, TimeArray


@dataclass
class _Kept:
    """Rows from ``start`` on; the newest ``capacity`` of them stay."""

    capacity: int
    data: FloatArray
    times: TimeArray
    start: int = 0

    @classmethod
    def empty(cls, capacity: int, n_channels: int) -> _Kept:
        return cls(capacity, np.zeros((0, n_channels), dtype=np.float32), np.zeros(0))

    def push(self, data: FloatArray, times: TimeArray) -> None:
        if data.shape != (len(times), self.data.shape[1]):
            raise ValueError(
                f"{len(times)} times of {self.data.shape[1]} channels don't go with rows of shape "
                f"{data.shape}"
            )
        self.data = np.concatenate([self.data, data.astype(np.float32)])
        self.times = np.concatenate([self.times, np.asarray(times, dtype=np.float64)])
        gone = max(0, len(self.data) - self.capacity)
        self.data, self.times = self.data[gone:], self.times[gone:]
        self.start += gone

    def rows(self, after: int, limit: int | None) -> Rows:
        first = max(after, self.start) - self.start
        stop = None if limit is None else first + limit
        data, times = self.data[first:stop], self.times[first:stop]
        return Rows(min(self.start + first, self.start + len(self.data)), data, times)


@dataclass
class MemoryView:
    """A :class:`rtbci.live.view.View` that shows what was pushed into it.

    Attributes
    ----------
    info : ViewInfo
        ``begun`` is set by the first row that is pushed, where it is None.
    alive : bool
        As the window is to see it.
    age_s : float
        What :meth:`heartbeat_age` gives.
    """

    info: ViewInfo
    alive: bool = True
    age_s: float = 0.0
    _rows: _Kept = field(init=False, repr=False)
    _filtered: _Kept = field(init=False, repr=False)
    _breaks: list[int] = field(default_factory=list, repr=False)
    _forecasts: list[Forecast] = field(default_factory=list, repr=False)
    _decodes: list[Decode] = field(default_factory=list, repr=False)
    _events: list[dict[str, Any]] = field(default_factory=list, repr=False)
    _status: dict[str, Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        info = self.info
        self._rows = _Kept.empty(round(info.ring_s * info.rate), len(info.channels))
        self._filtered = _Kept.empty(round(info.ring_s * info.model_rate), len(info.electrodes))

    def push_rows(self, data: FloatArray, times: TimeArray) -> None:
        """Add rows of all channels, shape (n_times, n_channels), µV."""
        if self.info.begun is None and len(times):
            self.info = replace(self.info, begun=float(times[0]))
        self._rows.push(data, times)

    def push_filtered(self, data: FloatArray, times: TimeArray, *, segment: bool = False) -> None:
        """Add rows at the model's rate, shape (n_times, n_electrodes), µV.

        ``segment`` says that a new segment begins with the first of them.
        """
        if segment:
            self._breaks.append(self._filtered.start + len(self._filtered.data))
        self._filtered.push(data, times)

    def push_forecast(self, forecast: Forecast) -> None:
        """Add the forecast of a further token."""
        self._forecasts.append(forecast)
        newest = forecast.time
        self._forecasts = [f for f in self._forecasts if f.time >= newest - TOKENS_S]

    def push_decode(self, decode: Decode) -> None:
        """Add the decode of a further token."""
        self._decodes.append(decode)
        newest = decode.time
        self._decodes = [d for d in self._decodes if d.time >= newest - DECODES_S]

    def set_status(self, status: dict[str, Any]) -> None:
        """Replace the status."""
        self._status = status

    def push_event(self, event: dict[str, Any]) -> None:
        """Add an event (:mod:`rtbci.events`)."""
        self._events.append(event)

    def rows(self, after: int, limit: int | None = None) -> Rows:
        """As :class:`rtbci.live.view.View` says."""
        return self._rows.rows(after, limit)

    def filtered(self, after: int, limit: int | None = None) -> Rows:
        """As :class:`rtbci.live.view.View` says."""
        return self._filtered.rows(after, limit)

    def filtered_breaks(self, after: int) -> IndexArray:
        """As :class:`rtbci.live.view.View` says."""
        return np.array([row for row in self._breaks if row >= after], dtype=np.int64)

    def forecasts(self, after_token: int) -> list[Forecast]:
        """As :class:`rtbci.live.view.View` says."""
        return [forecast for forecast in self._forecasts if forecast.token > after_token]

    def decodes(self, after_token: int) -> list[Decode]:
        """As :class:`rtbci.live.view.View` says."""
        return [decode for decode in self._decodes if decode.token > after_token]

    def status(self) -> dict[str, Any] | None:
        """As :class:`rtbci.live.view.View` says."""
        return self._status

    def events(self, after: int) -> tuple[list[dict[str, Any]], int]:
        """As :class:`rtbci.live.view.View` says; a position is a number of events."""
        return self._events[after:], len(self._events)

    def heartbeat_age(self) -> float:
        """As :class:`rtbci.live.view.View` says."""
        return self.age_s

    def close(self) -> None:
        """Nothing is held."""
