"""One LSL inlet: rows as they come, their stamps moved onto the session's clock.

    sender's stamp  + time_correction  -> local_clock  + offset -> the session's clock

Concurrency: one thread owns an inlet; only :func:`open_inlet` waits.  What liblsl does, and is
seen to here (measured on 1.18):

- the first clock correction takes 0.64 s, after a restart of the sender another one; until it
  is there, rows are held back, because their stamps may be days off;
- a sender that died only falls silent; liblsl finds it again by its source_id, a second after
  it is back.  ``was_clock_reset`` tells, once;
- without a source_id it can't, and every pull raises ``LostError``;
- a pull blocks until the sender is back, if rows wait while the link is broken and the
  description was never fetched: so it is fetched first;
- its own de-jittering put the stamps of a backlog into the future: not used, the timeline does it.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.clock import Clock
from rtbci.errors import SourceError
from rtbci.liblsl import load_pylsl
from rtbci.sources.lsl_network import StreamEntry, entry
from rtbci.types import TimeArray

BUFFER_S = 360
"""What liblsl keeps for us while we don't read, seconds (hundreds of rows where irregular)."""
ROWS = 512
"""Rows of one pull; a backlog takes several."""
CHECK_S = 1.0
"""Seconds between looks at the clock correction, which liblsl measures anew every two."""
HOLD_S = 5.0
"""Longest wait for the correction after a restart; then the old one has to do."""
SAME_CLOCK_S = 1e-4
"""Clocks that read the same within this are one clock (Linux)."""


@dataclass(frozen=True)
class Pulled:
    """Rows of one read.

    Attributes
    ----------
    rows : ndarray, shape (n_times, n_channels)
        In the sender's format; bytes where that is text.
    times : ndarray, shape (n_times,), float64
        The sender's stamps on the session's clock, s.
    received : float
        When they were in hand, s.
    restart : int | None
        Row before which the sender was restarted.
    """

    rows: npt.NDArray[Any]
    times: TimeArray
    received: float
    restart: int | None = None


@dataclass
class InletState:
    """What an open inlet knows between two reads.

    Attributes
    ----------
    correction : float | None
        From the sender's clock to ``local_clock``, s; None while it is measured.
    check_at : float
        When to look at it again.
    held : list of (rows, stamps)
        Rows that wait for the correction.
    held_since : float
    newest : float | None
        The sender's newest stamp.
    restarted : bool
        The sender was restarted, and its first row has not come.
    lost : bool
        liblsl has given the sender up.
    """

    correction: float | None
    check_at: float
    held: list[tuple[npt.NDArray[Any], TimeArray]] = field(default_factory=list)
    held_since: float = 0.0
    newest: float | None = None
    restarted: bool = False
    lost: bool = False


