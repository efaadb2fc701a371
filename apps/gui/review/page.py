"""A recording seen again beside a live session."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QWidget

from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.live.window import LiveWindow
from rtbci.apps.gui.review.window import ReviewWindow
from rtbci.apps.gui.view_models.review import ReviewModel
from rtbci.apps.texts import t
from rtbci.errors import BadInputError


def review_page(session: Session, parent: QWidget) -> QWidget | None:
    """Ask for a recording and open it; this session's own is at hand first.  None if none is.

    Raises
    ------
    BadInputError, RtbciError
        Where it can't be opened.
    """
    window = parent.window()
    if not isinstance(window, LiveWindow):
        raise BadInputError(t("setup.source.only_shown"))
    begin = session.info.recording or window.remembered.recordings or str(Path.home())
    folder = QFileDialog.getExistingDirectory(window, t("shell.page.review_choose"), begin)
    return review_of(Path(folder), window) if folder else None


def review_of(folder: Path, window: LiveWindow) -> QWidget:
    """Open the review window of a recording."""
    page = ReviewWindow(ReviewModel(folder), window.remembered)
    page.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    return page
