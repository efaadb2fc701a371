from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtbci.calibration.protocol.config import (
    LONGEST_CUE_S,
    BlockConfig,
    ProtocolConfig,
    load_protocol,
    protocol_names,
)
from rtbci.calibration.protocol.machine import (
    PAUSED,
    REPEATED,
    STOPPED,
    Due,
    Event,
    Protocol,
)
from rtbci.calibration.protocol.plan import Kind, balanced_order
from rtbci.errors import BadInputError

GRAZ = load_protocol("graz-2")
SMALL = GRAZ.scaled(2, 3)
START = 100.0

steps = st.lists(st.floats(0.0, 7.0), min_size=1, max_size=60)


def poll(protocol: Protocol, pauses: list[float], start: float = START) -> list[Event]:
    """Ask at odd times, then once long after the end."""
    now, events = start, []
    for pause in pauses:
        now += pause
        events += protocol.at(now)[1]
    return events + protocol.at(now + 10_000.0)[1]


def shown(events: list[Event]) -> list[tuple[float, str]]:
    return [(e.time, e.label) for e in events if e.due is Due.SHOW]


def cues(events: list[Event], config: ProtocolConfig = GRAZ) -> list[Event]:
    return [e for e in events if e.due is Due.SHOW and e.label in config.classes]


@given(steps, st.sampled_from(protocol_names()))
def test_the_schedule_does_not_depend_on_who_asks_when(pauses: list[float], name: str) -> None:
    config = load_protocol(name)
    at_once = Protocol(config, 3, START).at(START + 10_000.0)[1]
    assert poll(Protocol(config, 3, START), pauses) == at_once
    assert at_once[-1].due is Due.DONE
    times = [e.time for e in at_once]
    assert times == sorted(times)


@given(steps)
def test_an_event_is_given_once_it_is_due_and_not_before(pauses: list[float]) -> None:
    protocol, now = Protocol(SMALL, 1, START), START
    for pause in pauses:
        before, now = now, now + pause
        _, events = protocol.at(now)
        assert all(e.time <= now for e in events)
        assert all(e.time >= before or before == START for e in events)


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 12), st.integers(1, 4))
def test_orders_are_balanced_and_never_long_in_one_class(
    seed: int, n_classes: int, trials: int, most: int
) -> None:
    classes = tuple("abcde"[:n_classes])
    order = balanced_order(classes, trials, most, np.random.default_rng(seed))
    assert Counter(order) == dict.fromkeys(classes, trials)
    if n_classes > 1:
        assert max(len(list(run)) for _, run in itertools.groupby(order)) <= most


def test_a_seed_is_an_order_and_blocks_differ() -> None:
    first, same, other = (Protocol(GRAZ, seed) for seed in (1, 1, 2))
    assert [s.trials for s in first.sections] == [s.trials for s in same.sections]
    assert first.sections[1].trials != other.sections[1].trials
    assert first.sections[1].trials != first.sections[2].trials
    rests = [s.seconds for s in first.sections[1].slots if s.kind is Kind.REST]
    assert len(set(rests)) == 20
    low, high = GRAZ.trial.rest_s
    assert all(low <= r <= high for r in rests)


@pytest.mark.parametrize("name", protocol_names())
def test_totals_are_what_really_comes(name: str) -> None:
    config = load_protocol(name)
    protocol = Protocol(config, 5, START)
    totals = protocol.totals
    assert protocol.remaining_s(START) == pytest.approx(totals.seconds)
    events = protocol.at(START + 10_000.0)[1]
    assert events[-1].time - START == pytest.approx(totals.seconds)
    assert Counter(e.label for e in cues(events, config)) == totals.trials
    assert sum(e.due is Due.BLOCK_DONE for e in events) == totals.blocks == config.blocks.count
    assert protocol.done
    assert protocol.remaining_s(START + 10_000.0) == 0.0


def test_a_trial_is_cross_cue_cross_rest() -> None:
    protocol = Protocol(SMALL, 0, 0.0)
    protocol.skip(0.0)
    kinds = [(s.kind, s.seconds) for s in protocol.sections[1].slots[:3]]
    assert kinds == [(Kind.FIXATION, 2.0), (Kind.CUE, 1.0), (Kind.IMAGERY, 3.6)]
    phase, events = protocol.at(2.5)
    assert phase.slot.kind is Kind.CUE
    assert phase.slot.label in SMALL.classes
    assert (phase.since, phase.until, phase.trials, phase.block) == (2.0, 3.0, 6, 1)
    assert [e.label for e in events] == ["block", phase.slot.label]
    assert events[1].time == 2.0
    assert events[1].seconds == 1.0 <= LONGEST_CUE_S


