from __future__ import annotations

import io

import pytest
from rich.console import Console

from rtbci.apps.calibration_screen import ARROWS, CROSS, STAGE_HEIGHT, render
from rtbci.apps.conductor_state import Stage
from rtbci.calibration.protocol.config import load_protocol, protocol_names
from rtbci.calibration.protocol.machine import Protocol
from rtbci.calibration.protocol.plan import Kind

NAMES = [f"E{i}" for i in range(64)]
DECODE = {"classes": ["left_hand", "right_hand"], "p": [0.7, 0.3], "decision": "left_hand"}


def drawn(stage: Stage) -> list[str]:
    console = Console(width=80, height=24, record=True, file=io.StringIO())
    console.print(render(stage))
    return console.export_text().splitlines()


def status(names: list[str], **changes: object) -> dict[str, object]:
    made = {"electrodes": names, "sd_uv": [12.0] * len(names), "left_out": {}, "decode": DECODE}
    return made | changes


@pytest.mark.parametrize("name", protocol_names())
def test_every_phase_fits_a_small_terminal(name: str) -> None:
    protocol = Protocol(load_protocol(name), 0, 0.0)
    stage = Stage("P07", load_protocol(name).title, keys=True, recording="/data/" + "x" * 100)
    stage.status = status(NAMES[:22])
    seen, now = set(), 0.0
    while not protocol.done:
        phase, _ = protocol.at(now)
        stage.phase, stage.left_s, stage.remaining_s = phase, 3.0, protocol.remaining_s(now)
        if phase.slot.kind not in seen:
            seen.add(phase.slot.kind)
            lines = drawn(stage)
            assert len(lines) <= 24
            assert max(map(len, lines)) <= 80
        now += 0.5
    assert len(seen) >= 3


def at(kind: Kind, name: str = "graz-4") -> Stage:
    protocol, now = Protocol(load_protocol(name), 0, 0.0), 0.0
    while protocol.at(now)[0].slot.kind is not kind:
        now += 0.25
    return Stage("P07", "four classes", phase=protocol.phase, remaining_s=60.0, left_s=5.0)


def test_the_cross_does_not_move_when_the_cue_comes_and_goes() -> None:
    """The cue is an arm of the cross that becomes an arrow; nothing else changes its place."""

    def places(lines: list[str]) -> set[tuple[int, int]]:
        middle = lines[3 : 3 + STAGE_HEIGHT]
        return {(y, x) for y, line in enumerate(middle) for x, c in enumerate(line) if c == "█"}

    before, during, after = (
        places(drawn(at(kind))) for kind in (Kind.FIXATION, Kind.CUE, Kind.IMAGERY)
    )
    assert before == after
    assert len(before) == 5
    stem = {(y, x) for y, x in before if x == min(x for _, x in before)}
    assert len(stem & during) >= 3
    assert all(len(art) == len(CROSS) for art in ARROWS.values())
    assert {len(line) for art in ARROWS.values() for line in art} == {17}


def test_a_trial_that_runs_is_not_counted_where_the_eye_would_follow() -> None:
    cue, rest = at(Kind.CUE), at(Kind.REST)
    assert any("0 of 24" in line for line in drawn(cue))
    assert any("1 of 24" in line for line in drawn(rest))


def test_what_is_wrong_is_said_where_it_is() -> None:
    stage = at(Kind.BREAK)
    stage.status = status(NAMES, left_out={"E3": "railed"})
    assert any("E3: railed" in line for line in drawn(stage))
    assert any("63 of 64 electrodes good" in line for line in drawn(stage))
    stage.message, stage.alarm = "the board is lost", True
    assert any("the board is lost" in line for line in drawn(stage))
    stage.score = ("balanced accuracy 0.74 over 24 trials",)
    assert any("0.74 over 24 trials" in line for line in drawn(stage))


def test_the_feedback_is_shown_and_the_cue_to_ignore() -> None:
    stage = at(Kind.IGNORE, "no-control")
    stage.status = status(NAMES[:8])
    text = "\n".join(drawn(stage))
    assert "want nothing" in text
    assert "left hand" in text
    assert "→" in text or "←" in text


def test_before_the_first_rows() -> None:
    text = "\n".join(drawn(Stage("P07", "four classes")))
    assert "waiting for the first rows" in text
    assert "not yet recording" in text