class Inlet:
    """An inlet that is open.

    Parameters
    ----------
    inlet : pylsl.StreamInlet
        With its description fetched and its stream opened.
    facts : StreamEntry
    correction : float | None
        As measured at opening, s; None where it can't be measured, and stamps are used as
        they are.
    offset : float
        The session's clock minus ``local_clock``, s.
    clock : Clock
    """

    def __init__(
        self,
        inlet: Any,
        facts: StreamEntry,
        *,
        correction: float | None,
        offset: float,
        clock: Clock,
    ) -> None:
        self.facts = facts
        self.corrected = correction is not None
        self._inlet = inlet
        self._offset = offset
        self._clock = clock
        self._last = correction or 0.0
        self.state = InletState(correction or 0.0, clock.now() + CHECK_S)

    def pull(self) -> Pulled:
        """Take all rows that have come; never waits.

        Raises
        ------
        SourceError
            Where liblsl has given the sender up.
        """
        from pylsl.util import LostError

        state = self.state
        try:
            rows, stamps = self._drain()
            state.restarted |= self._inlet.was_clock_reset()
            received = self._clock.now()
            if self.corrected and (state.restarted or received >= state.check_at):
                self._look(received)
        except LostError as err:
            state.lost = True
            raise SourceError(
                f"the LSL stream {self.facts.name!r} is gone: its sender on {self.facts.host} has "
                "ended or can't be reached any more; start it again."
            ) from err
        if len(stamps) or state.held:
            state.held_since = state.held_since if state.held else received
            state.held.append((rows, stamps))
        if state.correction is None and received - state.held_since < HOLD_S:
            return Pulled(rows[:0], stamps[:0], received)
        if state.held:
            rows = np.concatenate([r for r, _ in state.held])
            stamps = np.concatenate([s for _, s in state.held])
            state.held.clear()
        correction = self._last if state.correction is None else state.correction
        restart = None
        if state.restarted and len(stamps):
            restart = self._first_new(stamps)
            state.restarted = False
        if len(stamps):
            state.newest = float(stamps[-1])
        return Pulled(rows, stamps + (correction + self._offset), received, restart)

    def waiting(self) -> bool:
        """Whether rows have come that nobody has pulled, or that wait for the correction."""
        if self.state.lost:
            return False
        return bool(self.state.held) or self._inlet.samples_available() > 0

    def uid(self) -> str:
        """Which run of the sender liblsl is connected to now; empty where it can't say at once."""
        from pylsl.util import LostError, TimeoutError  # noqa: A004 - pylsl's own, no OSError

        if self.state.lost:
            return ""
        try:
            return str(self._inlet.info(0.05).uid())
        except (LostError, TimeoutError):
            return ""

    def close(self) -> None:
        """Unsubscribe; the inlet can't be used any more."""
        self._inlet.close_stream()

    def _drain(self) -> tuple[npt.NDArray[Any], TimeArray]:
        parts: list[tuple[npt.NDArray[Any], TimeArray]]
        parts = [self._inlet.pull_chunk(0.0, ROWS, as_numpy=True)]
        while len(parts[-1][1]) == ROWS:
            parts.append(self._inlet.pull_chunk(0.0, ROWS, as_numpy=True))
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([r for r, _ in parts]), np.concatenate([s for _, s in parts])

    def _look(self, now: float) -> None:
        """Ask for the correction; it is None while liblsl measures it."""
        from pylsl.util import TimeoutError  # noqa: A004 - pylsl's own, no OSError

        state = self.state
        state.check_at = now + CHECK_S
        try:
            state.correction = self._last = float(self._inlet.time_correction(0.0))
        except TimeoutError:
            state.correction = None
            state.check_at = now

    def _first_new(self, stamps: TimeArray) -> int:
        """Row at which a restarted sender begins: its stamps jump there."""
        newest = stamps[0] if self.state.newest is None else self.state.newest
        return int(np.argmax(np.abs(np.diff(stamps, prepend=newest))))


def open_inlet(info: Any, timeout_s: float, clock: Clock) -> tuple[Inlet, Any]:
    """Subscribe to a stream and measure its clock.

    Parameters
    ----------
    info : pylsl.StreamInfo
        As resolved.
    timeout_s : float
        For each of the steps.
    clock : Clock

    Returns
    -------
    inlet : Inlet
    full : pylsl.StreamInfo
        With its description.

    Raises
    ------
    SourceError
        Where the sender is listed but does not answer, or the clock of another machine can't
        be measured.
    """
    pylsl = load_pylsl()
    from pylsl.util import LostError, TimeoutError  # noqa: A004 - pylsl's own, no OSError

    facts = entry(info)
    inlet = pylsl.StreamInlet(info, max_buflen=BUFFER_S, recover=True)
    try:
        full = inlet.info(timeout_s)
        inlet.open_stream(timeout_s)
    except (TimeoutError, LostError) as err:
        raise SourceError(
            f"the LSL stream {facts.describe()} is announced, but its sender gave no connection "
            f"within {timeout_s:g} s; restart it, and let TCP ports 16572-16604 through firewalls."
        ) from err
    correction: float | None
    try:
        correction = float(inlet.time_correction(timeout_s))
    except (TimeoutError, LostError) as err:
        if facts.host != socket.gethostname():
            raise SourceError(
                f"the clock of {facts.host}, which sends the LSL stream {facts.name!r}, can't be "
                f"measured (no answer in {timeout_s:g} s), so its samples have no time here; let "
                "UDP ports 16572-16604 through the firewalls of both machines."
            ) from err
        correction = None
    return Inlet(inlet, facts, correction=correction, offset=clock_offset(clock), clock=clock), full


def clock_offset(clock: Clock) -> float:
    """Session's clock minus LSL's ``local_clock``, s; exactly 0 where they are one clock."""
    pylsl = load_pylsl()

    best = (np.inf, 0.0)
    for _ in range(5):
        before = clock.now()
        there = pylsl.local_clock()
        after = clock.now()
        best = min(best, (after - before, (before + after) / 2 - there))
    return 0.0 if abs(best[1]) < SAME_CLOCK_S else best[1]
