"""Spectra of the signal as the model sees it: PSD, spectrogram, band power.

    filtered rows -> segments of 2 s, every half second -> periodograms -> ring of one minute
                                                     PSD: their mean over the last 20 s (Welch 1967)

A segment never reaches over a break: what is before it is dropped.  One periodogram is made twice
a second, so the cost does not grow with how far one looks back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rtbci.types import FloatArray, TimeArray

if TYPE_CHECKING:
    from rtbci.apps.gui.view_models.update import Update
    from rtbci.live.view import ViewInfo

Values = npt.NDArray[np.float64]

BANDS: tuple[tuple[str, float, float], ...] = (
    ("delta", 1.0, 4.0),
    ("theta", 4.0, 8.0),
    ("alpha", 8.0, 13.0),
    ("beta", 13.0, 30.0),
    ("gamma", 30.0, 45.0),
)
"""Names and edges, Hz."""
FLOOR = 1e-4
"""Of a density, µV²/Hz: what is less is not of the head."""


@dataclass(frozen=True)
class SpectrumSettings:
    """How spectra are made.

    Attributes
    ----------
    segment_s, hop_s : float
        Length of a segment, and from one to the next.
    psd_s : float
        Seconds of the PSD.
    spectrogram_s : float
        Seconds of the spectrogram.
    from_hz, to_hz : float
        What is shown; the causal filters end at 45 Hz.
    """

    segment_s: float = 2.0
    hop_s: float = 0.5
    psd_s: float = 20.0
    spectrogram_s: float = 60.0
    from_hz: float = 1.0
    to_hz: float = 45.0


@dataclass
class SpectrumState:
    """What :class:`SpectrumModel` remembers.

    Attributes
    ----------
    pending : ndarray, shape (n, n_electrodes), µV
        Rows that the next segment begins with.
    next_row : int
        Model-rate row of the session that follows them.
    power : ndarray, shape (n_columns, n_freqs, n_electrodes), µV²/Hz
        Ring of periodograms; ``times`` has the end of each, model-rate rows.
    times : ndarray, shape (n_columns,), int64
    count : int
        Periodograms made since the session was opened.
    """

    pending: FloatArray
    power: FloatArray
    times: npt.NDArray[np.int64]
    next_row: int = 0
    count: int = 0


class SpectrumModel:
    """Follows the spectra of one session.

    Parameters
    ----------
    info : ViewInfo
    settings : SpectrumSettings
    """

    def __init__(self, info: ViewInfo, settings: SpectrumSettings | None = None) -> None:
        self.settings = settings = settings or SpectrumSettings()
        self.electrodes = info.electrodes
        self.rate = rate = info.model_rate
        self._segment = round(settings.segment_s * rate)
        self._hop = round(settings.hop_s * rate)
        hertz = np.fft.rfftfreq(self._segment, 1.0 / rate)
        self._shown = (hertz >= settings.from_hz) & (hertz <= settings.to_hz)
        self.freqs: Values = np.asarray(hertz[self._shown], dtype=np.float64)
        window = np.hanning(self._segment + 1)[:-1]
        self._window = window.astype(np.float32)[:, None]
        # NB: density of one side, so that white noise of 1 µV² at 250 Hz comes to 1/125.
        self._scale = 2.0 / (rate * float(np.sum(window**2)))
        columns = max(1, round(settings.spectrogram_s / settings.hop_s))
        n = len(self.electrodes)
        self.state = SpectrumState(
            pending=np.zeros((0, n), dtype=np.float32),
            power=np.zeros((columns, len(self.freqs), n), dtype=np.float32),
            times=np.zeros(columns, dtype=np.int64),
        )

    def take(self, update: Update) -> None:
        """Take what is new of the session."""
        rows = update.filtered
        if len(rows.data):
            self.take_rows(rows.start, rows.data, update.breaks)

    def take_rows(self, start: int, data: FloatArray, breaks: Sequence[int] = ()) -> int:
        """Take rows in order.

        Parameters
        ----------
        start : int
            Model-rate row of the session; rows that are missing before it are a break.
        data : ndarray, shape (n, n_electrodes), float32, µV
        breaks : sequence of int
            Rows of the session at which a segment begins.

        Returns
        -------
        made : int
            New periodograms.
        """
        state = self.state
        if start != state.next_row:
            state.pending = state.pending[:0]
        state.next_row = start + len(data)
        cuts = sorted({row - start for row in breaks if start <= row < state.next_row} - {0})
        if start in breaks:
            state.pending = state.pending[:0]
        made, first = 0, 0
        for cut in [*cuts, len(data)]:
            made += self._extend(data[first:cut], start + cut)
            if cut != len(data) or cut in cuts:
                state.pending = state.pending[:0]
            first = cut
        return made

    def psd(self) -> Values | None:
        """Density of the last seconds, dB re 1 µV²/Hz, shape (n_freqs, n_electrodes)."""
        power = self._mean()
        return None if power is None else 10 * np.log10(power)

    def seconds(self) -> float:
        """How many seconds the PSD looks back on by now."""
        settings, state = self.settings, self.state
        made = min(state.count, self._psd_columns())
        return 0.0 if not made else settings.segment_s + (made - 1) * settings.hop_s

    def spectrogram(self, electrode: str) -> tuple[TimeArray, Values] | None:
        """Density of one electrode, oldest column first.

        Returns
        -------
        ends : ndarray, shape (n_columns,), seconds before the newest column
        density : ndarray, shape (n_columns, n_freqs), dB re 1 µV²/Hz
        """
        order = self._newest(len(self.state.times))
        if not len(order):
            return None
        ends = self.state.times[order]
        column = self.electrodes.index(electrode)
        power = np.maximum(self.state.power[order, :, column].astype(np.float64), FLOOR)
        return (ends - ends[-1]) / self.rate, 10 * np.log10(power)

    def band_power(self, band: tuple[float, float]) -> Values | None:
        """Mean density in a band, dB re 1 µV²/Hz, shape (n_electrodes,)."""
        power = self._mean()
        if power is None:
            return None
        inside = (self.freqs >= band[0]) & (self.freqs < band[1])
        return np.asarray(10 * np.log10(power[inside].mean(axis=0)))

    def _extend(self, rows: FloatArray, stop: int) -> int:
        """Make the periodograms that these rows complete; ``stop`` is the row behind them."""
        state = self.state
        state.pending = np.concatenate([state.pending, rows])
        made = 0
        while len(state.pending) >= self._segment:
            piece = state.pending[: self._segment]
            end = stop - len(state.pending) + self._segment
            self._add(piece, end)
            state.pending = state.pending[self._hop :]
            made += 1
        return made

    def _add(self, piece: FloatArray, end: int) -> None:
        state = self.state
        centred = (piece - piece.mean(axis=0)) * self._window
        spectrum = np.fft.rfft(centred, axis=0)[self._shown]
        at = state.count % len(state.times)
        state.power[at] = self._scale * (spectrum.real**2 + spectrum.imag**2)
        state.times[at] = end
        state.count += 1

    def _psd_columns(self) -> int:
        settings = self.settings
        columns = round((settings.psd_s - settings.segment_s) / settings.hop_s) + 1
        return min(len(self.state.times), max(1, columns))

    def _newest(self, n: int) -> npt.NDArray[np.int64]:
        """Places in the ring of the newest periodograms, oldest first."""
        state = self.state
        n = min(n, state.count)
        return np.arange(state.count - n, state.count, dtype=np.int64) % len(state.times)

    def _mean(self) -> Values | None:
        order = self._newest(self._psd_columns())
        if not len(order):
            return None
        mean = self.state.power[order].mean(axis=0, dtype=np.float64)
        return np.asarray(np.maximum(mean, FLOOR))
