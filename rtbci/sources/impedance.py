"""Impedances of an OpenBCI board's electrodes, with proof that the test current is off afterwards.

Cyton (and Daisy): the ADS1299 drives 6 nA at 31.25 Hz through one electrode at a time, and its
amplitude there is current times impedance:

    z <channel> 0 1 Z   on (the N input, where the electrode is)     answered "Success"
    z <channel> 0 0 Z   off                                          answered "Success"
    ohm = amplitude / 6 nA - 2.2 kOhm (the board's own resistor)

The proof is a measurement: with every channel told off, 31.25 Hz must be no stronger than the
frequencies beside it.  Opening a board resets it, which ends the current, too.

Ganglion: ``z`` and ``Z`` begin and end a test of its own; it then reports numbers in place of
signal, which are halved, as OpenBCI's own program does.

Sources: docs.openbci.com/Cyton/CytonSDK; the OpenBCI GUI for the current, the resistor and the
Ganglion's factor; ADS1299 data sheet, AC lead-off at 31.2 Hz.

Concurrency: as in :mod:`rtbci.sources.base`; :func:`check_impedances` blocks for two seconds an
electrode.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from rtbci.clock import Clock
from rtbci.errors import BadInputError, SourceError
from rtbci.sources import openbci
from rtbci.types import FloatArray, IndexArray, RawChunk, StreamInfo

DRIVE_A = 6e-9
SERIES_OHM = 2200.0
DRIVE_HZ = 31.25
"""From the oscillator that also sets the sampling rate, so it is exact in shares of that."""
BESIDE_HZ = (-5.0, -3.0, 3.0, 5.0)
"""Frequencies beside the drive, for what is noise."""
OPEN_OHM = 1e6
"""What measures more has no contact at all."""
FLOOR_UV = 2.0
NOISES = 3.0
"""The current counts as off where its amplitude is below ``FLOOR_UV``, or this many noises."""
GOOD_OHM, FAIR_OHM = 20e3, 100e3
"""Up to which a contact is good (gel), and fair (dry electrodes, short cables)."""
LETTERS = "12345678QWERTYUI"
FORGET = "d"
"""Sets every channel to the board's defaults, which have no test current."""
GANGLION_FACTOR = 0.5
RESISTANCE = "RESISTANCE"
"""Begin of the names of the rows in which a Ganglion reports."""


class Contact(StrEnum):
    """What an impedance means."""

    GOOD = "good"
    FAIR = "fair"
    BAD = "bad"
    OPEN = "open"


@dataclass(frozen=True)
class ImpedanceConfig:
    """How long is measured.

    Attributes
    ----------
    settle_s : float
        Left out after the current was switched.
    measure_s : float
        Measured, per electrode.
    patience_s : float
        Without rows for so long the board counts as lost.
    ganglion_s : float
        A Ganglion reports its five electrodes in turn; so long is waited for all.
    """

    settle_s: float = 0.6
    measure_s: float = 1.0
    patience_s: float = 5.0
    ganglion_s: float = 20.0


@dataclass(frozen=True)
class Impedance:
    """One electrode.

    Attributes
    ----------
    channel : str
    ohm : float
        Never below 0; infinite where there is no contact.
    noise_ohm : float
        What noise beside the drive's frequency would measure: an impedance below it means little.
    """

    channel: str
    ohm: float
    noise_ohm: float = 0.0

    @property
    def contact(self) -> Contact:
        """What it means."""
        if self.ohm >= OPEN_OHM:
            return Contact.OPEN
        if self.ohm > FAIR_OHM:
            return Contact.BAD
        return Contact.FAIR if self.ohm > GOOD_OHM else Contact.GOOD


@dataclass(frozen=True)
class ImpedanceReport:
    """What a check found.

    Attributes
    ----------
    impedances : tuple of Impedance
    residual_uv : tuple of float
        What was left at the drive's frequency with every current told off; empty for a board that
        tests in a mode of its own.
    off : bool
        Whether the test current is off: told so, and measured to be.
    """

    impedances: tuple[Impedance, ...]
    residual_uv: tuple[float, ...]
    off: bool


class Board(Protocol):
    """What is needed of :class:`rtbci.sources.brainflow.BrainFlowSource`."""

    def read(self) -> RawChunk:
        """Take what has come."""

    def configure(self, command: str, *, answered: bool = True) -> str:
        """Send commands in one string, and give their answers."""


