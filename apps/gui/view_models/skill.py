"""The forecast's error by horizon beside those of AR, ridge and persistence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtbci.apps.gui.view_models.update import Update
    from rtbci.live.view import ViewInfo

METHODS = ("model", "ar", "ridge", "persistence")
"""In the order in which they are drawn; the model's own first."""


@dataclass(frozen=True)
class SkillBars:
    """Errors over variance; 1 is what predicting the mean would get.

    Attributes
    ----------
    horizons : tuple of (int, int)
        Milliseconds ahead, from and to.
    methods : tuple of str
        Those that the session has.
    errors : tuple of tuple of (float | None)
        By horizon, then by method.
    minutes : float
        Of the session so far.
    """

    horizons: tuple[tuple[int, int], ...] = ()
    methods: tuple[str, ...] = ()
    errors: tuple[tuple[float | None, ...], ...] = ()
    minutes: float = 0.0

    @property
    def known(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.methods)


def skill_bars(status: Mapping[str, Any]) -> SkillBars:
    """Read them from a status."""
    rows = status.get("skill") or []
    methods = tuple(m for m in METHODS if any(row.get(m) is not None for row in rows))
    return SkillBars(
        tuple((int(row["horizon_ms"][0]), int(row["horizon_ms"][1])) for row in rows),
        methods,
        tuple(tuple(row.get(m) for m in methods) for row in rows),
        float(status.get("t_s", 0.0)) / 60.0,
    )


class SkillModel:
    """Follows the forecast's error of one session.

    Parameters
    ----------
    info : ViewInfo
    """

    def __init__(self, info: ViewInfo) -> None:
        self.model = info.model
        self.bars = SkillBars()

    def take(self, update: Update) -> None:
        """Take what is new of the session."""
        if update.status is not None:
            self.bars = skill_bars(update.status)
