"""The engine's session as other processes see it: its folder, view, events and commands.

A session that can't have all that (no runtime folder, a full disk) runs without, and says so: what
it records and decodes does not depend on who can look at it.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import rtbci
from rtbci.apps.event_writer import EventWriter
from rtbci.apps.settings import RunSettings
from rtbci.clock import Clock
from rtbci.delivery import Publish
from rtbci.errors import RtbciError
from rtbci.live import registry
from rtbci.live.control import ControlServer, Take
from rtbci.live.registry import EVENTS_FILE, VIEW_FILE, SessionEntry
from rtbci.live.view import ViewInfo
from rtbci.live.writer import ViewWriter, ring_seconds
from rtbci.locks import DeviceLock
from rtbci.pipeline import Pipeline
from rtbci.recording.writer import Recorder

SEEN_OTHERWISE = ("status", "decode", "forecast")
"""Events that a view shows better, and that would fill a disk in memory."""


@dataclass
class LiveSession:
    """What this process shows of its session; made by :meth:`begin`.

    Attributes
    ----------
    entry : SessionEntry
    """

    entry: SessionEntry
    _settings: RunSettings
    _clock: Clock
    _tell: Publish
    _events: EventWriter
    _lock: DeviceLock
    _control: ControlServer | None = field(default=None)

    @classmethod
    def begin(
        cls,
        settings: RunSettings,
        clock: Clock,
        tell: Publish,
        *,
        session: str | None = None,
        detached: bool = False,
    ) -> LiveSession:
        """Register this process's session.

        Parameters
        ----------
        settings : RunSettings
        clock : Clock
        tell : callable
            Takes what is to be said of the session itself, as an event.
        session : str | None
            Its id, where who started it has given it one.
        detached : bool
            Whether it outlives who started it.

        Raises
        ------
        RtbciError, OSError
            Where that can't be.
        """
        registry.make_sessions_folder()
        registry.sessions()  # removes what killed sessions have left
        session = session or registry.new_id()
        lock = registry.session_lock(session)
        lock.acquire("a session")
        folder = registry.session_folder(session)
        try:
            folder.mkdir(mode=0o700)
            entry = SessionEntry(
                session,
                folder,
                os.getpid(),
                time.time(),
                source_words(settings),
                version=rtbci.__version__,
                detached=detached,
                settings=asdict(settings),
            )
            # NB: the events before the entry: who finds the entry can read them.
            events = EventWriter((folder / EVENTS_FILE).open("a", encoding="utf-8"))
            entry.write()
        except OSError:
            lock.release()
            registry.remove(session)
            raise
        return cls(entry, settings, clock, tell, events, lock)

    def publish(self, event: dict[str, Any]) -> None:
        """Take an event; never blocks."""
        if event["event"] not in SEEN_OTHERWISE:
            self._events.publish(event)

    def listen(self, take: Take) -> None:
        """Take commands of other processes from here on."""
        try:
            self._control = ControlServer(self.entry.folder, take)
        except OSError as err:
            self._note(f"no window can send commands to this session: {err.strerror or err}.")

    def show(self, pipeline: Pipeline, recorder: Recorder | None) -> ViewWriter | None:
        """Make the view of the session (``EngineParts.view``)."""
        folder = self.entry.folder
        info = self._view_info(pipeline, recorder)
        self.entry = replace(self.entry, source=info.source, recording=info.recording)
        try:
            self.entry.write()
            hop_s = pipeline.config.token.hop_s
            return ViewWriter(folder / VIEW_FILE, info, hop_s, self._clock.now())
        except OSError as err:
            (folder / VIEW_FILE).unlink(missing_ok=True)
            self._note(not_shown(err))
            return None

    def _note(self, sentence: str) -> None:
        self._tell({"event": "note", "message": sentence})

    def close(self) -> None:
        """Leave nothing behind; who still reads goes on with what is open."""
        if self._control is not None:
            self._control.close()
        self._events.close()
        self._lock.release()
        registry.remove(self.entry.id)

    def _view_info(self, pipeline: Pipeline, recorder: Recorder | None) -> ViewInfo:
        info, model = pipeline.info, pipeline.model
        return ViewInfo(
            session=self.entry.id,
            source=info.name,
            kind=info.kind,
            rate=info.rate,
            channels=info.channels,
            electrodes=info.electrodes,
            model_rate=pipeline.config.preprocess.rate_hz,
            model=model.name,
            classes=pipeline.classes,
            decoder=pipeline.decodes_by,
            calibrated=pipeline.calibrated,
            n_horizons=model.n_horizons,
            recording=None if recorder is None else str(Path(recorder.folder).resolve()),
            subject=self._settings.subject,
            begun=None,
            ring_s=ring_seconds(info.rate, len(info.channels)),
        )


def begin_live(
    settings: RunSettings,
    clock: Clock,
    tell: Publish,
    *,
    session: str | None = None,
    detached: bool = False,
) -> tuple[LiveSession | None, str]:
    """Register this process's session, or say why that can't be.

    Parameters
    ----------
    settings, clock, tell, session, detached
        As in :meth:`LiveSession.begin`.

    Returns
    -------
    live : LiveSession | None
    note : str
        Why there is none; empty where there is one.
    """
    try:
        return LiveSession.begin(settings, clock, tell, session=session, detached=detached), ""
    except (OSError, RtbciError) as err:
        return None, not_shown(err)


def not_shown(err: OSError | RtbciError) -> str:
    """The sentence for a session that no window can be attached to."""
    why = (err.strerror or str(err)) if isinstance(err, OSError) else str(err).rstrip(".")
    return (
        f"no window can be attached to this session, since {registry.sessions_folder()} can't be "
        f"written: {why}."
    )


def source_words(settings: RunSettings) -> str:
    """The source as it was asked for, until it is open and says its name."""
    source = settings.source
    return "simulator" if source.simulated else f"{source.kind} {source.name}"
