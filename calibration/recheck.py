"""Whether a profile still holds the next day.

    recording -> signal check ----------------------------> electrodes that are dead or swapped
              -> a few cues -> the profile's decoder -----> right as often as its score promises?
                            -> re-centred by today's mean -> is that better?
                                      |
                     kept | re-centred | calibrate again, and the reason

With ten cues nobody measures an accuracy: they are compared with what the profile's own score
would give in so many cues, its uncertainty included.  Kept is what agrees with it; re-centred is
what agrees with it only, or clearly better, after the mean of the covariances has been brought to
where it was; all else is to be calibrated again.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from rtbci.calibration.card import Card
from rtbci.calibration.decoders import spd
from rtbci.calibration.online.adaptation import Referenced
from rtbci.calibration.online.evidence import FLOOR_P
from rtbci.calibration.online.recentred import Recentred
from rtbci.calibration.profile import Profile, load_estimator, load_profile, save_profile
from rtbci.calibration.protocol.config import ProtocolConfig, load_protocol
from rtbci.calibration.reading.checks import check_window
from rtbci.calibration.reading.cohort import follow_all, judge_all
from rtbci.calibration.reading.trials import TrialConfig, Windows, cut, find_cues
from rtbci.calibration.scoring.metrics import measure
from rtbci.calibration.signal.check_data import holds_check, read_check
from rtbci.calibration.signal.learned import Learned
from rtbci.calibration.signal.learning import learn
from rtbci.calibration.signal_check import SignalCheck, judge_signal_check
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.playback import known_classes

Values = npt.NDArray[np.float64]
Verdict = Literal["kept", "re-centred", "calibrate again"]

VIEW = "profile"
LEAST_TRIALS = 3
"""Of each class."""
LEVEL = 0.05
"""A result that the profile's score makes less likely than so does not agree with it."""
HAS_NO_SIGNAL = "{} {} no signal today; mend the contact and check again, or calibrate without"


@dataclass(frozen=True)
class Attempt:
    """How one form of the decoder did on today's cues.

    Attributes
    ----------
    right : int
        Trials decoded right.
    balanced : float
    plausible : float
        Probability that the profile's decoder, as good as its score, has so few right or fewer.
    loss : tuple of float
        Of each trial: minus the log-probability of what was wanted.
    """

    right: int
    balanced: float
    plausible: float
    loss: tuple[float, ...]


@dataclass(frozen=True)
class Recheck:
    """Whether a profile still holds.

    Attributes
    ----------
    subject, recording : str
    verdict : str
        ``kept``, ``re-centred`` or ``calibrate again``.
    reason : str
    trials : int
        Cues that were used.
    as_it_is, recentred : Attempt | None
        None where no cue could be decoded.
    shift : float
        How far the mean covariance has moved: root mean square of the log of its change of
        variance, over directions.
    check : SignalCheck | None
        None where the recording holds none.
    profile : Profile | None
        As saved; None where nothing was.
    """

    subject: str
    recording: str
    verdict: Verdict
    reason: str
    trials: int = 0
    as_it_is: Attempt | None = None
    recentred: Attempt | None = None
    shift: float = 0.0
    check: SignalCheck | None = None
    profile: Profile | None = None

    def lines(self) -> list[str]:
        """For people."""
        said = [] if self.check is None else self.check.lines()[:-1]
        said.append(f"{self.subject}: {self.verdict}, because {self.reason}.")
        if self.profile is not None:
            said.append(f"profile: {self.profile.folder}")
        return said

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "subject": self.subject,
            "recording": self.recording,
            "verdict": self.verdict,
            "reason": self.reason,
            "trials": self.trials,
            "as_it_is": None if self.as_it_is is None else asdict(self.as_it_is),
            "recentred": None if self.recentred is None else asdict(self.recentred),
            "shift": round(self.shift, 3),
            "check": None if self.check is None else self.check.to_dict(),
            "profile": None if self.profile is None else str(self.profile.folder),
        }


