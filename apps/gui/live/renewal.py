"""A session that goes on as a new one: the engine gets ready while the window stays alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from rtbci.apps.window_session import DetachedEngine

LOOK_MS = 100


class Renewal(QObject):
    """Waits for an engine that was just started, without standing still.

    Attributes
    ----------
    ready : Signal(object)
        Folder of the new session.
    failed : Signal(str)
        Why there will be none, in words.
    """

    ready = Signal(object)
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine: DetachedEngine | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)

    @property
    def busy(self) -> bool:
        """Whether an engine is getting ready."""
        return self._engine is not None

    def begin(self, start: Callable[[], DetachedEngine]) -> None:
        """Start an engine and wait for it.

        Raises
        ------
        RtbciError
            What ``start`` raises.
        """
        self._engine = start()
        self._timer.start()

    def _look(self) -> None:
        engine = self._engine
        if engine is None:
            return
        failure = engine.failure
        if failure is None and not engine.ready:
            return
        self._timer.stop()
        self._engine = None
        if failure is not None:
            self.failed.emit(failure)
        else:
            self.ready.emit(engine.folder)
