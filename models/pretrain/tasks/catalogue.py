"""The tasks that stage II knows: what is asked of whom, when, and which electrodes may tell.

    hands       left or right fist, imagined or executed   EEGMMIDB and whoever cues them
    fists_feet  both fists or both feet                    EEGMMIDB
    arithmetic  rest or mental arithmetic                  EEGMAT, by the names of its files
    n170        a house or a face is seen                  EEG-ExPy
    alpha       alpha power of the next second             every recording; a number, not a class

``hands`` is what a session decodes (``ModelConfig.classes``).  On EEGMMIDB the target stays at one
side of the screen, so frontal electrodes give the answer away by the eyes: ``hands`` and
``fists_feet`` read the motor electrodes alone.

EEGMAT has one recording of each class and subject, so ``arithmetic`` may also read what differs
between two recordings of one person; ``n170`` has very few subjects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rtbci.models.config import MOTOR_ELECTRODES, ModelConfig
from rtbci.models.pretrain.corpus.prepared import Prepared
from rtbci.models.tokens import normalise
from rtbci.types import FloatArray, IndexArray

CLASSES = ("left_hand", "right_hand")
"""What the shipped decode head tells apart; mirrored, each is the other."""

TOKEN_STRIDE = 2
"""Tokens of a trial that are learned from: every second, since neighbours share 90 %."""

TEG_TOKENS = 10
"""Newest tokens whose mean state is read: with one, strangers are decoded 0.02 to 0.06 worse."""

ALPHA_HZ = (8.0, 13.0)
POSTERIOR = ("P3", "P1", "Pz", "P2", "P4", "PO7", "PO3", "POz", "PO4", "PO8", "O1", "Oz", "O2")
"""Electrodes over which alpha is strongest."""

_EEGMMIDB_RUN = re.compile(r"S\d{3}R(\d{2})")
_EEGMAT = re.compile(r"Subject\d{2}_([12])(?:-\d+)?$")


@dataclass(frozen=True)
class Moment:
    """When something was asked, and what the answer is.

    Attributes
    ----------
    hops : ndarray, shape (n_tokens,), int64
        Whose states are read.
    target : float
        Number of the class, or the number to estimate.
    group : str
        Part of the task that is scored apart too; empty where there is none.
    plain : float
        What a baseline says of the number; NaN where there is none.
    """

    hops: IndexArray
    target: float
    group: str = ""
    plain: float = float("nan")


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes
    ----------
    name : str
    moments : callable
        Finds them in a prepared recording, for a network of these settings.
    classes : tuple of str
        Two, or none where a number is estimated.
    electrodes : tuple of str
        Those that may be read; empty for all.
    mirror : str
        What becomes of a moment whose electrodes are swapped left for right: the classes
        ``flip``, it ``keeps`` its target, or it is ``none`` that could have happened.
    tokens : int
        Newest tokens whose mean state is read; summaries are read alone.
    unit : str
        Of the number.
    """

    name: str
    moments: Callable[[Prepared, ModelConfig], Iterator[Moment]]
    classes: tuple[str, ...] = ()
    electrodes: tuple[str, ...] = ()
    mirror: Literal["flip", "keeps", "none"] = "none"
    tokens: int = TEG_TOKENS
    unit: str = ""

    def tokens_of(self, config: ModelConfig) -> int:
        """Newest tokens whose mean is read of a network of these settings."""
        return min(self.tokens, config.teg_tokens)


def trial_hops(
    cue_s: float, delay_s: float, config: ModelConfig, trial_s: tuple[float, float] = (0.5, 3.5)
) -> IndexArray:
    """Hops whose windows lie in an interval after the cue, every second one."""
    first = cue_s + trial_s[0] + config.window_s
    last = cue_s + trial_s[1]
    hop_s = config.n_hop / config.rate_hz
    # Hop h ends at row (h + 1) n_hop - 1, which stands for the time of that row less the delay.
    start = int(np.ceil((first + delay_s) / hop_s + 1 / config.n_hop - 1))
    # As many as fit wherever the cue falls between two hops, so that all trials have as many.
    n_tokens = max(1, int((last - first) / hop_s + 1e-9))
    return np.arange(start, start + n_tokens, TOKEN_STRIDE)


