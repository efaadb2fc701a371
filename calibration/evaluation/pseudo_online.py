"""Pseudo-online scores: a live session's pipeline is run over a continuous recording, and counted.

    cue                             end of the trial
     |---- a trial: what is decided ----|
     |<-- time to the right decision -->|      decisions that begin where no window touches a
    ----------------------------------------   trial are false activations
      change of state (the cue, or known)

Counted is what the session would have sent, when its rows had come: filter delay, window and
evidence are in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rtbci.calibration.online.config import OnlineConfig
from rtbci.calibration.online.decoder import online_decoder
from rtbci.calibration.online.evidence import REST
from rtbci.calibration.online.threshold import FalseActivations
from rtbci.calibration.profile import Profile
from rtbci.calibration.reading.track import play
from rtbci.calibration.scoring.accuracy import TrialScorer, trial_begin
from rtbci.classes import parse_classes
from rtbci.config import SessionConfig
from rtbci.playback import known_classes
from rtbci.tick import Decoder
from rtbci.types import Chunk, Decode, Marker, StreamInfo

Changes = Callable[[Sequence[Marker]], Sequence[float]]
SETTLE_S = 1.0
"""Evidence of a trial still leaks for so long after its last window."""


@dataclass(frozen=True)
class Sent:
    """A decode, and when its last row had come, seconds of the session's clock."""

    decode: Decode
    at: float


@dataclass(frozen=True)
class Intent:
    """A stretch in which a class was meant.

    Attributes
    ----------
    begin, end : float
        Seconds of the session's clock; ``begin`` is when the state changed.
    wanted : str
    """

    begin: float
    end: float
    wanted: str


@dataclass(frozen=True)
class PseudoOnline:
    """What a session would have come to.

    Attributes
    ----------
    accuracy : dict | None
        One decision a trial by its summed log-probabilities, as in a session's summary.
    trials, decided, right : int
        Trials; those in which a class was decided; those in which the first such one was right.
    false : FalseActivations
        Activations that began where nothing was meant.
    delays_s : tuple of float
        From the change of state to the first right decision, one a trial; infinite where none
        came before the trial ended.
    flagged : float
        Share of tokens with a flag (eyes, muscle).
    """

    accuracy: dict[str, Any] | None
    trials: int
    decided: int
    right: int
    false: FalseActivations
    delays_s: tuple[float, ...] = field(repr=False)
    flagged: float = 0.0

    def delay_s(self, share: float) -> float | None:
        """Quantile of the time to decision over all trials; None where so many never came.

        Parameters
        ----------
        share : float
            0.5 for the median.
        """
        if not self.delays_s:
            return None
        value = float(np.quantile(self.delays_s, share, method="inverted_cdf"))
        return value if np.isfinite(value) else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "accuracy": self.accuracy,
            "trials": self.trials,
            "decided": self.decided,
            "right": self.right,
            "false_activations": self.false.count,
            "minutes_without_intent": round(self.false.minutes, 3),
            "false_per_minute": round(self.false.rate, 3) if self.false.minutes else None,
            "false_per_minute_bound": round(self.false.bound, 3) if self.false.minutes else None,
            "delay_median_s": self.delay_s(0.5),
            "delay_p95_s": self.delay_s(0.95),
            "flagged": round(self.flagged, 4),
        }

    def lines(self) -> list[str]:
        """For people."""

        def seconds(value: float | None) -> str:
            return "not reached" if value is None else f"{value:.2f} s"

        return [
            f"decided in {self.decided} of {self.trials} trials, {self.right} of them right first",
            self.false.words() if self.false.minutes else "no time without intent to count",
            f"change of state to right decision: median {seconds(self.delay_s(0.5))}, "
            f"95th percentile {seconds(self.delay_s(0.95))}",
        ]


def count_decisions(
    sent: Sequence[Sent], intents: Sequence[Intent], window_s: float, hop_s: float
) -> PseudoOnline:
    """Count what was decided against what was meant.

    Parameters
    ----------
    sent : sequence of Sent
        In order.
    intents : sequence of Intent
    window_s : float
        How far back a decode looks.
    hop_s : float
        From a token to the next.
    """
    time = np.array([s.at for s in sent])
    said = [s.decode.decision for s in sent]
    begins = np.array(
        [now not in (None, REST) and now != before for before, now in pairwise((None, *said))],
        dtype=np.bool_,
    )
    free = np.array([s.decode.valid for s in sent], dtype=np.bool_)
    delays, decided, right = [], 0, 0
    for intent in intents:
        touches = (time >= intent.begin) & (time - window_s - SETTLE_S <= intent.end)
        free &= ~touches
        inside = np.flatnonzero((time >= intent.begin) & (time <= intent.end))
        first = next((said[k] for k in inside if begins[k]), None)
        decided += first is not None
        right += first == intent.wanted
        met = next((time[k] for k in inside if said[k] == intent.wanted), np.inf)
        delays.append(float(met - intent.begin))
    minutes = float(np.sum(free)) * hop_s / 60
    flagged = float(np.mean([bool(s.decode.flags) for s in sent])) if sent else 0.0
    false = FalseActivations(int(np.sum(begins & free)), minutes)
    return PseudoOnline(None, len(intents), decided, right, false, tuple(delays), flagged)


