"""Strips along the session's time: one below the other, with one axis of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from rtbci.apps.report.chart import VIEW, Values, drawing, line_path, thinned
from rtbci.apps.times import on_an_axis

TIME_STEPS_S = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)
MOST_TICKS = 9
MOST_MARKS = 3000
"""Marks in a strip: more than that are closer than a pixel."""


class Lane:
    """One strip.

    Parameters
    ----------
    start, stop : float
        What it spans, seconds after the first row.
    """

    def __init__(self, start: float, stop: float) -> None:
        self.start, self.stop = start, stop
        self._drawn: list[str] = []

    def _at(self, time: float) -> float:
        share = (time - self.start) / max(self.stop - self.start, 1e-9)
        return min(VIEW, max(0.0, VIEW * share))

    def span(
        self,
        start: float,
        stop: float,
        colour: str,
        *,
        opacity: float = 1.0,
        low: float = 0.0,
        high: float = 1.0,
        says: str = "",
    ) -> None:
        """Fill a stretch of time, from ``low`` to ``high`` of the strip's height."""
        if stop < self.start or start > self.stop:
            return
        a, b = self._at(start), self._at(stop)
        title = f"<title>{escape(says)}</title>" if says else ""
        self._drawn.append(
            f'<rect x="{a:.2f}" y="{VIEW * (1 - high):.0f}" width="{max(b - a, 0.7):.2f}" '
            f'height="{VIEW * (high - low):.0f}" style="fill:var(--{colour})" '
            f'opacity="{opacity:g}">{title}</rect>'
        )

    def marks(self, times: Sequence[float], colour: str, width: float = 1.5) -> None:
        """Draw uprights."""
        inside = [t for t in times if self.start <= t <= self.stop]
        inside = inside[:: max(1, -(-len(inside) // MOST_MARKS))]
        if inside:
            path = "".join(f"M{self._at(t):.1f},0V{VIEW:g}" for t in inside)
            self._drawn.append(
                f'<path d="{path}" style="stroke:var(--{colour})" stroke-width="{width}"/>'
            )

    def line(self, times: Values, shares: Values, colour: str, width: float = 1.3) -> None:
        """Draw a line of shares of the strip's height, broken at NaN."""
        when = np.asarray(times, dtype=np.float64)
        inside = (when >= self.start) & (when <= self.stop)
        if not inside.any():
            return
        x = (when[inside] - self.start) / max(self.stop - self.start, 1e-9) * VIEW
        y = (1 - np.clip(np.asarray(shares, dtype=np.float64)[inside], 0.0, 1.0)) * VIEW
        self._drawn.append(
            f'<path d="{line_path(*thinned(x, y))}" fill="none" '
            f'style="stroke:var(--{colour})" stroke-width="{width}"/>'
        )

    def steps(self, edges: Values, shares: Values, colour: str, opacity: float = 0.8) -> None:
        """Fill below steps; a NaN leaves a hole."""
        made = []
        values = np.asarray(shares, dtype=np.float64)
        for left, right, share in zip(edges[:-1], edges[1:], values, strict=True):
            if np.isfinite(share):
                a, b = self._at(float(left)), self._at(float(right))
                top = VIEW * (1 - min(1.0, max(0.02, float(share))))
                made.append(f"M{a:.1f},{VIEW:g}V{top:.0f}H{b:.1f}V{VIEW:g}Z")
        self._drawn.append(
            f'<path d="{"".join(made)}" style="fill:var(--{colour})" opacity="{opacity:g}"/>'
        )

    def level(self, share: float, colour: str) -> None:
        """Draw a line from left to right."""
        y = VIEW * (1 - share)
        self._drawn.append(
            f'<path d="M0,{y:.0f}H{VIEW:g}" style="stroke:var(--{colour})" stroke-width="1" '
            f'stroke-dasharray="3 3"/>'
        )

    def bare(self, says: str = "", kind: str = "") -> str:
        """The strip alone."""
        return f'<div class="strip {kind}">{drawing("", self._drawn, says)}</div>'

    def html(self, label: str, kind: str = "") -> str:
        """The strip behind its name."""
        return (
            f'<div class="lane"><span>{escape(label)}</span>'
            f"{self.bare(f'{label} along the session', kind)}</div>"
        )


def time_axis(start: float, stop: float, label: str = "") -> str:
    """Axis below lanes."""
    return f'<div class="lane"><span>{escape(label)}</span>{time_ticks_html(start, stop)}</div>'


def time_ticks_html(start: float, stop: float) -> str:
    """Ticks of time alone."""
    spans = "".join(
        f'<span style="left:{100 * (t - start) / max(stop - start, 1e-9):.2f}%">{text}</span>'
        for t, text in time_ticks(start, stop)
    )
    return f'<div class="ticks-x">{spans}</div>'


def time_ticks(start: float, stop: float) -> Iterable[tuple[float, str]]:
    """Round times between two others: ``0:30``, ``1:02:00``, or ``2.5 s`` in short stretches."""
    span = stop - start
    step = next((s for s in TIME_STEPS_S if span / s <= MOST_TICKS - 1), TIME_STEPS_S[-1])
    first = int(np.ceil(start / step - 1e-9))
    for i in range(first, int(np.floor(stop / step + 1e-9)) + 1):
        yield i * step, _tick(i * step, step)


def _tick(seconds: float, step: float) -> str:
    if step < 1:
        return f"{seconds:g} s"
    return on_an_axis(seconds)
