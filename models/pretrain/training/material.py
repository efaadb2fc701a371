"""What a run trains on: recordings that are prepared, the network's shape, the linear floor."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from rtbci.errors import BadInputError
from rtbci.models.config import ModelConfig, preset
from rtbci.models.pretrain.corpus.prepared import Prepared
from rtbci.models.pretrain.corpus.shards import is_corpus, open_corpus, prepare_corpus
from rtbci.models.pretrain.corpus.subjects import SubjectFold, is_held_out
from rtbci.models.pretrain.training.linear import LinearFloor, fit_linear
from rtbci.models.pretrain.training.registry import shaped_for
from rtbci.models.pretrain.training.settings import Settings
from rtbci.models.pretrain.training.state import write_tensors

LINEAR_FILE = "linear.safetensors"


@dataclass(frozen=True)
class Material:
    """Recordings to train on.

    Attributes
    ----------
    recordings : tuple of Prepared
    config : ModelConfig
        Of the network that fits them.
    held_out : tuple of str
        Subjects in the data who are never looked at.
    left_out : int
        Recordings that could not be used.
    """

    recordings: tuple[Prepared, ...]
    config: ModelConfig
    held_out: tuple[str, ...]
    left_out: int


def corpus_of(settings: Settings, out: Path) -> Path:
    """Where prepared recordings are: a folder that was named, or this run's own."""
    named = Path(settings.data[0])
    return named if len(settings.data) == 1 and is_corpus(named) else out / "prepared"


def prepare_material(settings: Settings, out: Path, tell: Callable[[float, str], None]) -> None:
    """Prepare what is trained on, unless somebody has; held-out subjects are not even opened."""
    folder = corpus_of(settings, out)
    if folder != out / "prepared":
        return
    prepare_corpus(
        settings.data,
        folder,
        preset(settings.size),
        skip=lambda subject: is_held_out(subject, _fold(settings)),
        progress=tell,
    )


def open_material(settings: Settings, out: Path) -> Material:
    """Open the recordings that are trained on, and shape the network to them.

    Raises
    ------
    BadInputError
        Where there is none, or the corpus does not fit the size.
    """
    corpus = open_corpus(corpus_of(settings, out))
    fold = _fold(settings)
    skipped = {s.subject for s in corpus.manifest.skipped}
    held_out = skipped | {r.subject for r in corpus.recordings if is_held_out(r.subject, fold)}
    free = [r for r in corpus.recordings if r.subject not in held_out]
    if not free:
        raise BadInputError(
            f"none of the {len(corpus.recordings) + len(corpus.manifest.skipped)} recordings can "
            f"be trained on: their subjects ({', '.join(sorted(held_out)) or 'none'}) are held "
            "out for the score; add others."
        )
    recordings = tuple(r for r in free if share_of(r.name) < settings.fraction)
    if not recordings:
        raise BadInputError(
            f"a fraction of {settings.fraction:g} of {len(free)} recordings is none of them; "
            "take a larger one."
        )
    config = replace(
        shaped_for(settings.objective, preset(settings.size)),
        preprocess=corpus.preprocess,
        electrodes=tuple(sorted({e for r in recordings for e in r.electrodes})),
        subjects=tuple(sorted({r.subject for r in recordings})),
    )
    corpus.check(config)
    return Material(recordings, config, tuple(sorted(held_out)), len(corpus.manifest.left_out))


def _fold(settings: Settings) -> SubjectFold | None:
    return SubjectFold.parse(settings.fold) if settings.fold else None


def share_of(name: str) -> float:
    """Where a recording stands between 0 and 1, by the hash of its name."""
    digest = hashlib.sha256(f"rtbci fraction: {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def fit_floor(material: Material, out: Path, tell: Callable[[float], None]) -> None:
    """Fit the linear floor, unless this run has."""
    if not (out / LINEAR_FILE).exists():
        floor = fit_linear(material.recordings, material.config, tell)
        tensors = {k: torch.from_numpy(v) for k, v in asdict(floor).items()}
        write_tensors(out / LINEAR_FILE, tensors, {"recordings": _digest(material)})


def open_floor(material: Material, out: Path) -> LinearFloor:
    """Read what :func:`fit_floor` wrote.

    Raises
    ------
    BadInputError
        Where it can't be read, or was fitted on other recordings: a run that goes on with others
        would not be the run that it was.
    """
    path = out / LINEAR_FILE
    try:
        with safe_open(path, "pt") as file:
            fitted_on = (file.metadata() or {}).get("recordings")
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as err:
        raise BadInputError(
            f"{path} can't be read ({err}): copy it again, or begin anew in another folder."
        ) from err
    if fitted_on != _digest(material):
        raise BadInputError(
            f"the run in {out} began with other recordings than there are now "
            f"({len(material.recordings)}): go on with those, or begin anew in another folder."
        )
    return LinearFloor(**{k: v.numpy() for k, v in tensors.items()})


def _digest(material: Material) -> str:
    """Hash of what recordings are trained on: names, electrodes, lengths and variances."""
    digest = hashlib.sha256()
    for recording in material.recordings:
        variance = None if recording.variance is None else recording.variance.tolist()
        what = (recording.name, recording.electrodes, len(recording.signal), variance)
        digest.update(repr(what).encode())
    return digest.hexdigest()
