"""The newest rows of a stream as one contiguous view, without ever moving them.

Every row is written twice, ``capacity`` rows apart, so that any window of up to ``capacity``
rows that ends at the newest one lies in one piece::

    slot      0 1 2 3 | 4 5 6 7        capacity 4, six rows written
    row       4 5 2 3 | 4 5 2 3
                  [3 4 5]              view(3)

Concurrency: one thread writes and reads; a view is valid until the next write.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class MirrorRing:
    """Ring of rows whose newest ``n`` are always contiguous.

    Parameters
    ----------
    capacity : int
        Rows that are kept, at least 1.
    n_channels : int
        Columns.
    dtype : dtype
        Of the rows; float32 as the stream has it.

    Raises
    ------
    ValueError
        Where ``capacity`` is below 1 or ``n_channels`` below 0.
    """

    def __init__(self, capacity: int, n_channels: int, dtype: npt.DTypeLike = np.float32) -> None:
        if capacity < 1 or n_channels < 0:
            raise ValueError(
                f"a ring needs room for at least 1 row and 0 channels, "
                f"got capacity {capacity} and {n_channels} channels"
            )
        self.capacity = capacity
        self._rows = np.zeros((2 * capacity, n_channels), dtype=dtype)
        self._next = 0
        self._size = 0

    @property
    def size(self) -> int:
        """Rows that can be viewed: what was written since the reset, at most ``capacity``."""
        return self._size

    def reset(self) -> None:
        """Forget all rows."""
        self._next = 0
        self._size = 0

    def write(self, block: npt.NDArray[Any]) -> None:
        """Append rows; of a block longer than the ring the newest rows stay.

        Parameters
        ----------
        block : ndarray, shape (n_times, n_channels)
            Copied.
        """
        rows = block[-self.capacity :] if len(block) > self.capacity else block
        first = min(len(rows), self.capacity - self._next)
        for part in (rows[:first], rows[first:]):
            if len(part) == 0:
                continue
            start, stop = self._next, self._next + len(part)
            self._rows[start:stop] = part
            self._rows[start + self.capacity : stop + self.capacity] = part
            self._next = stop % self.capacity
        self._size = min(self.capacity, self._size + len(rows))

    def view(self, n: int) -> npt.NDArray[Any]:
        """Show the newest ``n`` rows, oldest first, read-only, valid until the next write.

        Raises
        ------
        ValueError
            Where the ring does not hold so many rows.
        """
        if not 0 <= n <= self._size:
            raise ValueError(f"the ring holds {self._size} rows, {n} were asked for")
        stop = self._next + self.capacity
        rows = self._rows[stop - n : stop]
        rows.flags.writeable = False
        return rows
