"""EEGPT behind the pipeline's protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from networks import ELECTRODES, HANDS, paper, ridge_weight, signal, ticks, tiny

from rtbci.models.checkpoint import Checkpoint
from rtbci.models.streaming import EEGPTModel
from rtbci.models.tokens import token_window
from rtbci.tick import Model, Tick

ALL = np.ones(len(ELECTRODES), np.bool_)


def make(
    published: Literal["direct", "rollout"] = "direct",
    device: str = "cpu",
    electrodes: tuple[str, ...] = ELECTRODES,
    **changes: object,
) -> EEGPTModel:
    network = tiny(0, **({"classes": HANDS} | changes))
    checkpoint = Checkpoint.of(network, {"ridge": ridge_weight()})
    return EEGPTModel(checkpoint, electrodes, device=device, published=published)


def without(*names: str) -> np.ndarray:
    return np.array([e not in names for e in ELECTRODES])


def stream(seconds: float = 4.0, seed: int = 0) -> list[Tick]:
    return ticks(signal(seed, seconds, len(ELECTRODES)))


def told(model: EEGPTModel) -> bytes:
    """Decode, forecasts and interval of the token just ingested."""
    p, reason = model.decode()
    arrays = [p, *model.forecast().values(), *(model.interval(0.9) or ())]
    return reason.encode() + b"".join(a.tobytes() for a in arrays)


def results(model: EEGPTModel, stream: list[Tick]) -> list[bytes]:
    """Everything that the model says, bit for bit."""
    said = []
    for tick in stream:
        model.ingest(tick)
        said.append(told(model))
    return said


def test_it_is_a_model() -> None:
    model: Model = make()
    assert model.name == "unsaved"
    assert model.published == "direct"
    assert model.n_horizons == 250
    assert model.classes == HANDS
    assert len(model.identity) == 64


@pytest.mark.parametrize("published", ["direct", "rollout"])
def test_forecasts_have_their_shapes_and_units(published: Literal["direct", "rollout"]) -> None:
    model = make(published)
    for tick in stream():
        model.ingest(tick)
    made = model.forecast()
    assert list(made) == [published, "ar", "ridge"]
    for forecast in made.values():
        assert forecast.shape == (250, len(ELECTRODES))
        assert forecast.dtype == np.float32
        assert np.isfinite(forecast).all()


def test_intervals_lie_around_the_published_forecast() -> None:
    model, out = make(), without("Cz")
    for tick in stream():
        model.ingest(replace(tick, good=out))
        mean = model.forecast()["direct"]
    narrow, wide = model.interval(0.5), model.interval(0.9)
    assert narrow is not None
    assert wide is not None
    kept = np.flatnonzero(out)
    assert (wide[0][:, kept] < narrow[0][:, kept]).all()
    assert (narrow[1][:, kept] < wide[1][:, kept]).all()
    np.testing.assert_allclose(((narrow[0] + narrow[1]) / 2)[:, kept], mean[:, kept], atol=1e-3)
    assert np.isnan(wide[0][:, ~out]).all()


def test_what_is_rolled_out_has_no_intervals() -> None:
    model = make("rollout")
    for tick in stream():
        model.ingest(tick)
        model.forecast()
    assert model.interval(0.9) is None


def test_states_equal_the_offline_encoder() -> None:
    model = make()
    taken = stream()
    windows = [token_window(t.history, t.mean, t.scale).T for t in taken]
    network = tiny(classes=HANDS)
    ids = torch.tensor([[40, 42, 44, 51, 5]])  # rows of C3 Cz C4 CP3 AF7
    with torch.inference_mode():
        offline = network.encode(torch.from_numpy(np.stack(windows, 1))[None], ids)[0]
    for i, tick in enumerate(taken):
        model.ingest(tick)
        np.testing.assert_allclose(model.states, offline[:, i].numpy(), atol=2e-5)


def test_an_untrained_head_publishes_the_linear_blend() -> None:
    checkpoint = Checkpoint.of(tiny(), {"ridge": ridge_weight()})
    torch.nn.init.zeros_(checkpoint.network.direct_head.out.weight)
    model = EEGPTModel(checkpoint, ELECTRODES)
    for tick in stream(8.0):
        model.ingest(tick)
    made = model.forecast()
    np.testing.assert_allclose(made["direct"], (made["ar"] + made["ridge"]) / 2, atol=1e-3)


def test_without_a_ridge_ar_stands_alone() -> None:
    model = EEGPTModel(Checkpoint.of(tiny()), ELECTRODES)
    for tick in stream():
        model.ingest(tick)
    assert list(model.forecast()) == ["direct", "ar"]


def test_before_ar_is_fitted_there_is_a_forecast_all_the_same() -> None:
    model = make()
    model.ingest(stream()[0])
    made = model.forecast()
    assert np.isnan(made["ar"]).all()
    assert np.isfinite(made["direct"]).all()


@pytest.mark.parametrize("published", ["direct", "rollout"])
def test_equal_input_gives_equal_bits(published: Literal["direct", "rollout"]) -> None:
    assert results(make(published), stream()) == results(make(published), stream())


def test_a_reset_model_is_as_good_as_new() -> None:
    model = make()
    results(model, stream(seed=1))
    model.reset()
    assert results(model, stream()) == results(make(), stream())


def test_a_segment_that_begins_without_a_reset_resets() -> None:
    model = make()
    results(model, stream(seed=1))
    assert results(model, stream()) == results(make(), stream())


@pytest.mark.parametrize("published", ["direct", "rollout"])
def test_skipped_forecasts_and_decodes_change_only_how_far_the_network_is_trusted(
    published: Literal["direct", "rollout"],
) -> None:
    model, lazy = make(published), make(published)
    results(model, stream()[:-1])
    for tick in stream()[:-1]:
        lazy.ingest(tick)
    last = stream()[-1]
    model.ingest(last)
    lazy.ingest(last)
    assert model.states.tobytes() == lazy.states.tobytes()
    assert model.decode()[0].tobytes() == lazy.decode()[0].tobytes()
    made, late = model.forecast(), lazy.forecast()
    assert made["ar"].tobytes() == late["ar"].tobytes()
    assert made["ridge"].tobytes() == late["ridge"].tobytes()
    assert made[published].tobytes() != late[published].tobytes()


def test_the_forecast_outlives_the_ring() -> None:
    """``Tick.history`` is a view that the pipeline overwrites once ``ingest`` returns."""
    model, expected = make(), results(make(), stream())
    for tick, said in zip(stream(), expected, strict=True):
        view = tick.history.copy()
        mean, scale, good = tick.mean.copy(), tick.scale.copy(), tick.good.copy()
        model.ingest(Tick(tick.token, tick.index, view, mean, scale, good))
        for array in (view, mean, scale):
            array[:] = np.nan
        good[:] = False
        assert told(model) == said


def test_left_out_electrodes_are_nan_and_leave_the_others_alone() -> None:
    clean, dirty = make(), make()
    for tick in stream():
        good = without("C4")
        worthless = tick.history.copy()
        worthless[:, 2] = 1e7
        clean.ingest(replace(tick, good=good))
        dirty.ingest(replace(tick, history=worthless, good=good))
        a, b = clean.forecast(), dirty.forecast()
        assert np.isnan(b["direct"][:, 2]).all()
        assert np.isfinite(b["direct"][:, [0, 1, 3, 4]]).all()
        np.testing.assert_allclose(b["direct"], a["direct"], atol=1e-3)
        np.testing.assert_array_equal(clean.decode()[0], dirty.decode()[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_values_that_are_not_finite_do_not_spread(value: float) -> None:
    model, expected = make(), make()
    for tick in stream():
        poisoned = tick.history.copy()
        if tick.index == 3:
            poisoned[-40:, 1] = value
        with np.errstate(all="ignore"):
            model.ingest(replace(tick, history=poisoned))
        expected.ingest(tick)
        assert np.isfinite(model.states).all()
        np.testing.assert_allclose(
            model.states[[0, 2, 3, 4]], expected.states[[0, 2, 3, 4]], atol=1e-6
        )
    # What it saw of the poison has left the window of attention by now.
    np.testing.assert_allclose(model.states[1], expected.states[1], atol=1e-5)


def test_tokens_that_never_came_are_passed_over() -> None:
    model = make()
    taken = stream()
    kept = [t for t in taken if t.index not in (11, 12, 13)]
    windows = np.stack([token_window(t.history, t.mean, t.scale).T for t in taken], 1)
    valid = torch.ones(1, len(ELECTRODES), len(taken), dtype=torch.bool)
    valid[..., 11:14] = False
    ids = torch.tensor([[40, 42, 44, 51, 5]])
    with torch.inference_mode():
        network = tiny(classes=HANDS)
        offline = network.encode(torch.from_numpy(windows)[None], ids, valid=valid)[0]
    for tick in kept:
        model.ingest(tick)
        np.testing.assert_allclose(model.states, offline[:, tick.index].numpy(), atol=2e-5)


def test_decodes_begin_when_there_is_enough_context() -> None:
    model = make()
    for tick in stream(3.0):
        model.ingest(tick)
        p, reason = model.decode()
        if tick.index < 10:
            assert reason == "context not full: 2 s needed"
            assert np.isnan(p).all()
        else:
            assert not reason
            assert p.sum() == pytest.approx(1.0, abs=1e-12)


def test_a_window_that_the_segment_does_not_fill() -> None:
    model = make()
    tick = stream()[0]
    model.ingest(replace(tick, history=tick.history[:100]))
    assert model.decode()[1] == "window not full"
    assert np.isfinite(model.forecast()["direct"]).all()
    model.reset()
    with pytest.raises(RuntimeError, match="forecast comes after ingest"):
        model.forecast()


def test_an_electrode_that_returns_needs_its_own_context() -> None:
    model = make(electrodes=ELECTRODES, teg_min_electrodes=4)
    reasons = []
    for tick in stream(6.0):
        bad = 15 <= tick.index < 20
        if tick.index == 20:
            model.reset(~without("Cz"))
        model.ingest(replace(tick, good=without("Cz") if bad else ALL))
        reasons.append(model.decode()[1])
    assert reasons[14] == ""
    assert reasons[15:20] == ["left out: Cz; 4 electrodes that decode are needed"] * 5
    assert reasons[20:30] == ["context not full: 2 s needed"] * 10
    assert not any(reasons[30:])


def test_a_montage_without_motor_electrodes_never_decodes() -> None:
    model = make(electrodes=("Fp1", "Fp2", "C3", "O1", "EEG 5"))
    for tick in stream():
        model.ingest(tick)
    p, reason = model.decode()
    assert reason == "the montage has 1 of the electrodes that decode, 3 are needed"
    assert np.isnan(p).all()


def test_without_classes_there_is_no_decode_head() -> None:
    model = make(classes=())
    model.ingest(stream()[0])
    p, reason = model.decode()
    assert len(p) == 0
    assert reason == "the model has no decode head"


def test_an_electrode_without_a_place_is_forecast_by_ar() -> None:
    electrodes = ("C3", "LAH3", "C4", "CP3", "EEG 5")
    model = make(electrodes=electrodes)
    for tick in stream(30.0):
        model.ingest(tick)
    made = model.forecast()
    assert np.isfinite(made["ar"]).all()
    for i, name in enumerate(electrodes):
        same = np.array_equal(made["direct"][:, i], made["ar"][:, i])
        assert same == (name in ("LAH3", "EEG 5")), name


def test_a_network_of_the_papers_flavour_rolls_its_forecast_out() -> None:
    network = paper(classes=HANDS)
    model = EEGPTModel(Checkpoint.of(network, {"ridge": ridge_weight(256)}), ELECTRODES)
    assert model.published == "rollout"
    x = signal(0, 8.0, len(ELECTRODES))
    windows = []
    for index, stop in enumerate(range(256, len(x) + 1, 32)):
        mean, scale = np.full(5, 1.0, np.float32), np.full(5, 30.0, np.float32)
        tick = Tick(index, index, x[:stop], mean, scale, ALL)
        model.ingest(tick)
        windows.append(token_window(tick.history, mean, scale, 256).T)
    ids = torch.tensor([[40, 42, 44, 51, 5]])
    whole = torch.from_numpy(np.stack(windows, 1))[None]
    with torch.inference_mode():
        newest = torch.tensor([whole.shape[2] - 1])
        states, read = network.encode_both(whole, ids, newest)
        first = network.step_head.new(states[0, :, -1]).T.numpy() * 30.0 + 1.0
        assert network.teg is not None
        logits = network.teg(read[:, :, 0], ids, torch.from_numpy(ALL)[None])
    np.testing.assert_allclose(model.forecast()["rollout"][:32], first, atol=1e-3)
    np.testing.assert_allclose(model.decode()[0], logits.softmax(-1)[0], atol=1e-5)
    assert model.forecast()["rollout"].shape == (256, len(ELECTRODES))


def test_electrodes_that_training_never_saw_share_the_generic_token() -> None:
    known = make(electrodes=("EEG 1",) * 5)
    unseen = EEGPTModel(
        Checkpoint.of(tiny(classes=HANDS, electrodes=("Oz",)), {"ridge": ridge_weight()}),
        ELECTRODES,
    )
    for tick in stream():
        known.ingest(tick)
        unseen.ingest(tick)
        np.testing.assert_array_equal(known.states, unseen.states)


def test_the_mean_of_several_tokens_is_decoded() -> None:
    model = make(teg_tokens=4)
    states = []
    for tick in stream():
        model.ingest(tick)
        states.append(model.states)
    network = tiny(classes=HANDS, teg_tokens=4)
    assert network.teg is not None
    mean = torch.from_numpy(np.mean(states[-4:], axis=0))[None]
    logits = network.teg(mean, torch.tensor([[40, 42, 44, 51, 5]]), torch.from_numpy(ALL)[None])
    np.testing.assert_allclose(model.decode()[0], logits.softmax(-1)[0].detach(), atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("published", ["direct", "rollout"])
def test_cuda_agrees_with_the_cpu(published: Literal["direct", "rollout"]) -> None:
    cpu, cuda = make(published), make(published, device="cuda")
    for tick in stream():
        cpu.ingest(tick)
        cuda.ingest(tick)
        np.testing.assert_allclose(cuda.decode()[0], cpu.decode()[0], atol=1e-4)
        a, b = cpu.forecast(), cuda.forecast()
        np.testing.assert_allclose(b[published], a[published], atol=1e-2)
