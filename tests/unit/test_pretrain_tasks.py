"""Stage II on synthetic recordings: moments of tasks, states, heads joint and separate, scores."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from pretraining import CLASSES, NAMES, RATE, TINY, brain, raw, write_files
from torch import Tensor

from rtbci.errors import BadInputError
from rtbci.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rtbci.models.config import ModelConfig, TaskConfig, preset
from rtbci.models.eegpt import EEGPT
from rtbci.models.electrodes import electrode_ids
from rtbci.models.pretrain.corpus.prepared import Prepared
from rtbci.models.pretrain.corpus.recordings import Cue, RawRecording
from rtbci.models.pretrain.tasks import heads
from rtbci.models.pretrain.tasks.answers import Answers, answers_of, outputs_of
from rtbci.models.pretrain.tasks.catalogue import (
    HANDS,
    TASKS,
    Task,
    alpha_power,
    cued,
    trial_hops,
)
from rtbci.models.pretrain.tasks.heads import fit_heads
from rtbci.models.pretrain.tasks.scores import behind_chain, score_tasks
from rtbci.models.pretrain.tasks.stage import check_graphs, fit_tasks
from rtbci.models.pretrain.tasks.trials import Trials, collect_trials
from rtbci.models.teg import TEG
from rtbci.montage import mirror_electrode

FEET = ("both_hands", "both_feet")
BY_NAME = {task.name: task for task in TASKS}
KNOWN = preset("tiny", electrodes=(*NAMES, "POz", "Oz"))


def recording(
    name: str, labels: tuple[str, ...] = (), seed: int = 0, names: tuple[str, ...] = NAMES
) -> Prepared:
    """Give a recording of 30 s with cues every five seconds."""
    cues = tuple(Cue(4.0 + 5 * i, label) for i, label in enumerate(labels))
    data = brain(seed)[:, : len(names)].astype(np.float32)
    subject = f"subject-{name[:4]}"
    return behind_chain(RawRecording(name, subject, RATE, names, data, cues), TINY)


def encoder(config: ModelConfig = KNOWN, seed: int = 0) -> EEGPT:
    torch.manual_seed(seed)
    return EEGPT(config).eval()


@pytest.mark.parametrize(
    ("name", "other"), [("C3", "C4"), ("FC6", "FC5"), ("Cz", "Cz"), ("PO10", "PO9"), ("X", "X")]
)
def test_electrodes_have_a_mirror_image(name: str, other: str) -> None:
    assert mirror_electrode(name) == other


@pytest.mark.parametrize("delay_s", [0.0, 0.021])
def test_decodes_of_a_trial_lie_within_it(delay_s: float) -> None:
    hops = trial_hops(4.07, delay_s, TINY)
    ends = ((hops + 1) * TINY.n_hop - 1) / RATE - delay_s
    assert (ends - TINY.window_s >= 4.07 + 0.5 - 1e-9).all()
    assert (ends <= 4.07 + 3.5 + 1e-9).all()
    assert ends[0] - TINY.window_s < 4.07 + 0.5 + 0.1
    assert len(hops) == 10


def test_hands_are_told_apart_by_motor_electrodes_alone() -> None:
    """On EEGMMIDB the eyes give the answer away: neither task of it may see a frontal one."""
    frontal = ("C3", "C4", "AF7", "AF8", "FT7")
    network = encoder(preset("tiny", electrodes=frontal, classes=CLASSES))
    trials = collect_trials(network, [recording("S003R04", CLASSES * 2, names=frontal)])
    assert trials is not None
    assert trials.electrode_ids.tolist() == electrode_ids(["C3", "C4"])
    assert set(BY_NAME["fists_feet"].electrodes) == set(TINY.teg_electrodes)


def test_trials_enter_as_recorded_and_mirrored() -> None:
    own = behind_chain(raw(), TINY)
    network = encoder(dataclasses.replace(TINY, classes=CLASSES))
    trials = collect_trials(network, [own])
    assert trials is not None
    assert trials.labels.tolist() == [0, 1, 0, 1, 0]
    assert trials.targets[:, 1].tolist() == [1, 0, 1, 0, 1]
    assert trials.states.shape == (5, 2, 10, 5, TINY.dim)
    assert set(trials.groups) == {"imagined"}
    # Turning the head around is the same as turning the recording around.
    swapped = [own.electrodes.index(mirror_electrode(n)) for n in NAMES]
    turned = dataclasses.replace(
        own,
        signal=own.signal[:, swapped],
        mean=own.mean[:, swapped],
        scale=own.scale[:, swapped],
    )
    other = collect_trials(network, [turned])
    assert other is not None
    torch.testing.assert_close(trials.states[:, 1], other.states[:, 0], rtol=0, atol=2e-3)
    torch.testing.assert_close(trials.states[:, 0], other.states[:, 1], rtol=0, atol=2e-3)


def test_a_task_without_mirror_has_one_view_and_reads_what_there_is() -> None:
    names = ("C3", "Cz", "C4", "FC3", "Oz")
    own = recording("pictures", ("house", "face", "face"), names=names)
    trials = collect_trials(encoder(), [own], BY_NAME["n170"])
    assert trials is not None
    assert trials.states.shape == (3, 1, 2, 5, TINY.dim)
    assert trials.labels.tolist() == [0, 1, 1]


def test_rest_and_arithmetic_are_told_by_the_names_of_files() -> None:
    rest, sums = recording("Subject03_1"), recording("Subject03_2")
    trials = collect_trials(encoder(), [rest, sums, recording("monday")], BY_NAME["arithmetic"])
    assert trials is not None
    half = len(trials.labels) // 2
    assert half > 3
    assert trials.labels.tolist() == [0] * half + [1] * half


def test_alpha_power_is_that_of_the_second_after() -> None:
    t = np.arange(250, dtype=np.float32)[:, None] / 250
    weak, strong = (np.float32(a) * np.sin(20 * np.pi * t, dtype=np.float32) for a in (0.5, 1.0))
    assert alpha_power(strong, 250.0) - alpha_power(weak, 250.0) == pytest.approx(np.log10(4), 0.01)
    assert 10 ** alpha_power(strong, 250.0) == pytest.approx(0.5, rel=0.1)  # a sine's variance
    own = recording("S003R04", names=("C3", "Cz", "C4", "POz", "Oz"))
    (first, second) = list(BY_NAME["alpha"].moments(own, TINY))
    h = int(first.hops[0])
    later = dataclasses.replace(own, signal=own.signal.copy())
    later.signal[(h + 1) * TINY.n_hop : (h + 1) * TINY.n_hop + 250, 3:] *= 3.0
    changed = next(iter(BY_NAME["alpha"].moments(later, TINY)))
    assert changed.target == pytest.approx(first.target + np.log10(9), abs=0.1)
    assert changed.plain == first.plain
    assert second.hops[0] == h + 100


def test_no_state_knows_what_comes_after_it() -> None:
    own = recording("S003R04", ("left_hand",), names=NAMES)
    network = encoder(dataclasses.replace(TINY, classes=CLASSES))
    before = collect_trials(network, [own])
    last = int(next(HANDS.moments(own, TINY)).hops[-1])
    cut = dataclasses.replace(own, signal=own.signal.copy())
    cut.signal[(last + 1) * TINY.n_hop :] = 1e4
    after = collect_trials(network, [cut])
    assert before is not None
    assert after is not None
    assert torch.equal(before.states, after.states)


def synthetic(n: int = 64, d: int = 16, flips: bool = True, seed: int = 0) -> Trials:
    """Trials in which C3 or C4 carries the class, of four subjects."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    states = 0.3 * torch.randn(n, 2, 4, len(NAMES), d, generator=rng)
    for name, label in {"C3": 1, "C4": 0}.items():
        for view in (0, 1):
            other = labels ^ view if flips else labels
            states[other == label, view, :, NAMES.index(name), 0] += 2.0
    second = 1 - labels if flips else labels
    return Trials(
        states.half(),
        torch.tensor(electrode_ids(NAMES)),
        torch.ones(n, len(NAMES), dtype=torch.bool),
        torch.stack([labels, second], dim=1).float(),
        tuple(f"s{i // (n // 4)}" for i in range(n)),
        ("",) * n,
        np.full(n, np.nan),
    )


