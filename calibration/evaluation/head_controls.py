"""What the shipped decode head reads: controls on subjects that no weights have seen.

    recording -- read_raw, Preprocessor --> signal -+- as it is ----------------+
                                              |     +- eyes regressed out ------+--> encoder, head
                                              |     +- high-passed at 6 Hz -----+
                                              +- AF7 F7 FT7 minus AF8 F8 FT8 --> the eyes alone

The head decodes left from right hand without a calibration, from a signal that begins at 0.5 Hz.
Where the target stands at one side of the screen, the eyes follow it, and their field reaches
the motor electrodes.  A head that reads rhythms keeps its score without the eyes and without what
lies below 6 Hz, and on the trials in which the eyes point to the wrong side; one that reads the
eyes loses it.  The eyes alone are learned on the subjects that are not held out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import butter

from rtbci.calibration.scoring.accuracy import balanced_accuracy
from rtbci.calibration.signal.regression import Regression, reference_electrodes
from rtbci.errors import BadInputError
from rtbci.filters import CausalFilter
from rtbci.models.checkpoint import Checkpoint
from rtbci.models.config import ModelConfig
from rtbci.models.pretrain.corpus.prepared import Prepared
from rtbci.models.pretrain.corpus.read import read_raw, recordings_in
from rtbci.models.pretrain.corpus.recordings import Cue, RawRecording
from rtbci.models.pretrain.corpus.subjects import is_held_out
from rtbci.models.pretrain.tasks.answers import log_odds
from rtbci.models.pretrain.tasks.catalogue import CLASSES
from rtbci.models.pretrain.tasks.trials import collect_trials
from rtbci.normalise import RunningNorm
from rtbci.preprocess import Preprocessor
from rtbci.types import BoolArray, IndexArray

Array64 = npt.NDArray[np.float64]

EYES, HEAD, REGRESSED, HIGH_PASSED = METHODS = ("eyes", "head", "regressed", "high_passed")
"""Columns of the table: the eyes alone, and the head on three versions of the signal."""

LEFT_SIDE = ("AF7", "F7", "FT7")
RIGHT_SIDE = ("AF8", "F8", "FT8")
"""Electrodes beside the eyes: their difference is positive where the eyes are turned left."""
COURSE_HZ = (0.3, 6.0)
COURSE_S = 4.0
"""After the cue: as long as a trial of EEGMMIDB lasts."""
WHOLE_S = 4.3
"""Signal that must follow a cue; a trial that a file's end cuts short is left out."""
COURSE_STEPS = 16
RIDGE = 0.01
"""Of the eyes' weights, in units of the mean eigenvalue."""
HIGH_PASS_HZ = 6.0


