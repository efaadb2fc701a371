"""What a session can be asked for, and what it can't."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rtbci.commands import Mark, Note, Stop, SwitchOutputs, read_command
from rtbci.errors import BadInputError

NOW = 100.0


def read(**said: Any) -> Any:
    return read_command(json.dumps(said), NOW)


def test_every_command_is_read() -> None:
    assert read(command="stop") == Stop()
    assert read(command="stop_outputs") == SwitchOutputs(stopped=True)
    assert read(command="resume_outputs") == SwitchOutputs(stopped=False)
    assert read(command="stop_outputs", output="osc") == SwitchOutputs(True, "osc")
    assert read(command="note", kind="pause", values={"block": 2}) == Note("pause", {"block": 2})
    assert read(command="mark", label="blink") == Mark("blink")
    mark = read(command="mark", label="left_hand", time=99.5, duration=1.25, origin="cue")
    assert mark == Mark("left_hand", 99.5, 1.25, "cue")


def test_a_mark_is_stamped_when_it_has_no_time() -> None:
    assert Mark("blink").marker(NOW).time == NOW
    assert Mark("blink", 98.0).marker(NOW).time == 98.0
    assert Mark("blink").marker(NOW).origin == "user"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"command": "dance"}, "no command 'dance'; there are mark"),
        ({}, "no command None"),
        ({"command": "mark"}, "label is a text in one line, got None"),
        ({"command": "mark", "label": " "}, "label is a text"),
        ({"command": "mark", "label": "a\nb"}, "label is a text in one line"),
        ({"command": "mark", "label": "a", "time": "now"}, r"\(100.000 now\), got 'now'"),
        ({"command": "mark", "label": "a", "time": 1e9}, "got 1000000000.0"),
        ({"command": "mark", "label": "a", "duration": -1}, "0 or more, got -1"),
        ({"command": "mark", "label": "a", "origin": 3}, "origin is a text"),
        ({"command": "stop_outputs", "output": 1}, "kind of an output .*got 1"),
        ({"command": "note", "kind": "gap"}, "none of .*gap, marker"),
        ({"command": "note", "kind": "a", "values": [1]}, "values are an object"),
    ],
)
def test_what_is_no_command_says_why(said: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInputError, match=why):
        read(**said)


@pytest.mark.parametrize("line", ["", "stop", '{"command": "st', '["stop"]', "NaN"])
def test_a_torn_line_is_refused(line: str) -> None:
    with pytest.raises(BadInputError):
        read_command(line, NOW)