def numbers(seed: int = 1) -> Trials:
    """Trials whose number stands in the state of Cz."""
    base = synthetic(flips=False, seed=seed)
    target = torch.randn(64, generator=torch.Generator().manual_seed(seed))
    states = base.states.float()
    states[:, :, :, 1, 3] = target[:, None, None] + 0.1 * states[:, :, :, 1, 3]
    return dataclasses.replace(
        base,
        states=states.half(),
        targets=target[:, None].expand(-1, 2).clone(),
        plain=np.zeros(64),
    )


ALPHA = TaskConfig("alpha")
FISTS = TaskConfig("fists_feet", FEET)


def graph(config: ModelConfig, tasks: tuple[TaskConfig, ...]) -> TEG:
    torch.manual_seed(0)
    return TEG(config, tasks)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "CHECKPOINTS", (0, 10))


@pytest.mark.usefixtures("quick")
def test_heads_learn_what_states_tell_all_on_one_graph() -> None:
    config = dataclasses.replace(TINY, classes=CLASSES)
    material = {
        HANDS: synthetic(),
        BY_NAME["fists_feet"]: synthetic(flips=False, seed=2),
        BY_NAME["alpha"]: numbers(),
    }
    made, fit = fit_heads(lambda: graph(config, (FISTS, ALPHA)), material, seed=0)
    assert set(fit.left_out) == {"hands", "fists_feet", "alpha"}
    assert fit.left_out["hands"] > 0.9
    assert fit.left_out["fists_feet"] > 0.9
    assert fit.left_out["alpha"] > 0.8
    # A classifying head is as sure as it is right: better than saying nothing, on what it learned.
    said = outputs_of(made, material[HANDS]).flatten(0, 1)
    labels = material[HANDS].labels.repeat_interleave(4)
    assert torch.nn.functional.cross_entropy(said, labels) < 0.5


