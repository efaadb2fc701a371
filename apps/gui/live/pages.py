"""Windows that the live window opens, by name; each is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module

from PySide6.QtWidgets import QWidget

from rtbci.apps.gui.live.panel import Session

PAGES: dict[str, str] = {
    "source": "rtbci.apps.gui.setup.pages:source_page",
    "montage": "rtbci.apps.gui.setup.pages:montage_page",
    "impedance": "rtbci.apps.gui.setup.pages:impedance_page",
    "calibration": "rtbci.apps.gui.calibration.page:calibration_page",
    "review": "rtbci.apps.gui.review.page:review_page",
    "feedback": "rtbci.apps.gui.live.feedback_window:feedback_page",
}
"""``name: "module:function"``; the function takes the session and the parent, gives a widget."""


def open_page(name: str, session: Session, parent: QWidget) -> QWidget | None:
    """Open a page and bring it to the front; None where the user has thought better of it."""
    module, function = PAGES[name].split(":")
    page: QWidget | None = getattr(import_module(module), function)(session, parent)
    if page is None:
        return None
    page.show()
    page.raise_()
    page.activateWindow()
    return page
