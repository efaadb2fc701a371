"""Pretraining on small synthetic recordings: data, batches, training, resuming, scores."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from recordings import write_brainvision

from rtbci.errors import BadInputError, RtbciError
from rtbci.models.baselines import ARForecaster, RidgeForecaster
from rtbci.models.checkpoint import Checkpoint, load_checkpoint
from rtbci.models.config import ModelConfig, preset
from rtbci.models.eegpt import EEGPT
from rtbci.models.electrodes import electrode_ids
from rtbci.models.pretrain.corpus.prepared import (
    POSITION_STRIDE,
    Cue,
    Prepared,
    RawRecording,
    is_held_out,
    phase_of,
    prepare,
    subject_of,
)
from rtbci.models.pretrain.corpus.read import read_raw, recordings_in
from rtbci.models.pretrain.evaluation import forecast
from rtbci.models.pretrain.tasks import imagery
from rtbci.models.pretrain.training import train
from rtbci.models.pretrain.training.batches import Batches
from rtbci.models.pretrain.training.linear import LinearFloor, fit_linear
from rtbci.models.tokens import normalise, token_window
from rtbci.montage import mirror_electrode
from rtbci.preprocess import Preprocessor
from rtbci.tick import Tick

NAMES = ("C3", "Cz", "C4", "FC3", "FC4")
RATE = 250.0
SECONDS = 30
TINY = preset("tiny", electrodes=NAMES)


def brain(seed: int, seconds: int = SECONDS) -> npt.NDArray[np.float64]:
    """Make slow noise with an alpha rhythm in µV; the last electrode follows the first by 40 ms."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    t = np.arange(n) / RATE
    noise = rng.standard_normal((n, len(NAMES)))
    slow = noise.cumsum(axis=0) - noise.cumsum(axis=0).mean(axis=0)
    alpha = 8 * np.sin(2 * np.pi * 10 * t + np.cumsum(rng.standard_normal(n)) * 0.05)
    x = 0.4 * slow + 3 * noise + alpha[:, None]
    x[10:, -1] = x[:-10, 0]
    return np.asarray(x)


def raw(name: str = "S003R04", seed: int = 0) -> RawRecording:
    cues = tuple(Cue(4.0 + 5 * i, imagery.CLASSES[i % 2]) for i in range(5))
    subject = subject_of(Path(name))
    return RawRecording(name, subject, RATE, NAMES, brain(seed).astype(np.float32), cues)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture(scope="module")
def prepared(folder: Path) -> list[Prepared]:
    names = ("S003R03", "S003R04", "S004R03", "S004R04")
    return [prepare(raw(name, seed), folder, TINY) for seed, name in enumerate(names)]


