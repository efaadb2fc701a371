"""A small population bank: subjects whose right-hand trials quieten one side of the head."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtbci.calibration.population.bank import BANK_VIEW, Bank, part_covariances, recentre

Array = npt.NDArray[np.float64]

ELECTRODES = ("FC3", "FC4", "C3", "Cz", "C4", "CP3", "CP4")
SAMPLES = 250


def trials(
    y: npt.NDArray[np.int64], seed: int, effect: float = 0.5, mixing_seed: int | None = None
) -> Array:
    """Windows of two bands, shape (n, 2 * 7, 250), µV: class 0 quietens C4, class 1 C3."""
    rng = np.random.default_rng(seed)
    own = np.random.default_rng(seed if mixing_seed is None else mixing_seed)
    n = len(ELECTRODES)
    mixing = np.eye(n) + 0.3 * own.standard_normal((n, n)) * (1 - np.eye(n))
    out = []
    for _ in BANK_VIEW.bands_hz:
        sources = 5 * rng.standard_normal((len(y), n, SAMPLES))
        sources[y == 0, ELECTRODES.index("C4")] *= effect
        sources[y == 1, ELECTRODES.index("C3")] *= effect
        out.append(mixing @ sources)
    return np.concatenate(out, axis=1).astype(np.float32)


def small_bank(
    n_subjects: int = 6,
    n_trials: int = 30,
    effect: float = 0.5,
    classes: tuple[str, str] = ("left_hand", "right_hand"),
) -> Bank:
    """A bank of the subjects B0, B1, ...; B1's trials are ``trials(y, 101)`` and so on."""
    y = np.arange(n_trials, dtype=np.int64) % 2
    covariances = np.concatenate(
        [part_covariances(trials(y, 100 + s, effect), 2) for s in range(n_subjects)]
    )
    subject = np.repeat(np.arange(n_subjects), n_trials)
    recentred, means = recentre(covariances, subject, n_subjects)
    return Bank(
        name="small",
        electrodes=ELECTRODES,
        bands_hz=BANK_VIEW.bands_hz,
        subjects=tuple(f"B{s}" for s in range(n_subjects)),
        classes=classes,
        recentred=recentred,
        means=means,
        subject=subject,
        wanted=np.tile(y, n_subjects),
        run=np.ones(len(subject), dtype=np.int64),
        imagined=np.ones(len(subject), dtype=np.bool_),
        about={"source": "made up", "consent": "none needed"},
    )
