"""A calibration window that is killed in the middle of a trial: the session is taken up again."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from rtbci.apps.gui.calibration.opening import make_window
from rtbci.apps.gui.calibration.presenter import QtPresenter
from rtbci.apps.gui.calibration.protocols import Protocols, protocols_of
from rtbci.apps.gui.calibration.store import Plan
from rtbci.apps.gui.view_models.guided import Part, Stand
from rtbci.calibration.protocol.config import TrialTiming
from rtbci.live import registry
from rtbci.live.layout import is_ready
from rtbci.live.reader import LiveView
from rtbci.recording.reader import open_recording

if sys.platform == "win32":
    pytest.skip("nobody kills with signal 9 there", allow_module_level=True)

WAIT_MS = 120_000
PLAN = Plan("P07", montage="C3,Cz,C4", blocks=1, trials=1, seed=1, check=False)
SHORT = TrialTiming(fixation_s=0.1, cue_s=0.1, imagery_s=0.4, rest_s=(0.1, 0.15))
KILLED = """
import sys
from dataclasses import replace
from pathlib import Path
from PySide6.QtCore import QTimer
from rtbci.apps.gui.app import application
from rtbci.apps.gui.calibration.opening import make_window
from rtbci.apps.gui.calibration.presenter import QtPresenter
from rtbci.apps.gui.calibration.protocols import protocols_of
from rtbci.apps.gui.calibration.store import Plan
from rtbci.calibration.protocol.config import TrialTiming

def endless(plan):
    made = protocols_of(plan)
    return replace(made, block=replace(made.block, trial=TrialTiming(0.1, 0.1, 600.0, (0.1, 0.2))))

app = application()
plan = Plan("P07", montage="C3,Cz,C4", blocks=1, trials=1, seed=1, check=False)
presenter = QtPresenter(full_screen=False, beep=lambda: None)
window = make_window(plan, Path(sys.argv[1]), presenter=presenter, make_protocols=endless)
window.show()
asked = ["begin", "skip", "begin"]

def go_on():
    if asked and window.session.now.stand.value == "ready":
        window.ask(asked.pop(0))

timer = QTimer()
timer.timeout.connect(go_on)
timer.start(50)
app.exec()
"""


def short(plan: Plan) -> Protocols:
    made = protocols_of(plan)
    return replace(made, block=replace(made.block, trial=SHORT))


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.mark.timeout(600)  # two windows and an engine
def test_a_session_goes_on_after_its_window_was_killed(qtbot: QtBot, tmp_path: Path) -> None:
    record = tmp_path / "recordings"
    record.mkdir()
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(record)]
    with subprocess.Popen(command, env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}) as killed:
        try:
            qtbot.waitUntil(lambda: bool(cues()), timeout=WAIT_MS)
        finally:
            killed.kill()
    [entry] = registry.sessions()  # the engine goes on without a window
    presenter = QtPresenter(full_screen=False, beep=lambda: None)
    window = make_window(PLAN, record, presenter=presenter, make_protocols=short)
    qtbot.addWidget(window)
    window.show()
    session = window.session
    assert (session.now.part, session.now.stand) == (Part.BLOCK, Stand.READY)
    assert session.now.resumed
    window.ask("begin")
    qtbot.waitUntil(lambda: bool(session.state.counted), timeout=WAIT_MS)
    assert not session.now.problem
    assert session.recording == entry.recording
    assert [len(block.trials) for block in session.state.counted] == [2]
    window.close()
    assert registry.sessions() == []
    assert entry.recording is not None
    markers = open_recording(Path(entry.recording)).markers()
    shown = [m for m in markers if m.label in session.classes]
    assert len(shown) == 3
    [spoilt] = [m for m in markers if m.label == "BAD_stopped"]
    # NB: the engine's times are rounded to a microsecond on their way.
    assert spoilt.time == pytest.approx(shown[0].time, abs=1e-4)
    assert spoilt.duration > 0


def cues() -> list[str]:
    """Cues that a running engine has taken."""
    found = []
    for entry in registry.sessions():
        if is_ready(entry.folder / registry.VIEW_FILE):
            view = LiveView.open(entry.folder)
            events, _ = view.events(0)
            view.close()
            found += [e["label"] for e in events if e["event"] == "marker" and "hand" in e["label"]]
    return found
