"""``rtbci evaluate adaptation``: the same trials with adaptation off, and with more and more of it.

    a decoder fitted on one recording --> each later recording of the subject, trial by trial

The learner of the live decoder is driven trial by trial: every trial is decided before anything
learns from it, and its label comes after it, as a cue's does online.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.bootstrap import Interval, bootstrap
from rtbci.calibration.decoders.catalogue import Task, find_recipe, make_decoder
from rtbci.calibration.online.adaptation import Referenced
from rtbci.calibration.online.config import OnlineConfig
from rtbci.calibration.online.learner import Learner
from rtbci.calibration.reading.cohort import find_sessions, read_session
from rtbci.calibration.reading.trials import TrialConfig, Windows, cut, motor_electrodes
from rtbci.calibration.scoring.accuracy import balanced_accuracy
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.types import FloatArray, IndexArray

Values = npt.NDArray[np.float64]

OFF = "off"
MIN_TRIALS = 4
"""Of each class in a recording that is fitted on or scored."""


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


@dataclass
class AdaptationTable:
    """All pairs of recordings that were followed.

    Attributes
    ----------
    rows : dict
        By decoder, by subject, by pair of recordings of the same task: what
        :func:`compare_online` gave.
    """

    rows: dict[str, dict[str, dict[str, Mapping[str, Followed]]]] = field(default_factory=dict)

    def means(self, decoder: str) -> dict[str, tuple[Interval, Interval]]:
        """Balanced accuracy, and its paired difference to :data:`OFF`, of every row.

        Subjects are resampled; where there is one subject only, pairs of recordings are, which
        are not independent of each other.
        """
        subjects = list(self.rows[decoder].values())
        units = (
            [[pair] for pair in subjects[0].values()]
            if len(subjects) == 1
            else [list(pairs.values()) for pairs in subjects]
        )
        made = {}
        for name in units[0][0]:
            scores = [float(np.mean([pair[name].balanced for pair in unit])) for unit in units]
            off = [float(np.mean([pair[OFF].balanced for pair in unit])) for unit in units]
            made[name] = (bootstrap(scores), bootstrap(np.subtract(scores, off)))
        return made

    def note(self, decoder: str) -> str:
        """Of how many subjects and pairs the means are."""
        subjects = self.rows[decoder]
        pairs = sum(map(len, subjects.values()))
        if len(subjects) > 1:
            return f"{decoder}: {len(subjects)} subjects, {pairs} pairs of recordings"
        return f"{decoder}: 1 subject, {pairs} pairs of recordings: the intervals are too narrow"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, by decoder, subject, pair and row."""
        return {
            decoder: {
                who: {
                    pair: {
                        name: {
                            "balanced": round(f.balanced, 4),
                            "kept": f.kept,
                            "reverted": f.reverted,
                        }
                        for name, f in row.items()
                    }
                    for pair, row in pairs.items()
                }
                for who, pairs in subjects.items()
            }
            for decoder, subjects in self.rows.items()
        }


def evaluate_adaptation(
    data: Sequence[Path],
    decoders: Sequence[str] = ("csp+lda", "ts+lr"),
    *,
    classes: str | None = None,
    montage: str | None = None,
    config: SessionConfig | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> AdaptationTable:
    """Fit on each recording and follow each later one of the same subject and task.

    Parameters
    ----------
    data : sequence of Path
        Recordings or folders of them; a subject's are taken in the order of their names.
    decoders : sequence of str
    classes, montage : str | None
        As on the command line.
    progress : callable | None
        Told the share that is done and what is being read.

    Raises
    ------
    BadInputError
        Where there is nothing to read, or no subject has two recordings with enough trials.
    """
    config = config or SessionConfig()
    recipes = {name: find_recipe(name) for name in decoders}
    views = {r.view.key: r.view for r in recipes.values()}
    table = AdaptationTable({name: {} for name in decoders})
    sessions = [s for s in find_sessions(data) if s.task != "rest" and len(s.paths) > 1]
    for i, session in enumerate(sessions):

        def at(path: Path, done: float = i / len(sessions)) -> None:
            if progress is not None:
                progress(done, path.name)

        trials = read_session(
            session,
            views,
            motor_electrodes,
            classes=classes,
            montage=montage,
            config=config,
            progress=at,
        )
        task = Task(trials.electrodes, trials.classes, (session.subject,))
        trial = TrialConfig(trial_s=config.decode.trial_s)
        for name, recipe in recipes.items():
            windows = cut(
                trials.tracks,
                trials.cues,
                trials.electrodes,
                trial,
                recipe.view.key,
                recipe.view,
                config.preprocess.rate_hz,
            )
            n_bands, n_classes = len(recipe.view.bands_hz), len(trials.classes)
            pairs: dict[str, Mapping[str, Followed]] = {}
            for early, late in combinations(_usable_runs(windows, n_classes), 2):
                first = of_trials(windows, np.flatnonzero(windows.run == early))
                x = first.x[first.fit]
                fitted = make_decoder(name, task).fit(x, first.y[first.trial[first.fit]])
                pairs[f"{session.paths[early].name} > {session.paths[late].name}"] = compare_online(
                    Referenced.around(fitted, x, n_bands),
                    of_trials(windows, np.flatnonzero(windows.run == late)),
                    n_bands,
                    n_classes,
                )
            if pairs:
                table.rows[name].setdefault(session.subject, {}).update(pairs)
    if not any(table.rows.values()):
        raise BadInputError(
            "no subject has two recordings of the same task with at least "
            f"{MIN_TRIALS} usable trials of each class; name more of her recordings."
        )
    return table


def of_trials(windows: Windows, trials: IndexArray) -> Windows:
    """Windows of some trials, which are counted anew from 0."""
    kept = np.isin(windows.trial, trials)
    return Windows(
        windows.x[kept],
        np.searchsorted(trials, windows.trial[kept]),
        windows.fit[kept],
        windows.y[trials],
        windows.run[trials],
    )


def _usable_runs(windows: Windows, n_classes: int) -> list[int]:
    counts = {
        int(run): Counter(windows.y[windows.run == run].tolist()) for run in np.unique(windows.run)
    }
    return [r for r, n in counts.items() if all(n[c] >= MIN_TRIALS for c in range(n_classes))]
