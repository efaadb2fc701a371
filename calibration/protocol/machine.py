"""A protocol that runs: what is shown now, and which events are due.

Pure: the clock is an argument, nothing waits.  Times count from the start, slot by slot, so
however often and whenever :meth:`Protocol.at` is asked, the schedule is the same.  Whoever shows
a cue writes down when it was really shown; what is due here is when it should have been.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from rtbci.calibration.protocol.config import BAD, BLOCK, RELAX, ProtocolConfig
from rtbci.calibration.protocol.plan import (
    ENGAGED,
    Kind,
    Mark,
    Section,
    Slot,
    make_section,
    n_sections,
)
from rtbci.types import CUE_ORIGIN, Marker

REPEATED, PAUSED, STOPPED = f"{BAD}repeated", f"{BAD}paused", f"{BAD}stopped"
"""Spans whose trials don't count: begun anew, interrupted, cut off by the end."""


class Due(StrEnum):
    """What an event asks for."""

    SHOW = "show"
    """A marker at the instant at which the new phase is really shown."""
    SPAN = "span"
    """A marker with the time that the event itself has."""
    BLOCK_DONE = "block done"
    """A block is complete: time for a first score."""
    DONE = "done"
    """The protocol has ended."""


@dataclass(frozen=True)
class Event:
    """Something that is due.

    Attributes
    ----------
    due : Due
    time : float
        Seconds of the session's clock.
    label : str
        Of the marker; the section's name where there is none.
    seconds : float
        Duration of the marker.
    """

    due: Due
    time: float
    label: str = ""
    seconds: float = 0.0

    def marker(self, onset: float | None = None) -> Marker:
        """Give its marker, with the time at which it was really shown where that is known."""
        return Marker(self.time if onset is None else onset, self.label, self.seconds, CUE_ORIGIN)


@dataclass(frozen=True)
class Phase:
    """What is to be seen now.

    Attributes
    ----------
    slot : Slot
    since, until : float
        Seconds of the session's clock; ``until`` is infinite while it pauses.
    section : str
    block : int
        Number of the block, 0 outside of blocks.
    trials : int
        Trials of the block.
    done : tuple of str
        Classes of the block's trials so far; one that runs is not among them.
    paused : bool
    """

    slot: Slot
    since: float
    until: float
    section: str
    block: int = 0
    trials: int = 0
    done: tuple[str, ...] = ()
    paused: bool = False


@dataclass(frozen=True)
class Totals:
    """What a protocol asks for as a whole.

    Attributes
    ----------
    seconds : float
        Planned, without pauses and repeats.
    blocks : int
    trials : dict of str to int
        By class.
    """

    seconds: float
    blocks: int
    trials: dict[str, int]


@dataclass
class ProtocolState:
    """Where a running protocol stands.

    Attributes
    ----------
    section, slot : int
        The current ones.
    since : float
        When the slot began (or began again).
    begun : float
        When the section began.
    takes : list of int
        How often each section has been begun before.
    paused : float | None
        When it was paused.
    entered : bool
        Whether the events of the current slot have been given.
    events : list of Event
        Due, and not given yet.
    """

    section: int = 0
    slot: int = 0
    since: float = 0.0
    begun: float = 0.0
    takes: list[int] = field(default_factory=list)
    paused: float | None = None
    entered: bool = False
    done: bool = False
    events: list[Event] = field(default_factory=list)


