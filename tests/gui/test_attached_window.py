"""Windows and engines are processes of their own: each outlives the other's end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import mne
import psutil
import pytest
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from rtbci.apps import window_session
from rtbci.apps.gui.app import live_window
from rtbci.apps.gui.live.signals_panel import SignalsPanel
from rtbci.apps.settings import RunSettings, SourceSettings
from rtbci.apps.window_session import DetachedEngine
from rtbci.live import registry
from rtbci.live.reader import LiveView
from rtbci.recording.reader import open_recording

WAIT_MS = 120_000
WINDOW = """
import sys
from pathlib import Path
from PySide6.QtCore import QTimer
from rtbci.apps.gui.app import application, live_window
app = application("dark")
window = live_window(Path(sys.argv[1]))
window.resize(1280, 720)
window.show()
def look():
    if window.panels[-1].widget.isVisible() and window.session.view.status():
        picture = Path(sys.argv[2])
        window.grab().save(str(picture.with_suffix(".new.png")))
        picture.with_suffix(".new.png").replace(picture)
timer = QTimer()
timer.timeout.connect(look)
timer.start(500)
app.exec()
"""


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runtime and settings of the test's own, here and in the processes that it starts."""
    for name, folder in (("XDG_RUNTIME_DIR", "rt"), ("XDG_CONFIG_HOME", "config")):
        (tmp_path / folder).mkdir(mode=0o700)
        monkeypatch.setenv(name, str(tmp_path / folder))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DetachedEngine]:
    """A recorded session on the simulator."""
    settings = RunSettings(
        source=SourceSettings(), montage="C3,Cz,C4", model="ar", record=str(tmp_path / "recordings")
    )
    started = window_session.start(settings)
    try:
        started.wait()
        yield started
    finally:
        for entry in registry.sessions():
            psutil.Process(entry.pid).kill()
        if not started.ended:
            started.end()


def until(what: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + WAIT_MS / 1000
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_the_engine_is_killed(engine: DetachedEngine, qtbot: QtBot) -> None:
    """The window says so and goes on with a new session; the recording up to then is whole."""
    window = live_window(engine.folder)
    qtbot.addWidget(window)
    window.show()
    recording = window.session.info.recording
    assert recording is not None
    qtbot.waitUntil(lambda: open_recording(recording).n_rows > 500, timeout=WAIT_MS)
    [entry] = registry.sessions()
    os.kill(entry.pid, signal.SIGKILL)
    qtbot.waitUntil(window.banner.isVisible, timeout=WAIT_MS)
    words = window.banner.text.text()
    assert words.startswith("The engine has stopped at 00:")
    assert recording in words
    raw = mne.io.read_raw_brainvision(next(Path(recording).glob("*.vhdr")), verbose="error")
    assert raw.n_times > 500
    window.banner.button.click()
    qtbot.waitUntil(lambda: window.session.info.session != entry.id, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: window.top.dot.toolTip() == "rows arrive", timeout=WAIT_MS)
    assert not window.banner.isVisible()
    assert window.session.info.recording not in (None, recording)
    window.close()


def test_recording_is_ended_and_begun_in_the_window(engine: DetachedEngine, qtbot: QtBot) -> None:
    window = live_window(engine.folder)
    qtbot.addWidget(window)
    window.show()
    first = window.session.info.recording
    assert first is not None
    qtbot.waitUntil(lambda: window.top.record.objectName() == "alarm", timeout=WAIT_MS)
    window.top.record.click()
    qtbot.waitUntil(lambda: window.session.info.recording is None, timeout=WAIT_MS)
    assert open_recording(first).summary is not None, "it ended as it was asked to"
    qtbot.waitUntil(lambda: window.top.record.text() == "●  Record", timeout=WAIT_MS)
    window.top.record.click()
    qtbot.waitUntil(lambda: window.session.info.recording is not None, timeout=WAIT_MS)
    assert window.session.info.recording != first
    window.close()


def test_one_looks_back_past_what_the_engine_keeps(engine: DetachedEngine, qtbot: QtBot) -> None:
    """Rows older than the ring come from the recording, and are the same ones."""
    view = LiveView.open(engine.folder)
    until(lambda: len(view.rows(0).times) > 1000)
    window = live_window(engine.folder)
    qtbot.addWidget(window)
    window.show()
    panel = next(p for p in window.panels if isinstance(p, SignalsPanel))
    history = panel.sweep.history
    first = float(view.rows(0, 1).times[0])
    kept = history.between(first + 1.0, first + 2.0)

    class Short:
        """The same view, of which only the newest rows are kept."""

        info = replace(view.info)

        @staticmethod
        def rows(after: int, limit: int | None = None) -> object:
            return view.rows(max(after, 900), limit)

    history._view = Short()  # type: ignore[assignment]
    history._kept = None
    recorded = history.between(first + 1.0, first + 2.0)
    assert len(recorded.times) > 240
    assert (recorded.times == kept.times).all()
    assert (recorded.data == kept.data).all()
    assert history.first() == first
    window.close()
    view.close()


def test_a_window_is_killed_on_a_real_display(engine: DetachedEngine, tmp_path: Path) -> None:
    """Under Xvfb: it paints; killed, the recording goes on, and another window attaches."""
    server = shutil.which("Xvfb")
    if server is None:
        pytest.skip("Xvfb is not installed, so there is no display to open a window on")
    numbers, write = os.pipe()
    display = subprocess.Popen(
        [server, "-displayfd", str(write), "-screen", "0", "1280x720x24"],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        number = os.read(numbers, 16).decode().strip()
        if not number:
            pytest.skip("Xvfb does not start here, so there is no display to open a window on")
        environment = os.environ | {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb"}
        [entry] = registry.sessions()
        recording = entry.recording
        assert recording is not None
        for name in ("first.png", "second.png"):
            picture = tmp_path / name
            window = subprocess.Popen(
                [sys.executable, "-c", WINDOW, str(engine.folder), str(picture)],
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
            )
            try:
                until(lambda p=picture, w=window: p.exists() or w.poll() is not None)  # type: ignore[misc]
                assert picture.exists(), window.communicate()[1]
                image = QImage(str(picture))
                assert (image.width(), image.height()) == (1280, 720)
                colours = {image.pixel(x, y) for x in range(0, 1280, 5) for y in range(0, 720, 5)}
                assert len(colours) > 50
            finally:
                window.kill()
                window.communicate()
            rows = open_recording(recording).n_rows
            until(lambda n=rows: open_recording(recording).n_rows > n + 250)  # type: ignore[misc]
        assert not engine.ended
    finally:
        os.close(numbers)
        display.terminate()
        display.wait()
