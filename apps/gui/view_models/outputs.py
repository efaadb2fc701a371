"""What leaves the session: LSL, OSC, and whether somebody has stopped them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rtbci.apps.gui.view_models.update import Update
    from rtbci.live.view import ViewInfo

OutputState = Literal["sends", "waits", "stopped", "uncalibrated", "muted", "off"]


@dataclass(frozen=True)
class OutputLine:
    """One output.

    Attributes
    ----------
    kind : str
        ``lsl`` or ``osc``.
    where : str
        ``rtbci-decode``, ``127.0.0.1:9000``; empty where it is off.
    state : str
        ``sends``; ``waits`` (nobody receives); ``stopped``; ``uncalibrated`` (only neutral goes
        out, since the decoder does not know this subject); ``muted`` (switched off by itself);
        ``off`` (the session has none).
    heard : bool | None
        Whether anybody receives; None where that can't be known.
    dropped : int
        Messages that the system did not take.
    """

    kind: str
    where: str
    state: OutputState
    heard: bool | None = None
    dropped: int = 0


@dataclass(frozen=True)
class Outputs:
    """All of them.

    Attributes
    ----------
    lines : tuple of OutputLine
    stopped : bool
    any : bool
        Whether there is an output at all.
    """

    lines: tuple[OutputLine, ...] = ()
    stopped: bool = False
    any: bool = False


KINDS = ("lsl", "osc")


def read_outputs(status: Mapping[str, Any]) -> Outputs:
    """Read them from a status, whose ``sinks`` describes each."""
    stopped = bool(status.get("stopped"))
    decode = status.get("decode")
    uncalibrated = decode is not None and not decode.get("calibrated", True)
    described = {str(sink["kind"]): sink for sink in status.get("sinks") or []}
    lines = []
    for kind in KINDS:
        sink = described.get(kind)
        if sink is None:
            lines.append(OutputLine(kind, "", "off"))
            continue
        heard = sink.get("heard")
        lines.append(
            OutputLine(
                kind,
                str(sink.get("where", "")),
                "muted" if sink.get("off") else _state(stopped, uncalibrated, heard),
                heard,
                int(sink.get("dropped", 0)),
            )
        )
    return Outputs(tuple(lines), stopped, bool(described))


def _state(stopped: bool, uncalibrated: bool, heard: bool | None) -> OutputState:
    if stopped:
        return "stopped"
    if uncalibrated:
        return "uncalibrated"
    return "waits" if heard is False else "sends"


class OutputsModel:
    """Follows the outputs of one session.

    Parameters
    ----------
    info : ViewInfo
    """

    def __init__(self, info: ViewInfo) -> None:
        self.classes = info.classes
        self.outputs = Outputs()

    def take(self, update: Update) -> None:
        """Take what is new of the session."""
        if update.status is not None:
            self.outputs = read_outputs(update.status)
