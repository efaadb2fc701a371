"""What a decoder is made for, and how: the two words that all decoders share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rtbci.calibration.signal.streaming import ViewConfig


@dataclass(frozen=True)
class Task:
    """What a decoder is made for.

    Attributes
    ----------
    electrodes, classes : tuple of str
        Channels of a trial (repeated for each band of the view) and class names, in the order
        that ``fit`` gets them in.
    without : tuple of str
        Subjects that a decoder with other people's trials in it must not know: the one it is
        scored on.
    """

    electrodes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """How a decoder is made, and what it sees of the signal.

    Attributes
    ----------
    make : callable
        Given the task, an unfitted estimator.
    view : ViewConfig
        Bands and window of its trials.
    saw : callable | None
        Given a subject, whether weights that the decoder stands on have been trained on her, so
        that her score is contaminated; None where it stands on none.
    """

    make: Callable[[Task], Any]
    view: ViewConfig = field(default_factory=ViewConfig)
    saw: Callable[[str], bool] | None = None
