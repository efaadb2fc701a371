"""A montage while it is edited: a name for each channel, or none."""

from __future__ import annotations

from collections.abc import Sequence

from rtbci.errors import BadInputError
from rtbci.montage import MONTAGES, UNUSED, normalise, parse_montage

RING = ("T9", "T10", "TP9", "TP10", "F9", "F10", "P9", "P10", "A1", "A2")
"""Places outside the usual caps that some devices have (Muse, dry headsets)."""


def offered_electrodes() -> tuple[str, ...]:
    """Electrodes that can be chosen on the head: the 10-10 system, and a few below it."""
    named = {name for names in MONTAGES.values() for name in names} - {UNUSED}
    return tuple(sorted(named | set(RING)))


class MontageModel:
    """Names of channels, in the order of the stream's columns.

    Parameters
    ----------
    names : sequence of str
        To begin with; :data:`UNUSED` for a channel without electrode.
    fixed : bool
        Whether the number of channels is that of a device, and can't change.

    Attributes
    ----------
    names : list of str
    at : int
        Channel that the next electrode is given to.
    """

    def __init__(self, names: Sequence[str], *, fixed: bool = True) -> None:
        self.names = list(names)
        self.fixed = fixed
        self.at = 0

    @property
    def text(self) -> str:
        """As ``--montage`` takes it: a montage's name where it is one, else the list."""
        for name, known in MONTAGES.items():
            if tuple(self.names) == known:
                return name
        return ",".join(self.names)

    @property
    def preset(self) -> str:
        """Name of the montage that this is; empty where it has none."""
        return self.text if self.text in MONTAGES else ""

    @property
    def problem(self) -> str:
        """What is wrong with it, as a sentence; empty where nothing is."""
        try:
            parse_montage(",".join(self.names) if len(self.names) > 1 else self.names[0])
        except BadInputError as err:
            return str(err)
        return ""

    def presets(self) -> tuple[str, ...]:
        """Names of the montages that fit the number of channels."""
        n = len(self.names)
        return tuple(k for k, names in MONTAGES.items() if not self.fixed or len(names) == n)

    def read(self, text: str) -> None:
        """Take a montage from its name, a file or a list.

        Raises
        ------
        BadInputError
            Where it can't be read, or has another number of channels than the device.
        """
        names = parse_montage(text)
        if self.fixed and len(names) != len(self.names):
            raise BadInputError(
                f"the montage has {len(names)} names but there are {len(self.names)} channels; "
                "give one name a channel, with - for an unused one."
            )
        self.names = list(names)
        self.at = min(self.at, len(self.names) - 1)

    def assign(self, electrode: str) -> None:
        """Give an electrode to the channel in hand, and go on to the next one.

        A channel that had it gets what this one had before.
        """
        self.put(self.at, electrode)
        self.at = (self.at + 1) % len(self.names)

    def put(self, channel: int, electrode: str) -> None:
        """Give an electrode to a channel; one that had it gets what this one had before."""
        electrode = normalise(electrode) if electrode not in ("", UNUSED, "none") else UNUSED
        if electrode != UNUSED and electrode in self.names:
            self.names[self.names.index(electrode)] = self.names[channel]
        self.names[channel] = electrode

    def channel_of(self, electrode: str) -> int | None:
        """Channel that has an electrode."""
        return self.names.index(electrode) if electrode in self.names else None
