"""The foundation model as a decoder: same features live and offline, weights known by hash."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import skops.io
import torch

from rtbci.calibration.decoders import finetune, foundation
from rtbci.calibration.decoders.catalogue import Task, find_recipe, make_decoder
from rtbci.calibration.decoders.closed_form import RidgeHead
from rtbci.calibration.decoders.finetune import FineTuned, Mode
from rtbci.calibration.decoders.foundation import (
    StreamingFeatures,
    frozen_ridge,
    pool,
    window_tokens,
)
from rtbci.calibration.profile import _foreign
from rtbci.errors import BadInputError
from rtbci.models import seen
from rtbci.models.cache import RingCache
from rtbci.models.checkpoint import load_checkpoint, save_checkpoint
from rtbci.models.config import preset
from rtbci.models.eegpt import EEGPT
from rtbci.models.electrodes import electrode_ids
from rtbci.models.tokens import token_window

Array = npt.NDArray[np.float32]
ELECTRODES = ("C3", "Cz", "C4")
MODES: tuple[Mode, ...] = ("heads", "lora", "full")


def checkpoint_file(folder: Path, seed: int = 0) -> str:
    """Write a tiny network with a graph head."""
    torch.manual_seed(seed)
    path = folder / "tiny.safetensors"
    save_checkpoint(path, EEGPT(preset("tiny", classes=("left_hand", "right_hand"))))
    return str(path)


@pytest.fixture
def weights(tmp_path: Path) -> Iterator[str]:
    yield checkpoint_file(tmp_path)
    foundation.base.cache_clear()


def trials(
    n: int, seed: int, channels: int = 3, strength: float = 2.0
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Two classes: one outer electrode carries 12 Hz in the second, the other in the first."""
    rng = np.random.default_rng(seed)
    y = np.arange(n, dtype=np.int64) % 2
    x = rng.standard_normal((n, channels, 500))
    time = np.arange(500) / 250
    for i, label in enumerate(y):
        x[i, -label] += strength * np.sin(2 * np.pi * (12 * time + rng.random()))
    return (5 * x).astype(np.float32), y


def decoder(kind: str, weights: str, electrodes: tuple[str, ...] = ELECTRODES) -> Any:
    """Make the closed form, or one that is tuned for two epochs."""
    if kind == "ridge":
        return frozen_ridge(electrodes, weights)
    return FineTuned(electrodes, cast(Mode, kind), weights, epochs=2)


def test_tokens_are_those_of_the_stream() -> None:
    config = preset("tiny")
    rows = np.random.default_rng(0).standard_normal((510, 3)).astype(np.float32) * 20 + 3
    tokens, scale = window_tokens(torch.from_numpy(rows.T.copy()), config)
    assert tokens.shape == (3, 11, 250)
    mean, sd = rows.mean(axis=0), rows.std(axis=0)
    np.testing.assert_allclose(scale.numpy(), sd, rtol=1e-5)
    for k in range(11):
        live = token_window(rows[: 510 - 25 * (10 - k)], mean, sd)
        np.testing.assert_allclose(tokens[:, k].numpy().T, live, atol=1e-5)
    short, _ = window_tokens(torch.from_numpy(rows[:200].T.copy()), config)
    assert short.shape == (3, 1, 250)
    assert not short[..., :50].any()


def test_states_are_what_streaming_gives(weights: str) -> None:
    network = load_checkpoint(Path(weights)).network
    x, _ = trials(1, 0)
    ids = torch.tensor(electrode_ids(ELECTRODES))
    tokens, _ = window_tokens(torch.from_numpy(x[0]), network.config)
    cache = RingCache.allocate(network.config, 3, torch.device("cpu"), torch.float32)
    with torch.inference_mode():
        ok = torch.ones(3, dtype=torch.bool)
        live = [network.ingest(tokens[:, k], ids, cache, ok) for k in range(11)]
        pooled = pool(network, torch.from_numpy(x), ids)[0]
    states = torch.stack(live).numpy()
    d = network.config.dim
    np.testing.assert_allclose(pooled[:, :d].numpy(), states.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(pooled[:, d:-1].numpy(), states.std(axis=0), atol=1e-3)


@pytest.mark.parametrize("kind", ["ridge", *MODES])
def test_it_learns_who_oscillates(weights: str, kind: str) -> None:
    x, y = trials(40, 0)
    test, wanted = trials(40, 1)
    p = decoder(kind, weights).fit(x, y).predict_proba(test)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-6)
    assert np.mean(p.argmax(axis=1) == wanted) > 0.85