@pytest.fixture(scope="module")
def floor(prepared: list[Prepared]) -> LinearFloor:
    return fit_linear(prepared, TINY)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings as a user has them: two subjects to train on, and one that is held out."""
    target = tmp_path_factory.mktemp("recordings")
    for seed, name in enumerate(("S003R04", "S004R04", "S001R04")):
        markers = [("Stimulus", f"T{1 + i % 2}", round((4 + 5 * i) * RATE)) for i in range(5)]
        write_brainvision(target / f"{name}.vhdr", NAMES, brain(seed), markers, round(RATE))
    return target


def network_on(floor: LinearFloor, config: ModelConfig = TINY) -> EEGPT:
    torch.manual_seed(0)
    network = EEGPT(config)
    network.direct_head.blend.copy_(torch.from_numpy(floor.blend))
    return network


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("S012R04.edf", "eegmmidb-S012"),
        ("Subject03_1.edf", "eegmat-Subject03"),
        ("sub-P07_task-motor_run-01_eeg.vhdr", "bids-P07"),
        ("monday.xdf", "monday"),
    ],
)
def test_subjects_are_known_by_the_names_of_files(name: str, subject: str) -> None:
    assert subject_of(Path("somewhere") / name) == subject


def test_the_test_set_never_changes() -> None:
    """Weights have been published with these subjects held out: moving one would leak."""
    subjects = [f"eegmmidb-S{i:03d}" for i in range(1, 25)]
    held_out = [s[-4:] for s in subjects if is_held_out(s)]
    assert held_out == ["S001", "S002", "S014", "S017", "S024"]


def test_prepared_signal_is_what_the_live_chain_gives(prepared: list[Prepared]) -> None:
    recording, own = raw("S003R04", 1), prepared[1]
    chain = Preprocessor(RATE, len(NAMES), TINY.preprocess, names=NAMES)
    good = np.ones(len(NAMES), np.bool_)
    hop = TINY.n_hop
    phase = phase_of("S003R04", hop)
    assert phase > 0
    chain.push(recording.data[:phase], good)
    for h in range(40):
        made = chain.push(recording.data[phase + h * hop : phase + (h + 1) * hop], good)
        np.testing.assert_array_equal(own.signal[h * hop : (h + 1) * hop], made.signal)
        np.testing.assert_array_equal(own.mean[h], made.mean[-1])
        np.testing.assert_array_equal(own.scale[h], made.scale[-1])
    assert own.valid[20:].all()
    assert own.cues[1] == Cue(9.0, "right_hand")


def test_prepared_forecasts_are_those_of_the_live_forecaster(prepared: list[Prepared]) -> None:
    own, hop = prepared[0], TINY.n_hop
    ar = ARForecaster(len(NAMES))
    at = 6
    last = int(own.positions[at])
    for h in range(9, last + 1):
        history = own.signal[: (h + 1) * hop]
        now = Tick(h - 9, h - 9, history, own.mean[h], own.scale[h], np.ones(5, np.bool_))
        ar.update(now)
    expected = normalise(ar.forecast(now), now.mean, now.scale).T
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(own.ar[at], expected, rtol=1e-3, atol=1e-3)
    assert np.isnan(own.ar[0]).all(), "too early for a fit"
    assert (np.diff(own.positions) == POSITION_STRIDE).all()


def test_a_recording_is_prepared_once(folder: Path, prepared: list[Prepared]) -> None:
    shares: list[float] = []
    again = prepare(raw("S003R03", 0), folder, TINY, shares.append)
    assert not shares, "it was read, not computed"
    np.testing.assert_array_equal(again.signal, prepared[0].signal)
    assert again.electrodes == NAMES


def test_flat_electrodes_are_not_valid(tmp_path: Path) -> None:
    recording = raw("flat", 3)
    data = recording.data[: round(6 * RATE)].copy()
    data[round(3 * RATE) :, 2] = data[round(3 * RATE), 2]
    own = prepare(dataclasses.replace(recording, data=data), tmp_path, TINY)
    assert own.valid[20:, [0, 1, 3, 4]].all()
    assert not own.valid[40:, 2].any()


def test_files_become_recordings_with_cues(files: Path) -> None:
    found = recordings_in([files])
    assert [p.stem for p, _ in found] == ["S001R04", "S003R04", "S004R04"]
    (recording,) = read_raw(*found[1])
    assert recording.name == "S003R04"
    assert recording.electrodes == NAMES
    assert [c.label for c in recording.cues[:2]] == ["left_hand", "right_hand"]
    np.testing.assert_allclose([c.time for c in recording.cues], [4, 9, 14, 19, 24])
    np.testing.assert_allclose(recording.data, brain(0), atol=1e-3)


def test_a_break_parts_a_recording_and_its_cues(tmp_path: Path) -> None:
    at = round(14.5 * RATE)
    cue = ("Stimulus", "T1")
    markers = [(*cue, round(4 * RATE)), ("New Segment", "", at), (*cue, round(20 * RATE))]
    write_brainvision(tmp_path / "S003R04.vhdr", NAMES, brain(0), markers, round(RATE))
    first, second = read_raw(tmp_path / "S003R04.vhdr", "someone")
    assert (first.name, second.name) == ("S003R04-0", "S003R04-1")
    assert len(first.data) == at
    assert [c.time for c in first.cues] == pytest.approx([4.0])
    assert [c.time for c in second.cues] == pytest.approx([5.5])


def test_missing_or_empty_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="nowhere does not exist"):
        recordings_in([tmp_path / "nowhere"])
    with pytest.raises(BadInputError, match=r"holds no recording \(.edf"):
        recordings_in([tmp_path])


def test_a_batch_holds_what_live_tokens_see(prepared: list[Prepared], floor: LinearFloor) -> None:
    batches = Batches(prepared[:1], TINY, floor, seed=0, electrodes_per_step=8)
    batch = next(b for b in map(batches.draw, range(99)) if not b.start.any() and b.valid.all())
    own, hop = prepared[0], TINY.n_hop
    newest = int(batch.origin.split("hop ")[1].split(",")[0])
    row = torch.tensor([NAMES.index("C3")])
    assert batch.windows.shape[1:] == (batch.electrode_ids.shape[1], 2 * TINY.context, 250)
    history = own.signal[: (newest + 1) * hop]
    mean, scale = own.mean[newest], own.scale[newest]
    windows = token_window(history, mean, scale).T
    columns = [int(np.argmin(np.abs(windows - w.numpy()).sum(1))) for w in batch.windows[0, :, -1]]
    assert sorted(columns) == sorted(set(columns)), f"an electrode came twice, {row}"
    np.testing.assert_array_equal(batch.windows[0, :, -1], windows[columns])
    np.testing.assert_array_equal(batch.recent[0, -1], windows[columns][:, -TINY.recent :])
    after = normalise(own.signal[(newest + 1) * hop :][:250], mean, scale).T[columns]
    np.testing.assert_array_equal(batch.target[0, -1], after)
    np.testing.assert_array_equal(batch.step_target[0, :, -1], after[:, :hop])
    now = Tick(0, 0, history, mean, scale, np.ones(len(NAMES), np.bool_))
    ridge = normalise(RidgeForecaster(floor.unseen(own.subject)).forecast(now), mean, scale).T[
        columns
    ]
    np.testing.assert_allclose(batch.linear[0, -1, :, 1], ridge, atol=1e-4)


def test_batches_depend_on_seed_and_step_alone(
    prepared: list[Prepared], floor: LinearFloor
) -> None:
    one, other = (Batches(prepared, TINY, floor, seed=5) for _ in range(2))
    one.draw(0)
    for name, value in vars(one.draw(3)).items():
        if name == "origin":
            assert value == other.draw(3).origin
        else:
            torch.testing.assert_close(value, getattr(other.draw(3), name), rtol=0, atol=0)
    assert one.draw(4).origin != one.draw(3).origin


def test_early_tokens_that_never_were_are_masked(
    prepared: list[Prepared], floor: LinearFloor
) -> None:
    batches = Batches(prepared, TINY, floor, seed=0, electrodes_per_step=4)
    early = [b for b in map(batches.draw, range(60)) if b.start.any()]
    assert early
    for batch in early:
        start = int(batch.start[0, 0])
        assert not batch.windows[0, :, :start].any()
        assert not batch.step_weight[0, :, :start].any()


def test_an_untrained_network_is_the_linear_blend(
    prepared: list[Prepared], floor: LinearFloor
) -> None:
    network = network_on(floor)
    batch = Batches(prepared, TINY, floor, seed=1).draw(0)
    weight = train.horizon_weights(floor, TINY.rate_hz)
    direct, _ = train.losses(network, batch, weight)
    torch.testing.assert_close(direct, train.blend_loss(network, batch, weight))


def test_linear_blend_beats_its_parts(prepared: list[Prepared], floor: LinearFloor) -> None:
    assert floor.ridge.shape == (184, 250)
    assert ((floor.blend >= 0) & (floor.blend <= 1)).all()
    assert floor.error[:10].mean() < floor.error[-50:].mean() < 1.5
    assert (floor.error > 0).all()


@pytest.fixture(scope="module")
def trained(
    files: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, train.PretrainResult]:
    out = tmp_path_factory.mktemp("out") / "run"
    return out, train.pretrain([files], out, size="tiny", steps=20, seed=1)


def test_training_lowers_the_loss(files: Path, tmp_path: Path) -> None:
    losses = []

    def keep(progress: train.Progress) -> None:
        if progress.stage == "forecast":
            losses.append(float(progress.text.rsplit(" ", 1)[1]))

    train.pretrain([files], tmp_path / "out", size="tiny", steps=40, progress=keep)
    assert len(losses) == 40
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:5])


def test_the_result_says_what_was_done(trained: tuple[Path, train.PretrainResult]) -> None:
    out, result = trained
    assert result.model == out / "model.safetensors"
    assert result.step == 20
    assert result.subjects == ("eegmmidb-S003", "eegmmidb-S004")
    assert result.held_out == ("eegmmidb-S001",)
    assert result.hours == pytest.approx(2 * SECONDS / 3600, rel=1e-2)
    assert set(result.decode) == {"steps", "left_out"}
    checkpoint = load_checkpoint(out / "model.safetensors")
    assert checkpoint.identity == result.identity
    assert checkpoint.config.electrodes == tuple(sorted(NAMES))
    assert checkpoint.config.classes == imagery.CLASSES
    assert checkpoint.extra["ridge"].shape == (184, 250)


def test_held_out_subjects_are_not_even_prepared(
    trained: tuple[Path, train.PretrainResult],
) -> None:
    assert sorted(p.name for p in (trained[0] / "prepared").iterdir()) == ["S003R04", "S004R04"]


def test_the_same_seed_gives_the_same_weights_even_when_resumed(
    files: Path, tmp_path: Path, trained: tuple[Path, train.PretrainResult]
) -> None:
    out = tmp_path / "again"
    shutil.copytree(trained[0] / "prepared", out / "prepared")
    halfway = train.pretrain([files], out, size="tiny", steps=20, seed=1, stop_after=9)
    assert (halfway.step, halfway.model) == (9, None)
    with pytest.raises(BadInputError, match="holds a training already: go on with it"):
        train.pretrain([files], out, size="tiny", steps=20, seed=1)
    result = train.resume(out)
    assert result.identity == trained[1].identity
    assert result.loss == trained[1].loss


def test_a_loss_that_is_not_finite_names_its_batch(
    files: Path,
    tmp_path: Path,
    trained: tuple[Path, train.PretrainResult],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "broken"
    shutil.copytree(trained[0] / "prepared", out / "prepared")

    def broken(*_: object) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor(float("nan")), torch.tensor(0.0)

    monkeypatch.setattr(train, "losses", broken)
    with pytest.raises(RtbciError, match=r"the loss is nan at step 0, on S00\dR04 up to hop \d+"):
        train.pretrain([files], out, size="tiny", steps=2)


def test_training_needs_somebody_to_train_on(files: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"\(eegmmidb-S001\) are held out for the score"):
        train.pretrain([files / "S001R04.vhdr"], tmp_path / "out", size="tiny", steps=1)
    with pytest.raises(BadInputError, match="holds no training to go on with"):
        train.resume(tmp_path / "nothing")
    with pytest.raises(BadInputError, match="steps is 0"):
        train.pretrain([files], tmp_path / "none", steps=0)


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    rates = [train.learning_rate(s, 1000) for s in range(1001)]
    assert np.argmax(rates) == train.WARM_UP - 1
    assert rates[0] < 0.05 * max(rates)
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "other"), [("C3", "C4"), ("FC6", "FC5"), ("Cz", "Cz"), ("PO10", "PO9"), ("X", "X")]
)
def test_electrodes_have_a_mirror_image(name: str, other: str) -> None:
    assert mirror_electrode(name) == other


@pytest.mark.parametrize("delay_s", [0.0, 0.021])
def test_decodes_of_a_trial_lie_within_it(delay_s: float) -> None:
    hops = imagery.trial_hops(4.07, delay_s, TINY)
    ends = ((hops + 1) * TINY.n_hop - 1) / RATE - delay_s
    assert (ends - TINY.window_s >= 4.07 + 0.5 - 1e-9).all()
    assert (ends <= 4.07 + 3.5 + 1e-9).all()
    assert ends[0] - TINY.window_s < 4.07 + 0.5 + 0.1
    assert len(hops) == 10


def test_trials_enter_as_recorded_and_mirrored(
    prepared: list[Prepared], floor: LinearFloor
) -> None:
    network = network_on(floor, dataclasses.replace(TINY, classes=imagery.CLASSES)).eval()
    trials = imagery.collect_trials(network, prepared[:1])
    assert trials is not None
    assert trials.labels.tolist() == [0, 1, 0, 1, 0]
    assert trials.states.shape == (5, 2, 10, 5, TINY.dim)
    # Turning the head around is the same as turning the recording around.
    swapped = [prepared[0].electrodes.index(mirror_electrode(n)) for n in NAMES]
    turned = dataclasses.replace(
        prepared[0],
        signal=prepared[0].signal[:, swapped],
        mean=prepared[0].mean[:, swapped],
        scale=prepared[0].scale[:, swapped],
    )
    other = imagery.collect_trials(network, [turned])
    assert other is not None
    torch.testing.assert_close(trials.states[:, 1], other.states[:, 0], rtol=0, atol=2e-3)
    torch.testing.assert_close(trials.states[:, 0], other.states[:, 1], rtol=0, atol=2e-3)


def test_the_decode_head_learns_what_states_tell(floor: LinearFloor) -> None:
    config = dataclasses.replace(TINY, classes=imagery.CLASSES)
    network = network_on(floor, config)
    before = {k: v.clone() for k, v in network.state_dict().items() if not k.startswith("teg.")}
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(64) % 2
    states = 0.3 * torch.randn(64, 2, 4, len(NAMES), config.dim, generator=rng)
    # The electrode over the moving hand's hemisphere (C4 for the left) carries the sign.
    ids = torch.tensor(electrode_ids(NAMES))
    side = {"C3": 1, "C4": 0}
    for name, label in side.items():
        for view in (0, 1):
            states[(labels ^ view) == label, view, :, NAMES.index(name), 0] += 2.0
    trials = imagery.Trials(
        states.half(),
        ids,
        torch.ones(64, len(NAMES), dtype=torch.bool),
        labels,
        tuple(f"s{i // 16}" for i in range(64)),
    )
    scores = imagery.fit_decoder(network, trials, seed=0)
    assert scores["left_out"] > 0.9
    for key, value in before.items():
        torch.testing.assert_close(network.state_dict()[key], value, rtol=0, atol=0)


def test_an_untrained_network_scores_as_the_blend_mixed_with_ar(
    files: Path, floor: LinearFloor
) -> None:
    checkpoint = Checkpoint.of(network_on(floor), {"ridge": torch.from_numpy(floor.ridge)}, "fresh")
    scores = forecast.evaluate_forecast(checkpoint, [files], warm_up_s=10.0)
    assert scores.subjects == ("eegmmidb-S001",)
    assert scores.model == "fresh"
    rows = scores.table()
    assert [r["horizon_ms"] for r in rows][-1] == [500, 1000]
    for row in rows:
        assert row["model"] < max(row["blend"], row["ar"]) + 0.02
        assert row["mean"] == pytest.approx(1.0, abs=0.3)
    assert rows[0]["ar"] < 0.8
    assert rows[0]["persistence"] > rows[0]["ar"]
    assert set(scores.regions) == {"central"}
    assert scores.seconds > 15


def test_scores_need_somebody_unseen(files: Path, floor: LinearFloor) -> None:
    checkpoint = Checkpoint.of(network_on(floor), {"ridge": torch.from_numpy(floor.ridge)})
    with pytest.raises(BadInputError, match="of 1 recordings 0 are of held-out subjects"):
        forecast.evaluate_forecast(checkpoint, [files / "S003R04.vhdr"], warm_up_s=10.0)
    with pytest.raises(BadInputError, match="none of these is longer than 60 s"):
        forecast.evaluate_forecast(checkpoint, [files / "S001R04.vhdr"])


@pytest.mark.parametrize(
    ("electrode", "region"),
    [("Fp1", "frontal"), ("AFz", "frontal"), ("FC3", "central"), ("FT7", "temporal"),
     ("TP8", "temporal"), ("POz", "posterior"), ("Oz", "posterior")],
)  # fmt: skip
def test_regions(electrode: str, region: str) -> None:
    assert forecast.region_of(electrode) == region
