"""What the decode column shows: word, bars, evidence, decisions, and how many of them were right.

:class:`DecodeModel` takes decodes and events as they come and knows nothing of Qt; which decision
answers which cue is told in :mod:`rtbci.apps.gui.view_models.decisions`.  Times are seconds from
the first row of the session.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rtbci.apps.gui.view_models.decisions import Decision, DecisionList, Tally
from rtbci.recording.layout import SESSION
from rtbci.types import Decode, TimeArray

if TYPE_CHECKING:
    from rtbci.apps.gui.view_models.update import Update
    from rtbci.live.view import ViewInfo

REST = "rest"
HeadlineKind = Literal["nothing", "over", "stale", "abstains", "undecided", "decided"]


@dataclass(frozen=True)
class DecodeSettings:
    """How far the column looks back.

    Attributes
    ----------
    evidence_s : float
        Seconds of evidence.
    stale_s : float
        A decode older than this says nothing of now.
    decisions : int
        So many are kept in the list.
    """

    evidence_s: float = 20.0
    stale_s: float = 0.5
    decisions: int = 60


@dataclass(frozen=True)
class Headline:
    """The large word.

    Attributes
    ----------
    kind : str
        ``nothing`` (nothing decodes), ``over`` (the engine has ended or gone), ``stale``,
        ``abstains``, ``undecided`` or ``decided``.
    class_name : str
        Of ``decided``.
    reason : str
        Of ``abstains``.
    age_s : float
        Of ``stale``.
    """

    kind: HeadlineKind
    class_name: str = ""
    reason: str = ""
    age_s: float = 0.0


@dataclass(frozen=True)
class ClassBar:
    """A class with its probability; None while the decoder abstains."""

    name: str
    p: float | None


@dataclass(frozen=True)
class FlagSpan:
    """Tokens that add no evidence, for one reason (``eyes``, ``muscle``, ``abstains``)."""

    start: float
    stop: float
    flag: str


@dataclass(frozen=True)
class EvidenceTrace:
    """The last seconds of evidence.

    Attributes
    ----------
    times : ndarray, shape (n,), seconds of the session
    levels : ndarray, shape (n, n_classes)
        Log-odds; probabilities where ``accumulated`` is False; NaN where there are none.
    thresholds : tuple of float | None
        Where a class is decided, and where it is given up.
    spans : tuple of FlagSpan
    accumulated : bool
        False for a decoder that accumulates no evidence.
    """

    times: TimeArray
    levels: TimeArray
    thresholds: tuple[float, float] | None
    spans: tuple[FlagSpan, ...]
    accumulated: bool


@dataclass
class DecodeState:
    """What :class:`DecodeModel` remembers.

    Attributes
    ----------
    newest : Decode | None
    age_s : float
        Of the newest decode, by the engine's clock.
    evidence : deque of (time, Decode)
    over : bool
        Whether nothing decodes any more.
    """

    newest: Decode | None = None
    age_s: float = 0.0
    evidence: deque[tuple[float, Decode]] = field(default_factory=deque)
    over: bool = False


class DecodeModel:
    """Follows the decodes of one session.

    Parameters
    ----------
    info : ViewInfo
    settings : DecodeSettings
    wanted : mapping of str to str, optional
        Classes by marker label, where the recording does not say it; a label that is a class's
        name always stands for it.
    """

    def __init__(
        self,
        info: ViewInfo,
        settings: DecodeSettings | None = None,
        wanted: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = settings or DecodeSettings()
        self.classes = info.classes
        self._begun = info.begun
        self._ended = False
        self._wanted = (
            {name: name for name in info.classes}
            | recorded_classes(info.recording)
            | dict(wanted or {})
        )
        self.reset()

    def reset(self) -> None:
        """Forget all decodes and cues."""
        self.state = DecodeState()
        self.answers = DecisionList(self.settings.decisions)
        self._trace: tuple[Decode | None, EvidenceTrace] | None = None

    def take(self, update: Update) -> None:
        """Take what is new of the session."""
        if self._begun is None:
            self._begun = update.begun
        for event in update.events:
            self.take_event(event)
        self.take_decodes(update.decodes)
        if update.status is not None:
            self.take_status(update.status)
        ended = any(event["event"] == "summary" for event in update.events)
        self._ended = self._ended or ended
        self.state.over = self._ended or not update.alive

    def take_decodes(self, decodes: Iterable[Decode]) -> None:
        """Take decodes in the order of their tokens."""
        state = self.state
        for decode in decodes:
            time = decode.time - (self._begun or 0.0)
            self.answers.take(time, decode.decision, decode.reason or " and ".join(decode.flags))
            state.newest, state.age_s = decode, 0.0
            state.evidence.append((time, decode))
        self._forget()
        self.answers.settle()

    def take_event(self, event: Mapping[str, Any]) -> None:
        """Take an event of the session; only markers that are classes matter."""
        if event.get("event") != "marker":
            return
        label = str(event.get("label"))
        wanted = self._wanted.get(label)
        if wanted is not None:
            self.answers.cue(float(event["t_s"]), wanted)
        elif label == REST:
            self.answers.rest(float(event["t_s"]))

    def take_status(self, status: Mapping[str, Any]) -> None:
        """Take the newest status: it knows how old the newest decode is."""
        decode = status.get("decode")
        if decode is not None:
            self.state.age_s = float(decode.get("age_s", 0.0))

    @property
    def headline(self) -> Headline:
        """The large word."""
        decode = self.state.newest
        if decode is None:
            return Headline("nothing")
        if self.state.over:
            return Headline("over")
        if self.state.age_s > self.settings.stale_s:
            return Headline("stale", age_s=self.state.age_s)
        if not decode.valid:
            return Headline("abstains", reason=decode.reason)
        if decode.decision is None:
            return Headline("undecided")
        return Headline("decided", decode.decision)

    @property
    def bars(self) -> tuple[ClassBar, ...]:
        """Every class with its probability, in the decoder's order."""
        decode = self.state.newest
        if decode is None:
            return tuple(ClassBar(name, None) for name in self.classes)
        if not decode.valid or self.state.over or self.state.age_s > self.settings.stale_s:
            return tuple(ClassBar(name, None) for name in decode.classes)
        return tuple(ClassBar(n, float(p)) for n, p in zip(decode.classes, decode.p, strict=True))

    @property
    def flags(self) -> tuple[str, ...]:
        """What keeps the newest token from adding evidence."""
        return () if self.state.newest is None else self.state.newest.flags

    @property
    def calibrated(self) -> bool:
        """Whether the decoder was fitted on this subject; True where nothing decodes."""
        return self.state.newest is None or self.state.newest.calibrated

    @property
    def tally(self) -> Tally:
        """How many cues were answered right so far."""
        return self.answers.tally

    def decisions(self) -> list[Decision]:
        """The list, newest first."""
        return self.answers.rows()

    def evidence(self) -> EvidenceTrace:
        """The last seconds of evidence, oldest first; made once a token."""
        newest = self.state.newest
        if self._trace is None or self._trace[0] is not newest:
            self._trace = (newest, self._make_trace())
        return self._trace[1]

    def _make_trace(self) -> EvidenceTrace:
        kept = list(self.state.evidence)
        n_classes = len(kept[-1][1].classes) if kept else len(self.classes)
        accumulated = any(d.thresholds is not None for _, d in kept)
        levels = np.full((len(kept), n_classes), np.nan)
        for i, (_, decode) in enumerate(kept):
            values = decode.evidence if accumulated else decode.p
            if len(values) == n_classes:
                levels[i] = values
        thresholds = next((d.thresholds for _, d in reversed(kept) if d.thresholds), None)
        return EvidenceTrace(
            np.array([t for t, _ in kept]), levels, thresholds, _spans(kept), accumulated
        )

    def _forget(self) -> None:
        kept = self.state.evidence
        while kept and kept[0][0] < kept[-1][0] - self.settings.evidence_s:
            kept.popleft()


def _spans(kept: list[tuple[float, Decode]]) -> tuple[FlagSpan, ...]:
    """Neighbouring tokens with the same flags, as spans of time."""
    spans: list[FlagSpan] = []
    last = ""
    for i, (time, decode) in enumerate(kept):
        flag = "abstains" if decode.reason else " and ".join(decode.flags)
        hop = time - kept[i - 1][0] if i else 0.1
        if flag and flag == last:
            spans[-1] = FlagSpan(spans[-1].start, time, flag)
        elif flag:
            spans.append(FlagSpan(max(time - hop, kept[0][0]), time, flag))
        last = flag
    return tuple(spans)


def recorded_classes(recording: str | None) -> dict[str, str]:
    """Classes by marker label, as the session wrote them beside its recording."""
    if recording is None:
        return {}
    folder = Path(recording)
    path = folder / f"{folder.name}{SESSION}"
    try:
        classes = json.loads(path.read_text(encoding="utf-8")).get("classes")
    except (OSError, ValueError):  # not written yet, or gone: labels that are classes still count
        return {}
    return {str(k): str(v) for k, v in classes.items()} if isinstance(classes, dict) else {}
