"""The signal-quality strip: how good each electrode has been over the last minutes.

A column is two seconds; an electrode's grade in it is its worst of that time.  Grades rest on the
status (standard deviation behind the causal filters, electrodes that are left out) and on the
line noise of the raw signal, which those filters take away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rtbci.types import ChannelType, FloatArray

if TYPE_CHECKING:
    from rtbci.apps.gui.view_models.update import Update
    from rtbci.live.view import ViewInfo

FAIR_SD_UV = 60.0
POOR_SD_UV = 100.0
"""Standard deviations from which a signal is fair, and poor: clean EEG has 5 to 30 µV."""
LINE_UV = 20.0
"""Amplitude of line noise from which a contact is fair at best."""
LINES_HZ = (50.0, 60.0)
LINE_S = 1.0
"""Line noise is measured on so long."""
COLUMN_S = 2.0
COLUMNS = 150
"""Five minutes."""


class Grade(IntEnum):
    """How good an electrode is; the larger the worse."""

    UNKNOWN = 0
    """There was no signal."""
    GOOD = 1
    FAIR = 2
    POOR = 3
    """Noisy, but decoded from."""
    OUT = 4
    """Left out."""


@dataclass(frozen=True)
class ElectrodeQuality:
    """One electrode now.

    Attributes
    ----------
    name : str
    grade : Grade
    sd_uv : float
        Behind the causal filters.
    line_uv, line_hz : float
        Amplitude and frequency of the stronger line noise; NaN where not known.
    reason : str
        Why it is left out.
    """

    name: str
    grade: Grade
    sd_uv: float
    line_uv: float
    line_hz: float
    reason: str = ""


@dataclass
class QualityState:
    """What :class:`QualityModel` remembers.

    Attributes
    ----------
    columns : deque of ndarray, shape (n_electrodes,), int8
        Grades, oldest first.
    begun : float
        When the newest column began, seconds of the session.
    line_uv : ndarray, shape (n_lines, n_electrodes)
        Amplitudes of line noise; NaN where not known.
    raw : ndarray, shape (n, n_electrodes), µV
        The newest second.
    now : tuple of ElectrodeQuality
    """

    columns: deque[npt.NDArray[np.int8]]
    line_uv: npt.NDArray[np.float64]
    raw: FloatArray
    begun: float | None = None
    now: tuple[ElectrodeQuality, ...] = field(default_factory=tuple)


class QualityModel:
    """Follows the quality of one session's electrodes.

    Parameters
    ----------
    info : ViewInfo
    """

    def __init__(self, info: ViewInfo) -> None:
        self.electrodes = info.electrodes
        self._columns = [i for i, c in enumerate(info.channels) if c.type is ChannelType.EEG]
        self._rate = info.rate
        n = len(self.electrodes)
        self.state = QualityState(
            columns=deque(maxlen=COLUMNS),
            line_uv=np.full((len(LINES_HZ), n), np.nan),
            raw=np.zeros((0, n), dtype=np.float32),
        )
        self._lines = [(np.nan, np.nan)] * n

    def take(self, update: Update) -> None:
        """Take what is new of the session."""
        state = self.state
        if len(update.rows.data):
            fresh = update.rows.data[:, self._columns]
            state.raw = np.concatenate([state.raw, fresh])[-round(LINE_S * self._rate) :]
        if update.status is not None:
            begins = self.take_status(update.status)
            if begins:
                self.take_raw(state.raw, self._rate)

    def take_raw(self, rows: FloatArray, rate: float) -> None:
        """Measure line noise on the newest second of the electrodes' raw signal.

        Parameters
        ----------
        rows : ndarray, shape (n, n_electrodes), µV
        rate : float
            Hz.
        """
        self.state.line_uv = line_noise(rows, rate)
        self._lines = _strongest(self.state.line_uv)

    def take_status(self, status: Mapping[str, Any]) -> bool:
        """Take a status; True when a column has begun."""
        state = self.state
        left_out = status.get("left_out") or {}
        sds = dict(zip(status["electrodes"], status["sd_uv"], strict=True))
        state.now = tuple(
            self._judge(i, name, float(sds.get(name, np.nan)), str(left_out.get(name, "")))
            for i, name in enumerate(self.electrodes)
        )
        grades = np.array([q.grade for q in state.now], dtype=np.int8)
        time = float(status.get("t_s", 0.0))
        if state.begun is None or time >= state.begun + COLUMN_S or time < state.begun:
            state.begun = time
            state.columns.append(grades)
            return True
        np.maximum(state.columns[-1], grades, out=state.columns[-1])
        return False

    def strip(self) -> npt.NDArray[np.int8]:
        """Grades, shape (n_electrodes, n_columns), oldest column first."""
        if not self.state.columns:
            return np.zeros((len(self.electrodes), 0), dtype=np.int8)
        return np.stack(list(self.state.columns), axis=1)

    def counts(self) -> dict[Grade, int]:
        """How many electrodes have each grade now."""
        return {grade: sum(q.grade == grade for q in self.state.now) for grade in Grade}

    def _judge(self, i: int, name: str, sd: float, reason: str) -> ElectrodeQuality:
        line, hertz = self._lines[i]
        if reason:
            grade = Grade.OUT
        elif not np.isfinite(sd):
            grade = Grade.UNKNOWN
        elif sd > POOR_SD_UV:
            grade = Grade.POOR
        elif sd > FAIR_SD_UV or line > LINE_UV:
            grade = Grade.FAIR
        else:
            grade = Grade.GOOD
        return ElectrodeQuality(name, grade, sd, line, hertz, reason)


def _strongest(line_uv: npt.NDArray[np.float64]) -> list[tuple[float, float]]:
    """Amplitude and frequency of each electrode's stronger line noise; NaN where not known."""
    known = np.where(np.isfinite(line_uv), line_uv, -1.0)
    worst = np.argmax(known, axis=0)
    made = []
    for amplitude, which in zip(known.max(axis=0), worst, strict=True):
        there = amplitude >= 0
        made.append((float(amplitude), LINES_HZ[which]) if there else (np.nan, np.nan))
    return made


def line_noise(rows: FloatArray, rate: float) -> npt.NDArray[np.float64]:
    """Amplitude of 50 and 60 Hz, µV, shape (n_lines, n_electrodes).

    By least squares on a Hann window; NaN where the rate does not reach so far, or fewer than
    half a second of rows came.
    """
    n = len(rows)
    made = np.full((len(LINES_HZ), rows.shape[1]), np.nan)
    if n < rate / 2:
        return made
    window = np.hanning(n + 1)[:-1]
    centred = (rows - rows.mean(axis=0, dtype=np.float64)) * window[:, None]
    for i, hertz in enumerate(LINES_HZ):
        if hertz < 0.45 * rate:
            turn = np.exp(-2j * np.pi * hertz / rate * np.arange(n))
            made[i] = 2.0 * np.abs(turn @ centred) / window.sum()
    return made
