"""The impedance check on boards of a few lines; the real driver's test is an integration test."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from rtbci.clock import ManualClock
from rtbci.errors import BadInputError, SourceError
from rtbci.sources.impedance import (
    Contact,
    Impedance,
    ImpedanceConfig,
    amplitudes,
    check_impedances,
)
from rtbci.types import Channel, ChannelType, RawChunk, StreamInfo

QUICK = ImpedanceConfig(settle_s=0.1, measure_s=0.5, patience_s=0.5, ganglion_s=1.0)
OHM = 10e3
ROWS = 10


def cyton(n: int = 2) -> StreamInfo:
    channels = tuple(Channel(f"E{i}") for i in range(n))
    return StreamInfo("a Cyton", "brainflow", 250.0, channels, device={"board": "CYTON_BOARD"})


@dataclass
class FakeCyton:
    """Every electrode has 10 kOhm; the board does as it is told, or not."""

    clock: ManualClock
    n: int = 2
    on: set[int] = field(default_factory=set)
    heard: list[str] = field(default_factory=list)
    sticks: bool = False
    forgets: bool = True
    silent_after: int | None = None
    refuses: bool = False
    row: int = 0

    def configure(self, command: str, *, answered: bool = True) -> str:
        self.heard.append(command)
        for i in range(self.n):
            if f"z{i + 1}01Z" in command:
                self.on.add(i)
            if f"z{i + 1}00Z" in command and not self.sticks:
                self.on.discard(i)
        if command == "d" and self.forgets:
            self.on.clear()
        return "Failure: no" if self.refuses and answered else "Success$$$" * answered

    def read(self) -> RawChunk:
        self.clock.advance(ROWS / 250)
        n = 0 if self.silent_after is not None and self.row >= self.silent_after else ROWS
        at = np.arange(self.row, self.row + n)
        self.row += n
        data = np.random.default_rng(self.row).normal(size=(n, self.n))
        for i in self.on:
            data[:, i] += 6e-9 * (OHM + 2200) * 1e6 * np.sin(2 * np.pi * 31.25 * at / 250)
        return RawChunk(data.astype(np.float32), at / 250, self.clock.now())


def test_each_electrode_is_driven_alone_and_all_are_off_at_the_end() -> None:
    clock = ManualClock()
    board = FakeCyton(clock)
    report = check_impedances(board, cyton(), clock, config=QUICK)
    assert board.heard == ["z101Z", "z100Z", "z201Z", "z200Z", "z100Zz200Z"]
    assert report.off
    assert board.on == set()
    for made in report.impedances:
        assert made.ohm == pytest.approx(OHM, rel=0.05)
        assert made.contact is Contact.GOOD


def test_a_current_that_only_a_reset_ends_is_off_after_it() -> None:
    clock = ManualClock()
    board = FakeCyton(clock, sticks=True)
    report = check_impedances(board, cyton(), clock, config=QUICK)
    assert board.heard[-1] == "d"
    assert report.off


def test_a_current_that_stays_is_never_called_off() -> None:
    clock = ManualClock()
    board = FakeCyton(clock, sticks=True, forgets=False)
    with pytest.raises(SourceError, match=r"may still be on: E0, E1 .*Switch the board off"):
        check_impedances(board, cyton(), clock, config=QUICK)


def test_a_board_that_falls_silent_is_told_to_forget() -> None:
    clock = ManualClock()
    board = FakeCyton(clock, silent_after=100)
    with pytest.raises(SourceError, match="fell silent during the impedance check"):
        check_impedances(board, cyton(), clock, config=QUICK)
    assert board.heard[-1] == "d"


def test_a_refusal_is_no_proof() -> None:
    clock = ManualClock()
    with pytest.raises(SourceError, match="refuses"):
        check_impedances(FakeCyton(clock, refuses=True), cyton(), clock, config=QUICK)


def test_an_early_end_is_proved_as_well() -> None:
    clock = ManualClock()
    told: list[Impedance] = []
    board = FakeCyton(clock, n=3)
    report = check_impedances(
        board, cyton(3), clock, told.append, stop=lambda: len(told) == 1, config=QUICK
    )
    assert [made.channel for made in report.impedances] == ["E0"]
    assert report.off
    assert board.heard[-1] == "z100Zz200Zz300Z"


def test_other_boards_are_refused() -> None:
    info = StreamInfo("an amplifier", "lsl", 250.0, (Channel("C3"),))
    with pytest.raises(BadInputError, match="an amplifier is none of them"):
        check_impedances(FakeCyton(ManualClock()), info, ManualClock())


def test_lost_rows_and_drift_do_not_change_an_amplitude() -> None:
    index = np.delete(np.arange(300), [40, 41, 42, 150])
    data = 3.0 * np.sin(2 * np.pi * 0.125 * index) + 0.5 * index - 100
    found = amplitudes(data[:, None].astype(np.float32), index, 0.125)
    assert found[0] == pytest.approx(3.0, rel=1e-3)
    assert amplitudes(data[:, None].astype(np.float32), index, 0.145)[0] < 0.3


@dataclass
class FakeGanglion:
    """Reports its four electrodes and the reference, in turn, while it tests."""

    clock: ManualClock
    testing: bool = False
    turn: int = 0
    ends: bool = True

    def configure(self, command: str, *, answered: bool = True) -> str:
        del answered
        self.testing = command == "z" or (self.testing and not self.ends)
        return ""

    def read(self) -> RawChunk:
        self.clock.advance(ROWS / 200)
        data = np.zeros((ROWS, 9), dtype=np.float32)
        if self.testing:
            data[:, 4 + self.turn % 5] = 20e3 * (1 + self.turn % 5)
            self.turn += 1
        else:
            data[:, :4] = np.random.default_rng(self.turn).normal(size=(ROWS, 4))
        return RawChunk(data, np.zeros(ROWS), self.clock.now())


@pytest.mark.parametrize("ends", [True, False])
def test_a_ganglion_tests_itself_and_takes_up_its_signal_again(ends: bool) -> None:
    clock = ManualClock()
    channels = (
        *(Channel(f"E{i}") for i in range(4)),
        *(Channel(f"RESISTANCE{i}", ChannelType.MISC) for i in range(5)),
    )
    device = {"board": "GANGLION_BOARD"}
    info = StreamInfo("a Ganglion", "brainflow", 200.0, channels, device=device)
    report = check_impedances(FakeGanglion(clock, ends=ends), info, clock, config=QUICK)
    assert [made.ohm for made in report.impedances] == [10e3, 20e3, 30e3, 40e3]
    assert report.off is ends
