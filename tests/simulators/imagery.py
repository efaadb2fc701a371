"""A recording of somebody who imagines: mu rhythm over the hand areas, less on the other side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from recordings import write_brainvision

LABELS = ("FC3", "FCz", "FC4", "C3", "Cz", "C4", "CP3", "CP4", "Fp1", "Fp2", "O1", "O2")
SIDE = {"left": ("C4", "FC4", "CP4"), "right": ("C3", "FC3", "CP3")}
RATE = 100
FIRST_S, EVERY_S = 4.0, 5.0


def write_imagery(
    path: Path,
    n_trials: int = 20,
    *,
    seed: int = 0,
    depth: float = 0.8,
    classes: Sequence[str] = ("left", "right"),
    flat: Sequence[str] = (),
    bursts: Sequence[int] = (),
    labels: Sequence[str] = LABELS,
) -> list[str]:
    """Write a BrainVision recording with a marker ``S  1`` or ``S  2`` at every cue.

    Parameters
    ----------
    depth : float
        By which share the mu rhythm of the opposite hand area drops for 4 s after the cue.
    flat : sequence of str
        Electrodes that give nothing.
    bursts : sequence of int
        Trials with an artefact of 400 µV peak to peak at C3.

    Returns
    -------
    wanted : list of str
        Class of each trial.
    """
    rng = np.random.default_rng(seed)
    n_times = round((FIRST_S + EVERY_S * n_trials + 2.0) * RATE)
    times = np.arange(n_times) / RATE
    data = 3.0 * rng.standard_normal((n_times, len(labels)))
    order = [classes[i % len(classes)] for i in range(n_trials)]
    wanted = [order[i] for i in rng.permutation(n_trials)]
    gain = np.ones((n_times, len(labels)))
    for k, name in enumerate(wanted):
        cue = FIRST_S + EVERY_S * k
        inside = (times >= cue + 0.3) & (times < cue + 4.0)
        for electrode in SIDE[name]:
            gain[inside, list(labels).index(electrode)] -= depth
        if k in bursts:
            burst = (times >= cue + 1.5) & (times < cue + 2.0)
            wave = 200 * np.sin(2 * np.pi * 15 * times[burst])
            data[burst, list(labels).index("C3")] += wave
    for c, name in enumerate(labels):
        if name in (*SIDE["left"], *SIDE["right"]):
            phase = np.cumsum(2 * np.pi * (10 + 0.3 * rng.standard_normal(n_times)) / RATE)
            data[:, c] += 8.0 * gain[:, c] * np.sin(phase + rng.uniform(0, 6))
        if name in flat:
            data[:, c] = 0.0
    markers = [
        ("Stimulus", f"S  {1 + classes.index(name)}", round((FIRST_S + EVERY_S * k) * RATE))
        for k, name in enumerate(wanted)
    ]
    write_brainvision(path, labels, data, markers, RATE)
    return wanted
