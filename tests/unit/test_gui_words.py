"""Words, numbers and colours of the window, without a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rtbci.apps.gui.colours import PALETTES
from rtbci.apps.gui.view_models.session_state import describe, size
from rtbci.apps.times import to_a_tenth


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            {
                "event": "gap",
                "start_s": 762.6,
                "missing": 30,
                "cause": "lost frames",
                "bridged": True,
            },
            "gap at 12:42.6: 30 samples lost (lost frames), state kept",
        ),
        (
            {"event": "channel", "t_s": 3.0, "channel": "T7", "reason": "railed: 99 %"},
            "00:03.0: T7 is left out, railed: 99 %",
        ),
        ({"event": "marker", "t_s": 3.0, "label": "T1", "origin": "cue"}, ""),
        ({"event": "lost", "t_s": 1.0, "message": "the board is lost."}, "the board is lost."),
    ],
)
def test_events_are_told_in_words(event: dict[str, Any], words: str) -> None:
    assert describe(event) == words


def test_numbers_for_people() -> None:
    assert [size(n) for n in (12, 1_500, 96_400_000, 3_200_000_000)] == [
        "12 B",
        "1.5 kB",
        "96 MB",
        "3.2 GB",
    ]
    assert to_a_tenth(3661.04) == "1:01:01.0"


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("palette", PALETTES.values(), ids=list(PALETTES))
@pytest.mark.parametrize(
    ("role", "least"),
    [
        ("text", 7.0),
        ("signal", 7.0),
        ("secondary", 4.5),
        ("good", 4.5),
        ("fair", 4.5),
        ("bad", 4.5),
        # NB: of large words, bars and lines: WCAG asks for 3.
        ("left", 3.0),
        ("right", 3.0),
        ("rest", 3.0),
    ],
)
def test_what_is_on_a_card_can_be_read(palette: Any, role: str, least: float) -> None:
    one, other = luminance(getattr(palette, role)), luminance(palette.card)
    contrast = (max(one, other) + 0.05) / (min(one, other) + 0.05)
    assert contrast >= least
