"""The guided session without Qt: a fake engine, a fake worker, a clock moved by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenes import view_info

from rtbci.apps.calibration_score import Job, Progress, Worker
from rtbci.apps.conductor_state import Stage
from rtbci.apps.gui.calibration.eyes import EyeWatch
from rtbci.apps.gui.calibration.protocols import Protocols, protocols_of
from rtbci.apps.gui.calibration.session import GuidedSession
from rtbci.apps.gui.calibration.set_up import contact_words
from rtbci.apps.gui.calibration.store import (
    GuidedState,
    Plan,
    find_state,
    new_state,
    save_state,
    session_folder,
)
from rtbci.apps.gui.view_models.calibration import path_steps, say
from rtbci.apps.gui.view_models.guided import Part, Stand
from rtbci.apps.gui.view_models.trials import count_words, trial_marks
from rtbci.apps.settings import RunSettings
from rtbci.calibration.protocol.plan import Kind
from rtbci.clock import ManualClock
from rtbci.errors import BadInputError
from rtbci.live.memory import MemoryView

PLAN = Plan("P07", trials=2, blocks=2, seed=5)
STEP_S = 0.05
MOST_S = 600.0


class FakeEngine:
    """Says what it is told to, and remembers what it was sent."""

    def __init__(self, settings: RunSettings, folder: Path) -> None:
        self.settings = settings
        self.events: list[dict[str, Any]] = [{"event": "started", "recording": str(folder)}]
        self.sent: list[dict[str, Any]] = []
        self.closed = False

    @property
    def view(self) -> None:
        return None

    def poll(self) -> list[dict[str, Any]]:
        said, self.events = self.events, []
        return said

    def send(self, command: dict[str, Any]) -> None:
        self.sent.append(command)

    def close(self) -> None:
        self.closed = True

    def wait(self) -> None:
        assert self.closed

    def marks(self, *labels: str) -> list[dict[str, Any]]:
        return [c for c in self.sent if c["command"] == "mark" and c["label"] in labels]


class FakeWorker(Worker):
    """Answers with what was prepared."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[Job] = []
        self.answers: list[dict[str, Any]] = []

    def begin(self, job: Job) -> None:
        self.jobs.append(job)

    def poll(self) -> dict[str, Any] | None:
        self.progress = Progress(0.5, "permuting labels")
        return self.answers.pop(0) if self.answers else None


