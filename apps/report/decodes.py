"""Every decode of a recording in a few arrays: what was decided, why not, and how late."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtbci.recording.results import RecordedDecode, RecordedForecast
from rtbci.types import Decode

Array64 = npt.NDArray[np.float64]

NONE = -1
"""Number of the class that is no decision."""


@dataclass(frozen=True)
class LatencyFacts:
    """How long results took.

    Attributes
    ----------
    of : str
        ``decode``, or ``forecast`` in a session without decodes.
    times : ndarray, shape (n,), float64
        Of the tokens, seconds of the session's clock.
    total_ms : ndarray, shape (n,), float32
    stages_ms : dict of ndarray, shape (n,), float32
        NaN where a token was not told of a stage.
    """

    of: str
    times: Array64
    total_ms: npt.NDArray[np.float32]
    stages_ms: dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class DecodeFacts:
    """What was made of the signal.

    Attributes
    ----------
    classes : tuple of str
    decoder : str
    calibrated : bool
    times : ndarray, shape (n,), float64
        Seconds of the session's clock.
    p : ndarray, shape (n, n_classes), float32
        NaN where the decoder abstained.
    evidence : ndarray, shape (n, n_classes), float32 | None
        None where the decoder accumulates none.
    decision : ndarray, shape (n,), int8
        Number of the class, or :data:`NONE`.
    thresholds : ndarray, shape (n, 2), float32
        Evidence at which a class was decided and given up; NaN where there is none.
    reason : ndarray, shape (n,), int32
        Why it abstained: a place in ``reason_words``.
    reason_words : tuple of str
        The first one is empty: it did not abstain.
    flags : dict of ndarray, shape (n,), bool
        What else moved, by name.
    """

    classes: tuple[str, ...]
    decoder: str
    calibrated: bool
    times: Array64
    p: npt.NDArray[np.float32]
    evidence: npt.NDArray[np.float32] | None
    decision: npt.NDArray[np.int8]
    thresholds: npt.NDArray[np.float32]
    reason: npt.NDArray[np.int32]
    reason_words: tuple[str, ...]
    flags: dict[str, npt.NDArray[np.bool_]]

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """Tokens with a probability."""
        return np.asarray(np.isfinite(self.p).all(axis=1))

    @property
    def reasons(self) -> dict[str, int]:
        """Why the decoder abstained, and at how many tokens; most frequent first."""
        counts = np.bincount(self.reason, minlength=len(self.reason_words))[1:]
        order = np.argsort(-counts, kind="stable")
        return {self.reason_words[i + 1]: int(counts[i]) for i in order}

    def decode(self, i: int) -> Decode:
        """Give a decode again, as far as it is kept here: in float32, and numbered from 0."""
        number, on_off = int(self.decision[i]), self.thresholds[i]
        return Decode(
            token=i,
            sample=i,
            time=float(self.times[i]),
            classes=self.classes,
            p=self.p[i].astype(np.float64),
            decision=None if number == NONE else self.classes[number],
            reason=self.reason_words[self.reason[i]],
            decoder=self.decoder,
            calibrated=self.calibrated,
            evidence=() if self.evidence is None else tuple(map(float, self.evidence[i])),
            thresholds=None if np.isnan(on_off[0]) else (float(on_off[0]), float(on_off[1])),
            flags=tuple(name for name, where in self.flags.items() if where[i]),
        )

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Class, first and last token of each stretch in which one class was decided."""
        edges = np.flatnonzero(np.diff(self.decision)) + 1
        bounds = [0, *edges.tolist(), len(self.decision)]
        for start, stop in itertools.pairwise(bounds):
            if stop > start and self.decision[start] != NONE:
                yield int(self.decision[start]), start, stop - 1


@dataclass
class LatencyGatherer:
    """Takes what came out, in order."""

    of: str
    times: array[float] = field(default_factory=lambda: array("d"))
    total: array[float] = field(default_factory=lambda: array("f"))
    stages: dict[str, array[float]] = field(default_factory=dict)

    def add(self, time: float, due: float, out: float, stages: Mapping[str, float]) -> None:
        """Take a token: when it was due and out, and where the time between went, seconds."""
        for name in stages:
            if name not in self.stages:
                self.stages[name] = array("f", [np.nan] * len(self.times))
        self.times.append(time)
        self.total.append(1000 * (out - due))
        for name, values in self.stages.items():
            values.append(1000 * stages.get(name, np.nan))

    def facts(self) -> LatencyFacts | None:
        """All of it; None where nothing came."""
        if not self.times:
            return None
        return LatencyFacts(
            self.of,
            np.frombuffer(self.times, dtype=np.float64),
            np.frombuffer(self.total, dtype=np.float32),
            {k: np.frombuffer(v, dtype=np.float32) for k, v in self.stages.items()},
        )


def gather_decodes(
    decodes: Iterable[RecordedDecode],
) -> tuple[DecodeFacts | None, LatencyFacts | None]:
    """Read all decodes once; None where there are none."""
    latency = LatencyGatherer("decode")
    times, p, evidence = array("d"), array("f"), array("f")
    decision, thresholds, reason = array("b"), array("f"), array("i")
    words: dict[str, int] = {"": 0}
    flags: dict[str, list[int]] = {}
    first: Decode | None = None
    for recorded in decodes:
        decode = recorded.decode
        first = first or decode
        if decode.classes != first.classes:
            continue  # not made by one pipeline; a table of them would mean nothing
        latency.add(decode.time, recorded.due, recorded.out, recorded.stages)
        for name in decode.flags:
            flags.setdefault(name, []).append(len(times))
        times.append(decode.time)
        p.extend(decode.p)
        evidence.extend(decode.evidence or [np.nan] * len(first.classes))
        known = decode.decision in first.classes
        decision.append(first.classes.index(decode.decision or "") if known else NONE)
        thresholds.extend(decode.thresholds or (np.nan, np.nan))
        reason.append(words.setdefault(decode.reason, len(words)))
    if first is None:
        return None, None
    n, n_classes = len(times), len(first.classes)
    levels = np.frombuffer(evidence, dtype=np.float32).reshape(n, n_classes)
    facts = DecodeFacts(
        classes=first.classes,
        decoder=first.decoder,
        calibrated=first.calibrated,
        times=np.frombuffer(times, dtype=np.float64),
        p=np.frombuffer(p, dtype=np.float32).reshape(n, n_classes),
        evidence=levels if np.isfinite(levels).any() else None,
        decision=np.frombuffer(decision, dtype=np.int8),
        thresholds=np.frombuffer(thresholds, dtype=np.float32).reshape(n, 2),
        reason=np.frombuffer(reason, dtype=np.int32),
        reason_words=tuple(words),
        flags={name: _mask(n, where) for name, where in sorted(flags.items())},
    )
    return facts, latency.facts()


def forecast_latency(forecasts: Iterable[RecordedForecast]) -> LatencyFacts | None:
    """Latencies of forecasts, for a session that decoded nothing."""
    latency = LatencyGatherer("forecast")
    for forecast in forecasts:
        latency.add(forecast.time, forecast.due, forecast.out, forecast.stages)
    return latency.facts()


def _mask(n: int, where: list[int]) -> npt.NDArray[np.bool_]:
    made = np.zeros(n, dtype=np.bool_)
    made[where] = True
    return made