def recheck_protocol(card: Card) -> ProtocolConfig:
    """The protocol of a re-check, with the classes of a profile."""
    return replace(load_protocol("recheck"), classes=card.classes)


def recheck(
    subject: str,
    recording: Path,
    *,
    montage: str | None = None,
    profiles_dir: Path | None = None,
    config: SessionConfig | None = None,
    save: bool = True,
) -> Recheck:
    """Judge a profile by a recording of today.

    Parameters
    ----------
    subject : str
        Whose profile.
    recording : Path
        A signal check, where there is one, and at least three cues of each class.
    montage : str | None
        As ``--montage`` takes it.
    profiles_dir : Path | None
    config : SessionConfig | None
        Its preprocessing is the profile's, whatever it says.
    save : bool
        Whether the profile is saved as it is found to hold: with the date and the finding, what
        today's signal check showed, and re-centred where that is the verdict.

    Raises
    ------
    BadInputError
        Where there is no such profile, the recording can't be read or lacks an electrode of the
        decoder, or it holds too few cues.
    """
    profile = load_profile(subject, profiles_dir)
    card = profile.card
    config = replace(config or SessionConfig(), preprocess=card.preprocess)
    check, learned = None, card.learned
    if holds_check(recording):
        data = read_check(recording, montage, config)
        check, learned = judge_signal_check(data, recording.name), learn(data, recording.name)
        fault = _fault(card, check)
        if fault:
            return Recheck(subject, recording.name, "calibrate again", fault, check=check)
    windows = _windows(card, recording, montage, config, learned)
    fitted = load_estimator(profile)
    before = _attempt(fitted, windows, card)
    today, shift = _today(fitted, windows, len(card.view.bands_hz))
    after = None if today is None else _attempt(Recentred.to(fitted, today), windows, card)
    verdict, reason = _judge(card, before, after, len(windows.y))
    saved = None
    if save and verdict != "calibrate again":
        date = datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds")
        made = replace(
            card, learned=learned, rechecked=(*card.rechecked, f"{date} {verdict}: {reason}")
        )
        if verdict == "re-centred" and today is not None:
            fitted = Recentred.to(fitted, today)
        saved = save_profile(made, fitted, profiles_dir)
    return Recheck(
        subject,
        recording.name,
        verdict,
        reason,
        len(windows.y),
        before,
        after,
        shift,
        check,
        saved,
    )


def _fault(card: Card, check: SignalCheck) -> str:
    """Why the decoder can't do with today's electrodes; empty where it can."""
    dead = [e for e in check.stops if e in card.electrodes]
    if dead:
        return HAS_NO_SIGNAL.format(", ".join(dead), "gives" if len(dead) == 1 else "give")
    for swap in check.swaps:
        if {swap.first, swap.second} & set(card.electrodes):
            pair = f"{swap.first} and {swap.second}"
            return f"{pair} are perhaps swapped; put them right and check again"
    return ""


def _windows(
    card: Card,
    recording: Path,
    montage: str | None,
    config: SessionConfig,
    learned: Learned | None,
) -> Windows:
    """Windows of today's cues, as the profile's decoder will see them."""
    trial = TrialConfig(trial_s=config.decode.trial_s)
    check_window(card.view, trial)
    tracks, base = follow_all([recording], {VIEW: card.view}, config, montage, learned=learned)
    there = tracks[0].electrodes
    lacking = [e for e in card.electrodes if e not in there]
    if lacking:
        raise BadInputError(
            f"{card.subject}'s decoder needs {', '.join(lacking)}, which {recording.name} does not "
            f"have (it has {', '.join(there)}); use the montage of the calibration, or calibrate "
            "anew."
        )
    own = {name: name for name in card.classes}
    named = {k: v for k, v in known_classes(recording).items() if v in own}
    cues = find_cues(tracks, [own | named], card.classes, trial, base.window_s)
    cues, rejected = judge_all(tracks, cues, card.electrodes, base, config)
    rate = card.preprocess.rate_hz
    windows = cut(tracks, cues, card.electrodes, trial, VIEW, card.view, rate)
    counts = np.bincount(windows.y, minlength=len(card.classes))
    if counts.min() < LEAST_TRIALS:
        lost = "".join(f"; {n} left out: {why}" for why, n in rejected.items())
        few = ", ".join(f"{n} of {c}" for c, n in zip(card.classes, counts, strict=True))
        raise BadInputError(
            f"{recording.name} has {few} (usable cues{lost}), but a re-check needs at least "
            f"{LEAST_TRIALS} of each; record more: rtbci calibrate --protocol recheck"
        )
    return windows


