"""Tables of numbers in text files: read fast, with the line named where one is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtbci.sources.formats.common import foreign


@dataclass(frozen=True)
class TextTable:
    """Lines of a text file.

    Attributes
    ----------
    header : tuple of str
        Lines before the first row of numbers, stripped.
    rows : list of str
    delimiter : str
    n_columns : int
    cut_off : bool
        True where the last line was incomplete and is left out (a crash of the writer).
    """

    header: tuple[str, ...]
    rows: list[str]
    delimiter: str
    n_columns: int
    cut_off: bool

    def cells(self, column: int) -> list[str]:
        """Cells of one column as text."""
        return [row.split(self.delimiter)[column].strip() for row in self.rows]


def read_table(path: Path, kind: str) -> TextTable:
    """Split a text file into its header and its rows of numbers.

    Raises
    ------
    BadInputError
        Where it is not text, or has no row of numbers.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as err:
        raise foreign(path, kind, "it is not text") from err
    first = next((i for i, line in enumerate(lines) if _begins_with_number(line)), None)
    if first is None:
        raise foreign(path, kind, "it has no row of numbers")
    header = tuple(line.strip() for line in lines[:first])
    rows = [line for line in lines[first:] if line.strip()]
    delimiter = max("\t,;", key=rows[0].count)
    n_columns = rows[0].count(delimiter) + 1
    cut_off = len(rows) > 1 and rows[-1].count(delimiter) + 1 != n_columns
    return TextTable(header, rows[:-1] if cut_off else rows, delimiter, n_columns, cut_off)


def numbers(
    table: TextTable, columns: Sequence[int], path: Path, kind: str
) -> npt.NDArray[np.float64]:
    """Parse columns of a table, (n_rows, n_columns); empty cells are NaN.

    Raises
    ------
    BadInputError
        With the line that has other cells than numbers, or fewer of them.
    """
    try:
        return np.loadtxt(
            table.rows, delimiter=table.delimiter, usecols=list(columns), ndmin=2, comments=None
        )
    except ValueError:
        return np.array([_parse(table, i, columns, path, kind) for i in range(len(table.rows))])


def _parse(table: TextTable, i: int, columns: Sequence[int], path: Path, kind: str) -> list[float]:
    """Parse one row with care: the fast way has failed on some row."""
    cells = table.rows[i].split(table.delimiter)
    line = len(table.header) + i + 1
    if len(cells) != table.n_columns:
        raise foreign(path, kind, f"row {line} has {len(cells)} cells, not {table.n_columns}")
    try:
        return [float(cells[c]) if cells[c].strip() else np.nan for c in columns]
    except ValueError as err:
        raise foreign(path, kind, f"row {line}: {err}") from err


def _begins_with_number(line: str) -> bool:
    """Whether the first cell of a line is a number."""
    cells = line.replace("\t", ",").replace(";", ",").split(",")
    try:
        float(cells[0])
    except ValueError:
        return False
    return len(cells) > 1
