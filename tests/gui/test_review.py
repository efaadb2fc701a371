"""The review window: a recording as it was at an instant, reached by mouse and keys."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton, QWidget
from pytestqt.qtbot import QtBot
from recorded import FLAT_S, HANDS, Plan, record

from rtbci.apps.gui import review, theme
from rtbci.apps.gui.remembered import Remembered
from rtbci.apps.gui.review.window import ReviewWindow
from rtbci.apps.gui.view_models.decode import DecodeModel
from rtbci.apps.gui.view_models.review import FRESH_S, ReviewModel
from rtbci.apps.gui.widgets.head_map import HeadMap
from rtbci.apps.report.causal import causal_blocks
from rtbci.apps.texts import catalogue, t
from rtbci.errors import BadInputError
from rtbci.recording.reader import open_recording

WAIT_MS = 60_000
PLAN = Plan(30.0, gaps=True, flat=True)
PARTS = (
    "timeline",
    "view",
    "play_button",
    "next_button",
    "back_button",
    "bar.open_button",
    "bar.report_button",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("review"), PLAN)


@pytest.fixture(scope="module")
def model(folder: Path) -> ReviewModel:
    return ReviewModel(folder)


@pytest.fixture(scope="module")
def shown(
    model: ReviewModel, qapp: QApplication, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReviewWindow]:
    """One window for all tests: to make it takes longer than to look at it."""
    qapp.setStyle("Fusion")
    theme.apply("dark", 1.0)
    made = ReviewWindow(model, Remembered(tmp_path_factory.mktemp("window") / "window.ini"))
    made.show()
    yield made
    made.close()


@pytest.fixture
def window(shown: ReviewWindow, qtbot: QtBot) -> ReviewWindow:
    """The window as it is when it has just been opened."""
    shown.play(False)
    shown.resize(1280, 720)
    shown.window_box.setCurrentIndex(shown.window_box.findData(6.0))
    shown.scale_box.setCurrentIndex(shown.scale_box.findData(50.0))
    shown.timeline.go_to(6.0)
    shown.timeline.setFocus()
    qtbot.waitUntil(lambda: shown.view.whole, timeout=WAIT_MS)
    return shown


def open_window(model: ReviewModel, qtbot: QtBot, tmp_path: Path) -> ReviewWindow:
    made = ReviewWindow(model, Remembered(tmp_path / "window.ini"))
    qtbot.addWidget(made)
    made.resize(1280, 720)
    made.show()
    qtbot.waitExposed(made)
    return made


def test_decodes_of_an_instant_are_those_that_were_recorded(model: ReviewModel) -> None:
    recorded = [item.decode for item in open_recording(model.recording.files.folder).decodes()]
    for now in (0.5, 3.0, 10.0, 25.0, 30.0):
        until = model.begun + now
        wanted = [d for d in recorded if until - 5.0 <= d.time <= until]
        found = model.decodes_before(now, 5.0)
        assert [d.time for d in found] == [d.time for d in wanted]
        assert [d.decision for d in found] == [d.decision for d in wanted]
        assert [d.reason for d in found] == [d.reason for d in wanted]
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a.p, b.p, rtol=1e-6)


def test_the_forecast_of_an_instant_is_the_newest_one_then(model: ReviewModel) -> None:
    recorded = list(model.recording.forecasts())
    now = recorded[40].time - model.begun + 0.05
    found = model.foretold(now)
    assert found is not None
    assert found.time == recorded[40].time
    np.testing.assert_array_equal(found.values, recorded[40].published.astype(np.float32))
    np.testing.assert_allclose(found.times - found.time, [0.02, 0.048, 0.1, 0.2, 0.5, 1.0])
    assert model.foretold(0.1) is None
    latency = model.latency_at(now)
    assert latency is not None
    assert latency.total_ms == pytest.approx(sum(latency.stages_ms.values()), abs=1e-3)
    # In the gap of 0.8 s nothing came.
    gap = model.gaps[1]
    assert model.foretold(gap.start - model.begun + FRESH_S + 0.3) is None
    assert model.latency_at(gap.start - model.begun + FRESH_S + 0.3) is None


def test_what_was_left_out_then(model: ReviewModel) -> None:
    assert model.left_out(FLAT_S[0] - 1) == {}
    assert model.left_out(FLAT_S[1] - 1) == {"Pz": "flat: 0.0 µV"}
    assert model.left_out(FLAT_S[1] + 5) == {}


def test_the_line_of_time_has_everything(model: ReviewModel) -> None:
    lanes = {lane.name: lane.stretches for lane in model.lanes()}
    assert set(lanes) == {"cues", "decided", "left_out", "gaps", "latency"}
    assert [s.role for s in lanes["cues"]] == ["right", "left", "right", "left", "right"]
    assert [round(s.stop - s.start, 2) for s in lanes["gaps"]] == [0.04, 0.8]
    (out,) = lanes["left_out"]
    assert FLAT_S[0] < out.start < out.stop < FLAT_S[1] + 3
    for name in lanes:
        assert t(f"review.lane.{name}")
    for stretches in lanes.values():
        assert all(0 <= s.start <= s.stop for s in stretches)


def test_jumps_go_from_one_thing_that_happened_to_the_next(model: ReviewModel) -> None:
    at, seen = 0.0, []
    while (found := model.next_happening(at, 1)) is not None:
        seen.append(found)
        at = found
    assert len(seen) == len({h.time for h in model.happenings})
    assert model.next_happening(seen[-1], -1) == seen[-2]
    assert model.next_happening(seen[0], -1) is None


def test_signals_and_forecast_are_drawn(window: ReviewWindow, qtbot: QtBot) -> None:
    """The forecast's green reaches over the instant's line, nothing is drawn in the gap."""
    window.timeline.go_to(25.0)
    qtbot.waitUntil(lambda: window.view.whole, timeout=WAIT_MS)
    assert window.view.foretold is not None
    axis = window.view.axis
    assert axis is not None
    assert axis.time_at(axis.x_now) - window.model.begun == pytest.approx(25.0, abs=0.05)
    image = window.view.grab().toImage()
    ahead = range(int(axis.x_now) + 4, window.view.width() - 4)
    green = sum(
        image.pixelColor(x, y).green() > 1.4 * image.pixelColor(x, y).red() + 40
        for x in ahead
        for y in range(24, window.view.height() - 24, 2)
    )
    assert green > 50
    gap = window.model.gaps[1]
    x = axis.x(gap.start + gap.length / 2)
    assert x is not None
    column = {image.pixelColor(int(x), y).rgb() for y in range(60, window.view.height() - 60)}
    assert len(column) == 1


def test_what_is_drawn_is_what_the_model_saw(window: ReviewWindow) -> None:
    blocks = list(causal_blocks(window.model.recording))
    times = np.concatenate([b.signal_times for b in blocks])
    signal = np.concatenate([b.signal for b in blocks])
    # NB: at 250 Hz the model's rows are the recorded ones; filters have forgotten their start.
    start = window.model.begun + 25.0
    piece = window._history.between(start, start + 2.0)
    inside = (piece.times >= start) & (piece.times <= start + 2.0)
    there = (times >= start) & (times <= start + 2.0)
    np.testing.assert_allclose(piece.times[inside], times[there], atol=1e-6)
    np.testing.assert_allclose(piece.data[inside], signal[there], atol=0.3)


def test_the_decode_column_stands_as_it_stood(window: ReviewWindow) -> None:
    def at(time: float) -> tuple[str, str]:
        window.timeline.go_to(time)
        headline = window.session.model(DecodeModel).headline
        return headline.kind, headline.class_name

    assert at(7.0) == ("decided", HANDS[1])
    assert at(4.0) == ("decided", HANDS[0])
    assert at(FLAT_S[1]) == ("abstains", "")
    assert "1 left out" in window.electrodes.sub
    assert at(0.3) == ("nothing", "")
    assert "left out" not in window.electrodes.sub


def test_keys_move_through_time(window: ReviewWindow) -> None:
    line = window.timeline
    line.go_to(5.0)
    line.setFocus()
    for key, value in (
        (Qt.Key.Key_Right, 51),
        (Qt.Key.Key_Left, 50),
        (Qt.Key.Key_PageDown, 110),
        (Qt.Key.Key_PageUp, 50),
        (Qt.Key.Key_End, line.maximum()),
        (Qt.Key.Key_Home, 0),
    ):
        QTest.keyClick(line, key)
        assert line.value() == value
    window.jump(1)
    first = line.value()
    assert first == round(10 * min(h.time or 0.0 for h in window.model.happenings))
    window.jump(1)
    assert line.value() > first
    window.jump(-1)
    assert line.value() <= first


def test_the_mouse_moves_through_time(window: ReviewWindow) -> None:
    line = window.timeline
    middle = QPoint(line.width() // 2, line.height() // 3)
    QTest.mouseClick(line, Qt.MouseButton.LeftButton, pos=middle)
    assert line.time == pytest.approx(line.time_at(middle.x()), abs=0.06)
    item = window.happened.list.item(0)
    window.happened.list.itemClicked.emit(item)
    assert line.time == pytest.approx(window.model.happenings[0].time, abs=0.11)


def test_dragging_the_signals_moves_the_line_of_time(window: ReviewWindow) -> None:
    window.timeline.go_to(20.0)
    window.view.look_at(window.model.begun + 12.0)
    assert window.timeline.time == pytest.approx(12.0, abs=0.06)


def test_it_plays_and_stops_at_the_end(window: ReviewWindow, qtbot: QtBot) -> None:
    window.timeline.go_to(window.model.seconds - 0.6)
    window.play(True)
    assert window.playing
    qtbot.waitUntil(lambda: not window.playing, timeout=WAIT_MS)
    assert window.timeline.value() == window.timeline.maximum()
    assert window.play_button.text() == t("review.play.start")


def test_the_report_is_written_while_the_window_goes_on(qtbot: QtBot, tmp_path: Path) -> None:
    folder = record(tmp_path / "here", Plan(3.0))
    window = open_window(ReviewModel(folder), qtbot, tmp_path)
    with qtbot.waitSignal(window._writer.done, timeout=WAIT_MS):
        window.bar.report_button.click()
    written = folder.with_name(f"{folder.name}.html")
    assert written.read_text(encoding="utf-8").startswith("<!doctype html>")
    qtbot.waitUntil(window.bar.report_button.isEnabled, timeout=WAIT_MS)
    assert str(written) in window.bar.said.whole
    window.close()


@pytest.mark.parametrize(
    "plan",
    [
        Plan(0.4),
        Plan(3.0, electrodes=("C3",)),
        Plan(8.0, decodes=False, killed=True),
        Plan(8.0, forecasts=False),
        Plan(8.0, decodes=False, forecasts=False),
    ],
)
def test_recordings_with_little_in_them(qtbot: QtBot, tmp_path: Path, plan: Plan) -> None:
    window = open_window(ReviewModel(record(tmp_path, plan)), qtbot, tmp_path)
    for value in (0, window.timeline.maximum() // 2, window.timeline.maximum()):
        window.timeline.setValue(value)
        qtbot.waitUntil(lambda: window.view.whole, timeout=WAIT_MS)
        assert not window.grab().isNull()
    decoded = bool(window.model.classes)
    assert all(panel.widget.isVisible() == decoded for panel in window.panels)
    window.close()


@pytest.mark.parametrize("size", [(1280, 720), (1600, 900), (3840, 2160)])
def test_everything_has_room(window: ReviewWindow, qtbot: QtBot, size: tuple[int, int]) -> None:
    window.resize(*size)
    window.timeline.go_to(FLAT_S[1])
    qtbot.waitUntil(lambda: window.view.whole, timeout=WAIT_MS)
    whole = window.rect()
    for name in PARTS:
        part = attrgetter(name)(window)
        place = part.mapTo(window, QPoint(0, 0))
        assert whole.contains(part.rect().translated(place)), name
        assert part.width() >= part.minimumSizeHint().width(), name
    heads = window.findChildren(HeadMap)
    assert len(heads) == 1


def test_every_part_is_reached_by_the_keyboard(window: ReviewWindow) -> None:
    window.timeline.setFocus()
    reached = set()
    for _ in range(40):
        focus = window.focusWidget()
        reached.add(focus)
        QTest.keyClick(focus, Qt.Key.Key_Tab)
    parts: tuple[QWidget, ...] = (
        window.timeline,
        window.bar.report_button,
        window.happened.list,
        window.scale_box,
    )
    for part in parts:
        assert part in reached
        assert part.accessibleName() or isinstance(part, QPushButton)


def test_display_follows_what_is_chosen(window: ReviewWindow) -> None:
    window.window_box.setCurrentIndex(window.window_box.findData(10.0))
    assert window.signals.settings.window_s == 10.0
    assert window.timeline.pageStep() == 100
    window.scale_box.setCurrentIndex(window.scale_box.count() - 1)
    assert window.signals.settings.scale_uv is None


def test_another_recording_is_opened_beside_it(window: ReviewWindow, tmp_path: Path) -> None:
    assert window.open_recording(tmp_path) is None
    assert "is no recording of rtbci" in window.bar.said.whole
    other = window.open_recording(record(tmp_path / "other", Plan(1.0)))
    assert other is not None
    assert other.isVisible()
    assert window.isVisible()
    other.close()


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "a.edf"
    foreign.write_bytes(b"0")
    with pytest.raises(BadInputError, match="is no recording of rtbci"):
        ReviewModel(foreign)
    with pytest.raises(BadInputError, match="holds no row, so there is nothing to look through"):
        ReviewModel(record(tmp_path / "none", Plan(0.0)))


def test_no_text_is_missing_or_idle() -> None:
    """Every text of the catalogue is asked for by its name somewhere, or by a part of it."""
    folder = Path(review.__path__[0])
    code = "".join(p.read_text(encoding="utf-8") for p in sorted(folder.glob("*.py")))
    code += (folder.parent / "view_models" / "review.py").read_text(encoding="utf-8")
    for name in catalogue("review"):
        stem = name.removesuffix(".one").removesuffix(".other")
        parent, _, leaf = stem.rpartition(".")
        made = f"{parent}.{{" in code or f"{stem}_" in code
        assert stem in code or made or (leaf.endswith("_tip") and stem[:-4] in code), name
