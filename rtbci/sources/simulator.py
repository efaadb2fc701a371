"""The built-in board: seeded EEG with a subject who can imagine movements.

The subject follows a script, or what is shown: she reacts to the markers of the session.  What
she does is in the rows, so a recording of hers replays like any other.

One thread owns the source; ``set_state`` may be called from any thread and takes effect at
the first row that has not been read yet.  ``read`` never blocks.  The value of row k depends
on the seed, on k and on the states up to k only, never on how rows are read.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from rtbci.clock import Clock, MonotonicClock
from rtbci.errors import BadInputError
from rtbci.montage import MONTAGES, check_unique, normalise
from rtbci.sources.base import Source
from rtbci.sources.simulated_signal import (
    BLOCK,
    STATES,
    SignalBlock,
    SignalConfig,
    SignalGenerator,
)
from rtbci.sources.simulated_subject import REACTION_S, SimulatedSubject
from rtbci.types import (
    Channel,
    ChannelType,
    FloatArray,
    IndexArray,
    Marker,
    RawChunk,
    SourceClock,
    StreamInfo,
)

DEFAULT_MONTAGE = MONTAGES["bci-iv-2a"]
FULL_SCALE_UV = 187_500.0
"""Where the simulated amplifier rails: an ADS1299 at gain 24."""
COUNTER_MODULUS = 256
_MAX_ROWS_PER_READ = 4096


_NEVER = np.iinfo(np.int64).max


class Trouble(StrEnum):
    """What can go wrong on purpose."""

    LOST = "lost"
    """Rows never come; the counter tells."""
    STALLED = "stalled"
    """Rows come late, all at once, when the stall ends (paced only)."""
    FLAT = "flat"
    RAILED = "railed"
    NAN = "nan"


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Trouble from ``start_s`` to ``stop_s`` of the session.

    Attributes
    ----------
    trouble : Trouble
    start_s, stop_s : float
        Rows whose time lies in [start, stop).
    channel : str | None
        The channel that is flat, railed or NaN; None for all of them.
    """

    trouble: Trouble
    start_s: float
    stop_s: float
    channel: str | None = None


def cue_script(
    states: Sequence[str] = ("left_hand", "right_hand"),
    cue_s: float = 4.0,
    rest_s: float = 3.0,
    first_s: float = 5.0,
    trials: int | None = None,
    seed: int = 0,
) -> Iterator[tuple[float, str]]:
    """Cues and rests by turns, the cues of each round in random order.

    Parameters
    ----------
    states : sequence of str
        Each comes once a round.
    cue_s, rest_s : float
        How long each cue and the rest after it lasts.
    first_s : float
        When the first cue comes.
    trials : int | None
        Cues in all; without end where None.
    seed : int

    Yields
    ------
    start_s, state : float, str
    """
    rng = np.random.default_rng(seed)
    rounds = itertools.chain.from_iterable(
        (states[i] for i in rng.permutation(len(states))) for _ in itertools.count()
    )
    for trial, state in enumerate(itertools.islice(rounds, trials)):
        start = first_s + trial * (cue_s + rest_s)
        yield start, state
        yield start + cue_s, "rest"


@dataclass
class SimulatorState:
    """Where the session stands.

    Attributes
    ----------
    begun : bool
        Whether anything has been read.
    start : float
        Time of row 0, seconds of the session's clock.
    row : int
        The next row, lost ones counted.
    subject : str
        What the subject does now.
    block : SignalBlock | None
        The block that holds ``row``.
    cues : iterator
        Cues of the script that are still to come, after ``cue``.
    """

    begun: bool = False
    start: float = 0.0
    row: int = 0
    subject: str = "rest"
    block: SignalBlock | None = None
    cues: Iterator[tuple[int, str]] = field(default_factory=lambda: iter(()))
    cue: tuple[int, str] | None = None


