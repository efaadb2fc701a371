"""What a decoder reads, on the head: its pattern, one value an electrode and band.

A decoder's weights say how noise is cancelled, not where its signal comes from.  The pattern does:
the covariance of each electrode's signal with what the decoder makes of it (Haufe et al. 2014,
doi:10.1016/j.neuroimage.2013.10.067, equation 6 for one output).  Rhythms are decoded by their
power, so the signal here is the log of an electrode's power in a window, and the output is the
decoder's log-odds.  That asks nothing of the decoder but probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.calibration.scoring.accuracy import log_evidence
from rtbci.montage import directions
from rtbci.types import FloatArray

Array64 = npt.NDArray[np.float64]

WIDTH, HEIGHT = 72, 15
"""Cells of the text map; a terminal has 80."""
FLOOR_UV2 = 1e-6
"""Power of a channel that gives nothing."""


@dataclass(frozen=True)
class Pattern:
    """One pattern of a decoder.

    Attributes
    ----------
    output : str
        What it is the pattern of: ``right_hand against left_hand``.
    band_hz : tuple of float
    electrodes : tuple of str
    values : tuple of float
        Correlation of each electrode's log power with the output, -1 to 1.
    """

    output: str
    band_hz: tuple[float, float]
    electrodes: tuple[str, ...]
    values: tuple[float, ...]

    def lines(self) -> list[str]:
        """Text for a terminal: what it is, and the head."""
        low, high = self.band_hz
        what = f"pattern, {low:g}-{high:g} Hz power: {self.output} (correlation x 100)"
        return [what, *head_map(self.electrodes, self.values)]


def find_patterns(
    estimator: Any,
    x: FloatArray,
    bands_hz: Sequence[tuple[float, float]],
    electrodes: Sequence[str],
    classes: Sequence[str],
    signal: FloatArray | None = None,
) -> tuple[Pattern, ...]:
    """Patterns of a fitted decoder, one an output and band.

    Parameters
    ----------
    estimator : object
        Fitted; ``predict_proba`` on (n_windows, n_channels, n_times).
    x : ndarray, shape (n_windows, n_channels, n_times), float32, µV
        Windows as the decoder gets them; those that it was calibrated on will do.
    bands_hz, electrodes
        Channels of ``signal``: all electrodes in the first band, then all in the second.
    classes : sequence of str
        In the decoder's order.
    signal : ndarray, shape (n_windows, n_bands * n_electrodes, n_times) | None
        The same windows of the electrodes that are shown; ``x`` itself where None.  Electrodes
        that the decoder does not read tell whether it follows what happens at the rim.
    """
    values = haufe_pattern(estimator, x, x if signal is None else signal)
    per_band = values.reshape(len(values), len(bands_hz), len(electrodes))
    if len(classes) == 2:
        outputs = [f"{classes[1]} against {classes[0]}"]
    else:
        outputs = [f"{name} against the rest" for name in classes]
    return tuple(
        Pattern(output, band, tuple(electrodes), tuple(round(float(v), 3) for v in row))
        for output, rows in zip(outputs, per_band, strict=True)
        for band, row in zip(bands_hz, rows, strict=True)
    )


def haufe_pattern(estimator: Any, x: FloatArray, signal: FloatArray) -> Array64:
    """Forward pattern of a fitted decoder over some windows.

    Parameters
    ----------
    estimator : object
        Fitted; ``predict_proba`` on (n_windows, n_channels, n_times).
    x : ndarray, shape (n_windows, n_channels, n_times), float32, µV
        Windows as the decoder gets them.
    signal : ndarray, shape (n_windows, n_shown, n_times), float32, µV
        Windows of the channels whose part in it is asked for.

    Returns
    -------
    pattern : ndarray, shape (n_outputs, n_shown)
        Correlation of the channels' log power with the decoder's log-odds, -1 to 1: of the
        second class against the first where there are two, else of each class against the rest.
    """
    power = np.mean(np.asarray(signal, dtype=np.float64) ** 2, axis=2)
    log_power = _standardised(np.log(np.maximum(power, FLOOR_UV2)))
    evidence = log_evidence(np.asarray(estimator.predict_proba(x), dtype=np.float64))
    if evidence.shape[1] == 2:
        odds = evidence[:, 1:] - evidence[:, :1]
    else:
        others = evidence.sum(axis=1, keepdims=True) - evidence
        odds = evidence - others / (evidence.shape[1] - 1)
    return np.asarray(_standardised(odds).T @ log_power / len(log_power))


def _standardised(values: Array64) -> Array64:
    """Take mean and scale off each column; a column that never changes becomes zero."""
    off = values - values.mean(axis=0)
    scale = off.std(axis=0)
    return np.asarray(off / np.where(scale > 0, scale, np.inf))


def head_map(electrodes: Sequence[str], values: Sequence[float]) -> list[str]:
    """Draw one value an electrode on a head seen from above, as text.

    Parameters
    ----------
    electrodes : sequence of str
        Those without a standard position are listed below the head.
    values : sequence of float

    Returns
    -------
    lines : list of str
        At most 80 characters wide: each electrode's name with its value in hundredths, nose up.
    """
    cells = {e: f"{e}{round(100 * v):+d}" for e, v in zip(electrodes, values, strict=True)}
    xyz = directions(electrodes)
    placed = [i for i in range(len(electrodes)) if np.isfinite(xyz[i]).all()]
    rows: dict[int, list[tuple[float, str]]] = {}
    for i in placed:
        x, y = _flat(xyz[i])
        row = round((1 - y) / 2 * (HEIGHT - 1))
        rows.setdefault(row, []).append((x, cells[electrodes[i]]))
    lines = []
    for row in sorted(rows):
        lines += _lay_out(sorted(rows[row]))
    if lines:
        lines.insert(0, f"{'nose':^{WIDTH}}".rstrip())
    beside = [cells[e] for i, e in enumerate(electrodes) if i not in placed]
    for start in range(0, len(beside), 8):
        lines.append("  " + " ".join(beside[start : start + 8]))
    return lines


def _flat(xyz: Array64) -> tuple[float, float]:
    """Place on a disc seen from above, the ears at 1: x to the right, y to the nose."""
    angle = np.arccos(np.clip(xyz[2], -1.0, 1.0)) / (np.pi / 2)
    length = float(np.hypot(xyz[0], xyz[1])) or 1.0
    return float(angle * xyz[0] / length), float(angle * xyz[1] / length)


def _lay_out(cells: list[tuple[float, str]]) -> list[str]:
    """Write cells near their places; those that don't fit into one line go into the next."""
    line, rest = "", []
    for x, text in cells:
        at = round((x + 1.2) / 2.4 * (WIDTH - 1)) - len(text) // 2
        at = min(max(at, 0), WIDTH - len(text))
        if line and at <= len(line):
            at = len(line) + 1
        if at + len(text) > 79:
            rest.append((x, text))
            continue
        line = f"{line:<{at}}{text}"
    return [line, *_lay_out(rest)] if rest else [line]
