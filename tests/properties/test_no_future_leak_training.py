"""The future never matters: not to prepared data, not to a batch's inputs, not to a score.

Whatever leaks from the future into a feature would look like skill offline and be gone live.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtbci.models.baselines import RidgeFit, history_features
from rtbci.models.config import preset
from rtbci.models.eegpt import EEGPT
from rtbci.models.pretrain.corpus.prepared import Prepared, phase_of, prepare
from rtbci.models.pretrain.corpus.recordings import RawRecording
from rtbci.models.pretrain.training.batches import Batch, Batches
from rtbci.models.pretrain.training.forecast import Forecast, predict
from rtbci.models.pretrain.training.linear import N_FOLDS, LinearFloor
from rtbci.models.ridge import LAYOUT
from rtbci.models.tokens import normalise, token_window
from rtbci.preprocess import Preprocessor

NAMES = ("C3", "Cz", "C4")
CONFIG = preset("tiny", electrodes=NAMES)
HOP = CONFIG.n_hop


def signal(rate: float, seed: int = 0, seconds: float = 14.0) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    slow = rng.standard_normal((n, len(NAMES))).cumsum(axis=0)
    rhythm = 10 * np.sin(2 * np.pi * 9 * np.arange(n) / rate)[:, None]
    return np.asarray(slow + rhythm, np.float32)


def prepared(data: npt.NDArray[np.float32], rate: float, folder: str) -> Prepared:
    return prepare(RawRecording("r", "someone", rate, NAMES, data), Path(folder), CONFIG)


@given(
    second=st.floats(3.0, 12.5),
    rate=st.sampled_from([160.0, 250.0, 500.0]),
    what=st.sampled_from(["spike", "flat", "other"]),
)
@example(second=4.0, rate=250.0, what="spike")
@settings(max_examples=9)
def test_samples_after_t_change_nothing_prepared_up_to_t(
    second: float, rate: float, what: str
) -> None:
    data = signal(rate)
    changed = data.copy()
    row = round(second * rate)
    later = {"spike": data[row:] + 1e5, "flat": 0 * data[row:], "other": -7 * data[row:]}
    changed[row:] = later[what]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        a, b = prepared(data, rate, one), prepared(changed, rate, two)
        chain = Preprocessor(rate, len(NAMES), CONFIG.preprocess)
        first = phase_of("r", HOP)
        hops = sum(chain.ready(first + (h + 1) * HOP - 1) <= row for h in range(len(a.mean)))
        rows = hops * HOP
        np.testing.assert_array_equal(a.signal[:rows], b.signal[:rows])
        np.testing.assert_array_equal(a.mean[:hops], b.mean[:hops])
        np.testing.assert_array_equal(a.scale[:hops], b.scale[:hops])
        np.testing.assert_array_equal(a.valid[:hops], b.valid[:hops])
        known = a.positions < hops
        assert known.any()
        np.testing.assert_array_equal(a.positions, b.positions)
        np.testing.assert_array_equal(a.ar[known], b.ar[known])
        assert not np.array_equal(a.signal, b.signal, equal_nan=True), "the change was seen at all"


def test_samples_after_a_position_reach_only_its_targets() -> None:
    """Inputs of a batch's tokens stay what they were when everything after them changes."""
    floor = _plain_floor(0.01)
    with tempfile.TemporaryDirectory() as folder:
        own = prepared(signal(250.0, seconds=16.0), 250.0, folder)
        for step in range(12):
            batch = Batches([own], CONFIG, floor, seed=3, electrodes_per_step=3).draw(step)
            newest = int(batch.origin.rsplit(" ", 1)[1])
            cut = (newest + 1) * HOP
            other = np.array(own.signal)
            other[cut:] = 1e4 * np.random.default_rng(step).standard_normal(other[cut:].shape)
            mean, scale = own.mean.copy(), own.scale.copy()
            mean[newest + 1 :], scale[newest + 1 :] = 999.0, 0.1
            late = Prepared(**{**vars(own), "signal": other, "mean": mean, "scale": scale})
            again = Batches([late], CONFIG, floor, seed=3, electrodes_per_step=3).draw(step)
            for name in ("windows", "electrode_ids", "start", "recent", "linear"):
                torch.testing.assert_close(
                    getattr(batch, name), getattr(again, name), rtol=0, atol=0
                )
            torch.testing.assert_close(batch.step_target[:, :, :-1], again.step_target[:, :, :-1])
            if batch.valid[0, -1].any():
                assert not torch.equal(batch.target[0, -1], again.target[0, -1])


