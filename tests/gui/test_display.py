"""Whether there is a display is found out before Qt is asked, which would end the process."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from rtbci.apps.gui import theme
from rtbci.apps.gui.app import answers

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="elsewhere there is always a display"
)
FREE = 64123
"""A display that no server has."""


def test_a_server_that_is_there_answers() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(f"\0/tmp/.X11-unix/X{FREE}")
        server.listen()
        assert answers({"DISPLAY": f":{FREE}.0"})
    assert not answers({"DISPLAY": f":{FREE}"})


@pytest.mark.parametrize(
    ("environment", "there"),
    [
        ({"QT_QPA_PLATFORM": "offscreen"}, True),
        ({"QT_QPA_PLATFORM": "xcb"}, False),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"DISPLAY": "far.example:0"}, True),
        ({"DISPLAY": f":{FREE}", "QT_QPA_PLATFORM": "minimal"}, True),
    ],
)
def test_only_a_server_of_this_machine_is_asked(environment: dict[str, str], there: bool) -> None:
    assert answers(environment) is there


def test_a_dead_display_is_a_sentence(tmp_path: Path) -> None:
    command = "from rtbci.apps.entry import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", command, "run", "--gui", "--board", "simulator"],
        env={"DISPLAY": f":{FREE}", "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert ended.returncode == 2
    assert "does not answer" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_window_is_no_larger_than_its_screen(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    room = window.screen().availableSize()
    theme.fit(window, 1e4, 1e4)
    assert (window.width(), window.height()) == (room.width(), room.height())
    theme.fit(window, 200, 100)
    assert (window.width(), window.height()) == (theme.px(200), theme.px(100))
