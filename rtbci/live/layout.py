"""The file that a session's view lives in: rings that one process writes and any number map.

    magic | length of the header | header (JSON): info, places | marks | ring | ring | ...

A ring counts what was ever put into it, twice: ``claimed`` is raised before rows are written,
``written`` behind them.  So a reader knows which rows are whole (below ``written``), and after
it has copied some, which of them may have been overwritten meanwhile (those ``capacity`` below
``claimed``): it never sees a torn row, and the writer never waits for a reader.

The file is filled with zeros before it is mapped: on a full disk that fails with an error, where a
page that is missing later would kill the process.

Concurrency: one thread writes a file; each reader has its own mapping.
"""

from __future__ import annotations

import json
import mmap
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.errors import BadInputError

MAGIC = b"rtbci 1\n"
"""Written last: a file without it is not ready.  Its number changes with the layout."""
ALIGN = 64
CLAIMED, WRITTEN = 0, 1
PIECE = 1 << 20

_barrier = threading.Lock()


def fence() -> None:
    """Let what was written before be seen before what is written behind.

    Python has no memory barrier of its own, but a lock is one: nothing moves out of it.  Two
    rounds, because things may move into it from either side.
    """
    with _barrier:
        pass
    with _barrier:
        pass


@dataclass(frozen=True, slots=True)
class RingShape:
    """One ring of the file.

    Attributes
    ----------
    capacity : int
        Entries that are kept.
    fields : dict
        Of an entry: ``name: (dtype, shape)``, plain values.
    """

    capacity: int
    fields: Mapping[str, tuple[str, tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class Ring:
    """A ring in a mapped file.

    Attributes
    ----------
    counts : ndarray, shape (2,), int64
        ``CLAIMED`` and ``WRITTEN``.
    fields : dict of ndarray, shape (capacity, ...)
    """

    counts: npt.NDArray[np.int64]
    fields: dict[str, npt.NDArray[Any]]
    capacity: int

    @property
    def written(self) -> int:
        """How many entries were ever put in."""
        return int(self.counts[WRITTEN])

    def write(self, **blocks: npt.ArrayLike) -> None:
        """Put entries in, one array for each field; of too many at once the newest stay."""
        arrays = {name: np.asarray(block) for name, block in blocks.items()}
        n = len(next(iter(arrays.values())))
        start = self.written
        stop = start + n
        first = max(start, stop - self.capacity)
        self.counts[CLAIMED] = stop
        fence()
        for name, array in arrays.items():
            kept, ring = array[first - start :], self.fields[name]
            at = first % self.capacity
            before_end = min(len(kept), self.capacity - at)
            ring[at : at + before_end] = kept[:before_end]
            ring[: len(kept) - before_end] = kept[before_end:]
        fence()
        self.counts[WRITTEN] = stop

    def read(self, after: int, limit: int | None = None) -> tuple[int, dict[str, npt.NDArray[Any]]]:
        """Copy entries from number ``after`` on that are still there, at most ``limit``.

        Returns
        -------
        start : int
            Number of the first one.
        fields : dict of ndarray, shape (n, ...)
        """
        written = self.written
        fence()
        start = min(written, max(after, written - self.capacity, 0))
        stop = written if limit is None else min(written, start + limit)
        at = np.arange(start, stop) % self.capacity
        copies = {name: ring[at] for name, ring in self.fields.items()}
        fence()
        whole = min(stop, max(start, int(self.counts[CLAIMED]) - self.capacity))
        return whole, {name: copy[whole - start :] for name, copy in copies.items()}


@dataclass(frozen=True, slots=True)
class MappedFile:
    """A view's file, mapped.

    Attributes
    ----------
    info : dict
        What the writer says of the session.
    marks : ndarray, shape (n_marks,), float64
        Single values that change.
    rings : dict of Ring
    """

    info: dict[str, Any]
    marks: npt.NDArray[np.float64]
    rings: dict[str, Ring]


def create(
    path: Path, info: Mapping[str, Any], n_marks: int, shapes: Mapping[str, RingShape]
) -> MappedFile:
    """Make a file and map it for writing; readers see it once this returns.

    Raises
    ------
    OSError
        Where it can't be written (full disk, no rights).
    """
    places, size = _places(n_marks, shapes)
    told = {"info": dict(info), "n_marks": n_marks, "size": size}
    told["rings"] = {
        name: {"capacity": shape.capacity, "fields": shape.fields} for name, shape in shapes.items()
    }
    header = json.dumps(told).encode()
    begin = _aligned(len(MAGIC) + 8 + len(header))
    end = begin + size
    with path.open("wb") as file:
        file.writelines(bytes(min(PIECE, end - at)) for at in range(0, end, PIECE))
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), end)
    made = _view(mapped, begin, dict(info), n_marks, shapes, places)
    mapped[len(MAGIC) : len(MAGIC) + 8] = len(header).to_bytes(8, "little")
    mapped[len(MAGIC) + 8 : len(MAGIC) + 8 + len(header)] = header
    fence()
    mapped[: len(MAGIC)] = MAGIC
    return made


