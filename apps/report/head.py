"""Values on a head seen from above: colours between the electrodes, and each where it sits."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt
from scipy.interpolate import RBFInterpolator

from rtbci.montage import directions

Array64 = npt.NDArray[np.float64]

SIZE = 200.0
CENTRE = 100.0
RADIUS = 74.0
"""Of the head's outline: the circle through Fpz, T7, Oz and T8."""
CELLS = 72
"""Of the picture between the electrodes, from side to side."""
REACH = 1.0
"""How far the colours go, in radii of the head."""
SMOOTH = 0.01
LEAST = 4
"""From so many electrodes on there is something between them."""
NAMED = 12
"""Up to so many electrodes have their names written; of more, those that tell where one is."""
LANDMARKS = frozenset({"Fz", "C3", "Cz", "C4", "Pz", "Oz"})
REACHES = (0.35, 0.85)
"""Distance from the nearest electrode, in radii, at which the colours begin to fade, and end."""
EQUATOR = np.deg2rad(92.0)
"""Angle from the vertex to the outline."""

SEQUENTIAL = (
    (0x16, 0x2B, 0x4D),
    (0x1D, 0x55, 0x7A),
    (0x1C, 0x80, 0x8C),
    (0x3B, 0xA8, 0x89),
    (0x86, 0xC9, 0x78),
    (0xDD, 0xDF, 0x6E),
    (0xFB, 0xEF, 0xB0),
)
"""From little to much, darker to lighter; told apart with any colour vision."""
DIVERGING = (
    (0x1F, 0x5F, 0x9E),
    (0x6E, 0xA6, 0xD2),
    (0xC9, 0xDC, 0xE8),
    (0xF2, 0xF2, 0xF2),
    (0xF3, 0xD9, 0xB8),
    (0xDF, 0xA1, 0x53),
    (0xA8, 0x62, 0x0E),
)
"""From negative to positive through nothing."""


def places(names: Sequence[str]) -> Array64:
    """Where electrodes are on the page, shape (n, 2), NaN for a name without a place.

    Distance from the middle is the angle from the vertex (azimuthal equidistant), the nose up;
    1 is the outline.
    """
    x, y, z = directions(names).T
    angle = np.arccos(np.clip(z, -1.0, 1.0)) / EQUATOR
    turn = np.arctan2(y, x)
    return np.stack([angle * np.cos(turn), -angle * np.sin(turn)], axis=1)


def can_show(names: Sequence[str]) -> bool:
    """Whether enough electrodes have a place on the head."""
    return int(np.isfinite(places(names)).all(axis=1).sum()) >= LEAST


def head_map(
    names: Sequence[str],
    values: npt.NDArray[np.floating],
    *,
    title: str,
    unit: str,
    signed: bool = False,
    limits: tuple[float, float] | None = None,
) -> str:
    """Draw values on the head.

    Parameters
    ----------
    names : sequence of str
    values : ndarray, shape (n_electrodes,)
        NaN where there is none.
    title, unit : str
    signed : bool
        Whether nothing is in the middle of the scale.
    limits : tuple of float, optional
        Ends of the scale; least and largest value where None.
    """
    where = places(names)
    known = np.isfinite(where).all(axis=1) & np.isfinite(values)
    if not known.any():
        return ""
    if limits is None:
        most = float(np.abs(values[known]).max())
        limits = (-most, most) if signed else (float(values[known].min()), most)
    table = DIVERGING if signed else SEQUENTIAL
    picture = _between(where[known], values[known].astype(float), limits, table)
    spots = "".join(
        _spot(name, place, float(value), bool(there), len(names) <= NAMED or name in LANDMARKS)
        for name, place, value, there in zip(names, where, values, known, strict=True)
        if np.isfinite(place).all()
    )
    low, high = (f"{v:.3g}" for v in limits)
    stops = ",".join(f"rgb({r},{g},{b})" for r, g, b in table)
    return (
        f'<figure class="head"><svg viewBox="0 0 {SIZE:g} {SIZE:g}" role="img" '
        f'aria-label="{escape(title)} by electrode">'
        f'{picture}<path class="outline" d="{_outline()}"/>{spots}</svg>'
        f"<figcaption>{escape(title)}</figcaption>"
        f'<div class="scale"><span>{low}</span>'
        f'<i style="background:linear-gradient(90deg,{stops})"></i>'
        f"<span>{high} {escape(unit)}</span></div></figure>"
    )


