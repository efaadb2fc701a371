"""The population bank: other people's labelled trials as covariances, to be cut to any montage.

    trial window, µV --halves, bands--> covariances C (29 electrodes)   M: mean over a subject
                                             |                             |
                            stored: float16 M^-1/2 C M^-1/2 and float32 M, upper triangles
                                             |
    the user's electrodes <--cut--- M^1/2 R M^1/2, re-referenced to their average

Re-centred matrices lie about the identity, so float16 costs nothing (3e-4); the means bring
them back into the space of the electrodes, in which they can be cut.  The bands are disjoint, so
that the covariance of a wider band is the sum of theirs.
:mod:`rtbci.calibration.population.build` makes banks, and
:mod:`rtbci.calibration.population.store` keeps the user's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from rtbci.calibration.decoders.spd import roots
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.errors import BadInputError
from rtbci.types import BoolArray, IndexArray

Array = npt.NDArray[np.float64]

FORMAT = "rtbci population bank 1"
BANK_VIEW = ViewConfig(bands_hz=((8.0, 13.0), (13.0, 30.0)), window_s=2.9)
"""What decoders see that stand on the bank: as long a window as a trial surely holds, whatever
the phase of its tokens."""
N_PARTS = 2
"""A window's halves have covariances of their own: what follows the cue differs from what is
kept up (one covariance for the whole costs 0.02 of balanced accuracy)."""
SHIPPED = "eegmmidb.safetensors"
SAME = 0.002
"""Two trials are one recording when their covariances differ by less, relative to their size:
float16 leaves 0.0002, other trials differ by 0.06 (3 electrodes) or 0.2 (21) and more."""


@dataclass(frozen=True)
class Bank:
    """Re-centred trial covariances of some subjects.

    Attributes
    ----------
    name : str
        Of the file.
    electrodes : tuple of str
    bands_hz : tuple of (float, float)
    subjects, classes : tuple of str
        Names that the numbers below stand for.
    recentred : ndarray, shape (n_trials, n_bands, n_parts, n_entries), float16
        Upper triangles, row by row; without a common reference taken off.
    means : ndarray, shape (n_subjects, n_bands, n_parts, n_entries), float32, µV²
        What the subject's trials were re-centred by.
    subject, wanted, run : ndarray, shape (n_trials,), int64
        Of each trial: number of its subject and class, and which of the subject's recordings.
    imagined : ndarray, shape (n_trials,), bool
        False where the movement was made.
    about : dict of str to str
        Source, licence, consent, how it was made.
    """

    name: str
    electrodes: tuple[str, ...]
    bands_hz: tuple[tuple[float, float], ...]
    subjects: tuple[str, ...]
    classes: tuple[str, ...]
    recentred: npt.NDArray[np.float16]
    means: npt.NDArray[np.float32]
    subject: IndexArray
    wanted: IndexArray
    run: IndexArray
    imagined: BoolArray
    about: dict[str, str]

    def cut(self, electrodes: Sequence[str], average: bool) -> Array:
        """Covariances of all trials between some electrodes.

        Parameters
        ----------
        electrodes : sequence of str
            Of the bank's.
        average : bool
            Take their common average off.

        Returns
        -------
        covariances : ndarray, shape (n_trials, n_bands, n_parts, n, n), float64, µV²
        """
        up = roots(unpack(self.means.astype(np.float64), len(self.electrodes)))[0]
        chosen = np.eye(len(self.electrodes))[[self.electrodes.index(e) for e in electrodes]]
        if average:
            chosen = chosen - chosen.mean(axis=0)
        into = (chosen @ up)[self.subject]
        n = len(electrodes)
        out = np.empty((*self.recentred.shape[:3], n, n))
        for k in range(len(out)):  # one at a time: all 29 x 29 at once would be 40 MB
            whole = unpack(self.recentred[k].astype(np.float64), len(self.electrodes))
            out[k] = into[k] @ whole @ np.swapaxes(into[k], -1, -2)
        return out

    def select(self, trials: BoolArray) -> Bank:
        """Bank of some of the trials; subjects keep their numbers."""
        return Bank(
            self.name,
            self.electrodes,
            self.bands_hz,
            self.subjects,
            self.classes,
            self.recentred[trials],
            self.means,
            self.subject[trials],
            self.wanted[trials],
            self.run[trials],
            self.imagined[trials],
            self.about,
        )


def pack(matrices: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Upper triangles (..., n, n) -> (..., n (n + 1) / 2), row by row."""
    rows, columns = np.triu_indices(matrices.shape[-1])
    return matrices[..., rows, columns]


def unpack(entries: Array, n: int) -> Array:
    """Symmetric matrices of upper triangles."""
    rows, columns = np.triu_indices(n)
    out = np.empty((*entries.shape[:-1], n, n))
    out[..., rows, columns] = entries
    out[..., columns, rows] = entries
    return out


def part_covariances(x: npt.NDArray[Any], n_bands: int) -> Array:
    """Covariances of a window's parts, in each band; band-passed signals have no mean.

    Parameters
    ----------
    x : ndarray, shape (n_windows, n_bands * n_electrodes, n_times), µV

    Returns
    -------
    covariances : ndarray, shape (n_windows, n_bands, n_parts, n_electrodes, n_electrodes), µV²
    """
    n = x.shape[1] // n_bands
    rows = np.asarray(x, dtype=np.float64).reshape(len(x), n_bands, n, x.shape[2])
    edges = np.linspace(0, x.shape[2], N_PARTS + 1).round().astype(int)
    made = [
        part @ np.swapaxes(part, -1, -2) / part.shape[-1]
        for part in (rows[..., a:b] for a, b in pairwise(edges))
    ]
    return np.stack(made, axis=2)


