"""Checkpoints: weights and everything they mean in one safetensors file.

    NAME.safetensors
      metadata   one key, ``config``: sorted JSON of format, model settings, digest of the
                 electrode vocabulary, SHA-256 of the weights; no time, path or host
      tensors    ``network.*`` (the state dict) and ``extra.*`` (the pooled ridge's weight)

Equal weights are therefore equal files, and the SHA-256 of the file is the model's identity.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from rtbci.config import from_dict, to_dict
from rtbci.errors import BadInputError
from rtbci.models import electrodes
from rtbci.models.config import ModelConfig
from rtbci.models.eegpt import EEGPT

FORMAT = 1
SUFFIX = ".safetensors"
DEFAULT = "eegpt-base"
"""The model that ships with rtbci."""


@dataclass(frozen=True)
class Checkpoint:
    """A network ready to run.

    Attributes
    ----------
    name : str
        For people: the file's name, or the name of the pretraining's folder.
    identity : str
        SHA-256 of the file, hexadecimal.
    network : EEGPT
        In evaluation mode, float32, on the CPU.
    extra : mapping of str to Tensor
        ``ridge`` (n_features, n_horizons): the weight of the pooled ridge.
    """

    name: str
    identity: str
    network: EEGPT
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def config(self) -> ModelConfig:
        """Settings of the network."""
        return self.network.config

    @classmethod
    def of(
        cls, network: EEGPT, extra: Mapping[str, Tensor] | None = None, name: str = "unsaved"
    ) -> Checkpoint:
        """Wrap a network that is in memory only; its identity is that of the file it would be."""
        identity = hashlib.sha256(_pack(network, extra or {})).hexdigest()
        return cls(name, identity, network.eval(), dict(extra or {}))


def save_checkpoint(path: Path, network: EEGPT, extra: Mapping[str, Tensor] | None = None) -> str:
    """Write a checkpoint; an older one of that name is replaced only once this one is complete.

    Parameters
    ----------
    path : Path
        Ends in ``.safetensors``; its folder must exist.
    network : EEGPT
    extra : mapping of str to Tensor, optional
        See :class:`Checkpoint`.

    Returns
    -------
    identity : str
        SHA-256 of the file, hexadecimal.
    """
    packed = _pack(network, extra or {})
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(packed)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return hashlib.sha256(packed).hexdigest()


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and check all that can be checked.

    Parameters
    ----------
    path : Path
        As :func:`find_checkpoint` gives it.

    Raises
    ------
    BadInputError
        Where the file is missing, truncated, damaged, not ours, or made for another version of
        the electrode vocabulary, the settings or the network.
    """
    try:
        packed = path.read_bytes()
    except OSError as err:
        raise BadInputError(f"checkpoint {path} can't be read: {err.strerror}.") from err
    header, body = _unpack(packed, path)
    stated = _stated(header, path)
    if hashlib.sha256(body).hexdigest() != stated.get("weights_sha256"):
        raise BadInputError(
            f"checkpoint {path} is damaged: its weights are not the ones that were saved; "
            "copy or install it again."
        )
    config = from_dict(ModelConfig, stated["model"], f"checkpoint {path}: model")
    if electrodes.digest(config.vocabulary) != stated.get("vocabulary"):
        raise BadInputError(
            f"checkpoint {path} was made with another electrode vocabulary than this version of "
            "rtbci has, so its electrodes would be mixed up; use the version that made it, or "
            "pretrain again."
        )
    tensors = safetensors.torch.load(packed)
    extra = {k.removeprefix("extra."): v for k, v in tensors.items() if k.startswith("extra.")}
    weights = {k.removeprefix("network."): v for k, v in tensors.items() if "extra." not in k}
    bad = sorted(k for k, v in tensors.items() if v.is_floating_point() and not _finite(v))
    if bad:
        raise BadInputError(
            f"checkpoint {path} holds values that are not finite in {bad[0]}: its training "
            "diverged; resume from an earlier one or train with a smaller step."
        )
    network = EEGPT(config)
    try:
        network.load_state_dict(weights)
    except RuntimeError as err:
        detail = str(err).strip().splitlines()[-1].strip()
        raise BadInputError(
            f"checkpoint {path} does not fit the network of this version of rtbci ({detail}); "
            "use the version that made it, or pretrain again."
        ) from err
    name = path.parent.name if path.stem == "model" else path.stem
    return Checkpoint(name, hashlib.sha256(packed).hexdigest(), network.eval(), extra)


