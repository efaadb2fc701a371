"""What somebody changes about decoding while it runs, each change at the token it belongs to.

A change is given with a row of the session and takes effect at the first token that this row, or
one behind it, completes.  So it does not depend on how the rows came in chunks, and a replay that
knows all changes beforehand does the same.

Concurrency: none; the thread that pushes the pipeline owns it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rtbci.commands import LeaveOut, SetThreshold, Steer, TakeBack
from rtbci.errors import BadInputError
from rtbci.health import HealthMonitor
from rtbci.tick import Adjustable, Decoder


@dataclass
class SteeringState:
    """What is still to be done, and what a decoder without evidence decides by.

    Attributes
    ----------
    waiting : list of (int, Steer)
        In the order given, each with its row.
    threshold : float
        Probability from which a class is decided.
    """

    threshold: float
    waiting: list[tuple[int, Steer]] = field(default_factory=list)


class Steering:
    """Applies changes to the parts of a pipeline.

    Parameters
    ----------
    health : HealthMonitor
    electrodes : tuple of str
    decoder : Decoder | None
    threshold : float
        Probability from which a class is decided, at first.
    """

    def __init__(
        self,
        health: HealthMonitor,
        electrodes: tuple[str, ...],
        decoder: Decoder | None,
        threshold: float,
    ) -> None:
        self._health = health
        self._electrodes = electrodes
        self._adjustable = decoder if isinstance(decoder, Adjustable) else None
        self.state = SteeringState(threshold)

    def add(self, sample: int, steer: Steer) -> None:
        """Take a change; none may be given with an earlier row than the one before.

        Raises
        ------
        BadInputError
            Where it can't be done here, with the reason.
        """
        if isinstance(steer, SetThreshold):
            self._check(steer)
        elif steer.channel not in self._electrodes:
            raise BadInputError(
                f"there is no electrode {steer.channel!r}; there are {', '.join(self._electrodes)}."
            )
        self.state.waiting.append((sample, steer))

    def apply(self, sample: int) -> None:
        """Do all that was given with a row up to ``sample``."""
        waiting = self.state.waiting
        while waiting and waiting[0][0] <= sample:
            _, steer = waiting.pop(0)
            match steer:
                case LeaveOut(channel):
                    self._health.leave_out(channel)
                case TakeBack(channel):
                    self._health.take_back(channel)
                case SetThreshold(on, off):
                    self._set_threshold(on, off)

    def _set_threshold(self, on: float, off: float | None) -> None:
        if self._adjustable is None or off is None:
            self.state.threshold = on
        else:
            self._adjustable.set_thresholds(on, off)

    def _check(self, steer: SetThreshold) -> None:
        on, off = steer.on, steer.off
        if self._adjustable is None:
            if off is not None or not 0 < on <= 1:
                raise BadInputError(
                    f"this decoder accumulates no evidence: its threshold is one probability, "
                    f"above 0 and up to 1, with no off; got {on:g} and {off}."
                )
        elif off is None or not (on > 0 and off <= on):
            raise BadInputError(
                f"evidence is decided from on, above 0, and given up below off, at most on; got "
                f"{on:g} and {off}."
            )
