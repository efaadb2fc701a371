"""Decisions as they were made, and which of them answered a cue.

A cue is answered by the first decision that begins after it, within ``ANSWER_S``, before the next
cue and before a rest; one that is given up within ``LEAST_S`` of the cue was of before.  Markers
travel by another way than decodes and may come after decodes of later times: an answer is sought
again with everything that comes, until its time is over.  Cues of before the first decode that was
seen (a window that came late) count for nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Literal

ANSWER_S = 5.0
LEAST_S = 0.5
"""Nobody answers faster than this."""
Outcome = Literal["decided", "abstained", "undecided"]


@dataclass(frozen=True)
class Decision:
    """A row of the list.

    Attributes
    ----------
    time : float
        When it was decided, or the cue's time where nothing was.
    outcome : str
        ``decided``, ``abstained`` or ``undecided``.
    class_name : str
        Of ``decided``; of the others the class that was wanted.
    after_cue_s : float | None
        From the cue to the decision; None without a cue.
    right : bool | None
        None without a cue.
    reason : str
        Of ``abstained``.
    """

    time: float
    outcome: Outcome
    class_name: str
    after_cue_s: float | None = None
    right: bool | None = None
    reason: str = ""


@dataclass(frozen=True)
class Tally:
    """How many cues were answered, and how."""

    cued: int = 0
    right: int = 0
    abstained: int = 0
    undecided: int = 0


@dataclass(frozen=True)
class Cue:
    """A class that was wanted, from a time on."""

    time: float
    wanted: str


@dataclass
class Stand:
    """A decision, from when it was made to when it was given up (None while it stands)."""

    start: float
    name: str
    stop: float | None = None


@dataclass
class DecisionState:
    """What :class:`DecisionList` remembers; times are seconds of the session.

    Attributes
    ----------
    since, newest : float | None
        Time of the first and of the newest decode that were seen.
    decided : str | None
        What is decided now.
    tokens : deque of (time, reason)
        Tokens of late, and why one added nothing; empty where it did.
    stands : deque of Stand
        Decisions that are not settled.
    cues : list of Cue
        Those whose time is not over, in order.
    rests : deque of float
        When rests began.
    rows : deque of Decision
        What is settled, oldest first.
    tally : Tally
        Of what is settled.
    """

    rows: deque[Decision]
    since: float | None = None
    newest: float | None = None
    decided: str | None = None
    tokens: deque[tuple[float, str]] = field(default_factory=deque)
    stands: deque[Stand] = field(default_factory=deque)
    cues: list[Cue] = field(default_factory=list)
    rests: deque[float] = field(default_factory=deque)
    tally: Tally = field(default_factory=Tally)


class DecisionList:
    """Follows decisions and cues.

    Parameters
    ----------
    kept : int
        So many rows are kept.
    """

    def __init__(self, kept: int) -> None:
        self.state = DecisionState(rows=deque(maxlen=kept))

    @property
    def tally(self) -> Tally:
        """How many cues were answered right so far."""
        return self.state.tally

    def take(self, time: float, decided: str | None, reason: str) -> None:
        """Take one token: what is decided, and why it added nothing (empty where it did)."""
        state = self.state
        if state.since is None:
            state.since = time
        if decided != state.decided:
            if state.decided is not None and state.stands:
                state.stands[-1].stop = time
            if decided is not None:
                state.stands.append(Stand(time, decided))
            state.decided = decided
        state.tokens.append((time, reason))
        state.newest = time

    def cue(self, time: float, wanted: str) -> None:
        """Take a cue, late or not."""
        self.state.cues.append(Cue(time, wanted))
        self.state.cues.sort(key=lambda cue: cue.time)

    def rest(self, time: float) -> None:
        """Take the begin of a rest."""
        self.state.rests.append(time)

    def rows(self) -> list[Decision]:
        """All rows, newest first: what is settled, and decisions that may still answer a cue."""
        state = self.state
        pending = [Decision(s.start, "decided", s.name) for s in state.stands]
        for cue in state.cues:
            answer = self._answer(cue)
            if answer is not None:
                pending = [p for p in pending if p.time != answer.time]
                pending.append(answer)
        return sorted([*state.rows, *pending], key=lambda row: row.time, reverse=True)

    def settle(self) -> None:
        """Move what can't change any more to the rows; called after the newest tokens."""
        state = self.state
        if state.newest is None or state.since is None:
            return
        over = state.newest - ANSWER_S
        while state.cues and state.cues[0].time < over:
            cue = state.cues[0]
            row = self._answer(cue) or self._silent(cue)
            del state.cues[0]
            if cue.time < state.since:
                continue
            state.stands = deque(s for s in state.stands if s.start != row.time)
            self._add(row)
            state.tally = Tally(
                cued=state.tally.cued + 1,
                right=state.tally.right + (row.right is True),
                abstained=state.tally.abstained + (row.outcome == "abstained"),
                undecided=state.tally.undecided + (row.outcome == "undecided"),
            )
        # NB: twice as long, since a marker may come late.
        long_ago = over - ANSWER_S
        while state.stands and state.stands[0].start < long_ago:
            stand = state.stands.popleft()
            self._add(Decision(stand.start, "decided", stand.name))
        while state.rests and state.rests[0] < long_ago:
            state.rests.popleft()
        while state.tokens and state.tokens[0][0] < long_ago:
            state.tokens.popleft()

    def _add(self, row: Decision) -> None:
        """Add a row in its place; rows are settled nearly, but not quite, in order."""
        later = []
        while self.state.rows and self.state.rows[-1].time > row.time:
            later.append(self.state.rows.pop())
        self.state.rows.extend([row, *reversed(later)])

    def _until(self, cue: Cue) -> float:
        """When the time to answer a cue is over."""
        after = [c.time for c in self.state.cues if c.time > cue.time]
        after += [rest for rest in self.state.rests if rest > cue.time]
        return min([cue.time + ANSWER_S, *after])

    def _answer(self, cue: Cue) -> Decision | None:
        until = self._until(cue)
        for stand in self.state.stands:
            kept = stand.stop is None or stand.stop > cue.time + LEAST_S
            if cue.time <= stand.start < until and kept:
                right = stand.name == cue.wanted
                return Decision(stand.start, "decided", stand.name, stand.start - cue.time, right)
        return None

    def _silent(self, cue: Cue) -> Decision:
        """Say why a cue was not answered: by what kept most of its tokens from counting."""
        until = self._until(cue)
        reasons = [reason for time, reason in self.state.tokens if cue.time <= time < until]
        why = Counter(reason for reason in reasons if reason)
        if why and 2 * sum(why.values()) >= len(reasons):
            reason = why.most_common(1)[0][0]
            return Decision(cue.time, "abstained", cue.wanted, None, False, reason)
        return Decision(cue.time, "undecided", cue.wanted, None, False)
