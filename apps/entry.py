"""Where the command ``rtbci`` begins: nothing is imported before Ctrl-C is known.

Importing the command line takes a moment, in which Ctrl-C would end in a traceback.
"""

from __future__ import annotations

import sys

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended, as shells have it."""


def main() -> None:
    """Run the command line and exit."""
    try:
        from rtbci.apps import cli

        cli.main()
    except KeyboardInterrupt:
        if sys.stderr is not None:  # closed by the caller (2>&-)
            sys.stderr.write("rtbci: ended by Ctrl-C.\n")
        sys.exit(INTERRUPTED)
