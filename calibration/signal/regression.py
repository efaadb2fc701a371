"""Eyes and muscle taken out of the signal: causal regression on the electrodes nearest to them.

    row, µV -+- references r (Fp, AF7/8, F7/8, FT7/8, T9/10, EOG, EMG) --limit--+
             |                                                                  |
             +- every other column x ------------------- x - W'r <---- weights W in force
                                                                                ^
    every 0.1 s:  W = (mean of rr' + ridge)^-1 (mean of rx'), the means over the last minute

Fields of the eyes pass through the head without delay and alike at all frequencies, so one weight
a pair of electrodes describes them (Gratton, Coles & Donchin 1983,
doi:10.1016/0013-4694(83)90135-9).  The weights are found in the stream itself by recursive least
squares with a fading memory (He, Wilson & Russell 2004, doi:10.1007/BF02344717): nothing has to be
fitted beforehand, and an electrode that loses its contact loses its weight, since its noise
predicts nothing.  Where a signal check was recorded, the means begin with what it showed of blinks,
looks and jaw, so that the first blink of a session is taken out already; a minute later the stream
itself has the word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.montage import guess_type
from rtbci.types import ChannelType

Array64 = npt.NDArray[np.float64]

REFERENCES = re.compile(r"Fp(?:\d|z)|AF[78]|F[78]|FT[78]|T(?:9|10)")
"""Electrodes nearest to the eyes and to the muscles of forehead, temples and jaw."""
MEMORY_S = 60.0
"""Time constant of the running means."""
PRIOR_S = 0.25
"""Seconds for which it is held that the references predict nothing: the ridge.  It rules the
first seconds of a segment, in which as many weights as rows could explain anything."""
BLOCK_S = 0.1
"""The weights change every so often, counted from the segment's first row."""
START_S = 15.0
"""What a signal check showed counts for so many seconds at the beginning of a segment."""
LIMIT_UV = 500.0
"""No eye makes more: beyond this a reference is an electrode that moves, and is held here."""


def reference_electrodes(channels: Sequence[str]) -> tuple[str, ...]:
    """Channels of a stream that are regressed out of the others; none on many small montages."""
    aside = (ChannelType.EOG, ChannelType.EMG)
    return tuple(c for c in channels if REFERENCES.fullmatch(c) or guess_type(c) in aside)


@dataclass(frozen=True)
class Moments:
    """Mean products of references and columns while eyes and jaw move: where the means begin.

    Attributes
    ----------
    power : ndarray, shape (n_references, n_references), µV²
    cross : ndarray, shape (n_references, n_columns), µV²
    """

    power: Array64
    cross: Array64


@dataclass
class RegressionState:
    """What :class:`Regression` carries from row to row.

    Attributes
    ----------
    moments : ndarray, shape (n_references, n_references + n_columns), float64, µV²
        Fading sums of the references' products with each other and with the columns.
    weight : float
        Rows in these sums, faded likewise.
    weights : ndarray, shape (n_references, n_columns), float64
        In force.
    block : ndarray, shape (n_block, n_references + n_columns), float64, µV
        Rows of the block that is not complete yet.
    filled : int
        How many there are.
    """

    moments: Array64
    weight: float
    weights: Array64
    block: Array64
    filled: int

    def reset(self) -> None:
        """Begin a segment: nothing is known."""
        self.moments = np.zeros_like(self.moments)
        self.weights = np.zeros_like(self.weights)
        self.weight, self.filled = 0.0, 0

    def begin(self, start: Moments, rows: float) -> None:
        """Know what so many rows would have shown."""
        self.moments = rows * np.hstack([start.power, start.cross])
        self.weight = rows


class Regression:
    """Takes out of some columns what the references predict of them.

    Parameters
    ----------
    n_references, n_columns : int
    rate : float
        Hz.
    start : Moments | None
        Where each segment begins; at nothing where None.
    """

    def __init__(
        self, n_references: int, n_columns: int, rate: float, start: Moments | None = None
    ) -> None:
        k, n_block = n_references, max(1, round(BLOCK_S * rate))
        self._fade = float(np.exp(-n_block / (MEMORY_S * rate)))
        self._prior = PRIOR_S * rate
        self._start, self._start_rows = start, START_S * rate
        self.state = RegressionState(
            moments=np.zeros((k, k + n_columns)),
            weight=0.0,
            weights=np.zeros((k, n_columns)),
            block=np.zeros((n_block, k + n_columns)),
            filled=0,
        )
        self.reset()

    def reset(self) -> None:
        """Begin a segment."""
        self.state.reset()
        if self._start is not None:
            self.state.begin(self._start, self._start_rows)
            self._solve()

    def push(self, references: Array64, columns: Array64) -> Array64:
        """Regress rows.

        Parameters
        ----------
        references : ndarray, shape (n_times, n_references), float64, µV
        columns : ndarray, shape (n_times, n_columns), float64, µV

        Returns
        -------
        columns : ndarray, shape (n_times, n_columns), float64, µV
            What the references leave of them, by weights from the blocks before.
        """
        state, at = self.state, 0
        references = np.clip(references, -LIMIT_UV, LIMIT_UV)
        out = np.empty_like(columns)
        k, n_block = references.shape[1], len(state.block)
        while at < len(columns):
            stop = min(len(columns), at + n_block - state.filled)
            new = slice(state.filled, state.filled + stop - at)
            state.block[new, :k] = references[at:stop]
            state.block[new, k:] = columns[at:stop]
            rest = columns[at:stop].copy()
            # NB: one reference after the other, elementwise: a matrix product would round
            # differently with the number of rows, and so with how the stream was cut.
            for i in range(k):
                rest -= references[at:stop, i, np.newaxis] * state.weights[i]
            out[at:stop] = rest
            state.filled += stop - at
            at = stop
            if state.filled == n_block:
                self._learn()
        return out

    def _learn(self) -> None:
        """Take the block that is complete into the means; put new weights in force."""
        state, k = self.state, len(self.state.moments)
        state.moments = self._fade * state.moments + state.block[:, :k].T @ state.block
        state.weight = self._fade * state.weight + len(state.block)
        state.filled = 0
        self._solve()

    def _solve(self) -> None:
        """Put the weights in force that the means call for."""
        state, k = self.state, len(self.state.moments)
        among, across = state.moments[:, :k], state.moments[:, k:]
        # The prior's rows: references of this mean power, independent, that predict nothing.
        power = float(np.trace(among)) / (k * state.weight)
        if power > 0:
            ridge = self._prior * power * np.eye(k)
            state.weights = np.asarray(np.linalg.solve(among + ridge, across), dtype=np.float64)