@dataclass(frozen=True)
class HeadControls:
    """Evidence for the right hand in every trial of the held-out subjects.

    Attributes
    ----------
    model, identity : str
        Whose head it is: name and SHA-256 of the checkpoint.
    learned_on : tuple of str
        Subjects that the eyes alone were learned on.
    subjects : tuple of str
        Of each trial.
    labels : ndarray, shape (n_trials,), int64
        1 for the right hand, 0 for the left.
    evidence : dict of str to ndarray, shape (n_trials,)
        By :data:`METHODS`: summed log-odds, or what the eyes predict of +1 and -1.
    """

    model: str
    identity: str
    learned_on: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: IndexArray
    evidence: dict[str, Array64]

    @property
    def eyes_right(self) -> BoolArray:
        """Trials that the eyes alone decide right, shape (n_trials,)."""
        right: BoolArray = (self.evidence[EYES] > 0) == (self.labels == 1)
        return right

    def balanced(self, method: str, chosen: BoolArray) -> float:
        """Balanced accuracy of some trials; NaN where there is none."""
        if not chosen.any():
            return float("nan")
        decided = (self.evidence[method][chosen] > 0).astype(np.int64)
        return balanced_accuracy(self.labels[chosen], decided, len(CLASSES))

    def by_subject(self) -> dict[str, dict[str, float]]:
        """Balanced accuracies of each subject, by method."""
        own = {s: np.array(self.subjects) == s for s in sorted(set(self.subjects))}
        return {s: {m: self.balanced(m, at) for m in METHODS} for s, at in own.items()}

    def mean(self) -> dict[str, float]:
        """Means of the subjects' balanced accuracies, by method."""
        rows = self.by_subject().values()
        return {m: float(np.mean([row[m] for row in rows])) for m in METHODS}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; None where a group holds no trial."""
        groups = {"right": self.eyes_right, "wrong": ~self.eyes_right}
        return {
            "model": self.model,
            "hash": self.identity,
            "trials": len(self.labels),
            "eyes_learned_on": list(self.learned_on),
            "subjects": [
                {"subject": s, "trials": self.subjects.count(s), "balanced": _rounded(row)}
                for s, row in self.by_subject().items()
            ],
            "mean": _rounded(self.mean()),
            "pooled": [
                {
                    "eyes": name,
                    "trials": int(at.sum()),
                    "balanced": _rounded({m: self.balanced(m, at) for m in METHODS if m != EYES}),
                }
                for name, at in groups.items()
            ],
        }


def _rounded(row: Mapping[str, float]) -> dict[str, float | None]:
    return {m: None if np.isnan(v) else round(v, 4) for m, v in row.items()}


@dataclass(frozen=True)
class _Scored:
    """Trials of one stretch of signal.

    Attributes
    ----------
    subject : str
    labels : ndarray, shape (n_trials,), int64
    courses : ndarray, shape (n_trials, COURSE_STEPS), µV
    evidence : dict of str to ndarray, shape (n_trials,)
        Of the head; empty for a subject that is not held out.
    """

    subject: str
    labels: IndexArray
    courses: Array64
    evidence: dict[str, Array64]


def head_controls(
    checkpoint: Checkpoint,
    data: Sequence[Path],
    *,
    progress: Callable[[float, str], None] | None = None,
) -> HeadControls:
    """Score a decode head and its controls, trial by trial, in one pass over the recordings.

    No electrode is left out for being bad.

    Parameters
    ----------
    checkpoint : Checkpoint
        With a head for left and right hand.
    data : sequence of Path
        Recordings, or folders of them, of held-out subjects and of others.
    progress : callable, optional
        Called with the share that is done and the file at hand.

    Raises
    ------
    BadInputError
        Where the weights have no such head, a recording lacks the electrodes, or there are no
        trials of held-out subjects to score or of others to learn the eyes from.
    """
    if checkpoint.config.classes != CLASSES:
        raise BadInputError(
            f"{checkpoint.name} has no head that tells {' from '.join(CLASSES)} (its classes: "
            f"{', '.join(checkpoint.config.classes) or 'none'}); choose other weights with --model."
        )
    files = recordings_in(data)
    _require_both([subject for _, subject in files], "recordings")
    scored: list[_Scored] = []
    for i, (path, subject) in enumerate(files):
        if progress is not None:
            progress(i / len(files), path.name)
        for raw in read_raw(path, subject):
            scored += _score(checkpoint, raw)
    _require_both([s.subject for s in scored], f"recordings with cues of {' and '.join(CLASSES)}")
    held_out = [s for s in scored if is_held_out(s.subject)]
    others = [s for s in scored if not is_held_out(s.subject)]
    weights = learn_eyes(
        np.concatenate([s.courses for s in others]), np.concatenate([s.labels for s in others])
    )
    evidence = {m: np.concatenate([s.evidence[m] for s in held_out]) for m in METHODS[1:]}
    return HeadControls(
        model=checkpoint.name,
        identity=checkpoint.identity,
        learned_on=tuple(sorted({s.subject for s in others})),
        subjects=tuple(s.subject for s in held_out for _ in s.labels),
        labels=np.concatenate([s.labels for s in held_out]),
        evidence={EYES: np.concatenate([s.courses @ weights for s in held_out]), **evidence},
    )


def _require_both(subjects: Sequence[str], what: str) -> None:
    """Refuse recordings that are not both of held-out subjects and of others."""
    n_held_out = sum(is_held_out(s) for s in subjects)
    if 0 < n_held_out < len(subjects):
        return
    need = (
        "the eyes are learned on others"
        if n_held_out
        else "the head is scored on held-out subjects only"
    )
    raise BadInputError(
        f"of {len(subjects)} {what} {n_held_out} are of held-out subjects, but {need}: "
        "name the folder of a data set that has both (EEGMMIDB)."
    )


def _score(checkpoint: Checkpoint, raw: RawRecording) -> list[_Scored]:
    """Run one stretch of signal through the chain, and its trials through eyes and head."""
    config = checkpoint.config
    ends = len(raw.data) / raw.rate
    # The eyes' course is complete then, and a trial of the head is over before: both have the same.
    cues = tuple(c for c in raw.cues if c.label in CLASSES and c.time + WHOLE_S < ends)
    if not cues:
        return []
    lacking = [e for e in (*LEFT_SIDE, *RIGHT_SIDE) if e not in raw.electrodes]
    if lacking:
        raise BadInputError(
            f"recording {raw.name} has no {', '.join(lacking)}, from which the eyes are read; "
            "leave it out, or name recordings that have them."
        )
    n = len(raw.electrodes)
    chain = Preprocessor(raw.rate, n, config.preprocess, names=raw.electrodes)
    signal = chain.push(raw.data, np.ones(n, np.bool_)).signal.astype(np.float64)
    starts = chain.source_position(0) / raw.rate  # time that row 0 stands for
    rows = [int((c.time - starts) * config.rate_hz) for c in cues]
    courses = eye_courses(signal, raw.electrodes, rows, config.rate_hz)
    labels = np.array([CLASSES.index(c.label) for c in cues], dtype=np.int64)
    evidence = {}
    if is_held_out(raw.subject):
        for method, version in versions(signal, raw.electrodes, config.rate_hz).items():
            recording = _prepared(raw, cues, version, starts, config)
            trials = collect_trials(checkpoint.network, [recording])
            if trials is None or checkpoint.network.teg is None:
                raise BadInputError(
                    f"recording {raw.name} has none of the electrodes that the head of "
                    f"{checkpoint.name} reads ({', '.join(config.teg_electrodes)}); leave it out."
                )
            odds = log_odds(checkpoint.network.teg, trials).sum(dim=1)
            evidence[method] = odds.numpy().astype(np.float64)
    return [_Scored(raw.subject, labels, courses, evidence)]


def eye_courses(
    signal: Array64, electrodes: Sequence[str], rows: Sequence[int], rate: float
) -> Array64:
    """Course of the difference between the two sides of the eyes after some rows.

    Parameters
    ----------
    signal : ndarray, shape (n_rows, n_electrodes), float64, µV
    electrodes : sequence of str
        With :data:`LEFT_SIDE` and :data:`RIGHT_SIDE` among them.
    rows : sequence of int
        Where courses begin.
    rate : float
        Hz.

    Returns
    -------
    courses : ndarray, shape (n_courses, COURSE_STEPS), µV
        Means of equal parts of :data:`COURSE_S`.
    """
    names = list(electrodes)
    left, right = (
        signal[:, [names.index(e) for e in side]].mean(axis=1) for side in (LEFT_SIDE, RIGHT_SIDE)
    )
    band = CausalFilter(butter(2, COURSE_HZ, "bandpass", fs=rate, output="sos"), 1)
    course = band.push((left - right)[:, np.newaxis])[:, 0]
    parts = [np.array_split(course[r : r + round(COURSE_S * rate)], COURSE_STEPS) for r in rows]
    return np.array([[step.mean() for step in steps] for steps in parts])


def learn_eyes(courses: Array64, labels: IndexArray) -> Array64:
    """Ridge from courses to the side, +1 for the right hand; it has no preference for a side.

    The mirror image of a trial has the opposite course and label, so the ridge on trials and
    mirror images is the one on the trials without a mean taken off.

    Returns
    -------
    weights : ndarray, shape (COURSE_STEPS,)
    """
    gram = courses.T @ courses
    ridge = RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    return np.asarray(np.linalg.solve(gram + ridge, courses.T @ (2.0 * labels - 1.0)))


def versions(signal: Array64, electrodes: Sequence[str], rate: float) -> dict[str, Array64]:
    """Signals that the head gets, by method, each of the shape of ``signal``, µV."""
    names = reference_electrodes(electrodes)
    aside = np.array([e in names for e in electrodes])
    regressed = signal.copy()
    regression = Regression(int(aside.sum()), int((~aside).sum()), rate)
    regressed[:, ~aside] = regression.push(signal[:, aside], signal[:, ~aside])
    high_pass = butter(4, HIGH_PASS_HZ, "highpass", fs=rate, output="sos")
    return {
        HEAD: signal,
        REGRESSED: regressed,
        HIGH_PASSED: CausalFilter(high_pass, signal.shape[1]).push(signal),
    }


def _prepared(
    raw: RawRecording,
    cues: tuple[Cue, ...],
    signal: Array64,
    starts: float,
    config: ModelConfig,
) -> Prepared:
    """Normalise a signal as the chain does, and give what :func:`collect_trials` reads of it."""
    n = signal.shape[1]
    norm = RunningNorm(config.rate_hz, config.preprocess.ema_s, n)
    mean, scale = norm.push(signal, np.ones(n, np.bool_))
    last_rows = np.arange(config.n_hop - 1, len(signal), config.n_hop)
    return Prepared(
        name=raw.name,
        subject=raw.subject,
        dataset=raw.dataset,
        electrodes=raw.electrodes,
        cues=cues,
        delay_s=-starts,
        signal=signal.astype(np.float32),
        mean=mean[last_rows].astype(np.float32),
        scale=scale[last_rows].astype(np.float32),
        valid=np.ones((len(last_rows), n), np.bool_),
        positions=np.zeros(0, np.int64),
        ar=np.zeros((0, n, config.n_horizons), np.float16),
        variance=signal.var(axis=0),
    )
