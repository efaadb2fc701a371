"""Writes a recording's page in a thread of its own, so that the window goes on.

Concurrency: the thread reads the recording and writes one file; it tells the window by a signal.
"""

from __future__ import annotations

import threading
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from rtbci.apps.report.page import write_report
from rtbci.apps.texts import t
from rtbci.errors import RtbciError


class ReportWriter(QObject):
    """Writes one page at a time.

    Attributes
    ----------
    done : Signal(str)
        What came of it, a sentence.
    """

    done = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thread: threading.Thread | None = None
        self.busy = False

    def write(self, folder: Path) -> None:
        """Begin to write the page of a recording; nothing where one is being written."""
        if self.busy:
            return
        self.busy = True
        self._thread = threading.Thread(target=self._run, args=(folder,), name="rtbci-report")
        self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is being written."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, folder: Path) -> None:
        try:
            said = t("review.report_done", path=write_report(folder))
        except (RtbciError, OSError) as err:
            said = str(err)
        self.busy = False
        self.done.emit(said)