Tell = Callable[[Impedance], None]


def can_check(info: StreamInfo) -> bool:
    """Whether the impedances of a board can be measured."""
    return info.device.get("board") in (openbci.CYTON, openbci.CYTON_DAISY, openbci.GANGLION)


def check_impedances(
    board: Board,
    info: StreamInfo,
    clock: Clock,
    tell: Tell = lambda _: None,
    *,
    stop: Callable[[], bool] = lambda: False,
    config: ImpedanceConfig | None = None,
) -> ImpedanceReport:
    """Measure every electrode in turn, and prove that the test current is off.

    Parameters
    ----------
    board : Board
        Open.
    info : StreamInfo
        As the board gave it.
    clock : Clock
    tell : callable
        Called with each electrode as it was measured.
    stop : callable
        Asked before each electrode; True ends the check early, with its proof.
    config : ImpedanceConfig

    Raises
    ------
    BadInputError
        Where the board can't do this.
    SourceError
        Where it falls silent or refuses; or where the current can't be proved to be off, with
        what to do.
    """
    config = config or ImpedanceConfig()
    if not can_check(info):
        raise BadInputError(
            f"impedances can be measured on a Cyton, a Cyton with Daisy and a Ganglion; "
            f"{info.name} is none of them."
        )
    reader = _Reader(board, info, clock, config)
    if info.device["board"] == openbci.GANGLION:
        return _check_ganglion(reader, tell, stop)
    made: list[Impedance] = []
    try:
        for i, name in enumerate(info.electrodes):
            if stop():
                break
            # While it streams a board answers nothing; the proof behind asks for answers.
            board.configure(_switch(i, on=True), answered=False)
            amplitude, noise = reader.measure()
            board.configure(_switch(i, on=False), answered=False)
            made.append(_impedance(name, float(amplitude[i]), float(noise[i])))
            tell(made[-1])
    except BaseException:
        # NB: whatever went wrong, the current must not stay; a board that is gone has lost it.
        with contextlib.suppress(SourceError):
            board.configure(FORGET, answered=False)
        raise
    return _prove(reader, info, tuple(made))


def _prove(reader: _Reader, info: StreamInfo, impedances: tuple[Impedance, ...]) -> ImpedanceReport:
    """Switch all off and measure; reset the board and measure again where that was not enough."""
    every = "".join(_switch(i, on=False) for i in range(len(info.electrodes)))
    for command in (every, FORGET):
        reader.tell(command)
        amplitude, noise = reader.measure()
        quiet = amplitude <= np.maximum(FLOOR_UV, NOISES * noise)
        if quiet.all():
            return ImpedanceReport(impedances, tuple(float(a) for a in amplitude), True)
    loud = [info.electrodes[i] for i in np.flatnonzero(~quiet)]
    raise SourceError(
        f"The test current may still be on: {', '.join(loud)} still has "
        f"{float(amplitude.max()):.0f} µV at 31.25 Hz after it was switched off twice. Switch the "
        "board off and on before you go on."
    )


def _check_ganglion(reader: _Reader, tell: Tell, stop: Callable[[], bool]) -> ImpedanceReport:
    """Let a Ganglion test by itself; what it reports last of each electrode counts."""
    reader.tell("z")
    try:
        values = reader.reported(stop)
    finally:
        reader.tell("Z")
    made = tuple(
        Impedance(name, GANGLION_FACTOR * ohm)
        for name, ohm in zip(reader.info.electrodes, values, strict=False)
        if ohm > 0
    )
    for impedance in made:
        tell(impedance)
    # The board takes up its signal again only when its test has ended.
    return ImpedanceReport(made, (), reader.streams_again())


