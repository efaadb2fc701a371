"""Polyphase resampling by a short linear-phase filter, row by row, with a stated delay.

The signal comes band-limited to the low-pass already, so the filter has a wide transition band
and few taps: its delay is 9-25 ms.  For output row m, with ``up / down`` the ratio of rates::

    y[m] = sum_j h[phase + j * up] x[newest - j]     newest, phase = divmod((m + skip) * down, up)

The sum runs tap by tap over whole rows, so that its rounding does not depend on the size of the
block (a matrix product's would).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from scipy.signal import firwin, kaiser_beta

from rtbci.ring import MirrorRing

Array64 = npt.NDArray[np.float64]

MAX_PHASES = 256
"""Most phases of the filter.  249.87 Hz counts as 250 Hz: the times come from the timeline."""
MAX_DELAY_S = 0.025
"""Longest delay; sources below 150 Hz would need more for a full suppression of images."""
IMAGE_DB = 50.0
"""Suppression of the images that a slower source's band throws above its Nyquist frequency."""
ALIAS_DB = 40.0
"""Suppression from the new Nyquist frequency on, on top of what the low-pass does there."""
BLOCK = 1024
"""Rows that are worked on at a time, so that the history has a fixed size."""


@dataclass
class ResampleState:
    """What :class:`Resampler` carries from row to row.

    Attributes
    ----------
    rows : MirrorRing
        The newest input rows, as many as the filter has taps a phase.
    n_in, n_out : int
        Rows taken and given since the segment began.
    """

    rows: MirrorRing
    n_in: int = 0
    n_out: int = 0

    def reset(self) -> None:
        """Begin a segment."""
        self.rows.reset()
        self.n_in = self.n_out = 0


class Resampler:
    """From one rate to another, causally.

    Before the segment's first row it is taken to have been constant.  Output row 0 stands for
    the first instant of the new grid that does not lie before the segment.

    Parameters
    ----------
    rate_in, rate_out : float
        Hz.
    band_hz : float
        Where the signal ends (its low-pass), Hz.
    n_channels : int

    Attributes
    ----------
    delay_s : float
        By how much an output row is older than the newest input row it uses; 0 where the rates
        agree.
    up, down : int
        The ratio of rates.
    taps : ndarray, shape (n_taps * up,), float64
        Impulse response at ``up * rate_in`` Hz, in unit gain at 0 Hz for each phase.
    """

    def __init__(self, rate_in: float, rate_out: float, band_hz: float, n_channels: int) -> None:
        ratio = Fraction(rate_in / rate_out).limit_denominator(MAX_PHASES)
        self.up, self.down = ratio.denominator, ratio.numerator
        taps = np.ones(1) if ratio == 1 else _design(rate_in, rate_out, band_hz, self.up)
        self._half = (len(taps) - 1) // 2
        self._skip = -(-self._half // self.down)  # so that no row stands before the segment
        self.delay_s = self._half / (self.up * rate_in)
        n_taps = -(-len(taps) // self.up)
        padded = np.zeros(n_taps * self.up)
        padded[: len(taps)] = taps
        phases = padded.reshape(n_taps, self.up)
        self._phases: Array64 = phases / phases.sum(axis=0)
        self.taps = self._phases.ravel()
        self.state = ResampleState(MirrorRing(n_taps - 1 + BLOCK, n_channels, np.float64))

    def reset(self) -> None:
        """Begin a segment."""
        self.state.reset()

    def ready(self, m: int) -> int:
        """Input rows of the segment that it takes until output row ``m`` exists."""
        return (m + self._skip) * self.down // self.up + 1

    def source_position(self, m: int) -> float:
        """Fractional input row of the segment that output row ``m`` stands for."""
        return ((m + self._skip) * self.down - self._half) / self.up

    def push(self, x: Array64) -> Array64:
        """Take rows, shape (n_times, n_channels); give those that can be computed now."""
        if self.up == self.down:
            self.state.n_in += len(x)
            self.state.n_out += len(x)
            return x
        done = [self._push_block(x[i : i + BLOCK]) for i in range(0, len(x), BLOCK)]
        return np.concatenate(done) if done else x[:0]

    def _push_block(self, x: Array64) -> Array64:
        state = self.state
        n_taps = len(self._phases)
        if state.n_in == 0 and n_taps > 1:
            state.rows.write(np.repeat(x[:1], n_taps - 1, axis=0))
        state.rows.write(x)
        rows = state.rows.view(n_taps - 1 + len(x))
        first = state.n_in - (n_taps - 1)  # segment row of rows[0]
        state.n_in += len(x)
        n_out = max(0, -(-state.n_in * self.up // self.down) - self._skip)
        at = (np.arange(state.n_out, n_out) + self._skip) * self.down
        state.n_out = max(state.n_out, n_out)
        newest, phase = np.divmod(at, self.up)
        newest -= first
        y = np.zeros((len(at), x.shape[1]))
        for j in range(n_taps):
            y += self._phases[j, phase][:, None] * rows[newest - j]
        return y


def _design(rate_in: float, rate_out: float, band_hz: float, up: int) -> Array64:
    """Kaiser-windowed low-pass at ``up * rate_in`` Hz, an odd number of taps.

    The length is Kaiser's estimate for the transition band (Oppenheim and Schafer,
    Discrete-Time Signal Processing, 3rd ed., eq. 7.76), cut at ``MAX_DELAY_S``.
    """
    edges = [(rate_in - band_hz, IMAGE_DB)]
    if rate_in > rate_out:
        edges.append((rate_out / 2, ALIAS_DB))
    seconds, stop, suppression = max(
        ((db - 7.95) / (2.285 * 2 * np.pi * (edge - band_hz)), edge, db) for edge, db in edges
    )
    rate = up * rate_in
    half = int(np.ceil(min(seconds / 2, MAX_DELAY_S) * rate))
    cut = (band_hz + stop) / 2
    window = ("kaiser", kaiser_beta(suppression))
    return np.asarray(firwin(2 * half + 1, cut, window=window, fs=rate))