@given(st.floats(0.0, 80.0), st.floats(0.01, 500.0), steps)
def test_a_pause_shifts_what_comes_and_loses_no_trial(
    before: float, length: float, pauses: list[float]
) -> None:
    """What was interrupted begins anew at the end of the pause; all that follows keeps its gaps."""
    whole = Protocol(SMALL, 2, START).at(START + 10_000.0)[1]
    protocol = Protocol(SMALL, 2, START)
    protocol.pause(START + before)
    assert protocol.phase.paused
    phase, events = protocol.at(START + before + 0.9 * length)
    assert phase.until == float("inf")
    left = protocol.remaining_s(START + before + length)
    protocol.resume(START + before + length)
    again = protocol.remaining_s(START + before + length)
    assert again >= left - 1e-6
    events += poll(protocol, pauses, START + before + length)
    bad = [e for e in events if e.label == PAUSED]
    good = [
        e
        for e in cues(events)
        if not any(b.time - 1e-6 <= e.time < b.time + b.seconds for b in bad)
    ]
    assert [e.label for e in good] == [e.label for e in cues(whole)]
    late = [e for e in cues(events) if e.time >= START + before + length]
    same = cues(whole)[len(cues(whole)) - len(late) :]
    shifts = [a.time - b.time for a, b in zip(late, same, strict=True)]
    assert np.ptp(shifts) < 1e-6 if shifts else True
    assert not late or shifts[0] == pytest.approx(events[-1].time - whole[-1].time)


def test_a_pause_in_a_trial_voids_it_from_its_cue() -> None:
    protocol = Protocol(SMALL, 0, 0.0)
    protocol.skip(0.0)
    cue = protocol.at(4.0)[1][-1]
    protocol.pause(4.5)
    protocol.resume(60.0)
    phase, events = protocol.at(62.5)
    assert [(e.label, e.time) for e in events] == [
        ("relax", 4.5),
        (PAUSED, cue.time),
        ("block", 60.0),
        (cue.label, 62.0),
    ]
    assert events[1].seconds == pytest.approx(2.5)
    assert phase.slot.trial == 1


def test_a_break_goes_on_where_it_was() -> None:
    protocol = Protocol(SMALL, 0, 0.0)
    protocol.skip(0.0)
    begins = protocol.sections[1].seconds - SMALL.blocks.break_s
    assert protocol.at(begins + 5.0)[0].slot.kind is Kind.BREAK
    protocol.pause(begins + 5.0)
    protocol.resume(begins + 105.0)
    assert protocol.at(begins + 119.9)[0].slot.kind is Kind.BREAK
    assert protocol.at(begins + 120.1)[0].slot.kind is Kind.FIXATION


@given(st.floats(0.0, 150.0))
def test_a_repeated_block_leaves_one_good_take_of_each(when: float) -> None:
    protocol = Protocol(SMALL, 4, 0.0)
    protocol.repeat(when)
    events = poll(protocol, [], when)
    bad = [e for e in events if e.label == REPEATED]
    good = [e for e in cues(events) if not any(b.time <= e.time < b.time + b.seconds for b in bad)]
    assert Counter(e.label for e in good) == {"left_hand": 6, "right_hand": 6}


def test_a_repeated_block_has_another_order_and_is_void_from_its_begin() -> None:
    protocol = Protocol(GRAZ, 0, 0.0)
    protocol.skip(0.0)
    before = protocol.sections[1].trials
    protocol.at(50.0)
    protocol.repeat(50.0)
    phase, events = protocol.at(50.0)
    assert protocol.sections[1].trials != before
    assert (phase.slot.kind, phase.slot.trial, phase.since) == (Kind.FIXATION, 1, 50.0)
    (void,) = [e for e in events if e.label == REPEATED]
    assert (void.time, void.seconds) == (0.0, 50.0)


def test_the_end_comes_when_it_is_asked_for() -> None:
    protocol = Protocol(SMALL, 0, 0.0)
    protocol.skip(0.0)
    protocol.at(4.0)
    protocol.stop(4.0)
    phase, events = protocol.at(4.0)
    assert phase.slot.kind is Kind.DONE
    assert [e.label for e in events] == ["relax", STOPPED, "done"]
    assert (events[1].time, events[1].seconds) == (2.0, 2.0)
    for deed in (protocol.pause, protocol.resume, protocol.repeat, protocol.skip, protocol.stop):
        deed(5.0)
    assert protocol.at(6.0) == (phase, [])


def test_trials_cannot_be_skipped() -> None:
    protocol = Protocol(SMALL, 0, 0.0)
    protocol.skip(3.0)  # the instructions
    for now in np.arange(3.0, 40.0, 0.5):
        phase = protocol.at(float(now))[0]
        protocol.skip(float(now))
        assert protocol.at(float(now))[0] == phase


def test_the_signal_check_takes_two_minutes_and_says_what_to_do() -> None:
    check = load_protocol("signal-check")
    protocol = Protocol(check, 0, 0.0)
    assert 110 <= protocol.totals.seconds <= 135
    events = protocol.at(1000.0)[1]
    spans = {e.label: e.seconds for e in events if e.seconds > 10}
    assert spans == {
        "eyes_open": 24.0,
        "eyes_closed": 24.0,
        "blinks": 16.0,
        "look_sides": 24.0,
        "jaw": 16.0,
    }
    counts = Counter(e.label for e in events)
    assert (counts["blink"], counts["look_left"], counts["look_right"]) == (8, 4, 4)
    assert counts["clench"] == counts["release"] == 4


