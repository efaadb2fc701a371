"""The electrode vocabulary: which row of the embedding an electrode's name has.

``electrodes.tsv`` lists the sites of the extended 10-05 system (343 labels of Oostenveld and
Praamstra 2001 as MNE gives them, the four legacy temporal names as aliases).  Its order is the
meaning of trained weights: rows are appended, never moved or removed.  Row 0 of an embedding is
the generic electrode, for channels without a name or with one that is not listed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from functools import cache
from importlib import resources

from rtbci.errors import BadInputError

GENERIC = 0
"""Embedding row of an electrode that the vocabulary or the training does not know."""


@cache
def names() -> tuple[str, ...]:
    """Names in the order of their embedding rows 1, 2, ..."""
    return tuple(name for name, _ in _rows())


def size() -> int:
    """Embedding rows of the whole vocabulary, the generic one included."""
    return 1 + len(names())


@cache
def _rows() -> tuple[tuple[str, str], ...]:
    text = resources.files("rtbci.models").joinpath("electrodes.tsv").read_text(encoding="utf-8")
    lines = text.splitlines()[1:]
    return tuple((line.split("\t")[0], line.split("\t")[1]) for line in lines)


@cache
def _index() -> dict[str, int]:
    index: dict[str, int] = {}
    for row, (name, alias) in enumerate(_rows(), start=1):
        index[name.casefold()] = row
        if alias:
            index[alias.casefold()] = row
    return index


def electrode_ids(electrodes: Sequence[str], known: Collection[str] = ()) -> list[int]:
    """Embedding rows of electrodes, by name.

    Parameters
    ----------
    electrodes : sequence of str
        Names as the montage gives them; case does not matter, T3 T4 T5 T6 are T7 T8 P7 P8.
    known : collection of str
        Names seen in training: all others get the generic row, whose embedding was trained in
        their stead.  Empty: the whole vocabulary is known.

    Returns
    -------
    ids : list of int
        0 for a name that is not known.
    """
    index = _index()
    allowed = {index[name.casefold()] for name in known if name.casefold() in index}
    ids = [index.get(name.casefold(), GENERIC) for name in electrodes]
    return [i if not known or i in allowed else GENERIC for i in ids]


def digest(rows: int) -> str:
    """SHA-256 of the first ``rows`` embedding rows' names: equal digests, equal meaning.

    Raises
    ------
    BadInputError
        Where this version's vocabulary is shorter.
    """
    if rows > size():
        raise BadInputError(
            f"the model's electrode vocabulary has {rows} rows but this version of rtbci knows "
            f"{size()}: update rtbci to run it."
        )
    return hashlib.sha256("\n".join(names()[: rows - 1]).encode()).hexdigest()
