"""From recordings to labelled windows: cues, electrodes, and which trials are too bad to use.

Every trial gives the windows that a live session would decode after its cue, one a token; a
trial is left out as a whole where one of them has a gap, an electrode that is left out, or an
amplitude that no brain makes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtbci.calibration.reading.track import Track
from rtbci.calibration.scoring.accuracy import in_trial, trial_begin
from rtbci.calibration.signal.regression import reference_electrodes
from rtbci.calibration.signal.streaming import ViewConfig, as_trial
from rtbci.errors import BadInputError
from rtbci.types import BoolArray, FloatArray, IndexArray, Marker

MOTOR = re.compile(r"(?:FC|CP|C)(?:\d|z)")
"""Electrodes over the motor cortex: few eyes and little muscle reach them."""
RIM = re.compile(r"Fp(?:\d|z)|AF[78]|F[78]|FT[78]|T(?:9|10)|PO(?:\d|z)|O(?:\d|z)")
"""Electrodes at the rim, nearest to eyes, jaw and neck: what a control reads."""
BAD = re.compile(r"bad[_ ]?", re.IGNORECASE)
"""Annotations that begin so are spans that nobody should use, as MNE has it."""
MIN_MOTOR = 3
BAD_SHARE = 0.2
"""An electrode that is left out in more than this share of the trials is not used at all."""


@dataclass(frozen=True)
class TrialConfig:
    """Which windows make a trial, and when it is too bad to use.

    Attributes
    ----------
    trial_s : tuple of float
        First and last instant, seconds after the cue (as ``decode.trial_s``).
    limit_uv, drift_uv, limit_ratio : float
        A trial is left out where an electrode's peak to peak is above both so much (µV; in the
        decoder's band, and below it) and so many times its median over the trials.
    fit_windows : int
        Windows of a trial that the fit sees, evenly spread; they overlap, so more add little.
    """

    trial_s: tuple[float, float] = (0.5, 3.5)
    limit_uv: float = 100.0
    drift_uv: float = 200.0
    limit_ratio: float = 4.0
    fit_windows: int = 5


@dataclass(frozen=True)
class Cue:
    """One trial that was asked for.

    Attributes
    ----------
    run : int
        Number of its recording.
    time : float
        From when its trial counts, seconds of the recording's clock: when the cue came, or when
        it had gone, where it was shown for a while (:func:`trial_begin`).
    wanted : int
        Number of its class.
    tokens : ndarray, shape (n_windows,), int64
        Tokens whose windows lie in the trial.
    reason : str
        Why it is left out; empty where it is used.
    """

    run: int
    time: float
    wanted: int
    tokens: IndexArray
    reason: str = ""


@dataclass(frozen=True)
class Windows:
    """What the estimators are fitted on and scored with.

    Attributes
    ----------
    x : ndarray, shape (n_windows, n_channels, n_times), float32, µV
    trial : ndarray, shape (n_windows,)
        Which trial each window belongs to, counted from 0.
    fit : ndarray, shape (n_windows,), bool
        Windows that the fit sees: the same number of every trial, so that none weighs more.
    y, run : ndarray, shape (n_trials,)
        Class number and recording of each trial; trials are in order of time.
    """

    x: FloatArray
    trial: IndexArray
    fit: BoolArray
    y: IndexArray
    run: IndexArray


def motor_electrodes(electrodes: Sequence[str]) -> tuple[str, ...]:
    """Electrodes over the motor cortex (FC, C, CP).

    Where there are fewer than three of them: all but those nearest to the eyes, which are regressed
    out of the others; and all where that leaves fewer than three, too.
    """
    found = tuple(e for e in electrodes if MOTOR.fullmatch(e))
    if len(found) >= MIN_MOTOR:
        return found
    near_eyes = reference_electrodes(electrodes)
    others = tuple(e for e in electrodes if e not in near_eyes)
    return others if len(others) >= MIN_MOTOR else tuple(electrodes)


def rim_electrodes(electrodes: Sequence[str]) -> tuple[str, ...]:
    """Electrodes at the rim of the cap."""
    return tuple(e for e in electrodes if RIM.fullmatch(e))


def class_names(labels: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Classes of several recordings, in the order in which they are named first."""
    return tuple(dict.fromkeys(name for mapping in labels for name in mapping.values()))