class Watcher:
    """Remembers what was painted when."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.shown: list[tuple[float, Part, Kind, str]] = []

    def show(self, part: Part, stage: Stage, *, tone: bool) -> None:
        del tone
        self.clock.advance(0.012)
        assert stage.phase is not None
        slot = stage.phase.slot
        self.shown.append((self.clock.now(), part, slot.kind, slot.label))


class Table:
    """A session with all its fakes."""

    def __init__(self, record: Path, state: GuidedState | None = None) -> None:
        self.clock, self.worker = ManualClock(), FakeWorker()
        self.watcher = Watcher(self.clock)
        self.engines: list[FakeEngine] = []
        self.record = record
        self.session = GuidedSession(
            state or GuidedState(PLAN),
            session_folder(record, PLAN.subject),
            record,
            start=self.start,
            presenter=self.watcher,
            clock=self.clock,
            worker=self.worker,
            make_protocols=short,
        )

    def start(self, settings: RunSettings) -> FakeEngine:
        folder = self.record / f"run-{len(self.engines) + 1}"
        folder.mkdir(exist_ok=True)
        self.engines.append(FakeEngine(settings, folder))
        return self.engines[-1]

    def run(self, until: Callable[[], bool]) -> None:
        """Let time pass until something holds."""
        while not until():
            assert self.clock.now() < MOST_S, self.session.now
            self.session.tick()
            self.clock.advance(STEP_S)

    def stands(self, part: Part, stand: Stand) -> None:
        self.run(lambda: (self.session.now.part, self.session.now.stand) == (part, stand))

    def do(self, *asked: str) -> None:
        for what in asked:
            self.session.do(what)

    def at_block(self) -> FakeEngine:
        """Go to the first block, leaving out what comes before."""
        self.do("begin")
        self.stands(Part.CHECK, Stand.READY)
        self.do("skip", "skip", "begin")
        self.stands(Part.BLOCK, Stand.RUNNING)
        return self.engines[-1]


def short(plan: Plan) -> Protocols:
    return protocols_of(plan)


def report(trials: int = 4, finding: str = "above chance") -> dict[str, Any]:
    return {
        "classes": ["left_hand", "right_hand"],
        "decoder": "csp+lda",
        "score": {"balanced": 0.7, "trials": trials, "p_value": 0.01, "label": "", "caveat": ""},
        "verdict": {"finding": finding, "level": 0.02, "looks": [trials], "more_trials": 20},
        "outcomes": [],
    }


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def test_a_block_gives_its_cues_and_a_verdict(table: Table) -> None:
    engine = table.at_block()
    assert not engine.settings.decodes
    assert engine.settings.classes == "left_hand=left_hand,right_hand=right_hand"
    table.stands(Part.BLOCK, Stand.WORKING)
    cues = engine.marks("left_hand", "right_hand")
    painted = [t for t, part, kind, _ in table.watcher.shown if kind is Kind.CUE]
    assert [c["time"] for c in cues] == painted
    assert [job.do for job in table.worker.jobs] == ["score"]
    assert table.worker.jobs[0].recordings == table.session.state.recordings
    table.worker.answers.append({"report": report(), "lines": []})
    table.stands(Part.BLOCK, Stand.RESULT)
    said = say(table.session.state, table.session.now)
    assert said.headline == "Above chance: 0.70"
    assert said.actions[0].do == "begin"
    assert table.session.state.looked == [4]
    steps = {step.title: step for step in path_steps(table.session.state, table.session.now)}
    assert steps["Block 1"].done
    assert steps["Block 1"].note == "4 trials"
    assert steps["Block 2"].current


def test_one_need_not_wait_for_the_fit(table: Table) -> None:
    table.at_block()
    table.stands(Part.BLOCK, Stand.WORKING)
    table.do("begin")
    table.stands(Part.BLOCK, Stand.RUNNING)
    table.worker.answers.append({"report": report(), "lines": []})
    table.run(lambda: "report" in table.session.state.answers)
    assert table.session.now.stand is Stand.RUNNING
    table.stands(Part.BLOCK, Stand.WORKING)
    assert len(table.session.state.counted) == 2
    assert [job.looked for job in table.worker.jobs] == [[4], [4]]


def test_practice_is_no_trial(table: Table) -> None:
    table.do("begin")
    table.stands(Part.CHECK, Stand.READY)
    table.do("skip", "begin")
    table.stands(Part.BLOCK, Stand.READY)
    engine = table.engines[0]
    assert len(engine.marks("practice_left_hand", "practice_right_hand")) == 6
    assert not engine.marks("left_hand", "right_hand")


def test_an_unplugged_board_is_said_and_its_trial_comes_again(table: Table) -> None:
    engine = table.at_block()
    table.run(lambda: bool(engine.marks("left_hand", "right_hand")))
    engine.events.append({"event": "lost", "message": "The board is gone: unplugged?"})
    table.stands(Part.BLOCK, Stand.PAUSED)
    said = say(table.session.state, table.session.now)
    assert "unplugged?" in said.body[0]
    assert "comes again" in said.body[0]
    assert engine.marks("BAD_paused")
    engine.events.append({"event": "reconnected", "message": "The board is back."})
    table.run(lambda: not table.session.now.problem)
    table.do("resume")
    table.stands(Part.BLOCK, Stand.WORKING)
    trials = table.session.state.blocks[0].trials
    assert [t.repeated for t in trials] == [True, False, False, False, False]
    assert table.session.state.done["block 1"] == "4 trials, 1 repeated"


def test_a_gap_in_a_trial_is_marked_and_the_trial_comes_at_the_end(table: Table) -> None:
    engine = table.at_block()
    table.run(lambda: len(engine.marks("left_hand", "right_hand")) == 2)
    first = engine.marks("left_hand", "right_hand")[0]
    origin = 2.0
    engine.events += [
        {**echo(first), "t_s": first["time"] - origin},
        {
            "event": "gap",
            "start_s": first["time"] + 1.0 - origin,
            "length_s": 0.3,
            "cause": "lost",
            "missing": 75,
            "bridged": False,
        },
    ]
    table.stands(Part.BLOCK, Stand.WORKING)
    [lost] = engine.marks("BAD_lost")
    assert lost["time"] == first["time"]
    assert lost["duration"] == pytest.approx(4.6, abs=0.2)
    cues = engine.marks("left_hand", "right_hand")
    assert len(cues) == 5
    assert cues[-1]["label"] == first["label"]
    notes = [c["values"] for c in engine.sent if c["command"] == "note"]
    assert [n["label"] for n in notes if n["what"] == "redo"] == [first["label"]]
    assert table.session.state.done["block 1"] == "4 trials, 1 repeated"


def test_eyes_that_go_with_the_cue_spoil_its_trial(table: Table) -> None:
    engine = table.at_block()
    table.run(lambda: len(engine.marks("left_hand", "right_hand")) == 1)
    conduct, first = table.session.conduct, engine.marks("left_hand", "right_hand")[0]
    assert conduct is not None
    conduct.eyes(first["time"] - 0.2)  # before the cue: not with it
    conduct.eyes(first["time"] + 3.0)  # long after it has gone
    assert not engine.marks("BAD_eyes")
    conduct.eyes(first["time"] + 0.3)
    conduct.eyes(first["time"] + 0.6)
    [spoilt] = engine.marks("BAD_eyes")
    assert spoilt["time"] == first["time"]
    table.run(lambda: len(engine.marks("left_hand", "right_hand")) == 2)
    # A quarter of four trials is one: more than that is no slip, and would never end.
    conduct.eyes(engine.marks("left_hand", "right_hand")[1]["time"] + 0.3)
    table.stands(Part.BLOCK, Stand.WORKING)
    cues = engine.marks("left_hand", "right_hand")
    assert len(cues) == 5
    assert cues[-1]["label"] == first["label"]
    block = table.session.state.blocks[0]
    assert [(t.repeated, t.why) for t in block.trials[:2]] == [(True, "eyes"), (False, "")]
    assert "1 repeated: eye movement at the cue" in count_words(trial_marks(block, None))
    notes = [c["values"]["what"] for c in engine.sent if c["command"] == "note"]
    assert notes.count("redo") == notes.count("eyes") == 1


def test_the_eyes_are_seen_in_the_engines_signal() -> None:
    rng, rate = np.random.default_rng(0), 250.0
    view = MemoryView(view_info(electrodes=("Fp1", "Fp2", "C3", "C4")))
    rows = rng.standard_normal((round(30 * rate), 4)).astype(np.float32) * 8
    times = 50.0 + np.arange(len(rows)) / rate
    moves = (72.0, 76.0)
    for move in moves:
        blink = 150 * np.exp(-(((times - move) / 0.08) ** 2))
        rows[:, :2] += blink[:, None].astype(np.float32)
    watch, found = EyeWatch(), []
    for start in range(0, len(rows), 137):
        view.push_filtered(rows[start : start + 137], times[start : start + 137])
        found += watch.take(view)
    assert len(found) == 2
    far = MemoryView(view_info(electrodes=("C3", "Cz", "C4")))
    far.push_filtered(rows[:, :3], times)
    assert EyeWatch().take(far) == [], "no electrode is near the eyes"
    assert all(move - 0.2 < at < move + 0.4 for move, at in zip(moves, found, strict=True))


def echo(mark: dict[str, Any]) -> dict[str, Any]:
    return {"event": "marker", "label": mark["label"], "origin": "cue", "duration_s": 1.0}


def test_a_repeated_block_does_not_count(table: Table) -> None:
    engine = table.at_block()
    table.stands(Part.BLOCK, Stand.WORKING)
    table.worker.answers.append({"report": report(), "lines": []})
    table.stands(Part.BLOCK, Stand.RESULT)
    block = table.session.state.blocks[0]
    table.do("repeat_block")
    table.stands(Part.BLOCK, Stand.WORKING)
    [void] = engine.marks("BAD_repeated")
    assert (void["time"], void["duration"]) == (block.start, block.stop - block.start)
    assert [b.void for b in table.session.state.blocks] == [True, False]


def test_a_window_closed_in_the_middle_is_taken_up_again(table: Table, tmp_path: Path) -> None:
    engine = table.at_block()
    table.stands(Part.BLOCK, Stand.WORKING)
    table.worker.answers.append({"report": report(), "lines": []})
    table.stands(Part.BLOCK, Stand.RESULT)
    table.do("begin")
    table.run(lambda: len(engine.marks("left_hand", "right_hand")) == 5)
    table.session.close()
    assert engine.closed
    kept = find_state(session_folder(tmp_path, "P07"))
    assert kept is not None
    again = Table(tmp_path, kept)
    now = again.session.now
    assert (now.part, now.stand, now.resumed) == (Part.BLOCK, Stand.RESULT, True)
    assert say(kept, now).actions[-1].do == "anew"
    again.do("begin")
    again.stands(Part.BLOCK, Stand.RUNNING)
    assert len(kept.recordings) == 1  # the same folder here, since the fake numbers them anew
    again.session.close()


def test_an_engine_that_dies_is_said_and_can_be_begun_anew(table: Table) -> None:
    engine = table.at_block()
    engine.events.append({"event": "error", "message": "the disk is full."})
    table.stands(Part.BLOCK, Stand.READY)
    said = say(table.session.state, table.session.now)
    assert said.tone == "bad"
    assert said.body[0].startswith("the disk is full.")
    table.do("begin")
    table.stands(Part.BLOCK, Stand.RUNNING)
    assert len(table.engines) == 2


def test_feedback_runs_with_what_the_blocks_have_given(table: Table) -> None:
    table.at_block()
    table.stands(Part.BLOCK, Stand.WORKING)
    table.worker.answers.append({"report": report(), "lines": []})
    table.stands(Part.BLOCK, Stand.RESULT)
    table.do("feedback", "begin")
    table.stands(Part.FEEDBACK, Stand.RUNNING)
    engine = table.engines[1]
    assert table.engines[0].closed
    assert engine.settings.decodes
    made = session_folder(table.record, "P07") / "profiles" / "P07"
    assert engine.settings.profile == str(made)
    decode = {"classes": ["left_hand", "right_hand"], "p": [0.9, 0.1]}
    engine.events.append({"event": "status", "decode": decode, "t_s": 1.0})
    table.stands(Part.FEEDBACK, Stand.RESULT)
    assert table.session.state.answers["feedback"] == {"hits": 2, "trials": 4, "tone": "fair"}


def test_without_a_decoder_there_is_nothing_to_save(table: Table) -> None:
    table.at_block()
    table.stands(Part.BLOCK, Stand.WORKING)
    table.worker.answers.append({"error": "class left_hand has 2 usable trials; record more."})
    table.stands(Part.BLOCK, Stand.RESULT)
    assert "record more" in say(table.session.state, table.session.now).body[0]
    table.do("end")
    with pytest.raises(BadInputError, match="no decoder to save yet"):
        table.do("begin")


def test_a_damaged_state_is_refused_in_a_sentence(tmp_path: Path) -> None:
    folder = session_folder(tmp_path, "P07")
    save_state(GuidedState(PLAN, recordings=[str(tmp_path / "gone")]), folder)
    kept = find_state(folder)
    assert kept is not None
    assert kept.recordings == []
    (folder / "session.json").write_text("{", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"session\.json can't be taken up again"):
        find_state(folder)


def test_contacts_that_were_measured_are_in_the_recording(table: Table) -> None:
    found = {"ohm": {"C3": 5e3, "C4": None}, "bad": ["C4"], "off": True, "residual_uv": 0.2}
    table.session.take_impedance(found)
    assert contact_words(PLAN, found) == "to mend: C4"
    engine = table.at_block()
    [note] = [c for c in engine.sent if c["command"] == "note" and c["kind"] == "impedance"]
    assert note["values"] == found
    kept = find_state(session_folder(table.record, "P07"))
    assert kept is not None
    assert kept.answers["impedance"] == found


def test_a_check_that_is_not_planned_is_left_out(tmp_path: Path) -> None:
    table = Table(tmp_path, new_state(replace(PLAN, check=False)))
    table.do("begin")
    table.stands(Part.PRACTICE, Stand.READY)
    steps = {step.title: step for step in path_steps(table.session.state, table.session.now)}
    assert (steps["Signal check"].note, steps["Signal check"].done) == ("left out", True)


def test_saving_says_that_fine_tuning_goes_on(table: Table) -> None:
    table.at_block()
    table.stands(Part.BLOCK, Stand.WORKING)
    table.worker.answers.append({"report": report(), "lines": []})
    table.stands(Part.BLOCK, Stand.RESULT)
    table.do("end", "begin")
    assert table.worker.jobs[-1].do == "save"
    assert table.worker.jobs[-1].recordings == table.session.state.recordings
    said = "fine-tuning of the foundation model goes on in the background"
    table.worker.answers.append({"profile": "somewhere", "lines": [], "fine_tuning": said})
    table.stands(Part.SAVE, Stand.RESULT)
    assert say(table.session.state, table.session.now).body[-1].startswith("Fine-tuning of the")


def test_a_saved_session_is_not_taken_up_again(tmp_path: Path) -> None:
    folder = session_folder(tmp_path, "P07")
    save_state(GuidedState(PLAN, saved="somewhere"), folder)
    assert find_state(folder) is None
    assert find_state(tmp_path / "never") is None


def test_the_plan_can_be_changed_until_it_is_connected(table: Table) -> None:
    table.session.replan(replace(PLAN, protocol="graz-3", trials=4))
    assert table.session.classes == ("left_hand", "right_hand", "rest")
    assert table.session.protocols.block.blocks.trials == 4
    with pytest.raises(BadInputError, match="there is no protocol"):
        table.session.replan(replace(PLAN, protocol="dance"))


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    """A subject who has a profile already."""
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "subjects" / "P07"
    folder.mkdir(parents=True)
    card = 'classes = ["left_hand", "feet"]\ncreated = "2026-11-20T10:00:00+00:00"\n'
    (folder / "profile.toml").write_text(card, encoding="utf-8")
    return Table(tmp_path)


def test_the_next_day_the_profile_is_checked(known: Table) -> None:
    said = say(known.session.state, known.session.now)
    assert said.actions[-1].do == "recheck"
    assert "2026-11-20" in said.body[-1]
    known.do("recheck", "begin")
    known.stands(Part.RECHECK, Stand.WORKING)
    engine = known.engines[0]
    assert engine.settings.classes == "left_hand=left_hand,feet=feet"
    assert len(engine.marks("left_hand", "feet")) == 10
    assert known.worker.jobs[-1].do == "recheck"
    assert not known.session.state.recordings
    told = {"verdict": "re-centred", "reason": "the mean has moved"}
    known.worker.answers.append({"recheck": told, "check": None, "lines": []})
    known.stands(Part.RECHECK, Stand.RESULT)
    said = say(known.session.state, known.session.now)
    assert said.headline == "The profile holds, re-centred"
    assert said.body[0] == "The mean has moved."
    known.do("calibrate")
    assert (known.session.now.part, known.session.now.stand) == (Part.SUBJECT, Stand.READY)


def test_a_signal_check_with_a_dead_electrode_asks_before_it_goes_on(table: Table) -> None:
    table.do("begin")
    table.stands(Part.CHECK, Stand.READY)
    table.do("begin")
    table.stands(Part.CHECK, Stand.WORKING)
    finding = {"level": "bad", "subject": "O1", "sentence": "O1 gives no signal."}
    check = {"findings": [finding], "stops": ["O1"], "verdict": "stop"}
    table.worker.answers.append({"check": check, "lines": []})
    table.stands(Part.CHECK, Stand.RESULT)
    said = say(table.session.state, table.session.now)
    assert said.headline == "One thing to mend first"
    assert "O1" in said.body[0]
    assert [a.do for a in said.actions] == ["again", "next"]
    assert table.session.state.done["check"] == "1 thing to see to"
