"""Every knob of the online decoder; a profile holds them in its table ``[online]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rtbci.errors import BadInputError


@dataclass(frozen=True)
class OnlineConfig:
    """From probabilities to decisions, and how the decoder follows its user.

    Attributes
    ----------
    temperature : float
        Divides the decoder's log-probabilities, so that they are calibrated
        (:func:`rtbci.calibration.online.evidence.fit_temperature`).
    leak_s : float
        Evidence is a leaky mean of log-odds with this time constant, seconds.
    limit : float
        Most log-odds that one token can give: no single token decides.
    on, off : float
        Evidence (log-odds) from which a class is decided, and below which it is given up.
    dwell_s : float
        Evidence must hold for so long before a class is decided, seconds.
    refractory_s : float
        After a class was given up, nothing is decided for so long, seconds.
    flag_hold_s : float
        Evidence stands still for so long while tokens are flagged (eyes, muscle), so that a blink
        does not end a decision; longer flags let it leak.
    flag_settle_s : float
        Nothing new is decided before so much time without a flag.
    recentre : str
        ``riemann`` or ``euclid``: which mean of the trials' covariances is brought back to that of
        the calibration; ``none``: nothing is re-centred.
    recentre_prior : float
        So many rounds (one trial of each class) the calibration's own mean counts for.
    recentre_rate : float
        Least weight of the newest round in the running mean.
    recentre_speed : float
        Most that the running mean moves in a round: root mean square of the log of its change of
        variance, over directions.
    bias_rate : float
        Share of a round by which the running bias follows the decision values; 0: no bias.
    learn : bool
        Whether labels also train a head on top of the decoder.  Off unless asked for: with cues
        that alternate, what it learns of slow drifts is wrong in the next trial.
    learn_pull : float
        Strength of the ridge that holds this head at nothing.
    shadow_trials : int
        After so many labelled trials the changed decoder is compared with its unchanged shadow.
    """

    temperature: float = 1.0
    leak_s: float = 1.0
    limit: float = 4.0
    on: float = 0.85
    off: float = 0.4
    dwell_s: float = 0.3
    refractory_s: float = 1.0
    flag_hold_s: float = 2.0
    flag_settle_s: float = 1.0
    recentre: Literal["riemann", "euclid", "none"] = "riemann"
    recentre_prior: float = 1.0
    recentre_rate: float = 0.05
    recentre_speed: float = 0.7
    bias_rate: float = 0.05
    learn: bool = False
    learn_pull: float = 30.0
    shadow_trials: int = 20

    @property
    def adapts(self) -> bool:
        """Whether markers can change the decoder at all."""
        return self.recentre != "none" or self.bias_rate > 0 or self.learn


def check_online(config: OnlineConfig, where: str = "online") -> OnlineConfig:
    """Refuse knobs that contradict each other; give the config back.

    Raises
    ------
    BadInputError
        With the setting, its value and what is allowed.
    """
    wanted = [
        (config.temperature > 0, "temperature", config.temperature, "above 0"),
        (config.leak_s > 0, "leak_s", config.leak_s, "above 0"),
        (config.limit > 0, "limit", config.limit, "above 0"),
        (config.on > 0, "on", config.on, "above 0"),
        (config.off <= config.on, "off", config.off, f"at most {where}.on ({config.on:g})"),
        (config.dwell_s >= 0, "dwell_s", config.dwell_s, "0 or more"),
        (config.refractory_s >= 0, "refractory_s", config.refractory_s, "0 or more"),
        (config.flag_hold_s >= 0, "flag_hold_s", config.flag_hold_s, "0 or more"),
        (config.flag_settle_s >= 0, "flag_settle_s", config.flag_settle_s, "0 or more"),
        (config.recentre_prior > 0, "recentre_prior", config.recentre_prior, "above 0"),
        (0 <= config.recentre_rate < 1, "recentre_rate", config.recentre_rate, "from 0 to 1"),
        (config.recentre_speed >= 0, "recentre_speed", config.recentre_speed, "0 or more"),
        (0 <= config.bias_rate < 1, "bias_rate", config.bias_rate, "from 0 to 1"),
        (config.learn_pull > 0, "learn_pull", config.learn_pull, "above 0"),
        (config.shadow_trials >= 20, "shadow_trials", config.shadow_trials, "20 or more"),
    ]
    for right, name, value, allowed in wanted:
        if not right:
            raise BadInputError(f"{where}.{name} is {value}, but must be {allowed}.")
    return config
