"""The source panel, the montage editor and the impedance page."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from rtbci.apps import window_session
from rtbci.apps.gui import theme
from rtbci.apps.gui.setup.impedance_page import ImpedancePage
from rtbci.apps.gui.setup.montage_editor import MontageEditor
from rtbci.apps.gui.setup.source_panel import SourcePanel
from rtbci.apps.gui.setup.start_window import StartWindow
from rtbci.apps.gui.view_models.sources import Found, Scanner
from rtbci.apps.settings import RunSettings, SourceSettings
from rtbci.montage import MONTAGES, UNUSED

WAIT_MS = 60_000
BOARD = Found("board", "/dev/ttyUSB0", "OpenBCI Cyton dongle", "/dev/ttyUSB0")
BUSY = Found("board", "/dev/ttyUSB1", "FT231X", "", "held by cat (pid 7); close it.")
STREAM = Found("lsl", "amp-1", "Amp", "EEG · 3 ch · 500 Hz", n_channels=3)

Make = Callable[..., SourcePanel]


@pytest.fixture
def make(qtbot: QtBot, tmp_path: Path) -> Iterator[Make]:
    scanners = []

    def panel(*found: Found, base: RunSettings | None = None) -> SourcePanel:
        scanner = Scanner(
            lambda: [f for f in found if f.kind == "board"],
            lambda: [f for f in found if f.kind == "lsl"],
            pause_s=0.01,
        )
        scanners.append(scanner)
        made = SourcePanel(base, recordings=tmp_path, scanner=scanner)
        qtbot.addWidget(made)
        made.resize(1000, 640)
        made.show()
        looked = len(found) + 1
        qtbot.waitUntil(lambda: scanner.found().looks > looked, timeout=WAIT_MS)
        made.refresh()
        return made

    yield panel
    for scanner in scanners:
        scanner.close()
        scanner.join()


def test_the_simulator_is_chosen_and_can_be_connected_at_once(make: Make, qtbot: QtBot) -> None:
    panel = make(BOARD, STREAM)
    assert panel.connect_button.isEnabled()
    with qtbot.waitSignal(panel.chosen, timeout=WAIT_MS) as caught:
        QTest.mouseClick(panel.connect_button, Qt.MouseButton.LeftButton)
    assert caught.args[0].source.simulated
    assert not panel.connect_button.isEnabled(), "it is busy"
    panel.set_busy(False)
    panel.say("the board is silent; switch it on.", "bad")
    assert panel.message.objectName() == "bad"


def test_a_board_is_asked_for_its_kind_and_montage(make: Make) -> None:
    panel = make(BOARD, STREAM)
    assert panel.sources.choose(BOARD.key)
    assert panel.form.board.isVisible()
    panel.form.board.setCurrentText("cyton")
    panel.form.montage.setCurrentText("openbci-cyton")
    panel.form.subject.setCurrentText("P07")
    made = panel.settings()
    assert (made.source.name, made.source.serial_port) == ("cyton", "/dev/ttyUSB0")
    assert (made.montage, made.subject) == ("openbci-cyton", "P07")
    assert panel.form.head.names == MONTAGES["openbci-cyton"]
    panel.sources.choose(STREAM.key)
    assert not panel.form.board.isVisible()
    assert [panel.form.montage.itemText(i) for i in range(panel.form.montage.count())] == [
        "motor-3"
    ]


def test_what_is_wrong_is_said_on_the_panel(make: Make, qtbot: QtBot) -> None:
    panel = make(BUSY, STREAM)
    panel.sources.choose(BUSY.key)
    assert panel.message.text() == BUSY.problem
    assert not panel.connect_button.isEnabled()
    panel.sources.choose(STREAM.key)
    assert panel.connect_button.isEnabled()
    panel.form.montage.setCurrentText("C3,C3,C4")
    with qtbot.assertNotEmitted(panel.chosen):
        panel.connect_now()
    assert "named twice: C3" in panel.message.text()


def test_refreshing_keeps_what_is_chosen(make: Make) -> None:
    panel = make(BOARD, STREAM)
    panel.sources.choose(STREAM.key)
    panel.sources.show_groups([("Boards", "none", []), ("Streams", "none", [STREAM, BOARD])])
    kept = panel.sources.chosen
    assert kept == STREAM
    panel.sources.show_groups([("Boards", "none", []), ("Streams", "none", [])])
    gone = panel.sources.chosen
    assert gone is None
    assert not panel.connect_button.isEnabled()


def test_a_recording_can_be_opened(make: Make, tmp_path: Path) -> None:
    panel = make()
    file = tmp_path / "other" / "a.edf"
    panel.open_recording(file)
    assert panel.settings().source == SourceSettings(kind="replay", name=str(file))


def test_the_montage_is_edited_on_the_head(make: Make, qtbot: QtBot) -> None:
    panel = make(STREAM)
    panel.sources.choose(STREAM.key)
    QTest.mouseClick(panel.form.edit, Qt.MouseButton.LeftButton)
    editor = panel.findChild(MontageEditor)
    assert editor is not None
    assert editor.model.fixed
    assert editor.model.names == [UNUSED] * 3
    assert not editor.use.isEnabled()
    for electrode in ("C3", "Cz", "C4"):
        editor.head.chosen.emit(electrode, QPoint())
    assert editor.preset.currentText() == "motor-3"
    QTest.mouseClick(editor.use, Qt.MouseButton.LeftButton)
    assert panel.settings().montage == "motor-3"


@pytest.fixture
def editor(qtbot: QtBot) -> MontageEditor:
    made = MontageEditor(MONTAGES["openbci-cyton"], fixed=False)
    qtbot.addWidget(made)
    made.resize(1000, 640)
    made.show()
    qtbot.waitExposed(made)
    return made


def place(editor: MontageEditor, electrode: str) -> QPoint:
    return editor.head._place(editor.head.names.index(electrode)).toPoint()


def test_a_click_gives_the_channel_in_hand_its_place(editor: MontageEditor, qtbot: QtBot) -> None:
    editor.channels.setCurrentRow(4)
    QTest.mouseClick(editor.head, Qt.MouseButton.LeftButton, pos=place(editor, "CP3"))
    assert editor.model.names[4] == "CP3"
    assert editor.channels.currentRow() == 5


def test_an_electrode_is_dragged_to_another_place(editor: MontageEditor) -> None:
    head = editor.head
    start, end = place(editor, "O1"), place(editor, "PO7")
    QTest.mousePress(head, Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(head, (start + end) / 2)
    QTest.mouseMove(head, end)
    QTest.mouseRelease(head, Qt.MouseButton.LeftButton, pos=end)
    assert editor.model.names[6] == "PO7"
    assert "O1" not in editor.model.names


def test_names_can_be_typed_and_taken_away(editor: MontageEditor, qtbot: QtBot) -> None:
    editor.channels.item(0).setText("1 fpz")
    assert editor.model.names[0] == "Fpz"
    editor.channels.setCurrentRow(1)
    editor.channels.setFocus()
    QTest.keyClick(editor.channels, Qt.Key.Key_Delete)
    assert editor.model.names[1] == UNUSED
    editor.text.setText("C3,Cz,C4,C4")
    editor.text.editingFinished.emit()
    assert "named twice: C4" in editor.problem.text()
    assert not editor.use.isEnabled()
    editor.text.setText("motor-8")
    editor.text.editingFinished.emit()
    assert editor.use.isEnabled()
    assert editor.preset.currentText() == "motor-8"


def test_the_number_of_channels_can_be_changed_where_no_device_has_said_it(
    editor: MontageEditor,
) -> None:
    editor.count.setValue(9)
    assert editor.model.names[-1] == UNUSED
    editor.count.setValue(2)
    assert editor.model.names == ["Fp1", "Fp2"]


def test_no_two_places_on_the_head_are_one(editor: MontageEditor) -> None:
    head = editor.head
    near = [
        (a, b)
        for i, a in enumerate(head.names)
        for j, b in enumerate(head.names[:i])
        if (head._place(i) - head._place(j)).manhattanLength() < theme.px(8)
    ]
    assert near == []
    assert all(head.rect().contains(head._place(i).toPoint()) for i in range(len(head.names)))


class FakeEngine:
    """An engine that gets ready, or fails, when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ready = False
        self.failure: str | None = None
        self.ended = False
        self.told_to_end = False

    def end(self) -> None:
        self.told_to_end = True


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    made = FakeEngine(tmp_path)
    monkeypatch.setattr(window_session, "start", lambda _: made)
    return made


