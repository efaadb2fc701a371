"""Which markers mean which class: said by the user, or known from the name of the file."""

from __future__ import annotations

import re
from pathlib import Path

from rtbci.errors import BadInputError

CLASSES = ("left_hand", "right_hand", "both_hands", "feet", "both_feet", "tongue", "rest")
"""Names of classes that this program knows to show; any other word may be a class, too."""
_EEGMMIDB = re.compile(r"S\d{3}R(?P<run>\d{2})", re.IGNORECASE)
_HANDS_RUNS = frozenset({3, 4, 7, 8, 11, 12})
_BOTH_RUNS = frozenset({5, 6, 9, 10, 13, 14})
_REST_RUNS = frozenset({1, 2})


def parse_classes(text: str) -> dict[str, str]:
    """Read ``T1=left_hand,T2=right_hand``.

    Returns
    -------
    classes : dict
        Class by marker label, in the order given; several markers may mean one class.

    Raises
    ------
    BadInputError
        On a part that is not ``MARKER=CLASS``, or a marker that comes twice.
    """
    classes: dict[str, str] = {}
    for part in text.split(","):
        label, equals, name = (piece.strip() for piece in part.partition("="))
        if not (label and equals and name):
            raise BadInputError(
                f"classes {text!r} can't be read at {part.strip()!r}: "
                "write MARKER=CLASS with commas, as in T1=left_hand,T2=right_hand."
            )
        if label in classes:
            raise BadInputError(
                f"classes {text!r} give marker {label!r} two classes: "
                f"{classes[label]} and {name}; name each marker once."
            )
        classes[label] = name
    return classes


def classes_for(path: str | Path) -> dict[str, str]:
    """Tell the classes of an EEGMMIDB run (``SnnnRmm``) by its number, which its file can't.

    Runs 3, 4, 7, 8, 11 and 12 move or imagine one hand, runs 5, 6, 9, 10, 13 and 14 both
    hands or both feet, runs 1 and 2 are rest (Schalk et al. 2004,
    doi:10.1109/TBME.2004.827072).

    Returns
    -------
    classes : dict
        Class by marker label; empty for any other file.
    """
    match = _EEGMMIDB.fullmatch(Path(path).stem)
    run = int(match["run"]) if match else 0
    if run in _HANDS_RUNS:
        return {"T1": "left_hand", "T2": "right_hand"}
    if run in _BOTH_RUNS:
        return {"T1": "both_hands", "T2": "both_feet"}
    if run in _REST_RUNS:
        return {"T0": "rest"}
    return {}
