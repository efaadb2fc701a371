"""A live session with a decoder that adapts is replayed to the last bit, and printed with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtbci.apps.assemble import make_engine
from rtbci.apps.commands_data import as_recorded
from rtbci.apps.options import Device
from rtbci.apps.settings import RunSettings, SourceSettings
from rtbci.apps.verify import verify_recording
from rtbci.calibration.card import Card, Score
from rtbci.calibration.decoders.catalogue import make_decoder
from rtbci.calibration.online.adaptation import Referenced
from rtbci.calibration.online.config import OnlineConfig
from rtbci.calibration.online.idle import Idle
from rtbci.calibration.profile import open_profile, save_profile
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.commands import STEER_KINDS, Command, LeaveOut, Mark, SetThreshold, TakeBack
from rtbci.health import BY_HAND
from rtbci.recording.layout import find_recording
from rtbci.recording.reader import open_recording

HANDS = ("left_hand", "right_hand")
NAMES = ("C3", "Cz", "C4")
ONLINE = OnlineConfig(on=0.2, off=0.1, refractory_s=0.2, learn=True, learn_pull=1.0)


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder that was fitted on nothing worth it: it need only answer."""
    view = ViewConfig(bands_hz=((8.0, 30.0),), window_s=1.0, regress="none")
    x = np.random.default_rng(0).standard_normal((20, 3, 250))
    x[::2, 0] *= 2.0
    made = Referenced.around(make_decoder("csp+lda").fit(x, np.arange(20) % 2), x, 1)
    made.idle = Idle(np.array([[0.1, 0.0, -0.1], [-0.1, 0.0, 0.1]]), np.array([3.0, 3.0]))
    card = Card(
        subject="P07",
        created="2026-01-01T00:00:00+00:00",
        decoder="csp+lda",
        file="",
        sha256="",
        classes=HANDS,
        electrodes=NAMES,
        source_rate=250.0,
        recordings=(),
        score=Score(0.5, "within one run", 20, 0, 1.0, 0),
        view=view,
        online=ONLINE,
    )
    return save_profile(card, made, tmp_path_factory.mktemp("subjects")).folder


@pytest.fixture(scope="module")
def session(profile: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """32 s with four cues of the simulator, and labels and errors of the user."""
    settings = RunSettings(
        source=SourceSettings(speed="max", seed=1),
        montage=",".join(NAMES),
        model="ar",
        record=str(tmp_path_factory.mktemp("recorded")),
        duration_s=32.0,
        subject="P07",
        profile=str(profile),
        events=True,
    )
    events: list[Any] = []
    sent: list[float] = []

    def publish(event: dict[str, Any]) -> None:
        events.append(event)
        if event["event"] == "decode" and event["decision"] and len(sent) < 6:
            sent.append(event["t_s"])
            label = "error" if len(sent) % 2 else "label:left_hand"
            engine.obey(Mark(label, None, 0.0, "user"))

    engine = make_engine(settings, publish=publish)
    return Path(engine.run()["recording"]), events


def test_profiles_keep_every_knob(profile: Path) -> None:
    assert open_profile(profile).card.online == ONLINE


def test_decisions_evidence_and_changes_are_told_and_recorded(
    session: tuple[Path, list[Any]],
) -> None:
    folder, events = session
    decodes = [e for e in events if e["event"] == "decode"]
    assert {e["decision"] for e in decodes} > {None}
    decided = [e for e in decodes if e["decision"]]
    for e in decided:
        assert e["evidence"][HANDS.index(e["decision"])] >= ONLINE.off
        assert e["thresholds"] == [ONLINE.on, ONLINE.off]
    changes = [e for e in events if e["event"] == "adaptation"]
    assert changes
    recording = open_recording(folder)
    kept = [c for c in recording.commands() if c.kind == "adaptation"]
    assert [c.values["change"] for c in kept] == [e["change"] for e in changes]
    recorded = [r.decode for r in recording.decodes()]
    assert len(recorded) == len(decodes)
    for r, e in zip(recorded, decodes, strict=True):
        assert (r.decision, [round(v, 4) for v in r.evidence]) == (e["decision"], e["evidence"])
        assert list(r.flags) == e["flags"]


def test_the_replay_is_identical_with_adaptation_and_labels(
    session: tuple[Path, list[Any]],
) -> None:
    folder, _ = session
    recording = open_recording(folder)
    labels = [m.label for m in recording.main.markers() if m.origin == "user"]
    assert labels
    made = verify_recording(folder)
    assert made.exact
    assert made.same, made.words()
    assert made.adaptations >= 2
    assert f"{made.adaptations} changes of the decoder" in made.words()


def test_another_label_would_be_found_out(session: tuple[Path, list[Any]]) -> None:
    """The check can fail: one cue of the other class, and the replay is not the session."""
    folder, _ = session
    path = find_recording(folder).main.commands
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if '"left_hand"' in line)
    values = json.loads(lines[at])
    values["values"]["label"] = "right_hand"
    lines[at] = json.dumps(values) + "\n"
    try:
        path.write_text("".join(lines))
        assert not verify_recording(folder).same
    finally:
        path.write_text(text)


