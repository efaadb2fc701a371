"""The live terminal view.

One screen answers whether the signal is good, what comes next, what the user wants, and whether
it can be trusted.

:class:`ViewState` takes events and knows nothing of the terminal; :func:`render` draws it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rtbci.apps.times import stop_watch

GOOD, FAIR, BAD, FAINT = "#2fbf9b", "#e8b13a", "#e0645c", "#8b96a5"
CLASS_COLOURS = ("#56B4E9", "#E69F00", "#97a3b2", "#CC79A7", "#009E73")
"""Left hand, right hand, rest and so on: the colours of the window, safe for colour-blind eyes."""
NOISY_SD_UV = 100.0
STALE_S = 0.5
"""A decode older than this says nothing of now."""
EVIDENCE_CELLS = 18
"""Of the bar of evidence; it ends at one and a half times the upper threshold."""
PAIR_HEIGHT = 8
"""Of the two panels that stand side by side."""


@dataclass
class ViewState:
    """What the screen shows.

    Attributes
    ----------
    status : dict
        The newest ``status`` event.
    messages : deque of tuple
        The newest notices, ``(t_s, sentence, colour)``.
    recording : str | None
    keys : bool
        Whether keys are read, so that the screen names them.
    """

    status: dict[str, Any] = field(default_factory=dict)
    messages: deque[tuple[float, str, str]] = field(default_factory=lambda: deque(maxlen=3))
    recording: str | None = None
    started: bool = False
    keys: bool = False

    def take(self, event: dict[str, Any]) -> None:
        """Take one event of the session."""
        kind = event["event"]
        if kind == "status":
            self.status = event
        elif kind == "started":
            self.started, self.recording = True, event.get("recording")
        else:
            sentence = describe(event)
            if sentence:
                bad = kind in ("lost", "stalled", "error") or event.get("stopped", False)
                colour = BAD if bad else FAIR
                self.messages.append((event.get("t_s", 0.0), sentence, colour))


def describe(event: dict[str, Any]) -> str:
    """One sentence for an event that a person should know of; empty for the others."""
    kind = event["event"]
    if kind == "gap":
        what = "bridged" if event["bridged"] else "a new segment begins"
        return (
            f"gap of {event['length_s']:.3f} s at {event['start_s']:.3f} s "
            f"({event['missing']} samples, {event['cause']}): {what}."
        )
    if kind == "channel":
        if event["reason"]:
            return f"{event['channel']} is left out: {event['reason']}."
        return f"{event['channel']} is good again."
    if kind == "adaptation":
        if event["change"] == "updated":
            return ""  # one a trial
        words = "stays: it is" if event["change"] == "kept" else "is taken back: it was no"
        return f"what the decoder learned from {event['trials']} trials {words} better than before."
    if kind == "marker":
        return f"marker {event['label']!r}." if event["origin"] == "user" else ""
    return str(event.get("message", ""))


def render(state: ViewState) -> RenderableType:
    """Draw the screen."""
    if not state.status:
        lines = [Text(f" {m}", style=c) for _, m, c in state.messages]
        return Panel(
            Group(Text("waiting for the first rows ...", style=FAINT), *lines), title="rtbci"
        )
    status = state.status
    body = [_header(status, state)]
    if state.messages:
        # NB: above all else, since a terminal of 24 lines cuts off what is below.
        body.append(_messages(state))
    body.append(_electrodes(status))
    side_by_side = Table.grid(expand=True)
    side_by_side.add_column(ratio=1)
    side_by_side.add_column(ratio=1)
    side_by_side.add_row(_decode(status), _skill(status))
    body.append(side_by_side)
    body.append(_health(status))
    return Group(*body)


def _header(status: dict[str, Any], state: ViewState) -> RenderableType:
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    line.add_column(justify="right", no_wrap=True)
    source = Text.assemble(
        ("● ", BAD if status["trouble"] else GOOD),
        (status["source"], "bold"),
        (f"  {len(status['electrodes'])} electrodes · {status['rate']:g} Hz", FAINT),
    )
    line.add_row(source, Text(stop_watch(status["t_s"]), style="bold"))
    # NB: first what a narrow terminal must not cut off.
    titles = [f"[bold {BAD}]OUTPUTS STOPPED[/]"] if status["stopped"] else []
    if state.recording:
        titles.append(f"[{BAD}]● rec[/] {escape(state.recording)}")
    elif not titles:
        titles.append("Ctrl-C ends the session")
    return Panel(
        line,
        title="rtbci" + (f" [{FAINT}]{_keys(status)}" if state.keys else ""),
        title_align="left",
        subtitle=" · ".join(titles),
        subtitle_align="left",
        border_style=FAINT,
    )


def _keys(status: dict[str, Any]) -> str:
    """What can be pressed now."""
    switch = "resume" if status["stopped"] else "STOP"
    outputs = f"s {switch} outputs · " if status["outputs"] else ""
    return f"m marker · {outputs}q quit"


def _electrodes(status: dict[str, Any]) -> RenderableType:
    """Each electrode with its standard deviation; what is left out with its reason."""
    left_out = status["left_out"]
    cells = []
    for name, sd in zip(status["electrodes"], status["sd_uv"], strict=True):
        colour = BAD if name in left_out else FAIR if sd > NOISY_SD_UV else GOOD
        value = "out" if name in left_out else f"{sd:.0f}"
        cells.append(Text.assemble((f"{name:>4} ", colour), (f"{value:>4}", FAINT)))
    good = len(status["electrodes"]) - len(left_out)
    lines: list[RenderableType] = [Columns(cells, padding=(0, 2))]
    lines += [Text(f"{name} left out: {why}", style=BAD) for name, why in left_out.items()]
    title = f"Electrodes [{FAINT}]{good} good · {len(left_out)} left out · SD in µV"
    return Panel(Group(*lines), title=title, title_align="left", border_style=FAINT)


def _decode(status: dict[str, Any]) -> RenderableType:
    decode = status["decode"]
    if decode is None:
        text = Text("nothing decodes: no subject, and the model has no decode head.", style=FAINT)
        return Panel(
            text, title="Decode", title_align="left", border_style=FAINT, height=PAIR_HEIGHT
        )
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right")
    shown = decode["p"] or [0.0] * len(decode["classes"])
    for i, (name, p) in enumerate(zip(decode["classes"], shown, strict=True)):
        colour = CLASS_COLOURS[i % len(CLASS_COLOURS)]
        bar = ProgressBar(total=1.0, completed=p, complete_style=colour, finished_style=colour)
        grid.add_row(Text(name.replace("_", " "), style=colour), bar, f"{p:.2f}")
    if decode["age_s"] > STALE_S:
        headline = Text(f"{decode['age_s']:.0f} s old", style=BAD)
    elif decode["p"] is None:
        headline = Text(f"abstains: {decode['reason']}", style=FAIR)
    elif decode["decision"] is None:
        headline = Text("undecided", style=FAINT)
    else:
        headline = Text(decode["decision"].replace("_", " "), style="bold")
    if decode.get("flags"):
        headline.append(f" · {' and '.join(decode['flags'])}: adds no evidence", style=FAIR)
    lines: list[RenderableType] = [headline, grid]
    if decode.get("thresholds"):
        lines.append(_evidence(decode))
    if not decode["calibrated"]:
        lines.append(Text("uncalibrated: not sent to any output", style=FAINT))
    return Panel(
        Group(*lines),
        title=f"Decode [{FAINT}]{escape(decode['decoder'])}",
        title_align="left",
        border_style=FAINT,
        height=PAIR_HEIGHT,
    )


def _evidence(decode: dict[str, Any]) -> Text:
    """Evidence of the leading class on its way to the thresholds (given up, decided)."""
    on, off = decode["thresholds"]
    levels = decode["evidence"] or [0.0]
    top = max(range(len(levels)), key=levels.__getitem__)
    cells = EVIDENCE_CELLS
    filled = round(cells * min(1.0, max(0.0, levels[top]) / (1.5 * on)))
    marks = {round(cells * max(0.0, level) / (1.5 * on)) for level in (on, off)}
    bar = Text("evidence ", style=FAINT)
    for cell in range(cells):
        sign = "│" if cell in marks else "█" if cell < filled else "·"
        colour = CLASS_COLOURS[top % len(CLASS_COLOURS)] if cell < filled else FAINT
        bar.append(sign, style="bold" if cell in marks else colour)
    return bar.append(f" {levels[top]:.2f}", style="")


def _skill(status: dict[str, Any]) -> RenderableType:
    table = Table(box=None, padding=(0, 1), header_style=FAINT)
    table.add_column("ms")
    columns = ("model", "ar", "ridge", "persistence")
    for name in columns:
        table.add_column("hold" if name == "persistence" else name, justify="right")
    for row in status["skill"]:
        values = [row[c] for c in columns]
        known = [v for v in values if v is not None]
        cells = [
            Text("–" if v is None else f"{v:.2f}", style=GOOD if known and v == min(known) else "")
            for v in values
        ]
        low, high = row["horizon_ms"]
        table.add_row(f"{low}–{high}", *cells)
    unknown = all(row[c] is None for row in status["skill"] for c in columns)
    title = f"Forecast error [{FAINT}]{'counts from 60 s on' if unknown else 'over variance'}"
    return Panel(table, title=title, title_align="left", border_style=FAINT, height=PAIR_HEIGHT)


def _health(status: dict[str, Any]) -> RenderableType:
    latency = status["latency_ms"]

    def ms(value: float | None) -> str:
        return "–" if value is None else f"{value:.1f}"

    stages = " · ".join(f"{name} {ms(v['p50'])}" for name, v in latency["stages"].items())
    line = Text.assemble(
        ("latency ", FAINT),
        f"p50 {ms(latency['p50'])}  p99 {ms(latency['p99'])}  max {ms(latency['max'])} ms",
        (f"\n        {stages}" if stages else "", FAINT),
    )
    counts = Text.assemble(
        ("tokens ", FAINT),
        f"{status['tokens']}",
        ("  skipped forecasts ", FAINT),
        f"{status['skipped_forecasts']}",
        ("  gaps ", FAINT),
        (f"{status['gaps']} ({status['gap_s']:.2f} s)", FAIR if status["gaps"] else ""),
    )
    return Panel(Group(line, counts), title="Health", title_align="left", border_style=FAINT)


def _messages(state: ViewState) -> RenderableType:
    lines = [
        Text.assemble((f"{stop_watch(t)} ", FAINT), (sentence, colour))
        for t, sentence, colour in state.messages
    ]
    return Panel(Group(*lines), title="Messages", title_align="left", border_style=FAINT)
