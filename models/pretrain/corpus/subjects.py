"""Splits by subject: fixed by the hash of a subject's name, whatever else is trained on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from rtbci.errors import BadInputError

ALWAYS_HELD_OUT = frozenset({"eegmmidb-S001"})
"""Documentation and tests quote what the shipped weights do on this subject."""

TEST_SHARE = 0.2
"""Share of subjects that are held out by their hash."""


@dataclass(frozen=True)
class SubjectFold:
    """One of several parts of all subjects, by the hash of their names.

    Attributes
    ----------
    number : int
        From 1 on.
    of : int
        How many parts there are, 2 or more.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> SubjectFold:
        """Read ``2/4``.

        Raises
        ------
        BadInputError
            Where it is no such fraction.
        """
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) >= 2):
            raise BadInputError(f"a fold is one of several, as in 2/4, got {text!r}.")
        return cls(int(number), int(of))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def is_held_out(subject: str, fold: SubjectFold | None = None) -> bool:
    """Whether a subject belongs to the test set: the usual one, or a fold's."""
    if subject in ALWAYS_HELD_OUT:
        return True
    digest = hashlib.sha256(f"rtbci held out: {subject}".encode()).digest()
    place = int.from_bytes(digest[:8], "big")
    if fold is not None:
        return place % fold.of == fold.number - 1
    return place < TEST_SHARE * 2**64
