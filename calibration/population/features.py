"""Tangent vectors of trials, and what the mirror makes of them.

    covariances of bands and parts -> whole band, shrunk -> re-centred by a Riemannian mean
        -> logarithm -> upper triangle -> folded along the mirror

The mirror swaps left and right electrodes, and with them classes that are of one side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rtbci.calibration.population.bank import pack
from rtbci.montage import mirror_electrode

Array = npt.NDArray[np.float64]

SHRINK = 0.002
"""Share of the identity in every covariance: a common average leaves them singular.  Ten times as
much, as OAS gives, costs 0.01 of AUC: small differences of neighbours tell the classes apart."""
MEAN_STEPS = 4
"""Of the Riemannian mean, from the arithmetic one: it is then 1e-5 from where it ends."""
MIRRORED = {"left_hand": "right_hand", "right_hand": "left_hand"}
"""Classes that change places in the mirror; all others are their own."""


def mirror_sign(classes: Sequence[str]) -> int:
    """What the mirror makes of two classes: -1 swaps, 1 leaves them, 0 leads to a third."""
    seen = [MIRRORED.get(c, c) for c in classes]
    if seen == list(classes):
        return 1
    return -1 if seen == list(reversed(classes)) else 0


def mirror_columns(electrodes: Sequence[str]) -> list[int]:
    """Order of the electrodes in the mirror; empty where one has no counterpart."""
    mirrored = [mirror_electrode(e) for e in electrodes]
    if set(mirrored) != set(electrodes):
        return []
    return [list(electrodes).index(e) for e in mirrored]


def whole_band(covariances: Array) -> Array:
    """Covariances of all bands together, shrunk: (..., n_bands, n_parts, n, n) -> without bands."""
    whole = covariances.sum(axis=-4)
    n = whole.shape[-1]
    level = np.maximum(np.trace(whole, axis1=-2, axis2=-1) / n, 1e-12)
    shrunk: Array = (1 - SHRINK) * whole + SHRINK * level[..., None, None] * np.eye(n)
    return shrunk


def vectors(logs: Array, order: Sequence[int], sign: int) -> Array:
    """Tangent vectors, folded along the mirror where there is one.

    Parameters
    ----------
    logs : ndarray, shape (n, n_parts, p, p)
    order : sequence of int
        Of the electrodes in the mirror; empty for none.
    sign : int
        What the mirror does to the classes.

    Returns
    -------
    x : ndarray, shape (n, n_features)
        Shortened by the number of parts, so that the ridge means the same for any.

    Notes
    -----
    A ridge on trials and mirrored trials has weights that the mirror takes to ``sign`` times
    themselves.  The same comes of one row a trial with x + sign * mirror(x) instead of x: half
    the features, and none that a mirrored pair of trials contradicts.
    """
    p, n_parts = logs.shape[-1], logs.shape[-3]
    rows, columns = np.triu_indices(p)
    weight = np.where(rows == columns, 1.0, np.sqrt(2.0)) / np.sqrt(n_parts)
    flat = pack(logs) * weight
    if len(order) and sign:
        place = np.zeros((p, p), dtype=np.int64)
        place[rows, columns] = place[columns, rows] = np.arange(len(rows))
        turned = place[np.asarray(order)[rows], np.asarray(order)[columns]]
        pairs = np.flatnonzero(turned > np.arange(len(rows)))
        folded = (flat[..., pairs] + sign * flat[..., turned[pairs]]) / np.sqrt(2.0)
        alone = np.flatnonzero(turned == np.arange(len(rows)))
        flat = np.concatenate([folded, flat[..., alone]], axis=-1) if sign > 0 else folded
    made: Array = flat.reshape(len(logs), -1)
    return made


def balanced(y: Array) -> Array:
    """Weights of trials that give every class the same, and one on average."""
    weights = np.ones(len(y))
    for value in np.unique(y):
        weights[y == value] = len(y) / (len(np.unique(y)) * np.sum(y == value))
    return weights
