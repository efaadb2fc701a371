"""Everything that happened in a session, in its order: the lines of ``commands.jsonl`` in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rtbci.recording.recording import Recording

TEXT_CHARS = 160
"""Of the values of a line that only its writer understands."""

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Happening:
    """One line.

    Attributes
    ----------
    time : float | None
        Seconds after the first row; None where it never had a row.
    kind : str
        As in ``commands.jsonl``.
    text : str
    """

    time: float | None
    kind: str
    text: str


def happenings(recording: Recording, begun: float) -> Iterator[Happening]:
    """Tell all lines but the skipped forecasts, which are only counted.

    Parameters
    ----------
    recording : Recording
    begun : float
        Time of the first row, seconds of the session's clock.

    Raises
    ------
    RecordingError
        Where a line is damaged.
    """
    for command in recording.commands():
        if command.kind == "skip_forecast":
            continue
        when = command.values.get("start", command.values.get("time"))
        if isinstance(when, int | float):
            time: float | None = when - begun
        else:
            time = row_time(recording, command.sample, begun)
        words = _WORDS.get(command.kind, _plain)
        yield Happening(time, command.kind, words(command.values))


def row_time(recording: Recording, sample: int | None, begun: float) -> float | None:
    """Seconds from the first row to another; to the last one where it was lost in a crash."""
    if sample is None or recording.n_rows == 0:
        return None
    row = min(max(sample, 0), recording.n_rows - 1)
    return float(recording.main.times(row, row + 1)[0]) - begun


def _gap(values: Values) -> str:
    rows = values["missing"]
    after = "bridged" if values["bridged"] else "a new segment begins"
    return (
        f"{values['length']:.3f} s missing ({rows} {'row' if rows == 1 else 'rows'}): "
        f"{values['cause']}; {after}"
    )


def _marker(values: Values) -> str:
    lasts = f", {values['duration']:.2f} s" if values.get("duration") else ""
    return f"{values['label']} ({values['origin']}{lasts})"


def _channel(values: Values) -> str:
    if values["reason"]:
        return f"{values['channel']} left out: {values['reason']}"
    return f"{values['channel']} taken back: good again"


def _outputs(values: Values) -> str:
    if (one := values.get("output")) is not None:
        return f"output {str(one).upper()} {'off' if values['stopped'] else 'on'}"
    return "outputs stopped: nothing but neutral goes out" if values["stopped"] else "outputs go on"


def _adaptation(values: Values) -> str:
    rest = _plain(values.get("values") or {})
    return f"the decoder was {values['change']}" + (f": {rest}" if rest else "")


def _by_hand(what: str) -> Callable[[Values], str]:
    return lambda values: f"{values.get('channel', '?')} {what} by hand"


def _threshold(values: Values) -> str:
    off = values.get("off")
    return f"thresholds set to {values.get('on')}" + ("" if off is None else f" and {off}")


def _plain(values: Values) -> str:
    if not values:
        return ""
    text = ", ".join(f"{key} {_short(value)}" for key, value in values.items())
    return text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1] + "…"


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_WORDS: dict[str, Callable[[Values], str]] = {
    "gap": _gap,
    "marker": _marker,
    "channel": _channel,
    "outputs": _outputs,
    "adaptation": _adaptation,
    "leave_out": _by_hand("left out"),
    "take_back": _by_hand("taken back"),
    "threshold": _threshold,
}
