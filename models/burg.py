"""Autoregressive forecasts: coefficients by Burg's method on the last minute of each electrode.

An electrode is refitted at fixed sample indices, one electrode a tick in turn, so a replay
refits the very same rows and every forecast comes out again, bit for bit.  A refit turns the
coefficients into a matrix that maps the newest rows to all horizons at once; a forecast is
then one small product for each electrode.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.tick import Tick
from rtbci.types import BoolArray, FloatArray

Float64Array = npt.NDArray[np.float64]

ORDER_S = 0.625
"""Memory of the recursion, s: 100 coefficients at 160 Hz."""

ROWS_PER_COEFFICIENT = 16
"""Rows that one coefficient asks for: AR(100) on 4 s of 160 Hz forecasts worse than AR(40)."""

NOISE_FLOOR = 1e-6
"""Share of a signal's energy that counts as unpredictable.  A signal that was low-passed far
below half its rate is almost singular, and its coefficients grow without bound (1e5 measured
on noise-free simulations) until rounding is what they forecast."""


def burg(x: npt.ArrayLike, order: int, noise_floor: float = NOISE_FLOOR) -> Float64Array:
    """Autoregressive coefficients by Burg's method.

    Each order takes the reflection coefficient that minimises the forward and backward
    prediction errors together, ``k = 2 <f, b> / (<f, f> + <b, b>)``, and updates both errors
    (Burg, Maximum entropy spectral analysis, 1975; Kay, Modern spectral estimation, 1988,
    eq. 7.39).  The result is stable at any order.

    Parameters
    ----------
    x : array_like, shape (..., n_times)
        One signal or a batch of them, oldest sample first, of mean near 0.
    order : int
        Coefficients, 1 or more, fewer than ``n_times``.
    noise_floor : float
        Added to the denominator, as a share of the signal's energy; 0 for the plain method.

    Returns
    -------
    coefficients : ndarray, shape (..., order), float64
        ``x[t]`` is predicted by ``sum_i coefficients[i] * x[t - 1 - i]``; all 0 where the
        signal is.

    Raises
    ------
    ValueError
        Where the order does not fit the length.
    """
    signals = np.asarray(x, np.float64)
    if not 1 <= order < signals.shape[-1]:
        raise ValueError(
            f"an order of {order} does not fit a signal of {signals.shape[-1]} samples: "
            "it must be at least 1 and less than their number"
        )
    flat = signals.reshape(-1, signals.shape[-1])
    coefficients = np.zeros((len(flat), order))
    workspace = np.empty((4, signals.shape[-1] - 1))
    for row, series in zip(coefficients, flat, strict=True):
        _burg_one(series, noise_floor, row, workspace)
    return coefficients.reshape(*signals.shape[:-1], order)


def _burg_one(
    x: Float64Array, noise_floor: float, coefficients: Float64Array, workspace: Float64Array
) -> None:
    """Fit one signal in place; ``workspace`` is (4, n_times - 1)."""
    forward, backward, forward_step, backward_step = workspace
    forward[:] = x[1:]
    backward[:] = x[:-1]
    # NB: einsum, not BLAS: its sum does not depend on the number of threads.
    energy = np.einsum("i,i->", forward, forward) + np.einsum("i,i->", backward, backward)
    floor = noise_floor * energy
    for k in range(len(coefficients)):
        if energy + floor <= 0.0:
            return
        reflection = 2.0 * np.einsum("i,i->", forward, backward) / (energy + floor)
        np.multiply(backward, reflection, out=forward_step)
        np.multiply(forward, reflection, out=backward_step)
        np.subtract(forward, forward_step, out=forward)
        np.subtract(backward, backward_step, out=backward)
        coefficients[:k] -= reflection * coefficients[:k][::-1].copy()
        coefficients[k] = reflection
        if len(forward) == 1:
            return
        # The energies follow from the last ones; summing anew would cost a third of the time.
        # With a floor the reflection is not the minimiser, hence the cross term.
        optimum = reflection * (energy + floor) / energy if energy > 0.0 else 0.0
        energy *= 1.0 - reflection * (2.0 * optimum - reflection)
        energy -= forward[0] ** 2 + backward[-1] ** 2
        energy = max(energy, 0.0)
        forward, backward = forward[1:], backward[:-1]
        forward_step, backward_step = forward_step[1:], backward_step[1:]


def forecast_matrix(coefficients: Float64Array, n_horizons: int) -> Float64Array:
    """Unroll a recursion into one linear map from the newest samples to all horizons.

    Parameters
    ----------
    coefficients : ndarray, shape (..., order)
        As :func:`burg` gives them.
    n_horizons : int

    Returns
    -------
    matrix : ndarray, shape (..., n_horizons, order), float64
        ``matrix @ newest`` with the newest samples oldest first, as a signal is stored.
    """
    order = coefficients.shape[-1]
    newest_first = np.zeros((*coefficients.shape[:-1], n_horizons, order))
    newest_first[..., 0, :] = coefficients
    # The forecast of h + 1 steps is that of h steps with one more sample, itself a forecast.
    for h in range(1, n_horizons):
        previous = newest_first[..., h - 1, :]
        np.multiply(coefficients, previous[..., :1], out=newest_first[..., h, :])
        newest_first[..., h, :-1] += previous[..., 1:]
    return np.ascontiguousarray(newest_first[..., ::-1])


@dataclass
class ARState:
    """What the forecaster remembers of each electrode.

    Attributes
    ----------
    matrix : ndarray, shape (n_electrodes, n_horizons, order), float64
        Forecast matrices; zero columns where an electrode's order is still smaller.
    fitted : ndarray, shape (n_electrodes,), bool
    usable : ndarray, shape (n_electrodes,), int64
        Newest rows of the history that belong to this electrode's good stretch.
    """

    matrix: Float64Array
    fitted: BoolArray
    usable: npt.NDArray[np.int64]

    def reset(self, mask: BoolArray | None, memory: int) -> None:
        """Forget these electrodes; all of them, with nothing of the history barred, at None."""
        if mask is None:
            self.fitted[:] = False
            self.usable[:] = memory
        else:
            self.fitted[mask] = False
            self.usable[mask] = 0


class ARForecaster:
    """AR by Burg for each electrode, refitted one electrode a tick.

    Until an electrode has been fitted, and while it is left out, its forecast is NaN: there is
    none, and whoever needs a number chooses one knowingly.  The order grows with the rows at
    hand (:data:`ROWS_PER_COEFFICIENT`) up to ``order``.

    Parameters
    ----------
    n_electrodes : int
    rate_hz : float
        Rate of the history, Hz.
    n_horizons : int
        Samples ahead.
    order : int | None
        Coefficients; None for 0.625 s of them (:data:`ORDER_S`).
    memory_s : float
        Length of the history that is fitted, s.
    min_s : float
        An electrode with less history than this is not fitted, s.
    hop : int
        Rows from a tick to the next.
    """

    def __init__(
        self,
        n_electrodes: int,
        *,
        rate_hz: float = 250.0,
        n_horizons: int = 250,
        order: int | None = None,
        memory_s: float = 60.0,
        min_s: float = 2.0,
        hop: int = 25,
    ) -> None:
        self.n_electrodes = n_electrodes
        self.n_horizons = n_horizons
        self.order = round(ORDER_S * rate_hz) if order is None else order
        self._memory = round(memory_s * rate_hz)
        self._minimum = max(round(min_s * rate_hz), 2 * ROWS_PER_COEFFICIENT)
        self._hop = hop
        self._newest = np.zeros((n_electrodes, self.order, 1))
        self._workspace = np.empty((4, self._memory))
        self.state = ARState(
            np.zeros((n_electrodes, n_horizons, self.order)),
            np.zeros(n_electrodes, np.bool_),
            np.full(n_electrodes, self._memory, np.int64),
        )

    def reset(self, mask: BoolArray | None = None) -> None:
        """Forget the electrodes in ``mask``; all of them at a new segment (None)."""
        self.state.reset(mask, self._memory)

    def update(self, tick: Tick) -> None:
        """Refit the electrode whose turn it is at this tick, if it has enough history."""
        state = self.state
        np.minimum(state.usable + self._hop, self._memory, out=state.usable)
        if not tick.good.all():
            # What a bad electrode gave is worthless later too: it starts anew.
            state.reset(~tick.good, self._memory)
        turn = tick.index % self.n_electrodes
        rows = min(len(tick.history), int(state.usable[turn]))
        if rows < self._minimum:
            return
        order = min(self.order, rows // ROWS_PER_COEFFICIENT)
        coefficients = np.zeros(order)
        series = tick.history[-rows:, turn].astype(np.float64)
        _burg_one(series, NOISE_FLOOR, coefficients, self._workspace[:, : rows - 1])
        state.matrix[turn, :, : self.order - order] = 0.0
        state.matrix[turn, :, self.order - order :] = forecast_matrix(coefficients, self.n_horizons)
        state.fitted[turn] = True

    def forecast(self, tick: Tick) -> FloatArray:
        """Forecast every electrode from this tick's newest rows.

        Returns
        -------
        forecast : ndarray, shape (n_horizons, n_electrodes), float32, µV
            NaN columns for electrodes that are left out or not fitted yet.
        """
        rows = min(len(tick.history), self.order)
        self._newest[:, : self.order - rows] = 0.0
        self._newest[:, self.order - rows :, 0] = tick.history[len(tick.history) - rows :].T
        forecast = np.matmul(self.state.matrix, self._newest)[..., 0].T.astype(np.float32)
        forecast[:, ~(tick.good & self.state.fitted)] = np.nan
        return np.ascontiguousarray(forecast)
