"""Opens the review window."""

from __future__ import annotations

from pathlib import Path

from rtbci.apps.gui.app import application


def show_recording(path: Path, theme: str = "auto") -> int:
    """Open the window of a recording, and wait until it is closed.

    Parameters
    ----------
    path : Path
        The recording's folder, or any file in it.
    theme : str
        ``dark``, ``light``, or ``auto`` for the one that is remembered.

    Returns
    -------
    code : int
        Exit code of the program.

    Raises
    ------
    BadInputError
        Where there is no display, or no recording of ours that holds rows.
    RecordingError
        Where the recording is damaged.
    """
    from rtbci.apps.gui.view_models.review import ReviewModel

    model = ReviewModel(path)
    app = application(theme)
    from rtbci.apps.gui.remembered import Remembered
    from rtbci.apps.gui.review.window import ReviewWindow

    window = ReviewWindow(model, Remembered())
    window.show()
    return app.exec()