def describe_labels(markers: Sequence[Marker]) -> str:
    """Say which labels there are and how often (``T0 15 times, T1 8 times``)."""
    counts = Counter(m.label for m in markers)
    shown = [f"{label} {n} times" for label, n in counts.most_common(12)]
    more = f" and {len(counts) - 12} others" if len(counts) > 12 else ""
    return ", ".join(shown) + more if shown else "no markers at all"


def find_cues(
    tracks: Sequence[Track],
    labels: Sequence[Mapping[str, str]],
    classes: Sequence[str],
    config: TrialConfig,
    window_s: float,
) -> list[Cue]:
    """Find the trials of all recordings, in order of time.

    Those that a span marked as bad touches (a block that was repeated, a pause) have their
    reason already.

    Raises
    ------
    BadInputError
        Where a recording has no marker of any class, saying which markers it has.
    """
    number = {name: i for i, name in enumerate(classes)}
    cues: list[Cue] = []
    for run, (track, mapping) in enumerate(zip(tracks, labels, strict=True)):
        found = sorted((m for m in track.markers if m.label in mapping), key=lambda m: m.time)
        if not found:
            raise BadInputError(
                f"{track.path} has no marker of a class: it has {describe_labels(track.markers)}, "
                f"and classes are wanted for {', '.join(mapping) or 'none'}; say which marker "
                "means what with --classes, as in --classes T1=left_hand,T2=right_hand."
            )
        spans = [m for m in track.markers if BAD.match(m.label)]
        for marker in found:
            begin = trial_begin(marker)
            tokens = trial_tokens(track, begin, window_s, config.trial_s)
            reason = _bad(spans, marker.time, begin + config.trial_s[1])
            cues.append(Cue(run, begin, number[mapping[marker.label]], tokens, reason))
    return cues


def _bad(spans: Sequence[Marker], start: float, stop: float) -> str:
    """Say by which span that nobody should use a trial is touched; empty where by none."""
    for span in spans:
        if span.time < stop and start < span.time + span.duration:
            return BAD.sub("", span.label).replace("_", " ").strip() or "marked as bad"
    return ""


def trial_tokens(
    track: Track, cue: float, window_s: float, trial_s: tuple[float, float]
) -> IndexArray:
    """Tokens of a recording whose windows lie in the trial of a cue."""
    near = np.flatnonzero((track.token_time >= cue) & (track.token_time <= cue + trial_s[1] + 1.0))
    inside = [k for k in near if in_trial(cue, float(track.token_time[k]), window_s, trial_s)]
    return np.array(inside, dtype=np.int64)


