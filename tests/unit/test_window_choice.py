"""Whether a session is shown in a window, and what a new one takes over from the old one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from rtbci.apps.commands_run import wants_window
from rtbci.apps.commands_window import check_display
from rtbci.apps.window_session import DISPLAYS, has_display, switched_by_hand
from rtbci.errors import BadInputError
from rtbci.health import BY_HAND
from rtbci.live.registry import EVENTS_FILE, SessionEntry

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="elsewhere there is always a display"
)


@pytest.mark.parametrize("name", DISPLAYS)
def test_a_window_is_opened_where_there_is_a_display_and_nobody_says_otherwise(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not wants_window(gui=False, headless=False, as_text=False)
    monkeypatch.setenv(name, "")
    assert not has_display()
    monkeypatch.setenv(name, ":0")
    assert wants_window(gui=False, headless=False, as_text=False)
    assert wants_window(gui=True, headless=False, as_text=False)
    assert not wants_window(gui=False, headless=True, as_text=False)
    assert not wants_window(gui=False, headless=False, as_text=True)
    check_display("rtbci attach")


def test_a_window_that_is_insisted_on_and_cannot_be_is_refused() -> None:
    with pytest.raises(BadInputError, match="--gui opens a window, and there is no display"):
        wants_window(gui=True, headless=False, as_text=False)
    with pytest.raises(BadInputError, match="--gui opens a window and --headless none"):
        wants_window(gui=True, headless=True, as_text=False)
    with pytest.raises(BadInputError, match="--gui opens a window and --json none"):
        wants_window(gui=True, headless=False, as_text=True)
    with pytest.raises(BadInputError, match=r"rtbci attach opens a window, .* ssh -X"):
        check_display("rtbci attach")


def test_what_was_switched_by_hand_is_what_stands_at_the_end(tmp_path: Path) -> None:
    told = [
        {"event": "started"},
        {"event": "channel", "channel": "C3", "reason": BY_HAND},
        {"event": "channel", "channel": "C4", "reason": "flat: 0.0 µV"},
        {"event": "channel", "channel": "Cz", "reason": BY_HAND},
        {"event": "outputs", "stopped": True},
        {"event": "threshold", "on": 0.9, "off": 0.4, "message": "..."},
        {"event": "outputs", "stopped": False},
        {"event": "threshold", "on": 1.1, "off": 0.4, "message": "..."},
        {"event": "channel", "channel": "C3", "reason": ""},
    ]
    lines = "".join(json.dumps(event) + "\n" for event in told)
    (tmp_path / EVENTS_FILE).write_text(lines + '{"event": "torn', encoding="utf-8")
    before = ['{"command": "leave_out", "channel": "Pz"}', '{"command": "stop_outputs"}']
    entry = SessionEntry("0", tmp_path, 1, 0.0, "a source", settings={"begin_with": before})
    assert [json.loads(line) for line in switched_by_hand(entry)] == [
        {"command": "leave_out", "channel": "Pz"},
        {"command": "leave_out", "channel": "Cz"},
        {"command": "threshold", "on": 1.1, "off": 0.4},
    ]
    gone = SessionEntry("1", tmp_path / "gone", 1, 0.0, "a source", settings={"begin_with": before})
    assert list(switched_by_hand(gone)) == before
