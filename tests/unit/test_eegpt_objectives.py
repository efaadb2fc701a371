"""The paper's objective, its counterpart, masked pretraining, and heads on a frozen encoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from networks import noise

from rtbci.errors import BadInputError
from rtbci.models.checkpoint import save_checkpoint
from rtbci.models.config import ModelConfig, preset
from rtbci.models.eegpt import EEGPT
from rtbci.models.pretrain.training.batches import Batch
from rtbci.models.pretrain.training.frozen import FrozenForecast, take_encoder
from rtbci.models.pretrain.training.linear import LinearFloor
from rtbci.models.pretrain.training.masked import Masked, Masking
from rtbci.models.pretrain.training.paper import NextToken
from rtbci.models.pretrain.training.registry import make_objective, shaped_for

PAPER = preset("eegpt-paper-tiny")
T = 40


def batch_of(config: ModelConfig, electrodes: int = 3, seed: int = 0) -> Batch:
    """Cut two sequences of T tokens from noise, as recordings are cut."""
    hop, window = config.n_hop, config.n_window
    signal = noise(seed, 2, electrodes, window + T * hop)
    windows = signal.unfold(-1, window, hop)[:, :, :T]
    new = signal[..., window:].unfold(-1, hop, hop)[:, :, :T]
    n, p = config.n_horizons, 1
    start = torch.zeros(2, electrodes, dtype=torch.int64)
    start[1] = 10
    weight = torch.ones(2, electrodes, T)
    weight[1, :, :10] = 0.0
    weight[0, 0, 20:25] = 0.0
    return Batch(
        windows=windows.contiguous(),
        electrode_ids=torch.arange(2 * electrodes).view(2, -1) + 5,
        start=start,
        step_target=new.contiguous(),
        step_weight=weight,
        at=torch.tensor([T - 1]),
        recent=torch.zeros(2, p, electrodes, config.recent),
        linear=torch.zeros(2, p, electrodes, 2, n),
        target=torch.zeros(2, p, electrodes, n),
        valid=torch.ones(2, p, electrodes, dtype=torch.bool),
        weight=torch.ones(2, p, electrodes),
        origin="first up to hop 99, second up to hop 7",
        tokens=2 * electrodes * T,
    )


@pytest.fixture(scope="module")
def floor() -> LinearFloor:
    n = PAPER.n_horizons
    ones = torch.ones(n).numpy()
    return LinearFloor(torch.zeros(184, n).numpy(), ones, ones, torch.zeros(4, 184, n).numpy())


def network(config: ModelConfig) -> EEGPT:
    torch.manual_seed(0)
    return EEGPT(config)


def test_the_papers_target_is_the_next_window() -> None:
    batch = batch_of(PAPER)
    target = NextToken.target(PAPER, batch)
    torch.testing.assert_close(target[:, :, :-1], batch.windows[:, :, 1:], rtol=0, atol=0)
    short = NextToken.target(replace(PAPER, target="hop"), batch)
    assert torch.equal(short, target[..., -PAPER.n_hop :])


class Copying(torch.nn.Module):
    """A head that copies the overlap and says the mean for what it has not seen."""

    def __init__(self, windows: torch.Tensor, hop: int) -> None:
        super().__init__()
        self.copied = torch.cat([windows[..., hop:], torch.zeros_like(windows[..., :hop])], -1)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.copied[:, :, -states.shape[2] :]


def test_copying_the_overlap_earns_nothing_on_new_samples(floor: LinearFloor) -> None:
    batch, own = batch_of(PAPER), network(PAPER)
    own.step_head = Copying(batch.windows, PAPER.n_hop)  # type: ignore[assignment]
    objective = NextToken(PAPER, floor)
    losses = objective(own, batch)
    new, whole = (losses.figures[:, 0] / losses.figures[:, 1]).tolist()
    assert objective.figures == ("new", "all")
    assert new == pytest.approx(1.0)
    assert whole == pytest.approx(0.125, abs=0.01)


def test_only_valid_tokens_count(floor: LinearFloor) -> None:
    batch, own = batch_of(PAPER), network(PAPER)
    objective = NextToken(PAPER, floor)
    assert objective.counts(batch).tolist() == [2 * 3 * T - 30 - 5, 6]
    before = objective(own, batch).terms
    batch.step_target[1, :, :10] = 1e3
    batch.step_target[0, 0, 20:25] = 1e3
    torch.testing.assert_close(objective(own, batch).terms, before)
    batch.step_target[0, 1, 20] = 1e3
    assert objective(own, batch).terms[0] > 2 * before[0]


@pytest.mark.parametrize(
    ("name", "size", "trained", "still"),
    [
        ("paper", "eegpt-paper-tiny", ("summary", "electrode.weight", "step_head.out.weight"), ()),
        ("step", "eegpt-paper-tiny", ("summary", "token.weight", "step_head.out.weight"), ()),
        ("masked", "eegpt-paper-tiny", ("mask", "token.weight", "step_head.out.weight"), ()),
        ("paper", "tiny", ("token.weight",), ("direct_head.out.weight", "teg.project.weight")),
        ("masked", "tiny", ("mask", "electrode.weight"), ("direct_head.out.weight",)),
    ],
)
def test_what_an_objective_trains_gets_a_gradient(
    floor: LinearFloor, name: str, size: str, trained: tuple[str, ...], still: tuple[str, ...]
) -> None:
    config = shaped_for(name, preset(size, classes=("left_hand", "right_hand")))
    own = network(config)
    objective = make_objective(name, config, floor)
    batch = batch_of(config)
    losses = objective(own, batch)
    shares = torch.tensor(list(objective.terms.values()))
    (losses.terms * shares / objective.counts(batch)).sum().backward()
    for key, parameter in own.named_parameters():
        moved = parameter.grad is not None and bool(parameter.grad.any())
        if objective.trains(key):
            assert moved, key
        assert not (key in trained and not objective.trains(key))
        assert not (key in still and (objective.trains(key) or moved))


def test_the_ways_of_pretraining_train_equally_many_weights() -> None:
    counts = {
        name: sum(p.numel() for p in network(shaped_for(name, PAPER)).parameters())
        for name in ("paper", "masked")
    }
    assert counts["paper"] == counts["masked"]


def test_training_lowers_the_papers_loss(floor: LinearFloor) -> None:
    config = replace(PAPER, target="window")
    own, batch = network(config), batch_of(config)
    objective = NextToken(config, floor)
    optimizer = torch.optim.AdamW(own.parameters(), 3e-3)
    seen = []
    for _ in range(15):
        loss = objective(own, batch).terms[0] / objective.counts(batch)[0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    assert seen[-1] < 0.9 * seen[0]


def test_hidden_stretches_follow_from_the_origin_alone(floor: LinearFloor) -> None:
    config = shaped_for("masked", PAPER)
    objective = Masked(config, floor)
    both, other = batch_of(config), batch_of(config, seed=9)
    hidden = objective.hidden(both)
    assert torch.equal(hidden, objective.hidden(other)), "by the origin, not by the signal"
    second = replace(
        both,
        step_weight=both.step_weight[1:],
        origin=both.origin.split(", ")[1],
    )
    assert torch.equal(objective.hidden(second)[0], hidden[1]), "whatever batch it is dealt in"
    wider = replace(both, step_weight=torch.cat([both.step_weight, torch.zeros(2, 4, T)], dim=1))
    assert torch.equal(objective.hidden(wider)[:, :3], hidden)
    assert not hidden[both.step_weight == 0].any()
    share = Masked(config, floor, Masking(share=0.3, windows=1)).hidden(batch_of(config, 400))
    assert share.float().mean() == pytest.approx(0.3 * (2 * T - 10) / (2 * T), abs=0.03)


def test_what_is_hidden_does_not_leak(floor: LinearFloor) -> None:
    """Samples that no visible window holds change the loss by their target alone."""
    config = shaped_for("masked", PAPER)
    own, batch = network(config).eval(), batch_of(config)
    objective = Masked(config, floor)
    hidden = objective.hidden(batch)
    unseen = objective._unseen(~hidden, config.n_window) & hidden[..., None]
    assert unseen.any()
    for t in range(T):
        for s in range(T):
            if not hidden[0, 0, s]:
                inside = (t - s) * config.n_hop  # sample i of t is sample i + inside of s
                i = torch.arange(config.n_window) + inside
                held = (i >= 0) & (i < config.n_window)
                assert not (unseen[0, 0, t] & held).any(), (t, s)
    states: list[torch.Tensor] = []
    step_head = own.step_head
    for change in (0.0, 50.0):
        windows = batch.windows + change * hidden[..., None]
        own.step_head = Recorder(step_head, states)  # type: ignore[assignment]
        objective(own, replace(batch, windows=windows))
    assert torch.equal(states[0], states[1])


class Recorder(torch.nn.Module):
    """Keeps the states that a head was given."""

    def __init__(self, head: torch.nn.Module, states: list[torch.Tensor]) -> None:
        super().__init__()
        self.head, self.states = head, states

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        self.states.append(states.detach())
        made: torch.Tensor = self.head(states)
        return made


def test_a_token_of_masked_pretraining_sees_the_future(floor: LinearFloor) -> None:
    config = shaped_for("masked", PAPER)
    own, batch = network(config).eval(), batch_of(config)
    states: list[torch.Tensor] = []
    own.step_head = Recorder(own.step_head, states)  # type: ignore[assignment]
    objective = Masked(config, floor)
    visible = int((~objective.hidden(batch))[0, 0].nonzero().max())
    objective(own, batch)
    batch.windows[0, 0, visible] += 1.0
    objective(own, batch)
    assert not torch.allclose(states[0][0, 0, 0], states[1][0, 0, 0])
    assert torch.equal(states[0][0, 1], states[1][0, 1]), "electrodes never mix"


def test_an_encoder_is_taken_over_and_stands_still(tmp_path: Path) -> None:
    source = network(shaped_for("masked", preset("tiny")))
    save_checkpoint(tmp_path / "model.safetensors", source)
    own = network(preset("tiny"))
    torch.nn.init.zeros_(own.token.weight)
    take_encoder(own, tmp_path)
    assert torch.equal(own.token.weight, source.token.weight)
    trained = [k for k, _ in own.named_parameters() if FrozenForecast.trains(None, k)]  # type: ignore[arg-type]
    assert trained
    assert all(k.startswith(("direct_head.", "step_head.")) for k in trained)
    with pytest.raises(BadInputError, match="does not fit this network: it differs in the widths"):
        take_encoder(network(preset("tiny", dim=32)), tmp_path)
    with pytest.raises(BadInputError, match="it differs in rate_hz, hop_s"):
        take_encoder(network(preset("eegpt-paper-tiny")), tmp_path)


def test_objectives_that_need_a_direct_head_say_so() -> None:
    with pytest.raises(BadInputError, match="the objective forecast trains the head for all"):
        shaped_for("forecast", PAPER)
    with pytest.raises(BadInputError, match="there is no objective 'contrast'; choose one of"):
        shaped_for("contrast", PAPER)
