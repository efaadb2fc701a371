"""How a decoder follows its user: re-centring, running bias, and a head that learns from labels.

    window x -> map E (one for each band) -> estimator -> log p - bias + head(x) -> p
                     ^                                        ^        ^
                     |                                        |        |
      running mean of the trials' covariances    slow mean of decision values   ridge on tangent
      brought back to the calibration's          vectors, from labelled trials

Nothing here changes but by labelled trials, so nothing changes outside cued blocks, in rest or
while a user does what she likes.  The running mean and the bias move once a *round*: when each
class has come again, each class counting the same.  A stream of 90 % one class is then as good as
a balanced one, and a stream of one class alone changes nothing: unsupervised re-centring would
turn such decodes over (arXiv 2411.07249).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin

from rtbci.calibration.decoders import spd
from rtbci.calibration.online.config import OnlineConfig
from rtbci.calibration.online.evidence import FLOOR_P
from rtbci.calibration.online.head import Head
from rtbci.calibration.online.idle import Idle
from rtbci.types import FloatArray

Values = npt.NDArray[np.float64]


class Referenced(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted decoder with the mean covariances of what it was fitted on.

    Parameters
    ----------
    estimator : object
        Fitted.
    riemann, euclid : ndarray, shape (n_bands, n_electrodes, n_electrodes), µV²
        Both means of the covariances of its trials.
    idle : Idle | None
        What doing nothing looks like; None where the calibration has not shown it.
    """

    idle: Idle | None = None  # of profiles that were saved before there was one

    def __init__(
        self,
        estimator: Any = None,
        riemann: Values | None = None,
        euclid: Values | None = None,
        idle: Idle | None = None,
    ) -> None:
        self.estimator = estimator
        self.riemann = riemann
        self.euclid = euclid
        self.idle = idle

    @classmethod
    def around(cls, estimator: Any, x: npt.NDArray[Any], n_bands: int) -> Self:
        """Keep the means of the trials that an estimator was fitted on.

        Parameters
        ----------
        estimator : object
            Fitted.
        x : ndarray, shape (n_trials, n_bands * n_electrodes, n_times), µV
        n_bands : int
        """
        made = spd.covariances(x, n_bands)
        return cls(estimator, spd.riemannian_mean(made), made.mean(axis=0))

    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Self:
        """Fit the estimator again and take the means again."""
        assert self.riemann is not None
        self.estimator.fit(X, y)
        again = type(self).around(self.estimator, X, len(self.riemann))
        self.riemann, self.euclid = again.riemann, again.euclid
        return self

    def predict_proba(self, X: npt.NDArray[Any]) -> Values:
        """Probabilities of the estimator."""
        return np.asarray(self.estimator.predict_proba(X))

    def intent(self, window: FloatArray) -> Values | None:
        """Log-odds of each class against doing nothing; None where that is not known.

        Parameters
        ----------
        window : ndarray, shape (n_bands * n_electrodes, n_times), µV
        """
        return None if self.idle is None else self.idle(window)

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """Classes of the estimator."""
        return np.asarray(self.estimator.classes_)


@dataclass(frozen=True)
class LabelledTrial:
    """One trial whose class has become known.

    Attributes
    ----------
    wanted : int
        Number of its class.
    covariance : ndarray, shape (n_bands, n_electrodes, n_electrodes), µV²
        Mean over its windows, before any map.
    scores : ndarray, shape (n_classes,)
        Decision values before bias and head: mean log-probabilities of its windows, centred.
    features : ndarray, shape (n_features,)
        Mean of what the head sees of its windows; empty where there is no head.
    """

    wanted: int
    covariance: Values
    scores: Values
    features: Values


@dataclass(frozen=True)
class Adapted:
    """What a decoder has become; never changed in place.

    Attributes
    ----------
    running : ndarray, shape (n_bands, n_electrodes, n_electrodes), µV²
        Running mean of the trials' covariances.
    map : ndarray, same shape | None
        Brings it back to the calibration's mean; None before the first round.
    bias : ndarray, shape (n_classes,)
        Subtracted from the log-probabilities.
    head : Head | None
    rounds, trials : int
        Rounds and trials that it rests on.
    """

    running: Values
    map: Values | None
    bias: Values
    head: Head | None = None
    rounds: int = 0
    trials: int = 0

    @property
    def untouched(self) -> bool:
        """Whether it still is what was calibrated."""
        return self.trials == 0

    def mapped(self, x: FloatArray) -> FloatArray:
        """Re-centre a window, shape (n_bands * n_electrodes, n_times)."""
        if self.map is None:
            return x
        n_bands, n = self.map.shape[:2]
        rows = self.map @ x.astype(np.float64).reshape(n_bands, n, -1)
        return rows.reshape(x.shape).astype(np.float32)


