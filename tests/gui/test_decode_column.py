"""The decode column, the strip and the outputs, as panels of a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot
from scenes import Scene, view_info

from rtbci.apps.gui import theme
from rtbci.apps.gui.colours import DARK
from rtbci.apps.gui.live.decode_panels import (
    DecisionsPanel,
    DecodePanel,
    EvidencePanel,
    ReadsPanel,
)
from rtbci.apps.gui.live.feedback_window import FeedbackWindow
from rtbci.apps.gui.live.outputs_panel import OutputsPanel
from rtbci.apps.gui.live.panel import Panel, Session
from rtbci.apps.gui.live.strip_panel import PAGES, StripPanel
from rtbci.apps.gui.view_models.decode import DecodeModel
from rtbci.apps.gui.view_models.live_feedback import FeedbackModel
from rtbci.apps.gui.view_models.outputs import OutputLine
from rtbci.apps.gui.widgets.card import Card, ElidedLabel
from rtbci.live.memory import MemoryView
from rtbci.live.view import ViewInfo

SIZES = ((250, 180), (350, 260), (950, 160))
Made = Callable[[Session], Panel]


def session(info: ViewInfo | None = None) -> tuple[Session, list[dict[str, Any]]]:
    sent: list[dict[str, Any]] = []
    return Session(MemoryView(info or view_info()), sent.append), sent


def play(made: Session, seconds: float, **changed: Any) -> None:
    for update in Scene(made.info).updates(seconds):
        if update.status is not None:
            update.status.update(changed)
        made.take(update)


def shown(qtbot: QtBot, widget: QWidget, width: int, height: int) -> QImage:
    qtbot.addWidget(widget)
    widget.resize(width, height)
    widget.show()
    return widget.grab().toImage()


def colours_of(image: QImage) -> set[str]:
    return {
        image.pixelColor(x, y).name()
        for x in range(0, image.width(), 2)
        for y in range(0, image.height(), 2)
    }


def test_the_word_is_large_and_in_the_colour_of_its_class(qtbot: QtBot) -> None:
    made, _ = session(view_info(classes=("left_hand", "right_hand")))
    panel = DecodePanel(made)
    shown(qtbot, panel.widget, 350, 200)
    assert panel.word.whole == "…"
    play(made, 3.0)
    panel.tick()
    assert panel.word.whole == "Left hand"
    assert DARK.left.lower() in panel.word.styleSheet().lower()
    assert "needs 0.70" in panel.widget.sub
    assert "left hand 0.9" in panel.bars.accessibleDescription()
    assert panel.note.isHidden()


def test_no_decoder_is_said_and_nothing_is_empty(qtbot: QtBot) -> None:
    made, _ = session(view_info(classes=(), decoder="", calibrated=False, subject=None))
    play(made, 2.0)
    decode, evidence, reads = DecodePanel(made), EvidencePanel(made), ReadsPanel(made)
    column: tuple[Panel, ...] = (decode, evidence, reads)
    for panel in column:
        panel.tick()
        shown(qtbot, panel.widget, 350, 200)
    assert decode.word.whole == "no decoder"
    assert "Calibrate" in decode.note.text()
    assert "nothing decodes" in evidence.chart.empty
    assert reads.values.text() == "nothing decodes"


def test_an_uncalibrated_decoder_is_called_so(qtbot: QtBot) -> None:
    made, _ = session(view_info(calibrated=False))
    panel = DecodePanel(made)
    shown(qtbot, panel.widget, 350, 220)
    play(made, 1.5)
    panel.tick()
    assert "nothing but neutral is sent" in panel.note.text()
    assert panel.note.objectName() == "fair"


def test_decisions_are_listed_with_what_was_right(qtbot: QtBot) -> None:
    made, _ = session(view_info(classes=("left_hand", "right_hand")))
    panel = DecisionsPanel(made)
    shown(qtbot, panel.widget, 350, 300)
    assert panel.none.isVisible()
    play(made, 40.0)
    panel.tick()
    assert panel.table.isVisible()
    assert panel.widget.sub.startswith("4 right of 4 cued")
    newest = [panel.table.item(0, column) for column in (1, 2)]
    assert newest[0] is not None
    assert newest[1] is not None
    assert newest[0].text() == "left hand"
    assert newest[1].text().endswith("s after cue  ✓")


CARD = """
created = "2026-05-01"
classes = ["left_hand", "right_hand"]
score = {{ balanced = 0.62, trials = 40, caveat = "{caveat}" }}
[[controls]]
name = "rim, low frequencies"
balanced = 0.60
"""


@pytest.mark.parametrize("caveat", ["", "this decoder may be reading the order of the cues"])
def test_a_decoder_that_may_read_the_eyes_is_not_called_motor(
    qtbot: QtBot, tmp_path: Path, caveat: str
) -> None:
    (tmp_path / "decoder").mkdir()
    text = CARD.format(caveat=caveat)
    (tmp_path / "decoder" / "profile.toml").write_text(text, encoding="utf-8")
    made, _ = session(view_info(recording=str(tmp_path)))
    panel = ReadsPanel(made)
    shown(qtbot, panel.widget, 350, 160)
    assert panel.values.text() == "decoder 0.62 · eyes alone 0.60"
    assert panel.warning.isVisible()
    assert panel.warning.text() == (caveat or "may be reading eyes")


def test_an_output_is_switched_by_itself(qtbot: QtBot) -> None:
    made, sent = session()
    asked: list[dict[str, Any]] = []
    made.change_asked.connect(asked.append)
    panel = OutputsPanel(made)
    shown(qtbot, panel.widget, 250, 200)
    play(made, 1.0)
    panel.tick()
    lsl = panel.switches["lsl"]
    assert lsl.isChecked()
    lsl.click()
    assert sent == [{"command": "stop_outputs", "output": "lsl"}]
    outputs = panel._model.outputs
    muted = replace(outputs.lines[0], state="muted")
    panel._model.outputs = replace(outputs, lines=(muted, OutputLine("osc", "", "off")))
    panel.tick()
    assert (lsl.isChecked(), panel.states["lsl"].text()) == (False, "off")
    lsl.click()
    assert sent[1:] == [{"command": "resume_outputs", "output": "lsl"}]
    panel.switches["osc"].click()
    assert asked == [{"osc": "127.0.0.1:9000"}], "a new session begins with it"


def test_nothing_is_decoded_once_the_engine_has_gone(qtbot: QtBot) -> None:
    made, _ = session()
    panel = DecodePanel(made)
    shown(qtbot, panel.widget, 350, 240)
    play(made, 1.0)
    panel.tick()
    assert panel.word.text() != "ended"
    last = next(iter(Scene(made.info).updates(0.1)))
    made.take(replace(last, decodes=(), events=(), status=None, alive=False))
    panel.tick()
    assert panel.word.text() == "ended"
    assert all(bar.p is None for bar in made.model(DecodeModel).bars)


def test_outputs_can_be_stopped_by_key_and_only_the_button_resumes(qtbot: QtBot) -> None:
    made, sent = session()
    panel = OutputsPanel(made)
    shown(qtbot, panel.widget, 250, 200)
    play(made, 1.0)
    panel.tick()
    assert [panel.states[kind].text() for kind in ("lsl", "osc")] == ["received", "sends"]
    panel.widget.activateWindow()
    qtbot.waitUntil(panel.widget.isActiveWindow, timeout=30_000)
    QTest.keyClick(panel.widget, Qt.Key.Key_Escape)
    assert sent == [{"command": "stop_outputs"}]
    play(made, 1.0, stopped=True)
    panel.tick()
    assert panel.states["lsl"].text() == "stopped"
    QTest.keyClick(panel.widget, Qt.Key.Key_Escape)
    assert len(sent) == 1, "a second Esc in haste does no harm"
    QTest.mouseClick(panel.stop, Qt.MouseButton.LeftButton)
    assert sent[-1] == {"command": "resume_outputs"}


def test_every_page_of_the_strip_shows_the_session(qtbot: QtBot) -> None:
    made, _ = session()
    panel = StripPanel(made)
    play(made, 30.0)
    seen = []
    for index in range(len(PAGES)):
        panel.show_page(index)
        panel.tick()
        seen.append(colours_of(shown(qtbot, panel.widget, 950, 170)))
    assert DARK.good.lower() in seen[0], "the forecast's bars"
    assert len(seen[1]) > 300, "a spectrogram and maps"
    assert DARK.fair.lower() in seen[2], "the gap, in words"


def test_pages_are_turned_by_their_buttons(qtbot: QtBot) -> None:
    made, _ = session()
    panel = StripPanel(made)
    shown(qtbot, panel.widget, 950, 170)
    for index, button in enumerate(panel.widget.buttons):
        button.setFocus()
        QTest.keyClick(button, Qt.Key.Key_Space)
        assert panel.widget.pages.currentIndex() == index


@pytest.mark.parametrize("name", ["dark", "light"])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_nothing_is_clipped(qtbot: QtBot, name: str, scale: float) -> None:
    """Every label that can't shorten itself has room for its words."""
    theme.apply(name, scale)
    made, _ = session()
    kinds: list[tuple[Made, int, int]] = [
        (OutputsPanel, 250, 190),
        (DecodePanel, 350, 210),
        (EvidencePanel, 350, 190),
        (ReadsPanel, 350, 130),
        (DecisionsPanel, 350, 200),
        (StripPanel, 640, 170),
    ]
    panels = [(kind(made), width, height) for kind, width, height in kinds]
    play(made, 12.0)
    for panel, width, height in panels:
        panel.tick()
        shown(qtbot, panel.widget, theme.px(width), theme.px(height))
        for label in panel.widget.findChildren(QLabel):
            if isinstance(label, ElidedLabel) or not label.isVisible() or label.wordWrap():
                continue
            wide = label.fontMetrics().horizontalAdvance(label.text())
            assert wide <= label.width() + 1, f"{label.text()!r} has {label.width()} px"
        for card in panel.widget.findChildren(Card):
            assert card.height() >= card.minimumSizeHint().height(), card.heading


def test_the_cursor_goes_where_the_evidence_is_and_home_when_it_is_old(qtbot: QtBot) -> None:
    made, _ = session(view_info(classes=("left_hand", "right_hand")))
    window = FeedbackWindow(made)
    window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    shown(qtbot, window, 600, 400)
    model = made.model(FeedbackModel)
    assert model.mode == "cursor"
    play(made, 3.0)
    for _ in range(40):
        window.step()
    assert window.shown[0] > 0.6
    assert window.shown[1] < 0.01
    assert model.decision == "left_hand"
    window.grab()
    model.mode = "bar"
    window.grab()
    *_, last = Scene(made.info).updates(6.0)
    model.take(type(last)(time=last.time, rows=last.rows, filtered=last.filtered))
    assert not model.alive
    for _ in range(40):
        window.step()
    assert max(window.shown) < 0.01
    model.mode = "off"
    window.step()
    assert not window.isVisible()
