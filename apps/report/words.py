"""Pieces of HTML and figures in words, the same on the whole page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from rtbci.apps.gui.colours import class_role

Cell = str
_KINDS = {"n": ' class="n"', "s": ' class="s"', "m": ' class="n s"'}


def duration(seconds: float) -> str:
    """``2.50 s``, ``40.0 s``, ``4 min 03 s``, ``1 h 02 min``."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 90:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def clock(seconds: float) -> str:
    """Time since the first row: ``0:07.5``, ``1:02:07.5``."""
    sign, tenths = ("-", -seconds) if seconds < 0 else ("", seconds)
    tenths = round(10 * tenths)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest / 10:04.1f}"
    return f"{sign}{hours}:{minutes:02d}:{tail}" if hours else f"{sign}{minutes}:{tail}"


def date(when: datetime) -> str:
    """``21 November 2026, 18:57 UTC``."""
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def count(n: int, what: str) -> str:
    """``1 gap``, ``3 gaps``, ``10 000 rows``."""
    return f"{n:,} {what}{'' if n == 1 else 's'}".replace(",", "\u202f")


def number(value: float | None, digits: int = 2) -> str:
    """A figure, or a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def class_words(name: str) -> str:
    """A class for people: ``left hand``."""
    return name.replace("_", " ")


def class_var(name: str, classes: tuple[str, ...]) -> str:
    """CSS variable of a class's colour."""
    return class_role(name, classes)


def swatch(name: str, classes: tuple[str, ...]) -> str:
    """A class with its colour in front."""
    colour = class_var(name, classes)
    return f'<i class="swatch" style="background:var(--{colour})"></i>{escape(class_words(name))}'


def card(title: str, *content: str, sub: str = "", wide: bool = False, anchor: str = "") -> str:
    """A card: heading, a sentence, content; nothing at all where it is empty."""
    inside = "".join(content)
    if not inside:
        return ""
    said = f'<p class="sub">{sub}</p>' if sub else ""
    kind = "card wide" if wide else "card"
    name = f' id="{anchor}"' if anchor else ""
    return f'<section class="{kind}"{name}><h2>{escape(title)}</h2>{said}{inside}</section>'


def table(
    head: Sequence[Cell], rows: Iterable[Sequence[Cell]], kinds: str = "", name: str = ""
) -> str:
    """A table of cells that are HTML already.

    Parameters
    ----------
    head : sequence of str
    rows : iterable of sequence of str
    kinds : str
        A letter for each column: ``n`` a number, ``s`` not on a phone, ``m`` a number, but not on
        a phone, a blank anything else.
    name : str
        Class in the style sheet.
    """
    classes = [
        {"n": ' class="n"', "s": ' class="s"'}.get(k, "")
        for k in kinds.ljust(len(head))[: len(head)]
    ]
    top = "".join(f"<th{c}>{cell}</th>" for c, cell in zip(classes, head, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{c}>{v}</td>" for c, v in zip(classes, row, strict=True)) + "</tr>"
        for row in rows
    )
    called = f' class="{name}"' if name else ""
    heading = f"<thead><tr>{top}</tr></thead>" if any(head) else ""
    return f'<div class="scroll"><table{called}>{heading}<tbody>{body}</tbody></table></div>'


def folded(summary: str, content: str, is_open: bool = False) -> str:
    """Content that opens at a click (and is open on paper where it was open)."""
    state = " open" if is_open else ""
    return f"<details{state}><summary>{escape(summary)}</summary>{content}</details>"


def note(sentence: str, tone: str = "") -> str:
    """A sentence below something; ``tone`` is ``fair`` or ``bad`` where it needs attention."""
    return f'<p class="note {tone}">{sentence}</p>'
