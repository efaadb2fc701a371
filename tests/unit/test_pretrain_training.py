"""Stage I on synthetic recordings: batches, linear floor, objective, runs and their traces."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import resource
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from pretraining import CLASSES, NAMES, SECONDS, TINY, network_on, raw, write_files

from rtbci.apps.cli import app
from rtbci.errors import BadInputError, RtbciError
from rtbci.models.baselines import RidgeForecaster
from rtbci.models.checkpoint import load_checkpoint
from rtbci.models.pretrain.corpus.prepared import Prepared, prepare
from rtbci.models.pretrain.corpus.recordings import RawRecording
from rtbci.models.pretrain.corpus.shards import prepare_corpus
from rtbci.models.pretrain.training import batches as batches_module
from rtbci.models.pretrain.training import loop, material, registry, run
from rtbci.models.pretrain.training.batches import Batch, Batches
from rtbci.models.pretrain.training.forecast import Forecast
from rtbci.models.pretrain.training.linear import LinearFloor, fit_linear
from rtbci.models.pretrain.training.loader import Loader
from rtbci.models.pretrain.training.objective import Losses
from rtbci.models.pretrain.training.settings import Execution, Settings
from rtbci.models.tokens import normalise, token_window
from rtbci.tick import Tick

ONE = Execution(device="cpu", workers=0, log_every=1)
HALF = dataclasses.replace(ONE, stop_after=20)
"""Half of a run of 40 steps; what follows stage I has its own tests."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> list[Prepared]:
    folder = tmp_path_factory.mktemp("prepared")
    names = ("S003R03", "S003R04", "S004R03", "S004R04")
    return [prepare(raw(name, seed), folder, TINY) for seed, name in enumerate(names)]


@pytest.fixture(scope="module")
def mixed(prepared: list[Prepared], tmp_path_factory: pytest.TempPathFactory) -> list[Prepared]:
    """Recordings of five electrodes, and one of two from another data set."""
    whole = raw("Subject07_1", 9)
    few = RawRecording(
        whole.name, "eegmat-Subject07", whole.rate, NAMES[:2], whole.data[:, :2], dataset="eegmat"
    )
    return [*prepared, prepare(few, tmp_path_factory.mktemp("few"), TINY)]