class Protocol:
    """Runs protocols one after the other.

    Parameters
    ----------
    configs : ProtocolConfig or sequence of them
    seed : int
        Of order and jitter.
    start : float
        When the first slot begins, seconds of the session's clock.
    """

    def __init__(
        self, configs: ProtocolConfig | Sequence[ProtocolConfig], seed: int, start: float = 0.0
    ) -> None:
        given = [configs] if isinstance(configs, ProtocolConfig) else list(configs)
        self._parts = [(i, c, n) for i, c in enumerate(given) for n in range(n_sections(c))]
        self._seed = seed
        self.sections: list[Section] = [self._make(i, 0) for i in range(len(self._parts))]
        self.state = ProtocolState(since=start, begun=start, takes=[0] * len(self._parts))

    @property
    def done(self) -> bool:
        """Whether nothing more comes."""
        return self.state.done

    @property
    def totals(self) -> Totals:
        """Count seconds, blocks and trials of the plan."""
        return Totals(
            seconds=sum(s.seconds for s in self.sections),
            blocks=sum(s.block > 0 for s in self.sections),
            trials=dict(Counter(name for s in self.sections for name in s.trials)),
        )

    def at(self, now: float) -> tuple[Phase, list[Event]]:
        """Go on to ``now``.

        Returns
        -------
        phase : Phase
            What is to be seen now.
        events : list of Event
            What became due since the last call, in order; each is given once.
        """
        s = self.state
        while not s.done and s.paused is None:
            if not s.entered:
                if now < s.since:
                    break
                self._enter()
            if now < s.since + self._slot.seconds:
                break
            self._next(s.since + self._slot.seconds)
        events, s.events = s.events, []
        return self.phase, events

    @property
    def phase(self) -> Phase:
        """What is to be seen, as of the last call that moved it."""
        s = self.state
        if s.done:
            return Phase(Slot(Kind.DONE, math.inf), s.since, math.inf, "done")
        section = self.sections[s.section]
        slot = self._slot
        until = math.inf if s.paused is not None else s.since + slot.seconds
        done = slot.trial - (slot.kind is not Kind.REST)
        if slot.kind is Kind.BREAK:
            done = len(section.trials)
        return Phase(
            slot,
            s.since,
            until,
            section.name,
            section.block,
            len(section.trials),
            section.trials[: max(0, done)],
            s.paused is not None,
        )

    def pause(self, now: float) -> None:
        """Hold everything; a trial or step that is interrupted does not count."""
        self.at_quietly(now)
        s = self.state
        if s.done or s.paused is not None:
            return
        self._void(PAUSED, now)
        s.paused = now

    def resume(self, now: float) -> None:
        """Go on; what was interrupted comes again as a whole."""
        s = self.state
        if s.paused is None:
            return
        self._waited(now)
        if self._slot.kind is Kind.BREAK:  # waiting is what a break is for
            s.since += now - s.paused
        else:
            s.slot, s.since, s.entered = self._slot.again, now, False
        s.paused = None

    def repeat(self, now: float) -> None:
        """Begin the block or step anew, in another order; what there is of it does not count."""
        self.at_quietly(now)
        s = self.state
        if s.done:
            return
        section = self.sections[s.section]
        if self._slot.kind in ENGAGED and s.paused is None:
            s.events.append(Event(Due.SPAN, now, RELAX))
        if section.trials or self._slot.kind in (Kind.STEP, Kind.NO_CONTROL, Kind.IGNORE):
            s.events.append(Event(Due.SPAN, s.begun, REPEATED, now - s.begun))
        s.takes[s.section] += 1
        self.sections[s.section] = self._make(s.section, s.takes[s.section])
        s.slot, s.since, s.begun, s.entered, s.paused = 0, now, now, False, None

    def redo(self, trial: int) -> float | None:
        """Put a trial that was spoilt at the end of its block once more.

        Parameters
        ----------
        trial : int
            Its number in the block that runs.

        Returns
        -------
        seconds : float | None
            From its cue to its rest, as planned; None where the block is over.
        """
        s = self.state
        if s.done:
            return None
        section = self.sections[s.section]
        spoilt = [slot for slot in section.slots if slot.trial == trial]
        if not spoilt or self._slot.kind is Kind.BREAK:
            return None
        ends = section.slots[-1].kind is Kind.BREAK
        body = section.slots[: len(section.slots) - ends]
        moved = len(body) - section.slots.index(spoilt[0])
        again = [
            replace(
                slot, marks=_only_own(slot), trial=len(section.trials) + 1, again=slot.again + moved
            )
            for slot in spoilt
        ]
        tail = [replace(slot, again=slot.again + len(again)) for slot in section.slots[len(body) :]]
        self.sections[s.section] = replace(
            section,
            slots=(*body, *again, *tail),
            trials=(*section.trials, next(s.label for s in spoilt if s.kind is Kind.CUE)),
        )
        return sum(slot.seconds for slot in spoilt if slot.kind in ENGAGED)

    def skip(self, now: float) -> None:
        """Go on before the end of a break, of instructions or of an announcement."""
        self.at_quietly(now)
        s = self.state
        if not s.done and s.paused is None and self._slot.skippable:
            self._next(now)

    def stop(self, now: float) -> None:
        """End it; a trial that is cut off does not count."""
        self.at_quietly(now)
        s = self.state
        if s.done:
            return
        if s.paused is None:
            self._void(STOPPED, now)
        else:
            self._waited(now)
        self._end(now)

    def remaining_s(self, now: float) -> float:
        """Seconds until the end, if nobody pauses, skips or repeats."""
        s = self.state
        if s.done:
            return 0.0
        section = self.sections[s.section]
        here = (now if s.paused is None else s.paused) - s.since
        left = sum(slot.seconds for slot in section.slots[s.slot :]) - max(0.0, here)
        return max(0.0, left) + sum(other.seconds for other in self.sections[s.section + 1 :])

    def at_quietly(self, now: float) -> None:
        """Go on to ``now`` and keep the events for the next :meth:`at`."""
        _, events = self.at(now)
        self.state.events = events + self.state.events

    @property
    def _slot(self) -> Slot:
        return self.sections[self.state.section].slots[self.state.slot]

    def _make(self, number: int, take: int) -> Section:
        which, config, section = self._parts[number]
        return make_section(config, section, self._seed + 7919 * which, take)

    def _enter(self) -> None:
        """Give the events of a slot that begins."""
        s = self.state
        s.entered = True
        for mark in self._slot.marks:
            s.events.append(Event(Due.SHOW, s.since, mark.label, mark.seconds))
        if self._slot.kind is Kind.BREAK:
            s.events.append(Event(Due.BLOCK_DONE, s.since, self.sections[s.section].name))

    def _next(self, time: float) -> None:
        """Begin the next slot at ``time``."""
        s = self.state
        s.slot, s.since, s.entered = s.slot + 1, time, False
        if s.slot < len(self.sections[s.section].slots):
            return
        s.slot, s.section, s.begun = 0, s.section + 1, time
        if s.section == len(self.sections):
            self._end(time)

    def _end(self, time: float) -> None:
        s = self.state
        s.done, s.since, s.paused = True, time, None
        s.events.append(Event(Due.DONE, time, "done"))

    def _waited(self, now: float) -> None:
        """Say that the time of a pause is none without control, though a span covers it."""
        s = self.state
        if s.paused is not None and self._slot.kind in (Kind.NO_CONTROL, Kind.IGNORE):
            s.events.append(Event(Due.SPAN, s.paused, PAUSED, now - s.paused))

    def _void(self, label: str, now: float) -> None:
        """Say that what is interrupted now does not count."""
        s, slot = self.state, self._slot
        if slot.kind in ENGAGED:
            slots = self.sections[s.section].slots[slot.again : s.slot]
            start = s.since - sum(p.seconds for p in slots if p.kind in ENGAGED)
            s.events.append(Event(Due.SPAN, now, RELAX))
            s.events.append(Event(Due.SPAN, start, label, now - start))
        elif slot.kind is Kind.STEP:
            s.events.append(Event(Due.SPAN, s.begun, label, now - s.begun))


def _only_own(slot: Slot) -> tuple[Mark, ...]:
    """Markers of a slot without that of its block, which has begun long ago."""
    return tuple(mark for mark in slot.marks if mark.label != BLOCK)
