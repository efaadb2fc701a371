"""The table of colours, without Qt: the window's themes and the pages written without one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by their role, as ``#rrggbb``.

    Attributes
    ----------
    name : str
        ``dark`` or ``light``.
    window, card, raised, line : str
        Behind cards; a card; a button on it; its border.
    text, secondary, faint : str
    signal : str
    left, right, rest, third, fourth : str
        Of classes: left hand, right hand, rest, and whatever others there are.
    good, fair, bad : str
        ``good`` is the forecast's colour, too.
    on_good : str
        Text on a surface of ``good``.
    """

    name: str
    window: str
    card: str
    raised: str
    line: str
    text: str
    secondary: str
    faint: str
    signal: str
    left: str
    right: str
    rest: str
    third: str
    fourth: str
    good: str
    fair: str
    bad: str
    on_good: str


DARK = Palette(
    name="dark",
    window="#101318",
    card="#171b21",
    raised="#1d222a",
    line="#2a313b",
    text="#dfe5ec",
    secondary="#8b96a5",
    faint="#4d5866",
    signal="#c3ccd8",
    left="#56B4E9",
    right="#E69F00",
    rest="#97a3b2",
    third="#CC79A7",
    fourth="#F0E442",
    good="#2fbf9b",
    fair="#e8b13a",
    bad="#e0645c",
    on_good="#0b1512",
)
LIGHT = Palette(
    name="light",
    window="#eef1f4",
    card="#ffffff",
    raised="#f5f7f9",
    line="#d8dee5",
    text="#1d242c",
    secondary="#5c6875",
    faint="#aab4bf",
    signal="#37424f",
    left="#0072B2",
    right="#B96E00",
    rest="#66717d",
    third="#9c4a78",
    fourth="#6b6500",
    good="#00795c",
    fair="#9a6a00",
    bad="#c0392b",
    on_good="#ffffff",
)
PALETTES = {palette.name: palette for palette in (DARK, LIGHT)}

_CLASS_ROLES = {
    "left_hand": "left",
    "right_hand": "right",
    "rest": "rest",
    "both_hands": "left",
    "feet": "third",
    "both_feet": "third",
    "tongue": "fourth",
}
_OTHER_ROLES = ("left", "right", "third", "fourth", "rest")


def class_role(name: str, classes: tuple[str, ...] = ()) -> str:
    """Field of :class:`Palette` that holds a class's colour, the same everywhere.

    Parameters
    ----------
    name : str
        ``left_hand``, or any other word.
    classes : tuple of str
        All classes of the session: a class with no colour of its own takes one by its place.
    """
    role = _CLASS_ROLES.get(name)
    taken = {_CLASS_ROLES[c] for c in classes if c in _CLASS_ROLES}
    if role is None:
        free = [r for r in _OTHER_ROLES if r not in taken] or list(_OTHER_ROLES)
        others = [c for c in classes if c not in _CLASS_ROLES]
        role = free[others.index(name) % len(free) if name in others else 0]
    return role
