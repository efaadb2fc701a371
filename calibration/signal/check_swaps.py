"""Electrodes that perhaps sit in each other's place, by what eyes and alpha look like at them.

    blinks, looks, alpha at each electrode -+-> fitted by what a head gives at the places named
                                            +-> the same with two electrodes exchanged
                                                     | how much better?
                                            perhaps swapped, with what speaks for it

A blink is highest at the forehead, looking aside has opposite signs on the two sides and is
highest at the temples, alpha that rises behind closed eyes is highest at the back.  These three
fields are all that is assumed; how high, and how far they reach over the head, is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from rtbci.calibration.signal.check_measures import Measure
from rtbci.montage import directions
from rtbci.types import BoolArray

Array64 = npt.NDArray[np.float64]

BLINK, LOOK, ALPHA = "blinks", "looking aside", "alpha"
MISFIT = 0.15
"""Share of the highest value by which real heads differ from the fields assumed."""
LEAST_GAIN = 30.0
"""Twice the logarithm of how much likelier the exchange must be."""
LEAST_Z = 5.0
"""A field is used where its highest value is so many standard errors away from nothing."""
WORST = -4.0
"""No field may speak against an exchange more than so."""
MIN_ELECTRODES = 4


@dataclass(frozen=True)
class Swap:
    """Two electrodes that are perhaps exchanged.

    Attributes
    ----------
    first, second : str
    gain : float
        Twice the logarithm of the likelihood's gain.
    by : tuple of str
        Fields that speak for it.
    """

    first: str
    second: str
    gain: float
    by: tuple[str, ...]


def find_swaps(
    electrodes: Sequence[str],
    usable: BoolArray,
    blinks: Measure | None,
    looks: Measure | None,
    alpha: Measure | None,
) -> tuple[Swap, ...]:
    """Find exchanged pairs, the surest first; each electrode is in one at most."""
    places = directions(electrodes)
    used = np.flatnonzero(usable & np.isfinite(places).all(axis=1))
    if len(used) < MIN_ELECTRODES:
        return ()
    fields = [
        field
        for name, measure in ((BLINK, blinks), (LOOK, looks), (ALPHA, alpha))
        if measure is not None and (field := _Field.of(name, measure, places, used)) is not None
    ]
    order, found = np.arange(len(used)), []
    while (best := _best(fields, order)) is not None:
        a, b, gain, by = best
        found.append(Swap(electrodes[used[a]], electrodes[used[b]], gain, by))
        order[[a, b]] = order[[b, a]]
    return tuple(found)


def _best(
    fields: Sequence[_Field], order: npt.NDArray[np.intp]
) -> tuple[int, int, float, tuple[str, ...]] | None:
    """The exchange that gains most beyond those made already; None where none gains enough."""
    now = [field.misfit(order) for field in fields]
    best: tuple[int, int, float, tuple[str, ...]] | None = None
    free = np.flatnonzero(order == np.arange(len(order)))
    for at, a in enumerate(free):
        for b in free[at + 1 :]:
            changed = order.copy()
            changed[[a, b]] = changed[[b, a]]
            gains = [was - field.misfit(changed) for was, field in zip(now, fields, strict=True)]
            total = float(sum(gains))
            if not gains or min(gains) < WORST or total < LEAST_GAIN:
                continue
            if best is None or total > best[2]:
                by = tuple(f.name for f, g in zip(fields, gains, strict=True) if g > LEAST_GAIN / 3)
                best = (int(a), int(b), total, by)
    return best


@dataclass(frozen=True)
class _Field:
    """One map and what it may be made of.

    Attributes
    ----------
    name : str
    values, weight : ndarray, shape (n_used,)
        The map, and one over its standard deviation about the fields assumed.
    basis : ndarray, shape (n_used, n_fields)
        Non-negative parts of the field at the places named.
    """

    name: str
    values: Array64
    weight: Array64
    basis: Array64

    @classmethod
    def of(
        cls, name: str, measure: Measure, places: Array64, used: npt.NDArray[np.intp]
    ) -> _Field | None:
        values, errors = measure.values[used], measure.errors[used]
        if not np.isfinite(errors).all():
            return None
        # NB: with few events a spread is now and then far too small.
        errors = np.maximum(errors, np.median(errors))
        top = float(np.max(np.abs(values)))
        if top < LEAST_Z * float(np.median(errors)):
            return None
        basis = _basis(name, places[used])
        if name == BLINK and float(values @ basis[:, 0]) < 0:
            values = -values  # turned leads are another finding
        return cls(name, values, 1.0 / np.hypot(errors, MISFIT * top), basis)

    def misfit(self, order: npt.NDArray[np.intp]) -> float:
        """Sum of squares that is left with the electrodes in another order."""
        wanted = self.values[order] * self.weight[order]
        return float(nnls(self.basis * self.weight[order, np.newaxis], wanted)[1] ** 2)


def _basis(name: str, places: Array64) -> Array64:
    """Fields of one kind at unit vectors, each non-negative in amplitude."""
    one = np.ones(len(places))
    if name == LOOK:
        near = [_bump(places, ("F7", "F8"), width) for width in (0.4, 0.8)]
        return np.stack(
            [-np.sign(places[:, 0]) * (np.abs(places[:, 0]) > 0.1) * n for n in near]
            + [-places[:, 0] * np.clip(places[:, 1] + 0.2, 0, None)],
            axis=1,
        )
    at = ("Fpz",) if name == BLINK else ("O1", "O2")
    widths = (0.35, 0.6) if name == BLINK else (0.5, 0.9)
    return np.stack([*(_bump(places, at, w) for w in widths), one, -one], axis=1)


def _bump(places: Array64, at: tuple[str, ...], width: float) -> Array64:
    apart = np.linalg.norm(directions(at)[:, None] - places[None], axis=2)
    return np.asarray(np.exp(-0.5 * (apart / width) ** 2).max(axis=0))