def usable_electrodes(
    tracks: Sequence[Track], cues: Sequence[Cue], wanted: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell the wanted electrodes that are good in most trials from those that are not.

    Returns
    -------
    good, bad : tuple of str
    """
    counted = [c for c in cues if len(c.tokens)]
    bad = np.zeros(len(wanted))
    for cue in counted:
        track = tracks[cue.run]
        bad += ~track.token_good[cue.tokens][:, track.columns(wanted)].all(axis=0)
    share = bad / max(1, len(counted))
    good = tuple(e for e, s in zip(wanted, share, strict=True) if s <= BAD_SHARE)
    return good, tuple(e for e in wanted if e not in good)


def judge(
    tracks: Sequence[Track],
    cues: Sequence[Cue],
    electrodes: Sequence[str],
    config: TrialConfig,
    view: str,
    view_config: ViewConfig,
    hop_s: float,
    rate: float,
    slow: str = "",
) -> list[Cue]:
    """Give every trial the reason for which it is left out, where there is one.

    Parameters
    ----------
    electrodes : sequence of str
        Those that the decoder will use.
    view, view_config
        Name and settings of the decoder's view.
    hop_s, rate : float
        Seconds from a token to the next; rate of the views, Hz.
    slow : str
        Name of a view of the lowest frequencies, in which drifts are looked for; nowhere if empty.
    """
    free = config.trial_s[1] - config.trial_s[0] - view_config.window_s
    # NB: tokens come at any phase of the cue, so one less than the most is whole too.
    whole = max(1, int(np.floor(free / hop_s + 1e-6)))
    n_rows = view_config.rows(rate)
    judged: list[Cue] = []
    for cue in cues:
        track = tracks[cue.run]
        columns = track.columns(electrodes)
        good = track.token_good[cue.tokens][:, columns].all(axis=0)
        short = any(
            len(track.window(view, int(t), n_rows, columns[:1])) < n_rows for t in cue.tokens
        )
        why = cue.reason
        if not why and (len(cue.tokens) < whole or short):
            why = "gap or end of the recording"
        elif not why and not good.all():
            why = _fault(track, electrodes[int(np.argmin(good))], cue.tokens)
        judged.append(replace(cue, reason=why))
    usual = f"{config.limit_ratio:g} times its usual"
    limits = [(view, config.limit_uv, f"above {usual} amplitude")]
    if slow:
        limits.append((slow, config.drift_uv, f"drifts by more than {usual}"))
    for name, least, what in limits:
        judged = _beyond(tracks, judged, electrodes, name, n_rows, least, config.limit_ratio, what)
    return judged


def _fault(track: Track, electrode: str, tokens: IndexArray) -> str:
    """What was wrong with an electrode in a trial (``C3 railed``)."""
    until = float(track.token_time[tokens[-1]])
    known = [
        h.reason.split(":")[0]
        for h in track.health
        if h.channel == electrode and h.reason and h.sample / track.rate <= until
    ]
    return f"{electrode} {known[-1] if known else 'left out'}"


def _beyond(
    tracks: Sequence[Track],
    cues: Sequence[Cue],
    electrodes: Sequence[str],
    view: str,
    n_rows: int,
    least: float,
    ratio: float,
    what: str,
) -> list[Cue]:
    """Leave out trials whose largest peak to peak in a view is far above the usual."""
    reaches = np.full((len(cues), len(electrodes)), np.nan)
    for i, cue in enumerate(cues):
        if not cue.reason:
            track = tracks[cue.run]
            columns = track.columns(electrodes)
            windows = [track.window(view, int(t), n_rows, columns) for t in cue.tokens]
            reaches[i] = np.max([np.ptp(rows, axis=0) for rows in windows], axis=(0, 1))
    if np.isnan(reaches).all():
        return list(cues)
    limit = np.maximum(least, ratio * np.nanmedian(reaches, axis=0))
    made = []
    for cue, excess in zip(cues, reaches / limit, strict=True):
        far = not cue.reason and excess.max() > 1
        why = f"{electrodes[int(np.argmax(excess))]} {what}" if far else cue.reason
        made.append(replace(cue, reason=why))
    return made


def cut(
    tracks: Sequence[Track],
    cues: Sequence[Cue],
    electrodes: Sequence[str],
    config: TrialConfig,
    view: str,
    view_config: ViewConfig,
    rate: float,
) -> Windows:
    """Cut the windows of all trials that are used.

    Parameters
    ----------
    cues : sequence of Cue
        Judged; those with a reason are passed over.  Which view they were judged in does not
        matter: the windows are those of this one.
    electrodes : sequence of str
        Channels, in this order.
    """
    n_rows = view_config.rows(rate)
    used = [c for c in cues if not c.reason]
    x, trial, fit = [], [], []
    for number, cue in enumerate(used):
        track = tracks[cue.run]
        columns = track.columns(electrodes)
        tokens = trial_tokens(track, cue.time, view_config.window_s, config.trial_s)
        spread = np.linspace(0, len(tokens) - 1, min(config.fit_windows, len(tokens)))
        chosen = set(np.round(spread).astype(int).tolist())
        for k, token in enumerate(tokens):
            x.append(as_trial(track.window(view, int(token), n_rows, columns), view_config))
            trial.append(number)
            fit.append(k in chosen)
    shape = (0, len(view_config.bands_hz) * len(electrodes), n_rows)
    return Windows(
        x=np.stack(x) if x else np.zeros(shape, dtype=np.float32),
        trial=np.array(trial, dtype=np.int64),
        fit=np.array(fit, dtype=np.bool_),
        y=np.array([c.wanted for c in used], dtype=np.int64),
        run=np.array([c.run for c in used], dtype=np.int64),
    )
