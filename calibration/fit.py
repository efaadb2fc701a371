"""Calibration from recordings: trials, the choice of a decoder, its honest score, a profile.

    recordings -> follow -> cues -> electrodes, bad trials -> windows
        -> blocked cross-validation of every decoder -> choice -> permutation p, controls
        -> fit on all trials -> profile

Nothing is written before all of it has succeeded.
"""

from __future__ import annotations

import datetime
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtbci.calibration.card import Candidate, Card, Control, Score
from rtbci.calibration.control import (
    CENTRAL_NAME,
    LOW,
    RIM_NAME,
    caveat,
    control,
    no_control,
)
from rtbci.calibration.decoders import BUILT_IN, make_decoder
from rtbci.calibration.evaluate import (
    MIN_TRIALS,
    Folds,
    blocked_folds,
    choose,
    cross_validate,
    permutation_test,
    prepare,
    score,
)
from rtbci.calibration.profile import check_subject, save_profile
from rtbci.calibration.report import CalibrationReport
from rtbci.calibration.streaming import ViewConfig
from rtbci.calibration.track import Track, follow
from rtbci.calibration.trials import (
    Cue,
    TrialConfig,
    Windows,
    class_names,
    cut,
    describe_labels,
    find_cues,
    judge,
    motor_electrodes,
    rim_electrodes,
    usable_electrodes,
)
from rtbci.classes import classes_for, parse_classes
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.montage import normalise
from rtbci.recording.layout import find_recording, is_recording

Progress = Callable[[str, float], None]
"""Told what is going on and which share of it is done (0 to 1)."""

DECODER_VIEW = "decoder"
LOW_VIEW = "low"
RATE_SLACK = 0.02
"""Recordings whose rates differ by no more than this share are of one rate."""
MIN_ELECTRODES = 2
TWICE = "a score across runs would test on what it was fitted to. Name each recording once."
"""Why one recording is not two, and the remedy."""


def calibrate(
    recordings: Sequence[Path | str],
    subject: str,
    *,
    classes: str | None = None,
    montage: str | None = None,
    decoder: str = "auto",
    electrodes: Sequence[str] | None = None,
    profiles_dir: Path | None = None,
    config: SessionConfig | None = None,
    view: ViewConfig | None = None,
    permutations: int = 200,
    progress: Progress | None = None,
) -> CalibrationReport:
    """Fit a subject's decoder to recordings and save it as her profile.

    Parameters
    ----------
    recordings : sequence of path
        Of one subject, one montage and one rate, in the order in which they were made.
    subject : str
        Name of the profile.
    classes : str | None
        ``T1=left_hand,T2=right_hand``; files called SnnnRmm need none.
    montage : str | None
        As ``--montage`` takes it.
    decoder : str
        ``auto`` chooses among the built-in ones; else a name or ``module:factory``.
    electrodes : sequence of str | None
        What the decoder reads; the motor electrodes where None.
    profiles_dir : Path | None
        Folder of profiles; the user's own where None.
    config : SessionConfig | None
        Preprocessing, health and trial of the sessions to come.
    view : ViewConfig | None
        Band and window of the decoder.
    permutations : int
        For the p-value, at most.
    progress : callable | None

    Raises
    ------
    BadInputError
        Where the recordings can't be read, don't fit each other, don't hold enough trials of
        two classes, or one is named twice.  An earlier profile is untouched then.
    """
    check_subject(subject)
    candidates = _candidates(decoder)
    paths = [Path(p) for p in recordings]
    if not paths:
        raise BadInputError("no recording was named; give one or more files to calibrate from.")
    _check_named_once(paths)
    config, view, tell = config or SessionConfig(), view or ViewConfig(), progress or _silent
    mapped = [classes_for(p) if classes is None else parse_classes(classes) for p in paths]
    trial = TrialConfig(trial_s=config.decode.trial_s)
    _check_window(view, trial)

    tracks = []
    for i, path in enumerate(paths):
        tell(f"reading {path.name}", i / len(paths))
        tracks.append(follow(path, {DECODER_VIEW: view, LOW_VIEW: LOW}, config, montage))
    _check_different(tracks)
    _check_alike(tracks)
    names = _check_classes(tracks, mapped)
    cues = find_cues(tracks, mapped, names, trial, view.window_s)
    used, left_out = _electrodes(tracks, cues, electrodes)
    rate = config.preprocess.rate_hz
    cues = judge(tracks, cues, used, trial, DECODER_VIEW, view, config.token.hop_s, rate)
    rejected = dict(Counter(c.reason for c in cues if c.reason))
    _check_counts(tracks, cues, names, rejected)
    windows = cut(tracks, cues, used, trial, DECODER_VIEW, view, rate)

    tell("cross-validating", 0.0)
    n = len(names)
    folds = blocked_folds(windows.y, windows.run, n)
    prepared = {k: prepare(e, windows, folds) for k, e in candidates.items()}
    evidence = {k: cross_validate(v, windows.y, n) for k, v in prepared.items()}
    chosen = choose(evidence, windows.y)
    balanced = score(evidence[chosen], windows.y)
    chance = permutation_test(
        prepared,
        windows.y,
        windows.run,
        n,
        most=permutations,
        progress=lambda done: tell("permuting labels", done / permutations),
    )
    controls = (
        Control("decoder", len(used), (view.bands_hz[0][0], view.bands_hz[-1][1]), balanced),
        *_controls(tracks, cues, used, trial, rate, folds, n),
    )
    tell("fitting", 0.0)
    fitted = make_decoder(chosen).fit(windows.x[windows.fit], windows.y[windows.trial[windows.fit]])
    card = Card(
        subject=subject,
        created=datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds"),
        decoder=chosen,
        file="",
        sha256="",
        classes=names,
        electrodes=used,
        source_rate=tracks[0].rate,
        recordings=tuple(p.name for p in paths),
        score=Score(
            balanced=round(balanced, 4),
            label=folds.label,
            trials=len(windows.y),
            rejected=sum(rejected.values()),
            p_value=round(chance.p_value, 4),
            permutations=chance.permutations,
            caveat=caveat(balanced, controls),
        ),
        preprocess=config.preprocess,
        view=view,
        candidates=tuple(Candidate(k, round(score(v, windows.y), 4)) for k, v in evidence.items()),
        controls=controls,
    )
    return CalibrationReport(save_profile(card, fitted, profiles_dir), rejected, left_out)


