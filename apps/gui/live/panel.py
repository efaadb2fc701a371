"""How a card is plugged into the live window: :class:`Panel`; what it gets: :class:`Session`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from rtbci.apps.gui.view_models.update import Update, ViewModel
from rtbci.errors import BadInputError

if TYPE_CHECKING:
    from rtbci.live.view import View, ViewInfo

Model = TypeVar("Model", bound=ViewModel)


class Slot(Enum):
    """Where in the window a panel stands; panels of a slot come in the order they are added."""

    LEFT = "left"
    """Column of cards at the left, 250 px wide."""
    CENTRE = "centre"
    """The large card in the middle: one panel."""
    BOTTOM = "bottom"
    """Below it: panels side by side (unframed cards) in one card."""
    RIGHT = "right"
    """Column of cards at the right, 350 px wide."""


class Panel(Protocol):
    """A part of the live window.

    Attributes
    ----------
    widget : QWidget
        A :class:`rtbci.apps.gui.widgets.card.Card`; in ``BOTTOM`` an unframed one.
    period_s : float
        Seconds between two calls of ``tick``: 0 for every poll (30 Hz; signals only), 0.1 or
        more for all others.
    """

    @property
    def widget(self) -> QWidget: ...  # noqa: D102 - above

    @property
    def period_s(self) -> float: ...  # noqa: D102 - above

    def tick(self) -> None:
        """Show what the view models hold now; not called while the widget is hidden."""


class Session(QObject):
    """The session that the window is attached to, for its panels.

    Parameters
    ----------
    view : View
    send : callable, optional
        Sends a command (:mod:`rtbci.commands`); None where there is nobody to send to.

    Attributes
    ----------
    info : ViewInfo
    said : Signal(str, str)
        A sentence for the status line, with ``good``, ``fair``, ``bad`` or ``""``.
    asked : Signal(str)
        A page is wanted: a name of :data:`rtbci.apps.gui.live.pages.PAGES`.
    change_asked : Signal(object)
        The session is to go on with other settings (fields of ``RunSettings``).
    """

    said = Signal(str, str)
    asked = Signal(str)
    change_asked = Signal(object)

    def __init__(self, view: View, send: Any = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.view = view
        self.info: ViewInfo = view.info
        self._send = send
        self._models: dict[type[Any], ViewModel] = {}

    def model(self, kind: type[Model]) -> Model:
        """Give the session's view model of a class: made once as ``kind(info)``, then shared."""
        if kind not in self._models:
            self._models[kind] = kind(self.info)  # type: ignore[call-arg]
        found = self._models[kind]
        assert isinstance(found, kind)
        return found

    def take(self, update: Update) -> None:
        """Hand what is new to all view models."""
        for model in self._models.values():
            model.take(update)

    def send(self, command: Mapping[str, Any]) -> bool:
        """Send a command; False, and a sentence in the status line, where it can't be."""
        if self._send is None:
            self.said.emit("this session takes no commands: it is only shown.", "fair")
            return False
        try:
            self._send(dict(command))
        except BadInputError as err:
            self.said.emit(str(err), "bad")
            return False
        return True

    def say(self, sentence: str, tone: str = "") -> None:
        """Say something in the status line."""
        self.said.emit(sentence, tone)

    def change(self, changes: Mapping[str, Any]) -> None:
        """Ask for other settings of the session, which goes on as a new one."""
        self.change_asked.emit(dict(changes))

    def ask(self, page: str) -> None:
        """Ask for another window: ``montage``, ``impedance``, ``check`` and so on."""
        self.asked.emit(page)
