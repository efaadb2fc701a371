"""What flows through rtbci, in the order in which it flows.

    source --RawChunk--> timeline --Chunk--> pipeline --Forecast, Decode, Health--> sinks
                                       |
                                       +--> recorder (raw, before any filter)

Signals are µV and ``(n_times, n_channels)``; times are seconds of the session's clock
(:mod:`rtbci.clock`); indices count delivered rows of the session from 0.  Everything here
is frozen: a value that has left a stage does not change any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
TimeArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class ChannelType(StrEnum):
    """Channel types by their BIDS names; only ``EEG`` reaches the model."""

    EEG = "EEG"
    EOG = "EOG"
    EMG = "EMG"
    ECG = "ECG"
    REF = "REF"
    ACCEL = "ACCEL"
    TRIG = "TRIG"
    MISC = "MISC"


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a source.

    Attributes
    ----------
    name : str
        As the montage names it (``C3``), unique in its stream.
    type : ChannelType
    unit : str
        ``µV`` for EEG, EOG, EMG and ECG; what the source says otherwise.
    full_scale : float | None
        Largest magnitude that the amplifier can give, in ``unit``; None where unknown.
    """

    name: str
    type: ChannelType = ChannelType.EEG
    unit: str = "µV"
    full_scale: float | None = None