@pytest.mark.parametrize("kind", ["ridge", *MODES])
@pytest.mark.parametrize("electrodes", [ELECTRODES, (*"abcdefgh",)])
def test_one_stored_and_loaded_gives_the_same(
    weights: str, kind: str, electrodes: tuple[str, ...]
) -> None:
    x, y = trials(20, 0, len(electrodes))
    fitted = decoder(kind, weights, electrodes).fit(x, y)
    many = fitted.predict_proba(x)
    foundation._remembered.clear()
    alone = np.concatenate([fitted.predict_proba(t[np.newaxis]) for t in x])
    np.testing.assert_array_equal(alone, many)
    stored = skops.io.dumps(fitted)
    assert _foreign(stored) == []
    again = skops.io.loads(stored, trusted=skops.io.get_untrusted_types(data=stored))
    np.testing.assert_allclose(again.predict_proba(x), many, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_a_seed_decides(weights: str, mode: Mode) -> None:
    x, y = trials(20, 0)
    made = [FineTuned(ELECTRODES, mode, weights, epochs=1).fit(x, y) for _ in range(2)]
    np.testing.assert_array_equal(made[0].predict_proba(x), made[1].predict_proba(x))


def test_what_is_tuned_is_what_is_stored(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without held-back trials every epoch is kept; the encoder changes only where asked."""
    plain = {k: replace(v, held_back=0.0) for k, v in finetune.TRAINING.items()}
    monkeypatch.setattr(finetune, "TRAINING", plain)
    x, y = trials(40, 0, strength=0.3)
    stored = {}
    for mode in MODES:
        fitted = FineTuned(ELECTRODES, mode, weights, epochs=3).fit(x, y)
        assert fitted.epochs_ == 3
        stored[mode] = fitted.encoder_
    assert stored["heads"] == {}
    assert all(k.endswith((".a", ".b")) for k in stored["lora"])
    assert sum(np.abs(v).max() for k, v in stored["lora"].items() if k.endswith(".b")) > 0
    assert all(k.startswith(("token", "electrode", "layers", "norm")) for k in stored["full"])
    assert len(stored["full"]) > 5


def test_where_tuning_gains_nothing_the_closed_form_stays(weights: str) -> None:
    """The last trials are told apart by the closed form alone: no epoch is better."""
    x, y = trials(40, 0)
    fitted = FineTuned(ELECTRODES, "full", weights, epochs=1).fit(x, y)
    assert fitted.epochs_ == 0
    assert fitted.encoder_ == {}
    ridge = frozen_ridge(ELECTRODES, weights).fit(x, y)
    np.testing.assert_allclose(fitted.predict_proba(x), ridge.predict_proba(x), atol=1e-3)


def test_labels_without_a_meaning_are_chance(weights: str) -> None:
    x, _ = trials(240, 0)
    y = np.random.default_rng(0).permutation(np.arange(240) % 2)
    fitted = frozen_ridge(ELECTRODES, weights).fit(x[:40], y[:40])
    assert 0.36 < np.mean(fitted.predict(x[40:]) == y[40:]) < 0.64


def test_other_weights_are_refused(tmp_path: Path) -> None:
    name = checkpoint_file(tmp_path)
    x, y = trials(20, 0)
    fitted = frozen_ridge(ELECTRODES, name).fit(x, y)
    tuned = FineTuned(ELECTRODES, "heads", name, epochs=1).fit(x, y)
    checkpoint_file(tmp_path, seed=1)
    foundation.base.cache_clear()
    for other in (fitted, tuned):
        with pytest.raises(BadInputError, match=r"weights .*tiny.* with hash .* calibrate again"):
            other.predict_proba(x)
    foundation.base.cache_clear()


def test_channels_that_are_no_electrodes_are_refused(weights: str) -> None:
    with pytest.raises(ValueError, match="4 channels, but 3 electrodes"):
        StreamingFeatures(ELECTRODES, weights).fit(np.zeros((1, 4, 500), np.float32))


def test_who_is_behind_the_weights(weights: str) -> None:
    assert seen.saw("S003")
    assert not seen.saw("S001")
    assert not seen.saw("P07")
    assert seen.saw("eegmmidb-S003")
    assert not seen.saw("eegmmidb-S001")
    assert seen.saw("S001", weights), "weights that do not say whom they saw, saw everybody"


def test_weights_that_say_whom_they_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    said = SimpleNamespace(config=SimpleNamespace(subjects=("eegmmidb-S003",)), identity="")
    monkeypatch.setattr(seen, "base", lambda _: said)
    assert seen.saw("S003", "other")
    assert not seen.saw("S004", "other")


def test_the_shipped_weights_decode() -> None:
    """Made by its name: electrodes come with the task."""
    x, y = trials(12, 0)
    fitted = make_decoder("eegpt", Task(electrodes=ELECTRODES)).fit(x, y)
    assert fitted.predict_proba(x).shape == (12, 2)


@pytest.mark.parametrize("name", ["eegpt", "eegpt-heads", "eegpt-lora", "eegpt-full"])
def test_other_weights_by_name_or_path(weights: str, name: str) -> None:
    recipe = find_recipe(f"{name}@{weights}")
    assert recipe.saw is not None
    assert recipe.saw("S001")
    made = recipe.make(Task(electrodes=ELECTRODES))
    params = made.get_params()
    assert weights in (params.get("weights"), params.get("streamingfeatures__weights"))
    assert params.get("mode", "") == name.partition("-")[2]


def test_ridge_leaves_trials_out_as_refitting_does() -> None:
    """Scores of left-out windows in closed form are those of a fit without their trial."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(8) % 2, 5)
    x = rng.standard_normal((40, 30)) + y[:, None]
    x[:, 3] = 1.0
    head = RidgeHead().fit(x, y)
    p = head.predict_proba(x)
    assert np.mean(p.argmax(axis=1) == y) > 0.9
    noise = RidgeHead().fit(rng.standard_normal((40, 30)), y)
    assert noise.sharpness_ < head.sharpness_
    assert noise.sharpness_ < 3.0, "nothing was learned, so it says little"
    assert np.isfinite(head.weight_).all()
    assert not head.weight_[3].any(), "a feature that never changes has no weight"
