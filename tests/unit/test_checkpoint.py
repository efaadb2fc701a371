"""Checkpoints: identity, round trip, and every way in which a file can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from networks import HANDS, noise, ridge_weight, tiny

from rtbci.errors import BadInputError
from rtbci.models import electrodes
from rtbci.models.checkpoint import (
    Checkpoint,
    find_checkpoint,
    load_checkpoint,
    save_checkpoint,
    zoo_names,
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    save_checkpoint(path, tiny(classes=HANDS, electrodes=("C3", "C4")), {"ridge": ridge_weight()})
    return path


def rewrite(path: Path, **changes: object) -> None:
    """Change what a checkpoint says of itself, weights untouched."""
    packed = path.read_bytes()
    size = int.from_bytes(packed[:8], "little")
    stated = json.loads(json.loads(packed[8 : 8 + size])["__metadata__"]["config"])
    stated |= changes
    tensors = safetensors.torch.load(packed)
    path.write_bytes(safetensors.torch.save(tensors, {"config": json.dumps(stated)}))


def test_round_trip(saved: Path) -> None:
    network = tiny(classes=HANDS, electrodes=("C3", "C4"))
    loaded = load_checkpoint(saved)
    assert loaded.name == "mine"
    assert loaded.config == network.config
    assert not loaded.network.training
    torch.testing.assert_close(loaded.extra["ridge"], ridge_weight(), rtol=0, atol=0)
    windows, ids = noise(0, 1, 2, 5, 250), torch.tensor([[3, 4]])
    assert torch.equal(loaded.network.encode(windows, ids), network.encode(windows, ids))


def test_equal_weights_are_equal_files(saved: Path, tmp_path: Path) -> None:
    network = tiny(classes=HANDS, electrodes=("C3", "C4"))
    again = tmp_path / "again.safetensors"
    identity = save_checkpoint(again, network, {"ridge": ridge_weight()})
    assert again.read_bytes() == saved.read_bytes()
    assert identity == load_checkpoint(saved).identity
    assert identity == Checkpoint.of(network, {"ridge": ridge_weight()}).identity
    assert identity != Checkpoint.of(network).identity
    assert not list(tmp_path.glob("*.partial"))


def test_metadata_is_one_key_without_time_or_place(saved: Path) -> None:
    packed = saved.read_bytes()
    header = json.loads(packed[8 : 8 + int.from_bytes(packed[:8], "little")])
    assert list(header["__metadata__"]) == ["config"]
    stated = json.loads(header["__metadata__"]["config"])
    assert sorted(stated) == ["format", "model", "vocabulary", "weights_sha256"]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"gone.safetensors can't be read: No such file"):
        load_checkpoint(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("keep", [20, 3000, -1])
def test_a_truncated_file(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(BadInputError, match=r"mine.safetensors is truncated: \d+ bytes where"):
        load_checkpoint(saved)


def test_a_damaged_weight(saved: Path) -> None:
    packed = bytearray(saved.read_bytes())
    packed[-100] ^= 1
    saved.write_bytes(packed)
    with pytest.raises(BadInputError, match="is damaged: its weights are not the ones"):
        load_checkpoint(saved)


@pytest.mark.parametrize("content", [b"", b"abc", b"PK\x03\x04" + bytes(100), b"version https://"])
def test_a_foreign_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match="is not a checkpoint of rtbci"):
        load_checkpoint(path)


def test_somebody_elses_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(safetensors.torch.save({"w": torch.zeros(3)}, {"format": "pt"}))
    with pytest.raises(BadInputError, match="not one that rtbci wrote"):
        load_checkpoint(path)


def test_a_later_format(saved: Path) -> None:
    rewrite(saved, format=2)
    with pytest.raises(BadInputError, match="has format 2 and this version of rtbci reads 1"):
        load_checkpoint(saved)


def test_another_vocabulary(saved: Path) -> None:
    rewrite(saved, vocabulary="0" * 64)
    with pytest.raises(BadInputError, match="made with another electrode vocabulary"):
        load_checkpoint(saved)


def test_a_vocabulary_that_grew_still_fits(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    longer = (*electrodes.names(), "X99")
    monkeypatch.setattr(electrodes, "names", lambda: longer)
    assert load_checkpoint(saved).config.vocabulary == 340


def test_an_unknown_setting(saved: Path) -> None:
    rewrite(saved, model={"dim": 16, "experts": 4})
    with pytest.raises(BadInputError, match="model has no setting 'experts'"):
        load_checkpoint(saved)


def test_weights_of_another_size(saved: Path) -> None:
    rewrite(saved, model={"dim": 32, "layers": 2, "heads": 2, "ffn": 32})
    with pytest.raises(BadInputError, match=r"does not fit the network .*size mismatch"):
        load_checkpoint(saved)


def test_weights_that_diverged(tmp_path: Path) -> None:
    network = tiny()
    with torch.no_grad():
        network.token.bias[3] = float("nan")
    path = tmp_path / "nan.safetensors"
    save_checkpoint(path, network)
    with pytest.raises(BadInputError, match=r"not finite in network.token.bias: its training"):
        load_checkpoint(path)


def test_find_by_file_and_by_the_folder_of_a_pretraining(saved: Path, tmp_path: Path) -> None:
    assert find_checkpoint(saved) == saved
    folder = tmp_path / "run7"
    folder.mkdir()
    with pytest.raises(BadInputError, match=r"run7 holds no model.safetensors"):
        find_checkpoint(folder)
    saved.rename(folder / "model.safetensors")
    assert find_checkpoint(str(folder)) == folder / "model.safetensors"
    assert load_checkpoint(find_checkpoint(folder)).name == "run7"


def test_an_unknown_name_lists_those_at_hand() -> None:
    with pytest.raises(BadInputError, match=r"no model 'eegtp', neither .*; at hand: .*ar"):
        find_checkpoint("eegtp")


def test_find_in_the_zoo(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.resources.files", lambda _: saved.parent)
    assert zoo_names() == ["mine"]
    assert find_checkpoint("mine") == saved
