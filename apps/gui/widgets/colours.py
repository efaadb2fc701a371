"""Colour scales for images: a sequential one (perceptually even) and a diverging one."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from PySide6.QtGui import QColor, QImage

STEPS = 256
_STOPS = {
    # From the card's own colour to bright: what is weak recedes into the card.
    ("sequential", "dark"): ("#171b21", "#173f4a", "#1f7a72", "#57b98a", "#d9e6a0", "#fff6d6"),
    ("sequential", "light"): ("#f5f7f9", "#cfe6dc", "#8cc7b3", "#3d9a86", "#0f6a66", "#083c4a"),
    # Blue and orange, as the classes: told apart by all kinds of colour vision.
    ("diverging", "dark"): ("#56B4E9", "#2c6688", "#1d222a", "#8a6108", "#E69F00"),
    ("diverging", "light"): ("#0072B2", "#8fc0de", "#f5f7f9", "#e0bd85", "#B96E00"),
}


@cache
def scale(kind: str, theme: str) -> npt.NDArray[np.uint8]:
    """Colours of a scale, shape (STEPS, 3): ``sequential`` or ``diverging``, by theme."""
    stops = [QColor(c) for c in _STOPS[kind, theme]]
    at = np.linspace(0.0, 1.0, len(stops))
    wanted = np.linspace(0.0, 1.0, STEPS)
    channels = [
        np.interp(wanted, at, [getattr(c, name)() for c in stops])
        for name in ("red", "green", "blue")
    ]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)


def ramp(values: npt.NDArray[np.float64], theme: str) -> QImage:
    """Make an image of shares from 0 to 1, shape (n_columns, n_rows), row 0 at the bottom."""
    rows = np.ascontiguousarray(values.T[::-1])
    index = np.clip(np.nan_to_num(rows) * (STEPS - 1), 0, STEPS - 1).astype(np.uint8)
    rgb = np.ascontiguousarray(scale("sequential", theme)[index])
    return image(rgb)


def image(rgb: npt.NDArray[np.uint8]) -> QImage:
    """Make an image of its own memory from bytes, shape (height, width, 3 or 4)."""
    height, width, depth = rgb.shape
    form = QImage.Format.Format_RGB888 if depth == 3 else QImage.Format.Format_RGBA8888
    kept = np.ascontiguousarray(rgb)
    return QImage(kept.tobytes(), width, height, depth * width, form).copy()
