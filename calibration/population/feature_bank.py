"""What the foundation model makes of other people's trials: the bank of features.

    trials of many subjects --FOUNDATION view, common average--> windows
        --encoder, frozen--> deviation of each electrode's state, log level of each electrode
        --mean over a trial's windows, less the session's mean--> rows, float16

A bank is of one set of weights and one set of electrodes, since the average that is taken off
depends on them; it is made on the spot (``rtbci bank features``) and lies beside the bank:

    RTBCI_HOME/bank/features/WEIGHTS-ELECTRODES.safetensors
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from rtbci.calibration.population.bank import BANK_VIEW
from rtbci.calibration.population.build import MIN_TRIALS
from rtbci.calibration.population.store import store_dir
from rtbci.calibration.reading.cohort import CUES, find_sessions, read_session
from rtbci.calibration.reading.trials import TrialConfig, cut
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.types import BoolArray, FloatArray, IndexArray

Array = npt.NDArray[np.float64]

FORMAT = "rtbci feature bank 1"
WINDOWS = 3
"""Of a trial, from the first to the last of those that a fit sees."""

Features = Callable[[tuple[str, ...], FloatArray], tuple[FloatArray, FloatArray]]
"""Given electrodes and windows, deviations of states (n, E, d) and levels (n, E)."""


@dataclass(frozen=True)
class FeatureBank:
    """Features of some subjects' trials.

    Attributes
    ----------
    identity : str
        SHA-256 of the weights.
    electrodes, subjects, classes : tuple of str
    states : ndarray, shape (n_trials, n_electrodes, d), float16
        Deviation of each electrode's state over tokens, less the session's mean.
    levels : ndarray, shape (n_trials, n_electrodes), float16
        Log deviation of each electrode, less the session's mean.
    means : ndarray, shape (n_sessions, n_electrodes, d + 1), float32
        What each session's rows are centred on: of the states, then of the levels.
    session, subject, wanted : ndarray, shape (n_trials,)
    imagined : ndarray, shape (n_trials,), bool
    """

    identity: str
    electrodes: tuple[str, ...]
    subjects: tuple[str, ...]
    classes: tuple[str, ...]
    states: npt.NDArray[np.float16]
    levels: npt.NDArray[np.float16]
    means: FloatArray
    session: IndexArray
    subject: IndexArray
    wanted: IndexArray
    imagined: BoolArray

    def rows(self, electrodes: Sequence[str]) -> Array:
        """Features of some electrodes, shape (n_trials, n_electrodes, d + 1), levels last."""
        at = [self.electrodes.index(e) for e in electrodes]
        levels = self.levels[:, at, np.newaxis]
        return np.concatenate([self.states[:, at], levels], axis=2).astype(np.float64)

    def whole(self, electrodes: Sequence[str]) -> Array:
        """As :meth:`rows`, with the sessions' means."""
        at = [self.electrodes.index(e) for e in electrodes]
        return self.rows(electrodes) + self.means[self.session][:, at]


def features_dir(profiles_dir: Path | None = None) -> Path:
    """Folder of all feature banks."""
    return store_dir(profiles_dir) / "features"


def bank_path(identity: str, electrodes: Sequence[str], profiles_dir: Path | None = None) -> Path:
    """File of a feature bank."""
    which = hashlib.sha256(",".join(electrodes).encode()).hexdigest()[:8]
    return features_dir(profiles_dir) / f"{identity[:12]}-{len(electrodes)}-{which}.safetensors"


