"""What the window remembers from one day to the next: where it was, its theme, the display."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import platformdirs
from PySide6.QtCore import QByteArray, QSettings

from rtbci.apps.gui.theme import SYSTEM
from rtbci.apps.gui.view_models.display import BANDS, DisplaySettings

THEMES = (SYSTEM, "dark", "light")


def default_file() -> Path:
    """Where it is remembered, for this user."""
    return platformdirs.user_config_path("rtbci", appauthor=False) / "window.ini"


class Remembered:
    """A file of a few values; one that is damaged counts as empty.

    Parameters
    ----------
    file : Path, optional
        The user's own where it is not given.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._store = QSettings(str(file or default_file()), QSettings.Format.IniFormat)

    @property
    def theme(self) -> str:
        """``system``, ``dark`` or ``light``."""
        value = self._store.value("theme", SYSTEM)
        return value if value in THEMES else SYSTEM

    @theme.setter
    def theme(self, name: str) -> None:
        self._store.setValue("theme", name)

    @property
    def geometry(self) -> QByteArray | None:
        """Where the live window was."""
        value = self._store.value("live/geometry")
        return value if isinstance(value, QByteArray) else None

    @geometry.setter
    def geometry(self, value: QByteArray) -> None:
        self._store.setValue("live/geometry", value)

    @property
    def recordings(self) -> str:
        """Folder that recordings go to when they are begun in the window; empty for none yet."""
        return str(self._store.value("recordings", ""))

    @recordings.setter
    def recordings(self, folder: str) -> None:
        self._store.setValue("recordings", folder)

    @property
    def markers(self) -> tuple[str, ...]:
        """What F1 to F4 write; empty where it was never said."""
        value = self._store.value("markers")
        return tuple(map(str, value)) if isinstance(value, list) else ()

    @markers.setter
    def markers(self, labels: Sequence[str]) -> None:
        self._store.setValue("markers", list(labels))

    @property
    def has_display(self) -> bool:
        """Whether it is known how signals were shown."""
        return self._store.contains("display/scale_uv")

    def display(self) -> DisplaySettings:
        """How signals were shown."""
        plain = DisplaySettings()
        found: dict[str, Any] = {}
        for field in fields(DisplaySettings):
            value = self._store.value(f"display/{field.name}")
            if value is None:
                continue
            try:
                found[field.name] = _read(field.name, str(value), getattr(plain, field.name))
            except (ValueError, IndexError):
                return plain
        return DisplaySettings(**found)

    def keep_display(self, settings: DisplaySettings) -> None:
        """Remember how signals are shown."""
        values = asdict(settings) | {"band": str(BANDS.index(settings.band))}
        for name, value in values.items():
            self._store.setValue(f"display/{name}", "" if value is None else str(value))

    def save(self) -> None:
        """Write it down now."""
        self._store.sync()


def _read(name: str, text: str, plain: Any) -> Any:
    if name == "band":
        return BANDS[int(text)]
    if isinstance(plain, bool):
        return text == "True"
    return float(text) if text else None
