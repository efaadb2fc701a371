"""The source panel: what there is at the left, how it is to be used at the right, Connect below.

The panel chooses and says so; it starts nothing (:mod:`rtbci.apps.gui.setup.start_window` does).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from rtbci.apps.gui import theme
from rtbci.apps.gui.setup.montage_editor import MontageEditor
from rtbci.apps.gui.setup.source_form import SourceForm
from rtbci.apps.gui.setup.source_list import SourceList
from rtbci.apps.gui.view_models.sources import (
    Found,
    Scanner,
    find_recordings,
    run_settings,
    simulator,
)
from rtbci.apps.gui.widgets.card import Card
from rtbci.apps.settings import RunSettings
from rtbci.apps.texts import t
from rtbci.errors import BadInputError

LOOK_MS = 250
"""How often what the scanner found is shown."""
LIST_PX = 360


class SourcePanel(QWidget):
    """Chooses a source and how it is used.

    Parameters
    ----------
    base : RunSettings
        What is begun with; options of the command line that the panel does not show stay.
    recordings : Path, optional
        Folder whose recordings are offered.
    scanner : Scanner, optional
        What looks for boards and streams.
    can_cancel : bool
        Whether there is something to go back to.
    live_only : bool
        Whether only the source is asked for, and no recording is one (a calibration).

    Attributes
    ----------
    chosen : Signal(object)
        The :class:`RunSettings` to connect with.
    cancelled : Signal()
    impedance_asked : Signal(object)
        The settings of a board whose impedances are to be measured.
    """

    chosen = Signal(object)
    cancelled = Signal()
    impedance_asked = Signal(object)

    def __init__(
        self,
        base: RunSettings | None = None,
        *,
        recordings: Path | None = None,
        scanner: Scanner | None = None,
        can_cancel: bool = False,
        live_only: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("window")
        self._live_only = live_only
        self._base = base or RunSettings()
        self._recordings = recordings or Path(self._base.record or ".")
        self._opened: list[Found] = []
        self.scanner = scanner or Scanner()
        self.sources = SourceList()
        self.form = SourceForm(self._base, source_only=live_only)
        self.message = QLabel()
        self.connect_button = QPushButton(t(f"setup.source.{'use' if live_only else 'connect'}"))
        self.back = QPushButton(t("setup.source.cancel"))
        self.back.setVisible(can_cancel)
        self._list_card = Card(t("setup.source.heading"))
        self._stack = QStackedWidget()
        self._build()
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self.refresh)
        self.scanner.start()
        self.refresh()
        self.sources.choose(simulator().key)
        self.sources.setFocus()

    def _build(self) -> None:
        self.sources.setAccessibleName(t("setup.source.heading"))
        self.sources.picked.connect(self._show_chosen)
        again = QPushButton(t("setup.source.refresh"))
        again.setToolTip(t("setup.source.refresh_tip"))
        again.clicked.connect(self.scanner.refresh)
        QShortcut(QKeySequence.StandardKey.Refresh, self).activated.connect(self.scanner.refresh)
        opener = QPushButton(t("setup.source.open_recording"))
        opener.setToolTip(t("setup.source.open_recording_detail"))
        opener.clicked.connect(self._ask_recording)
        buttons = QHBoxLayout()
        buttons.addWidget(again)
        buttons.addWidget(opener)
        opener.setVisible(not self._live_only)
        buttons.addStretch(1)
        self._list_card.body.addWidget(self.sources, 1)
        self._list_card.body.addLayout(buttons)
        self._list_card.setFixedWidth(theme.px(LIST_PX))
        self.form.edit_montage.connect(self._edit_montage)
        self.form.impedance_asked.connect(self._ask_impedance)
        self.form.changed.connect(self._check)
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.connect_button.setObjectName("primary")
        self.connect_button.setDefault(True)
        self.connect_button.clicked.connect(self.connect_now)
        self.back.clicked.connect(self.cancelled)

        page = QWidget()
        gap = theme.px(theme.GAP_PX)
        columns = QHBoxLayout()
        columns.setSpacing(gap)
        columns.addWidget(self._list_card)
        columns.addWidget(self.form, 1)
        ends = QHBoxLayout()
        ends.addWidget(self.message, 1)
        ends.addWidget(self.back)
        ends.addWidget(self.connect_button)
        rows = QVBoxLayout(page)
        rows.setContentsMargins(gap, gap, gap, gap)
        rows.setSpacing(gap)
        rows.addLayout(columns, 1)
        rows.addLayout(ends)
        self._stack.addWidget(page)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._stack)

    def refresh(self) -> None:
        """Show what is there now."""
        state = self.scanner.found()
        looking = t("setup.source.looking")
        no_board = t("setup.source.no_board") if state.looks else looking
        no_stream = state.problem or (t("setup.source.no_stream") if state.looks > 1 else looking)
        one = simulator()
        always = [
            replace(
                one, title=t("setup.source.simulator"), detail=t("setup.source.simulator_detail")
            ),
            Found("fieldtrip", "", t("setup.source.fieldtrip"), t("setup.source.fieldtrip_detail")),
            Found("board", "", t("setup.source.other_board"), t("setup.source.other_board_detail")),
        ]
        files = [] if self._live_only else [*self._opened, *find_recordings(self._recordings)]
        groups = [
            (t("setup.source.boards"), no_board, state.boards),
            (t("setup.source.streams"), no_stream, state.streams),
            (t("setup.source.others"), "", always),
        ]
        if files:
            groups.append((t("setup.source.recordings"), "", files))
        self.sources.show_groups(groups)
        self._list_card.set_sub(t("setup.source.sub"))

    def settings(self) -> RunSettings:
        """Give the session that is chosen.

        Raises
        ------
        BadInputError
            With what can't be read, and the remedy.
        """
        return run_settings(self.form.choice(self.sources.chosen), self._base)

    def connect_now(self) -> None:
        """Take the choice, or say what is wrong with it."""
        try:
            settings = self.settings()
        except BadInputError as err:
            self.say(str(err), "bad")
        else:
            if not self._live_only:
                self.say(t("setup.source.connecting"))
                self.set_busy(True)
            self.chosen.emit(settings)

    def say(self, sentence: str, tone: str = "small") -> None:
        """Say something beside the buttons; ``tone`` is ``bad``, ``fair`` or ``small``."""
        self.message.setObjectName(tone)
        self.message.setText(sentence)
        self.message.style().polish(self.message)

    def set_busy(self, busy: bool) -> None:
        """Take no input while a session is getting ready."""
        for widget in (self.sources, self.form, self.connect_button):
            widget.setEnabled(not busy)

    def open_recording(self, path: Path) -> None:
        """Offer a file or folder, and choose it."""
        found = Found("replay", str(path), path.stem if path.is_file() else path.name, str(path))
        self._opened = [found, *(f for f in self._opened if f.key != found.key)]
        self.refresh()
        self.sources.choose(found.key)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Look while the panel is seen."""
        super().showEvent(event)
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        """Look no more while it is not."""
        super().hideEvent(event)
        self._timer.stop()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """End the scanner."""
        self.end()
        super().closeEvent(event)

    def end(self) -> None:
        """Look for nothing any more."""
        self._timer.stop()
        self.scanner.close()

    def _show_chosen(self, found: Found | None) -> None:
        self.form.show_source(found)
        self._check()

    def _check(self) -> None:
        """Say at once what is wrong with the choice."""
        found = self.sources.chosen
        if found is not None and found.problem:
            self.say(found.problem, "bad")
        else:
            self.say("" if self._live_only else t("setup.source.first"))
        self.connect_button.setEnabled(found is not None and not found.problem)

    def _ask_recording(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, t("setup.source.open_recording"), str(self._recordings)
        )
        if path:
            self.open_recording(Path(path))

    def _ask_impedance(self) -> None:
        try:
            self.impedance_asked.emit(self.settings())
        except BadInputError as err:
            self.say(str(err), "bad")

    def _edit_montage(self) -> None:
        names, fixed = self.form.montage_names(self.sources.chosen)
        editor = MontageEditor(names, fixed=fixed)
        editor.done.connect(self.form.set_montage)

        def leave() -> None:
            self._stack.removeWidget(editor)
            editor.deleteLater()
            self.form.setFocus()

        editor.done.connect(leave)
        editor.cancelled.connect(leave)
        self._stack.addWidget(editor)
        self._stack.setCurrentWidget(editor)
