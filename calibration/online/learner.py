"""An estimator that follows its user: reads windows, learns from trials, and is judged.

    window -> map -> estimator -> - bias + head -> / temperature -> p
    trial + label -> loss of both, the changed and its shadow -> next map, bias, head

The live decoder and the evaluation drive the same learner; it knows windows and trials, and
nothing of streams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from rtbci.calibration.decoders import spd
from rtbci.calibration.online import head
from rtbci.calibration.online.adaptation import (
    Adapted,
    Follower,
    LabelledTrial,
    Referenced,
    centred_log,
)
from rtbci.calibration.online.config import OnlineConfig
from rtbci.calibration.online.evidence import tempered
from rtbci.calibration.online.shadow import Shadow, Verdict, trial_loss
from rtbci.types import FloatArray

Values = npt.NDArray[np.float64]
Estimate = Callable[[FloatArray], Values]
"""Given a window, shape (n_bands * n_electrodes, n_times), the estimator's probabilities."""


@dataclass(frozen=True)
class Seen:
    """One window of a trial, as the decoder and its shadow saw it.

    Attributes
    ----------
    covariance : ndarray, shape (n_bands, n_electrodes, n_electrodes), µV²
        Before any map.
    features : ndarray, shape (n_features,)
        What the head sees.
    scores : ndarray, shape (n_classes,)
        Centred log-probabilities before bias and head.
    log_p, shadow_log_p : ndarray, shape (n_classes,)
        Log-probabilities of the decoder in use and of its shadow.
    """

    covariance: Values
    features: Values
    scores: Values
    log_p: Values
    shadow_log_p: Values


@dataclass(frozen=True)
class Change:
    """How a decoder has changed: ``updated``, ``kept`` or ``reverted``, and what it rests on."""

    what: str
    values: dict[str, Any]


class Learner:
    """What a calibrated estimator has become.

    Parameters
    ----------
    estimator : object
        Fitted; re-centred where it is a :class:`Referenced`.
    estimate : callable
    n_bands, n_classes : int
    config : OnlineConfig

    Attributes
    ----------
    adapted : Adapted
        The decoder in use.
    """

    def __init__(
        self,
        estimator: object,
        estimate: Estimate,
        n_bands: int,
        n_classes: int,
        config: OnlineConfig,
    ) -> None:
        reference = None
        if isinstance(estimator, Referenced):
            reference = estimator.euclid if config.recentre == "euclid" else estimator.riemann
        self._estimate = estimate
        self._intent = estimator.intent if isinstance(estimator, Referenced) else None
        self._n_bands = n_bands
        self._temperature = config.temperature
        self._root = None if reference is None else spd.roots(reference)[1]
        self._follower = Follower(reference, n_classes, config)
        self.adapted: Adapted = self._follower.start()
        self._shadow = Shadow(self.adapted, config.shadow_trials)

    def read(self, window: FloatArray) -> tuple[Values, Values]:
        """Read a window with the decoder in use.

        Returns
        -------
        scores : ndarray, shape (n_classes,)
            Decision values before bias and head.
        p : ndarray, shape (n_classes,)
            Probabilities; not finite where the estimator gave none.
        """
        return self._read(window, self.adapted)

    def intent(self, window: FloatArray) -> Values | None:
        """Log-odds of each class against doing nothing; None where that is not known."""
        return None if self._intent is None else self._intent(self.adapted.mapped(window))

    def see(self, window: FloatArray, scores: Values, p: Values) -> Seen:
        """Keep what :meth:`read` made of a window of a trial, for when its class is known."""
        shadow = self._shadow.adapted
        shadow_p = p if shadow is self.adapted else self._read(window, shadow)[1]
        return Seen(
            spd.covariances(window, self._n_bands),
            self._features(window, self.adapted),
            scores,
            centred_log(p),
            centred_log(shadow_p),
        )

    def learn(self, seen: Sequence[Seen], wanted: int) -> list[Change]:
        """Take a trial whose class is known.

        Both decoders are scored on it, the worse one goes if there are enough trials, and then
        the one in use learns from it.
        """
        made: list[Change] = []
        if self._shadow.adapted is not self.adapted:
            self._shadow.score(
                trial_loss(np.stack([s.log_p for s in seen]), wanted),
                trial_loss(np.stack([s.shadow_log_p for s in seen]), wanted),
            )
        before, judgement = self._shadow.judge(self.adapted)
        if judgement is not None:
            if judgement.verdict is Verdict.REVERTED:
                self._follower.forget()
            values = {
                "trials": judgement.trials,
                "loss": judgement.changed,
                "shadow_loss": judgement.unchanged,
            }
            made.append(Change(judgement.verdict.value, values))
        self.adapted = self._follower.follow(before, _labelled(seen, wanted))
        if self.adapted is not before:
            made.append(Change("updated", _about(before, self.adapted)))
        return made

    def _read(self, window: FloatArray, adapted: Adapted) -> tuple[Values, Values]:
        p = self._estimate(adapted.mapped(window))
        if not np.isfinite(p).all():
            return p, p
        scores = centred_log(p)
        if not adapted.untouched:
            logs = scores - adapted.bias
            if adapted.head is not None:
                logs = logs + adapted.head(self._features(window, adapted))
            p = np.asarray(softmax(logs))
        return scores, tempered(p, self._temperature)

    def _features(self, window: FloatArray, adapted: Adapted) -> Values:
        """What the head sees: the re-centred window's tangent vector at the calibration's mean."""
        if self._root is None:
            return np.zeros(0)
        return head.features(self._root, spd.covariances(adapted.mapped(window), self._n_bands))


def _labelled(seen: Sequence[Seen], wanted: int) -> LabelledTrial:
    return LabelledTrial(
        wanted,
        np.asarray(np.mean([s.covariance for s in seen], axis=0)),
        np.asarray(np.mean([s.scores for s in seen], axis=0)),
        np.asarray(np.mean([s.features for s in seen], axis=0)),
    )


def _about(before: Adapted, now: Adapted) -> dict[str, Any]:
    moved = now.map is not None and now.running is not before.running
    return {
        "trials": now.trials,
        "rounds": now.rounds,
        "recentred": float(spd.distance(before.running, now.running).max()) if moved else 0.0,
        "bias": now.bias.tolist(),
        "head_trials": 0 if now.head is None else now.head.trials,
    }