class SimulatorSource(Source):
    """A board that needs no hardware.

    Parameters
    ----------
    montage : sequence of str
        Electrodes; any names, standard ones lie where they belong.
    rate : float
        Hz.
    seed : int
    paced : bool
        True: rows come when they are due by ``clock``, on an absolute schedule.  False: every
        ``read`` gives the next block at once.
    clock : Clock | None
        The session's clock; the machine's where None.
    line_hz : float | None
        Mains frequency where it should differ from ``signal.line_hz``.
    script : iterable of (start_s, state) | None
        States by time, in order; each is a marker, too.  :func:`cue_script` makes one.
    duration_s : float | None
        The source ends after so long.
    signal : SignalConfig
        Amplitudes, frequencies, strength of the desynchronisation.
    disturbances : sequence of Disturbance
    accelerometer : bool
        Adds three ACCEL channels.
    skill : float
        By what the desynchronisation of ``signal`` is multiplied: her signal-to-noise ratio.
        With 0 she imagines nothing.
    reaction_s : tuple of float
        Mean and standard deviation of the time from a marker to what she does.
    unpaced_rows : int
        Rows of a block when not paced.

    Raises
    ------
    BadInputError
        On an impossible rate or skill, an empty montage, a channel named twice, an unknown state
        or channel in a disturbance.
    """

    def __init__(
        self,
        montage: Sequence[str] = DEFAULT_MONTAGE,
        rate: float = 250.0,
        seed: int = 0,
        paced: bool = True,
        clock: Clock | None = None,
        line_hz: float | None = None,
        script: Iterable[tuple[float, str]] | None = None,
        duration_s: float | None = None,
        signal: SignalConfig | None = None,
        disturbances: Sequence[Disturbance] = (),
        accelerometer: bool = False,
        skill: float = 1.0,
        reaction_s: tuple[float, float] = REACTION_S,
        unpaced_rows: int = 1000,
    ) -> None:
        if not (math.isfinite(rate) and rate >= 20):
            raise BadInputError(f"the simulator needs a rate of at least 20 Hz, got {rate:g} Hz.")
        names = tuple(normalise(name) for name in montage)
        if not names:
            raise BadInputError("the simulator needs at least one electrode; name it by --montage.")
        check_unique(names, "the simulator's montage")
        for d in disturbances:
            if d.channel is not None and normalise(d.channel) not in names:
                raise BadInputError(
                    f"the simulator can't disturb {d.channel!r}: its montage is {', '.join(names)}."
                )
        signal = signal or SignalConfig()
        if not (math.isfinite(skill) and 0 <= skill * signal.erd <= 1):
            raise BadInputError(
                f"the simulated subject's skill is between 0 (imagines nothing) and "
                f"{1 / signal.erd if signal.erd else math.inf:g}, got {skill:g}."
            )
        signal = dataclasses.replace(signal, erd=skill * signal.erd)
        if line_hz is not None:
            signal = dataclasses.replace(signal, line_hz=line_hz)
        self._clock = clock or MonotonicClock()
        self._paced = paced
        self._script = script
        self._n_rows = None if duration_s is None else round(duration_s * rate)
        self._disturbances = tuple(disturbances)
        self._unpaced_rows = unpaced_rows
        self._columns = {name: i for i, name in enumerate(names)}
        self._accelerometer = accelerometer
        self._subject = SimulatedSubject(seed, reaction_s)
        self._generator = SignalGenerator(names, rate, seed, signal)
        self._state = SimulatorState()
        self._wanted: str | None = None
        self._info = StreamInfo(
            name="simulator",
            kind="simulator",
            rate=rate,
            channels=tuple(Channel(name, full_scale=FULL_SCALE_UV) for name in names)
            + tuple(Channel(f"Accel {a}", ChannelType.ACCEL, "g") for a in "XYZ" if accelerometer),
            clock=SourceClock.EXACT,
            counter_modulus=COUNTER_MODULUS,
            device={"model": "rtbci simulator", "seed": seed, "erd": self._generator.config.erd},
        )

    def open(self) -> StreamInfo:
        """Begin at row 0; its time is that of the first read."""
        self._generator.reset()
        self._wanted = None
        self._subject.state.reset()
        self._state = SimulatorState()
        self._state.cues = self._cues()
        self._state.cue = next(self._state.cues, None)
        return self._info

    def read(self) -> RawChunk | None:
        """Take the rows that are due; None after the last one of ``duration_s``."""
        s = self._state
        now = self._clock.now()
        if not s.begun:
            s.begun, s.start = True, now
        if self._n_rows is not None and s.row >= self._n_rows:
            return None
        if self._wanted is not None:
            s.subject, self._wanted = self._wanted, None
        first, stop = s.row, self._stop(now)
        markers: list[Marker] = []
        parts = []
        while s.row < stop:
            while s.cue is not None and s.cue[0] <= s.row:
                s.subject = s.cue[1]
                markers.append(Marker(s.start + s.cue[0] / self._info.rate, s.subject))
                s.cue = next(s.cues, None)
            while self._reaction_row() <= s.row:
                s.subject = self._subject.take()
            scripted = _NEVER if s.cue is None else s.cue[0]
            parts.append(self._rows(min(stop, scripted, self._reaction_row())))
        data = np.concatenate(parts) if parts else np.zeros((0, len(self._columns)), np.float32)
        rows = np.arange(first, stop)
        if self._accelerometer:
            data = np.concatenate([data, _gravity(rows, self._info.rate)], axis=1)
        data, rows = self._disturb(data, rows)
        return RawChunk(
            data,
            s.start + rows / self._info.rate,
            received=now,
            counters=rows % COUNTER_MODULUS,
            markers=tuple(markers),
        )

    def close(self) -> None:
        """Nothing to let go of."""

    def set_state(self, state: str) -> None:
        """Have the subject imagine (or rest) from the next row that is read.

        Raises
        ------
        BadInputError
            On a state that the simulator does not know.
        """
        self._wanted = _known(state)

    def on_marker(self, marker: Marker) -> None:
        """Show the subject what the session shows (:meth:`SimulatedSubject.react`)."""
        self._subject.react(marker)

    @property
    def subject_state(self) -> str:
        """What the subject does at the newest row that was read."""
        return self._state.subject

    def _reaction_row(self) -> int:
        """Row at which the subject does what the markers asked for next."""
        at = self._subject.next_s
        if at == math.inf:
            return _NEVER
        return math.ceil((at - self._state.start) * self._info.rate - 1e-6)

    def _stop(self, now: float) -> int:
        """Row up to which this read gives rows."""
        s, rate = self._state, self._info.rate
        if not self._paced:
            stop = s.row + self._unpaced_rows
        else:
            stop = math.floor((now - s.start) * rate) + 1
            for d in self._disturbances:
                if d.trouble is Trouble.STALLED and d.start_s <= now - s.start < d.stop_s:
                    stop = min(stop, math.ceil(d.start_s * rate))
            stop = min(stop, s.row + _MAX_ROWS_PER_READ)
            # Rounding must not hand out a row whose time lies ahead of the clock.
            while stop > s.row and s.start + (stop - 1) / rate > now:
                stop -= 1
        if self._n_rows is not None:
            stop = min(stop, self._n_rows)
        return max(stop, s.row)

    def _rows(self, until: int) -> FloatArray:
        """Make the rows up to ``until`` or to the end of their block, in one state."""
        s = self._state
        at = s.row % BLOCK
        if at == 0:
            s.block = self._generator.block()
        assert s.block is not None
        stop = min(BLOCK, at + until - s.row)
        s.row += stop - at
        return self._generator.combine(s.block, at, stop, s.subject).astype(np.float32)

    def _cues(self) -> Iterator[tuple[int, str]]:
        """Script in rows."""
        last = 0
        for start_s, state in self._script or ():
            row = math.ceil(start_s * self._info.rate - 1e-6)
            if row < last:
                raise BadInputError(f"the simulator's script goes back in time at {start_s:g} s.")
            last = row
            yield row, _known(state)

    def _disturb(self, data: FloatArray, rows: IndexArray) -> tuple[FloatArray, IndexArray]:
        """Apply all disturbances to rows of the session."""
        rate = self._info.rate
        keep = np.ones(len(rows), dtype=bool)
        for d in self._disturbances:
            hit = (rows >= math.ceil(d.start_s * rate)) & (rows < math.ceil(d.stop_s * rate))
            if d.trouble is Trouble.LOST:
                keep &= ~hit
                continue
            if d.trouble is Trouble.STALLED or not hit.any():
                continue
            value = {Trouble.FLAT: 0.0, Trouble.RAILED: FULL_SCALE_UV, Trouble.NAN: np.nan}
            named = self._columns if d.channel is None else (normalise(d.channel),)
            for name in named:
                data[hit, self._columns[name]] = value[d.trouble]
        return data[keep], rows[keep]


def _known(state: str) -> str:
    """Check a state's name."""
    if state not in STATES:
        raise BadInputError(
            f"the simulated subject knows no state {state!r}; it knows: {', '.join(STATES)}."
        )
    return state


def _gravity(rows: IndexArray, rate: float) -> FloatArray:
    """Nod a little: gravity in g, (n_times, 3)."""
    angle = 0.05 * np.sin(2 * np.pi * ((rows * (0.1 / rate)) % 1.0))
    return np.stack([np.sin(angle), np.zeros(len(rows)), np.cos(angle)], axis=1).astype(np.float32)