@pytest.mark.usefixtures("quick")
def test_states_that_tell_nothing_score_chance() -> None:
    config = dataclasses.replace(TINY, classes=CLASSES)
    trials = synthetic(n=128)
    order = torch.randperm(128, generator=torch.Generator().manual_seed(5))
    shuffled = dataclasses.replace(trials, targets=trials.targets[order])
    _, fit = fit_heads(lambda: graph(config, ()), {HANDS: shuffled}, seed=0)
    assert 0.3 < fit.left_out["hands"] < 0.7


def test_scores_are_by_subject() -> None:
    answers = Answers(
        said=np.array([1.0, -1.0, 1.0, 1.0, 2.0, 2.0]),
        true=np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0]),
        plain=np.full(6, np.nan),
        subjects=("a", "a", "b", "b", "b", "b"),
        groups=("x", "x", "x", "x", "y", "y"),
        classes=True,
    )
    assert answers.by_subject() == {"a": 1.0, "b": 0.5}
    assert answers.floor() == {"a": 0.5, "b": 0.5}
    assert answers.of_group("x").by_subject() == {"a": 1.0, "b": 0.5}
    numbers = dataclasses.replace(
        answers,
        said=np.arange(6.0),
        true=2.0 * np.arange(6.0) + 3.0,
        plain=-np.arange(6.0),
        subjects=("a",) * 6,
        classes=False,
    )
    assert numbers.by_subject() == {"a": pytest.approx(1.0)}
    assert numbers.floor() == {"a": pytest.approx(-1.0)}


@pytest.fixture(scope="module")
def recordings() -> list[Prepared]:
    made = [recording(f"S00{s}R04", (*CLASSES, *CLASSES), seed=s) for s in (3, 4, 5)]
    made += [recording(f"S00{s}R06", (*FEET, *FEET), seed=10 + s) for s in (3, 4, 5)]
    return [*made, recording("Subject03_1", seed=20), recording("Subject03_2", seed=21)]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("size", ["tiny", "eegpt-paper-tiny"])
@pytest.mark.parametrize("graphs", ["joint", "separate"])
def test_stage_two_leaves_the_encoder_and_keeps_every_head(
    recordings: list[Prepared], tmp_path: Path, graphs: str, size: str
) -> None:
    config = preset(size, electrodes=NAMES, context=8)
    own = recordings
    if size != "tiny":
        own = [behind_chain(_raw_of(r), config) for r in recordings]
    network = encoder(config)
    made = fit_tasks(network, own, graphs=graphs, seed=1)  # type: ignore[arg-type]
    assert set(made.summary()) == {"hands", "fists_feet", "arithmetic"}
    assert made.network.config.classes == CLASSES
    assert [t.name for t in made.network.config.tasks] == ["fists_feet", "arithmetic"]
    new = made.network.state_dict()
    for key, value in network.state_dict().items():
        assert torch.equal(new[key], value), key
    save_checkpoint(tmp_path / "model.safetensors", made.network)
    again = load_checkpoint(tmp_path / "model.safetensors").network
    trials = collect_trials(again, own, BY_NAME["arithmetic"])
    assert trials is not None
    expected = outputs_of(made.network.graph_of("arithmetic"), trials, BY_NAME["arithmetic"])
    said = outputs_of(again.graph_of("arithmetic"), trials, BY_NAME["arithmetic"])
    assert torch.equal(said, expected)
    shared = again.graph_of("arithmetic") is again.graph_of()
    assert shared == (graphs == "joint")


