"""Shows a stage where it belongs: cues on the subject's screen, the signal check in the window."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication, QScreen
from PySide6.QtWidgets import QApplication, QWidget

from rtbci.apps.conductor_state import Stage
from rtbci.apps.gui.calibration.cue_screen import CueScreen
from rtbci.apps.gui.view_models.guided import Part
from rtbci.calibration.protocol.plan import Kind


class QtPresenter(QObject):
    """The presenter of a guided session.

    Parameters
    ----------
    full_screen : bool
        Whether cues cover their whole screen; else they have a window of their own.
    beep : callable
        Makes a tone; never waits.

    Attributes
    ----------
    cues : CueScreen
    in_window : callable
        Paints a stage of the signal check in the operator's window, at once.
    """

    def __init__(
        self, *, full_screen: bool = True, beep: Callable[[], None] = QApplication.beep
    ) -> None:
        super().__init__()
        self.cues = CueScreen()
        self.in_window: Callable[[Stage], None] = lambda _: None
        self.classes: tuple[str, ...] = ()
        self._full_screen = full_screen
        self._beep = beep

    def show(self, part: Part, stage: Stage, *, tone: bool) -> None:
        """Paint a stage; it is painted when this returns."""
        if tone:
            self._beep()
        phase = stage.phase
        step = phase is not None and phase.slot.kind in (Kind.STEP, Kind.READY)
        if part is Part.CHECK or (part is Part.RECHECK and step):
            self.in_window(stage)
        else:
            self.cues.show_stage(part, stage, self.classes)

    def cover(self, window: QWidget) -> None:
        """Put the cue screen in front: on another screen than the window's, if there is one."""
        if self.cues.isVisible():
            return
        others = [s for s in QGuiApplication.screens() if s is not window.screen()]
        screen: QScreen = others[0] if others else window.screen()
        self.cues.setScreen(screen)
        self.cues.setGeometry(screen.geometry() if self._full_screen else self.cues.geometry())
        if self._full_screen:
            self.cues.showFullScreen()
        else:
            self.cues.show()
        self.cues.activateWindow()

    def uncover(self) -> None:
        """Take the cue screen away."""
        if self.cues.isVisible():
            self.cues.hide()