class _Reader:
    """Commands to an open board, and what it measures after them."""

    def __init__(
        self, board: Board, info: StreamInfo, clock: Clock, config: ImpedanceConfig
    ) -> None:
        self.info = info
        self._board = board
        self._clock = clock
        self._config = config
        self._eeg = list(info.eeg)

    def tell(self, command: str) -> None:
        """Send commands that must not be refused."""
        answer = self._board.configure(command)
        if "Failure" in answer:
            raise SourceError(
                f"The board refuses {command!r} ({answer.strip()[:80]!r}); switch it off and on, "
                "and check again."
            )

    def measure(self) -> tuple[FloatArray, FloatArray]:
        """Amplitudes at the drive's frequency and noise beside it, µV, (n_electrodes,) each."""
        rate = self.info.rate
        self._rows(round(self._config.settle_s * rate))
        data, index = self._rows(round(self._config.measure_s * rate))
        share = DRIVE_HZ / rate
        beside = [share + hertz / rate for hertz in BESIDE_HZ]
        noise = np.mean([amplitudes(data, index, s) for s in beside if 0 < s < 0.5], axis=0)
        # With a Daisy the firmware sends the mean of two samples, which weakens what is fast.
        left = np.cos(np.pi * share / 2) if self.info.counter_step == 2 else 1.0
        return amplitudes(data, index, share) / np.float32(left), noise.astype(np.float32)

    def reported(self, stop: Callable[[], bool]) -> list[float]:
        """Newest resistances that a Ganglion reports, ohm, once each has come or time is up."""
        columns = [i for i, c in enumerate(self.info.channels) if c.name.startswith(RESISTANCE)]
        newest = [0.0] * len(columns)
        until = self._clock.now() + self._config.ganglion_s
        while self._clock.now() < until and not stop() and not all(newest):
            chunk = self._board.read()
            for k, column in enumerate(columns):
                known = chunk.data[:, column][chunk.data[:, column] > 0]
                if len(known):
                    newest[k] = float(known[-1])
            self._clock.sleep(0.02)
        if not any(newest):
            raise SourceError("The Ganglion reports no impedance; switch it off and on, and retry.")
        return newest

    def streams_again(self) -> bool:
        """Whether signal comes: rows whose electrodes change."""
        data, _ = self._rows(round(self._config.measure_s * self.info.rate))
        return bool((np.ptp(data, axis=0) > 0).any())

    def _rows(self, n: int) -> tuple[FloatArray, IndexArray]:
        """Wait for ``n`` rows: the electrodes' signal and each row's place in time, in rows."""
        parts: list[FloatArray] = []
        counted: list[IndexArray] = []
        have = 0
        waited_from = self._clock.now()
        while have < n:
            chunk = self._board.read()
            if len(chunk.data):
                parts.append(chunk.data[:, self._eeg])
                counted.append(
                    np.arange(have, have + len(chunk.data), dtype=np.int64)
                    if chunk.counters is None
                    else chunk.counters
                )
                have += len(chunk.data)
                waited_from = self._clock.now()
            elif self._clock.now() - waited_from > self._config.patience_s:
                raise SourceError(
                    f"{self.info.name} fell silent during the impedance check; switch it off and "
                    "on (which ends the test current), and check again."
                )
            self._clock.sleep(0.02)
        data, counters = np.concatenate(parts)[:n], np.concatenate(counted)[:n]
        return data, self._places(counters)

    def _places(self, counters: IndexArray) -> IndexArray:
        """Rows since the first one, lost ones included: the drive goes on while frames are lost."""
        step, modulus = self.info.counter_step, self.info.counter_modulus
        if modulus is None:
            return counters
        ahead = np.diff(counters) % modulus // step
        return np.concatenate([[0], np.cumsum(ahead)]).astype(np.int64)


def amplitudes(data: FloatArray, index: IndexArray, share: float) -> FloatArray:
    """Amplitude of one frequency in each channel, by least squares with offset and slope.

    Parameters
    ----------
    data : ndarray, shape (n, n_channels), µV
    index : ndarray, shape (n,)
        When each row was sampled, in rows.
    share : float
        The frequency, in shares of the rate.

    Returns
    -------
    amplitudes : ndarray, shape (n_channels,), µV
    """
    at = index.astype(np.float64)
    turn = 2 * np.pi * share * at
    design = np.stack([np.cos(turn), np.sin(turn), np.ones_like(at), at - at.mean()], axis=1)
    found, *_ = np.linalg.lstsq(design, data.astype(np.float64), rcond=None)
    return np.asarray(np.hypot(found[0], found[1]), dtype=np.float32)


def _impedance(name: str, amplitude_uv: float, noise_uv: float) -> Impedance:
    ohm = max(0.0, amplitude_uv * 1e-6 / DRIVE_A - SERIES_OHM)
    return Impedance(name, float("inf") if ohm >= OPEN_OHM else ohm, noise_uv * 1e-6 / DRIVE_A)


def _switch(channel: int, *, on: bool) -> str:
    return f"z{LETTERS[channel]}0{int(on)}Z"
