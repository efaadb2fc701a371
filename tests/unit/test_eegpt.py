"""The encoder offline, and what one pass of it does beside."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from networks import HANDS, noise, paper, tiny
from torch import Tensor

from rtbci.config import PreprocessConfig, TokenConfig
from rtbci.errors import BadInputError
from rtbci.models.cache import RingCache
from rtbci.models.config import PAPER, PRESETS, TaskConfig, check_session, preset
from rtbci.models.eegpt import EEGPT
from rtbci.models.electrodes import electrode_ids
from rtbci.models.listing import PAPER_PARAMETERS, list_sizes

IDS = torch.tensor([5, 0, 77])
YES = torch.ones(3, dtype=torch.bool)


def run(network: EEGPT, windows: Tensor, cache: RingCache) -> Tensor:
    """Ingest windows (B, T, n_window) one token at a time; states (B, T, d)."""
    states = [network.ingest(w, IDS, cache, YES) for w in windows.unbind(1)]
    return torch.stack(states, dim=1)


def test_named_sizes_are_those_of_the_paper() -> None:
    made = {size.name: size for size in list_sizes()}
    shape = {"base": (3, 128, 4, 3), "large": (9, 256, 8, 3)}
    shape |= {"huge": (12, 896, 14, 4), "giant": (20, 1792, 28, 4)}
    for name, stated in PAPER_PARAMETERS.items():
        own = made["eegpt-paper" + f"-{name}" * (name != "base")]
        for size in (made[name], own):
            assert (size.layers, size.dim, size.heads, size.teg_layers) == shape[name]
            assert size.paper_parameters == stated
            assert size.encoder + size.forecast + size.graph == size.parameters
        # The paper does not say what its heads and embeddings hold.
        assert own.parameters == pytest.approx(stated, rel=0.17)
        assert made[name].encoder == pytest.approx(own.encoder, rel=0.01)


def test_the_papers_flavour_has_the_papers_settings() -> None:
    assert (PAPER.rate_hz, PAPER.n_window, PAPER.n_hop, PAPER.context) == (256.0, 256, 32, 25)
    assert (PAPER.preprocess.high_pass_hz, PAPER.preprocess.low_pass_hz) == (0.1, 100.0)
    assert (PAPER.condition, PAPER.summary, PAPER.target) == ("prefix", True, "window")
    assert len(PAPER.nodes) == 138
    # Four seconds hold as many tokens as its training sequences have.
    assert (round(4 * PAPER.rate_hz) - PAPER.n_window) // PAPER.n_hop + 1 == PAPER.context


def test_the_condition_token_never_slides_out_of_the_window() -> None:
    network = paper()
    windows = noise(0, 1, 1, 40, 256)
    one = network.encode(windows, torch.tensor([[5]]))
    other = network.encode(windows, torch.tensor([[6]]))
    apart = (one - other).abs().amax(dim=-1)[0, 0]
    assert apart.min() > 0.0
    assert apart[20:].mean() > 0.5 * apart[:8].mean()


@torch.inference_mode()
def test_nobody_sees_a_summary() -> None:
    network = paper()
    windows = noise(1, 1, 3, 20, 256)
    plain = network.encode(windows, IDS[None])
    at = torch.tensor([3, 19])
    states, summaries = network.encode_both(windows, IDS[None], at)
    torch.testing.assert_close(states, plain, atol=1e-5, rtol=0)
    assert summaries.shape == (1, 3, 2, network.config.dim)
    # A summary depends on all that its token saw, and on nothing later.
    for changed, same in ((3, False), (4, True)):
        other = windows.clone()
        other[:, :, changed] = 5.0
        _, then = network.encode_both(other, IDS[None], at)
        assert torch.equal(then[:, :, 0], summaries[:, :, 0]) == same


def test_without_a_summary_token_the_graph_reads_states() -> None:
    network = tiny()
    windows = noise(2, 1, 3, 9, 250)
    states, read = network.encode_both(windows, IDS[None], torch.tensor([2, 8]))
    assert torch.equal(read, states[:, :, [2, 8]])
    cache = network.new_cache(IDS)
    with torch.inference_mode():
        last = run(network, windows[0], cache)[:, -1]
    assert network.summarise(last, cache) is last


def test_a_cache_without_condition_tokens_is_refused() -> None:
    network = paper()
    with pytest.raises(ValueError, match=r"EEGPT\.new_cache makes it"):
        network.ingest(noise(0, 3, 256), IDS, RingCache.allocate(network.config, 3), YES)


def test_the_papers_head_predicts_a_window_whose_end_is_new() -> None:
    network = paper()
    states = noise(0, 2, network.config.dim)
    whole, new = network.step_head(states), network.step_head.new(states)
    assert whole.shape == (2, 256)
    assert torch.equal(new, whole[:, -32:])
    with pytest.raises(BadInputError, match="has no head for all horizons at once"):
        network.direct_head(states, states, states, states)


def test_a_task_reads_only_what_it_may() -> None:
    tasks = (TaskConfig("sleep", ("wake", "asleep"), ("Cz", "Oz")), TaskConfig("load"))
    network = tiny(classes=HANDS, tasks=tasks, nodes=("C3", "C4", "Cz", "Oz", "AF7"))
    graph = network.graph_of("sleep")
    assert graph is network.graph_of() is network.graph_of("load")
    ids = torch.tensor([electrode_ids(["C3", "Cz", "Oz", "AF7", "EEG 5"])])
    yes = torch.ones(1, 5, dtype=torch.bool)
    assert graph.active(ids, yes, "sleep").tolist() == [[False, True, True, False, False]]
    assert graph.active(ids, yes, "load").tolist() == [[True, True, True, True, False]]
    assert graph.active(ids, yes).tolist() == [[True, True, False, False, False]]
    states = noise(3, 1, 5, network.config.dim)
    assert graph(states, ids, yes, "sleep").shape == (1, 2)
    assert graph(states, ids, yes, "load").shape == (1, 1)
    with pytest.raises(KeyError, match="dreams"):
        network.graph_of("dreams")


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
        (
            {"tasks": (TaskConfig("a"), TaskConfig("a"))},
            "model.tasks must have different names, got a, a",
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
    with pytest.raises(BadInputError, match=r"preprocess.rate_hz = 256.0 but .* set these"):
        check_session(PAPER, PreprocessConfig(), TokenConfig())


def test_notches_within_the_band_belong_to_the_chain() -> None:
    check_session(PAPER, PAPER.preprocess, TokenConfig(hop_s=0.125))
    other = replace(PAPER.preprocess, line_hz=(50.0,))
    with pytest.raises(BadInputError, match=r"preprocess\.line_hz"):
        check_session(PAPER, other, TokenConfig(hop_s=0.125))