def recentre(covariances: Array, subject: IndexArray, n_subjects: int) -> tuple[Any, Any]:
    """Turn covariances into what a bank stores.

    Parameters
    ----------
    covariances : ndarray, shape (n_trials, n_bands, n_parts, n, n), µV²
    subject : ndarray, shape (n_trials,)

    Returns
    -------
    recentred : ndarray, shape (n_trials, n_bands, n_parts, n_entries), float16
    means : ndarray, shape (n_subjects, n_bands, n_parts, n_entries), float32, µV²

    Raises
    ------
    BadInputError
        Where a subject has too few trials for a mean that can be inverted.
    """
    n = covariances.shape[-1]
    means = np.stack([covariances[subject == s].mean(axis=0) for s in range(n_subjects)])
    means = unpack(pack(means).astype(np.float32).astype(np.float64), n)
    lowest = np.linalg.eigvalsh(means)
    if (lowest[..., 0] < 1e-7 * lowest[..., -1]).any():
        raise BadInputError(
            f"a subject's trials do not span the {n} electrodes (too few trials, or an electrode "
            "that is a copy of others); use more trials or fewer electrodes."
        )
    down = roots(means)[1][subject]
    return pack(down @ covariances @ down).astype(np.float16), pack(means).astype(np.float32)


def write_bank(bank: Bank, path: Path) -> None:
    """Write a bank as one safetensors file; the folder must exist."""
    about = {
        "format": FORMAT,
        "electrodes": list(bank.electrodes),
        "bands_hz": [list(b) for b in bank.bands_hz],
        "subjects": list(bank.subjects),
        "classes": list(bank.classes),
        "about": bank.about,
    }
    tensors: dict[str, npt.NDArray[Any]] = {
        "recentred": np.ascontiguousarray(bank.recentred),
        "means": np.ascontiguousarray(bank.means),
        "subject": bank.subject.astype(np.int16),
        "wanted": bank.wanted.astype(np.int16),
        "run": bank.run.astype(np.int16),
        "imagined": bank.imagined.astype(np.uint8),
    }
    # NB: one entry, since the order of several is not the same from one process to the next.
    path.write_bytes(safetensors.numpy.save(tensors, {"bank": json.dumps(about, sort_keys=True)}))


def read_bank(path: Path) -> Bank:
    """Read a bank.

    Raises
    ------
    BadInputError
        Where the file can't be read or is no bank, with its name.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})["bank"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if about["format"] != FORMAT:
            raise KeyError(about["format"])
        bank = Bank(
            name=path.stem,
            electrodes=tuple(about["electrodes"]),
            bands_hz=tuple((float(a), float(b)) for a, b in about["bands_hz"]),
            subjects=tuple(about["subjects"]),
            classes=tuple(about["classes"]),
            recentred=tensors["recentred"],
            means=tensors["means"],
            subject=tensors["subject"].astype(np.int64),
            wanted=tensors["wanted"].astype(np.int64),
            run=tensors["run"].astype(np.int64),
            imagined=tensors["imagined"].astype(np.bool_),
            about=dict(about["about"]),
        )
    except OSError as err:
        raise BadInputError(f"bank {path} can't be read: {err.strerror or err}.") from err
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError) as err:
        raise BadInputError(
            f"{path} is not a population bank of this version ({err}); build it again with: "
            "rtbci bank build DATA... --out FILE"
        ) from err
    return bank


def shipped_bank() -> Path:
    """File of the bank that comes with the program."""
    return Path(str(resources.files("rtbci.calibration.population").joinpath("shipped", SHIPPED)))


def matching(
    covariances: Array, subject: IndexArray, subjects: Sequence[str], own: Array
) -> set[str]:
    """Find subjects with a trial whose covariances are those of one that is given.

    Compared is the whole of bands and parts; an amplifier's gain makes no difference.
    """
    if not len(own) or not len(covariances):
        return set()
    a = own.reshape(len(own), -1)
    b = covariances.reshape(len(covariances), -1)
    a = a / np.linalg.norm(a, axis=1, keepdims=True)
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    # |a - b|^2 = 2 - 2 ab
    found = np.flatnonzero((a @ b.T).max(axis=0) > 1.0 - SAME**2 / 2)
    return {subjects[int(s)] for s in subject[found]}


def count(bank: Bank) -> list[tuple[str, dict[str, int]]]:
    """Subjects of a bank, with their trials of each class."""
    return [
        (
            name,
            {
                c: n
                for k, c in enumerate(bank.classes)
                if (n := int(np.sum((bank.subject == s) & (bank.wanted == k))))
            },
        )
        for s, name in enumerate(bank.subjects)
    ]


def check_bands(banks: Iterable[Bank]) -> None:
    """Refuse banks of other bands or parts than the decoders use.

    Raises
    ------
    BadInputError
        With the bank's name and its bands.
    """
    for bank in banks:
        if bank.bands_hz != BANK_VIEW.bands_hz or bank.recentred.shape[2] != N_PARTS:
            raise BadInputError(
                f"bank {bank.name} has the bands {bank.bands_hz} Hz in {bank.recentred.shape[2]} "
                f"parts, and decoders need {BANK_VIEW.bands_hz} Hz in {N_PARTS}; build it again."
            )