def _attempt(estimator: Any, windows: Windows, card: Card) -> Attempt:
    """Decode every trial by the mean of its windows' log-probabilities."""
    log_p = np.log(np.maximum(estimator.predict_proba(windows.x), FLOOR_P))
    log_p /= card.online.temperature
    n = len(windows.y)
    evidence = np.stack([log_p[windows.trial == i].mean(axis=0) for i in range(n)])
    evidence -= np.log(np.exp(evidence).sum(axis=1, keepdims=True))
    right = int(np.sum(np.argmax(evidence, axis=1) == windows.y))
    promised, known = card.score.balanced, card.score.trials
    # NB: the score itself rests on so many trials only.
    agrees = stats.betabinom.cdf(right, n, promised * known + 1, (1 - promised) * known + 1)
    return Attempt(
        right,
        measure(evidence, windows.y, card.view.window_s).balanced,
        round(float(agrees), 4),
        tuple(round(float(v), 4) for v in -evidence[np.arange(n), windows.y]),
    )


def _today(estimator: Any, windows: Windows, n_bands: int) -> tuple[Values | None, float]:
    """Where the mean covariance is today, held to the calibration's by one more round, and how far.

    None where the decoder does not say where it was.
    """
    if not isinstance(estimator, Referenced) or estimator.riemann is None:
        return None, 0.0
    made = spd.covariances(windows.x, n_bands)
    trials = np.stack([made[windows.trial == i].mean(axis=0) for i in range(len(windows.y))])
    classes = np.unique(windows.y)
    means = np.stack([spd.riemannian_mean(trials[windows.y == c]) for c in classes])
    now = spd.riemannian_mean(means)
    rounds = int(np.bincount(windows.y)[classes].min())
    shift = float(np.mean(spd.distance(estimator.riemann, now)))
    return spd.between(estimator.riemann, now, rounds / (rounds + 1)), shift


def _judge(card: Card, before: Attempt, after: Attempt | None, n: int) -> tuple[Verdict, str]:
    """Say what is to be done, and why."""
    promised = f"its score of {card.score.balanced:.2f}"
    was = f"{before.right} of {n} cues were decoded right"
    holds = before.plausible >= LEVEL
    if after is not None and after.plausible >= LEVEL and after.right >= before.right:
        gain = np.array(before.loss) - np.array(after.loss)
        if not holds:
            return (
                "re-centred",
                f"{was}, fewer than {promised} promises, but {after.right} of {n} after "
                "re-centring",
            )
        if after.right > before.right and _surely_above(gain):
            return (
                "re-centred",
                f"{was}, and {after.right} of {n} after re-centring, which is clearly better",
            )
    if holds:
        return "kept", f"{was}, which agrees with {promised}"
    now = "" if after is None else f" ({after.right} after re-centring)"
    return "calibrate again", f"only {was}{now}, where {promised} promises more"


def _surely_above(gain: Sequence[float] | Values) -> bool:
    """Whether a mean over trials is above nothing, by a paired t-test."""
    if np.ptp(gain) == 0:
        return bool(np.mean(gain) > 0)
    return bool(stats.ttest_1samp(gain, 0.0, alternative="greater").pvalue < LEVEL)
