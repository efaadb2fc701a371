"""Single keys from the terminal, without waiting: what is Linux and macOS, and what is Windows.

A :class:`Keys` is owned by one thread; its ``poll`` never blocks.  :func:`pressed_keys` has a
thread of its own, which calls back.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

NAMES = {" ": "space", "\r": "enter", "\n": "enter"}
ESCAPES = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z~]|O.)?")
"""Arrow and function keys: none of ours."""
POLL_S = 0.05


class Keys:
    """No keys at all: where standard input is no terminal."""

    def poll(self) -> list[str]:
        """Give the keys pressed since the last call: letters in lower case, space, enter."""
        return []


class _Posix(Keys):
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def poll(self) -> list[str]:
        import select

        pressed = ""
        while select.select([self._descriptor], [], [], 0)[0]:
            content = os.read(self._descriptor, 64)
            if not content:
                break
            pressed += content.decode("utf-8", "ignore")
        return _named(pressed)


class _Windows(Keys):
    def __init__(self, console: Any) -> None:
        self._console = console

    def poll(self) -> list[str]:
        pressed = ""
        while self._console.kbhit():
            pressed += self._console.getwch()
        return _named(pressed)


@contextlib.contextmanager
def single_keys() -> Iterator[Keys]:
    """While inside, keys come one by one and are not echoed; Ctrl-C stays what it is."""
    if sys.stdin is None or not sys.stdin.isatty():
        yield Keys()
    elif sys.platform == "win32":
        import msvcrt

        yield _Windows(msvcrt)
    else:
        import termios
        import tty

        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        try:
            tty.setcbreak(descriptor)
            yield _Posix(descriptor)
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def pressed_keys(press: Callable[[str], None]) -> Iterator[bool]:
    """While inside, ``press`` is called with each key, from a thread of its own.

    Gives whether there are keys at all.
    """
    with single_keys() as keys:
        over = threading.Event()

        def watch() -> None:
            while not over.wait(POLL_S):
                for key in keys.poll():
                    press(key)

        there = type(keys) is not Keys
        thread = threading.Thread(target=watch, name="rtbci-keys", daemon=True)
        if there:
            thread.start()
        try:
            yield there
        finally:
            over.set()
            if there:
                thread.join()


def _named(pressed: str) -> list[str]:
    return [NAMES.get(key, key.lower()) for key in ESCAPES.sub("", pressed)]