def test_cues_to_ignore_are_no_trials() -> None:
    protocol = Protocol(load_protocol("no-control"), 0, 0.0)
    events = protocol.at(1000.0)[1]
    labels = [label for _, label in shown(events)]
    assert labels[0] == "no_control"
    assert len(labels) > 12
    assert set(labels[1:]) == {"ignore_left_hand", "ignore_right_hand"}
    assert load_protocol("no-control").needs_feedback
    assert not GRAZ.needs_feedback


def test_protocols_follow_each_other() -> None:
    both = Protocol([load_protocol("signal-check"), SMALL], 0, 0.0)
    events = both.at(1000.0)[1]
    labels = [label for _, label in shown(events)]
    assert labels.index("jaw") < labels.index("left_hand")
    assert both.totals.trials == {"left_hand": 6, "right_hand": 6}


def test_a_lab_writes_its_own(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(
        'title = "Fist or word"\nclasses = ["fist", "word"]\n[blocks]\ncount = 1\ntrials = 4\n'
        "[trial]\nfixation_s = 1\n",
        encoding="utf-8",
    )
    config = load_protocol(str(file))
    assert config.trial.fixation_s == 1.0
    assert Protocol(config, 0).totals.trials == {"fist": 4, "word": 4}
    assert config.scaled(3, None).blocks == BlockConfig(count=3, trials=4)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('title = "x"\nblock = 3', "has no setting 'block'; it knows: blocks, classes"),
        ('title = "x"\n[trial]\ncue = 1', "trial has no setting 'cue'"),
        ('title = "x"\n[trial]\ncue_s = 2.0', r"cue_s is 2.0, but must be above 0, at most 1.25"),
        ('title = "x"\n[trial]\nrest_s = [3, 2]', "rest_s is .* the longer one last"),
        ('title = "x"', "asks for nothing"),
        ('title = "x"\n[blocks]\ncount = 1', "has blocks but no classes"),
        ('title = "x"\nclasses = ["a", "a"]\n[blocks]\ncount = 1', "class a is named twice"),
        ('title = "x"\nclasses = ["left hand"]\n[blocks]\ncount = 1', "'left hand' can't be a"),
        ('title = "x"\nclasses = ["relax"]\n[blocks]\ncount = 1', "'relax' has a meaning"),
        ('title = "x"\nclasses = ["BAD_x"]\n[blocks]\ncount = 1', "'BAD_x' has a meaning"),
        ("[blocks]\ncount = 1", "does not say title"),
        ('title = "x"\n[[steps]]\nlabel = "a"', "does not say say, seconds"),
        ("title = ", "is not valid TOML"),
        ('title = "x"\n[blocks]\ncount = "two"', "count must be a whole number, got 'two'"),
    ],
)
def test_what_no_session_can_run_is_refused(tmp_path: Path, text: str, match: str) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=match):
        load_protocol(str(file))


def test_names_that_are_none() -> None:
    with pytest.raises(BadInputError, match=r"no protocol 'graz'; there are graz-2, graz-3"):
        load_protocol("graz")
    with pytest.raises(BadInputError, match=r"gone\.toml can't be read: No such file"):
        load_protocol("gone.toml")
    with pytest.raises(BadInputError, match="has no blocks of trials"):
        load_protocol("no-control").scaled(1, None)
    with pytest.raises(BadInputError, match=r"blocks\.trials is 0, but must be at least 1"):
        GRAZ.scaled(1, 0)


@pytest.mark.parametrize("trial", [1, 3])
def test_a_spoilt_trial_comes_again_at_the_end_of_its_block(trial: int) -> None:
    """With its class and length; a pause in it goes back to its own cross, not to the first one."""
    config = GRAZ.scaled(1, 2)
    protocol = Protocol(config, 1, START)
    plain = Protocol(config, 1, START).sections
    now = START
    while protocol.at(now)[0].slot.trial <= trial:
        now += 0.5
    seconds = protocol.redo(trial)
    assert seconds == pytest.approx(config.trial.cue_s + config.trial.imagery_s)
    [block] = [s for s in protocol.sections if s.trials]
    [before] = [s for s in plain if s.trials]
    assert block.trials == (*before.trials, before.trials[trial - 1])
    last = [i for i, slot in enumerate(block.slots) if slot.trial == 5]
    assert [block.slots[i].again for i in last] == [last[0]] * 3 + [last[3]]
    assert block.slots[-1].kind is Kind.BREAK
    rest = poll(protocol, [now - START])
    assert [e.label for e in cues(rest)] == list(block.trials[trial:])
    assert not [e for e in rest if e.label == "block"]


def test_a_block_that_is_over_repeats_no_trial() -> None:
    protocol = Protocol(GRAZ.scaled(1, 1), 1, START)
    now = START
    while protocol.at(now)[0].slot.kind is not Kind.BREAK:
        now += 0.5
    assert protocol.redo(1) is None
