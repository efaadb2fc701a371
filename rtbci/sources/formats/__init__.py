"""Readers of recordings, one module a family of formats.

To add one: a module with a function from a path to :class:`~rtbci.sources.formats.common.Opened`,
and its suffix in :func:`open_file`.
"""

from __future__ import annotations

from pathlib import Path

from rtbci.errors import BadInputError
from rtbci.sources.formats.brainflow_csv import open_brainflow
from rtbci.sources.formats.common import Opened
from rtbci.sources.formats.csv_table import looks_like_csv, open_csv
from rtbci.sources.formats.mne_formats import SUFFIXES, open_mne
from rtbci.sources.formats.openbci_txt import looks_like_openbci, open_openbci
from rtbci.sources.formats.xdf import open_xdf

_COMPANIONS = {".eeg": ".vhdr", ".vmrk": ".vhdr", ".dat": ".vhdr", ".fdt": ".set"}
_TEXT = (".txt", ".csv", ".tsv")


def open_file(
    path: Path, board: str | None = None, stream: str | None = None, *, cut_off: bool = False
) -> Opened:
    """Open a recording of any known format.

    Parameters
    ----------
    path : Path
    board : str | None
        The board of a BrainFlow file, where it should not be guessed.
    stream : str | None
        The stream of an XDF file, where it should not be chosen.
    cut_off : bool
        Take a file that ends too early for what is there: rows near its end may be unreadable.

    Raises
    ------
    BadInputError
        Where the file is missing, empty, damaged or of an unknown kind.
    """
    path = _present(Path(path))
    suffixes = [s.lower() for s in path.suffixes]
    suffix = suffixes[-1] if suffixes else ""
    if suffix == ".gz" and suffixes[-2:-1] == [".fif"]:
        return open_mne(path, cut_off=cut_off)
    if suffix in SUFFIXES:
        return open_mne(path, cut_off=cut_off)
    if suffix in (".xdf", ".xdfz"):
        return open_xdf(path, stream)
    if suffix in _TEXT:
        return _open_text(path, board)
    raise BadInputError(
        f"{path} has the unknown ending {suffix or 'none'!r}; rtbci replays "
        f"{', '.join(SUFFIXES)}, .xdf, OpenBCI GUI .txt, BrainFlow .csv and .csv with times."
    )


def looks_like_recording(path: Path) -> bool:
    """Whether a text file begins as one of the text formats, without a board being guessed."""
    try:
        with path.open("rb") as file:
            beginning = file.read(4096).decode("utf-8", errors="replace")
    except OSError:
        return False
    return looks_like_openbci(beginning) or looks_like_csv(beginning)


def _present(path: Path) -> Path:
    """Check that there is something to read; a companion file leads to its header."""
    if path.is_dir():
        raise BadInputError(f"{path} is a folder, not a recording; name a file in it.")
    companion = _COMPANIONS.get(path.suffix.lower())
    if companion is not None and path.with_suffix(companion).is_file():
        path = path.with_suffix(companion)
    try:
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except FileNotFoundError as err:
        raise BadInputError(f"{path} does not exist; check the path.") from err
    except OSError as err:
        raise BadInputError(f"{path} can't be read: {err.strerror}.") from err
    if size == 0:
        raise BadInputError(f"{path} is empty (0 bytes); nothing was recorded or copied.")
    return path


def _open_text(path: Path, board: str | None) -> Opened:
    """Tell the text formats apart by how they begin."""
    with path.open("rb") as file:
        beginning = file.read(4096).decode("utf-8", errors="replace")
    if looks_like_openbci(beginning):
        return open_openbci(path)
    first = beginning.lstrip("\ufeff").split("\n", 1)[0].replace("\t", ",").split(",")
    try:
        [float(cell) for cell in first]
    except ValueError:
        return open_csv(path)
    return open_brainflow(path, board)
