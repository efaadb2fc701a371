"""An estimator in the stream: what a decoder sees of the signal, and how it answers.

    preprocessed µV, one hop -> its electrodes, less what eyes and muscle predict of them
        -> causal band-passes -> ring of the last window -> common average -> predict_proba

Calibration cuts its trials out of the same :class:`CausalView`, driven by the same pipeline, so
that the decoder in use gives the very probabilities that the evaluation gave.

Concurrency: none; the pipeline's thread pushes and asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.signal import butter

from rtbci.calibration.signal.learned import Learned
from rtbci.calibration.signal.regression import Regression, reference_electrodes
from rtbci.errors import BadInputError
from rtbci.filters import CausalFilter
from rtbci.ring import MirrorRing
from rtbci.types import BoolArray, FloatArray

NO_ANSWER = "estimator gave no probabilities"
"""Why a decoder abstains whose estimator gave NaN."""
MIN_AVERAGE = 4
"""Electrodes from which a common average is taken off: with fewer it takes the signal with it."""


@dataclass(frozen=True)
class ViewConfig:
    """What a decoder sees of the preprocessed signal.

    Attributes
    ----------
    bands_hz : tuple of (float, float)
        Corners of the causal Butterworth band-passes.  With several, the channels of a trial are
        all electrodes in the first band, then all in the second, and so on.
    order : int
        Of its low-pass prototype.
    window_s : float
        Length of what is classified at once.
    reference : str
        ``average`` (of the decoder's electrodes, where there are four or more) or ``none``.
    regress : str
        ``rim``: eyes and muscle are regressed out by the electrodes nearest to them
        (:mod:`rtbci.calibration.signal.regression`), where the stream has any; or ``none``.
    """

    bands_hz: tuple[tuple[float, float], ...] = ((8.0, 30.0),)
    order: int = 4
    window_s: float = 2.0
    reference: Literal["average", "none"] = "average"
    regress: Literal["rim", "none"] = "rim"

    @property
    def key(self) -> str:
        """Its name among the views of a track: equal views have equal keys."""
        return repr(self)

    @property
    def raw(self) -> ViewConfig:
        """The same without regression."""
        return replace(self, regress="none")

    def rows(self, rate: float) -> int:
        """Length of the window in samples."""
        return round(self.window_s * rate)


LOW = ViewConfig(bands_hz=((0.3, 4.0),), order=2, regress="none")
"""Eye movements and slow potentials, no rhythm of the motor cortex."""


class CausalView:
    """Regression and band-passes with carried state over some columns of the preprocessed signal.

    Parameters
    ----------
    columns : sequence of int
        Columns of the preprocessed signal.
    rate : float
        Of the preprocessed signal, Hz.
    config : ViewConfig
    stream : sequence of str
        Names of all columns of the preprocessed signal.  By them the electrodes are found that
        are regressed out of the others; nothing is where they are not given.
    learned : Learned | None
        What a signal check showed: the regression begins with it.

    Attributes
    ----------
    references : tuple of str
        What is regressed out of every column that is none of them; empty where nothing is.

    Raises
    ------
    BadInputError
        Where a band does not lie between 0 and half the rate, or there is none.
    """

    def __init__(
        self,
        columns: Sequence[int],
        rate: float,
        config: ViewConfig,
        stream: Sequence[str] = (),
        learned: Learned | None = None,
    ) -> None:
        if not config.bands_hz:
            raise BadInputError("a decoder's view needs at least one band, as in 8-30 Hz.")
        for low, high in config.bands_hz:
            if not 0 < low < high < rate / 2:
                raise BadInputError(
                    f"the decoder's band is {low:g}-{high:g} Hz, but at {rate:g} Hz it must lie "
                    f"between 0 and {rate / 2:g} Hz."
                )
        if not config.window_s * rate >= 1:
            raise BadInputError(
                f"the decoder's window is {config.window_s:g} s, which holds no sample at "
                f"{rate:g} Hz; 1 to 3 s are usual."
            )
        self._columns = np.array(columns, dtype=np.intp)
        wanted = reference_electrodes(stream) if config.regress == "rim" else ()
        aside = [i for i, name in enumerate(stream) if name in wanted]
        # A reference is not regressed out of itself: it stays what it is.
        self._cleaned = np.flatnonzero(~np.isin(self._columns, aside))
        self.references = wanted if len(self._cleaned) else ()
        self._aside = np.array(aside if self.references else [], dtype=np.intp)
        start = None
        if learned is not None and self.references:
            cleaned = [stream[self._columns[i]] for i in self._cleaned]
            start = learned.moments([stream[i] for i in aside], cleaned)
        self._regression = Regression(len(self._aside), len(self._cleaned), rate, start)
        self._filters = [
            CausalFilter(butter(config.order, b, "bandpass", fs=rate, output="sos"), len(columns))
            for b in config.bands_hz
        ]

    def reset(self) -> None:
        """Begin a segment at rest."""
        self._regression.reset()
        for band in self._filters:
            band.reset()

    def push(self, block: FloatArray) -> FloatArray:
        """Regress and filter rows.

        Parameters
        ----------
        block : ndarray, shape (n_times, n_electrodes), float32, µV

        Returns
        -------
        seen : ndarray, shape (n_times, n_bands, n_columns), float32, µV
        """
        rows = np.ascontiguousarray(block[:, self._columns], dtype=np.float64)
        if self.references:
            aside = block[:, self._aside].astype(np.float64)
            rows[:, self._cleaned] = self._regression.push(aside, rows[:, self._cleaned])
        return np.stack([band.push(rows) for band in self._filters], axis=1).astype(np.float32)


def as_trial(rows: FloatArray, config: ViewConfig) -> FloatArray:
    """Turn filtered rows into what an estimator takes: re-referenced, channels first.

    Parameters
    ----------
    rows : ndarray, shape (n_times, n_bands, n_electrodes), float32, µV

    Returns
    -------
    trial : ndarray, shape (n_bands * n_electrodes, n_times), float32, µV
    """
    if config.reference == "average" and rows.shape[2] >= MIN_AVERAGE:
        rows = rows - rows.mean(axis=2, keepdims=True)
    return np.ascontiguousarray(rows.reshape(len(rows), -1).T)


class StreamingDecoder:
    """A fitted estimator as the pipeline's decoder (:class:`rtbci.tick.Decoder`).

    Parameters
    ----------
    name : str
        Which decoder and of whom (``P07: csp+lda``).
    estimator : object
        Fitted; ``predict_proba`` on (n_trials, n_channels, n_times) in µV.
    classes : sequence of str
        In the order of its probabilities.
    electrodes : sequence of str
        The channels that it was fitted on, in their order.
    stream : sequence of str
        Electrodes of the stream; the decoder's are found among them by name, and so are those
        that are regressed out (:attr:`references`).
    rate : float
        Of the preprocessed signal, Hz.
    config : ViewConfig
    learned : Learned | None
        As in :class:`CausalView`.

    Raises
    ------
    BadInputError
        Where the stream lacks an electrode.
    """

    calibrated = True

    def __init__(
        self,
        name: str,
        estimator: Any,
        classes: Sequence[str],
        electrodes: Sequence[str],
        stream: Sequence[str],
        rate: float,
        config: ViewConfig,
        learned: Learned | None = None,
    ) -> None:
        self.name = name
        self.classes = tuple(classes)
        self.electrodes = tuple(electrodes)
        self.window_s = config.window_s
        self.estimator = estimator
        self.n_bands = len(config.bands_hz)
        self._config = config
        self._columns = locate(electrodes, stream, name)
        self._view = CausalView(self._columns, rate, config, stream, learned)
        self._shape = (config.rows(rate), len(config.bands_hz), len(electrodes))
        self._ring = MirrorRing(self._shape[0], self._shape[1] * self._shape[2])
        self._abstain = np.full(len(classes), np.nan)

    @property
    def references(self) -> tuple[str, ...]:
        """Electrodes that are regressed out of the decoder's; empty where nothing is."""
        return self._view.references

    def reset(self) -> None:
        """Begin a segment: filters and window are empty."""
        self._view.reset()
        self._ring.reset()

    def push(self, block: FloatArray) -> None:
        """Take preprocessed rows, shape (n_times, n_electrodes of the stream), float32, µV."""
        self._ring.write(self._view.push(block).reshape(len(block), -1))

    def decode(self, good: BoolArray) -> tuple[npt.NDArray[np.float64], str]:
        """Class probabilities of the newest window.

        Parameters
        ----------
        good : ndarray, shape (n_electrodes of the stream,), bool

        Returns
        -------
        p : ndarray, shape (n_classes,), float64
            NaN where it abstains.
        reason : str
            Why it abstains, else empty.
        """
        window, reason = self.window(good)
        if window is None:
            return self._abstain.copy(), reason
        p = self.estimate(window)
        return (p, "") if np.isfinite(p).all() else (self._abstain.copy(), NO_ANSWER)

    def window(self, good: BoolArray) -> tuple[FloatArray | None, str]:
        """What the estimator takes of the newest window; None and why where it must not.

        Parameters
        ----------
        good : ndarray, shape (n_electrodes of the stream,), bool

        Returns
        -------
        window : ndarray, shape (n_bands * n_electrodes, n_times), float32, µV | None
        reason : str
        """
        if self._ring.size < self._ring.capacity:
            return None, "window not full"
        left_out = [e for e, c in zip(self.electrodes, self._columns, strict=True) if not good[c]]
        if left_out:
            return None, f"{', '.join(left_out)} left out"
        rows = self._ring.view(self._ring.capacity).reshape(self._shape)
        return as_trial(rows, self._config), ""

    def estimate(self, window: FloatArray) -> npt.NDArray[np.float64]:
        """Class probabilities of a window, shape (n_classes,); perhaps not finite."""
        p = self.estimator.predict_proba(window[np.newaxis])[0]
        return np.asarray(p, dtype=np.float64)


def locate(electrodes: Sequence[str], stream: Sequence[str], who: str) -> list[int]:
    """Columns of a decoder's electrodes in a stream.

    Raises
    ------
    BadInputError
        Where some are not there, with their names and those that are.
    """
    column = {name: i for i, name in enumerate(stream)}
    missing = [name for name in electrodes if name not in column]
    if missing:
        raise BadInputError(
            f"the decoder {who} needs {', '.join(missing)}, which this stream does not have (it "
            f"has {', '.join(stream)}); name its channels with --montage, or calibrate anew."
        )
    return [column[name] for name in electrodes]
