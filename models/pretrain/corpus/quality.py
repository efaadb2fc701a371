"""Which channels of a recording are a signal: judged second by second, by a live session's limits.

The live monitor judges (:mod:`rtbci.health`: not a number, railed, flat, noisy); added is line
noise, which the filters take out of the signal but which tells of an electrode without contact.
A channel that is bad in half of its seconds is left out as a whole; shorter troubles are for the
validity of each hop.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from rtbci.config import HealthConfig, PreprocessConfig
from rtbci.errors import SourceError
from rtbci.filters import CausalFilter, Hold, design
from rtbci.health import HealthMonitor
from rtbci.models.pretrain.corpus.read import FileStretch
from rtbci.types import BoolArray, FloatArray, StreamInfo

BAD_SHARE = 0.5
"""A channel that is bad in this share of its seconds, or more, is left out."""

LINE_HZ = (50.0, 60.0)
LINE_RATIO = 20.0
"""Line noise that is so many times the rest of the EEG (1 to 45 Hz, RMS) drowns it."""
LINE_UV = 20.0
"""RMS below which line noise is harmless however quiet the EEG is."""


@dataclass(frozen=True)
class Judgement:
    """What came of it.

    Attributes
    ----------
    left_out : dict of str to str
        Bad channels, with the reason.
    n_rows : int
        Rows of the file that can be read, from the stretch's first on.
    note : str
        What ended it early; empty where all rows can be read.
    """

    left_out: dict[str, str]
    n_rows: int
    note: str = ""


def judge(stretch: FileStretch, config: PreprocessConfig) -> Judgement:
    """Read a stretch once and judge its channels.

    Raises
    ------
    BadInputError
        Where the preprocessing can't run at its rate.
    """
    watch = _Watch(stretch, config)
    usable, note = stretch.stop, ""
    try:
        for block in stretch.blocks():
            watch.push(block)
    except SourceError as err:
        usable, why = _readable(stretch), " ".join(str(err.__cause__ or err).split())
        at, whole = (
            n / stretch.rate for n in (usable - stretch.start, stretch.stop - stretch.start)
        )
        note = f"it can be read up to {at:.1f} s of {whole:.1f} s: {why[:200].rstrip('.')}"
    return Judgement(watch.verdicts(), usable - stretch.start, note)


class _Watch:
    """Counts the bad seconds of every channel.

    Parameters
    ----------
    stretch : FileStretch
    config : PreprocessConfig
    """

    def __init__(self, stretch: FileStretch, config: PreprocessConfig) -> None:
        info = stretch.opened.info
        channels = tuple(info.channels[c] for c in stretch.columns)
        watched = replace(info, channels=channels)
        n = len(channels)
        self._channels = channels
        self._second = round(info.rate)
        self._monitor = _monitor(watched)
        self._hold, self._filter = Hold(n), CausalFilter(design(info.rate, config), n)
        self._rest: FloatArray = np.zeros((0, n), np.float32)
        self._line = _line_bins(info.rate, self._second)
        self._seconds = 0
        self._bad: list[Counter[str]] = [Counter() for _ in channels]

    def push(self, block: FloatArray) -> None:
        """Take rows."""
        rows = np.concatenate([self._rest, block])
        whole = len(rows) // self._second * self._second
        for start in range(0, whole, self._second):
            self._judge(rows[start : start + self._second])
        self._rest = rows[whole:].copy()

    def verdicts(self) -> dict[str, str]:
        """Channels to leave out, with the reason."""
        made = {}
        for channel, bad in zip(self._channels, self._bad, strict=True):
            share = bad.total() / max(1, self._seconds)
            if share >= BAD_SHARE:
                made[channel.name] = f"{bad.most_common(1)[0][0]} in {share:.0%} of its seconds"
        return made

    def _judge(self, raw: FloatArray) -> None:
        self._seconds += 1
        filtered = self._filter.push(self._hold.push(raw)).astype(np.float32)
        self._monitor.push(raw, filtered)
        self._monitor.judge(self._seconds)
        drowned = self._drowned(raw)
        for i, reason in enumerate(self._monitor.reasons):
            if reason:
                self._bad[i][reason.partition(":")[0]] += 1
            elif drowned[i]:
                self._bad[i]["line noise"] += 1

    def _drowned(self, raw: FloatArray) -> BoolArray:
        """Channels in which the mains are all that is there, this second."""
        line, brain = self._line
        x = np.nan_to_num(raw.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        window = np.hanning(len(x))[:, None]
        power = np.abs(np.fft.rfft((x - x.mean(axis=0)) * window, axis=0)) ** 2
        # Parseval for one-sided spectra of a windowed signal.
        to_square = 2.0 / (len(x) * float((window**2).sum()))
        mains = power[line].sum(axis=0) * to_square
        rest = power[brain].sum(axis=0) * to_square
        drowned: BoolArray = (mains > LINE_UV**2) & (mains > LINE_RATIO**2 * rest)
        return drowned


def _monitor(info: StreamInfo) -> HealthMonitor:
    """The live monitor, without memory from one second to the next."""
    return HealthMonitor(info, replace(HealthConfig(), recover_s=0.0))


def _line_bins(rate: float, n_rows: int) -> tuple[BoolArray, BoolArray]:
    """Bins of the mains, and of the rest of the EEG."""
    hz = np.fft.rfftfreq(n_rows, 1.0 / rate)
    line = np.any([np.abs(hz - mains) <= 1.5 for mains in LINE_HZ], axis=0)
    return line, (hz >= 1.0) & (hz <= 45.0)


def _readable(stretch: FileStretch) -> int:
    """One past the last row that can be read, to within a second."""
    good, bad = stretch.start, stretch.stop
    while bad - good > stretch.rate:
        middle = (good + bad) // 2
        try:
            stretch.opened.read(good, middle)
        except SourceError:
            bad = middle
        else:
            good = middle
    return good
