"""What is set up before a session is connected: the source, its montage, its contacts.

Each is a page over the whole window; it is left by its own buttons.  Impedances are measured by a
process of their own, which proves that the test current is off before the page can go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from rtbci.apps.gui.calibration.store import Plan
from rtbci.apps.gui.setup.impedance_page import ImpedancePage
from rtbci.apps.gui.setup.montage_editor import MontageEditor
from rtbci.apps.gui.setup.source_form import CHANNELS
from rtbci.apps.gui.setup.source_panel import SourcePanel
from rtbci.apps.gui.view_models.impedance import ImpedanceModel
from rtbci.apps.settings import RunSettings
from rtbci.apps.texts import t
from rtbci.errors import BadInputError
from rtbci.montage import UNUSED, parse_montage
from rtbci.sources.simulator import DEFAULT_MONTAGE

SOME = 8
"""Channels that a montage begins with where nothing says how many there are."""


class SetUp(QWidget):
    """Holds the page that is open.

    Attributes
    ----------
    replanned : Signal(object)
        The plan with what was chosen.
    measured : Signal(object)
        What an impedance check has found, as :func:`found_of` gives it.
    left : Signal()
        The page has gone.
    """

    replanned = Signal(object)
    measured = Signal(object)
    left = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.page: QWidget | None = None
        self._whole = QVBoxLayout(self)
        self._whole.setContentsMargins(0, 0, 0, 0)

    def open(self, what: str, plan: Plan) -> None:
        """Open the page ``source``, ``montage`` or ``impedance`` of a plan."""
        made = {"source": self._source, "montage": self._montage, "impedance": self._impedance}
        self.page = made[what](plan)
        self._whole.addWidget(self.page)
        self.page.setFocus()

    def leave(self) -> bool:
        """Leave the page; False where it has to stay until the test current is off."""
        page = self.page
        if isinstance(page, ImpedancePage) and page.model.running:
            page.leave()
            return False
        self._close()
        return True

    def _source(self, plan: Plan) -> SourcePanel:
        base = RunSettings(source=plan.source, montage=plan.montage)
        panel = SourcePanel(base, can_cancel=True, live_only=True)

        def take(settings: RunSettings) -> None:
            self.replanned.emit(replace(plan, source=settings.source, montage=settings.montage))
            self._close()

        def measure(settings: RunSettings) -> None:
            chosen = replace(plan, source=settings.source, montage=settings.montage)
            self.replanned.emit(chosen)
            self._close()
            self.open("impedance", chosen)

        panel.chosen.connect(take)
        panel.cancelled.connect(self._close)
        panel.impedance_asked.connect(measure)
        return panel

    def _montage(self, plan: Plan) -> MontageEditor:
        names, fixed = begin_with(plan)
        editor = MontageEditor(names, fixed=fixed)

        def take(text: str) -> None:
            self.replanned.emit(replace(plan, montage=text))
            self._close()

        editor.done.connect(take)
        editor.cancelled.connect(self._close)
        return editor

    def _impedance(self, plan: Plan) -> ImpedancePage:
        page = ImpedancePage(RunSettings(source=plan.source, montage=plan.montage))
        page.finished.connect(lambda: self._tell(page.model))
        page.closed.connect(self._close)
        return page

    def _tell(self, model: ImpedanceModel) -> None:
        if model.measured:
            self.measured.emit(found_of(model))

    def _close(self) -> None:
        page, self.page = self.page, None
        if page is None:
            return
        if isinstance(page, SourcePanel):
            page.end()
        self._whole.removeWidget(page)
        page.hide()
        page.deleteLater()
        self.left.emit()


def begin_with(plan: Plan) -> tuple[tuple[str, ...], bool]:
    """Names to begin editing with, and whether their number is the device's."""
    source = plan.source
    n = CHANNELS.get(source.name.lower()) if source.kind == "board" else None
    names: tuple[str, ...] = DEFAULT_MONTAGE if source.simulated else ()
    if plan.montage is not None:
        try:
            names = parse_montage(plan.montage)
        except BadInputError:  # its file has gone meanwhile
            names = ()
    if n is not None:
        return (names if len(names) == n else (UNUSED,) * n), True
    return names or (UNUSED,) * SOME, False


def found_of(model: ImpedanceModel) -> dict[str, Any]:
    """What a check has found, as plain values for the session and its recording."""
    return {
        "ohm": {m.channel: m.ohm for m in model.measured.values()},
        "contact": {m.channel: m.contact for m in model.measured.values()},
        "bad": model.worst(),
        "off": bool(model.off),
        "residual_uv": model.residual_uv,
    }


def contact_words(plan: Plan, found: Mapping[str, Any] | None) -> str:
    """What is known of the contacts, in a few words."""
    name = "calibration.subject.impedance"
    if found is None:
        return t(f"{name}_none" if plan.source.measures_impedance else f"{name}_never")
    if not found["off"]:
        return t(f"{name}_not_off")
    if found["bad"]:
        return t(f"{name}_bad", channels=", ".join(found["bad"]))
    return t(f"{name}_good", n=len(found["ohm"]))
