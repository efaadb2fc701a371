"""What the subject is shown while the session decodes: a cursor or a bar, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtbci.apps.gui.view_models.feedback import FULL
from rtbci.types import Decode

if TYPE_CHECKING:
    from rtbci.apps.gui.view_models.update import Update
    from rtbci.live.view import ViewInfo

FEEDBACKS = ("off", "cursor", "bar")
STALE_S = 0.5
"""A decode older than this moves nothing: the cursor goes home."""


class FeedbackModel:
    """Where the cursor of a session stands.

    Parameters
    ----------
    info : ViewInfo

    Attributes
    ----------
    mode : str
        ``off``, ``cursor`` or ``bar``.
    """

    def __init__(self, info: ViewInfo) -> None:
        self.classes = info.classes
        self.mode = "off"
        self._newest: Decode | None = None
        self._stale = False

    def take(self, update: Update) -> None:
        """Take what is new of the session."""
        if update.decodes:
            self._newest = update.decodes[-1]
        if self._newest is not None:
            self._stale = not update.alive or update.time - self._newest.time > STALE_S

    @property
    def alive(self) -> bool:
        """Whether there is a decode to show."""
        return self._newest is not None and self._newest.valid and not self._stale

    @property
    def decision(self) -> str:
        """What is decided now; empty where nothing is."""
        return (self._newest.decision or "") if self.alive and self._newest is not None else ""

    def shares(self) -> tuple[float, ...]:
        """How far each class is wanted, 0 to 1; all 0 where nothing is decoded.

        Evidence where the decoder gathers some, since that is what decides: full at one and a half
        times the upper threshold.  Else what the probabilities are above chance.
        """
        decode = self._newest
        if not self.alive or decode is None:
            return (0.0,) * len(self.classes)
        if decode.evidence and decode.thresholds:
            top = FULL * decode.thresholds[0]
            values = [e / top for e in decode.evidence]
        else:
            chance = 1.0 / len(decode.classes)
            values = [(float(p) - chance) / (1.0 - chance) for p in decode.p]
        return tuple(min(1.0, max(0.0, v)) for v in values)

    @property
    def threshold(self) -> float | None:
        """Where a class is decided, as a share; None where the decoder gathers no evidence."""
        decode = self._newest
        return 1.0 / FULL if decode is not None and decode.thresholds else None
