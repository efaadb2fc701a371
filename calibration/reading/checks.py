"""What recordings must have to be calibrated from; a refusal says what is wrong and the remedy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rtbci.calibration.reading.track import Track
from rtbci.calibration.reading.trials import (
    Cue,
    TrialConfig,
    class_names,
    describe_labels,
    motor_electrodes,
    usable_electrodes,
)
from rtbci.calibration.scoring.cross_validation import MIN_TRIALS
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.errors import BadInputError
from rtbci.montage import normalise
from rtbci.recording.layout import find_recording, is_recording

RATE_SLACK = 0.02
"""Recordings whose rates differ by no more than this share are of one rate."""
MIN_ELECTRODES = 2
TWICE = "a score across runs would test on what it was fitted to. Name each recording once."
"""Why one recording is not two, and the remedy."""


def check_window(view: ViewConfig, trial: TrialConfig) -> None:
    """Refuse a window that is longer than a trial."""
    start, stop = trial.trial_s
    if not view.window_s <= stop - start:
        raise BadInputError(
            f"the decoder's window is {view.window_s:g} s, but a trial lasts from {start:g} to "
            f"{stop:g} s after its cue; shorten the window or lengthen decode.trial_s."
        )


def check_named_once(paths: Sequence[Path]) -> None:
    """Refuse a path that is named twice, by whatever way."""
    seen: set[Path] = set()
    for path in paths:
        whole = find_recording(path).folder if is_recording(path) else path
        if whole.resolve() in seen:
            raise BadInputError(f"{path.name} is named twice; {TWICE}")
        seen.add(whole.resolve())


def check_different(tracks: Sequence[Track]) -> None:
    """Refuse a copy of a recording, whatever its name and format."""
    seen: dict[bytes, Track] = {}
    for track in tracks:
        signal = next(iter(track.signals.values()))
        digest = hashlib.sha256(np.ascontiguousarray(signal).data).digest()
        if len(signal) and digest in seen:
            raise BadInputError(
                f"{track.path.name} holds the same signal as {seen[digest].path.name}, so it is "
                f"named twice; {TWICE}"
            )
        seen[digest] = track


def check_alike(tracks: Sequence[Track]) -> None:
    """Refuse recordings of different electrodes or rates."""
    first = tracks[0]
    for other in tracks[1:]:
        only = sorted(set(first.electrodes) ^ set(other.electrodes))
        if only:
            where = first if only[0] in first.electrodes else other
            raise BadInputError(
                f"{first.path.name} and {other.path.name} have different montages ({only[0]} is "
                f"only in {where.path.name}); calibrate from recordings of one montage, or name "
                "their channels alike with --montage."
            )
        if abs(other.rate - first.rate) > RATE_SLACK * first.rate:
            raise BadInputError(
                f"{first.path.name} has {first.rate:g} Hz and {other.path.name} {other.rate:g} "
                "Hz, so they come from different devices; calibrate from recordings of one."
            )


def check_classes(tracks: Sequence[Track], mapped: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Classes of all recordings; refuse where their meaning is unknown or one has no trial."""
    for track, mapping in zip(tracks, mapped, strict=True):
        if not mapping:
            raise BadInputError(
                f"{track.path} does not say which of its markers mean what: it has "
                f"{describe_labels(track.markers)}; say so, as in "
                "--classes T1=left_hand,T2=right_hand."
            )
    names = class_names(mapped)
    if len(names) < 2:
        raise BadInputError(
            f"there is only one class, {names[0]}; a decoder needs two to tell apart, as in "
            "--classes T1=left_hand,T2=right_hand."
        )
    return names


def pick_electrodes(
    tracks: Sequence[Track], cues: Sequence[Cue], wanted: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Electrodes that the decoder will use, and those it would have but for their quality."""
    there = tracks[0].electrodes
    asked = motor_electrodes(there) if wanted is None else tuple(normalise(e) for e in wanted)
    missing = [e for e in asked if e not in there]
    if missing or not asked:
        raise BadInputError(
            f"electrode {missing[0] if missing else ''} is not in {tracks[0].path.name}, which "
            f"has {', '.join(there)}."
        )
    good, bad = usable_electrodes(tracks, cues, asked)
    if len(good) < MIN_ELECTRODES:
        reasons = {h.channel: h.reason for t in tracks for h in t.health if h.reason}
        why = ", ".join(f"{e} {reasons.get(e, '')}".strip() for e in bad[:8])
        raise BadInputError(
            f"only {len(good)} of {len(asked)} electrodes can be used (left out: {why or 'none'}), "
            f"but a decoder needs {MIN_ELECTRODES}; mend their contact and record again."
        )
    return good, bad


def check_counts(
    tracks: Sequence[Track],
    cues: Sequence[Cue],
    names: Sequence[str],
    rejected: Mapping[str, int],
) -> None:
    """Refuse a class without trials, with what happened to them."""
    why = ", ".join(f"{n} for {reason}" for reason, n in rejected.items())
    for number, name in enumerate(names):
        asked = [c for c in cues if c.wanted == number]
        if not asked:
            raise BadInputError(
                f"class {name} has no trial in these recordings (their markers: "
                f"{describe_labels([m for t in tracks for m in t.markers])}); name the marker "
                "that stands for it with --classes, or leave it out."
            )
        left = sum(not c.reason for c in asked)
        if left < MIN_TRIALS:
            lost = (
                f", {len(asked) - left} of its {len(asked)} left out" if left < len(asked) else ""
            )
            raise BadInputError(
                f"class {name} has {count(left, 'usable trial')}{lost}"
                f"{f' ({why})' if why else ''}, but each class needs at least {MIN_TRIALS} to be "
                "fitted and scored; record more."
            )


def count(n: int, what: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
