"""The terminal view says what a user must know, and fits a small terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from rtbci.apps.times import stop_watch
from rtbci.apps.view import ViewState, describe, render


def status(**changes: Any) -> dict[str, Any]:
    names = [f"C{i}" for i in range(1, 9)]
    made: dict[str, Any] = {
        "event": "status",
        "t_s": 83.2,
        "source": "OpenBCI Cyton on /dev/ttyUSB0",
        "rate": 250.0,
        "electrodes": names,
        "sd_uv": [12.0] * 8,
        "left_out": {},
        "trouble": "",
        "outputs": 0,
        "stopped": False,
        "tokens": 800,
        "skipped_forecasts": 0,
        "gaps": 0,
        "gap_s": 0.0,
        "latency_ms": {"p50": 12.1, "p99": 19.2, "p999": 22.0, "max": 30.1, "stages": {}},
        "skill": [
            {"horizon_ms": [0, 50], "model": 0.41, "ar": 0.52, "ridge": 0.63, "persistence": 1.2}
        ],
        "decode": {
            "classes": ["left_hand", "right_hand"],
            "p": [0.18, 0.82],
            "decision": "right_hand",
            "reason": "",
            "decoder": "P07: ts+lr",
            "calibrated": True,
            "age_s": 0.1,
        },
    }
    return made | changes


def screen(state: ViewState, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, height=40, color_system=None)
    console.print(render(state))
    made = console.file
    assert isinstance(made, io.StringIO)
    return made.getvalue()


def shown(**changes: Any) -> str:
    state = ViewState()
    state.take({"event": "started", "t_s": 0.0, "recording": "/data/sub-P07_task-live_run-01"})
    state.take(status(**changes))
    return screen(state)


def test_one_glance_answers_the_questions() -> None:
    text = shown()
    for part in ("8 good", "right hand", "0.82", "0.41", "0.52", "p99 19.2", "01:23", "● rec"):
        assert part in text


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    state = ViewState()
    names = [f"FCC{i}h" for i in range(64)]
    state.take(status(electrodes=names, sd_uv=[100.0] * 64, source="x" * 200))
    assert max(map(len, screen(state, width).splitlines())) <= width


def test_a_left_out_electrode_is_named_with_its_reason() -> None:
    text = shown(left_out={"C3": "railed: 99 % at full scale"})
    assert "7 good · 1 left out" in text
    assert "C3 left out: railed: 99 % at full scale" in text


def test_an_abstention_says_why_and_an_uncalibrated_decode_says_so() -> None:
    decode = status()["decode"] | {"p": None, "decision": None, "reason": "window not full"}
    assert "abstains: window not full" in shown(decode=decode)
    decode = status()["decode"] | {"calibrated": False}
    assert "uncalibrated: not sent to any output" in shown(decode=decode)


def test_a_decode_that_is_old_says_so_instead_of_its_class() -> None:
    decode = status()["decode"] | {"age_s": 3.2}
    text = shown(decode=decode)
    assert "3 s old" in text
    assert text.count("right hand") == 1  # its bar


def test_unknown_figures_are_dashes() -> None:
    nothing: dict[str, Any] = {"p50": None, "p99": None, "p999": None, "max": None, "stages": {}}
    skill = [{"horizon_ms": [0, 50], "model": None, "ar": None, "ridge": None, "persistence": None}]
    text = shown(latency_ms=nothing, skill=skill, decode=None)
    assert "p50 –  p99 –" in text
    assert "nothing decodes" in text


def test_notices_are_sentences() -> None:
    gap = {
        "event": "gap",
        "start_s": 1.5,
        "length_s": 0.2,
        "missing": 50,
        "cause": "lost frames",
        "bridged": False,
    }
    assert describe(gap) == (
        "gap of 0.200 s at 1.500 s (50 samples, lost frames): a new segment begins."
    )
    assert describe({"event": "channel", "channel": "C3", "reason": "flat: 0.0 µV"}) == (
        "C3 is left out: flat: 0.0 µV."
    )
    assert describe({"event": "channel", "channel": "C3", "reason": ""}) == "C3 is good again."
    assert describe({"event": "lost", "message": "gone"}) == "gone"


def test_keys_are_named_where_they_are_read() -> None:
    state = ViewState(keys=True)
    state.take(status(outputs=1))
    assert "m marker · s STOP outputs · q quit" in screen(state)
    state.take(status(outputs=1, stopped=True))
    assert "s resume outputs" in screen(state)
    state.recording = "/data/" + "x" * 200
    assert "OUTPUTS STOPPED" in screen(state)
    state.take(status())
    assert "outputs" not in screen(state)
    assert "q quit" not in shown()


def test_markers_of_the_user_are_told_and_those_of_files_are_not() -> None:
    marker = {"event": "marker", "label": "T1", "origin": "annotation", "t_s": 1.0, "sample": 250}
    assert describe(marker) == ""
    assert describe(marker | {"origin": "user", "label": "blink"}) == "marker 'blink'."


def test_before_the_first_rows_there_is_something_to_read() -> None:
    assert "waiting for the first rows" in screen(ViewState())


def test_the_clock_reads_like_a_stop_watch() -> None:
    assert [stop_watch(5), stop_watch(65.9), stop_watch(3725)] == ["00:05", "01:05", "1:02:05"]


def test_evidence_shows_its_way_to_the_thresholds_and_what_is_flagged() -> None:
    more = {"evidence": [-0.6, 0.6], "thresholds": [0.9, 0.45], "flags": []}
    decode = status()["decode"] | more | {"decision": None}
    # 18 cells are 1.35: 0.6 fills eight, the thresholds stand at cells 6 and 12.
    assert "evidence ██████│█····│····· 0.60" in shown(decode=decode)
    assert "evidence ······│·····│····· -0.10" in shown(decode=decode | {"evidence": [-0.1, -0.2]})
    text = shown(decode=decode | {"flags": ["eyes", "muscle"]})
    assert "undecided · eyes and muscle: adds no" in text
    four = {"classes": ["left_hand", "right_hand", "feet", "tongue"], "p": [0.25] * 4}
    text = shown(decode=decode | four | {"evidence": [0.1, 0.2, 0.5, 0.0]})
    assert "tongue" in text
    assert " 0.50" in text


def test_what_became_of_a_change_is_said_once_it_is_known() -> None:
    change = {"event": "adaptation", "t_s": 1.0, "change": "updated", "trials": 3}
    assert describe(change) == ""
    kept = describe(change | {"change": "kept", "trials": 20})
    assert kept == "what the decoder learned from 20 trials stays: it is better than before."
    assert "is taken back: it was no better" in describe(change | {"change": "reverted"})
