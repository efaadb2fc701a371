"""The guided path in a real window, on the simulated subject, from start to saved profile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from rtbci.apps.gui.calibration.opening import make_window
from rtbci.apps.gui.calibration.presenter import QtPresenter
from rtbci.apps.gui.calibration.protocols import Protocols, protocols_of
from rtbci.apps.gui.calibration.store import (
    BlockDone,
    GuidedState,
    Plan,
    TrialShown,
    save_state,
    session_folder,
)
from rtbci.apps.gui.calibration.window import CalibrationWindow
from rtbci.apps.gui.view_models.guided import Part, Stand
from rtbci.apps.settings import SourceSettings
from rtbci.calibration.profile import load_profile
from rtbci.calibration.protocol.config import (
    BlockConfig,
    NoControlConfig,
    StepConfig,
    TrialTiming,
)
from rtbci.calibration.protocol.rehearsal import SubjectSettings, rehearse
from rtbci.config import DecodeConfig, SessionConfig
from rtbci.montage import parse_montage
from rtbci.recording.reader import open_recording

WAIT_MS = 120_000
"""Longest wait for anything: machines of CI are slow."""
MONTAGE = "FC3,FC4,C3,Cz,C4,CP3,CP4,Fp1"
PLAN = Plan("P07", SourceSettings(seed=3), MONTAGE, blocks=2, trials=2, decoder="csp+lda", seed=1)
CONFIG = SessionConfig(decode=DecodeConfig(trial_s=(0.1, 2.2)))
"""Trials as short as the decoder's window allows."""
TIMING = TrialTiming(fixation_s=0.1, cue_s=0.1, imagery_s=2.3, rest_s=(0.1, 0.15))


def fast(plan: Plan) -> Protocols:
    """The plan's protocols with as little time as a decoder can be fitted to."""
    made = protocols_of(plan)
    short = replace(made.block, trial=TIMING)
    few = BlockConfig(1, 1, 3, 0.01)
    steps = (StepConfig("eyes_open", "Look.", 0.5, ready_s=0.2),)
    return Protocols(
        check=replace(made.check, steps=steps),
        practice=replace(short, trial=replace(TIMING, imagery_s=0.2), blocks=few),
        block=short,
        feedback=replace(short, blocks=few),
        no_control=replace(made.no_control, no_control=NoControlConfig(4.0, (0.8, 1.0))),
    )


def begun_before(folder: Path) -> GuidedState:
    """A session of which the first block was given before the window was closed."""
    block = replace(fast(PLAN).block, blocks=BlockConfig(1, 8, 3, 0.1))
    who = SubjectSettings(montage=parse_montage(MONTAGE), seed=4)
    recording = rehearse(block, folder, who, seed=2, subject="P07", config=CONFIG)
    trials = tuple(
        TrialShown(m.label, m.time)
        for m in open_recording(recording).markers()
        if m.label in block.classes
    )
    state = GuidedState(PLAN, recordings=[str(recording)])
    state.blocks.append(BlockDone(1, str(recording), 0.0, trials[-1].time + 3.0, trials))
    return state


@pytest.fixture
def window(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CalibrationWindow]:
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path / "home"))
    save_state(begun_before(tmp_path), session_folder(tmp_path, "P07"))
    made = make_window(PLAN, tmp_path, config=CONFIG, presenter=quiet(), make_protocols=fast)
    qtbot.addWidget(made)
    made.resize(1280, 720)
    made.show()
    yield made
    made.close()


def quiet() -> QtPresenter:
    return QtPresenter(full_screen=False, beep=lambda: None)


def reach(qtbot: QtBot, window: CalibrationWindow, part: Part, stand: Stand) -> None:
    """Wait until the session stands there."""

    def there() -> None:
        now = window.session.now
        assert not now.problem, now.problem
        assert (now.part, now.stand) == (part, stand)

    qtbot.waitUntil(there, timeout=WAIT_MS)
    window.refresh()


def press(window: CalibrationWindow, do: str) -> None:
    """Press the button that asks for it."""
    [button] = [b for b in window.say_card.buttons if b.property("do") == do]
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.mark.timeout(900)  # two engines and four fits: a minute, on a loaded machine several
def test_the_whole_path_to_a_saved_profile(
    qtbot: QtBot, window: CalibrationWindow, tmp_path: Path
) -> None:
    session = window.session
    press(window, "begin")
    reach(qtbot, window, Part.CHECK, Stand.READY)
    press(window, "begin")
    reach(qtbot, window, Part.CHECK, Stand.RESULT)
    press(window, "next")
    press(window, "begin")
    reach(qtbot, window, Part.BLOCK, Stand.READY)
    press(window, "begin")
    reach(qtbot, window, Part.BLOCK, Stand.RESULT)
    assert "error" not in session.state.answers
    report = session.state.answers["report"]
    assert report["score"]["trials"] == 16 + 4
    assert report["score"]["label"] == "across runs"
    session.do("feedback")
    window.refresh()
    press(window, "begin")
    reach(qtbot, window, Part.FEEDBACK, Stand.RESULT)
    assert session.state.answers["feedback"]["trials"] == 2
    press(window, "next")
    press(window, "begin")
    reach(qtbot, window, Part.NO_CONTROL, Stand.RESULT)
    press(window, "next")
    press(window, "begin")
    reach(qtbot, window, Part.SAVE, Stand.RESULT)
    assert load_profile("P07").card.decoder == "csp+lda"
    cues = open_recording(Path(session.state.recordings[1]))
    labels = [m.label for m in cues.markers()]
    # The simulated subject blinks when she likes; a trial that she blinks into comes again.
    assert labels.count("left_hand") + labels.count("right_hand") == 4 + labels.count("BAD_eyes")
    assert labels.count("practice_left_hand") == 1
    assert (session_folder(tmp_path, "P07") / "session.json").is_file()
