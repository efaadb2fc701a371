"""The decoder that runs: a calibrated one with evidence, adaptation and shadow.

    stream -> view -> window --map--> estimator -> - bias + head -> / temperature -> p
                 markers -> labelled trials -> next map, bias, head       |
                 eyes, muscle -> flags -------------------------------> evidence -> decision

With nothing to learn from, p is to the last bit what the evaluation's decoder gives (divided by
the temperature).  All state is deterministic in rows and markers, so a replay repeats it.

Concurrency: none; the pipeline's thread pushes and asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rtbci.calibration.online.adaptation import Adapted
from rtbci.calibration.online.config import OnlineConfig, check_online
from rtbci.calibration.online.evidence import Evidence
from rtbci.calibration.online.feedback import Feedback
from rtbci.calibration.online.learner import Learner
from rtbci.calibration.profile import Profile, streaming_decoder
from rtbci.calibration.signal.artefacts import monitor_for
from rtbci.calibration.signal.streaming import NO_ANSWER, StreamingDecoder
from rtbci.config import SessionConfig
from rtbci.tick import Answer, Moment
from rtbci.types import BoolArray, DecoderChange, FloatArray

Values = npt.NDArray[np.float64]


class Monitor(Protocol):
    """Tells when eyes or muscle move (:mod:`rtbci.calibration.signal.artefacts`)."""

    def reset(self) -> None:
        """Begin a segment."""

    def push(self, block: FloatArray) -> None:
        """Take preprocessed rows, shape (n_times, n_electrodes of the stream), µV."""

    def flags(self) -> tuple[str, ...]:
        """What moves now."""


class AdaptiveDecoder:
    """Decides, and follows its user (:class:`rtbci.tick.OnlineDecoder`).

    Parameters
    ----------
    stream : StreamingDecoder
        Of the calibrated estimator; re-centred where that is a :class:`Referenced`.
    config : OnlineConfig
    session : SessionConfig
        Hop of the tokens and interval of a trial.
    labels : mapping of str to str
        Which marker labels are cues of which classes.
    monitor : Monitor | None
    """

    calibrated = True

    def __init__(
        self,
        stream: StreamingDecoder,
        config: OnlineConfig,
        session: SessionConfig,
        labels: Mapping[str, str],
        monitor: Monitor | None = None,
    ) -> None:
        self.name, self.classes, self.window_s = stream.name, stream.classes, stream.window_s
        self._stream = stream
        self._config = config
        self._monitor = monitor
        self._thresholds = (config.on, config.off)
        self._evidence = Evidence(stream.classes, session.token.hop_s, config)
        self._feedback = Feedback(stream.classes, labels, session.decode.trial_s, stream.window_s)
        self._learner = Learner(
            stream.estimator, stream.estimate, stream.n_bands, len(stream.classes), config
        )

    @property
    def adapted(self) -> Adapted:
        """What the calibrated decoder has become."""
        return self._learner.adapted

    def set_thresholds(self, on: float, off: float) -> None:
        """Decide by these from the next token on (:class:`rtbci.tick.Adjustable`)."""
        moved = check_online(replace(self._config, on=on, off=off), "threshold")
        self._config, self._thresholds = moved, (on, off)
        self._evidence.switch.set_thresholds(on, off)

    def reset(self) -> None:
        """Begin a segment: window and evidence are empty; what was learned stays."""
        self._stream.reset()
        self._evidence.reset()
        self._feedback.break_off()
        if self._monitor is not None:
            self._monitor.reset()

    def push(self, block: FloatArray) -> None:
        """Take preprocessed rows, shape (n_times, n_electrodes of the stream), float32, µV."""
        self._stream.push(block)
        if self._monitor is not None:
            self._monitor.push(block)

    def decode(self, good: BoolArray) -> tuple[Values, str]:
        """Probabilities of the newest window; learns and decides nothing."""
        window, reason = self._stream.window(good)
        if window is None:
            return self._abstain(), reason
        _, p = self._learner.read(window)
        return (p, "") if np.isfinite(p).all() else (self._abstain(), NO_ANSWER)

    def answer(self, good: BoolArray, moment: Moment) -> Answer:
        """Learn from what has become known, then decode and decide.

        Parameters
        ----------
        good : ndarray, shape (n_electrodes of the stream,), bool
        moment : Moment
        """
        changes = self._learn(moment) if self._config.adapts else ()
        flags = () if self._monitor is None else self._monitor.flags()
        window, reason = self._stream.window(good)
        scores, p = self._abstain(), self._abstain()
        if window is not None:
            scores, p = self._learner.read(window)
            if not np.isfinite(p).all():
                window, reason, p = None, NO_ANSWER, self._abstain()
        intent = None if window is None else self._learner.intent(window)
        begins = self._evidence.step(
            p, valid=window is not None, flagged=bool(flags), intent=intent
        )
        if self._config.adapts:
            if begins:
                self._feedback.begin(self._evidence.switch.state.active, moment.time)
            if window is not None and not flags and (trials := self._feedback.wants(moment.time)):
                seen = self._learner.see(window, scores, p)
                for trial in trials:
                    trial.seen.append(seen)
        return Answer(
            p,
            reason,
            self._evidence.decision,
            self._evidence.levels,
            self._thresholds,
            flags,
            changes,
        )

    def _abstain(self) -> Values:
        return np.full(len(self.classes), np.nan)

    def _learn(self, moment: Moment) -> tuple[DecoderChange, ...]:
        """Take the trials whose class has become known."""
        return tuple(
            DecoderChange(moment.sample, moment.time, change.what, change.values)
            for trial in self._feedback.take(moment.markers, moment.time)
            for change in self._learner.learn(trial.seen, trial.wanted)
        )


def online_decoder(
    profile: Profile,
    electrodes: Sequence[str],
    session: SessionConfig,
    labels: Mapping[str, str],
    config: OnlineConfig | None = None,
    *,
    source_rate: float | None = None,
) -> AdaptiveDecoder:
    """Put a subject's decoder into a stream, with all that makes it decide and adapt.

    Parameters
    ----------
    profile : Profile
    electrodes : sequence of str
        Of the stream.
    session : SessionConfig
    labels : mapping of str to str
        Which marker labels are cues of which classes; class names stand for themselves.
    config : OnlineConfig | None
        In place of the profile's own.
    source_rate : float | None
        Of the stream before it is resampled, Hz.

    Raises
    ------
    BadInputError
        As :func:`rtbci.calibration.profile.streaming_decoder`, and where a knob is none.
    """
    config = check_online(config or profile.card.online, f"{profile.card.subject}: online")
    stream = streaming_decoder(profile, electrodes, session, source_rate)
    named = {name: name for name in profile.card.classes} | dict(labels)
    rate, learned = session.preprocess.rate_hz, profile.card.learned
    monitor = monitor_for(electrodes, rate, stream.window_s, learned)
    return AdaptiveDecoder(stream, config, session, named, monitor)