def is_ready(path: Path) -> bool:
    """Whether there is a view that can be opened."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def attach(path: Path) -> MappedFile:
    """Map a file for reading.

    Raises
    ------
    BadInputError
        Where there is none, or another version wrote it.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
            if magic != MAGIC:
                ours = magic[:6] == MAGIC[:6]
                why = "was begun by another version of rtbci" if ours else "is not ready yet"
                raise BadInputError(
                    f"the session in {path.parent} {why}, so it can't be shown; "
                    + ("use the version that began it." if ours else "try again in a moment.")
                )
            length = int.from_bytes(file.read(8), "little")
            told = json.loads(file.read(length))
            begin = _aligned(len(MAGIC) + 8 + length)
            mapped = mmap.mmap(file.fileno(), begin + told["size"], access=mmap.ACCESS_READ)
    except OSError as err:
        raise BadInputError(
            f"there is no session in {path.parent} ({err.strerror}); `rtbci attach --list` shows "
            "those that run."
        ) from err
    shapes = {
        name: RingShape(
            ring["capacity"], {k: (d, tuple(s)) for k, (d, s) in ring["fields"].items()}
        )
        for name, ring in told["rings"].items()
    }
    places, _ = _places(told["n_marks"], shapes)
    return _view(mapped, begin, told["info"], told["n_marks"], shapes, places)


def _aligned(n: int) -> int:
    return -(-n // ALIGN) * ALIGN


def _places(
    n_marks: int, shapes: Mapping[str, RingShape]
) -> tuple[dict[tuple[str, str], int], int]:
    """Where each array begins, counted from behind the header, and where all end."""
    places: dict[tuple[str, str], int] = {}
    at = _aligned(8 * n_marks)
    for name, shape in shapes.items():
        places[name, ""] = at
        at = _aligned(at + 16)
        for field, (dtype, inner) in shape.fields.items():
            places[name, field] = at
            at = _aligned(at + shape.capacity * int(np.prod(inner)) * np.dtype(dtype).itemsize)
    return places, at


def _view(
    mapped: mmap.mmap,
    begin: int,
    info: dict[str, Any],
    n_marks: int,
    shapes: Mapping[str, RingShape],
    places: Mapping[tuple[str, str], int],
) -> MappedFile:
    def array(at: int, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        flat = np.frombuffer(mapped, dtype, int(np.prod(shape)), begin + at)
        return flat.reshape(shape)

    rings = {
        name: Ring(
            array(places[name, ""], "i8", (2,)),
            {
                field: array(places[name, field], dtype, (shape.capacity, *inner))
                for field, (dtype, inner) in shape.fields.items()
            },
            shape.capacity,
        )
        for name, shape in shapes.items()
    }
    return MappedFile(info, array(0, "f8", (n_marks,)), rings)