def _raw_of(own: Prepared) -> RawRecording:
    data = np.asarray(own.signal, np.float32)
    return RawRecording(own.name, own.subject, RATE, own.electrodes, data, own.cues)


@pytest.mark.usefixtures("quick")
def test_the_head_that_sessions_decode_by_can_be_trained_alone(recordings: list[Prepared]) -> None:
    made = fit_tasks(encoder(), recordings, graphs="hands", seed=1)
    assert set(made.summary()) == {"hands"}
    assert made.network.config.classes == CLASSES
    assert made.network.config.tasks == ()


@pytest.mark.usefixtures("quick")
def test_without_hands_nothing_decodes_and_other_heads_remain(recordings: list[Prepared]) -> None:
    made = fit_tasks(encoder(), recordings[3:], graph_layers=0)
    assert made.network.teg is None
    assert made.network.config.teg_layers == 0
    assert set(made.fits) == {"fists_feet", "arithmetic"}
    assert len(made.network.graph_of("fists_feet").layers) == 0
    with pytest.raises(KeyError, match="decode"):
        made.network.graph_of()


def test_recordings_without_tasks_leave_a_network_without_heads() -> None:
    made = fit_tasks(encoder(), [recording("monday")])
    assert made.summary() == {}
    assert made.network.teg is None


def test_tasks_are_joint_or_separate() -> None:
    with pytest.raises(BadInputError, match="joint, separate, hands, got 'both'"):
        check_graphs("both")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("recordings"))


@pytest.mark.usefixtures("quick")
def test_heads_are_scored_on_those_whom_they_have_not_seen(
    recordings: list[Prepared], files: Path
) -> None:
    config = dataclasses.replace(TINY, subjects=("eegmmidb-S003", "eegmmidb-S004"))
    checkpoint = Checkpoint.of(fit_tasks(encoder(config), recordings[:6]).network, name="fresh")
    (score,) = score_tasks(checkpoint, [files])
    assert (score.task, score.trials) == ("hands", 5)
    assert set(score.by_subject) == {"eegmmidb-S001"}
    assert score.to_dict()["floor"]["mean"] == 0.5
    (everybody,) = score_tasks(checkpoint, [files], all_subjects=True)
    assert len(everybody.by_subject) == 3
    # Older weights list people without the data set's name; a list is missing where nobody knows.
    for whom in (("S001", "S003", "S004"), ()):
        other = EEGPT(dataclasses.replace(checkpoint.config, subjects=whom))
        with pytest.raises(BadInputError, match=r"0 of .* recordings are of subjects that old has"):
            score_tasks(Checkpoint.of(other, name="old"), [files])
    with pytest.raises(BadInputError, match="0 of 1 recordings are of subjects that fresh has not"):
        score_tasks(checkpoint, [files / "S003R04.vhdr"])
    with pytest.raises(BadInputError, match="bare has no head for any task"):
        score_tasks(Checkpoint.of(encoder(), name="bare"), [files])


def test_a_head_says_the_same_of_a_recording_whatever_was_beside_it(
    recordings: list[Prepared],
) -> None:
    """Scores go recording by recording, training takes them all at once."""
    config = dataclasses.replace(KNOWN, classes=CLASSES)
    network = encoder(config)
    teg = network.graph_of()
    torch.nn.init.normal_(teg.gate.weight, std=1.0)
    few = recording("S009R04", CLASSES, names=("C3", "Cz", "C4"))
    together = collect_trials(network, [recordings[0], few])
    alone = collect_trials(network, [few])
    assert together is not None
    assert alone is not None
    said: Tensor = outputs_of(teg, together)[-2:]
    torch.testing.assert_close(said, outputs_of(teg, alone), rtol=0, atol=1e-5)
    assert answers_of(said, alone, HANDS).subjects == ("subject-S009",) * 2


def test_tasks_have_cues_of_their_own() -> None:
    own = recording("somewhere", ("left_hand", "face", "rest"))
    counts = {t.name: len(list(t.moments(own, TINY))) for t in TASKS if t.name != "alpha"}
    assert counts == {"hands": 1, "fists_feet": 0, "arithmetic": 0, "n170": 1}
    late = Task("late", cued(("rest",), (0.0, 60.0)), ("rest", "move"))
    assert not list(late.moments(own, TINY))