def pseudo_online(
    profile: Profile,
    path: Path,
    *,
    classes: str | None = None,
    montage: str | None = None,
    config: SessionConfig | None = None,
    online: OnlineConfig | None = None,
    changes: Changes | None = None,
) -> PseudoOnline:
    """Run the live pipeline over a recording and count what it would have sent.

    Parameters
    ----------
    profile : Profile
    path : Path
        Not one of those that the profile was fitted on.
    classes, montage : str | None
        As on the command line.
    config : SessionConfig | None
    online : OnlineConfig | None
        In place of the profile's own.
    changes : callable | None
        Given all markers, when the state changed after each, where that is known (a simulated
        subject); a trial's beginning counts as the change where None.

    Raises
    ------
    BadInputError
        Where the recording can't be read or has not what the decoder needs.
    """
    config = config or SessionConfig()
    labels = known_classes(path) if classes is None else parse_classes(classes)

    return run_decoder(
        live_decoder(profile, labels, config, online),
        path,
        profile.card.classes,
        profile.card.view.window_s,
        labels,
        montage=montage,
        config=config,
        changes=changes,
    )


def live_decoder(
    profile: Profile,
    labels: Mapping[str, str],
    config: SessionConfig,
    online: OnlineConfig | None = None,
) -> Callable[[StreamInfo], Decoder]:
    """What makes a profile's decoder once the stream is known, as a live session does."""
    return lambda info: online_decoder(
        profile, info.decoder_channels, config, labels, online, source_rate=info.rate
    )


def run_decoder(
    make: Callable[[StreamInfo], Decoder],
    path: Path,
    classes: Sequence[str],
    window_s: float,
    labels: Mapping[str, str],
    *,
    montage: str | None = None,
    config: SessionConfig | None = None,
    changes: Changes | None = None,
) -> PseudoOnline:
    """As :func:`pseudo_online`, for any decoder.

    Parameters
    ----------
    make : callable
        Given the stream, makes the decoder.
    classes : sequence of str
        Of its decodes.
    window_s : float
        How far back it looks.
    labels : mapping of str to str
        What each marker label stands for.
    """
    config = config or SessionConfig()
    scorer = TrialScorer(classes, labels, config.decode.trial_s, window_s)
    sent, markers = listen(make, path, montage=montage, config=config, scorer=scorer)
    begins = [trial_begin(m) for m in markers] if changes is None else changes(markers)
    intents = [
        Intent(begin, trial_begin(marker) + config.decode.trial_s[1], labels[marker.label])
        for marker, begin in zip(markers, begins, strict=True)
        if labels.get(marker.label) in classes and labels[marker.label] != REST
    ]
    counted = count_decisions(sent, intents, window_s, config.token.hop_s)
    return replace(counted, accuracy=scorer.summary()["accuracy"])


def listen(
    make: Callable[[StreamInfo], Decoder],
    path: Path,
    *,
    montage: str | None = None,
    config: SessionConfig | None = None,
    scorer: TrialScorer | None = None,
) -> tuple[list[Sent], list[Marker]]:
    """Run a decoder over a recording; gives every decode and every marker, in order.

    Parameters
    ----------
    scorer : TrialScorer | None
        Told of both as they come.
    """
    sent: list[Sent] = []
    markers: list[Marker] = []
    for step in play(path, make, config or SessionConfig(), montage):
        for marker in step.chunk.markers:
            markers.append(marker)
            if scorer is not None:
                scorer.on_marker(marker)
        for result in step.results:
            if isinstance(result, Decode):
                sent.append(Sent(result, _arrival(step.chunk, result.sample)))
                if scorer is not None:
                    scorer.on_decode(result)
    return sent, markers


def _arrival(chunk: Chunk, sample: int) -> float:
    """Time of the row that completed a token."""
    return float(chunk.times[sample - chunk.start])
