"""Conducts a protocol beside a live session: what is shown now, and what is written down of it.

    keys ----------> protocol --phase--> whoever paints (terminal, window)
    session's events --+  |                  | onset: when the paint had ended
                          +--events----------+--> {"command": "mark", ...} --> engine --> recording

Pure: no thread, no clock, no screen.  Whoever paints asks :meth:`Conduct.step` what is due, paints
where it says so, and gives :meth:`Conduct.painted` the time at which that paint had ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rtbci.apps.conductor_state import REFRESH_S, ConductState, Shown, Stage, Step
from rtbci.apps.view import describe
from rtbci.calibration.protocol import machine
from rtbci.calibration.protocol.config import BAD, ProtocolConfig
from rtbci.calibration.protocol.machine import Due, Event, Phase
from rtbci.calibration.protocol.plan import ENGAGED, Kind
from rtbci.types import CUE_ORIGIN, Marker

LEAD_S = 1.0
"""From the first rows to the first phase."""
STILL = (Kind.FIXATION, *ENGAGED)
"""While these last, nothing on the screen moves."""
LOST, EYES = f"{BAD}lost", f"{BAD}eyes"
"""Spans of trials of which rows are missing, and in which the eyes went with the cue."""
BEFORE_S = 1.0
"""Rows that are missing so long before a cue spoil its trial, too: its window begins there."""
EYES_AFTER_S = 0.4
"""Eyes that follow a cue are found so long after it has gone, at the latest."""
EYES_SHARE = 0.25
"""Of a block's trials, so many come again for the eyes at most: beyond that it is no slip."""
Send = Callable[[dict[str, Any]], None]


