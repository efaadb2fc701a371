"""Colours, fonts and the style sheet of every window: one table, two themes.

Widgets that paint themselves ask :func:`palette` whenever they paint; what they keep painted
(a cache) is dropped at :data:`look`'s ``changed``.  Sizes in pixels go through :func:`px`, which
follows the system's font size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from string import Template

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontInfo, QGuiApplication
from PySide6.QtGui import QPalette as QtPalette
from PySide6.QtWidgets import QApplication, QWidget

from rtbci.apps.gui import theme_icons
from rtbci.apps.gui.colours import DARK, PALETTES, Palette, class_role

SYSTEM_PX = 12
"""Size of the system's font at which nothing is scaled (9 pt at 96 dots an inch)."""
BODY_PX = 13
SMALL_PX, HEADING_PX, TITLE_PX, DECISION_PX = 12, 12, 16, 30
GAP_PX, INSIDE_PX, CORNER_PX = 10, 12, 10
"""Between cards, inside them, and their corners."""
SCALES = (0.8, 4.0)
"""Smallest and largest scale: a font size beyond that is a slip of the system's settings."""
FAMILIES = ("Inter", "Inter Variable")
"""Taken where installed; else the system's font."""
SYSTEM = "system"
"""Name of the theme that follows the desktop's."""


class Look(QObject):
    """What the windows look like now; ``changed`` is emitted when the theme or size does."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.palette = DARK
        self.scale = 1.0
        self.family = ""


look = Look()
"""The one look of this process."""


def follow(widget: QWidget, action: Callable[[], None]) -> None:
    """Call ``action`` whenever the look changes, as long as the widget is there.

    For objects that are no widgets themselves: Qt ends the connections of widgets on its own.
    """
    look.changed.connect(action)

    def end() -> None:
        with contextlib.suppress(RuntimeError):  # the program ends, and the look went first
            look.changed.disconnect(action)

    widget.destroyed.connect(end)


def palette() -> Palette:
    """Colours of the theme in use."""
    return look.palette


def px(pixels: float) -> int:
    """Scale a length that was drawn to the system's font, at least 1 px."""
    return max(1, round(pixels * look.scale))


def fit(window: QWidget, wide: float, high: float) -> None:
    """Give a window its size at first, in pixels of a plain screen; never more than there is room.

    Parameters
    ----------
    window : QWidget
    wide, high : float
        As :func:`px` takes them.
    """
    room = window.screen().availableSize()
    window.resize(min(room.width(), px(wide)), min(room.height(), px(high)))


def font(pixels: float = BODY_PX, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """Give the window's font at a size (before scaling) and weight; figures are tabular."""
    made = QFont(QApplication.font())
    made.setPixelSize(px(pixels))
    made.setWeight(weight)
    _tabular(made)
    return made


def colour(value: str, alpha: float = 1.0) -> QColor:
    """Make a colour of ``#rrggbb``, with an opacity from 0 to 1."""
    made = QColor(value)
    made.setAlphaF(alpha)
    return made


def class_colour(name: str, classes: tuple[str, ...] = ()) -> str:
    """Colour of a class, the same everywhere.

    Parameters
    ----------
    name : str
        ``left_hand``, or any other word.
    classes : tuple of str
        All classes of the session: a class with no colour of its own takes one by its place.
    """
    chosen: str = getattr(look.palette, class_role(name, classes))
    return chosen


def apply(name: str, size: float | None = None) -> None:
    """Put a theme on the whole application.

    Parameters
    ----------
    name : str
        ``dark``, ``light`` or ``system``.
    size : float, optional
        Scale of texts and lengths; that of the system's font where it is not given.
    """
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    look.palette = PALETTES[system_theme() if name == SYSTEM else name]
    family = next((f for f in FAMILIES if f in QFontDatabase.families()), "")
    if family and look.family != family:
        chosen = QFont(app.font())
        chosen.setFamily(family)
        app.setFont(chosen)
        look.family = family
    wanted = QFontInfo(_system_font()).pixelSize() / SYSTEM_PX if size is None else size
    look.scale = min(max(wanted, SCALES[0]), SCALES[1])
    app.setFont(font())
    app.setPalette(_qt_palette(look.palette))
    app.setStyleSheet(style_sheet(look.palette))
    look.changed.emit()


def system_theme() -> str:
    """Give the desktop's theme: ``light`` where it says so, else ``dark``."""
    scheme = QGuiApplication.styleHints().colorScheme()
    return "light" if scheme is Qt.ColorScheme.Light else "dark"


def _system_font() -> QFont:
    return QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)


def _tabular(made: QFont) -> None:
    if hasattr(made, "setFeature"):  # Qt 6.7 and later
        made.setFeature(QFont.Tag("tnum"), 1)


