"""How good the signal was: spread by electrode and time, what was left out and why, spectra."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtbci.apps.report.causal import Block, channel_changes
from rtbci.recording.recording import Recording
from rtbci.types import BoolArray, FloatArray, Gap

Array64 = npt.NDArray[np.float64]

BINS = 120
"""Pieces of time in which the spread is told."""
WINDOW_S = 4.0
"""Length of a spectrum's window; shorter in sessions of a few seconds."""
TOP_HZ = 80.0
"""Spectra are told up to here: the mains lie below."""
FLOOR = 1e-12
"""Least power density that counts, µV²/Hz: a flat electrode has none."""
BANDS_HZ = {
    "delta": (1.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha and mu": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "low gamma": (30.0, 45.0),
}


@dataclass(frozen=True, slots=True)
class OutSpan:
    """An electrode was left out, from ``start`` to ``stop`` seconds after the first row."""

    electrode: int
    start: float
    stop: float
    reason: str


@dataclass(frozen=True)
class SignalFacts:
    """What came.

    Attributes
    ----------
    seconds : float
        From the first row to the last one, gaps included.
    edges : ndarray, shape (n_bins + 1,), s
        Since the first row.
    sd_uv : ndarray, shape (n_electrodes,)
        Standard deviation of the filtered signal while an electrode was in use; NaN where never.
    sd_bins_uv : ndarray, shape (n_bins, n_electrodes)
    out : tuple of OutSpan
    gaps : tuple of Gap
    frequencies : ndarray, shape (n_frequencies,), Hz
        Empty where the session was too short for a spectrum.
    density : ndarray, shape (n_frequencies, n_electrodes), µV²/Hz
        Geometric mean over windows of the raw signal; NaN where there was none.
    window_s : float
        Of a spectrum.
    windows : int
        The most that any electrode had.
    """

    seconds: float
    edges: Array64
    sd_uv: Array64
    sd_bins_uv: Array64
    out: tuple[OutSpan, ...]
    gaps: tuple[Gap, ...]
    frequencies: Array64
    density: Array64
    window_s: float
    windows: int

    def band_uv(self, low: float, high: float) -> Array64 | None:
        """Amplitude (root of the power) of each electrode in a band, µV; None where not told."""
        inside = (self.frequencies >= low) & (self.frequencies < high)
        if np.count_nonzero(inside) < 2 or self.frequencies[-1] < 0.9 * high:
            return None
        step = float(self.frequencies[1] - self.frequencies[0])
        power: Array64 = np.sqrt(self.density[inside].sum(axis=0) * step)
        return power

    def out_share(self, electrode: int) -> float:
        """Share of the session in which an electrode was left out."""
        spans = (s.stop - s.start for s in self.out if s.electrode == electrode)
        return min(1.0, sum(spans) / self.seconds) if self.seconds > 0 else 0.0


@dataclass
class _Spread:
    """Sums of the filtered signal by bin and electrode."""

    count: Array64
    total: Array64
    square: Array64

    def add(self, block: Block, begun: float, length: float) -> None:
        x = block.signal[:, block.good].astype(np.float64)
        if not len(x):
            return
        n_bins = len(self.count)
        bins = np.clip(((block.signal_times - begun) / length).astype(np.int64), 0, n_bins - 1)
        starts = np.flatnonzero(np.diff(bins, prepend=-1))
        rows, columns = bins[starts][:, None], np.flatnonzero(block.good)[None, :]
        counts = np.diff(np.append(starts, len(bins)))
        self.count[rows, columns] += counts[:, None]
        self.total[rows, columns] += np.add.reduceat(x, starts)
        self.square[rows, columns] += np.add.reduceat(x * x, starts)

    @staticmethod
    def sd(count: Array64, total: Array64, square: Array64) -> Array64:
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = square / count - (total / count) ** 2
        found: Array64 = np.sqrt(np.maximum(variance, 0.0))
        return np.where(count > 1, found, np.nan)


@dataclass
class _Spectra:
    """Sums of log power over half-overlapping windows of the raw signal."""

    rate: float
    window: int
    total: Array64
    count: npt.NDArray[np.int64]
    kept: FloatArray
    bad: BoolArray
    taper: Array64 = field(init=False)

    def __post_init__(self) -> None:
        self.taper = np.hanning(self.window + 1)[:-1]

    def add(self, block: Block) -> None:
        if block.broken:
            self.kept, self.bad = self.kept[:0], ~block.good
        self.bad = self.bad | ~block.good
        rows = np.concatenate([self.kept, block.raw])
        step, at = self.window // 2, 0
        while at + self.window <= len(rows):
            self._window(rows[at : at + self.window])
            at += step
            if at >= len(self.kept):
                self.bad = ~block.good
        self.kept = rows[at:].copy()

    def _window(self, rows: FloatArray) -> None:
        finite = np.isfinite(rows).all(axis=0) & ~self.bad
        if not finite.any():
            return
        x = rows[:, finite].astype(np.float64)
        x = (x - x.mean(axis=0)) * self.taper[:, None]
        power = np.abs(np.fft.rfft(x, axis=0)) ** 2 * 2 / (self.rate * (self.taper**2).sum())
        self.total[:, finite] += np.log10(np.maximum(power[: len(self.total)], FLOOR))
        self.count[finite] += 1


class SignalGatherer:
    """Takes the blocks of a recording, in order.

    Parameters
    ----------
    recording : Recording
        With at least one row and one electrode.
    begun, ended : float
        Times of the first and last row, seconds of the session's clock.
    """

    def __init__(self, recording: Recording, begun: float, ended: float) -> None:
        rate, n = recording.info.rate, len(recording.info.eeg)
        self._recording = recording
        self._begun = begun
        self._seconds = max(ended - begun, 1.0 / rate)
        n_bins = int(np.clip(self._seconds, 1, BINS))
        shape = (n_bins, n)
        self._spread = _Spread(np.zeros(shape), np.zeros(shape), np.zeros(shape))
        # NB: half a window is the step, and a session of one window would have one step only.
        self._window_s = min(WINDOW_S, self._seconds / 2)
        window = 2 * max(1, round(self._window_s * rate / 2))
        frequencies = np.asarray(np.fft.rfftfreq(window, 1 / rate), dtype=np.float64)
        self._frequencies: Array64 = frequencies[frequencies <= min(TOP_HZ, 0.49 * rate)]
        self._spectra = _Spectra(
            rate,
            window,
            np.zeros((len(self._frequencies), n)),
            np.zeros(n, dtype=np.int64),
            np.zeros((0, n), dtype=np.float32),
            np.zeros(n, dtype=np.bool_),
        )

    def add(self, block: Block) -> None:
        """Take the next block."""
        self._spread.add(block, self._begun, self._seconds / len(self._spread.count))
        self._spectra.add(block)

    def facts(self) -> SignalFacts:
        """What came, after the last block."""
        spread, spectra = self._spread, self._spectra
        with np.errstate(invalid="ignore", divide="ignore"):
            density = 10.0 ** (spectra.total / spectra.count)
        # A spectrum of a second's windows at least: below, no band can be told from another.
        told = spectra.count.any() and self._window_s >= 1.0
        return SignalFacts(
            seconds=self._seconds,
            edges=np.linspace(0.0, self._seconds, len(spread.count) + 1),
            sd_uv=spread.sd(*(x.sum(axis=0) for x in (spread.count, spread.total, spread.square))),
            sd_bins_uv=spread.sd(spread.count, spread.total, spread.square),
            out=tuple(self._out()),
            gaps=tuple(self._recording.gaps()),
            frequencies=self._frequencies if told else np.zeros(0),
            density=density if told else np.zeros((0, density.shape[1])),
            window_s=self._window_s,
            windows=int(spectra.count.max(initial=0)),
        )

    def _out(self) -> list[OutSpan]:
        main, n_rows = self._recording.main, self._recording.n_rows
        open_since: dict[int, tuple[float, str]] = {}
        spans = []
        for change in channel_changes(self._recording):
            if change.sample >= n_rows:
                continue
            now = float(main.times(change.sample, change.sample + 1)[0]) - self._begun
            before = open_since.pop(change.electrode, None)
            if before is not None:
                spans.append(OutSpan(change.electrode, before[0], now, before[1]))
            if change.reason:
                open_since[change.electrode] = (now, change.reason)
        spans += [OutSpan(e, s, self._seconds, why) for e, (s, why) in open_since.items()]
        return sorted(spans, key=lambda s: (s.start, s.electrode))
