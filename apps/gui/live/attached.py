"""A live window on a session of an engine process: attach, record, go on as a new session."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QFileDialog

from rtbci.apps import window_session
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.live.renewal import Renewal
from rtbci.apps.gui.live.window import LiveWindow
from rtbci.apps.gui.remembered import Remembered
from rtbci.apps.gui.view_models.session_state import Life
from rtbci.apps.gui.view_models.update import Update
from rtbci.apps.texts import t
from rtbci.apps.window_session import DetachedEngine
from rtbci.errors import BadInputError, RtbciError
from rtbci.live.control import SessionLink
from rtbci.live.reader import LiveView
from rtbci.live.registry import SessionEntry, read_entry


def attach(folder: Path) -> tuple[Session, SessionEntry]:
    """Attach to the session in a folder.

    Raises
    ------
    BadInputError
        Where there is none.
    """
    view = LiveView.open(folder)
    entry = read_entry(folder)
    if entry is None:
        raise BadInputError(t("shell.app.no_session", folder=folder))
    return Session(view, SessionLink(folder).send), entry


class AttachedWindow(LiveWindow):
    """The window of a session that runs.

    Parameters
    ----------
    folder : Path
        Of the session.
    remembered : Remembered
    ask_on_close, close_at_end : bool
        What happens when the window, and when the session, comes to its end.
    """

    def __init__(
        self,
        folder: Path,
        remembered: Remembered,
        *,
        ask_on_close: bool = False,
        close_at_end: bool = False,
    ) -> None:
        session, self.entry = attach(folder)
        self._close_at_end = close_at_end
        super().__init__(session, remembered, ask_on_close=ask_on_close)
        self._renewal = Renewal(self)
        self._renewal.ready.connect(self._go_on)
        self._renewal.failed.connect(self._failed)
        self.record_asked.connect(self.record)
        self.again.connect(self.begin_again)

    def record(self, wanted: bool) -> None:
        """Begin or end a recording: with a session of its own, so that it can be replayed."""
        folder = self.entry.settings.get("record") or self.remembered.recordings
        if wanted and not folder:
            folder = self._ask_folder()
            if not folder:
                return
        self.remembered.recordings = str(folder)
        folder = folder if wanted else None
        self._renew(t(f"shell.record.{'begins' if wanted else 'ends'}"), record=folder)

    def begin_again(self) -> None:
        """Go on after the engine's end, with the same settings."""
        self._renew(t("shell.banner.starting"), record=self.entry.settings.get("record"))

    def change(self, changes: Mapping[str, Any]) -> None:
        """Go on with other settings (fields of ``RunSettings``), as a new session."""
        asked = dict(changes)
        record = asked.pop("record", self.entry.settings.get("record"))
        self._renew(t("shell.banner.starting"), record=record, changes=asked)

    def _ask_folder(self) -> str:
        return QFileDialog.getExistingDirectory(self, t("shell.record.folder"), str(Path.home()))

    def _renew(self, words: str, **asked: Any) -> None:
        if self._renewal.busy:
            return

        def start() -> DetachedEngine:
            return window_session.begin_anew(self.entry, **asked)

        try:
            self._renewal.begin(start)
        except RtbciError as err:
            self.session.say(str(err), "bad")
            return
        self.banner.starting(words)

    def _go_on(self, folder: Path) -> None:
        """Show the new session instead of the old one."""
        self.banner.starting("")
        try:
            session, entry = attach(folder)
        except RtbciError as err:
            self.session.say(str(err), "bad")
            return
        old, self.entry = self.session, entry
        self.show_session(session)
        old.view.close()
        path = session.info.recording
        words = t("shell.record.ready", path=path) if path else t("shell.record.off")
        session.say(words, "good")

    def _failed(self, why: str) -> None:
        self.banner.starting("")
        self.session.say(why, "bad")

    def _polled(self, update: Update) -> None:
        super()._polled(update)
        if self._close_at_end and self._model.life is Life.ENDED:
            self.close()
