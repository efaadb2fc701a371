"""The picture of the signals: every column drawn once is what drawing all at once would give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scenes
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QPainter, QWheelEvent
from pytestqt.qtbot import QtBot

from rtbci.apps.gui.view_models.forecast import ForecastModel
from rtbci.apps.gui.view_models.history import History
from rtbci.apps.gui.view_models.signals import SignalsModel
from rtbci.apps.gui.view_models.update import Update
from rtbci.apps.gui.widgets.sweep import SweepView
from rtbci.apps.gui.widgets.time_axis import Motion, TimeAxis
from rtbci.apps.gui.widgets.traces import condense
from rtbci.live.memory import MemoryView
from rtbci.live.view import Rows

RATE = 250.0
NAMES = ("C3", "Cz", "C4", "Pz")
INFO = replace(scenes.view_info(electrodes=NAMES), n_horizons=0, ring_s=120.0)
RNG = np.random.default_rng(7)
SIGNAL = (RNG.normal(size=(int(60 * RATE), 5)) * 15).astype(np.float32)
TIMES = 1000.0 + np.arange(len(SIGNAL)) / RATE


class Screen:
    """A view of the signals, fed by hand."""

    def __init__(self, qtbot: QtBot, *, sweep: bool, ring_s: float = 120.0) -> None:
        self.memory = MemoryView(replace(INFO, ring_s=ring_s))
        self.signals = SignalsModel(INFO)
        self.signals.set(replace(self.signals.settings, sweep=sweep))
        history = History(self.memory, self.signals)
        self.view = SweepView(self.signals, ForecastModel(INFO), history)
        qtbot.addWidget(self.view)
        self.view.resize(700, 360)
        self.view.show()

    def feed(self, start: int, stop: int, times: np.ndarray = TIMES) -> None:
        rows = Rows(start, SIGNAL[start:stop], times[start:stop])
        nothing = Rows(0, np.zeros((0, len(NAMES)), np.float32), np.zeros(0))
        self.memory.push_rows(rows.data, rows.times)
        self.signals.take(Update(float("nan"), rows, nothing, begun=1000.0))

    def picture(self) -> np.ndarray:
        """The signals as they are drawn, without marks; shape (height, width)."""
        axis, cache = self.view.axis, self.view._cache
        assert axis is not None
        image = QImage(axis.past, cache.height, QImage.Format.Format_ARGB32)
        image.fill(0)
        painter = QPainter(image)
        cache.blit(painter, axis.first, axis.end, 0, 0, 1.0)
        painter.end()
        pixels = np.frombuffer(image.constBits(), np.uint32)
        return pixels.reshape(image.height(), image.width()).copy()


@pytest.mark.parametrize("sweep", [True, False])
def test_columns_drawn_as_they_come_are_those_drawn_at_once(qtbot: QtBot, sweep: bool) -> None:
    grown, whole = Screen(qtbot, sweep=sweep), Screen(qtbot, sweep=sweep)
    rng = np.random.default_rng(0)
    at, stop = 0, round(13.3 * RATE)
    while at < stop:
        step = min(int(rng.integers(0, 40)), stop - at)
        grown.feed(at, at + step)
        grown.view.tick()
        at += step
    whole.feed(0, stop)
    for _ in range(40):
        whole.view.tick()
    one, other = grown.picture(), whole.picture()
    assert np.count_nonzero(one) > 1000
    # NB: an antialiased line may differ in its last bits by where its first point lies.
    differ = np.abs((one >> 24).astype(int) - (other >> 24).astype(int))
    assert differ.max() <= 12


def test_a_gap_stays_empty(qtbot: QtBot) -> None:
    times = TIMES.copy()
    times[750:] += 1.0
    screen = Screen(qtbot, sweep=False)
    screen.feed(0, 1250, times)
    for _ in range(20):
        screen.view.tick()
    axis = screen.view.axis
    assert axis is not None
    first = int(axis.column(times[749])) - axis.first + 2
    last = int(axis.column(times[750])) - axis.first - 2
    columns = np.count_nonzero(screen.picture(), axis=0)
    assert (columns[first:last] == 0).all()
    assert (columns[first - 20 : first - 4] > 0).all()
    assert (columns[last + 4 : last + 20] > 0).all()


def test_paused_it_stands_still_while_rows_come(qtbot: QtBot) -> None:
    screen = Screen(qtbot, sweep=False)
    screen.feed(0, 2500)
    screen.view.tick()
    screen.view.pause(True)
    for _ in range(20):
        screen.view.tick()
    before = screen.picture()
    screen.feed(2500, 5000)
    for _ in range(20):
        screen.view.tick()
    np.testing.assert_array_equal(screen.picture(), before)
    screen.view.pause(False)
    screen.view.tick()
    axis = screen.view.axis
    assert axis is not None
    assert axis.now == TIMES[4999]


def test_what_is_looked_back_to_is_what_was_there(qtbot: QtBot) -> None:
    """Live at 20 s, then at 55 s looked back to 20 s: the same picture."""
    live, later = Screen(qtbot, sweep=False), Screen(qtbot, sweep=False)
    live.feed(0, 5000)
    live.view.pause(True)
    later.feed(0, 13_750)
    later.view.tick()
    later.view.pause(True)
    later.view.look_at(TIMES[4999])
    for screen in (live, later):
        for _ in range(40):
            screen.view.tick()
    one, other = live.picture(), later.picture()
    assert np.count_nonzero(one) > 1000
    # NB: filters that began 15 s before agree but for what they had not yet forgotten.
    differ = np.abs((one >> 24).astype(int) - (other >> 24).astype(int))
    assert np.count_nonzero(differ > 40) < 0.01 * np.count_nonzero(one)


def test_one_looks_no_further_than_there_are_rows(qtbot: QtBot) -> None:
    screen = Screen(qtbot, sweep=False)
    screen.feed(0, 5000)
    screen.view.pause(True)
    screen.view.look_at(0.0)
    assert screen.view.looking_at == pytest.approx(1001.0)
    screen.view.look_at(1e9)
    assert screen.view.looking_at == TIMES[4999]
    wheel = QWheelEvent(
        QPointF(300, 100),
        QPointF(300, 100),
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    screen.view.wheelEvent(wheel)
    assert screen.view.looking_at == pytest.approx(TIMES[4999] - 6.0 / 8)


@pytest.mark.parametrize("motion", list(Motion))
@pytest.mark.parametrize("now", [1003.1, 1009.9, 1017.3])
def test_places_and_instants_belong_together(motion: Motion, now: float) -> None:
    axis = TimeAxis(motion, 1000.0, now, 40, 600, 100, 100.0, 1.0)
    for x in (45.0, 200.0, 639.0):
        time = axis.time_at(x)
        if time <= now and time > axis.time(axis.first) + 0.02:
            found = axis.x(time)
            assert found is not None
            assert abs(found - x) < 1.5
    assert axis.x(now - 7.0) is None
    assert axis.x(now + 1.5) is None


def test_dense_samples_keep_their_extremes() -> None:
    x = np.linspace(0, 10, 1000, endpoint=False)
    y = RNG.normal(size=(1000, 2))
    y[503] = 99.0
    few, reduced, joined = condense(x, y, np.ones(1000, dtype=np.bool_))
    assert len(few) == 20
    assert reduced[:, 0].max() == 99.0
    assert joined.all()
    for column in range(10):
        inside = y[(x >= column) & (x < column + 1)]
        np.testing.assert_array_equal(reduced[2 * column], inside.min(axis=0))
        np.testing.assert_array_equal(reduced[2 * column + 1], inside.max(axis=0))
