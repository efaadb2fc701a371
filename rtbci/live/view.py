"""What a window sees of a session, wherever it comes from.

:class:`View` is read from another process (:mod:`rtbci.live.reader`) or fed by calls
(:mod:`rtbci.live.memory`).  Everything that a reader asks for is asked by position, "what has come
after ...": a reader that is slow, or comes late, gets what is still kept and sees from the
position where that begins.

Rows are counted from the session's first row; times are seconds of the session's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rtbci.types import Channel, Decode, FloatArray, Forecast, IndexArray, TimeArray

ALIVE_S = 2.0
"""An engine that has not beaten for so long is taken for dead."""
TOKENS_S = 3.0
"""Forecasts are kept for so long."""
DECODES_S = 60.0
"""Decodes are kept for so long."""


@dataclass(frozen=True, slots=True)
class ViewInfo:
    """What stays the same while a session runs.

    Attributes
    ----------
    session : str
        Its id, as ``rtbci attach`` takes it.
    source : str
        For people: ``OpenBCI Cyton on /dev/ttyUSB0``.
    kind : str
        ``brainflow``, ``lsl``, ``fieldtrip``, ``replay`` or ``simulator``.
    rate : float
        Nominal rate of the source, Hz.
    channels : tuple of Channel
        All that is recorded, in the order of the columns of :meth:`View.rows`.
    electrodes : tuple of str
        The EEG channels, in the order of the columns of :meth:`View.filtered` and of forecasts.
    model_rate : float
        Rows a second of :meth:`View.filtered`, Hz.
    model : str
    classes : tuple of str
        Of the decodes; empty where nothing decodes.
    decoder : str
        Which decoder and of whom; empty where nothing decodes.
    calibrated : bool
        Whether the decoder was fitted on this subject.
    n_horizons : int
        Samples ahead of a forecast, at the model's rate.
    recording : str | None
        Its folder.
    subject : str | None
    begun : float | None
        Time of the session's first row; None before there is one.
    ring_s : float
        Seconds of rows that are kept.
    """

    session: str
    source: str
    kind: str
    rate: float
    channels: tuple[Channel, ...]
    electrodes: tuple[str, ...]
    model_rate: float
    model: str
    classes: tuple[str, ...]
    decoder: str
    calibrated: bool
    n_horizons: int
    recording: str | None
    subject: str | None
    begun: float | None
    ring_s: float


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in one piece.

    Attributes
    ----------
    start : int
        Index of the first row in the session.
    data : ndarray, shape (n_times, n_channels), float32
    times : ndarray, shape (n_times,), float64
        Seconds of the session's clock.
    """

    start: int
    data: FloatArray
    times: TimeArray

    @property
    def stop(self) -> int:
        """Index one past the last row: what to ask for next."""
        return self.start + len(self.data)


class View(Protocol):
    """A session as a window sees it; never waits, never raises once it is open."""

    @property
    def info(self) -> ViewInfo:
        """What the session is."""

    @property
    def alive(self) -> bool:
        """Whether the engine is there and beats."""

    def rows(self, after: int, limit: int | None = None) -> Rows:
        """Rows from index ``after`` on that are still kept, as recorded, all channels.

        At most ``limit`` of them, the oldest first.  ``Rows.start`` lies behind ``after`` where
        older rows are gone.
        """

    def filtered(self, after: int, limit: int | None = None) -> Rows:
        """The signal as the model sees it, from its row ``after`` on; electrodes only.

        Counted in rows of the model's rate over the whole session; a time is that of the instant
        that the row stands for.  Never NaN; of an electrode that is left out it is worthless.
        """

    def filtered_breaks(self, after: int) -> IndexArray:
        """Rows of :meth:`filtered`, from ``after`` on, at which a new segment begins."""

    def forecasts(self, after_token: int) -> Sequence[Forecast]:
        """Forecasts of tokens behind ``after_token`` (-1 for all) that are still kept, in order."""

    def decodes(self, after_token: int) -> Sequence[Decode]:
        """Decodes of tokens behind ``after_token`` (-1 for all) that are still kept, in order."""

    def status(self) -> dict[str, Any] | None:
        """The newest ``status`` event; None before there is one."""

    def events(self, after: int) -> tuple[list[dict[str, Any]], int]:
        """Events of the session from position ``after`` (0 for all), and the position behind them.

        All events but ``status``, ``decode`` and ``forecast``, which are seen better by the other
        methods.
        """

    def heartbeat_age(self) -> float:
        """Seconds since the engine last beat."""

    def close(self) -> None:
        """Let go of the session; it goes on."""