def test_samples_after_a_row_change_no_forecast_made_up_to_it() -> None:
    """From recordings on disk to the network's outputs, as training has them.

    Whether an electrode will be a signal in a second is future, too: it may decide what an error
    counts, but not whom others attend to.
    """
    torch.manual_seed(0)
    network = EEGPT(CONFIG).eval()
    torch.nn.init.normal_(network.direct_head.out.weight, std=0.1)
    data = signal(250.0, seconds=16.0)
    row = round(11.03 * 250)
    changed = data.copy()
    changed[row:, :2] += 1e3 * np.random.default_rng(0).standard_normal((len(data) - row, 2))
    changed[row:, 2] *= -9.0
    seen_positions, invalid, differing = 0, 0, 0
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        a, b = prepared(data, 250.0, one), prepared(changed, 250.0, two)
        chain = Preprocessor(250.0, len(NAMES), CONFIG.preprocess)
        first = phase_of("r", HOP)
        hops = sum(chain.ready(first + (h + 1) * HOP - 1) <= row for h in range(len(a.mean)))
        floor = _plain_floor(0.01)
        draws = [Batches([x], CONFIG, floor, seed=3, electrodes_per_step=12) for x in (a, b)]
        for step in range(30):
            batch, other = (d.draw(step) for d in draws)
            assert batch.origin == other.origin
            with torch.no_grad():
                made, again = (predict(network, x) for x in (batch, other))
            for i, origin in enumerate(batch.origin.split(", ")):
                newest = int(origin.rsplit(" ", 1)[1])
                last = batch.windows.shape[2] - 1
                upto = max(-1, min(last, last - (newest - (hops - 1))))
                torch.testing.assert_close(
                    made[1][i, :, : upto + 1], again[1][i, :, : upto + 1], rtol=0, atol=1e-5
                )
                for p, at in enumerate(batch.at.tolist()):
                    if at <= upto and batch.weight[i, p].any():
                        seen_positions += 1
                        invalid += bool(
                            (batch.weight[i, p] > 0).sum() > (other.weight[i, p] > 0).sum()
                        )
                        torch.testing.assert_close(made[0][i, p], again[0][i, p], rtol=0, atol=1e-5)
                    elif at > upto:
                        differing += not torch.equal(made[0][i, p], again[0][i, p])
    assert seen_positions > 20
    assert invalid > 0, "no electrode was lost within a second of a forecast"
    assert differing > 5, "the change was never seen"


