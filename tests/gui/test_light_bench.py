"""``rtbci doctor --timing``: a photodiode at the pins of an emulated Cyton sees the cues' patch."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QPaintEvent
from pytestqt.qtbot import QtBot

from rtbci.apps.gui.calibration.cue_screen import CueScreen
from rtbci.apps.gui.calibration.light_bench import measure_light, problem_of, with_pins
from rtbci.apps.settings import SourceSettings
from rtbci.clock import MonotonicClock
from rtbci.errors import BadInputError
from rtbci.sources.brainflow import BrainFlowSource
from rtbci.types import Channel

if sys.platform == "win32":
    pytest.skip("ptys are POSIX only", allow_module_level=True)

from cyton import CytonEmulator

CUES = 10
AFTER_S = 0.12
"""The emulated screen is that slow, so that what is measured is no accident."""


class LitScreen(CueScreen):
    """A screen whose patch lights an emulated photodiode, some time after its paint."""

    def __init__(self, board: CytonEmulator) -> None:
        super().__init__()
        self._board = board
        self._was_on = False

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        super().paintEvent(event)
        if self.patch_is_on != self._was_on:
            self._was_on = self.patch_is_on
            self._board.light(self._was_on, after_s=AFTER_S)


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_the_light_of_each_cue_is_found(qtbot: QtBot, tmp_path: Path) -> None:
    with CytonEmulator() as board:
        source = with_pins(SourceSettings(name="cyton", serial_port=board.port), None)
        found = measure_light(
            CUES, tmp_path, source, full_screen=False, make_screen=lambda: LitScreen(board)
        )
    assert (found.channel, found.rate) == ("ANALOG2", 250.0)
    assert found.cues == CUES
    assert len(found.delay_s) >= CUES - 2
    # NB: what the emulated screen adds, not how fast this machine is: half of it is far off.
    assert AFTER_S / 2 < np.median(found.delay_s) < 2 * AFTER_S


def test_a_cyton_reads_its_digital_pins(qtbot: QtBot) -> None:
    clock = MonotonicClock()
    with CytonEmulator() as board:
        source = BrainFlowSource("cyton", serial_port=board.port, aux="digital", clock=clock)
        names = [c.name for c in source.open().channels]
        seen: set[float] = set()

        def both() -> bool:
            seen.update(source.read().data[:, names.index("ANALOG2")].tolist())
            if seen == {1.0}:
                board.light(True)
            return seen == {0.0, 1.0}

        try:
            qtbot.waitUntil(both, timeout=60_000)
        finally:
            source.close()
    with pytest.raises(BadInputError, match="synthetic has no digital pins"):
        BrainFlowSource("synthetic", aux="digital", clock=clock).open()


def test_a_source_without_the_channel_is_refused(qtbot: QtBot, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no channel 'AUX7'; it has"):
        measure_light(CUES, tmp_path, SourceSettings(), channel="AUX7", full_screen=False)
    electrodes = (Channel("C3"), Channel("C4"))
    assert "no auxiliary channel that a photodiode" in problem_of("a stream", electrodes, None)
    assert problem_of("a stream", electrodes, "C4") == ""
