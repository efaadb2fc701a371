"""The electrode vocabulary: which row of the embedding an electrode has.

``electrodes.tsv`` lists the sites of the extended 10-05 system (343 labels of Oostenveld and
Praamstra 2001 as MNE gives them, the four legacy temporal names as aliases).  Its order is the
meaning of trained weights: rows are appended, never moved or removed.  Row 0 of an embedding is
the generic electrode, for channels whose place on the head nobody knows.

A name finds its row by any of the spellings that :func:`rtbci.montage.normalise` undoes (``T3``,
``Fc5.``, ``EEG Fp1-Ref``, ``F4-A1``), case aside.  A bipolar derivation (``Fp1-F7``) takes the row
of its first contact, whose potential enters with a plus.  Electrodes with foreign names and known
positions have got the names of the nearest sites when the file was read (:mod:`rtbci.sites`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from functools import cache
from importlib import resources

from rtbci import montage
from rtbci.errors import BadInputError

GENERIC = 0
"""Embedding row of an electrode that the vocabulary or the training does not know."""

_TEN_TEN = 86
"""Rows of the file that are the 10-10 system."""

_BETWEEN = ("FFT", "FFC", "FTT", "FCC", "TTP", "CCP", "TPP", "CPP", "PPO")

_BIPOLAR = re.compile(
    r"^(?:eeg[\s:_-]+)?([a-z]+\d{0,2}h?)\s*[-/]\s*([a-z]+\d{0,2}h?)$", re.IGNORECASE
)


@cache
def names() -> tuple[str, ...]:
    """Names in the order of their embedding rows 1, 2, ..."""
    return tuple(name for name, _ in _rows())


@cache
def graph_nodes() -> tuple[str, ...]:
    """Give the 138 electrodes of the paper's graph (Yue et al., arXiv 2410.19779), our choice.

    The paper says how many they are, not which.  These are the 86 sites of the 10-10 system, the
    ten sites between each two rows from FFC to PPO, where caps with 128 electrodes have theirs,
    and the mastoids, which sleep montages record.
    """
    between = tuple(n for n in names() if n.endswith("h") and n.startswith(_BETWEEN))
    return (*names()[:_TEN_TEN], *between, "M1", "M2")


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


@cache
def row_of(name: str) -> int:
    """Embedding row that a name alone has in the whole vocabulary; 0 where it tells no place."""
    index = _index()
    row = index.get(name.casefold()) or index.get(montage.normalise(name).casefold())
    if row is None:
        pair = _BIPOLAR.match(name.strip())
        if pair is not None and pair[2].casefold() in index:
            row = index.get(pair[1].casefold())
    return row or GENERIC


def electrode_ids(electrodes: Sequence[str], known: Collection[str] = ()) -> list[int]:
    """Embedding rows of electrodes, by name.

    Parameters
    ----------
    electrodes : sequence of str
        Names as the montage gives them, in any of the common spellings.
    known : collection of str
        Names seen in training: all others get the generic row, whose embedding was trained in
        their stead.  Empty: the whole vocabulary is known.

    Returns
    -------
    ids : list of int
        0 for a name that is not known.
    """
    allowed = {row_of(name) for name in known} - {GENERIC}
    ids = [row_of(name) for name in electrodes]
    return [i if not known or i in allowed else GENERIC for i in ids]


def placeless(electrodes: Sequence[str]) -> list[str]:
    """Names among these that tell no place on the head: intracranial contacts, bare numbers."""
    return [name for name in electrodes if not row_of(name)]


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