@pytest.fixture(scope="module")
def floor(prepared: list[Prepared]) -> LinearFloor:
    return fit_linear(prepared, TINY)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def corpus(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus")
    prepare_corpus([files], out, TINY)
    return out


@pytest.fixture(scope="module")
def half(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty steps that nobody stopped."""
    out = tmp_path_factory.mktemp("out") / "run"
    run.pretrain(tiny(corpus), out, HALF)
    return out


def state(out: Path) -> bytes:
    return (out / "training.safetensors").read_bytes()


def tiny(data: Path, **changes: object) -> Settings:
    settings = Settings((str(data),), size="tiny", steps=40, seed=1, batch=16)
    return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]


def table(out: Path) -> list[dict[str, float]]:
    with (out / "log.csv").open(encoding="utf-8") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def column(out: Path, name: str) -> npt.NDArray[np.float64]:
    return np.array([row[name] for row in table(out)])


def test_a_batch_holds_what_live_tokens_see(prepared: list[Prepared], floor: LinearFloor) -> None:
    batches = Batches(prepared[:1], TINY, floor, seed=0, electrodes_per_step=8)
    batch = next(b for b in map(batches.draw, range(99)) if not b.start.any() and b.valid.all())
    own, hop = prepared[0], TINY.n_hop
    newest = int(batch.origin.split("hop ")[1].split(",")[0])
    assert batch.windows.shape[1:] == (batch.electrode_ids.shape[1], 2 * TINY.context, 250)
    history = own.signal[: (newest + 1) * hop]
    mean, scale = own.mean[newest], own.scale[newest]
    windows = token_window(history, mean, scale).T
    columns = [int(np.argmin(np.abs(windows - w.numpy()).sum(1))) for w in batch.windows[0, :, -1]]
    assert sorted(columns) == sorted(set(columns)), "an electrode came twice"
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
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(value, getattr(other.draw(3), name), rtol=0, atol=0)
        else:
            assert value == getattr(other.draw(3), name)
    assert one.draw(4).origin != one.draw(3).origin


def test_parts_of_a_step_add_up_to_the_whole_whatever_their_montages(
    mixed: list[Prepared], floor: LinearFloor
) -> None:
    """Also where a part has no sequence, and where electrodes fill a batch up."""
    network, objective = network_on(floor), Forecast(TINY, floor)
    torch.nn.init.normal_(network.direct_head.out.weight, std=0.05)
    batches = Batches(mixed, TINY, floor, seed=2, electrodes_per_step=16)
    filled = blank = False
    for step in range(20):
        whole = batches.draw(step)
        parts = [batches.draw(step, part, 3) for part in range(3)]
        origins = [o for p in parts if p.tokens for o in p.origin.split(", ")]
        assert sorted(origins) == sorted(whole.origin.split(", "))
        assert sum(p.tokens for p in parts) == whole.tokens
        filled |= whole.tokens < whole.windows[..., 0].numel()
        blank |= not all(p.tokens for p in parts)
        counts = sum(objective.counts(p) for p in parts)
        torch.testing.assert_close(counts, objective.counts(whole))
        with torch.no_grad():
            made = [objective(network, p) for p in parts]
            all_at_once = objective(network, whole)
        for name in Losses._fields:
            total = sum(getattr(losses, name) for losses in made)
            torch.testing.assert_close(total, getattr(all_at_once, name), rtol=1e-4, atol=1e-4)
    assert filled
    assert blank


def test_a_small_data_set_is_not_drowned(
    mixed: list[Prepared], floor: LinearFloor, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = Batches(mixed, TINY, floor, seed=0)
    drawn = [o.split(" ")[0] for s in range(150) for o in batches.draw(s).origin.split(", ")]
    share = np.mean([name == "Subject07_1" for name in drawn])
    assert share == pytest.approx(1 / 3, abs=0.08), "1 of 5 recordings, 1 of 1 + sqrt(4) shares"
    monkeypatch.setattr(batches_module, "LONGEST_S", 5.0)
    long = dataclasses.replace(mixed[0], positions=np.tile(mixed[0].positions, 50))
    shares = batches_module._shares([long, *mixed[1:4]], TINY.hop_s)
    np.testing.assert_allclose(shares, 0.25)


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


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_their_order_however_many_draw_them(
    prepared: list[Prepared], floor: LinearFloor, workers: int
) -> None:
    batches = Batches(prepared, TINY, floor, seed=0, electrodes_per_step=8)
    order = iter([(step, part) for step in range(4) for part in range(2)])
    with Loader(lambda s, p: batches.draw(s, p, 2), order, workers) as loader:
        origins = [loader.next().origin for _ in range(8)]
        with pytest.raises(StopIteration):
            loader.next()
    assert origins == [batches.draw(s, p, 2).origin for s in range(4) for p in range(2)]
    assert loader.waited_s > 0


def test_an_untrained_network_is_the_linear_blend(
    prepared: list[Prepared], floor: LinearFloor
) -> None:
    batch = Batches(prepared, TINY, floor, seed=1).draw(0)
    losses = Forecast(TINY, floor)(network_on(floor), batch)
    torch.testing.assert_close(losses.figures[:, 0], losses.figures[:, 1])
    torch.testing.assert_close(losses.terms[0].detach(), losses.figures[0, 1])


def test_linear_blend_beats_its_parts(floor: LinearFloor) -> None:
    assert floor.ridge.shape == (184, 250)
    assert ((floor.blend >= 0) & (floor.blend <= 1)).all()
    assert floor.error[:10].mean() < floor.error[-50:].mean() < 1.5
    assert (floor.error > 0).all()


def test_in_bfloat16_weights_and_errors_stay_float32(
    prepared: list[Prepared], floor: LinearFloor
) -> None:
    batch = Batches(prepared, TINY, floor, seed=1).draw(0)
    made: list[tuple[Losses, torch.Tensor]] = []
    for bf16 in (False, True):
        network = network_on(floor)
        torch.nn.init.normal_(network.direct_head.out.weight, std=0.05)
        task = loop.Task(network, Forecast(TINY, floor), bf16=bf16)
        losses = task(batch)
        losses.terms.sum().backward()
        gradient = network.token.weight.grad
        assert gradient is not None
        assert {losses.terms.dtype, losses.figures.dtype, gradient.dtype} == {torch.float32}
        made.append((losses, gradient))
    (full, exact), (half, rough) = made
    assert not torch.equal(full.terms, half.terms), "nothing was done in bfloat16"
    torch.testing.assert_close(half.terms, full.terms, rtol=0.02, atol=0)
    torch.testing.assert_close(half.figures[:, 1], full.figures[:, 1], rtol=0, atol=0)
    cosine = torch.nn.functional.cosine_similarity(exact.flatten(), rough.flatten(), dim=0)
    assert cosine > 0.99


def test_training_lowers_the_loss(half: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(half, out)
    run.resume(out, dataclasses.replace(ONE, stop_after=39))
    losses = column(out, "step loss")
    assert len(losses) == 39
    assert losses[-10:].mean() < 0.9 * losses[:5].mean()


def test_the_result_says_what_was_done(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run.pretrain(tiny(corpus, steps=3), out, ONE)
    assert result.model == out / "model.safetensors"
    assert result.step == 3
    assert result.subjects == ("eegmmidb-S003", "eegmmidb-S004")
    assert result.held_out == ("eegmmidb-S001",)
    assert result.hours == pytest.approx(2 * SECONDS / 3600, rel=1e-2)
    checkpoint = load_checkpoint(out / "model.safetensors")
    assert checkpoint.identity == result.identity
    assert checkpoint.config.electrodes == tuple(sorted(NAMES))
    assert checkpoint.config.classes == CLASSES
    assert checkpoint.extra["ridge"].shape == (184, 250)
    assert json.loads((out / "result.json").read_text(encoding="utf-8"))["step"] == 3


def test_held_out_subjects_are_not_even_prepared(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run.pretrain(tiny(files), out, dataclasses.replace(ONE, stop_after=1))
    assert result.held_out == ("eegmmidb-S001",)
    assert {p.stem for p in (out / "prepared").rglob("S0*")} == {"S003R04", "S004R04"}


def test_the_same_seed_gives_the_same_weights_even_when_resumed(
    corpus: Path, tmp_path: Path, half: Path
) -> None:
    out = tmp_path / "again"
    begun = run.pretrain(tiny(corpus), out, dataclasses.replace(ONE, stop_after=9, workers=2))
    assert (begun.step, begun.model, begun.interrupted) == (9, None, False)
    with pytest.raises(BadInputError, match="holds a training already: go on with it"):
        run.pretrain(tiny(corpus), out, ONE)
    with (out / "log.csv").open("a", encoding="utf-8") as log:
        log.write("10,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1\n11,0.5")  # lost with a killed process
    run.resume(out, HALF)
    assert state(out) == state(half)
    for name in ("step", "loss", "all", "0-50 ms", "learning_rate"):
        np.testing.assert_array_equal(column(out, name), column(half, name))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_cleanly(
    corpus: Path, tmp_path: Path, half: Path, number: signal.Signals
) -> None:
    def interrupt(at: run.Progress) -> None:
        if at.stage == "train" and at.text == "step 6 of 40":
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    result = run.pretrain(tiny(corpus), tmp_path / "out", HALF, interrupt)
    assert result.interrupted
    assert 6 <= result.step <= 7
    assert signal.getsignal(number) is before
    run.resume(tmp_path / "out", HALF)
    assert state(tmp_path / "out") == state(half)


def test_a_step_in_portions_learns_the_same(corpus: Path, tmp_path: Path, half: Path) -> None:
    run.pretrain(tiny(corpus), tmp_path / "out", dataclasses.replace(HALF, accumulate=3))
    loss = column(half, "loss")
    np.testing.assert_allclose(column(tmp_path / "out", "loss"), loss, rtol=1e-4)
    np.testing.assert_array_equal(column(tmp_path / "out", "tokens"), column(half, "tokens"))


class Broken(Forecast):
    """Not finite from the eighth batch on."""

    calls = 0

    def forward(self, network: object, batch: Batch) -> Losses:
        Broken.calls += 1
        losses: Losses = super().forward(network, batch)  # type: ignore[arg-type]
        return losses._replace(terms=losses.terms * (float("nan") if Broken.calls > 7 else 1.0))


def test_a_loss_that_is_not_finite_names_its_batch(
    corpus: Path,
    tmp_path: Path,
    half: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "broken"
    with monkeypatch.context() as patched:
        patched.setitem(registry.OBJECTIVES, "forecast", Broken)
        how = dataclasses.replace(ONE, save_every=5)
        message = r"the loss is nan at step 7, on S00\dR04 up to hop \d+.* of step 5 is whole"
        with pytest.raises(RtbciError, match=message):
            run.pretrain(tiny(corpus), out, how)
    run.resume(out, HALF)
    assert state(out) == state(half), "it goes on from the last good one"


@pytest.mark.skipif(sys.platform == "win32", reason="files have no largest size there")
def test_a_full_disk_leaves_the_checkpoint_before(corpus: Path, tmp_path: Path, half: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(at: run.Progress) -> None:
        if at.stage == "train" and at.text == "step 7 of 40":
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))

    how = dataclasses.replace(ONE, save_every=5)
    message = r"of step 10 is not kept: .* the disk is full; make room; .* of step 5 is whole"
    try:
        with pytest.raises(RtbciError, match=message):
            run.pretrain(tiny(corpus), tmp_path / "out", how, fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((tmp_path / "out").glob("*.partial"))
    run.resume(tmp_path / "out", HALF)
    assert state(tmp_path / "out") == state(half)


def test_a_damaged_checkpoint_is_named(corpus: Path, tmp_path: Path) -> None:
    run.pretrain(tiny(corpus), tmp_path / "out", dataclasses.replace(ONE, stop_after=1))
    path = tmp_path / "out" / "training.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(BadInputError, match=r"training.safetensors is damaged or of another"):
        run.resume(tmp_path / "out", ONE)


def test_a_smaller_fraction_is_part_of_a_larger_one(mixed: list[Prepared]) -> None:
    names = [f"S{i:03d}R04" for i in range(400)]
    half = {n for n in names if material.share_of(n) < 0.5}
    quarter = {n for n in names if material.share_of(n) < 0.25}
    assert quarter < half
    assert abs(len(quarter) - 100) < 30
    assert abs(len(half) - 200) < 30


def test_training_needs_somebody_to_train_on(files: Path, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"\(eegmmidb-S001\) are held out for the score"):
        run.pretrain(tiny(files / "S001R04.vhdr"), tmp_path / "out", ONE)
    with pytest.raises(BadInputError, match="a fraction of 1e-09 of 2 recordings is none"):
        run.pretrain(tiny(corpus, fraction=1e-9), tmp_path / "few", ONE)
    with pytest.raises(BadInputError, match="holds no training to go on with"):
        run.resume(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"learning_rate": 0.0}, "learning rate is 0"),
        ({"fraction": 1.5}, "fraction is 1.5"),
        ({"objective": "magic"}, "no objective 'magic'; choose one of forecast"),
        ({"size": "vast"}, "no model size 'vast'"),
        ({"precision": "16"}, "no precision '16'"),
        ({"fold": "5/4"}, "got '5/4'"),
    ],
)
def test_settings_that_can_not_be(change: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=message):
        tiny(tmp_path, **change)


def test_tensorboard_gets_the_rows(corpus: Path, tmp_path: Path) -> None:
    module = "tensorboard.backend.event_processing.event_accumulator"
    accumulator = pytest.importorskip(module).EventAccumulator
    out = tmp_path / "out"
    run.pretrain(tiny(corpus), out, dataclasses.replace(ONE, stop_after=3, tensorboard=True))
    events = accumulator(str(out / "tensorboard")).Reload()
    seen = [(e.step, e.value) for e in events.Scalars("loss")]
    assert [step for step, _ in seen] == [1, 2, 3]
    np.testing.assert_allclose([v for _, v in seen], column(out, "loss"), rtol=1e-6)


def test_learning_rate_warms_up_and_ends_at_zero(tmp_path: Path) -> None:
    settings = tiny(tmp_path, steps=1000, learning_rate=2e-3)
    rates = [loop.learning_rate(s, settings) for s in range(1001)]
    assert np.argmax(rates) == loop.WARM_UP - 1
    assert max(rates) == pytest.approx(2e-3, rel=0.01)
    assert rates[0] < 0.05 * max(rates)
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)


def test_with_json_every_line_is_an_event(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pretrain", str(corpus), "--out", str(tmp_path / "out"), "--size", "tiny"]
    words += ["--steps", "2", "--log-every", "1", "--device", "cpu", "--json"]
    app(words, standalone_mode=False)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [e["event"] for e in events] == ["step", "step", "summary"]
    assert events[-1]["model"] == str(tmp_path / "out" / "model.safetensors")
    assert Path(events[-1]["manifest"]).is_file()


def test_a_run_goes_on_with_the_recordings_it_began_with(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run.pretrain(tiny(corpus), out, dataclasses.replace(ONE, stop_after=2))
    linear, other = out / "linear.safetensors", tmp_path / "other"
    shutil.copytree(corpus, other)
    listed = json.loads((other / "manifest.json").read_text(encoding="utf-8"))
    listed["recordings"] = listed["recordings"][:-1]
    (other / "manifest.json").write_text(json.dumps(listed), encoding="utf-8")
    kept = json.loads((out / "settings.json").read_text(encoding="utf-8"))
    (out / "settings.json").write_text(json.dumps(kept | {"data": [str(other)]}), encoding="utf-8")
    with pytest.raises(BadInputError, match="began with other recordings"):
        run.resume(out, ONE)
    (out / "settings.json").write_text(json.dumps(kept), encoding="utf-8")
    linear.write_bytes(linear.read_bytes()[:100])
    with pytest.raises(BadInputError, match=r"linear.safetensors can't be read"):
        run.resume(out, ONE)


def test_what_cannot_be_is_said_before_anything_is_prepared(files: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="which this size does not have"):
        tiny(files, size="eegpt-paper-tiny")
    with pytest.raises(BadInputError, match="there is no model 'nowhere'"):
        run.pretrain(tiny(files, encoder="nowhere"), tmp_path / "out", ONE)
    assert not (tmp_path / "out").exists()
