"""Ctrl-C before there is a command line to catch it, and after."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rtbci.apps import cli, entry

PRESSED_WHILE_IMPORTING = """
import sys

class CtrlC:
    def find_spec(self, name, *_):
        if name == "typer":
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
from rtbci.apps.entry import main
main()
"""


def test_ctrl_c_while_the_command_line_is_imported_is_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRESSED_WHILE_IMPORTING], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "rtbci: ended by Ctrl-C.\n"


def test_ctrl_c_in_a_command_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pressed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", pressed)
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 130
    assert capsys.readouterr().err == "rtbci: ended by Ctrl-C.\n"
