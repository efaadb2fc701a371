"""Health of a session: rate, gaps, latency, tokens that wait, disk, GPU.

No token is ever dropped: a backlog is caught up, and only forecasts that come too late are skipped.

Each line says how well it stands (``good``, ``fair``, ``bad``); the widget only colours it.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rtbci.apps.gui.view_models.latency import DEADLINE_MS

if TYPE_CHECKING:
    from rtbci.apps.gui.view_models.update import Update
    from rtbci.live.view import ViewInfo

Level = Literal["good", "fair", "bad", "none"]

RATE_S = 10.0
"""The rate is measured over so long."""
RATE_SHARE = 0.02
"""A rate that differs by more than this share from the nominal one is fair, by five times bad."""
BATTERY = "BATTERY"
"""Name of the channel in which boards that know it give their battery's charge."""
LOW_BATTERY = 15.0
"""Percent."""
BEHIND = 3
"""Tokens that may wait without harm."""
DISK_FAIR_S = 3600.0
DISK_BAD_S = 600.0
"""Seconds of recording for which the disk must have room."""
DISK_EVERY_S = 5.0


@dataclass(frozen=True)
class HealthLine:
    """A number of the session's health.

    Attributes
    ----------
    key : str
        Of the catalogue of texts: ``rate``, ``gaps``, ``latency``, ``tokens``, ``disk``, ``gpu``.
    values : dict
        What the text is made of.
    level : str
    """

    key: str
    values: dict[str, Any]
    level: Level = "none"


@dataclass(frozen=True)
class Disk:
    """Room on the disk that is recorded to."""

    free_bytes: int
    seconds: float
    """Of recording at this session's rate."""


@dataclass
class HealthState:
    """What :class:`HealthModel` remembers.

    Attributes
    ----------
    counted : deque of (t_s, samples)
    status : dict
        The newest one.
    disk : Disk | None
    battery : float | None
        As the board gives it.
    disk_at : float
        When it was looked at, seconds of the session.
    """

    counted: deque[tuple[float, int]] = field(default_factory=deque)
    status: dict[str, Any] = field(default_factory=dict)
    disk: Disk | None = None
    battery: float | None = None
    disk_at: float | None = None


class HealthModel:
    """Follows the health of one session.

    Parameters
    ----------
    info : ViewInfo
    deadline_ms : float
        By which a decode must be out.
    free : callable
        Free bytes of the disk that a folder lies on.
    """

    def __init__(
        self,
        info: ViewInfo,
        *,
        deadline_ms: float = DEADLINE_MS,
        free: Callable[[Path], int] | None = None,
    ) -> None:
        self._rate = info.rate
        # float32, and time and counter of each row
        self._bytes_s = info.rate * (4 * len(info.channels) + 16)
        self.recording = info.recording
        self._deadline_ms = deadline_ms
        self._free = free or _free_bytes
        names = [channel.name for channel in info.channels]
        self._battery = names.index(BATTERY) if BATTERY in names else None
        self.state = HealthState()

    def take(self, update: Update) -> None:
        """Take what is new of the session."""
        if self._battery is not None and len(update.rows.data):
            self.state.battery = float(update.rows.data[-1, self._battery])
        for event in update.events:
            if event.get("event") == "started":
                self.recording = event.get("recording") or self.recording
        if update.status is not None:
            self.take_status(update.status)

    def take_status(self, status: Mapping[str, Any]) -> None:
        """Take the newest status."""
        state = self.state
        state.status = dict(status)
        time = float(status.get("t_s", 0.0))
        state.counted.append((time, int(status.get("samples", 0))))
        while len(state.counted) > 2 and state.counted[0][0] < time - RATE_S:
            state.counted.popleft()
        if self.recording and (state.disk_at is None or time >= state.disk_at + DISK_EVERY_S):
            state.disk_at = time
            state.disk = self._look(Path(self.recording))

    @property
    def rate_hz(self) -> float | None:
        """Rate as it is measured; None before there is a second of it."""
        counted = self.state.counted
        if len(counted) < 2 or counted[-1][0] - counted[0][0] < 1.0:
            return None
        return (counted[-1][1] - counted[0][1]) / (counted[-1][0] - counted[0][0])

    def lines(self) -> tuple[HealthLine, ...]:
        """Every number, in the order in which they are shown."""
        status = self.state.status
        if not status:
            return ()
        made = [self._rate_line(), self._gap_line(), self._latency_line(), self._token_line()]
        if self.recording:
            made.append(self._disk_line())
        if self.state.battery is not None:
            low = 0 < self.state.battery < LOW_BATTERY
            made.append(
                HealthLine("battery", {"value": self.state.battery}, "fair" if low else "good")
            )
        device = status.get("device")
        if device:
            made.append(HealthLine("device", {"device": str(device), **_gpu(status)}))
        return tuple(made)

    @property
    def worst(self) -> Level:
        """The worst of all lines."""
        levels = {line.level for line in self.lines()}
        return "bad" if "bad" in levels else "fair" if "fair" in levels else "good"

    def _rate_line(self) -> HealthLine:
        measured = self.rate_hz
        if measured is None:
            return HealthLine("rate_unknown", {"nominal": self._rate})
        off = abs(measured / self._rate - 1.0)
        level: Level = "bad" if off > 5 * RATE_SHARE else "fair" if off > RATE_SHARE else "good"
        return HealthLine("rate", {"measured": measured, "nominal": self._rate}, level)

    def _gap_line(self) -> HealthLine:
        gaps, length = int(self.state.status["gaps"]), float(self.state.status["gap_s"])
        level: Level = "fair" if gaps else "good"
        if self.state.status.get("trouble"):
            level = "bad"
        return HealthLine("gaps", {"gaps": gaps, "seconds": length}, level)

    def _latency_line(self) -> HealthLine:
        latency = self.state.status.get("latency_ms") or {}
        if latency.get("p50") is None:
            return HealthLine("latency_unknown", {})
        late = float(latency["max"]) > self._deadline_ms
        close = float(latency["p99"]) > self._deadline_ms / 2
        level: Level = "bad" if late else "fair" if close else "good"
        values = {key: float(latency[key]) for key in ("p50", "p99", "max")}
        return HealthLine("latency", values, level)

    def _token_line(self) -> HealthLine:
        status = self.state.status
        behind, skipped = int(status.get("backlog_tokens", 0)), int(status["skipped_forecasts"])
        level: Level = "bad" if behind > BEHIND else "fair" if skipped else "good"
        values = {"tokens": int(status["tokens"]), "behind": behind, "skipped": skipped}
        return HealthLine("tokens", values, level)

    def _disk_line(self) -> HealthLine:
        disk = self.state.disk
        if disk is None:
            return HealthLine("disk_unknown", {})
        level: Level = (
            "bad" if disk.seconds < DISK_BAD_S else "fair" if disk.seconds < DISK_FAIR_S else "good"
        )
        values = {"gigabytes": disk.free_bytes / 1e9, "hours": disk.seconds / 3600.0}
        return HealthLine("disk", values, level)

    def _look(self, folder: Path) -> Disk | None:
        try:
            free = self._free(folder)
        except OSError:  # taken away, or a network disk that is gone: the engine will say so
            return None
        return Disk(free, free / self._bytes_s)


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _gpu(status: Mapping[str, Any]) -> dict[str, Any]:
    used = status.get("gpu_bytes")
    return {} if used is None else {"gigabytes": float(used) / 1e9}
