"""Small synthetic recordings for pretraining: made in memory, prepared, or as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from recordings import write_brainvision

from rtbci.models.config import ModelConfig, preset
from rtbci.models.eegpt import EEGPT
from rtbci.models.pretrain.corpus.recordings import Cue, RawRecording
from rtbci.models.pretrain.corpus.sources import subject_of
from rtbci.models.pretrain.training.linear import LinearFloor

NAMES = ("C3", "Cz", "C4", "FC3", "FC4")
RATE = 250.0
SECONDS = 30
CLASSES = ("left_hand", "right_hand")
TINY = preset("tiny", electrodes=NAMES)


def brain(seed: int, seconds: int = SECONDS) -> npt.NDArray[np.float64]:
    """Make slow noise with an alpha rhythm in µV; the last electrode follows the first by 40 ms."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    t = np.arange(n) / RATE
    noise = rng.standard_normal((n, len(NAMES)))
    slow = noise.cumsum(axis=0) - noise.cumsum(axis=0).mean(axis=0)
    alpha = 8 * np.sin(2 * np.pi * 10 * t + np.cumsum(rng.standard_normal(n)) * 0.05)
    x = 0.4 * slow + 3 * noise + alpha[:, None]
    x[10:, -1] = x[:-10, 0]
    return np.asarray(x)


def raw(name: str = "S003R04", seed: int = 0) -> RawRecording:
    """Make a recording with five cues, left and right in turn."""
    cues = tuple(Cue(4.0 + 5 * i, CLASSES[i % 2]) for i in range(5))
    subject = subject_of(Path(name))
    return RawRecording(name, subject, RATE, NAMES, brain(seed).astype(np.float32), cues)


def write_files(target: Path, names: Sequence[str] = ("S003R04", "S004R04", "S001R04")) -> Path:
    """Write recordings as a user has them: two subjects to train on, and one that is held out."""
    for seed, name in enumerate(names):
        markers = [("Stimulus", f"T{1 + i % 2}", round((4 + 5 * i) * RATE)) for i in range(5)]
        write_brainvision(target / f"{name}.vhdr", NAMES, brain(seed), markers, round(RATE))
    return target


def network_on(floor: LinearFloor, config: ModelConfig = TINY) -> EEGPT:
    """Make an untrained network that gives the linear blend."""
    torch.manual_seed(0)
    network = EEGPT(config)
    network.direct_head.blend.copy_(torch.from_numpy(floor.blend))
    return network
