"""Making a population bank of recordings, by the chain that calibration and live use take.

files -> follow (causal chain, regression, bands) -> judged trials -> one window a trial
      -> covariances of its halves -> re-centred, float16
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtbci.calibration.population.bank import BANK_VIEW, N_PARTS, Bank, part_covariances, recentre
from rtbci.calibration.reading.cohort import CUES, find_sessions, label_maps
from rtbci.calibration.reading.track import follow
from rtbci.calibration.reading.trials import TrialConfig, find_cues, judge
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.montage import MONTAGES

ELECTRODES = (*MONTAGES["motor-21"], "Fp1", "Fp2", "P7", "Pz", "P8", "O1", "O2", "Fz")
"""Of the shipped bank: the motor electrodes, and what else a Cyton and a Ganglion have."""
MIN_TRIALS = 10
"""Of a subject: fewer say little and give no mean to re-centre by."""


@dataclass(frozen=True)
class BankReport:
    """What came of building a bank.

    Attributes
    ----------
    bank : Bank
    rejected : int
        Trials left out, as calibration leaves them out.
    skipped : dict of str to str
        Files that were not used, and why.
    """

    bank: Bank
    rejected: int
    skipped: dict[str, str]


@dataclass
class _Rows:
    """Trials collected so far, a list entry each."""

    covariances: list[np.ndarray]
    subject: list[str]
    wanted: list[str]
    run: list[int]
    imagined: list[bool]


def build_bank(
    data: Sequence[Path],
    name: str,
    about: dict[str, str],
    *,
    without: Sequence[str] = (),
    electrodes: Sequence[str] | None = None,
    subject: str | None = None,
    classes: str | None = None,
    montage: str | None = None,
    progress: Callable[[Path, float], None] | None = None,
) -> BankReport:
    """Make a bank of recordings.

    Parameters
    ----------
    data : sequence of Path
        Files, recordings of ours, or folders of them.
    name : str
        Of the bank.
    about : dict of str to str
        Source, licence, consent: kept in the file.
    without : sequence of str
        Subjects that are left out.
    electrodes : sequence of str | None
        Which; None for all that every recording has.
    subject : str | None
        Whose recordings they are; None to go by the names of the files.
    classes, montage : str | None
        As ``rtbci calibrate`` takes them.
    progress : callable | None
        Told of each file before it is read, with the share that is done.

    Raises
    ------
    BadInputError
        Where a file can't be read, says nothing of its classes, lacks an electrode, or nothing
        is left.
    """
    config = SessionConfig()
    trial = TrialConfig(trial_s=config.decode.trial_s)
    rows = _Rows([], [], [], [], [])
    used = tuple(electrodes) if electrodes is not None else None
    rejected, skipped = 0, {}
    runs: dict[str, int] = {}
    sessions = find_sessions(data)
    n_files, done = sum(len(s.paths) for s in sessions), 0
    for session in sessions:
        who = subject or session.subject
        if who in without:
            continue
        if session.task == "rest":
            skipped.update({str(p): "rest, no cue of a class" for p in session.paths})
            continue
        for path, labels in zip(session.paths, label_maps(session, classes), strict=True):
            if progress is not None:
                progress(path, done / n_files)
            done += 1
            track = follow(path, {"bank": BANK_VIEW}, config, montage)
            used = used or track.electrodes
            lacking = [e for e in used if e not in track.electrodes]
            if lacking:
                raise BadInputError(
                    f"{path} lacks {', '.join(lacking)}, which the bank's other recordings have; "
                    "name its channels with --montage, or add it under a name of its own."
                )
            names = tuple(dict.fromkeys(labels.values()))
            cues = find_cues([track], [labels], names, trial, BANK_VIEW.window_s)
            rate, hop = config.preprocess.rate_hz, config.token.hop_s
            judged = judge([track], cues, used, trial, "bank", BANK_VIEW, hop, rate)
            rejected += sum(bool(c.reason) for c in judged)
            runs[who] = runs.get(who, 0) + 1
            columns, n_rows = track.columns(used), BANK_VIEW.rows(rate)
            for cue in judged:
                if cue.reason:
                    continue
                # NB: as recorded, not averaged: which electrodes the user has is not known yet.
                window = track.window("bank", int(cue.tokens[0]), n_rows, columns)
                x = window.reshape(len(window), -1).T[np.newaxis]
                rows.covariances.append(part_covariances(x, len(BANK_VIEW.bands_hz))[0])
                rows.subject.append(who)
                rows.wanted.append(names[cue.wanted])
                rows.run.append(runs[who])
                rows.imagined.append(session.task == CUES or session.task.startswith("imagined"))
    if used is None or not rows.subject:
        raise BadInputError(
            f"nothing in {', '.join(map(str, data))} can go into a bank: no trial of a class is "
            "good; see that the markers are named with --classes."
        )
    return BankReport(_bank(rows, used, name, about), rejected, skipped)


def _bank(rows: _Rows, electrodes: tuple[str, ...], name: str, about: dict[str, str]) -> Bank:
    count = {s: rows.subject.count(s) for s in dict.fromkeys(rows.subject)}
    few = [f"{s} has {n}" for s, n in count.items() if n < MIN_TRIALS]
    if few:
        raise BadInputError(
            f"a subject of the bank needs at least {MIN_TRIALS} good trials, and {', '.join(few)}; "
            "add more recordings."
        )
    subjects, classes = tuple(sorted(count)), tuple(sorted(set(rows.wanted)))
    subject = np.array([subjects.index(s) for s in rows.subject], dtype=np.int64)
    recentred, means = recentre(np.stack(rows.covariances), subject, len(subjects))
    made = {
        "regress": BANK_VIEW.regress,
        "window_s": f"{BANK_VIEW.window_s:g}",
        "parts": str(N_PARTS),
        "trial_s": "{:g}-{:g}".format(*SessionConfig().decode.trial_s),
    }
    return Bank(
        name=name,
        electrodes=electrodes,
        bands_hz=BANK_VIEW.bands_hz,
        subjects=subjects,
        classes=classes,
        recentred=recentred,
        means=means,
        subject=subject,
        wanted=np.array([classes.index(c) for c in rows.wanted], dtype=np.int64),
        run=np.array(rows.run, dtype=np.int64),
        imagined=np.array(rows.imagined, dtype=np.bool_),
        about={**about, **made},
    )
