"""What the person has chosen to see: one place that panels change it in, and hear of changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QObject, Signal

from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.view_models.display import SCALES_UV, DisplaySettings
from rtbci.apps.gui.view_models.forecast import ForecastModel
from rtbci.apps.gui.view_models.signals import SignalsModel

Store = Callable[[DisplaySettings], None]


class DisplayControl(QObject):
    """The display's settings of one window.

    Parameters
    ----------
    session : Session

    Attributes
    ----------
    changed : Signal(object)
        With the new :class:`DisplaySettings`.
    """

    changed = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._signals = session.model(SignalsModel)
        self._forecast = session.model(ForecastModel)
        self.settings = DisplaySettings()

    def set(self, **changes: Any) -> None:
        """Change some of the settings."""
        self.put(replace(self.settings, **changes))

    def put(self, settings: DisplaySettings) -> None:
        """Take other settings."""
        if settings == self.settings:
            return
        self.settings = settings
        self._signals.set(settings)
        self._forecast.set(settings)
        self.changed.emit(settings)

    def zoom(self, steps: int) -> None:
        """Go to a smaller (larger signals) or larger scale; from channels' own ones to a common."""
        current = self.settings.scale_uv
        if current is None:
            self.set(scale_uv=50.0)
            return
        place = SCALES_UV.index(min(SCALES_UV, key=lambda s: abs(s - current))) - steps
        self.set(scale_uv=SCALES_UV[min(max(place, 0), len(SCALES_UV) - 1)])


def display_of(session: Session) -> DisplayControl:
    """Give the session's display control; made once."""
    found = session.findChild(DisplayControl)
    return found if isinstance(found, DisplayControl) else DisplayControl(session)
