"""The session as the bars around the cards show it: numbers, messages, whether the engine lives."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbci.apps.texts import t
from rtbci.apps.times import to_a_tenth

if TYPE_CHECKING:
    from rtbci.apps.gui.view_models.update import Update
    from rtbci.live.view import ViewInfo

LOUD = ("lost", "stalled", "error")
FAIR_EVENTS = ("gap", "channel", "late", "note")


class Life(Enum):
    """How the session stands."""

    WAITING = "waiting"
    """No row has come yet."""
    RUNNING = "running"
    TROUBLED = "troubled"
    """The engine lives, but its source gives no rows."""
    ENDED = "ended"
    """It ended as it was asked to, with its summary."""
    GONE = "gone"
    """The engine was killed, or says nothing any more."""


@dataclass(frozen=True)
class Message:
    """A sentence for the status line.

    Attributes
    ----------
    text : str
    tone : str
        ``good``, ``fair``, ``bad`` or empty.
    """

    text: str
    tone: str = ""


@dataclass
class ShellState:
    """What :class:`SessionStateModel` knows."""

    status: dict[str, Any] = field(default_factory=dict)
    recording: str | None = None
    recording_s: float = 0.0
    message: Message | None = None
    error: str = ""
    ended: bool = False
    alive: bool = True
    rows: bool = False
    messages: int = 0


class SessionStateModel:
    """Follows one session.

    Parameters
    ----------
    info : ViewInfo
    """

    def __init__(self, info: ViewInfo) -> None:
        self.info = info
        self.state = ShellState(recording=info.recording)

    def take(self, update: Update) -> None:
        """Take what is new."""
        state = self.state
        state.alive = update.alive
        state.rows = state.rows or len(update.rows.times) > 0
        if update.status is not None:
            state.status = update.status
            if "recording" in update.status:
                self._record(update.status["recording"], update.status["t_s"])
        for event in update.events:
            self._take_event(event)

    def _take_event(self, event: dict[str, Any]) -> None:
        state, kind = self.state, event["event"]
        if kind in ("started", "recording"):
            self._record(event.get("recording"), event.get("t_s", 0.0))
        elif kind == "summary":
            state.ended = True
        elif kind == "error":
            state.error = str(event["message"])
        if sentence := describe(event):
            tone = "bad" if kind in LOUD or event.get("stopped") else ""
            tone = tone or ("fair" if kind in FAIR_EVENTS and event.get("reason", True) else "")
            state.message = Message(sentence, tone)
            state.messages += 1

    def _record(self, path: str | None, time: float) -> None:
        if path != self.state.recording:
            self.state.recording, self.state.recording_s = path, time

    @property
    def life(self) -> Life:
        """How the session stands."""
        state = self.state
        if state.ended:
            return Life.ENDED
        if not state.alive:
            return Life.GONE
        if not state.rows:
            return Life.WAITING
        return Life.TROUBLED if state.status.get("trouble") else Life.RUNNING

    @property
    def time_s(self) -> float:
        """Seconds of the session, from its first row."""
        return float(self.state.status.get("t_s", 0.0))

    @property
    def recorded_s(self) -> float | None:
        """Seconds that have been recorded; None where nothing is, or nothing is any more."""
        if not self.state.recording or self.life in (Life.ENDED, Life.GONE):
            return None
        return max(0.0, self.time_s - self.state.recording_s)

    @property
    def recorded_bytes(self) -> int:
        """Size of the recording so far, from its rows."""
        seconds = self.recorded_s or 0.0
        return round(seconds * self.info.rate * (4 * len(self.info.channels) + 16))

    @property
    def recording_name(self) -> str:
        """Name of the recording's folder."""
        return Path(self.state.recording).name if self.state.recording else ""

    @property
    def counts(self) -> tuple[int, int, float | None]:
        """Gaps, forecasts skipped, and the 99th percentile of the latency, ms."""
        status = self.state.status
        latency = status.get("latency_ms") or {}
        return status.get("gaps", 0), status.get("skipped_forecasts", 0), latency.get("p99")


def describe(event: dict[str, Any]) -> str:
    """One sentence for an event that a person should know of; empty for the others."""
    kind = event["event"]
    when = to_a_tenth(event.get("start_s", event.get("t_s", 0.0)))
    if kind == "gap":
        kept = "kept" if event["bridged"] else "anew"
        return t(
            f"shell.event.gap_{kept}", when=when, missing=event["missing"], cause=event["cause"]
        )
    if kind == "channel":
        which = "left_out" if event["reason"] else "back"
        return t(f"shell.event.{which}", when=when, **{k: event[k] for k in ("channel", "reason")})
    if kind == "marker":
        user = event.get("origin") == "user"
        return t("shell.event.marker", when=when, label=event["label"]) if user else ""
    if kind == "adaptation":
        known = event["change"] in ("kept", "reverted")
        return t(f"shell.event.{event['change']}", when=when) if known else ""
    if kind == "summary":
        return t("shell.event.ended", when=when)
    if kind in ("started", "status"):
        return ""
    return str(event.get("message", ""))


def size(count: int) -> str:
    """Bytes for people: ``96 MB``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            value = count / factor
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
    return f"{count} B"


def duration(seconds: float) -> str:
    """How long something lasts: ``41 h``, ``12 min``."""
    if seconds >= 48 * 3600:
        return t("shell.duration.days", n=int(seconds // 86400))
    if seconds >= 2 * 3600:
        return t("shell.duration.hours", n=int(seconds // 3600))
    return t("shell.duration.minutes", n=int(seconds // 60))
