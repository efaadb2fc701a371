"""The catalogue of texts: all that is asked for is there, all that is there can be filled in."""

from __future__ import annotations

import ast
import string
from functools import cache
from importlib import resources
from pathlib import Path

import pytest

import rtbci.apps
from rtbci.apps.texts import catalogue, t

APPS = Path(rtbci.apps.__file__).parent
PARTS = sorted(file.stem for file in (APPS / "texts").glob("*.toml"))


@cache
def asked() -> list[tuple[str, str, set[str] | None]]:
    """Every call of ``t`` with a plain name: file, name, and the values it is given."""
    found = []
    for file in sorted(APPS.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and node.args):
                continue
            first = node.args[0]
            if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
                continue
            name = first.value
            if isinstance(node.func, ast.Name) and node.func.id == "t":
                given = {k.arg for k in node.keywords if k.arg}
                spread = any(k.arg is None for k in node.keywords)
                found.append((file.name, name, None if spread else given))
    return found


def test_every_text_that_is_asked_for_is_there() -> None:
    missing = [(file, name) for file, name, _ in asked() if not t.has(name)]
    assert missing == []


def test_every_text_gets_the_values_it_needs() -> None:
    wrong = []
    for file, name, given in asked():
        if given is None or not t.has(name):
            continue
        text = t(name)
        needs = {field for _, field, _, _ in string.Formatter().parse(text) if field}
        if given and not needs <= given:
            wrong.append((file, name, needs - given))
    assert wrong == []


@pytest.mark.parametrize("part", PARTS)
def test_texts_are_texts_that_can_be_filled_in(part: str) -> None:
    texts = catalogue(part)
    assert texts
    for name, text in texts.items():
        assert text.strip(), name
        for _, field, _, _ in string.Formatter().parse(text):
            assert field is None or field.isidentifier(), name


def test_a_text_that_is_not_there_is_a_slip() -> None:
    with pytest.raises(KeyError, match=r"no text 'shell\.nothing'"):
        t("shell.nothing")


def test_a_language_that_lacks_a_text_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t, "language", "xx")
    assert t("shell.name") == "rtbci"
    assert resources.files("rtbci.apps.texts").joinpath("shell.toml").is_file()