def clip_shape() -> str:
    """What all maps of a page are cut out with; stands once on the page."""
    return (
        '<svg style="position:absolute;width:0;height:0" aria-hidden="true"><clipPath id="scalp">'
        f'<circle cx="{CENTRE}" cy="{CENTRE}" r="{RADIUS * REACH:.1f}"/></clipPath></svg>'
    )


def _outline() -> str:
    """Head, nose and ears."""
    c, r = CENTRE, RADIUS
    ear = f"q-9,-3 -8,{0.17 * r:.1f} t8,{0.17 * r:.1f}"
    other = f"q9,-3 8,{0.17 * r:.1f} t-8,{0.17 * r:.1f}"
    return (
        f"M{c - r},{c}a{r},{r} 0 1 0 {2 * r},0a{r},{r} 0 1 0 {-2 * r},0"
        f"M{c - 9},{c - r + 0.8}L{c},{c - r - 11}L{c + 9},{c - r + 0.8}"
        f"M{c - r},{c - 0.17 * r:.1f}{ear}M{c + r},{c - 0.17 * r:.1f}{other}"
    )


def _spot(name: str, place: Array64, value: float, there: bool, named: bool) -> str:
    x, y = CENTRE + RADIUS * place
    kind = "spot" if there else "spot away"
    told = f"{name}: {value:.3g}" if there else f"{name}: no value"
    word = f'<text x="{x:.1f}" y="{y - 4.6:.1f}">{escape(name)}</text>' if named else ""
    return (
        f'<g class="{kind}"><circle cx="{x:.1f}" cy="{y:.1f}" r="2.2">'
        f"<title>{escape(told)}</title></circle>{word}</g>"
    )


def _between(
    where: Array64,
    values: Array64,
    limits: tuple[float, float],
    table: Sequence[tuple[int, int, int]],
) -> str:
    """Picture of the values between the electrodes; of too few, a spot of colour each."""
    low, high = limits
    span = high - low if high > low else 1.0
    if len(values) < LEAST or np.ptp(where[:, 0]) < 0.05 or np.ptp(where[:, 1]) < 0.05:
        shades = _shades((values - low) / span, table)
        return "".join(
            f'<circle cx="{CENTRE + RADIUS * x:.1f}" cy="{CENTRE + RADIUS * y:.1f}" r="9" '
            f'fill="rgb({r},{g},{b})"/>'
            for (x, y), (r, g, b) in zip(where, shades, strict=True)
        )
    axis = np.linspace(-REACH, REACH, CELLS)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    found = RBFInterpolator(where, values, kernel="linear", smoothing=SMOOTH)(grid)
    # Where no electrode is near, nothing is known: the colours fade beyond the last one.
    near = np.min(np.hypot(*(grid[:, None] - where[None]).transpose(2, 0, 1)), axis=1)
    fade = np.clip((REACHES[1] - near) / (REACHES[1] - REACHES[0]), 0.0, 1.0)
    colours = _shades((found - low) / span, table)
    pixels = np.concatenate([colours, np.round(255 * fade)[:, None]], axis=1).astype(np.uint8)
    side = 2 * RADIUS * REACH
    return (
        f'<image x="{CENTRE - side / 2:.1f}" y="{CENTRE - side / 2:.1f}" width="{side:.1f}" '
        f'height="{side:.1f}" clip-path="url(#scalp)" '
        f'href="{png_uri(pixels.reshape(CELLS, CELLS, 4))}"/>'
    )


def _shades(share: Array64, table: Sequence[tuple[int, int, int]]) -> npt.NDArray[np.int64]:
    """Colours of shares from 0 to 1, shape (n, 3)."""
    anchors = np.linspace(0.0, 1.0, len(table))
    colours = np.array(table, dtype=np.float64)
    channels = [np.interp(np.clip(share, 0.0, 1.0), anchors, colours[:, i]) for i in range(3)]
    return np.round(np.stack(channels, axis=1)).astype(np.int64)


def png_uri(pixels: npt.NDArray[np.uint8]) -> str:
    """Write a picture, shape (height, width, 4) RGBA, as a PNG inside a URI."""
    height, width = pixels.shape[:2]
    lines = b"".join(b"\x00" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(lines, 9))
        + chunk(b"IEND", b"")
    )
    return "data:image/png;base64," + base64.b64encode(png).decode()
