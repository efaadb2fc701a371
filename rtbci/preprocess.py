"""The causal chain in front of the model, one implementation for live, replay and training.

    raw µV -> hold -> high-pass, notches, low-pass -> reference -> resample -> running mean, scale
              filters.py                              here         resample.py  normalise.py

However the rows are cut into pushes, the result is the same, bit for bit: every stage works row
by row with carried state, in float64, and gives float32 out.  The average over electrodes is
summed in their order for the same reason.

Concurrency: none; one thread pushes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.config import PreprocessConfig
from rtbci.errors import BadInputError
from rtbci.filters import CausalFilter, Hold, design, low_pass_corner
from rtbci.normalise import RunningNorm
from rtbci.resample import Resampler
from rtbci.types import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Preprocessed:
    """What a push completed.

    Attributes
    ----------
    signal : ndarray, shape (m, n_electrodes), float32, µV
        Filtered, referenced, at the model's rate; not normalised.
    mean, scale : ndarray, shape (m, n_electrodes), float32, µV
        Running mean and standard deviation at each row; ``scale`` > 0.
    filtered : ndarray, shape (n, n_electrodes), float32, µV
        The rows that were pushed, filtered, before the reference and at the source's rate: what
        :mod:`rtbci.health` judges, so that one bad electrode does not condemn all.
    """

    signal: FloatArray
    mean: FloatArray
    scale: FloatArray
    filtered: FloatArray


class Preprocessor:
    """Filters, reference, resampling and running normalisation of one segment after another.

    Parameters
    ----------
    rate : float
        Nominal rate of the source, Hz.
    n_electrodes : int
    config : PreprocessConfig
    names : sequence of str, optional
        Of the electrodes; needed where the reference names some.

    Attributes
    ----------
    delay_s : float
        Delay of the resampler, s; :meth:`source_position` takes it off.  The filters' own delay
        is part of the signal and not in it.

    Raises
    ------
    BadInputError
        Where corners, rate or reference can't be.
    """

    def __init__(
        self,
        rate: float,
        n_electrodes: int,
        config: PreprocessConfig,
        *,
        names: Sequence[str] | None = None,
    ) -> None:
        n = self.n_electrodes = n_electrodes
        names = tuple(map(str, range(n))) if names is None else names
        if len(names) != n:
            raise ValueError(f"{n} electrodes can't have {len(names)} names")
        if not config.ema_s > 0:
            raise BadInputError(f"preprocess.ema_s is {config.ema_s} s, but must be positive.")
        self._hold = Hold(n)
        self._filter = CausalFilter(design(rate, config), n)
        self._reference = _reference(names, config.reference)
        self._resample = Resampler(rate, config.rate_hz, low_pass_corner(rate, config), n)
        self._norm = RunningNorm(config.rate_hz, config.ema_s, n)
        self.delay_s = self._resample.delay_s

    def reset(self) -> None:
        """Begin a segment: all state is forgotten, output rows count from 0 again."""
        for stage in (self._hold, self._filter, self._resample, self._norm):
            stage.reset()

    def ready(self, m: int) -> int:
        """Input rows of the segment that it takes until output row ``m`` exists.

        Where the model's rate is the higher one, the same row can complete row ``m + 1`` too.
        """
        return self._resample.ready(m)

    def source_position(self, m: int) -> float:
        """Fractional input row of the segment that output row ``m`` stands for, delay taken off.

        It lies between rows that have come, so its time can be interpolated between theirs.
        """
        return self._resample.source_position(m)

    def push(self, x: FloatArray, good: BoolArray) -> Preprocessed:
        """Take rows of the segment and give what they complete.

        Parameters
        ----------
        x : ndarray, shape (n, n_electrodes), float32, µV
            As the source gave them; NaN and infinities are held over.
        good : ndarray, shape (n_electrodes,), bool
            Electrodes that count for the average reference, for all these rows.

        Returns
        -------
        Preprocessed
            ``m`` depends only on how many rows have come since the segment began.
        """
        filtered = self._filter.push(self._hold.push(x))
        signal = self._resample.push(self._rereference(filtered, good))
        mean, scale = self._norm.push(signal, good)
        return Preprocessed(
            signal.astype(np.float32),
            mean.astype(np.float32),
            scale.astype(np.float32),
            filtered.astype(np.float32),
        )

    def _rereference(self, x: npt.NDArray[np.float64], good: BoolArray) -> npt.NDArray[np.float64]:
        """Take the mean of the good reference electrodes off; nothing where none is good."""
        if self._reference is None:
            return x
        chosen = self._reference[good[self._reference]]
        if len(chosen) == 0 or len(x) == 0:
            return x
        # NB: accumulate adds electrode by electrode; mean() sums in an order that depends on
        # the layout, which a block of one row changes.
        total = np.add.accumulate(x[:, chosen], axis=1)[:, -1:]
        return x - total / len(chosen)


def bridge_rows(last: FloatArray, first: FloatArray, missing: int) -> FloatArray:
    """Make rows for a gap that is bridged: straight lines between the rows around it.

    Parameters
    ----------
    last, first : ndarray, shape (n_channels,), float32
        The rows around the gap.
    missing : int
        Rows that are missing between them.

    Returns
    -------
    rows : ndarray, shape (missing, n_channels), float32
        NaN where one of the two is not finite; :meth:`Preprocessor.push` holds these over.
    """
    weight = (np.arange(1, missing + 1) / (missing + 1))[:, None]
    start, stop = last.astype(np.float64), first.astype(np.float64)
    ok = np.isfinite(start) & np.isfinite(stop)
    start, stop = np.where(ok, start, np.nan), np.where(ok, stop, np.nan)
    return np.asarray(start + weight * (stop - start), dtype=np.float32)


def _reference(names: Sequence[str], reference: str) -> npt.NDArray[np.intp] | None:
    """Columns whose mean is the reference; None for a signal that stays as recorded."""
    if reference == "none":
        return None
    if reference == "average":
        return np.arange(len(names))
    wanted = [name.strip() for name in reference.split(",") if name.strip()]
    lower = [name.lower() for name in names]
    missing = [name for name in wanted if name.lower() not in lower]
    if missing or not wanted:
        what = f"electrode {missing[0]!r}, which is not recorded" if missing else "no electrode"
        raise BadInputError(
            f"preprocess.reference is {reference!r} and names {what}; it must be 'none', "
            f"'average' or some of: {', '.join(names)}."
        )
    return np.array([lower.index(name.lower()) for name in wanted])
