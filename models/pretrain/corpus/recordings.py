"""What is prepared: stretches of signal without gaps, before any filter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from rtbci.types import FloatArray

BLOCK_ROWS = 4096
"""Rows that are in memory at a time, however long a recording is."""


@dataclass(frozen=True)
class Cue:
    """What a person was asked to do.

    Attributes
    ----------
    time : float
        Seconds from the first row.
    label : str
        A class (``left_hand``).
    """

    time: float
    label: str


class Stretch(Protocol):
    """A stretch of signal without gaps that can be read from its beginning, more than once."""

    @property
    def name(self) -> str:
        """Unique among the recordings that are trained on."""

    @property
    def subject(self) -> str:
        """Whose it is; splits go by it."""

    @property
    def dataset(self) -> str:
        """What it was recorded for; empty where unknown."""

    @property
    def rate(self) -> float:
        """Hz."""

    @property
    def electrodes(self) -> tuple[str, ...]:
        """Their names, in the order of the columns."""

    @property
    def cues(self) -> tuple[Cue, ...]:
        """In order."""

    @property
    def n_rows(self) -> int:
        """Rows in all."""

    def blocks(self) -> Iterator[FloatArray]:
        """All rows in order, (n_times, n_electrodes) µV, at most ``BLOCK_ROWS`` and some more."""


@dataclass(frozen=True)
class RawRecording:
    """A :class:`Stretch` that is in memory.

    Attributes
    ----------
    name, subject, dataset, rate, electrodes, cues
        As of any :class:`Stretch`.
    data : ndarray, shape (n_times, n_electrodes), float32, µV
    """

    name: str
    subject: str
    rate: float
    electrodes: tuple[str, ...]
    data: FloatArray
    cues: tuple[Cue, ...] = ()
    dataset: str = ""

    @property
    def n_rows(self) -> int:
        """Rows in all."""
        return len(self.data)

    def blocks(self) -> Iterator[FloatArray]:
        """All rows in order, block by block."""
        for start in range(0, len(self.data), BLOCK_ROWS):
            yield self.data[start : start + BLOCK_ROWS]
