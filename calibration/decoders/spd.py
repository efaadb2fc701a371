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
    """Covariances of a band-passed window, shrunk (:func:`oas_shrunk`).

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
    A common average takes one direction away, and short windows of many electrodes have few
    samples: without shrinkage there is no logarithm.
    """
    n, n_times = x.shape[-2] // n_bands, x.shape[-1]
    rows = x.astype(np.float64).reshape(*x.shape[:-2], n_bands, n, n_times)
    made = rows @ np.swapaxes(rows, -1, -2) / n_times
    # NB: a silent window would give a matrix that has no logarithm.
    return oas_shrunk(made, n_times, floor=1e-12)


def oas_shrunk(plain: Matrices, n_times: int, *, floor: float = 0.0) -> Matrices:
    """Shrink covariances towards a multiple of the identity, as scikit-learn's OAS does.

    Chen et al. 2010, doi:10.1109/TSP.2010.2053029, eq. 23, with the terms that scikit-learn
    leaves out for many channels left out too.

    Parameters
    ----------
    plain : ndarray, shape (..., n, n)
        Covariances of ``n_times`` samples.
    n_times : int
    floor : float
        Least variance of the identity's multiple.
    """
    n = plain.shape[-1]
    power = np.mean(np.square(plain), axis=(-2, -1))
    level = np.trace(plain, axis1=-2, axis2=-1) / n
    over = (n_times + 1.0) * (power - level**2 / n)
    share = np.ones_like(level)
    np.divide(power + level**2, over, out=share, where=over > 0)
    share = np.minimum(share, 1.0)
    shrunk = np.asarray((1.0 - share)[..., None, None] * plain)
    diagonal = np.arange(n)
    shrunk[..., diagonal, diagonal] += (share * np.maximum(level, floor))[..., None]
    return shrunk


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


def riemannian_mean(
    a: Matrices, weights: npt.NDArray[np.float64] | None = None, steps: int = MEAN_STEPS
) -> Matrices:
    """Riemannian mean over the first axis, from the arithmetic mean on.

    Moakher 2005, doi:10.1137/S0895479803436937: step along the mean of the tangent vectors.

    Parameters
    ----------
    a : ndarray, shape (k, ..., n, n)
    weights : ndarray, shape (k,) | None
        All the same where None.
    steps : int
        At most.
    """
    share = np.full(len(a), 1.0 / len(a)) if weights is None else weights / weights.sum()
    mean = np.asarray(np.einsum("k,k...->...", share, a))
    for _ in range(steps):
        root, inverse = roots(mean)
        step = np.einsum("k,k...->...", share, tangent(inverse, a))
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