def _silent(_: str, __: float) -> None:
    """Tell nobody."""


def _candidates(decoder: str) -> dict[str, Any]:
    names = tuple(BUILT_IN) if decoder == "auto" else (decoder,)
    return {name: make_decoder(name) for name in names}


def _check_window(view: ViewConfig, trial: TrialConfig) -> None:
    start, stop = trial.trial_s
    if not view.window_s <= stop - start:
        raise BadInputError(
            f"the decoder's window is {view.window_s:g} s, but a trial lasts from {start:g} to "
            f"{stop:g} s after its cue; shorten the window or lengthen decode.trial_s."
        )


def _check_named_once(paths: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for path in paths:
        whole = find_recording(path).folder if is_recording(path) else path
        if whole.resolve() in seen:
            raise BadInputError(f"{path.name} is named twice; {TWICE}")
        seen.add(whole.resolve())


def _check_different(tracks: Sequence[Track]) -> None:
    """Refuse a copy of a recording, whatever its name and format."""
    seen: dict[bytes, Track] = {}
    for track in tracks:
        signal = track.signals[DECODER_VIEW]
        digest = hashlib.sha256(np.ascontiguousarray(signal).data).digest()
        if len(signal) and digest in seen:
            raise BadInputError(
                f"{track.path.name} holds the same signal as {seen[digest].path.name}, so it is "
                f"named twice; {TWICE}"
            )
        seen[digest] = track


def _check_alike(tracks: Sequence[Track]) -> None:
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


def _check_classes(tracks: Sequence[Track], mapped: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
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


def _electrodes(
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


def _check_counts(
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
                f"class {name} has {left} usable trials{lost}{f' ({why})' if why else ''}, but "
                f"each class needs at least {MIN_TRIALS} to be fitted and scored; record more."
            )


def _controls(
    tracks: Sequence[Track],
    cues: Sequence[Cue],
    used: Sequence[str],
    trial: TrialConfig,
    rate: float,
    folds: Folds,
    n_classes: int,
) -> tuple[Control, ...]:
    """Score what rim and slow potentials alone would give, on the same trials and folds."""
    wanted = {RIM_NAME: rim_electrodes(tracks[0].electrodes), CENTRAL_NAME: tuple(used)}
    made = []
    for name, electrodes in wanted.items():
        good = usable_electrodes(tracks, [c for c in cues if not c.reason], electrodes)[0]
        if not good:
            made.append(no_control(name, "no such electrodes here"))
            continue
        windows: Windows = cut(tracks, cues, good, trial, LOW_VIEW, LOW, rate)
        made.append(control(name, windows, folds, n_classes))
    return tuple(made)
