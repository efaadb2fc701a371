"""Loads the LSL library, quietly.

liblsl writes what it does to standard error, between the lines of a session.  Where the user has
a configuration of her own for it, that stays in force; else only its errors are let through.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

QUIET = "[log]\nlevel = -2\n"
"""liblsl's configuration: errors only."""


def user_config() -> Path | None:
    """Give the configuration file that liblsl would load by itself, in its own order."""
    told = os.environ.get("LSLAPICFG", "")
    places = [
        *([Path(told)] if told else []),
        Path("lsl_api.cfg"),
        Path.home() / "lsl_api" / "lsl_api.cfg",
        Path("/etc/lsl_api/lsl_api.cfg"),
    ]
    return next((place for place in places if place.is_file()), None)


@functools.cache
def load_pylsl() -> Any:
    """Import pylsl, with liblsl's chatter off unless the user has configured it."""
    import pylsl

    if user_config() is None:
        # NB: must come before the first other call into liblsl, which reads its settings then.
        pylsl.set_config_content(QUIET)
    return pylsl
