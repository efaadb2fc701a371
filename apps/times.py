"""Times of a session in words, as on a stop watch; everything that shows one calls these."""

from __future__ import annotations


def stop_watch(seconds: float) -> str:
    """``12:47``, or ``1:12:47``."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


def to_a_tenth(seconds: float) -> str:
    """``12:42.6``, or ``1:12:42.6``."""
    tenths = round(max(0.0, seconds) * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{minutes:02d}:{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{text}" if hours else text


def on_an_axis(seconds: float) -> str:
    """``2:47``, or ``1:02:47``, to the nearest second."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