class Conduct:
    """Runs protocols once, in time with a session.

    Parameters
    ----------
    configs : sequence of ProtocolConfig
    seed : int
        Of order and jitter.
    stage : Stage
        Is kept up to date; its owner paints it.
    send : callable
        Sends a command to the session.
    prefix : str
        Put before the label of each class: trials of practice are none (``practice_``).
    tones : bool
        Whether a cue is also heard.
    """

    def __init__(
        self,
        configs: Sequence[ProtocolConfig],
        seed: int,
        stage: Stage,
        send: Send,
        *,
        prefix: str = "",
        tones: bool = False,
    ) -> None:
        self._configs = tuple(configs)
        self._classes = {name for c in configs for name in c.classes}
        self._seed = seed
        self._send = send
        self._prefix = prefix
        self._tones = tones
        self.stage = stage
        self.state = ConductState()

    @property
    def begun(self) -> bool:
        """Whether the protocol runs, or has run."""
        return self.state.protocol is not None

    @property
    def done(self) -> bool:
        """Whether it has come to its end, or was stopped."""
        protocol = self.state.protocol
        return self.state.ended or (protocol is not None and protocol.done)

    @property
    def complete(self) -> bool:
        """Whether it came to its end by itself."""
        return self.done and not self.state.stopped and not self.state.ended

    def begin(self, now: float) -> None:
        """Let the first phase come after :data:`LEAD_S`."""
        self.state.protocol = machine.Protocol(self._configs, self._seed, now + LEAD_S)
        titles = [c.title for c in self._configs]
        self._note("begin", {"protocols": titles, "seed": self._seed})

    def hear(self, event: dict[str, Any], now: float) -> None:
        """Take what the session has said."""
        kind, stage = event["event"], self.stage
        if kind in ("summary", "error"):
            self.state.ended = True
        elif kind == "status":
            stage.status = event
        elif kind == "started":
            stage.recording = event["recording"] or ""
        elif kind == "marker":
            sent = self.state.sent.get(event["label"])
            if event["origin"] == CUE_ORIGIN and sent is not None:
                self.state.origin = sent - event["t_s"]
        elif kind == "gap":
            self._spoilt(event)
        if sentence := describe(event) if kind not in ("summary", "status") else "":
            stage.message, stage.alarm = sentence, kind in ("lost", "stalled", "error")
        if kind == "lost":
            self._pause(now, "the source is lost")

    def eyes(self, time: float) -> None:
        """Take an eye movement: a trial at whose cue the eyes went with it comes again.

        Parameters
        ----------
        time : float
            When it was found, seconds of the session's clock.
        """
        phase, trials = self.stage.phase, self.state.trials
        at = [s for s in trials if s.cue is not None and s.cue < time <= _seen_until(s)]
        if phase is None or not at or at[-1].repeated:
            return
        shown = at[-1]
        planned = phase.trials - sum(s.repeated for s in trials)
        often = sum(s.why == "eyes" for s in trials) >= max(1, round(EYES_SHARE * planned))
        if often or not self._redo(shown, "eyes", EYES):
            self._note("eyes", {"trial": shown.trial, "label": shown.label, "time": time})

    def press(self, key: str, now: float) -> None:
        """Obey a key: space pauses and goes on, r repeats, enter goes on, q stops."""
        protocol = self.state.protocol
        if protocol is None or protocol.done:
            return
        if key == "space" and protocol.phase.paused:
            protocol.resume(now)
            self.stage.message, self.stage.alarm = "", False
            self._note("resume", {"time": now})
        elif key == "space":
            self._pause(now, "key")
        elif key == "r":
            protocol.repeat(now)
            self.state.trials.clear()
            self._note("repeat", {"time": now, "section": protocol.phase.section})
        elif key == "enter":
            protocol.skip(now)
        elif key == "q":
            self.state.stopped = True
            protocol.stop(now)
            self._note("stop", {"time": now})

    def step(self, now: float) -> Step:
        """Go on to ``now``.

        NB: where it asks for a paint, :meth:`painted` must follow before the next step, since only
        that writes down what was shown.
        """
        s, protocol, stage = self.state, self.state.protocol, self.stage
        if protocol is None or s.ended:
            return Step(False, False, REFRESH_S)
        phase, events = protocol.at(now)
        s.due += events
        s.blocks += sum(event.due is Due.BLOCK_DONE for event in events)
        changed = phase != s.shown
        moves = phase.slot.kind not in STILL or phase.paused
        paint = changed or s.fresh or (moves and now - s.painted >= REFRESH_S)
        tone = changed and self._sounds(phase, s.shown)
        stage.phase, stage.remaining_s = phase, protocol.remaining_s(now)
        stage.left_s = max(0.0, phase.until - now) if not phase.paused else 0.0
        if not paint and s.due:  # the first phase is on the screen before its time
            self._write(phase.since)
        if paint:
            s.shown, s.painted, s.fresh = phase, now, False
        return Step(paint, tone, max(0.0, phase.until - now))

    def painted(self, onset: float) -> None:
        """Write down what was shown, with the time at which its paint had ended."""
        self._write(onset)

    def refresh(self) -> None:
        """Something else on the stage has changed: the next step asks for a paint."""
        self.state.fresh = True

    def _sounds(self, phase: Phase, before: Phase | None) -> bool:
        kinds = (phase.slot.kind, before.slot.kind if before is not None else "")
        return Kind.STEP in kinds or (self._tones and phase.slot.kind is Kind.CUE)

    def _write(self, onset: float) -> None:
        phase, events = self.stage.phase, self.state.due
        self.state.due = []
        assert phase is not None
        for event in events:
            self._mark(event, onset if event.time == phase.since else None)

    def _mark(self, event: Event, onset: float | None) -> None:
        """Write down what was shown when, and which spans nobody should use."""
        if event.due is Due.SHOW and onset is None:  # its time was over before it could be painted
            self.stage.message = f"{event.label} came too late and was left out."
            self._note("missed", {"label": event.label, "due": event.time})
        elif event.due is Due.SHOW and onset is not None:
            self._follow(event, onset)
            marker = event.marker(onset)
            label = self._prefix + marker.label if marker.label in self._classes else marker.label
            self._command(Marker(marker.time, label, marker.duration, marker.origin))
        elif event.due is Due.SPAN:
            self._command(event.marker())

    def _follow(self, event: Event, onset: float) -> None:
        """Keep the times of the block's trials, so that a gap finds those that it spoils."""
        phase, trials = self.stage.phase, self.state.trials
        assert phase is not None
        if not phase.trials:
            return
        slot = phase.slot
        if phase.section != self.state.section:
            self.state.section = phase.section
            trials.clear()
        if slot.kind is Kind.CUE:
            trials[:] = [t for t in trials if t.trial != slot.trial]  # it was interrupted before
            trials.append(Shown(slot.trial, event.label, onset, cue_s=slot.seconds))
        elif slot.kind is Kind.REST and trials:
            trials[-1].relax = onset

    def _spoilt(self, gap: dict[str, Any]) -> None:
        """Repeat the trials of which rows are missing, at the end of their block."""
        s = self.state
        if s.origin is None or s.protocol is None or gap["bridged"]:
            return
        start = s.origin + gap["start_s"]
        stop = start + gap["length_s"]
        for shown in s.trials:
            cue = shown.cue
            if cue is None or shown.repeated or stop < cue - BEFORE_S:
                continue
            if shown.relax is not None and start > shown.relax:
                continue
            self._redo(shown, "gap", LOST, gap["cause"])

    def _redo(self, shown: Shown, why: str, span: str, cause: str = "") -> bool:
        """Let a trial come again at the end of its block; False where the block is over."""
        protocol, cue = self.state.protocol, shown.cue
        assert protocol is not None
        assert cue is not None
        shown.repeated, shown.why = True, why
        seconds = protocol.redo(shown.trial)
        if seconds is None:
            return False
        end = cue + seconds if shown.relax is None else shown.relax
        self._command(Marker(cue, span, end - cue, CUE_ORIGIN))
        told = {"trial": shown.trial, "label": shown.label, "why": cause or why}
        self._note("redo", told)
        return True

    def _pause(self, now: float, why: str) -> None:
        protocol = self.state.protocol
        if protocol is None or protocol.done or protocol.phase.paused:
            return
        if protocol.phase.slot.kind in ENGAGED:  # comes again at once: no gap need spoil it
            for shown in self.state.trials:
                if shown.relax is None:
                    shown.trial, shown.repeated, shown.why = 0, True, "pause"
        protocol.pause(now)
        self._note("pause", {"time": now, "why": why})

    def _command(self, marker: Marker) -> None:
        self.state.sent[marker.label] = marker.time
        self._send(
            {
                "command": "mark",
                "label": marker.label,
                "time": marker.time,
                "duration": marker.duration,
                "origin": marker.origin,
            }
        )

    def _note(self, what: str, values: dict[str, Any]) -> None:
        self._send({"command": "note", "kind": "protocol", "values": {"what": what, **values}})


def _seen_until(shown: Shown) -> float:
    """Until when an eye movement is laid to a trial's cue."""
    return (shown.cue or 0.0) + shown.cue_s + EYES_AFTER_S
