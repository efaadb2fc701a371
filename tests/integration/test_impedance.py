"""Impedances of an emulated Cyton, through the real BrainFlow driver."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from rtbci.clock import MonotonicClock
from rtbci.sources.brainflow import BrainFlowSource
from rtbci.sources.impedance import (
    Contact,
    Impedance,
    ImpedanceConfig,
    ImpedanceReport,
    check_impedances,
)

if sys.platform == "win32":
    pytest.skip("ptys are POSIX only", allow_module_level=True)

from cyton import CytonEmulator

QUICK = ImpedanceConfig(settle_s=0.05, measure_s=0.32)
OHMS = (1e3, 5e3, 12e3, 30e3, 80e3, 200e3, 3e6, 8e3)


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def check(
    board: CytonEmulator, told: list[Impedance], *, after: int | None = None
) -> ImpedanceReport:
    clock = MonotonicClock()
    source = BrainFlowSource("openbci", serial_port=board.port, clock=clock)
    try:
        return check_impedances(
            source,
            source.open(),
            clock,
            told.append,
            stop=lambda: after is not None and len(told) >= after,
            config=QUICK,
        )
    finally:
        source.close()


def test_every_impedance_is_found_and_the_current_is_off_afterwards() -> None:
    told: list[Impedance] = []
    with CytonEmulator() as board:
        board.electrodes(*OHMS)
        report = check(board, told)
        assert board.driven() == []
    assert report.off
    assert told == list(report.impedances)
    assert [i.channel for i in told] == ["Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2"]
    found = np.array([i.ohm for i in told])
    assert np.isinf(found[6])
    there = np.array(OHMS)[np.isfinite(found)]
    np.testing.assert_allclose(found[np.isfinite(found)], there, rtol=0.1, atol=600)
    assert [i.contact for i in told][1:8] == [
        Contact.GOOD,
        Contact.GOOD,
        Contact.FAIR,
        Contact.FAIR,
        Contact.BAD,
        Contact.OPEN,
        Contact.GOOD,
    ]


def test_a_check_of_a_daisy_that_is_ended_early_is_proved_as_well() -> None:
    told: list[Impedance] = []
    with CytonEmulator(daisy=True) as board:
        board.lose(fraction=0.05)
        report = check(board, told, after=1)
        assert board.driven() == []
    assert report.off
    assert len(report.residual_uv) == 16
    assert told[0].ohm == pytest.approx(5e3, rel=0.15)