@pytest.fixture
def start(qtbot: QtBot, tmp_path: Path) -> Iterator[StartWindow]:
    window = StartWindow(recordings=tmp_path, scanner=Scanner(list, list))
    qtbot.addWidget(window)
    window.show()
    yield window
    window.close()
    window.panel.scanner.join()


def test_a_session_that_can_not_be_started_is_explained_and_nothing_closes(
    start: StartWindow, engine: FakeEngine, qtbot: QtBot
) -> None:
    start.panel.connect_now()
    assert not start.panel.connect_button.isEnabled()
    engine.failure = "the board on /dev/ttyUSB0 answers nothing; switch it on."
    qtbot.waitUntil(lambda: start.panel.message.text() == engine.failure, timeout=WAIT_MS)
    assert start.panel.connect_button.isEnabled()
    assert start.isVisible()


def test_a_session_that_is_ready_is_opened_and_the_panel_goes(
    start: StartWindow, engine: FakeEngine, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(start.opened, timeout=WAIT_MS) as caught:
        start.panel.connect_now()
        engine.ready = True
    assert caught.args == [engine.folder]
    qtbot.waitUntil(lambda: not start.isVisible(), timeout=WAIT_MS)
    assert not engine.told_to_end


def test_closing_ends_what_has_not_got_ready(start: StartWindow, engine: FakeEngine) -> None:
    start.panel.connect_now()
    start.close()
    assert engine.told_to_end


@pytest.mark.skipif(sys.platform == "win32", reason="ptys are POSIX only")
def test_impedances_of_a_board_are_measured_and_the_current_is_proved_to_be_off(
    qtbot: QtBot,
) -> None:
    from cyton import CytonEmulator

    with CytonEmulator() as board:
        board.electrodes(3e6)
        source = SourceSettings(kind="board", name="openbci", serial_port=board.port)
        page = ImpedancePage(RunSettings(source=source, montage="openbci-cyton"))
        qtbot.addWidget(page)
        page.show()
        with qtbot.waitSignal(page.closed, timeout=WAIT_MS):
            QTest.mouseClick(page.start_button, Qt.MouseButton.LeftButton)
            qtbot.waitUntil(lambda: len(page.model.measured) >= 1, timeout=WAIT_MS)
            page.leave()
        assert page.model.off, page.model.error
        assert board.driven() == []
    assert page.model.measured["Fp1"].contact == "open"
    cell = page.table.item(0, 1)
    assert cell is not None
    assert cell.text() == "> 1 MΩ"
    assert "measured" in page.proof.text()


def test_a_check_on_no_board_says_why(qtbot: QtBot) -> None:
    page = ImpedancePage(RunSettings())
    qtbot.addWidget(page)
    page.show()
    page.switch()
    qtbot.waitUntil(lambda: page.model.phase == "failed", timeout=WAIT_MS)
    assert "measured on a board" in page.state.text()
    assert page.proof.isHidden()


def test_the_pointer_shows_what_is_dragged(editor: MontageEditor) -> None:
    head = editor.head
    QTest.mousePress(head, Qt.MouseButton.LeftButton, pos=place(editor, "C3"))
    QTest.mouseMove(head, place(editor, "C1"))
    QTest.mouseMove(head, place(editor, "Cz"))
    assert head._where is not None
    assert (head._where - QPointF(place(editor, "Cz"))).manhattanLength() <= 2
    before = head.grab().toImage()
    QTest.mouseRelease(head, Qt.MouseButton.LeftButton, pos=QPoint(1, 1))
    assert head.grab().toImage() != before
    assert editor.model.names[2] == "C3", "it was dropped nowhere"