def _qt_palette(colours: Palette) -> QtPalette:
    """Colours for what no style sheet reaches (menus of the system's, text selection)."""
    role = QtPalette.ColorRole
    made = QtPalette()
    for which, value in (
        (role.Window, colours.window),
        (role.WindowText, colours.text),
        (role.Base, colours.card),
        (role.AlternateBase, colours.raised),
        (role.Text, colours.text),
        (role.Button, colours.raised),
        (role.ButtonText, colours.text),
        (role.PlaceholderText, colours.secondary),
        (role.ToolTipBase, colours.raised),
        (role.ToolTipText, colours.text),
        (role.Highlight, colours.good),
        (role.HighlightedText, colours.on_good),
    ):
        made.setColor(which, QColor(value))
    return made


_SHEET = Template("""
* { color: $text; font-size: ${body}px; }
QMainWindow, QDialog, QWidget#window { background: $window; }
QWidget#bar { background: $card; border: none; }
QWidget#topBar { background: $card; border: none; border-bottom: 1px solid $line; }
QWidget#statusBar { background: $card; border: none; border-top: 1px solid $line; }
QFrame#card { background: $card; border: 1px solid $line; border-radius: ${corner}px; }
QFrame#chip { background: $raised; border: 1px solid $line; border-radius: ${small_corner}px; }
QLabel { background: transparent; border: none; }
QLabel#heading { font-size: ${heading}px; font-weight: 600; }
QLabel#sub, QLabel#secondary, QLabel#small { color: $secondary; font-size: ${small}px; }
QLabel#name { color: $secondary; }
QLabel#faint { color: $faint; }
QLabel#good { color: $good; }
QLabel#fair { color: $fair; }
QLabel#bad { color: $bad; }
QLabel#title { font-size: ${title}px; font-weight: 700; }
QLabel#decision { font-size: ${decision}px; font-weight: 700; }
QPushButton, QToolButton {
    background: $raised; border: 1px solid $line; border-radius: ${small_corner}px;
    padding: ${pad_y}px ${pad_x}px; color: $text; }
QPushButton:hover, QToolButton:hover, QComboBox:hover { border-color: $secondary; }
QPushButton:pressed, QToolButton:pressed { background: $line; }
QPushButton:disabled, QToolButton:disabled, QComboBox:disabled { color: $faint; }
QPushButton:focus, QToolButton:focus, QComboBox:focus, QLineEdit:focus, QCheckBox:focus,
QPlainTextEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QAbstractItemView:focus {
    border: 1px solid $good; }
QPushButton#primary { background: $good; border-color: $good; color: $on_good;
    font-weight: 600; }
QPushButton#primary:focus { border-color: $text; }
QPushButton#primary:disabled { background: $line; border-color: $line; color: $secondary; }
QPushButton#danger { background: transparent; border: 1px solid $bad; color: $bad;
    font-weight: 600; padding: ${tall}px ${pad_x}px; }
QPushButton#danger:hover { background: $bad_wash; }
QPushButton#danger:focus { border: 2px solid $bad; }
QPushButton#alarm { background: $bad; border-color: $bad; color: #ffffff; font-weight: 600; }
QPushButton#alarm:focus { border: 1px solid $text; }
QPushButton#plain { background: transparent; border: 1px solid transparent; color: $secondary;
    font-weight: 600; }
QPushButton#plain:hover { color: $text; }
QPushButton#plain:focus { border: 1px solid $good; }
QPushButton#plain:checked { background: $raised; border: 1px solid $line; color: $text; }
QPushButton#plain:checked:focus { border: 1px solid $good; }
QPushButton#tab { background: transparent; border: 1px solid transparent; color: $secondary;
    font-size: ${small}px; padding: ${tiny}px ${pad_y}px; text-align: left; }
QPushButton#tab:hover { color: $text; }
QPushButton#tab:checked { background: $raised; color: $text; }
QPushButton#tab:focus { border: 1px solid $good; }
QToolButton#title { background: transparent; border: 1px solid transparent; padding: ${tiny}px;
    font-size: ${title}px; font-weight: 700; }
QToolButton#title:hover { border-color: $line; }
QToolButton#title:focus { border-color: $good; }
QToolButton::menu-indicator, QPushButton::menu-indicator { image: none; width: 0; }
QWidget#banner { background: $bad_wash; border: none; border-bottom: 1px solid $line; }
QComboBox { background: $raised; border: 1px solid $line; border-radius: ${small_corner}px;
    padding: ${combo_y}px ${pad_x}px; }
QComboBox::drop-down { border: none; width: ${arrow}px; }
QComboBox::down-arrow { image: url("$arrow_image"); width: ${indicator}px;
    height: ${indicator}px; }
QComboBox QAbstractItemView { background: $raised; border: 1px solid $line; outline: none;
    selection-background-color: $line; selection-color: $text; padding: ${combo_y}px; }
QLineEdit, QPlainTextEdit, QSpinBox, QDoubleSpinBox {
    background: $raised; border: 1px solid $line; border-radius: ${small_corner}px;
    padding: ${pad_y}px ${pad_x}px; selection-background-color: $good;
    selection-color: $on_good; }
QSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::up-button,
QDoubleSpinBox::down-button { background: transparent; border: none; width: ${arrow}px;
    subcontrol-origin: border; margin-right: ${tiny}px; }
QSpinBox::up-button, QDoubleSpinBox::up-button { subcontrol-position: top right; }
QSpinBox::down-button, QDoubleSpinBox::down-button { subcontrol-position: bottom right; }
QSpinBox::up-arrow, QDoubleSpinBox::up-arrow { image: url("$up_image"); width: ${indicator}px;
    height: ${indicator}px; }
QSpinBox::down-arrow, QDoubleSpinBox::down-arrow { image: url("$arrow_image");
    width: ${indicator}px; height: ${indicator}px; }
QCheckBox, QRadioButton { background: transparent; border: 1px solid transparent;
    border-radius: ${tiny}px; spacing: ${pad_y}px; }
QCheckBox::indicator, QRadioButton::indicator { width: ${arrow}px; height: ${arrow}px;
    border: 1px solid $secondary; border-radius: ${tiny}px; background: $raised; }
QCheckBox::indicator:checked, QRadioButton::indicator:checked { background: $good;
    border-color: $good; }
QCheckBox::indicator:checked { image: url("$tick_image"); }
QRadioButton::indicator { border-radius: ${half_arrow}px; }
QMenu { background: $raised; border: 1px solid $line; padding: ${tiny}px; }
QMenu::item { padding: ${pad_y}px ${pad_x}px; border-radius: ${tiny}px; }
QMenu::item:selected { background: $line; }
QMenu::item:disabled { color: $faint; }
QMenu::separator { height: 1px; background: $line; margin: ${tiny}px; }
QToolTip { background: $raised; color: $text; border: 1px solid $line; padding: ${pad_y}px; }
QAbstractItemView, QTableView, QListView, QTreeView { background: $card; border: none;
    alternate-background-color: $raised; gridline-color: $line;
    selection-background-color: $line; selection-color: $text; }
QHeaderView::section { background: $card; color: $secondary; border: none;
    border-bottom: 1px solid $line; padding: ${pad_y}px; }
QTabBar::tab { background: transparent; color: $secondary; border: none;
    padding: ${pad_y}px ${pad_x}px; }
QTabBar::tab:selected { color: $text; border-bottom: 2px solid $good; }
QTabWidget::pane { border: none; }
QProgressBar { background: $raised; border: none; border-radius: ${tiny}px; color: $text;
    text-align: center; }
QProgressBar::chunk { background: $good; border-radius: ${tiny}px; }
QScrollArea, QScrollArea > QWidget > QWidget { background: transparent; border: none; }
QScrollBar:vertical { background: transparent; width: ${pad_y}px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: ${pad_y}px; margin: 0; }
QScrollBar::handle { background: $line; border-radius: ${bar_corner}px; min-height: ${arrow}px;
    min-width: ${arrow}px; }
QScrollBar::handle:hover { background: $faint; }
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {
    background: none; border: none; width: 0; height: 0; }
QSplitter::handle { background: transparent; }
""")


def style_sheet(colours: Palette) -> str:
    """Write the style sheet of a theme at the scale in use."""
    bad = QColor(colours.bad)
    return _SHEET.substitute(
        {
            **{name: getattr(colours, name) for name in Palette.__slots__},
            "bad_wash": f"rgba({bad.red()}, {bad.green()}, {bad.blue()}, 36)",
            "body": px(BODY_PX),
            "small": px(SMALL_PX),
            "heading": px(HEADING_PX),
            "title": px(TITLE_PX),
            "decision": px(DECISION_PX),
            "corner": px(CORNER_PX),
            "small_corner": px(6),
            "tiny": px(4),
            "bar_corner": px(2),
            "pad_x": px(10),
            "pad_y": px(5),
            "combo_y": px(3),
            "tall": px(9),
            "arrow": px(14),
            "half_arrow": px(7),
            "indicator": px(11),
            "arrow_image": theme_icons.arrow(colours.text),
            "up_image": theme_icons.arrow(colours.text, up=True),
            "tick_image": theme_icons.tick(colours.on_good),
        }
    )
