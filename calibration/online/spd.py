"""Symmetric positive definite matrices in stacks: shrunk covariances, means, geodesics, transport.

All functions take stacks (..., n, n) and are deterministic.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Matrices = npt.NDArray[np.float64]

MEAN_STEPS = 30
MEAN_TOLERANCE = 1e-9
"""The Riemannian mean has converged when a step changes it by less, relative to its size."""


def covariances(x: npt.NDArray[np.floating], n_bands: int) -> Matrices:
    """Covariances of a band-passed window, shrunk by OAS.

    Parameters
    ----------
    x : ndarray, shape (..., n_bands * n_electrodes, n_times), µV
    n_bands : int
        Bands that lie one after the other along the channels.

    Returns
    -------
    covariances : ndarray, shape (..., n_bands, n_electrodes, n_electrodes), µV²

    Notes
    -----
    Oracle approximating shrinkage (Chen et al. 2010, doi:10.1109/TSP.2010.2053029): a common
    average takes one direction away, and short windows of many electrodes have few samples.
    """
    n, n_times = x.shape[-2] // n_bands, x.shape[-1]
    rows = x.astype(np.float64).reshape(*x.shape[:-2], n_bands, n, n_times)
    made = rows @ np.swapaxes(rows, -1, -2) / n_times
    mean = np.trace(made, axis1=-2, axis2=-1) / n
    square = np.mean(made**2, axis=(-2, -1))
    spread = (n_times + 1) * (square - mean**2 / n)
    share = np.ones_like(mean)
    np.divide(square + mean**2, spread, out=share, where=spread > 0)
    share = np.minimum(share, 1.0)[..., None, None]
    # NB: a silent window would give a matrix that has no logarithm.
    floor = np.maximum(mean, 1e-12)[..., None, None]
    return np.asarray((1 - share) * made + share * floor * np.eye(n))


def function(of: Callable[[Matrices], Matrices], a: Matrices) -> Matrices:
    """Apply a function to the eigenvalues of symmetric matrices."""
    values, vectors = np.linalg.eigh(a)
    return np.asarray((vectors * of(values)[..., None, :]) @ np.swapaxes(vectors, -1, -2))


def roots(a: Matrices) -> tuple[Matrices, Matrices]:
    """Square root and its inverse."""
    values, vectors = np.linalg.eigh(a)
    up, turned = np.sqrt(values)[..., None, :], np.swapaxes(vectors, -1, -2)
    return np.asarray((vectors * up) @ turned), np.asarray((vectors / up) @ turned)


def tangent(at_inverse_root: Matrices, a: Matrices) -> Matrices:
    """Logarithm of ``a`` as seen from a reference whose inverse square root is given."""
    seen = at_inverse_root @ a @ at_inverse_root
    return function(np.log, (seen + np.swapaxes(seen, -1, -2)) / 2)


def between(a: Matrices, b: Matrices, share: Matrices | float) -> Matrices:
    """Point at ``share`` of the geodesic from ``a`` to ``b``; the share may differ in the stack."""
    root, inverse = roots(a)
    step = tangent(inverse, b) * np.asarray(share)[..., None, None]
    return root @ function(np.exp, step) @ root


def distance(a: Matrices, b: Matrices) -> Matrices:
    """Root mean square, over directions, of the log of the change of variance."""
    logs = tangent(roots(a)[1], b)
    return np.asarray(np.sqrt(np.sum(logs**2, axis=(-2, -1)) / a.shape[-1]))


def riemannian_mean(a: Matrices) -> Matrices:
    """Riemannian mean over the first axis."""
    mean = np.asarray(a.mean(axis=0))
    for _ in range(MEAN_STEPS):
        root, inverse = roots(mean)
        step = tangent(inverse, a).mean(axis=0)
        mean = root @ function(np.exp, step) @ root
        if float(np.abs(step).max()) < MEAN_TOLERANCE:
            break
    return mean


def transport(start: Matrices, end: Matrices) -> Matrices:
    """Map E with E ``start`` E' = ``end`` that turns signals as little as possible.

    It is the parallel transport along the geodesic, (end start^-1)^(1/2) (Yair et al. 2019,
    doi:10.1109/TSP.2019.2894801); the identity where both are one.
    """
    root, inverse = roots(start)
    seen = inverse @ end @ inverse
    return root @ roots((seen + np.swapaxes(seen, -1, -2)) / 2)[0] @ inverse
