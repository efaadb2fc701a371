"""What following the user gives: the same trials with adaptation off, and with more and more of it.

The learner of the live decoder is driven trial by trial: every trial is decided before anything
learns from it, and its label comes after it, as a cue's does online.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.calibration.online.adaptation import Referenced
from rtbci.calibration.online.config import OnlineConfig
from rtbci.calibration.online.learner import Learner
from rtbci.calibration.reading.trials import Windows
from rtbci.calibration.scoring.accuracy import balanced_accuracy
from rtbci.types import FloatArray

Values = npt.NDArray[np.float64]

OFF = "off"


def variants(config: OnlineConfig) -> dict[str, OnlineConfig]:
    """Rows of the table: adaptation off, and one part after the other switched on.

    Parameters
    ----------
    config : OnlineConfig
        Whose rates and speeds are used.
    """
    off = replace(config, recentre="none", bias_rate=0.0, learn=False)
    centred = replace(off, recentre=config.recentre)
    return {
        OFF: off,
        "re-centred": centred,
        "re-centred, bias": replace(centred, bias_rate=config.bias_rate),
        "re-centred, bias, head": replace(centred, bias_rate=config.bias_rate, learn=True),
    }


@dataclass(frozen=True)
class Followed:
    """One row on one stretch of trials.

    Attributes
    ----------
    evidence : ndarray, shape (n_trials, n_classes)
        Summed log-probabilities.
    balanced : float
        Balanced accuracy.
    kept, reverted : int
        Verdicts of the shadow.
    """

    evidence: Values
    balanced: float
    kept: int
    reverted: int


def follow_trials(
    fitted: Referenced, later: Windows, n_bands: int, n_classes: int, config: OnlineConfig
) -> Followed:
    """Decide later trials one after the other, learning from each once it is over.

    Parameters
    ----------
    fitted : Referenced
        On earlier recordings.
    later : Windows
        Of recordings that it was not fitted on, in the order of time.
    """

    def estimate(window: FloatArray) -> Values:
        p = fitted.predict_proba(window[np.newaxis])[0]
        return np.asarray(p, dtype=np.float64)

    learner = Learner(fitted, estimate, n_bands, n_classes, config)
    evidence = np.zeros((len(later.y), n_classes))
    verdicts = {"kept": 0, "reverted": 0, "updated": 0}
    for trial, wanted in enumerate(later.y):
        seen = []
        for window in later.x[later.trial == trial]:
            seen.append(learner.see(window, *learner.read(window)))
            evidence[trial] += seen[-1].log_p
        if config.adapts:
            for change in learner.learn(seen, int(wanted)):
                verdicts[change.what] += 1
    decided = np.argmax(evidence, axis=1).astype(np.int64)
    return Followed(
        evidence,
        balanced_accuracy(later.y, decided, n_classes),
        verdicts["kept"],
        verdicts["reverted"],
    )


def compare_online(
    fitted: Referenced,
    later: Windows,
    n_bands: int,
    n_classes: int,
    config: OnlineConfig | None = None,
) -> Mapping[str, Followed]:
    """Every row of the table on one subject's later trials.

    Parameters
    ----------
    fitted, later, n_bands, n_classes
        As in :func:`follow_trials`.
    config : OnlineConfig | None
        The profile's, or the default.
    """
    return {
        name: follow_trials(fitted, later, n_bands, n_classes, how)
        for name, how in variants(config or OnlineConfig()).items()
    }


def online_table(rows: Mapping[str, Mapping[str, Followed]]) -> list[str]:
    """Means over subjects and paired differences to "off", for people.

    Parameters
    ----------
    rows : mapping of str to mapping
        By subject or recording, what :func:`compare_online` gave.
    """
    lines = [f"{'adaptation':<24} {'mean':>6}  difference to off (95 % interval), {len(rows)} rows"]
    names = list(next(iter(rows.values()))) if rows else []
    for name in names:
        score = np.array([row[name].balanced for row in rows.values()])
        gain = score - np.array([row[OFF].balanced for row in rows.values()])
        half = 1.96 * float(np.std(gain, ddof=1) / np.sqrt(len(gain))) if len(gain) > 1 else np.nan
        mean = float(np.mean(gain))
        words = "" if name == OFF else f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"
        lines.append(f"{name:<24} {np.mean(score):6.3f}  {words}".rstrip())
    return lines


def to_dict(rows: Mapping[str, Mapping[str, Followed]]) -> dict[str, Any]:
    """Plain values of the table, by subject and row."""
    return {
        subject: {
            name: {"balanced": round(f.balanced, 4), "kept": f.kept, "reverted": f.reverted}
            for name, f in row.items()
        }
        for subject, row in rows.items()
    }
