"""Charts as HTML: lines in an SVG that stretches, words beside it that don't.

Colours are names of the table of colours, as CSS variables, so that a page follows the reader's
theme; every word is HTML text, so that it has the same size on a phone and on paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

VIEW = 1000.0
"""Units of a drawing from side to side and from top to bottom; it is stretched to its place."""
MOST_POINTS = 1500
"""Points of a line; what is longer is shown by its extremes."""
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)

Values = Sequence[float] | npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Axis:
    """From a value to its place, 0 to 1.

    Attributes
    ----------
    low, high : float
    label : str
        With its unit; empty for none.
    log : bool
    ticks : tuple of (float, str) | None
        Round values where None.
    """

    low: float
    high: float
    label: str = ""
    log: bool = False
    ticks: tuple[tuple[float, str], ...] | None = None

    def at(self, value: float) -> float:
        """Place of a value, inside 0 to 1."""
        low, high, x = self.low, self.high, value
        if self.log:
            low, high, x = math.log(low), math.log(high), math.log(max(x, 1e-30))
        return min(1.0, max(0.0, (x - low) / (high - low))) if high > low else 0.0

    def places(self, values: Values) -> npt.NDArray[np.float64]:
        """Places of many values; NaN stays."""
        x = np.asarray(values, dtype=np.float64)
        low, high = self.low, self.high
        if self.log:
            low, high, x = math.log(low), math.log(high), np.log(np.maximum(x, 1e-30))
        return np.clip((x - low) / (high - low if high > low else 1.0), 0.0, 1.0)

    def marks(self) -> tuple[tuple[float, str], ...]:
        """Ticks: their values and texts."""
        if self.ticks is not None:
            return self.ticks
        return log_ticks(self.low, self.high) if self.log else round_ticks(self.low, self.high)


def round_ticks(low: float, high: float, most: int = 6) -> tuple[tuple[float, str], ...]:
    """Round values between two others."""
    span = high - low
    if not span > 0:
        return ()
    size = 10.0 ** math.floor(math.log10(span / most))
    step = next(size * s for s in STEPS if span / (size * s) <= most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple((i * step, f"{i * step:.10g}") for i in range(first, last + 1))


def log_ticks(low: float, high: float) -> tuple[tuple[float, str], ...]:
    """Powers of ten between two values; 2 and 5 times them where there are few."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if math.log10(high / low) > 3 else (1, 3) if high / low > 60 else (1, 2, 5)
    found = [f * 10.0**d for d in decades for f in factors]
    return tuple((v, f"{v:.10g}") for v in found if low * 0.999 <= v <= high * 1.001)


