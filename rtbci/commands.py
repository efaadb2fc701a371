"""What can be asked of a running session, one JSON object a line.

    {"command": "mark", "label": "blink", "time": 81.25, "duration": 0.0, "origin": "user"}
    {"command": "stop_outputs"}    {"command": "resume_outputs"}    (all, or "output": "lsl")
    {"command": "leave_out", "channel": "C3"}    {"command": "take_back", "channel": "C3"}
    {"command": "threshold", "on": 0.9, "off": 0.4}
    {"command": "note", "kind": "pause", "values": {...}}
    {"command": "stop"}

Those that change what is decoded are a :class:`Steer`: they take effect at the first token that is
completed by the row they are recorded with, or by one behind it, and a replay obeys them there.

docs/command-line.md documents each field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rtbci.errors import BadInputError
from rtbci.types import Marker

AHEAD_S = 60.0
"""A marker may be placed so far ahead of the clock: later than that is another clock's time."""
STEER_KINDS = ("leave_out", "take_back", "threshold")
"""Kinds of lines in ``commands.jsonl`` that a replay obeys."""
OWN_KINDS = ("adaptation", "gap", "marker", "channel", "skip_forecast", "outputs", *STEER_KINDS)
"""Kinds of lines that the session itself writes into ``commands.jsonl``."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the session."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Put a marker on the session.

    Attributes
    ----------
    label : str
    time : float | None
        Seconds of the session's clock; when the command arrived where None.
    duration : float
        Seconds.
    origin : str
        ``user``, or who else set it (``cue``).
    """

    label: str
    time: float | None = None
    duration: float = 0.0
    origin: str = "user"

    def marker(self, now: float) -> Marker:
        """The marker, stamped now where it has no time of its own."""
        return Marker(
            now if self.time is None else self.time, self.label, self.duration, self.origin
        )


@dataclass(frozen=True, slots=True)
class SwitchOutputs:
    """Let nothing but neutral out, or end that.

    Attributes
    ----------
    stopped : bool
    output : str | None
        ``lsl`` or ``osc`` for that one alone; None for all.
    """

    stopped: bool
    output: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Write something down among the session's commands; nothing else comes of it."""

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """Decode and forecast without an electrode, until it is taken back."""

    channel: str


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Let an electrode that was left out by hand count again, if its signal is good."""

    channel: str


@dataclass(frozen=True, slots=True)
class SetThreshold:
    """Move the decision's thresholds.

    Attributes
    ----------
    on : float
        Evidence from which a class is decided; a probability where the decoder accumulates none.
    off : float | None
        Evidence below which it is given up; None where the decoder accumulates none.
    """

    on: float
    off: float | None = None


Steer = LeaveOut | TakeBack | SetThreshold
Command = Stop | Mark | SwitchOutputs | Note | Steer


def steer_line(steer: Steer) -> tuple[str, dict[str, Any]]:
    """Give kind and values as ``commands.jsonl`` has them; :func:`read_steer` reads them."""
    match steer:
        case LeaveOut(channel):
            return "leave_out", {"channel": channel}
        case TakeBack(channel):
            return "take_back", {"channel": channel}
        case SetThreshold(on, off):
            return "threshold", {"on": on, "off": off}


def read_steer(kind: str, values: Mapping[str, Any]) -> Steer:
    """Read a command of one of the ``STEER_KINDS``.

    Raises
    ------
    BadInputError
        Where its values are none.
    """
    if kind in ("leave_out", "take_back"):
        channel = values.get("channel")
        if not isinstance(channel, str):
            raise BadInputError(f"{kind} needs the name of a channel, got {channel!r}.")
        return LeaveOut(channel) if kind == "leave_out" else TakeBack(channel)
    on, off = values.get("on"), values.get("off")
    if not _finite(on) or not (off is None or _finite(off)):
        raise BadInputError(f"threshold needs numbers for on and off, got {on!r} and {off!r}.")
    return SetThreshold(float(on or 0.0), None if off is None else float(off))


def read_command(line: str, now: float) -> Command:
    """Read one line.

    Parameters
    ----------
    line : str
    now : float
        Seconds of the session's clock.

    Raises
    ------
    BadInputError
        Where it is no command; with what is wrong with it.
    """
    try:
        said = json.loads(line)
    except ValueError as err:
        raise BadInputError(f"a command is one JSON object a line, got {line[:80]!r}.") from err
    name = said.get("command") if isinstance(said, dict) else None
    if name == "stop":
        return Stop()
    if name in ("stop_outputs", "resume_outputs"):
        output = said.get("output")
        if not (output is None or isinstance(output, str)):
            raise BadInputError(f"{name} takes the kind of an output (lsl, osc), got {output!r}.")
        return SwitchOutputs(name == "stop_outputs", output)
    if name == "mark":
        return _mark(said, now)
    if name == "note":
        return _note(said)
    if name in STEER_KINDS:
        return read_steer(name, said)
    raise BadInputError(
        f"there is no command {name!r}; there are mark, note, resume_outputs, stop, stop_outputs, "
        "leave_out, take_back and threshold."
    )


def _mark(said: Mapping[str, Any], now: float) -> Mark:
    label, origin = said.get("label"), said.get("origin", "user")
    for what, text in (("label", label), ("origin", origin)):
        if not (isinstance(text, str) and text.strip() and text.isprintable()):
            raise BadInputError(f"a marker's {what} is a text in one line, got {text!r}.")
    time, duration = said.get("time"), said.get("duration", 0.0)
    if time is not None and not (_finite(time) and time <= now + AHEAD_S):
        raise BadInputError(
            f"a marker's time is seconds of the session's clock ({now:.3f} now), got {time!r}."
        )
    if not (_finite(duration) and duration >= 0):
        raise BadInputError(f"a marker's duration is seconds, 0 or more, got {duration!r}.")
    assert isinstance(label, str)
    return Mark(label.strip(), None if time is None else float(time), float(duration), origin)


def _note(said: Mapping[str, Any]) -> Note:
    kind, values = said.get("kind"), said.get("values", {})
    if not (isinstance(kind, str) and kind) or kind in OWN_KINDS:
        raise BadInputError(
            f"a note's kind is a word, and none of {', '.join(OWN_KINDS)}; got {kind!r}."
        )
    if not isinstance(values, dict):
        raise BadInputError(f"a note's values are an object, got {values!r}.")
    return Note(kind, values)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
