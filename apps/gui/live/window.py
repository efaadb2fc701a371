"""The live window: a top bar, three columns of cards, a strip below the signals, a status line.

    +--------------------------------------------------------------+
    | top bar: name, source, subject, gaps · latency, marker, rec  |
    +---------+--------------------------------------+-------------+
    | LEFT    | CENTRE                               | RIGHT       |
    |         | (signals and forecast)               |             |
    |         +--------------------------------------+             |
    |         | BOTTOM                               |             |
    +---------+--------------------------------------+-------------+
    | status line: recording, model, decoder        newest message |
    +--------------------------------------------------------------+

How a card is plugged in.  Write a view model (no Qt) in ``view_models/``: a class that is made with
the session's ``ViewInfo`` and has ``take(update)`` (:mod:`..view_models.update`).  Write a panel: a
class that is made with the :class:`Session` and has ``widget`` (a ``Card``), ``period_s`` and
``tick()`` (:mod:`.panel`); it asks ``session.model(MyViewModel)`` for its view model, which the
bridge then feeds at every poll, and repaints from it in ``tick``.  Add a line to
``panels.PANELS``.  Panels share a view model by asking for the same class.  Commands go out by
``session.send({...})``, sentences into the status line by ``session.say(...)``, and other windows
are opened by ``session.ask("montage")`` where ``pages.PAGES`` has that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QActionGroup, QCloseEvent, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import (
    QBoxLayout,
    QHBoxLayout,
    QMainWindow,
    QMenu,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from rtbci.apps.gui import theme
from rtbci.apps.gui.bridge import Bridge
from rtbci.apps.gui.live.banner import Banner
from rtbci.apps.gui.live.display_control import display_of
from rtbci.apps.gui.live.pages import PAGES, open_page
from rtbci.apps.gui.live.panel import Panel, Session, Slot
from rtbci.apps.gui.live.panels import PANELS
from rtbci.apps.gui.live.status_bar import StatusBar
from rtbci.apps.gui.live.top_bar import TopBar
from rtbci.apps.gui.remembered import THEMES, Remembered
from rtbci.apps.gui.view_models.session_state import Life, SessionStateModel
from rtbci.apps.gui.view_models.signals import SignalsModel
from rtbci.apps.gui.widgets.card import Card
from rtbci.apps.texts import t

if TYPE_CHECKING:
    from rtbci.apps.gui.view_models.update import Update

LEFT_PX, RIGHT_PX, BOTTOM_PX = 250, 350, 196
"""Widths of the columns and the height of the strip, before scaling."""
NARROW_PX, RIGHT_NARROW_PX = 1400, 310
"""In a window narrower than this, the right column is so wide."""
STRIP_LEAST_PX = 480
SIZE_PX = (1440, 860)
"""Of the window when it is opened for the first time."""
RUNS = (Life.RUNNING, Life.TROUBLED, Life.WAITING)


class LiveWindow(QMainWindow):
    """Window of a live session.

    Parameters
    ----------
    session : Session
    remembered : Remembered
    ask_on_close : bool
        Whether to ask what becomes of the session when the window is closed.

    Attributes
    ----------
    record_asked : Signal(bool)
        Recording is to begin, or to end.
    again : Signal
        The session is to go on as a new one.
    """

    record_asked = Signal(bool)
    again = Signal()

    def __init__(
        self, session: Session, remembered: Remembered, *, ask_on_close: bool = False
    ) -> None:
        super().__init__()
        self.remembered = remembered
        self.ask_on_close = ask_on_close
        theme.fit(self, *SIZE_PX)
        geometry = remembered.geometry
        if geometry is not None:
            self.restoreGeometry(geometry)
        for keys, steps in ((("+", "="), 1), (("-",), -1)):
            for key in keys:
                QShortcut(QKeySequence(key), self, lambda s=steps: self._zoom(s))
        self._pages: list[QWidget] = []
        self.show_session(session)

    def show_session(self, session: Session) -> None:
        """Show a session, instead of the one that was shown."""
        before: Bridge | None = getattr(self, "bridge", None)
        if before is not None:
            before.stop()
        self.session = session
        self._model = session.model(SessionStateModel)
        self._fitted = self.remembered.has_display
        display_of(session).put(self.remembered.display())
        self._build()
        self.bridge = Bridge(session, lambda: self.panels, self)
        self.bridge.polled.connect(self._polled)
        session.asked.connect(self.open)
        session.change_asked.connect(self.change)
        self.setWindowTitle(t("shell.title", source=session.info.source))
        self.bridge.poll()
        self.bridge.start()

    def add(self, slot: Slot, panel: Panel, stretch: int = 0) -> None:
        """Put a panel into a slot, below or beside those that are there."""
        layout = self._slots[slot]
        # NB: the strip at the bottom stays below what is put into the centre.
        place = layout.count() - (1 if slot is Slot.CENTRE else 0)
        layout.insertWidget(place, panel.widget, stretch)
        if slot is Slot.BOTTOM:
            panel.widget.setMinimumWidth(theme.px(STRIP_LEAST_PX))
        self.panels.append(panel)

    def open(self, page: str) -> None:
        """Open another window of the program, by its name."""
        opened = open_page(page, self.session, self) if page in PAGES else None
        if opened is not None:
            self._pages.append(opened)

    def change(self, changes: Mapping[str, Any]) -> None:
        """Go on with other settings; a window that can't begin a session says so."""
        del changes
        self.session.say(t("setup.source.only_shown"), "fair")

    def _build(self) -> None:
        self.panels: list[Panel] = []
        self._slots: dict[Slot, QBoxLayout] = {}
        whole = QWidget()
        whole.setObjectName("window")
        rows = QVBoxLayout(whole)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        self.top = TopBar(self.session, self._menu(), self.remembered)
        self.top.record_asked.connect(self.record_asked)
        self.status = StatusBar(self.session)
        self.banner = Banner(self._model)
        self.banner.again.connect(self.again)
        rows.addWidget(self.top)
        rows.addWidget(self.banner)
        rows.addLayout(self._columns(), 1)
        rows.addWidget(self.status)
        self.setCentralWidget(whole)
        # NB: no button has the keys at first, so that a blank or Enter presses none.
        whole.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        whole.setFocus()
        self.panels += [self.top, self.status]
        for slot, where, stretch in PANELS:
            module, name = where.split(":")
            self.add(slot, getattr(import_module(module), name)(self.session), stretch)

    def _columns(self) -> QHBoxLayout:
        gap = theme.px(theme.GAP_PX)
        columns = QHBoxLayout()
        columns.setContentsMargins(gap, gap, gap, gap)
        columns.setSpacing(gap)
        for slot, width in ((Slot.LEFT, LEFT_PX), (Slot.CENTRE, 0), (Slot.RIGHT, RIGHT_PX)):
            column = QWidget()
            layout = QVBoxLayout(column)
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(gap)
            if width:
                column.setFixedWidth(theme.px(width))
            columns.addWidget(column, 0 if width else 1)
            if slot is Slot.RIGHT:
                self._right = column
            self._slots[slot] = layout
        strip = Card("")
        strip.hide_header()
        strip.setFixedHeight(theme.px(BOTTOM_PX))
        self._slots[Slot.BOTTOM] = QHBoxLayout()
        self._slots[Slot.BOTTOM].setSpacing(theme.px(2 * theme.INSIDE_PX))
        strip.body.addLayout(self._slots[Slot.BOTTOM])
        self._slots[Slot.CENTRE].addWidget(strip)
        return columns

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        for page in PAGES:
            if (name := f"shell.page.{page}") and t.has(name):
                menu.addAction(t(name)).triggered.connect(lambda _=False, p=page: self.open(p))
        menu.addSeparator()
        themes = menu.addMenu(t("shell.menu.theme"))
        group = QActionGroup(themes)
        for name in THEMES:
            act = themes.addAction(t(f"shell.menu.{name}"))
            act.setCheckable(True)
            act.setChecked(self.remembered.theme == name)
            act.triggered.connect(lambda _=False, n=name: self.set_theme(n))
            group.addAction(act)
        menu.addSeparator()
        menu.addAction(t("shell.menu.end")).triggered.connect(self.end_session)
        close = menu.addAction(t("shell.menu.close"))
        close.setShortcut(QKeySequence.StandardKey.Close)
        close.triggered.connect(self.close)
        return menu

    def set_theme(self, name: str) -> None:
        """Change the theme, and remember it."""
        self.remembered.theme = name
        theme.apply(name)

    def end_session(self) -> None:
        """End the session; the window stays and says so."""
        self.session.send({"command": "stop"})

    def _zoom(self, steps: int) -> None:
        display_of(self.session).zoom(steps)

    def _polled(self, _update: Update) -> None:
        self.banner.refresh()
        if not self._fitted:
            scale = self.session.model(SignalsModel).common_scale()
            if scale is not None:
                self._fitted = True
                display_of(self.session).set(scale_uv=scale)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Give the signals their share of a narrow window."""
        narrow = event.size().width() < theme.px(NARROW_PX)
        self._right.setFixedWidth(theme.px(RIGHT_NARROW_PX if narrow else RIGHT_PX))
        super().resizeEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Remember what the window was like; ask what becomes of the session."""
        if self.ask_on_close and self._model.life in RUNS and not self._ask():
            event.ignore()
            return
        self.bridge.stop()
        self.remembered.geometry = self.saveGeometry()
        self.remembered.keep_display(display_of(self.session).settings)
        self.remembered.save()
        for page in self._pages:
            page.close()
        self.session.view.close()
        super().closeEvent(event)

    def _ask(self) -> bool:
        """Ask whether the session is to run on; False where the window is to stay."""
        box = QMessageBox(self)
        box.setWindowTitle(t("shell.app.close_title"))
        box.setText(t("shell.app.close_question"))
        keep = box.addButton(t("shell.app.close_keep"), QMessageBox.ButtonRole.AcceptRole)
        end = box.addButton(t("shell.app.close_end"), QMessageBox.ButtonRole.DestructiveRole)
        box.addButton(t("shell.app.close_stay"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)
        box.exec()
        if box.clickedButton() is end:
            return self.session.send({"command": "stop"})
        return box.clickedButton() is keep
