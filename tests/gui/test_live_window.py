"""The live window on a session that is made up: all is there, fits, and does what it says."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scenes
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from rtbci.apps.gui import theme
from rtbci.apps.gui.live.display_control import display_of
from rtbci.apps.gui.live.electrodes_panel import ElectrodesPanel, channel_menu
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.live.signals_panel import SignalsPanel
from rtbci.apps.gui.live.window import LiveWindow
from rtbci.apps.gui.remembered import Remembered
from rtbci.apps.gui.view_models.display import BANDS, DisplaySettings
from rtbci.apps.gui.view_models.health import HealthModel
from rtbci.apps.gui.widgets.card import ElidedLabel
from rtbci.live.memory import MemoryView
from rtbci.types import Forecast

WAIT_MS = 60_000


class Live:
    """A window, the session it shows, and the commands that it sends."""

    def __init__(self, qtbot: QtBot, file: Path, **info: Any) -> None:
        self.info = scenes.view_info(recording="/data/sub-P07_task-live_run-01", **info)
        self.view = MemoryView(self.info)
        self.sent: list[dict[str, Any]] = []
        self.session = Session(self.view, self.sent.append)
        self.window = LiveWindow(self.session, Remembered(file))
        self.window.bridge.stop()
        qtbot.addWidget(self.window)
        self.window.resize(1600, 900)
        self.window.show()
        self.news = scenes.Scene(self.info).updates(600.0)

    def play(self, seconds: float) -> None:
        """Let some seconds of the scene come."""
        rng = np.random.default_rng(0)
        for update in itertools.islice(self.news, round(10 * seconds)):
            self.view.push_rows(update.rows.data, update.rows.times)
            self.view.push_filtered(update.filtered.data, update.filtered.times)
            for decode in update.decodes:
                self.view.push_decode(decode)
            token = update.rows.start // scenes.HOP
            mean = rng.normal(size=(250, len(self.info.electrodes))).astype(np.float32)
            self.view.push_forecast(
                Forecast(token, update.rows.stop - 1, update.time, 250.0, mean, "direct")
            )
            for event in update.events:
                self.view.push_event(event)
            assert update.status is not None
            self.view.set_status(update.status)
            self.window.bridge.poll()

    def settle(self) -> None:
        """Show all there is in every panel."""
        for panel in self.window.panels:
            panel.tick()
        for _ in range(3):  # a text that grew is laid out in a second round
            QApplication.processEvents()

    def panel(self, kind: type[Any]) -> Any:
        return next(p for p in self.window.panels if isinstance(p, kind))


@pytest.fixture
def live(qtbot: QtBot, tmp_path: Path) -> Live:
    return Live(qtbot, tmp_path / "window.ini")


def test_what_a_subjects_decoder_can_do_stands_in_the_chip(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path))
    folder = tmp_path / "subjects" / "P07"
    folder.mkdir(parents=True)
    score = 'score = { balanced = 0.78, trials = 60, caveat = "" }'
    card = f'classes = ["left_hand", "right_hand"]\ncreated = "2026-05-01T10:00:00"\n{score}\n'
    (folder / "profile.toml").write_text(card, encoding="utf-8")
    live = Live(qtbot, tmp_path / "window.ini")
    said = " ".join(w.text() for w in live.window.top.findChildren(QLabel))
    assert "calibrated 2026-05-01, 0.78 [0.66, 0.87]" in said


def test_the_battery_is_shown_where_the_board_knows_it(live: Live) -> None:
    live.play(1.0)
    live.settle()
    assert not live.window.top.battery.isVisible()
    live.session.model(HealthModel).state.battery = 12.0
    live.window.top.tick()
    assert live.window.top.battery.isVisible()
    assert (live.window.top.battery.text(), live.window.top.battery.objectName()) == (
        "battery 12 %",
        "fair",
    )


def test_labels_of_the_markers_are_typed_and_remembered(live: Live, tmp_path: Path) -> None:
    page = live.window.top.edit_markers()
    page.lines[0].setText("blink")
    page.lines[1].setText("  ")
    page.accept()
    live.window.top.mark(0)
    live.window.top.mark(1)
    assert [c["label"] for c in live.sent] == ["blink", "marker 2"]
    assert live.window.top.acts[0].text() == "blink"
    live.window.remembered.save()
    kept = Remembered(tmp_path / "window.ini")
    assert kept.markers == ("blink", "marker 2", "marker 3", "marker 4")


def test_nothing_is_said_to_be_recorded_once_the_engine_has_gone(live: Live) -> None:
    live.play(2.0)
    live.settle()
    assert live.window.status.recording.text() == "● recording"
    live.view.alive = False
    live.window.bridge.poll()
    live.settle()
    assert live.window.status.recording.text() == "not recording"
    assert not live.window.status.path.isVisible()


def clipped(window: QWidget) -> list[str]:
    """Texts that have less room than they need."""
    found = []
    for widget in window.findChildren(QWidget):
        if not widget.isVisible() or isinstance(widget, ElidedLabel):
            continue
        if isinstance(widget, QLabel) and widget.text() and not widget.wordWrap():
            needed = widget.fontMetrics().horizontalAdvance(widget.text())
            if widget.width() < needed or widget.height() < widget.fontMetrics().ascent():
                found.append(f"label {widget.text()!r}")
        if isinstance(widget, QPushButton | QToolButton):
            needed = widget.fontMetrics().horizontalAdvance(widget.text())
            if widget.width() < needed:
                found.append(f"button {widget.text()!r}")
    return found


def overlapping(window: QWidget) -> list[str]:
    """Cards that lie over each other or stick out of the window."""
    cards = [w for w in window.findChildren(QWidget, "card") if w.isVisible()]
    places = [(c, c.rect().translated(c.mapTo(window, QPoint()))) for c in cards]
    found = [c.accessibleName() for c, place in places if not window.rect().contains(place)]
    for i, (one, place) in enumerate(places):
        for other, its in places[i + 1 :]:
            if place.intersects(its) and not (one.isAncestorOf(other) or other.isAncestorOf(one)):
                found.append(f"{one.accessibleName()} and {other.accessibleName()}")
    return found


def painted(widget: QWidget, which: Callable[[QColor], bool]) -> int:
    """Count the pixels of a colour; below the labels at the top."""
    image = widget.grab().toImage()
    return sum(
        which(image.pixelColor(x, y))
        for x in range(40, image.width(), 2)
        for y in range(40, image.height())
    )


@pytest.mark.parametrize("name", ["dark", "light"])
def test_everything_fits(live: Live, name: str) -> None:
    theme.apply(name, 1.0)
    live.play(8.0)
    for width, height in ((1280, 720), (1600, 900), (3840, 2160)):
        live.window.resize(width, height)
        live.settle()
        assert (live.window.width(), live.window.height()) == (width, height)
        assert overlapping(live.window) == []
        assert clipped(live.window) == []


def test_a_larger_font_of_the_systems_makes_all_larger(qtbot: QtBot, tmp_path: Path) -> None:
    theme.apply("dark", 1.5)
    live = Live(qtbot, tmp_path / "window.ini")
    live.window.resize(2400, 1350)
    live.play(3.0)
    live.settle()
    assert clipped(live.window) == []
    assert overlapping(live.window) == []
    assert live.window.top.height() == theme.px(52) == 78


def test_what_is_on_screen_moves_with_the_session(live: Live) -> None:
    live.play(3.0)
    live.settle()
    before = live.panel(SignalsPanel).sweep.grab().toImage()
    live.play(6.0)
    live.settle()
    assert live.panel(SignalsPanel).sweep.grab().toImage() != before
    assert live.window.top.counts["latency"].text() == "14 ms"
    assert "left out" in live.panel(ElectrodesPanel).widget.sub
    assert live.window.status.path.whole.startswith("sub-P07_task-live_run-01 · ")


def test_keys_send_what_they_say(live: Live, qtbot: QtBot) -> None:
    live.play(1.0)
    live.window.activateWindow()
    qtbot.waitUntil(live.window.isActiveWindow, timeout=WAIT_MS)
    QTest.keyClick(live.window, Qt.Key.Key_F2)
    assert live.sent == [{"command": "mark", "label": "marker 2"}]
    QTest.keyClick(live.window, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: len(live.sent) > 1, timeout=WAIT_MS)
    assert live.sent[1:] == [{"command": "stop_outputs"}]
    scale = display_of(live.session).settings.scale_uv
    assert scale is not None
    QTest.keyClick(live.window, Qt.Key.Key_Plus)
    assert display_of(live.session).settings.scale_uv == scale / 2.5
    QTest.keyClick(live.window, Qt.Key.Key_P)
    sweep = live.panel(SignalsPanel).sweep
    qtbot.waitUntil(lambda: sweep.paused_at is not None, timeout=WAIT_MS)
    with qtbot.waitSignal(live.window.record_asked, timeout=WAIT_MS) as asked:
        QTest.keyClick(live.window, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    assert asked.args == [False]  # it is recording


def test_a_note_is_written_into_the_session(live: Live) -> None:
    live.play(1.0)
    top = live.window.top
    QTest.mouseClick(top.note, Qt.MouseButton.LeftButton)
    QTest.keyClicks(top.note_field, "electrode Cz wetted")
    QTest.keyClick(top.note_field, Qt.Key.Key_Return)
    assert live.sent == [
        {"command": "note", "kind": "note", "values": {"text": "electrode Cz wetted"}}
    ]
    assert live.window.status.message.whole == "noted: electrode Cz wetted"
    QTest.mouseClick(top.note, Qt.MouseButton.LeftButton)
    QTest.keyClicks(top.note_field, "no")
    QTest.keyClick(top.note_field, Qt.Key.Key_Escape)
    assert not top.note_field.isVisible()
    assert live.sent[1:] == [{"command": "stop_outputs"}], "wherever the cursor is, Esc stops"


def test_an_electrode_is_left_out_and_taken_back(live: Live) -> None:
    parent = live.panel(ElectrodesPanel).head
    channel_menu(live.session, "C3", "", parent).actions()[-1].trigger()
    channel_menu(live.session, "C3", "switched off by hand", parent).actions()[-1].trigger()
    assert live.sent == [
        {"command": "leave_out", "channel": "C3"},
        {"command": "take_back", "channel": "C3"},
    ]


def test_the_head_is_reached_by_keys(live: Live) -> None:
    head = live.panel(ElectrodesPanel).head
    chosen: list[str] = []
    head.chosen.disconnect()
    head.chosen.connect(lambda name, _: chosen.append(name))
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Right, Qt.Key.Key_Return):
        QTest.keyClick(head, key)
    assert chosen == ["Fp1", "Fp2"]


def test_the_engine_gone_is_said_in_words(live: Live, qtbot: QtBot) -> None:
    live.play(2.0)
    assert not live.window.banner.isVisible()
    live.view.alive = False
    live.window.bridge.poll()
    assert live.window.banner.isVisible()
    words = live.window.banner.text.text()
    assert words.startswith("The engine has stopped at 00:02.")
    assert "/data/sub-P07_task-live_run-01" in words
    with qtbot.waitSignal(live.window.again, timeout=WAIT_MS):
        QTest.mouseClick(live.window.banner.button, Qt.MouseButton.LeftButton)


def test_trouble_of_the_source_is_said_where_all_see_it(live: Live) -> None:
    live.play(1.0)
    status = live.view.status()
    assert status is not None
    live.view.set_status(
        status | {"trouble": "no rows for 2.0 s: the board is lost", "t_s": status["t_s"] + 0.1}
    )
    live.window.bridge.poll()
    assert "the board is lost" in live.window.banner.text.text()
    live.view.set_status(status | {"t_s": status["t_s"] + 0.2})
    live.window.bridge.poll()
    assert not live.window.banner.isVisible()


@pytest.mark.parametrize("view", ["stacked", "butterfly", "head"])
def test_every_view_shows_the_signals(live: Live, view: str) -> None:
    live.play(4.0)
    panel = live.panel(SignalsPanel)
    panel.show_view(view)
    for _ in range(12):
        live.settle()
    shown = panel.sweep if view != "head" else panel.head
    assert painted(shown, lambda c: min(c.red(), c.green(), c.blue()) > 140) > 500
    assert painted(shown, lambda c: c.green() > 120 and c.red() < 90) > 50, "the forecast is there"


def test_a_channels_reason_stands_on_the_channel(live: Live) -> None:
    """What is wrong is said where it is: text appears beside T7 once it is left out."""
    live.play(5.0)
    sweep = live.panel(SignalsPanel).sweep

    def written() -> int:
        return painted(sweep, lambda c: c.red() > 150 and c.green() > 110 and c.blue() < 100)

    live.settle()
    before = written()
    live.play(3.0)
    live.settle()
    assert written() > before + 100


def test_what_was_chosen_is_there_the_next_day(qtbot: QtBot, tmp_path: Path) -> None:
    file = tmp_path / "window.ini"
    first = Live(qtbot, file)
    chosen = DisplaySettings(BANDS[2], 50.0, True, None, window_s=10.0, sweep=True, past_s=0.5)
    display_of(first.session).put(chosen)
    first.window.set_theme("light")
    where = first.window.saveGeometry()
    first.window.close()
    second = Live(qtbot, file)
    assert display_of(second.session).settings == chosen
    assert second.window.remembered.theme == "light"
    assert second.window.remembered.geometry == where


def test_a_damaged_memory_counts_as_none(tmp_path: Path) -> None:
    file = tmp_path / "window.ini"
    file.write_text("[General]\ntheme=purple\n[display]\nband=99\nwindow_s=long\n")
    remembered = Remembered(file)
    assert remembered.theme == "system"
    assert remembered.display() == DisplaySettings()


def test_a_session_without_forecasts_or_decoder_has_a_window(qtbot: QtBot, tmp_path: Path) -> None:
    live = Live(qtbot, tmp_path / "w.ini", n_horizons=0, classes=(), decoder="", subject=None)
    live.settle()
    assert live.panel(SignalsPanel).widget.heading == "Signals"
    assert clipped(live.window) == []