@dataclass
class RoundState:
    """Trials since the last round, by class."""

    waiting: list[list[LabelledTrial]] = field(default_factory=list)

    def reset(self) -> None:
        """Begin a round."""
        for trials in self.waiting:
            trials.clear()


class Follower:
    """Makes the next :class:`Adapted` of labelled trials.

    Parameters
    ----------
    reference : ndarray, shape (n_bands, n_electrodes, n_electrodes), µV² | None
        The calibration's mean; None where it is not known, and nothing is re-centred.
    n_classes : int
    config : OnlineConfig
    """

    def __init__(self, reference: Values | None, n_classes: int, config: OnlineConfig) -> None:
        self._config = config
        self._reference = reference
        self._n_classes = n_classes
        self.state = RoundState([[] for _ in range(n_classes)])
        self._memory: list[LabelledTrial] = []

    def start(self) -> Adapted:
        """What was calibrated; forgets all trials."""
        self.state.reset()
        self._memory.clear()
        nothing = np.zeros((0, 0, 0)) if self._reference is None else self._reference
        return Adapted(nothing, None, np.zeros(self._n_classes))

    def forget(self) -> None:
        """Forget the trials, as after a change that did harm."""
        self.state.reset()
        self._memory.clear()

    def follow(self, now: Adapted, trial: LabelledTrial) -> Adapted:
        """Take one labelled trial; gives ``now`` itself where it changes nothing."""
        config, made = self._config, now
        self.state.waiting[trial.wanted].append(trial)
        if all(self.state.waiting):
            made = self._round(made)
            self.state.reset()
        if config.learn and trial.features.size:
            self._memory.append(trial)
            del self._memory[: -Head.MEMORY]
            head = Head.fit(self._memory_of(made), self._n_classes, config.learn_pull)
            made = made if head is None else replace(made, head=head)
        return made if made is now else replace(made, trials=now.trials + 1)

    def _memory_of(self, now: Adapted) -> list[tuple[int, Values, Values]]:
        return [(t.wanted, t.scores - now.bias, t.features) for t in self._memory]

    def _round(self, now: Adapted) -> Adapted:
        """Each class has come: move the running mean and the bias."""
        config, reference = self._config, self._reference
        waiting = self.state.waiting
        made = replace(now, rounds=now.rounds + 1)
        if config.bias_rate > 0:
            means = [np.mean([t.scores for t in trials], axis=0) for trials in waiting]
            step = config.bias_rate * (np.mean(means, axis=0) - now.bias)
            made = replace(made, bias=now.bias + step)
        if config.recentre == "none" or reference is None:
            return made
        riemann = config.recentre == "riemann"
        share = max(config.recentre_rate, 1 / (config.recentre_prior + made.rounds))
        by_class = [_mean([t.covariance for t in trials], riemann) for trials in waiting]
        towards = _mean(by_class, riemann)
        far = spd.distance(now.running, towards)
        # NB: one trial with an artefact must not carry the whole decoder away.
        allowed = np.full_like(far, share)
        np.divide(
            config.recentre_speed, far, out=allowed, where=far * share > config.recentre_speed
        )
        if riemann:
            running = spd.between(now.running, towards, allowed)
        else:
            weight = allowed[:, None, None]
            running = (1 - weight) * now.running + weight * towards
        return replace(made, running=running, map=spd.transport(running, reference))


def _mean(matrices: Sequence[Values], riemann: bool) -> Values:
    stack = np.stack(matrices)
    return spd.riemannian_mean(stack) if riemann else np.asarray(stack.mean(axis=0))


def centred_log(p: Values) -> Values:
    """Log-probabilities less their mean; shape (..., n_classes) in and out."""
    logs = np.log(np.maximum(p, FLOOR_P))
    return np.asarray(logs - logs.mean(axis=-1, keepdims=True))