def test_a_network_that_is_trained_on_shuffled_futures_gives_the_mean() -> None:
    """Were the future among the inputs, it would be found; of other futures only the mean is."""
    floor = _plain_floor(0.0)
    with tempfile.TemporaryDirectory() as folder:
        own = [
            prepare(
                RawRecording(f"r{i}", f"s{i}", 250.0, NAMES, signal(250.0, i, 30.0)),
                Path(folder),
                CONFIG,
            )
            for i in range(4)
        ]
        nothing = [dataclasses.replace(r, ar=np.full_like(r.ar, np.nan)) for r in own]
        learned = Batches(nothing[:3], CONFIG, floor, seed=0, electrodes_per_step=24)
        unseen = Batches(nothing[3:], CONFIG, floor, seed=0, electrodes_per_step=24)
        objective = Forecast(CONFIG, floor)

        def train(change: Callable[[Batch], Batch]) -> EEGPT:
            torch.manual_seed(0)
            network = EEGPT(CONFIG)
            optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
            for step in range(70):
                batch = change(learned.draw(step))
                terms = objective(network, batch).terms / objective.counts(batch).clamp(min=1e-6)
                optimizer.zero_grad()
                terms.sum().backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
            return network

        def score(network: EEGPT, change: Callable[[Batch], Batch]) -> float:
            """Error over that of the mean."""
            with torch.no_grad():
                made = [objective(network, change(unseen.draw(s))).figures[0] for s in range(30)]
            off, mean = torch.stack(made).sum(dim=0).tolist()
            return float(off / mean)

        futures = [learned.draw(s) for s in range(60)]
        pool = torch.cat([b.target.flatten(0, -2) for b in futures])
        hops = torch.cat([b.step_target.flatten(0, -2) for b in futures])
        pool, hops = pool - pool.mean(dim=0), hops - hops.mean(dim=0)
        mix = torch.Generator().manual_seed(0)

        def other(pool: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
            at = torch.randint(len(pool), like.shape[:-1], generator=mix)
            return pool[at]

        def shuffled(batch: Batch) -> Batch:
            """Give every token the future of another one, its mean taken off."""
            return dataclasses.replace(
                batch,
                target=other(pool, batch.target),
                step_target=other(hops, batch.step_target),
            )

        def backwards(batch: Batch) -> Batch:
            """Let that future run backwards."""
            batch = shuffled(batch)
            return dataclasses.replace(
                batch, target=batch.target.flip(-1), step_target=batch.step_target.flip(-1)
            )

        honest, misled = train(lambda batch: batch), train(shuffled)
        assert score(honest, lambda batch: batch) < 0.9, "there is something to learn"
        assert score(misled, shuffled) > 0.97
        assert score(misled, backwards) > 0.97
        assert score(honest, shuffled) > 1.0


def _plain_floor(ridge: float) -> LinearFloor:
    """A ridge that weights all of the past alike, mixed half and half with AR."""
    weight = np.full((LAYOUT.n_features, CONFIG.n_horizons), ridge, np.float32)
    ones = np.ones(CONFIG.n_horizons, np.float32)
    return LinearFloor(weight, 0.5 * ones, ones, np.stack([weight] * N_FOLDS))


def test_targets_begin_where_inputs_end() -> None:
    """A ramp shows it: the newest input is n, the first target n + 1."""
    floor = LinearFloor(
        np.zeros((LAYOUT.n_features, CONFIG.n_horizons), np.float32),
        np.ones(CONFIG.n_horizons, np.float32),
        np.ones(CONFIG.n_horizons, np.float32),
        np.zeros((N_FOLDS, LAYOUT.n_features, CONFIG.n_horizons), np.float32),
    )
    with tempfile.TemporaryDirectory() as folder:
        own = prepared(signal(250.0), 250.0, folder)
        ramp = np.arange(len(own.signal), dtype=np.float32)[:, None].repeat(3, axis=1) / 1000
        flat = Prepared(
            **{
                **vars(own),
                "signal": ramp,
                "mean": np.zeros_like(own.mean),
                "scale": np.ones_like(own.scale),
            }
        )
        batch = Batches([flat], CONFIG, floor, seed=0, electrodes_per_step=3).draw(0)
        step = 1 / 1000
        after = (batch.step_target[..., 0] - batch.windows[..., -1])[batch.step_weight > 0]
        torch.testing.assert_close(after, torch.full_like(after, step), rtol=0, atol=1e-5)
        first = (batch.target[..., 0] - batch.recent[..., -1])[batch.valid]
        torch.testing.assert_close(first, torch.full_like(first, step), rtol=0, atol=1e-5)


def test_shuffled_futures_can_only_be_met_by_their_mean() -> None:
    """Were the future in the features, a fit would find it whatever it is shuffled with."""
    rng = np.random.default_rng(0)
    features, futures = [], []
    for seed in range(6):
        with tempfile.TemporaryDirectory() as folder:
            own = prepared(signal(250.0, seed, 30.0), 250.0, folder)
            for h in range(50, len(own.mean) - 10):
                now = (h + 1) * HOP
                mean, scale = own.mean[h], own.scale[h]
                past = token_window(own.signal[:now], mean, scale, LAYOUT.n_rows)
                features.append(history_features(past.T))
                futures.append(normalise(own.signal[now : now + 250], mean, scale).T)
    x, y = np.concatenate(features), np.concatenate(futures)
    y = y - y.mean(axis=0)
    half = len(x) // 2

    def score(y: npt.NDArray[np.float32]) -> float:
        fit = RidgeFit.empty(x.shape[1], y.shape[1])
        fit.add(x[:half], y[:half])
        off = x[half:] @ fit.solve() - y[half:]
        return float((off**2).mean() / (y[half:] ** 2).mean())

    assert score(y) < 0.95, "there is something to learn"
    assert score(y[rng.permutation(len(y))]) > 0.99
