"""The conductor on a clock of its own: what is sent to the session, and what is painted when."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from rtbci.apps.conductor import Conducted, Conductor
from rtbci.apps.conductor_state import Stage
from rtbci.apps.keys import Keys
from rtbci.calibration.protocol.config import ProtocolConfig, load_protocol
from rtbci.calibration.protocol.plan import Kind
from rtbci.clock import ManualClock
from rtbci.types import CUE_ORIGIN

BLOCK = replace(load_protocol("graz-2").scaled(1, 10), instructions=())
END_S = 90.0
"""Longest wait for the conductor's thread: machines of CI are slow."""


class Presenter:
    """Shows nothing, takes its time, and remembers."""

    def __init__(self, clock: ManualClock, paint_s: float) -> None:
        self.clock, self.paint_s = clock, paint_s
        self.shown: list[tuple[float, Kind, str]] = []
        self.scores: list[tuple[str, ...]] = []

    def show(self, stage: Stage, *, tone: bool) -> None:
        self.clock.advance(self.paint_s)
        if stage.phase is not None:
            self.shown.append((self.clock.now(), stage.phase.slot.kind, stage.phase.slot.label))
        self.scores.append(stage.score)


class Pressed(Keys):
    """Keys that are pressed at given times."""

    def __init__(self, clock: ManualClock, keys: list[tuple[float, str]]) -> None:
        self.clock, self.keys = clock, list(keys)

    def poll(self) -> list[str]:
        due = [key for time, key in self.keys if time <= self.clock.now()]
        self.keys = [(time, key) for time, key in self.keys if time > self.clock.now()]
        return due


def conducted(
    config: ProtocolConfig, keys: list[tuple[float, str]], told: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], Presenter, Conducted]:
    """Run a conductor on a clock of its own; gives what it sent."""
    clock = ManualClock()
    presenter, sent, over = Presenter(clock, 0.015), [], threading.Event()

    def send(command: dict[str, Any]) -> None:
        sent.append(command)
        if command["command"] == "stop":
            over.set()

    conductor = Conductor(
        [config],
        1,
        Stage("P07", "test"),
        lambda: nullcontext(presenter),
        lambda: nullcontext(Pressed(clock, keys)),
        scorer=None,
        clock=clock,
    )
    conductor.on_event({"event": "started", "recording": "somewhere"})
    for event in told:
        conductor.on_event(event)
    conductor.ready(send)
    assert over.wait(END_S)
    return sent, presenter, conductor.finish()


def marks(sent: list[dict[str, Any]], *labels: str) -> list[dict[str, Any]]:
    return [c for c in sent if c["command"] == "mark" and c["label"] in labels]


def test_a_cue_has_the_time_at_which_it_was_really_shown() -> None:
    config = BLOCK.scaled(1, 3)
    sent, presenter, end = conducted(config, [], [])
    assert end.complete
    assert not end.stopped
    cues = marks(sent, *config.classes)
    assert len(cues) == 6
    painted = [t for t, kind, _ in presenter.shown if kind is Kind.CUE]
    assert [c["time"] for c in cues] == painted
    assert {c["origin"] for c in cues} == {CUE_ORIGIN}
    assert [c["label"] for c in cues] == [s for _, kind, s in presenter.shown if kind is Kind.CUE]
    relax = [c["time"] for c in marks(sent, "relax")]
    lengths = [b - c["time"] for c, b in zip(cues, relax, strict=True)]
    assert all(4.5 < s < 4.7 for s in lengths)


def test_nothing_is_painted_while_a_trial_runs_but_its_phases() -> None:
    _, presenter, _ = conducted(BLOCK.scaled(1, 2), [], [])
    kinds = [kind for _, kind, _ in presenter.shown]
    assert kinds.count(Kind.CUE) == kinds.count(Kind.IMAGERY) == kinds.count(Kind.FIXATION) == 4


def test_keys_pause_repeat_and_stop() -> None:
    config = BLOCK.scaled(2, 2)
    keys = [(5.0, "space"), (30.0, "space"), (45.0, "r"), (60.0, "q")]
    sent, _, end = conducted(config, keys, [])
    assert end.stopped
    assert not end.complete
    [paused] = marks(sent, "BAD_paused")
    assert paused["time"] + paused["duration"] == pytest.approx(5.0, abs=0.1)
    [repeated] = marks(sent, "BAD_repeated")
    assert repeated["time"] + repeated["duration"] == pytest.approx(45.0, abs=0.1)
    assert len(marks(sent, "BAD_stopped")) <= 1
    notes = [c["values"]["what"] for c in sent if c["command"] == "note"]
    assert notes == ["begin", "pause", "resume", "repeat", "stop"]
    assert sent[-1] == {"command": "stop"}


def test_a_lost_source_pauses_the_cues() -> None:
    """Trials that nobody records help nobody: the user goes on when the board is back."""
    lost = [{"event": "lost", "t_s": 0.0, "message": "the board is lost"}]
    sent, presenter, end = conducted(BLOCK.scaled(1, 2), [(20.0, "space")], lost)
    assert end.complete
    first = min(t for t, kind, _ in presenter.shown if kind is Kind.CUE)
    assert first > 20.0
    notes = [c["values"] for c in sent if c["command"] == "note"]
    assert [n["why"] for n in notes if n["what"] == "pause"] == ["the source is lost"]


def test_a_session_that_ends_under_it_ends_it() -> None:
    sent, _, end = conducted(BLOCK, [], [{"event": "summary"}])
    assert not end.complete
    assert not end.stopped
    assert not marks(sent, *BLOCK.classes)
