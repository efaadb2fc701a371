"""Errors that a user meets: one sentence with the value and the remedy, and an exit code."""


class RtbciError(Exception):
    """Something failed while running (a board went silent, the disk is full).

    The message is shown to the user as it is: what happened, why it matters, what to do.
    """

    exit_code = 1


class BadInputError(RtbciError):
    """What was asked for can't be done as asked (unknown name, foreign file, wrong montage)."""

    exit_code = 2


class SourceError(RtbciError):
    """A source can't be opened or read now (port busy, board silent, stream gone)."""


class RecordingError(RtbciError):
    """A recording can't be written or read any further (disk full, header damaged)."""
