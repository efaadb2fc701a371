"""All texts of the window and of the report, by parts.

``texts/<part>.toml`` has them, ``texts/<language>/<part>.toml`` translations.

    t("live.decode.heading")               a text
    t("live.decode.needs", level=0.9)      with its values, as in str.format
    t.plural("shell.channels", 3)          one or other, by the number (which is a value, too)

The name of a text is its file and its path inside it.  A text that the chosen language lacks is
taken from English, which has them all.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

ENGLISH = "en"


class Texts:
    """The catalogue; one for the process, called as a function."""

    def __init__(self) -> None:
        self.language = ENGLISH

    def __call__(self, name: str, **values: Any) -> str:
        """Give a text with its values put in.

        Raises
        ------
        KeyError
            Where there is no such text: a slip of the program's, which a test finds.
        """
        text = _find(self.language, name)
        return text.format(**values) if values else text

    def plural(self, name: str, n: int, **values: Any) -> str:
        """Give ``name.one`` for 1 and ``name.other`` for all else; ``{n}`` is the number."""
        return self(f"{name}.{'one' if n == 1 else 'other'}", n=n, **values)

    def has(self, name: str) -> bool:
        """Whether there is such a text (for names made of data, as a class's)."""
        try:
            _find(self.language, name)
        except KeyError:
            return False
        return True


t = Texts()


def catalogue(part: str, language: str = ENGLISH) -> dict[str, str]:
    """Give all texts of a part (``live``) by their names."""
    return _flat(part, _load(language, f"{part}.toml"))


def _find(language: str, name: str) -> str:
    file, *path = name.split(".")
    for tongue in dict.fromkeys((language, ENGLISH)):
        found: Any = _load(tongue, f"{file}.toml")
        for part in path:
            found = found.get(part) if isinstance(found, dict) else None
        if isinstance(found, str):
            return found
    raise KeyError(f"there is no text {name!r} in the catalogue.")


@cache
def _load(language: str, file: str) -> dict[str, Any]:
    folder = resources.files(__name__)
    source = folder.joinpath(file) if language == ENGLISH else folder.joinpath(language, file)
    return tomllib.loads(source.read_text(encoding="utf-8")) if source.is_file() else {}


def _flat(prefix: str, tree: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found |= _flat(f"{prefix}.{name}", value)
        else:
            found[f"{prefix}.{name}"] = value
    return found