class SourceClock(StrEnum):
    """What a source's times are worth."""

    EXACT = "exact"
    """Sample times are known (a file, the simulator): the timeline passes them on."""
    HOST = "host"
    """Host receive times in bunches: the timeline regresses sample times on the counters."""
    REMOTE = "remote"
    """Stamped by the sender and clock-corrected (LSL): jitter, but no bunching."""


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a source says of its stream once it is open.

    Attributes
    ----------
    name : str
        For people: ``OpenBCI Cyton on /dev/ttyUSB0``.
    kind : str
        ``brainflow``, ``lsl``, ``fieldtrip``, ``replay`` or ``simulator``.
    rate : float
        Nominal sampling rate, Hz.
    channels : tuple of Channel
        All that is recorded, in the order of the columns.
    clock : SourceClock
    counter_step : int
        By how much the package counter grows from a row to the next (2 on a Daisy).
    counter_modulus : int | None
        Where the counter wraps (256 on a Cyton); None where there is no counter.
    device : dict
        Facts worth recording (serial number, firmware, gain), plain values.
    """

    name: str
    kind: str
    rate: float
    channels: tuple[Channel, ...]
    clock: SourceClock = SourceClock.EXACT
    counter_step: int = 1
    counter_modulus: int | None = None
    device: dict[str, Any] = field(default_factory=dict)

    @property
    def eeg(self) -> tuple[int, ...]:
        """Columns of the EEG channels."""
        return tuple(i for i, c in enumerate(self.channels) if c.type is ChannelType.EEG)

    @property
    def electrodes(self) -> tuple[str, ...]:
        """Names of the EEG channels, in the order of the columns."""
        return tuple(self.channels[i].name for i in self.eeg)

    @property
    def aside(self) -> tuple[int, ...]:
        """Columns of the EOG and EMG channels: a decoder may take them out of the others."""
        kinds = (ChannelType.EOG, ChannelType.EMG)
        return tuple(i for i, c in enumerate(self.channels) if c.type in kinds)

    @property
    def decoder_channels(self) -> tuple[str, ...]:
        """Names of the columns that a decoder gets: the electrodes, then EOG and EMG."""
        return (*self.electrodes, *(self.channels[i].name for i in self.aside))


CUE_ORIGIN = "cue"
"""Origin of a marker that stands for something this program has shown to the user."""


@dataclass(frozen=True, slots=True)
class Marker:
    """Something that happened at an instant: a cue, an annotation, a key.

    Attributes
    ----------
    time : float
        Seconds of the session's clock.
    label : str
        As its source gave it (``T1``, ``769``); never empty.
    duration : float
        Seconds, 0 for an instant.
    origin : str
        ``annotation``, ``lsl``, ``board``, ``user`` or :data:`CUE_ORIGIN`.
    sample : int | None
        Row of the session it belongs to; None until the timeline has seen that row.
    """

    time: float
    label: str
    duration: float = 0.0
    origin: str = "annotation"
    sample: int | None = None


@dataclass(frozen=True, slots=True)
class RawChunk:
    """What one ``read`` of a source gave.

    Attributes
    ----------
    data : ndarray, shape (n_times, n_channels), float32
        All channels in the order of ``StreamInfo.channels``, EEG in µV.
    times : ndarray, shape (n_times,), float64
        What the source knows of each row's time, in seconds of the session's clock
        (``StreamInfo.clock`` says what it is worth).
    received : float
        When the host had this chunk in hand, seconds of the session's clock.
    counters : ndarray, shape (n_times,), int64 | None
        The package counters as they came, modulo and all.
    markers : tuple of Marker
        A ``sample`` that is set counts from this chunk's first row, back where negative.
    breaks : tuple of int
        Rows of this chunk before which the source itself knows of a discontinuity
        (a file with a ``New Segment``, a reconnection).
    gaps : tuple of Gap | None
        Where it has been decided already what is missing (a recording of ours): all gaps before
        rows of this chunk, ``sample`` counted from its first row.  The timeline decides nothing
        again then.
    """

    data: FloatArray
    times: TimeArray
    received: float
    counters: IndexArray | None = None
    markers: tuple[Marker, ...] = ()
    breaks: tuple[int, ...] = ()
    gaps: tuple[Gap, ...] | None = None


class GapCause(StrEnum):
    """Why rows are missing."""

    LOST_FRAMES = "lost frames"
    """The package counter jumped."""
    STALL = "stall"
    """Time went on without rows, and no counter says how many are missing."""
    RECONNECT = "reconnect"
    """The source was lost and came back."""
    SOURCE = "source"
    """The source itself marked a discontinuity."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows that never came.  Nothing is inserted into the recording for them.

    Attributes
    ----------
    sample : int
        Index of the first row after the gap.
    start : float
        Time of the first missing row, seconds of the session's clock.
    length : float
        Seconds that are missing.
    missing : int
        Rows that are missing, to the nearest.
    cause : GapCause
    bridged : bool
        True where the pipeline bridges it; False where a new segment begins.
    """

    sample: int
    start: float
    length: float
    missing: int
    cause: GapCause
    bridged: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of the session, as recorded and as the pipeline sees them.

    Attributes
    ----------
    start : int
        Index of the first row in the session.
    data : ndarray, shape (n_times, n_channels), float32
    times : ndarray, shape (n_times,), float64
        Strictly increasing, never ahead of the clock.
    counters : ndarray, shape (n_times,), int64 | None
        As they came.
    gaps : tuple of Gap
        Gaps before rows of this chunk, in order.
    markers : tuple of Marker
        Their ``sample`` is set; it may lie before ``start`` (a marker that came late, which
        nothing may know of before row ``start``).
    received : float
        When the host had the rows in hand.
    """

    start: int
    data: FloatArray
    times: TimeArray
    received: float
    counters: IndexArray | None = None
    gaps: tuple[Gap, ...] = ()
    markers: tuple[Marker, ...] = ()

    @property
    def stop(self) -> int:
        """Index one past the last row."""
        return self.start + len(self.data)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The next second of every electrode, as seen from one token.

    Attributes
    ----------
    token : int
        Tokens of the session before this one.
    sample : int
        Row whose arrival completed the token.
    time : float
        Time of the newest sample that the forecast has seen, seconds of the session's clock
        (the resampler's delay taken off): horizon h ends at ``time + (h + 1) / rate``.
    rate : float
        Samples a second of ``mean`` (the model's rate).
    mean : ndarray, shape (n_horizons, n_electrodes), float32, µV
        After the causal filters; NaN for electrodes that are left out.
    by : str
        ``direct``, ``rollout`` or ``ar``.
    """

    token: int
    sample: int
    time: float
    rate: float
    mean: FloatArray
    by: str


@dataclass(frozen=True, slots=True)
class Decode:
    """What the user wants, as read at one token.

    Attributes
    ----------
    token, sample, time
        As in :class:`Forecast`.
    classes : tuple of str
    p : ndarray, shape (n_classes,), float64
        Probabilities; all NaN where the decoder abstains.
    decision : str | None
        The class that passed the threshold; None where none did.
    reason : str
        Why the decoder abstains (``window not full``, ``C3 left out: railed``), else empty.
    decoder : str
        Which decoder, and of whom (``P07: ts+lr``, ``eegpt-base TEG, uncalibrated``).
    calibrated : bool
        False for a decoder that has never seen this subject; no output sends such decodes.
    evidence : tuple of float
        Accumulated log-odds of each class; empty for a decoder that accumulates none.
    thresholds : tuple of float | None
        Evidence at which a class is decided, and below which it is given up.
    flags : tuple of str
        What else moved (``eyes``, ``muscle``): such a token adds no evidence.
    """

    token: int
    sample: int
    time: float
    classes: tuple[str, ...]
    p: npt.NDArray[np.float64]
    decision: str | None
    reason: str
    decoder: str
    calibrated: bool
    evidence: tuple[float, ...] = ()
    thresholds: tuple[float, float] | None = None
    flags: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether there is a probability at all."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    """A channel was left out, or taken back, from ``sample`` on.

    Attributes
    ----------
    sample : int
        Row whose arrival decided it.
    channel : str
    reason : str
        ``flat: 0.0 µV``, ``railed: 99 % at full scale``, ``noisy: 412 µV``; empty once it is
        good again.
    """

    sample: int
    channel: str
    reason: str


@dataclass(frozen=True, slots=True)
class DecoderChange:
    """The decoder in use has changed, because of trials whose labels became known.

    Attributes
    ----------
    sample : int
        Row whose arrival completed the first token that is decoded the new way.
    time : float
        Of that token, seconds of the session's clock.
    change : str
        ``updated``, ``kept`` (the change is better than its shadow) or ``reverted``.
    values : dict
        What it rests on, plain values.
    """

    sample: int
    time: float
    change: str
    values: dict[str, Any]


Result = Forecast | Decode | ChannelHealth | DecoderChange
