"""Names of subjects: what can be one.  Apart from profiles, so that nothing heavy is imported."""

from __future__ import annotations

import re

from rtbci.errors import BadInputError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
RESERVED = re.compile(r"con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)
"""What Windows takes for devices."""


def check_subject(name: str) -> str:
    """Give the name back if it can be a folder's name.

    Raises
    ------
    BadInputError
        Where it has other characters than letters, digits, ``-`` and ``_``.
    """
    if not NAME.fullmatch(name) or RESERVED.fullmatch(name):
        raise BadInputError(
            f"subject {name!r} can't be a profile's name: use letters, digits, - and _, at most "
            "64, as in P07."
        )
    return name
