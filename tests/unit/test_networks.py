"""EEGNet and ShallowConvNet as estimators: seeded, stored as arrays, one window like many."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import skops.io
import torch
from sklearn.base import clone

from rtbci.calibration.decoders.networks import EEGNetClassifier, ShallowClassifier
from rtbci.calibration.decoders.training import NetworkClassifier, TrainConfig, train
from rtbci.calibration.profile import _foreign

Array = npt.NDArray[np.float64]
NETWORKS = (EEGNetClassifier, ShallowClassifier)


def trials(n: int, seed: int, channels: int = 8) -> tuple[Array, npt.NDArray[np.int64]]:
    """Two classes: one electrode carries 12 Hz in the second, another in the first."""
    rng = np.random.default_rng(seed)
    y = np.arange(n, dtype=np.int64) % 2
    x = rng.standard_normal((n, channels, 250))
    time = np.arange(250) / 250
    for i, label in enumerate(y):
        x[i, label] += 2.5 * np.sin(2 * np.pi * (12 * time + rng.random()))
    return 5 * x, y


@pytest.mark.parametrize("made", NETWORKS)
def test_it_learns_who_oscillates(made: type[NetworkClassifier]) -> None:
    x, y = trials(60, 0)
    test, wanted = trials(60, 1)
    p = made(epochs=30).fit(x, y).predict_proba(test)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    assert np.mean(p.argmax(axis=1) == wanted) > 0.85


@pytest.mark.parametrize("made", NETWORKS)
def test_labels_without_a_meaning_are_chance(made: type[NetworkClassifier]) -> None:
    """Labels are drawn anew, so that nothing in the trials goes with them; four standard errors."""
    x, _ = trials(240, 0)
    y = np.random.default_rng(0).permutation(np.arange(240) % 2)
    got = made(epochs=5).fit(x[:40], y[:40]).predict(x[40:])
    assert 0.36 < np.mean(got == y[40:]) < 0.64


@pytest.mark.parametrize("made", NETWORKS)
@pytest.mark.parametrize("channels", [2, 3, 21])
def test_one_stored_and_loaded_gives_the_same(made: type[NetworkClassifier], channels: int) -> None:
    x, y = trials(20, 0, channels)
    fitted = made(epochs=2).fit(x, y)
    many = fitted.predict_proba(x)
    alone = np.concatenate([fitted.predict_proba(t[np.newaxis]) for t in x])
    np.testing.assert_allclose(alone, many, atol=1e-9)
    stored = skops.io.dumps(fitted)
    assert _foreign(stored) == []
    again = skops.io.loads(stored, trusted=skops.io.get_untrusted_types(data=stored))
    np.testing.assert_allclose(again.predict_proba(x), many, atol=1e-9)


@pytest.mark.parametrize("made", NETWORKS)
def test_a_seed_decides_and_nothing_outside_is_touched(made: type[NetworkClassifier]) -> None:
    x, y = trials(20, 0)
    torch.manual_seed(3)
    threads, drawn = torch.get_num_threads(), torch.rand(1)
    torch.manual_seed(3)
    first = made(seed=1, epochs=2).fit(x, y).predict_proba(x)
    assert torch.equal(torch.rand(1), drawn)
    assert torch.get_num_threads() == threads
    np.testing.assert_array_equal(clone(made(seed=1, epochs=2)).fit(x, y).predict_proba(x), first)
    assert not np.array_equal(made(seed=2, epochs=2).fit(x, y).predict_proba(x), first)


def test_the_best_epoch_on_the_last_trials_is_kept() -> None:
    """Early labels teach the opposite of the late ones, so every step makes it worse there."""
    x = torch.from_numpy(np.tile([[1.0, 0.0], [0.0, 1.0]], (20, 1)).astype(np.float32))
    y = torch.from_numpy(np.tile([0, 1], 20))
    network = torch.nn.Linear(2, 2)
    with torch.no_grad():
        network.weight.copy_(torch.eye(2))
        network.bias.zero_()
    flipped = y.clone()
    flipped[:30] = 1 - flipped[:30]
    config = TrainConfig(epochs=20, learning_rate=0.1, held_back=0.25, patience=3)
    assert train(network, x, flipped, config) == 0
    torch.testing.assert_close(network.weight.detach(), torch.eye(2))
    assert train(network, x, y, config) > 0
