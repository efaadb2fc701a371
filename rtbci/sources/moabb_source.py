"""Recordings of public data sets by name: ``moabb:BNCI2014_001``, ``moabb:BNCI2014_001/3``.

MOABB fetches a subject's runs; each is written once as a FIF file with its cues as annotations,
beside a list of the classes, and is from then on a file as any other:

    cache/moabb/BNCI2014_001/classes.json
    cache/moabb/BNCI2014_001/sub-3_ses-0train_run-0_eeg.fif

MOABB is an optional extra, imported when it is asked for.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import platformdirs

from rtbci.errors import BadInputError

PREFIX = "moabb:"
CLASSES = "classes.json"


def expand(recordings: Sequence[Path | str], cache: Path | None = None) -> list[Path]:
    """Put files in the place of names that begin with ``moabb:``; other paths stay.

    Parameters
    ----------
    recordings : sequence of path or str
    cache : Path | None
        Where the files are kept; the user's cache folder where None.

    Raises
    ------
    BadInputError
        Where MOABB is not installed, or has no such data set or subject.
    """
    files: list[Path] = []
    for recording in recordings:
        name = str(recording)
        files += _fetch(name, cache) if name.startswith(PREFIX) else [Path(recording)]
    return files


def _fetch(text: str, cache: Path | None) -> list[Path]:
    name, _, wanted = text[len(PREFIX) :].partition("/")
    try:
        datasets: Any = importlib.import_module("moabb.datasets")
    except ImportError as err:
        raise BadInputError(
            f"{text} needs MOABB, which is not installed; install it with: pip install "
            "'rtbci[moabb]'."
        ) from err
    if not hasattr(datasets, name):
        raise BadInputError(
            f"MOABB has no data set {name!r}; its documentation lists them "
            "(https://moabb.neurotechx.com), as in moabb:BNCI2014_001."
        )
    dataset: Any = getattr(datasets, name)()
    known = {str(s): s for s in dataset.subject_list}
    if wanted and wanted not in known:
        raise BadInputError(
            f"{name} has no subject {wanted!r}; it has {', '.join(known)}, as in "
            f"{PREFIX}{name}/{next(iter(known))}."
        )
    base = cache or Path(platformdirs.user_cache_dir("rtbci", appauthor=False))
    folder = base / "moabb" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CLASSES).write_text(json.dumps(list(dataset.event_id)), encoding="utf-8")
    subjects = [wanted] if wanted else list(known)
    return [p for s in subjects for p in _runs(dataset, known[s], folder)]


def _runs(dataset: Any, subject: Any, folder: Path) -> list[Path]:
    """Write a subject's runs that are not there yet; give all of them in order."""
    done = folder / f"sub-{subject}.json"
    if done.is_file():
        return [folder / name for name in json.loads(done.read_text(encoding="utf-8"))]
    names = []
    for session, runs in dataset.get_data(subjects=[subject])[subject].items():
        for run, raw in runs.items():
            name = f"sub-{subject}_ses-{_plain(session)}_run-{_plain(run)}_eeg.fif"
            _with_cues(raw, dataset.event_id).save(folder / name, overwrite=True, verbose="error")
            names.append(name)
    done.write_text(json.dumps(names), encoding="utf-8")
    return [folder / name for name in names]


def _plain(text: Any) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", str(text))


def _with_cues(raw: Any, event_id: dict[str, int]) -> Any:
    """The run with its cues as annotations that are called as their classes."""
    mne: Any = importlib.import_module("mne")
    if any(text in event_id for text in raw.annotations.description):
        return raw
    number = {code: name for name, code in event_id.items()}
    events = mne.find_events(raw, shortest_event=0, verbose="error")
    cues = events[[code in number for code in events[:, 2]]]
    onset = (cues[:, 0] - raw.first_samp) / raw.info["sfreq"]
    said = [number[code] for code in cues[:, 2]]
    return raw.copy().set_annotations(mne.Annotations(onset, 0.0, said))