def zoo_names() -> list[str]:
    """Names of the weights that ship with rtbci."""
    files = resources.files("rtbci.models.zoo").iterdir()
    return sorted(f.name.removesuffix(SUFFIX) for f in files if f.name.endswith(SUFFIX))


def find_checkpoint(name_or_path: str | Path = DEFAULT) -> Path:
    """Find weights by name in the zoo, else by path: a file, or a folder that pretraining wrote.

    Raises
    ------
    BadInputError
        Where there are none, listing the names at hand.
    """
    if str(name_or_path) in zoo_names():
        return Path(str(resources.files("rtbci.models.zoo").joinpath(f"{name_or_path}{SUFFIX}")))
    path = Path(name_or_path)
    if path.is_file():
        return path
    if path.is_dir():
        if (path / f"model{SUFFIX}").is_file():
            return path / f"model{SUFFIX}"
        raise BadInputError(
            f"folder {path} holds no model{SUFFIX}; name the folder that `rtbci pretrain --out` "
            "wrote, or a checkpoint file."
        )
    at_hand = ", ".join([*zoo_names(), "ar"])
    raise BadInputError(
        f"there is no model {str(name_or_path)!r}, neither by that name nor as a file or folder; "
        f"at hand: {at_hand}."
    )


def _pack(network: EEGPT, extra: Mapping[str, Tensor]) -> bytes:
    """Bytes of the checkpoint file."""
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"extra.{k}": v for k, v in extra.items()}
    tensors = {k: v.detach().to("cpu", torch.float32).contiguous() for k, v in tensors.items()}
    plain = safetensors.torch.save(tensors)
    config = {
        "format": FORMAT,
        "model": to_dict(network.config),
        "vocabulary": electrodes.digest(network.config.vocabulary),
        "weights_sha256": hashlib.sha256(
            plain[8 + int.from_bytes(plain[:8], "little") :]
        ).hexdigest(),
    }
    return safetensors.torch.save(tensors, {"config": json.dumps(config, sort_keys=True)})


def _unpack(packed: bytes, path: Path) -> tuple[dict[str, Any], bytes]:
    """Header and weights of a safetensors file, as its format defines them."""
    foreign = BadInputError(
        f"{path} is not a checkpoint of rtbci (a safetensors file); {_remedy()}"
    )
    size = int.from_bytes(packed[:8], "little")
    if len(packed) < 8 or packed[8:9] not in (b"{", b""):
        raise foreign
    if len(packed) < 8 + size:
        raise _truncated(path, len(packed), 8 + size)
    try:
        header = json.loads(packed[8 : 8 + size])
        ends = [v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise foreign from err
    expected = 8 + size + max(ends, default=0)
    if len(packed) < expected:
        raise _truncated(path, len(packed), expected)
    return header, packed[8 + size :]


def _stated(header: dict[str, Any], path: Path) -> dict[str, Any]:
    """Read what a checkpoint says of itself."""
    try:
        stated = json.loads(header["__metadata__"]["config"])
        known = stated["format"]
        stated["model"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise BadInputError(
            f"{path} is a safetensors file, but not one that rtbci wrote: its settings are "
            f"missing; {_remedy()}"
        ) from err
    if known != FORMAT:
        raise BadInputError(
            f"checkpoint {path} has format {known!r} and this version of rtbci reads {FORMAT}: "
            "update rtbci to run it."
        )
    result: dict[str, Any] = stated
    return result


def _truncated(path: Path, size: int, expected: int) -> BadInputError:
    return BadInputError(
        f"checkpoint {path} is truncated: {size} bytes where at least {expected} are stated; "
        "copy or install it again."
    )


def _remedy() -> str:
    return f"choose one of {', '.join([*zoo_names(), 'ar'])}, or what `rtbci pretrain` wrote."


def _finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())
