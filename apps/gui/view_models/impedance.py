"""An impedance check as it goes on: what each electrode measured, and the proof behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Phase = Literal["idle", "opening", "measuring", "proving", "done", "failed"]


@dataclass(frozen=True)
class Measured:
    """One electrode: ohm (None for no contact at all) and what it means."""

    channel: str
    ohm: float | None
    contact: str


@dataclass
class ImpedanceModel:
    """Follows the events of :mod:`rtbci.apps.impedance`.

    Attributes
    ----------
    phase : str
    channels : tuple of str
        In the order in which they are measured.
    measured : dict
        By channel.
    off : bool | None
        Whether the test current is off; None before that is known.
    residual_uv : float | None
        The most that was left of it, over all channels.
    error : str
    """

    phase: Phase = "idle"
    channels: tuple[str, ...] = ()
    measured: dict[str, Measured] = field(default_factory=dict)
    off: bool | None = None
    residual_uv: float | None = None
    error: str = ""

    @property
    def current(self) -> str:
        """The electrode in hand; empty where there is none."""
        if self.phase != "measuring":
            return ""
        return next((c for c in self.channels if c not in self.measured), "")

    @property
    def running(self) -> bool:
        """Whether a check goes on."""
        return self.phase in ("opening", "measuring", "proving")

    def worst(self) -> list[str]:
        """Channels whose contact is bad or missing, the worst first."""
        bad = [m for m in self.measured.values() if m.contact in ("bad", "open")]
        bad.sort(key=lambda m: float("inf") if m.ohm is None else m.ohm, reverse=True)
        return [m.channel for m in bad]

    def begin(self) -> None:
        """A check has been started: forget the one before."""
        self.phase, self.channels, self.measured = "opening", (), {}
        self.off, self.residual_uv, self.error = None, None, ""

    def take(self, event: Mapping[str, Any]) -> None:
        """Take one event of the check."""
        kind = event["event"]
        if kind == "opened":
            self.phase, self.channels = "measuring", tuple(event["channels"])
        elif kind == "impedance":
            made = Measured(event["channel"], event["ohm"], event["contact"])
            self.measured[made.channel] = made
            if len(self.measured) == len(self.channels):
                self.phase = "proving"
        elif kind == "report":
            self.phase, self.off = "done", bool(event["off"])
            left = event["residual_uv"]
            self.residual_uv = max(left) if left else None
        elif kind == "error":
            self.phase, self.error = "failed", str(event["message"])

    def stop(self) -> None:
        """Somebody has asked the check to stop; its proof is still to come."""
        if self.phase == "measuring":
            self.phase = "proving"

    def ended(self, why: str) -> None:
        """The check's process is over; that is an error unless it has reported."""
        if self.running:
            self.phase, self.error = "failed", why