@pytest.fixture(scope="module")
def steered(profile: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """30 s in which somebody moves the thresholds and switches an electrode off and on."""
    settings = RunSettings(
        source=SourceSettings(speed="max", seed=1),
        montage=",".join(NAMES),
        model="ar",
        record=str(tmp_path_factory.mktemp("steered")),
        duration_s=30.0,
        subject="P07",
        profile=str(profile),
        events=True,
    )
    events: list[Any] = []
    steps: list[tuple[str, Command]] = [  # each as soon as an event says that the last is done
        ("decode", SetThreshold(0.1, 0.05)),
        ("threshold", LeaveOut("Cz")),
        ("channel", TakeBack("Cz")),
        ("channel", SetThreshold(3.0, 0.1)),
        ("threshold", SetThreshold(0.1, 0.5)),  # refused: off lies above on
    ]

    def publish(event: dict[str, Any]) -> None:
        events.append(event)
        if steps and event["event"] == steps[0][0]:
            engine.obey(steps.pop(0)[1])

    engine = make_engine(settings, publish=publish)
    return Path(engine.run()["recording"]), events


def test_what_is_changed_by_hand_is_done_recorded_and_replayed(
    steered: tuple[Path, list[Any]],
) -> None:
    folder, events = steered
    decodes = [e for e in events if e["event"] == "decode"]
    thresholds = [tuple(e["thresholds"]) for e in decodes]
    assert sorted(set(thresholds)) == [(0.1, 0.05), (ONLINE.on, ONLINE.off), (3.0, 0.1)]
    [note] = [e["message"] for e in events if e["event"] == "note"]
    assert "at most on; got 0.1 and 0.5" in note
    channels = [(e["channel"], e["reason"]) for e in events if e["event"] == "channel"]
    assert channels == [("Cz", BY_HAND), ("Cz", "")]
    kept = [c.kind for c in open_recording(folder).commands() if c.kind in STEER_KINDS]
    assert kept == ["threshold", "leave_out", "take_back", "threshold"]
    made = verify_recording(folder)
    assert made.exact
    assert made.same, made.words()
    assert made.channels == 2


def test_a_replay_as_if_live_does_it_again(steered: tuple[Path, list[Any]]) -> None:
    folder, events = steered
    again: list[Any] = []
    settings = replace(as_recorded(folder, "max", Device.CPU), events=True)
    make_engine(settings, publish=again.append).run()

    def said(told: list[Any]) -> list[Any]:
        keys = ("token", "p", "decision", "reason", "evidence", "thresholds")
        return [[e[key] for key in keys] for e in told if e["event"] == "decode"]

    assert said(again) == said(events)


def test_another_threshold_would_be_found_out(steered: tuple[Path, list[Any]]) -> None:
    folder, _ = steered
    path = find_recording(folder).main.commands
    text = path.read_text()
    try:
        path.write_text(text.replace('"on": 0.1', '"on": 0.2'))
        assert not verify_recording(folder).same
    finally:
        path.write_text(text)
