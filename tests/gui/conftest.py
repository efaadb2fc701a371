"""Windows in tests: painted without a display, looked at the same on every machine."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(autouse=True)
def look(qapp: QApplication) -> Iterator[None]:
    """The dark theme at its own size, and no window of the test before."""
    from rtbci.apps.gui import theme

    if not qapp.styleSheet():
        qapp.setStyle("Fusion")
    if not qapp.styleSheet() or (theme.palette().name, theme.look.scale) != ("dark", 1.0):
        theme.apply("dark", 1.0)
    yield
    # NB: what is to be deleted later is deleted by an event loop, and there is none any more.
    gc.collect()
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
