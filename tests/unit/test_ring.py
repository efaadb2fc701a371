"""The mirror ring: newest rows in one piece, whatever was written."""

from __future__ import annotations

import numpy as np
import pytest

from rtbci.ring import MirrorRing


def numbered(start: int, n: int) -> np.ndarray:
    return np.repeat(np.arange(start, start + n, dtype=np.float32)[:, None], 2, axis=1)


def test_newest_rows_after_every_kind_of_write() -> None:
    ring = MirrorRing(8, 2)
    written = 0
    for n in (3, 0, 5, 1, 7, 8, 20, 2):
        ring.write(numbered(written, n))
        written += n
        assert ring.size == min(8, written)
        expected = numbered(written - ring.size, ring.size)
        np.testing.assert_array_equal(ring.view(ring.size), expected)
        np.testing.assert_array_equal(ring.view(0), expected[:0])


def test_view_is_one_piece_without_copy_and_read_only() -> None:
    ring = MirrorRing(4, 2)
    ring.write(numbered(0, 6))
    rows = ring.view(3)
    assert rows.flags.c_contiguous
    assert np.shares_memory(rows, ring.view(4))
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 1.0


def test_reset_forgets() -> None:
    ring = MirrorRing(4, 2)
    ring.write(numbered(0, 6))
    ring.reset()
    assert ring.size == 0
    ring.write(numbered(100, 1))
    np.testing.assert_array_equal(ring.view(1), numbered(100, 1))


def test_dtype_is_kept() -> None:
    ring = MirrorRing(4, 1, np.float64)
    ring.write(np.array([[1 / 3]]))
    assert ring.view(1)[0, 0] == 1 / 3


def test_too_many_rows_are_refused() -> None:
    ring = MirrorRing(4, 2)
    ring.write(numbered(0, 2))
    with pytest.raises(ValueError, match="holds 2 rows, 3 were asked for"):
        ring.view(3)


def test_a_ring_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="got capacity 0"):
        MirrorRing(0, 2)
