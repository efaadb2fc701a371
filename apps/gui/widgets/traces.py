"""Lines of many channels as few paths: where each channel lies, and how its samples get there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

from rtbci.types import BoolArray

Array = npt.NDArray[np.float64]

DENSE = 4.0
"""From so many samples a column on, only the smallest and largest of each column are drawn."""
MARGIN = 0.2
"""Lanes above the first and below the last one, so that their peaks are not cut off."""
OVERSHOOT = 2.0
"""A line leaves its lane by so many lanes at most, however large the artefact."""


@dataclass(frozen=True)
class Lanes:
    """Where channels lie, in pixels of the picture.

    Attributes
    ----------
    centres : ndarray, shape (n_channels,)
        Heights at which 0 µV lies.
    height : float
        From a channel to the next.
    px_per_uv : ndarray, shape (n_channels,)
    limit : ndarray, shape (n_channels,)
        Farthest that each line goes from its centre.
    """

    centres: Array
    height: float
    px_per_uv: Array
    limit: Array

    def y(self, uv: npt.NDArray[np.floating], which: npt.NDArray[np.intp] | slice) -> Array:
        """Heights of values, shape (n_times, n_which), µV."""
        away = np.clip(np.asarray(uv, dtype=np.float64) * self.px_per_uv[which], -1e6, 1e6)
        return self.centres[which] - np.clip(away, -self.limit[which], self.limit[which])


def stacked(height: float, uv_per_lane: npt.NDArray[np.floating], quiet: BoolArray) -> Lanes:
    """Give every channel a lane of its own, from the top; ``quiet`` ones never leave theirs."""
    n = len(uv_per_lane)
    lane = height / (max(n, 1) + 2 * MARGIN)
    centres = np.asarray((np.arange(n) + 0.5 + MARGIN) * lane)
    scale = np.asarray(lane / np.asarray(uv_per_lane, np.float64))
    limit = np.where(quiet, 0.45, OVERSHOOT).astype(np.float64) * lane
    return Lanes(centres, lane, scale, limit)


def butterfly(height: float, uv_per_lane: npt.NDArray[np.floating]) -> Lanes:
    """Lay all channels over each other; the picture is four lanes high."""
    n = len(uv_per_lane)
    lane = height / 4
    centres = np.full(n, height / 2)
    scale = lane / np.asarray(uv_per_lane, np.float64)
    return Lanes(centres, lane, scale, np.full(n, height / 2))


def condense(x: Array, y: Array, connected: BoolArray) -> tuple[Array, Array, BoolArray]:
    """Keep the extremes of each column where samples are dense.

    Parameters
    ----------
    x : ndarray, shape (n_times,)
        In columns.
    y : ndarray, shape (n_times, n_channels)
    connected : ndarray, shape (n_times,)
        Whether a line goes on to the next sample.
    """
    if len(x) < 2 or (len(x) - 1) <= DENSE * max(x[-1] - x[0], 1.0):
        return x, y, connected
    edges = np.flatnonzero(np.diff(np.floor(x), prepend=-np.inf))
    low, high = np.minimum.reduceat(y, edges), np.maximum.reduceat(y, edges)
    both = np.empty((2 * len(edges), y.shape[1]))
    both[0::2], both[1::2] = low, high
    middle = np.floor(x[edges]) + 0.5
    ends = np.append(edges[1:], len(x)) - 1
    joined = np.ones(2 * len(edges), dtype=np.bool_)
    joined[1::2] = np.minimum.reduceat(connected, edges) & connected[ends]
    return np.repeat(middle, 2), both, joined


def path(x: Array, y: Array, connected: BoolArray) -> QPainterPath:
    """Draw the lines of all channels as one path.

    Parameters
    ----------
    x : ndarray, shape (n_times,)
    y : ndarray, shape (n_times, n_channels)
        NaN breaks a line.
    connected : ndarray, shape (n_times,)
    """
    n = y.shape[1]
    if len(x) < 2 or n == 0:
        return QPainterPath()
    joined = connected.copy()
    joined[-1] = False
    flat = np.ascontiguousarray(y.T).ravel()
    # NB: asked for as int32: that is what the path's own format holds.
    links = np.tile(joined, n).astype(np.int32)
    if not np.isfinite(flat).all():
        known = np.isfinite(flat)
        links &= known
        links[:-1] &= known[1:]
        flat = np.nan_to_num(flat)
    made = pg.functions.arrayToQPath(np.tile(x, n), flat, connect=links, finiteCheck=False)
    assert isinstance(made, QPainterPath)
    return made


def draw(painter: QPainter, lines: QPainterPath, ink: QColor, width: float) -> None:
    """Draw lines of a whole number of device pixels.

    NB: Qt strokes a pen of one pixel many times faster than any wider one (2 ms against 80 for 64
    channels of 250 samples), so wider lines are several of these beside each other.
    """
    painter.setPen(QPen(ink, 1.0))
    times = max(1, round(width))
    painter.save()
    painter.translate(0.0, -(times - 1) / 2)
    for _ in range(times):
        painter.drawPath(lines)
        painter.translate(0.0, 1.0)
    painter.restore()


def band(x: Array, low: Array, high: Array) -> QPolygonF:
    """Give the area between two lines, shapes (n_points,)."""
    x, y = np.concatenate([x, x[::-1]]), np.concatenate([low, high[::-1]])
    made = pg.functions.arrayToQPolygonF(x, y)
    assert isinstance(made, QPolygonF)
    return made
