"""Sites of the 10-05 system for electrodes whose names are foreign but whose positions are known.

Nets number their electrodes (``E36``); digitised caps tell where they are.  Such an electrode is
named after the nearest site, at most :data:`NEAREST_M` away on a head of standard size, so that
montage, networks and decoders know it.  Each site is given away once, to the nearest first.

Compared are directions from the heads' centres.  Of caps and nets whose electrodes have both names
and positions, these differ from the standard's by 5 to 12 mm in the mean; turning the frames
against one another does not make it less.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from rtbci.montage import directions, positions

Array = npt.NDArray[np.float64]

NEAREST_M = 0.025
"""Farthest that a site may be.  Those of the 10-10 system lie 30 to 40 mm apart."""
DEEPEST = 0.8
"""Electrodes nearer to the centre than this share of the head's radius are not on the scalp."""
FEWEST = 8
"""Positions from which on the head's sphere is fitted to them."""

RADIUS_M = 0.099
"""Of the sphere that fits the standard positions."""
CENTRE_M = (0.0, 0.004, 0.047)
"""Of that sphere, from the middle between the ears."""


def nearest_sites(
    where: Mapping[str, tuple[float, float, float]], taken: Collection[str] = ()
) -> dict[str, str]:
    """Name electrodes after the sites they are nearest to.

    Parameters
    ----------
    where : mapping of str to (x, y, z)
        Metres, in head coordinates: the origin between the ears, x through the right one, y
        through the nasion.
    taken : collection of str
        Sites that other electrodes have.

    Returns
    -------
    sites : dict
        By the electrodes' names; those that are near no site, or not on the scalp, are missing.
    """
    if not where:
        return {}
    names, sites = list(where), [s for s in positions() if s not in taken]
    points = np.array([where[n] for n in names], dtype=float)
    centre, radius = np.array(CENTRE_M), RADIUS_M
    if len(points) >= FEWEST:
        centre, radius = _sphere(points)
    off = points - centre
    depth = np.linalg.norm(off, axis=1)
    own = off / np.maximum(depth, 1e-9)[:, None]
    standard = directions(sites)
    away = RADIUS_M * np.linalg.norm(own[:, None] - standard[None], axis=-1)
    away[depth < DEEPEST * radius] = np.inf
    away[~np.isfinite(points).all(axis=1)] = np.inf
    found: dict[str, str] = {}
    while away.size and away.min() <= NEAREST_M:
        i, j = np.unravel_index(int(away.argmin()), away.shape)
        found[names[i]] = sites[j]
        away[i], away[:, j] = np.inf, np.inf
    return {n: found[n] for n in names if n in found}


def _sphere(points: Array) -> tuple[Array, float]:
    """Centre and radius of the sphere through points, by least squares."""
    good = points[np.isfinite(points).all(axis=1)]
    design = np.column_stack([2.0 * good, np.ones(len(good))])
    solved = np.linalg.lstsq(design, (good**2).sum(axis=1), rcond=None)[0]
    centre = solved[:3]
    return centre, float(np.sqrt(max(solved[3] + centre @ centre, 1e-9)))
