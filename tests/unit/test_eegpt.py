"""The encoder offline, and what one pass of it does beside."""

from __future__ import annotations

import pytest
import torch
from networks import HANDS, noise, tiny
from torch import Tensor

from rtbci.config import PreprocessConfig, TokenConfig
from rtbci.errors import BadInputError
from rtbci.models.cache import RingCache
from rtbci.models.config import PRESETS, check_session, preset
from rtbci.models.eegpt import EEGPT

IDS = torch.tensor([5, 0, 77])
YES = torch.ones(3, dtype=torch.bool)


def run(network: EEGPT, windows: Tensor, cache: RingCache) -> Tensor:
    """Ingest windows (B, T, n_window) one token at a time; states (B, T, d)."""
    states = [network.ingest(w, IDS, cache, YES) for w in windows.unbind(1)]
    return torch.stack(states, dim=1)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("base", 1.46), ("large", 11.29), ("huge", 183.8), ("giant", 1090.0)],
)
def test_named_sizes_are_those_of_the_paper(name: str, millions: float) -> None:
    with torch.device("meta"):
        network = EEGPT(preset(name, classes=HANDS))
    # The paper does not say what its heads and embeddings hold: 15 % is what they may differ by.
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.15)


def test_offline_states_of_an_electrode_depend_on_it_alone() -> None:
    network = tiny()
    windows = noise(0, 1, 3, 12, 250)
    before = network.encode(windows, IDS[None])
    changed = windows.clone()
    changed[:, 1] = noise(1, 12, 250)
    after = network.encode(changed, IDS[None])
    torch.testing.assert_close(after[:, [0, 2]], before[:, [0, 2]])
    assert not torch.allclose(after[:, 1], before[:, 1])


def test_the_future_never_changes_the_past() -> None:
    network = tiny()
    windows = noise(0, 1, 3, 20, 250)
    changed = windows.clone()
    changed[:, :, 13:] = 1e3
    before, after = network.encode(windows, IDS[None]), network.encode(changed, IDS[None])
    assert torch.equal(before[:, :, :13], after[:, :, :13])


def test_the_electrode_matters() -> None:
    network = tiny()
    windows = noise(0, 1, 1, 3, 250)
    one = network.encode(windows, torch.tensor([[5]]))
    other = network.encode(windows, torch.tensor([[6]]))
    assert not torch.allclose(one, other)


@torch.inference_mode()
def test_rollout_equals_encoding_the_forecast_windows() -> None:
    network = tiny()
    cache = RingCache.allocate(network.config, 3)
    windows = list(noise(2, 11, 3, 250).unbind(0))
    for window in windows:
        states = network.ingest(window, IDS, cache, YES)
    rolled = network.rollout(windows[-1], states, IDS, cache)
    hops = []
    for _ in range(network.config.rollout_steps):
        newest = network.encode(torch.stack(windows, 1)[None], IDS[None])[0, :, -1]
        hops.append(network.step_head(newest))
        windows.append(torch.cat([windows[-1][:, 25:], hops[-1]], dim=1))
    torch.testing.assert_close(rolled, torch.cat(hops, 1), atol=1e-5, rtol=0)


@torch.inference_mode()
def test_rollouts_leave_no_trace() -> None:
    network = tiny()
    windows = noise(3, 3, 20, 250)
    plain = RingCache.allocate(network.config, 3)
    rolled = RingCache.allocate(network.config, 3)
    for window in windows.unbind(1):
        expected = network.ingest(window, IDS, plain, YES)
        states = network.ingest(window, IDS, rolled, YES)
        network.rollout(window, states, IDS, rolled)
        assert torch.equal(states, expected)
    assert torch.equal(plain.kv[..., :8, :], rolled.kv[..., :8, :])


@torch.inference_mode()
def test_weights_that_overflow_poison_one_electrode_and_one_token_only() -> None:
    network = tiny()
    cache = RingCache.allocate(network.config, 3)
    windows = noise(4, 3, 12, 250)
    expected = run(network, windows, RingCache.allocate(network.config, 3))
    for t, window in enumerate(windows.unbind(1)):
        poisoned = window.clone()
        if t == 4:
            poisoned[1] = float("nan")
        states = network.ingest(poisoned, IDS, cache, YES)
        assert states.isfinite().all()
        torch.testing.assert_close(states[[0, 2]], expected[[0, 2], t], atol=1e-5, rtol=0)
        assert network.rollout(poisoned.nan_to_num(0.0), states, IDS, cache).isfinite().all()
    assert cache.kv.isfinite().all()


@torch.inference_mode()
def test_bfloat16_blocks_stay_near_float32() -> None:
    network = tiny()
    windows = noise(5, 3, 30, 250)
    expected = run(network, windows, RingCache.allocate(network.config, 3))
    network.layers.to(torch.bfloat16)
    cache = RingCache.allocate(network.config, 3, dtype=torch.bfloat16)
    states = run(network, windows, cache)
    assert states.dtype is torch.float32
    # 8 bits of mantissa through two blocks: a few per cent of states whose RMS is 1.
    assert (states - expected).abs().max() < 0.1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@torch.inference_mode()
def test_cuda_equals_cpu() -> None:
    network = tiny()
    windows = noise(6, 3, 30, 250)
    expected = run(network, windows, RingCache.allocate(network.config, 3))
    network.cuda()
    cache = RingCache.allocate(network.config, 3, device="cuda")
    ids, yes = IDS.cuda(), YES.cuda()
    for t, window in enumerate(windows.cuda().unbind(1)):
        states = network.ingest(window, ids, cache, yes)
        torch.testing.assert_close(states.cpu(), expected[:, t], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layers": 0}, "model.layers must be at least 1, got 0"),
        ({"dim": 18}, "model.dim 18 must be a multiple of twice model.heads"),
        ({"n_horizons": 240}, "model.n_horizons 240 must be a multiple of the hop's 25"),
        ({"recent": 251}, r"model.recent \(251\) must fit into the window of 250"),
        (
            {"rate_hz": 260.0, "n_horizons": 260},
            "rate_hz is 260 but model.preprocess.rate_hz is 250",
        ),
        ({"teg_tokens": 12}, "model.teg_context_s 2 must cover the windows of the 12 tokens"),
    ],
)
def test_settings_that_contradict_one_another(changes: dict[str, object], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        preset("tiny", **changes)


def test_an_unknown_size_lists_those_there_are() -> None:
    with pytest.raises(BadInputError, match="no model size 'small'; choose one of tiny, base"):
        preset("small")


def test_a_session_behind_another_signal_chain_is_refused() -> None:
    config = PRESETS["base"]
    check_session(config, PreprocessConfig(line_hz=(50.0,)), TokenConfig())
    words = "trained with preprocess.high_pass_hz = 0.5 but the session has 1.0: set"
    with pytest.raises(BadInputError, match=words):
        check_session(config, PreprocessConfig(high_pass_hz=1.0), TokenConfig())
    with pytest.raises(BadInputError, match=r"token.hop_s = 0.1 but the session has 0.2"):
        check_session(config, PreprocessConfig(), TokenConfig(hop_s=0.2))