class Chart:
    """One chart: add to it what it shows, then :meth:`html`.

    Parameters
    ----------
    x, y : Axis
    height : int
        Pixels of the drawing.
    says : str
        What it shows, for who can't see it.
    """

    def __init__(self, x: Axis, y: Axis, height: int = 200, says: str = "") -> None:
        self.x, self.y = x, y
        self._height, self._says = height, says
        self._drawn: list[str] = []
        self._words: list[str] = []
        self._keys: list[str] = []

    def line(
        self,
        x: Values,
        y: Values,
        colour: str,
        *,
        width: float = 1.6,
        opacity: float = 1.0,
        dash: str = "",
        dots: bool = False,
    ) -> Chart:
        """Draw a line through points, broken at NaN; ``dots`` marks each of them."""
        px, py = self.x.places(x) * VIEW, (1 - self.y.places(y)) * VIEW
        path = line_path(*thinned(px, py))
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self._drawn.append(
            f'<path d="{path}" fill="none" style="stroke:var(--{colour})" '
            f'stroke-width="{width}" opacity="{opacity:g}"{dashes}/>'
        )
        if dots:
            self.dots(x, y, colour, size=3.2 * width)
        return self

    def dots(self, x: Values, y: Values, colour: str, *, size: float = 5.0) -> Chart:
        """Draw round dots."""
        px, py = self.x.places(x) * VIEW, (1 - self.y.places(y)) * VIEW
        path = "".join(
            f"M{a:.1f},{b:.1f}h0" for a, b in zip(px, py, strict=True) if a == a and b == b
        )
        self._drawn.append(
            f'<path d="{path}" fill="none" style="stroke:var(--{colour})" '
            f'stroke-width="{size}" stroke-linecap="round"/>'
        )
        return self

    def area(self, x: Values, low: Values, high: Values, colour: str, opacity: float) -> Chart:
        """Fill between two lines without NaN."""
        px = self.x.places(x) * VIEW
        top, bottom = ((1 - self.y.places(v)) * VIEW for v in (high, low))
        there = [*zip(px, top, strict=True), *zip(px[::-1], bottom[::-1], strict=True)]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in there)
        self._drawn.append(
            f'<polygon points="{points}" style="fill:var(--{colour})" opacity="{opacity:g}"/>'
        )
        return self

    def bars(self, edges: Values, heights: Values, colour: str, opacity: float = 0.85) -> Chart:
        """Draw a histogram: bars between edges, from the bottom up."""
        x = self.x.places(edges) * VIEW
        y = (1 - self.y.places(heights)) * VIEW
        made = [
            f'<rect x="{a:.1f}" y="{t:.1f}" width="{max(0.5, b - a - 1.5):.1f}" '
            f'height="{VIEW - t:.1f}"/>'
            for a, b, t in zip(x[:-1], x[1:], y, strict=True)
            if t < VIEW
        ]
        self._drawn.append(
            f'<g style="fill:var(--{colour})" opacity="{opacity:g}">{"".join(made)}</g>'
        )
        return self

    def span(
        self, x: tuple[float, float], y: tuple[float, float], colour: str, opacity: float = 0.25
    ) -> Chart:
        """Fill a rectangle."""
        a, b = self.x.at(x[0]) * VIEW, self.x.at(x[1]) * VIEW
        top, bottom = (1 - self.y.at(y[1])) * VIEW, (1 - self.y.at(y[0])) * VIEW
        self._drawn.append(
            f'<rect x="{a:.1f}" y="{top:.1f}" width="{max(1.0, b - a):.1f}" '
            f'height="{bottom - top:.1f}" style="fill:var(--{colour})" opacity="{opacity:g}"/>'
        )
        return self

    def upright(self, x: float, colour: str, text: str = "", dash: str = "4 3") -> Chart:
        """Draw a line from bottom to top, with a word at its top."""
        at = self.x.at(x)
        self._drawn.append(
            f'<path d="M{at * VIEW:.1f},0V{VIEW:g}" style="stroke:var(--{colour})" '
            f'stroke-width="1.2" stroke-dasharray="{dash}"/>'
        )
        if text:
            side = "right:%.2f%%" % (100 - 100 * at) if at > 0.7 else "left:%.2f%%" % (100 * at)
            self._words.append(
                f'<span class="word" style="{side};top:0;color:var(--{colour})">'
                f"{escape(text)}</span>"
            )
        return self

    def level(self, y: float, colour: str, text: str = "") -> Chart:
        """Draw a line from left to right, with a word at its right end."""
        at = 1 - self.y.at(y)
        self._drawn.append(
            f'<path d="M0,{at * VIEW:.1f}H{VIEW:g}" style="stroke:var(--{colour})" '
            f'stroke-width="1.2" stroke-dasharray="4 3"/>'
        )
        if text:
            self._words.append(
                f'<span class="word" style="right:0;top:{100 * at:.2f}%;'
                f'color:var(--{colour})">{escape(text)}</span>'
            )
        return self

    def key(self, text: str, colour: str, dash: bool = False) -> Chart:
        """Say below what a colour stands for."""
        mark = "dashed" if dash else "solid"
        self._keys.append(
            f'<span class="key"><i style="border-top:2px {mark} var(--{colour})"></i>'
            f"{escape(text)}</span>"
        )
        return self

    def html(self) -> str:
        """Give the whole chart."""
        xs = [(self.x.at(v), text) for v, text in self.x.marks()]
        ys = [(1 - self.y.at(v), text) for v, text in self.y.marks()]
        grid = "".join(f'<path d="M0,{y * VIEW:.1f}H{VIEW:g}"/>' for y, _ in ys)
        left = "".join(
            f'<span style="top:{100 * y:.2f}%">{escape(text)}</span>' for y, text in ys if text
        )
        below = "".join(
            f'<span style="left:{100 * x:.2f}%">{escape(text)}</span>' for x, text in xs if text
        )
        name = f'<div class="y-name">{escape(self.y.label)}</div>' if self.y.label else ""
        keys = f'<div class="keys">{"".join(self._keys)}</div>' if self._keys else ""
        return (
            f'<figure class="chart">{name}<div class="plot" style="height:{self._height}px">'
            f'<div class="ticks-y">{left}</div>'
            f'<div class="canvas">{drawing(grid, self._drawn, self._says)}'
            f"{''.join(self._words)}</div></div>"
            f'<div class="ticks-x">{below}</div>'
            f'<div class="x-name">{escape(self.x.label)}</div>{keys}</figure>'
        )


def drawing(grid: str, drawn: Sequence[str], says: str = "") -> str:
    """An SVG that is stretched to its place; widths of lines stay as they are."""
    label = f' role="img" aria-label="{escape(says)}"' if says else ' aria-hidden="true"'
    lines = f'<g class="grid">{grid}</g>' if grid else ""
    return (
        f'<svg viewBox="0 0 {VIEW:g} {VIEW:g}" preserveAspectRatio="none"{label}>'
        f"{lines}{''.join(drawn)}</svg>"
    )


def line_path(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> str:
    """Path through points, broken where one is not finite."""
    made, pen = [], False
    for a, b in zip(x, y, strict=True):
        if not (math.isfinite(a) and math.isfinite(b)):
            pen = False
            continue
        made.append(f"{'L' if pen else 'M'}{a:.1f},{b:.1f}")
        pen = True
    return "".join(made)


def thinned(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], most: int = MOST_POINTS
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Least and largest of each stretch of a long line, so that no extreme is lost."""
    if len(x) <= most:
        return x, y
    pieces = np.array_split(np.arange(len(x)), most // 2)
    keep = []
    for piece in pieces:
        part = y[piece]
        if not np.isfinite(part).any():
            keep.append(int(piece[0]))
            continue
        keep += sorted({int(piece[np.nanargmin(part)]), int(piece[np.nanargmax(part)])})
    return x[keep], y[keep]
