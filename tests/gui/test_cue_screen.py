"""The subject's screen: what is painted, and when a cue is said to have been shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from rtbci.apps.conductor_state import Stage
from rtbci.apps.gui.calibration.cue_bench import WatchedScreen, protocol
from rtbci.apps.gui.calibration.cue_screen import CueScreen
from rtbci.apps.gui.calibration.engine import run_settings
from rtbci.apps.gui.calibration.presenter import QtPresenter
from rtbci.apps.gui.calibration.running import Runner
from rtbci.apps.gui.calibration.store import Plan
from rtbci.apps.gui.view_models.guided import Part
from rtbci.apps.settings import RunSettings
from rtbci.calibration.protocol.machine import Phase
from rtbci.calibration.protocol.plan import Kind, Slot
from rtbci.clock import MonotonicClock
from rtbci.config import SessionConfig

WAIT_MS = 120_000
HANDS = ("left_hand", "right_hand")


class SilentEngine:
    """Gives one event, and remembers what it was sent."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = [{"event": "started", "recording": ""}]
        self.sent: list[dict[str, Any]] = []

    @property
    def view(self) -> None:
        return None

    def poll(self) -> list[dict[str, Any]]:
        said, self.events = self.events, []
        return said

    def send(self, command: dict[str, Any]) -> None:
        self.sent.append(command)

    def close(self) -> None:
        pass

    def wait(self) -> None:
        pass


def stage(kind: Kind, label: str = "", status: dict[str, Any] | None = None) -> Stage:
    made = Stage("P07", "test", status=status or {})
    made.phase = Phase(Slot(kind, 1.0, label), 0.0, 1.0, "block 1")
    return made


@pytest.fixture
def screen(qtbot: QtBot) -> CueScreen:
    made = CueScreen()
    qtbot.addWidget(made, before_close_func=lambda w: w.close_for_good())
    made.resize(800, 600)
    made.show()
    return made


def pixel(screen: CueScreen, x: float, y: float) -> QColor:
    """Colour at a place, in heights of the screen from its middle."""
    image = screen.grab().toImage()
    at = (round(400 + 600 * x), round(300 + 600 * y))
    return image.pixelColor(*at)


def test_an_arm_of_the_cross_becomes_an_arrow_and_the_patch_flips(screen: CueScreen) -> None:
    patch = (-400 / 600 + 0.02, 0.5 - 0.02)
    screen.show_stage(Part.BLOCK, stage(Kind.FIXATION), HANDS)
    still = pixel(screen, -0.1, 0.0)
    assert pixel(screen, *patch) == QColor("#000000")
    screen.show_stage(Part.BLOCK, stage(Kind.CUE, "left_hand"), HANDS)
    assert pixel(screen, *patch) == QColor("#ffffff")
    assert pixel(screen, -0.1, 0.0) == QColor("#56b4e9")
    assert pixel(screen, 0.1, 0.0) == still
    screen.show_stage(Part.BLOCK, stage(Kind.IMAGERY, "left_hand"), HANDS)
    assert pixel(screen, -0.1, 0.0) == still
    assert pixel(screen, *patch) == QColor("#000000")
    screen.show_stage(Part.BLOCK, stage(Kind.REST), HANDS)
    assert pixel(screen, -0.1, 0.0) == pixel(screen, -0.3, 0.3)


def test_the_cursor_is_where_the_evidence_is(screen: CueScreen) -> None:
    decode = {
        "classes": list(HANDS),
        "p": [0.2, 0.8],
        "evidence": [-1.2, 1.2],
        "thresholds": [0.8, 0.4],
    }
    screen.show_stage(Part.FEEDBACK, stage(Kind.IMAGERY, "right_hand", {"decode": decode}), HANDS)
    assert pixel(screen, 0.22, 0.0) == QColor("#2fbf9b")
    screen.show_stage(Part.BLOCK, stage(Kind.IMAGERY, "right_hand", {"decode": decode}), HANDS)
    assert pixel(screen, 0.22, 0.0) != QColor("#2fbf9b")


def test_keys_of_the_subject_pause(qtbot: QtBot, screen: CueScreen) -> None:
    asked: list[str] = []
    screen.asked.connect(asked.append)
    QTest.keyClick(screen, Qt.Key.Key_Space)
    QTest.keyClick(screen, Qt.Key.Key_Escape)
    QTest.keyClick(screen, Qt.Key.Key_R)
    screen.close()
    assert asked == ["pause", "pause", "repeat", "pause"]
    assert screen.isVisible()


def test_a_written_onset_is_the_end_of_its_paint(qtbot: QtBot, tmp_path: Path) -> None:
    """Each written onset lies between the end of the paint that showed it and the next paint."""
    clock = MonotonicClock()
    presenter = QtPresenter(full_screen=False, beep=lambda: None)
    watched = WatchedScreen(clock)
    presenter.cues, presenter.classes = watched, HANDS
    qtbot.addWidget(watched, before_close_func=lambda w: w.close_for_good())
    engine = SilentEngine()

    def start(_: RunSettings) -> SilentEngine:
        return engine

    runner = Runner(start, presenter, clock)
    config = replace(protocol(6), title="test")
    settings = run_settings(
        Plan("P07"), config, record=tmp_path, profile=None, config=SessionConfig()
    )
    runner.connect(settings)
    watched.show()
    runner.tick()
    runner.show(Part.BLOCK, config, "P07", 1)

    def over() -> bool:
        runner.tick()
        return runner.state.conduct is None

    qtbot.waitUntil(over, timeout=WAIT_MS)
    marks = [c for c in engine.sent if c["command"] == "mark" and c["label"] in HANDS]
    notes = [c["values"] for c in engine.sent if c["command"] == "note"]
    missed = [n for n in notes if n["what"] == "missed" and n["label"] in HANDS]
    assert len(marks) + len(missed) == 6
    ends = watched.ends
    assert len(ends) == len(marks)
    for i, mark in enumerate(marks):
        assert ends[i] <= mark["time"]
        assert i + 1 == len(ends) or mark["time"] < ends[i + 1]