def cued(
    classes: tuple[str, ...], trial_s: tuple[float, float]
) -> Callable[[Prepared, ModelConfig], Iterator[Moment]]:
    """Moments after cues of these classes; EEGMMIDB's runs tell imagined from executed."""

    def moments(recording: Prepared, config: ModelConfig) -> Iterator[Moment]:
        run = _EEGMMIDB_RUN.search(recording.name)
        group = "" if run is None else ("executed" if int(run[1]) % 2 else "imagined")
        for cue in recording.cues:
            hops = trial_hops(cue.time, recording.delay_s, config, trial_s)
            if cue.label in classes and hops[0] >= 0 and hops[-1] < len(recording.mean):
                yield Moment(hops, classes.index(cue.label), group)

    return moments


def _arithmetic(recording: Prepared, config: ModelConfig) -> Iterator[Moment]:
    """Three seconds after three seconds of a recording, by the name of its file."""
    match = _EEGMAT.search(recording.name)
    if match is not None:
        for second in range(10, int(len(recording.mean) * config.hop_s) - 3, 3):
            hops = trial_hops(float(second), recording.delay_s, config, (0.0, 3.0))
            yield Moment(hops, int(match[1]) - 1)


def _alpha(recording: Prepared, config: ModelConfig) -> Iterator[Moment]:
    """A token every ten seconds, with the alpha power of the second after and the one before."""
    present = [n.casefold() for n in recording.electrodes]
    columns = [present.index(n.casefold()) for n in POSTERIOR if n.casefold() in present]
    ahead, behind = round(config.rate_hz), config.n_window
    every = round(10.0 / config.hop_s)
    for h in range(every, len(recording.mean) - -(-ahead // config.n_hop), every):
        until = -(-ahead // config.n_hop)
        good = [c for c in columns if recording.valid[h, c] and recording.valid[h + until, c]]
        if not good:
            continue
        now = (h + 1) * config.n_hop
        rows = np.asarray(recording.signal[now - behind : now + ahead][:, good])
        x = normalise(rows, recording.mean[h, good], recording.scale[h, good])
        yield Moment(
            np.array([h]),
            alpha_power(x[behind:], config.rate_hz),
            plain=alpha_power(x[:behind], config.rate_hz),
        )


def alpha_power(x: FloatArray, rate_hz: float) -> float:
    """Decadic logarithm of the share of variance in the alpha band, mean over electrodes.

    Parameters
    ----------
    x : ndarray, shape (n_times, n_electrodes), in deviations
    rate_hz : float
    """
    window = np.hanning(len(x))[:, None]
    spectrum = np.abs(np.fft.rfft((x - x.mean(axis=0)) * window, axis=0)) ** 2
    power = 2.0 * spectrum / (len(x) * (window**2).sum())
    hz = np.fft.rfftfreq(len(x), 1.0 / rate_hz)
    band = (hz >= ALPHA_HZ[0]) & (hz <= ALPHA_HZ[1])
    return float(np.log10(power[band].sum(axis=0).mean() + 1e-6))


HANDS = Task("hands", cued(CLASSES, (0.5, 3.5)), CLASSES, MOTOR_ELECTRODES, "flip")

TASKS = (
    HANDS,
    Task(
        "fists_feet",
        cued(("both_hands", "both_feet"), (0.5, 3.5)),
        ("both_hands", "both_feet"),
        MOTOR_ELECTRODES,
        "keeps",
    ),
    Task("arithmetic", _arithmetic, ("rest", "arithmetic"), mirror="keeps"),
    # Windows that end 300 to 600 ms after the picture: the next one comes soon after.
    Task("n170", cued(("house", "face"), (-0.7, 0.6)), ("house", "face"), tokens=1),
    Task("alpha", _alpha, electrodes=POSTERIOR, mirror="keeps", tokens=1, unit="log10 share"),
)
"""All of them, the one that sessions decode first."""
