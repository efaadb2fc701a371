"""Subjects of a data set, what each was asked to do, and their trials in every decoder's view.

    files -> sessions (subject, task) -> follow, one pass a file -> judged trials -> windows

One session is in memory at a time.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rtbci.calibration.reading.track import Track, follow
from rtbci.calibration.reading.trials import (
    Cue,
    TrialConfig,
    class_names,
    find_cues,
    judge,
    usable_electrodes,
)
from rtbci.calibration.signal.learned import Learned
from rtbci.calibration.signal.streaming import LOW, ViewConfig
from rtbci.classes import parse_classes
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.playback import known_classes
from rtbci.recording.layout import find_recording, is_recording
from rtbci.sources.moabb_source import expand

CUES = "cues"
"""Task of files whose names do not tell it."""
TASKS: dict[int, str] = {
    **dict.fromkeys((3, 7, 11), "executed left/right hand"),
    **dict.fromkeys((4, 8, 12), "imagined left/right hand"),
    **dict.fromkeys((5, 9, 13), "executed fists/feet"),
    **dict.fromkeys((6, 10, 14), "imagined fists/feet"),
}
"""What the runs of EEGMMIDB ask for, by number (Schalk et al. 2004)."""
BASE_VIEW, SLOW_VIEW = "base", "slow"
SUFFIXES = frozenset({".edf", ".bdf", ".gdf", ".vhdr", ".fif", ".xdf", ".set", ".csv", ".txt"})

_EEGMMIDB = re.compile(r"(?P<subject>S\d{3})R(?P<run>\d{2})", re.IGNORECASE)
_BIDS = re.compile(r"sub-(?P<subject>[A-Za-z0-9]+)")


@dataclass(frozen=True)
class Session:
    """One subject's files of one task, in order.

    Attributes
    ----------
    subject, task : str
    paths : tuple of Path
    """

    subject: str
    task: str
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Trials:
    """A session after the causal chain, its trials judged.

    Attributes
    ----------
    session : Session
    tracks : tuple of Track
    cues : tuple of Cue
        Judged in the base view.
    classes : tuple of str
    electrodes : tuple of str
        Those wanted that are good in most trials.
    rejected : dict of str to int
        Trials left out, by reason.
    """

    session: Session
    tracks: tuple[Track, ...]
    cues: tuple[Cue, ...]
    classes: tuple[str, ...]
    electrodes: tuple[str, ...]
    rejected: dict[str, int]


def find_sessions(data: Sequence[Path]) -> list[Session]:
    """Group files by subject and task, in the order of their names.

    Parameters
    ----------
    data : sequence of Path
        Files, recordings of ours, or folders of them.

    Raises
    ------
    BadInputError
        Where a path does not exist or there is nothing to read.
    """
    found: dict[tuple[str, str], list[Path]] = {}
    for path in _files(data):
        subject, task = _who(path)
        found.setdefault((task, subject), []).append(path)
    if not found:
        raise BadInputError(
            f"there is no recording in {', '.join(map(str, data))}; name EEG files or folders."
        )
    return [Session(s, t, tuple(sorted(paths))) for (t, s), paths in sorted(found.items())]


def _files(data: Sequence[Path]) -> list[Path]:
    files: dict[Path, Path] = {}
    for path in expand(data):
        if not path.exists():
            raise BadInputError(f"{path} does not exist; check the path.")
        if path.is_file() or is_recording(path):
            whole = [find_recording(path).folder if is_recording(path) else path]
        else:
            whole = _below(path)
        for one in whole:
            files.setdefault(one.resolve(), one)
    return list(files.values())


def _below(folder: Path) -> list[Path]:
    """EEG files in a folder and below it, links followed, each folder once."""
    found: list[Path] = []
    been: set[Path] = set()
    for at, folders, names in os.walk(folder, followlinks=True):
        real = Path(at).resolve()
        if real in been:  # a link that leads back up
            folders.clear()
            continue
        been.add(real)
        found += [Path(at) / n for n in names if Path(n).suffix.lower() in SUFFIXES]
    return sorted(found)


def _who(path: Path) -> tuple[str, str]:
    """Subject and task of a file, by its name."""
    match = _EEGMMIDB.fullmatch(path.stem)
    if match:
        return match["subject"].upper(), TASKS.get(int(match["run"]), "rest")
    bids = _BIDS.search(path.name)
    return (f"{path.parent.name}/{bids['subject']}" if bids else path.stem), CUES


def subject_of(path: Path) -> str:
    """Whose recording a file is, by its name."""
    return _who(path)[0]


def label_maps(session: Session, classes: str | None) -> list[dict[str, str]]:
    """Class by marker label for each file of a session.

    Raises
    ------
    BadInputError
        Where a file does not say and the user has not said.
    """
    maps = []
    for path in session.paths:
        mapping = known_classes(path) if classes is None else parse_classes(classes)
        if not mapping:
            raise BadInputError(
                f"{path} does not say which of its markers mean what; say so, as in "
                "--classes T1=left_hand,T2=right_hand."
            )
        maps.append(mapping)
    return maps


def read_session(
    session: Session,
    views: Mapping[str, ViewConfig],
    wanted: Callable[[Sequence[str]], tuple[str, ...]],
    *,
    classes: str | None = None,
    montage: str | None = None,
    config: SessionConfig | None = None,
    progress: Callable[[Path], None] | None = None,
) -> Trials:
    """Run a session's files through the causal chain and judge their trials.

    Parameters
    ----------
    views : mapping of str to ViewConfig
        All that will be cut; :data:`BASE_VIEW`, in which trials are judged, is added.
    wanted : callable
        Given the electrodes of the files, those that the decoders should use.
    progress : callable | None
        Told of each file before it is read.

    Raises
    ------
    BadInputError
        Where a file can't be read or used, with its name.
    """
    config = config or SessionConfig()
    maps = label_maps(session, classes)
    trial = TrialConfig(trial_s=config.decode.trial_s)
    tracks, base = follow_all(session.paths, views, config, montage, progress)
    names = class_names(maps)
    cues = find_cues(tracks, maps, names, trial, base.window_s)
    shared = [e for e in tracks[0].electrodes if all(e in t.electrodes for t in tracks[1:])]
    electrodes = usable_electrodes(tracks, cues, wanted(shared))[0]
    if not electrodes:
        raise BadInputError(
            f"{session.paths[0]} has none of the electrodes wanted that could be used; it has "
            f"{', '.join(shared)}."
        )
    judged, rejected = judge_all(tracks, cues, electrodes, base, config)
    return Trials(session, tuple(tracks), tuple(judged), names, electrodes, rejected)


def follow_all(
    paths: Sequence[Path],
    views: Mapping[str, ViewConfig],
    config: SessionConfig,
    montage: str | None,
    progress: Callable[[Path], None] | None = None,
    learned: Learned | None = None,
) -> tuple[list[Track], ViewConfig]:
    """Run files through the causal chain once, with the views that trials are judged in added.

    Returns
    -------
    tracks : list of Track
    base : ViewConfig
        In which trials are judged (:func:`judge_all`); as long as the longest of the views.

    Raises
    ------
    BadInputError
        Where a file can't be read or used, with its name.
    """
    base = replace(ViewConfig(), window_s=max(v.window_s for v in views.values()))
    tracks = []
    for path in paths:
        if progress is not None:
            progress(path)
        every = {BASE_VIEW: base, SLOW_VIEW: LOW, **views}
        tracks.append(follow(path, every, config, montage, learned))
    return tracks, base


def judge_all(
    tracks: Sequence[Track],
    cues: Sequence[Cue],
    electrodes: Sequence[str],
    base: ViewConfig,
    config: SessionConfig,
) -> tuple[list[Cue], dict[str, int]]:
    """Judge every trial of tracks from :func:`follow_all`; gives them and counts by reason."""
    trial = TrialConfig(trial_s=config.decode.trial_s)
    hop_s, rate = config.token.hop_s, config.preprocess.rate_hz
    judged = judge(tracks, cues, electrodes, trial, BASE_VIEW, base, hop_s, rate, SLOW_VIEW)
    return judged, dict(Counter(c.reason for c in judged if c.reason))
