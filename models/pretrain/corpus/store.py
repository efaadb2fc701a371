"""Arrays of a prepared recording on disk: they grow while it is prepared, and are mapped later.

    hops.npy   a record a hop: running mean and scale, signal in counts of 2**exponent µV, validity
    ar.npy     forecasts, a row a position

A count is a power of two, chosen for each electrode and hop so that the largest sample just fits
into 16 bits.  So the error is at most 2**-15 of the hop's peak (0.001 µV RMS for a signal that
peaks at 100 µV, a hundredth of an amplifier's noise) and never depends on what comes later.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.lib.format as npy
import numpy.typing as npt
from numpy.lib.mixins import NDArrayOperatorsMixin

from rtbci.errors import RtbciError
from rtbci.types import FloatArray

MOST_COUNTS = 32767
LEAST_EXPONENT = -24
"""Counts of 6e-8 µV: what a flat electrode is written in."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class DiskError(RtbciError):
    """What is prepared can't be written."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a write into a sentence.

    Raises
    ------
    DiskError
    """
    try:
        yield
    except OSError as err:
        why = "the disk is full" if err.errno in _FULL else err.strerror or str(err)
        raise DiskError(f"{path} can't be written: {why}.") from err


def hop_dtype(hop: int, n_electrodes: int) -> np.dtype[np.void]:
    """Type of a hop's record."""
    n = n_electrodes
    return np.dtype(
        [
            ("mean", "<f4", (n,)),
            ("scale", "<f4", (n,)),
            ("signal", "<i2", (hop, n)),
            ("exponent", "i1", (n,)),
            ("valid", "?", (n,)),
        ],
        align=True,
    )


def to_counts(signal: FloatArray) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int8]]:
    """Signal as counts and what a count is.

    Parameters
    ----------
    signal : ndarray, shape (n_hops, hop, n_electrodes), float32, µV

    Returns
    -------
    counts : ndarray, as ``signal``, int16
    exponent : ndarray, shape (n_hops, n_electrodes), int8
        A count is ``2**exponent`` µV.
    """
    peak = np.abs(signal).max(axis=1).astype(np.float64)
    exponent = np.maximum(np.frexp(peak / MOST_COUNTS)[1], LEAST_EXPONENT)
    counts = np.rint(np.ldexp(signal, -exponent[:, None]))
    return counts.astype(np.int16), exponent.astype(np.int8)


class StoredSignal(NDArrayOperatorsMixin):
    """Rows of a stored signal, shape (n_rows, n_electrodes), float32 µV.

    A slice of rows is a view that costs nothing; whatever else is asked of it is an ndarray.

    Parameters
    ----------
    hops : ndarray, shape (n_hops,), of :func:`hop_dtype`
    start, stop : int
        The rows that are shown; all where ``stop`` is None.
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(self, hops: npt.NDArray[Any], start: int = 0, stop: int | None = None) -> None:
        self._hops = hops
        _, self._hop, self._n = hops["signal"].shape
        self._start = start
        self._stop = len(hops) * self._hop if stop is None else stop

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and electrodes."""
        return len(self), self._n

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, key: Any) -> Any:
        rows, columns = key if isinstance(key, tuple) else (key, None)
        if not isinstance(rows, slice):
            at = np.arange(self._start, self._stop)[rows]
            hop, row = np.divmod(at, self._hop)
            counts = self._hops["signal"][hop, row].astype(np.float32)
            made = np.ldexp(counts, self._hops["exponent"][hop])
            return made if columns is None else made[..., columns]
        start, stop, step = rows.indices(len(self))
        view = StoredSignal(self._hops, self._start + start, self._start + max(start, stop))
        if step != 1:
            whole = self if step < 0 else view
            made = whole._read(None)[rows if step < 0 else slice(None, None, step)]
            return made if columns is None else made[:, columns]
        return view if columns is None else view._read(columns)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> FloatArray:
        made: FloatArray = self._read(None).astype(dtype or np.float32, copy=False)
        return made

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **named: Any) -> Any:
        plain = [np.asarray(x) if isinstance(x, StoredSignal) else x for x in inputs]
        return getattr(ufunc, method)(*plain, **named)

    def _read(self, columns: Any) -> FloatArray:
        """Turn counts into µV."""
        first, last = self._start // self._hop, -(-self._stop // self._hop)
        hops = self._hops[first:last]
        counts, exponent = hops["signal"], hops["exponent"][:, None]
        if columns is not None:
            counts, exponent = counts[..., columns], exponent[..., columns]
        made = np.ldexp(counts.astype(np.float32), exponent)
        rows: FloatArray = made.reshape(-1, *made.shape[2:])
        return rows[self._start - first * self._hop : self._stop - first * self._hop]


class GrowingArray:
    """A ``.npy`` file that rows are appended to; its header is right once it is closed.

    Parameters
    ----------
    path : Path
    dtype : dtype
    tail : tuple of int
        Shape of a row.

    Raises
    ------
    DiskError
        Where it can't be written; so do the other methods.
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike, tail: tuple[int, ...] = ()) -> None:
        self._path = path
        self._dtype = np.dtype(dtype)
        self._tail = tail
        self.n_rows = 0
        with writing(path):
            self._file = path.open("wb")
        self._head()
        self._begin = self._file.tell()

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Write rows behind those that are there."""
        with writing(self._path):
            self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
        self.n_rows += len(rows)

    def cut(self, n_rows: int) -> None:
        """Keep the first rows only."""
        size = self._dtype.itemsize * int(np.prod(self._tail, dtype=np.int64))
        with writing(self._path):
            self._file.flush()
            self._file.truncate(self._begin + n_rows * size)
        self.n_rows = n_rows

    def __enter__(self) -> GrowingArray:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                with writing(self._path):
                    self._file.seek(0)
                    self._head()
                    self._file.flush()
        finally:
            with writing(self._path):
                self._file.close()

    def _head(self) -> None:
        """Write the header; numpy leaves room in it for a longer first axis."""
        head = {
            "descr": npy.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.n_rows, *self._tail),
        }
        with writing(self._path):
            npy.write_array_header_1_0(self._file, head)
