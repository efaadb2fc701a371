"""The end of a session in words and figures, for a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rtbci.apps.view import FAINT


def render(summary: dict[str, Any]) -> RenderableType:
    """Draw a ``summary`` event."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style=FAINT)
    facts.add_column()
    facts.add_row("session", f"{summary['seconds']:.1f} s, {summary['samples']} samples")
    facts.add_row(
        "tokens",
        f"{summary['tokens']} ({summary['dropped_tokens']} dropped), "
        f"{summary['forecasts']} forecasts ({summary['skipped_forecasts']} skipped), "
        f"{summary['decodes']} decodes",
    )
    if not summary["tokens"]:
        facts.add_row("", "nothing was forecast: the first forecast needs a whole window of signal")
    gaps = summary["gaps"]
    missing = sum(gap["length_s"] for gap in gaps)
    segments = _count(summary["segments"], "segment")
    facts.add_row("gaps", f"{len(gaps)} ({missing:.3f} s), {segments}")
    latency = summary["latency_ms"]
    if latency and latency["p50"] is not None:
        facts.add_row(
            "latency",
            f"p50 {latency['p50']:.1f}, p99 {latency['p99']:.1f}, max {latency['max']:.1f} ms",
        )
    if summary["accuracy"] is not None:
        facts.add_row("accuracy", accuracy_words(summary["accuracy"]))
    facts.add_row("model", f"{summary['model']['name']} ({summary['model']['hash'][:12]})")
    if summary["recording"]:
        facts.add_row("recording", summary["recording"])
    return Group(facts, Text(), skill_table(summary["skill"]))


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def accuracy_words(accuracy: dict[str, Any]) -> str:
    """The trial score as a sentence."""
    p = accuracy["p_value"]
    chance = "" if p is None else f", p = {p:.3g} against chance"
    return (
        f"{accuracy['balanced']:.2f} balanced over {_count(accuracy['trials'], 'trial')} "
        f"({accuracy['abstained']} abstained){chance}"
    )


def skill_table(skill: list[dict[str, Any]]) -> RenderableType:
    """Forecast error over variance by horizon."""
    table = Table(title="Forecast error over variance", title_justify="left", title_style=FAINT)
    table.add_column("horizon, ms")
    for name in ("model", "ar", "ridge", "persistence"):
        table.add_column(name, justify="right")
    for row in skill:
        low, high = row["horizon_ms"]
        values = (row[name] for name in ("model", "ar", "ridge", "persistence"))
        table.add_row(f"{low}–{high}", *("–" if v is None else f"{v:.3f}" for v in values))
    if all(row["persistence"] is None for row in skill):
        return Text("forecast skill counts from 60 s on: this session was shorter", style=FAINT)
    return table