def build_features(
    data: Sequence[Path],
    made_by: dict[str, Features],
    pick: Callable[[Sequence[str]], tuple[str, ...]],
    view: ViewConfig,
    *,
    tasks: Sequence[str] = (),
    classes: str | None = None,
    montage: str | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> tuple[FeatureBank, ...]:
    """Read recordings once and make a bank for each set of weights.

    Parameters
    ----------
    data : sequence of Path
        Recordings or folders of them.
    made_by : dict of str to callable
        By the hash of the weights: what makes features of windows.
    pick : callable
        Given the electrodes of a file, those that are wanted.
    view : ViewConfig
        That the weights' decoders see.
    tasks : sequence of str
        Parts of the names of the tasks that are wanted; all where empty.
    classes, montage : str | None
        As on the command line.
    progress : callable | None

    Raises
    ------
    BadInputError
        Where nothing can be read, or nothing is left.
    """
    config = SessionConfig()
    trial = TrialConfig(trial_s=config.decode.trial_s)
    sessions = [s for s in find_sessions(data) if s.task != "rest"]
    sessions = [s for s in sessions if not tasks or any(t in s.task for t in tasks)]
    electrodes: tuple[str, ...] = ()
    who: list[str] = []
    wanted: list[str] = []
    imagined: list[bool] = []
    session_of: list[int] = []
    parts: dict[str, list[FloatArray]] = {identity: [] for identity in made_by}
    for i, session in enumerate(sessions):
        if progress is not None:
            progress(i / len(sessions), f"{session.subject}, {session.task}")
        trials = read_session(
            session,
            {view.key: view, BANK_VIEW.key: BANK_VIEW},
            pick,
            classes=classes,
            montage=montage,
            config=config,
        )
        electrodes = electrodes or pick(trials.tracks[0].electrodes)
        # NB: a bad electrode of a subject is the average of the others, which says nothing.
        there = trials.electrodes
        found = cut(
            trials.tracks, trials.cues, there, trial, view.key, view, config.preprocess.rate_hz
        )
        if len(found.y) < MIN_TRIALS or not set(there) <= set(electrodes):
            continue
        rows = [few(np.flatnonzero((found.trial == k) & found.fit)) for k in range(len(found.y))]
        for identity, make in made_by.items():
            states, levels = make(there, found.x[np.concatenate(rows)])
            parts[identity].append(_trials(states, levels, list(map(len, rows)), there, electrodes))
        session_of += [len(set(session_of))] * len(found.y)
        who += [session.subject] * len(found.y)
        wanted += [trials.classes[k] for k in found.y]
        imagined += [session.task == CUES or session.task.startswith("imagined")] * len(found.y)
    if not who:
        raise BadInputError(
            f"nothing in {', '.join(map(str, data))} can go into a bank of features: no subject "
            f"has {MIN_TRIALS} good trials; see that the markers are named with --classes."
        )
    subjects, names = tuple(sorted(set(who))), tuple(sorted(set(wanted)))
    means = {i: np.stack([rows.mean(axis=0) for rows in part]) for i, part in parts.items()}
    centred = {
        i: np.concatenate([rows - mean for rows, mean in zip(part, means[i], strict=True)])
        for i, part in parts.items()
    }
    return tuple(
        FeatureBank(
            identity,
            electrodes,
            subjects,
            names,
            rows[:, :, :-1].astype(np.float16),
            rows[:, :, -1].astype(np.float16),
            means[identity],
            np.array(session_of, dtype=np.int64),
            np.array([subjects.index(s) for s in who], dtype=np.int64),
            np.array([names.index(c) for c in wanted], dtype=np.int64),
            np.array(imagined, dtype=np.bool_),
        )
        for identity, rows in centred.items()
    )


def few(windows: IndexArray) -> IndexArray:
    """Those of a trial's windows of which a bank's row is the mean."""
    spread = np.linspace(0, len(windows) - 1, min(WINDOWS, len(windows)))
    return np.asarray(windows[np.round(spread).astype(int)])


def _trials(
    states: FloatArray,
    levels: FloatArray,
    lengths: Sequence[int],
    there: Sequence[str],
    electrodes: Sequence[str],
) -> FloatArray:
    """Means over each trial's windows, shape (n_trials, E, d + 1); electrodes that lack are 0."""
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(int)
    values = np.concatenate([states, levels[:, :, np.newaxis]], axis=2)
    mean = np.add.reduceat(values, starts, axis=0) / np.array(lengths)[:, np.newaxis, np.newaxis]
    out = np.zeros((len(mean), len(electrodes), values.shape[2]), dtype=np.float32)
    out[:, [list(electrodes).index(e) for e in there]] = mean
    return out


def write_features(bank: FeatureBank, path: Path) -> None:
    """Write a bank of features; the folder is made."""
    about = {
        "format": FORMAT,
        "identity": bank.identity,
        "electrodes": list(bank.electrodes),
        "subjects": list(bank.subjects),
        "classes": list(bank.classes),
    }
    tensors: dict[str, npt.NDArray[Any]] = {
        "states": np.ascontiguousarray(bank.states),
        "levels": np.ascontiguousarray(bank.levels),
        "means": np.ascontiguousarray(bank.means),
        "session": bank.session.astype(np.int16),
        "subject": bank.subject.astype(np.int16),
        "wanted": bank.wanted.astype(np.int16),
        "imagined": bank.imagined.astype(np.uint8),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_bytes(safetensors.numpy.save(tensors, {"bank": json.dumps(about, sort_keys=True)}))
    new.replace(path)


@lru_cache(maxsize=4)
def _read(path: Path, _changed_ns: int) -> FeatureBank:
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})["bank"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if about["format"] != FORMAT:
            raise KeyError(about["format"])
        return FeatureBank(
            about["identity"],
            tuple(about["electrodes"]),
            tuple(about["subjects"]),
            tuple(about["classes"]),
            tensors["states"],
            tensors["levels"],
            tensors["means"],
            tensors["session"].astype(np.int64),
            tensors["subject"].astype(np.int64),
            tensors["wanted"].astype(np.int64),
            tensors["imagined"].astype(np.bool_),
        )
    except OSError as err:
        raise BadInputError(f"feature bank {path} can't be read: {err.strerror or err}.") from err
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError) as err:
        raise BadInputError(
            f"{path} is not a feature bank of this version ({err}); build it again with: "
            "rtbci bank features DATA..."
        ) from err


def find_features(
    identity: str, electrodes: Sequence[str], profiles_dir: Path | None = None
) -> FeatureBank:
    """Bank of features for weights and electrodes: of the fewest electrodes that hold them all.

    Raises
    ------
    BadInputError
        Where there is none, or one can't be read.
    """
    files = sorted(features_dir(profiles_dir).glob(f"{identity[:12]}-*.safetensors"))
    banks = [_read(f, f.stat().st_mtime_ns) for f in files]
    fitting = [b for b in banks if b.identity == identity and set(electrodes) <= set(b.electrodes)]
    if not fitting:
        raise BadInputError(
            f"there are no other people's features for the weights {identity[:12]} and "
            f"{len(electrodes)} electrodes; make them with: rtbci bank features DATA... "
            "--weights WEIGHTS --electrodes SET"
        )
    return min(fitting, key=lambda b: len(b.electrodes))


def forget_features(subject: str, profiles_dir: Path | None = None) -> list[Path]:
    """Remove every bank of features that a subject is in; gives the files that are gone."""
    gone = []
    for file in features_dir(profiles_dir).glob("*.safetensors"):
        try:
            names = {s.casefold() for s in _read(file, file.stat().st_mtime_ns).subjects}
        except BadInputError:
            continue
        if subject.casefold() in names:
            file.unlink()
            gone.append(file)
    return gone
