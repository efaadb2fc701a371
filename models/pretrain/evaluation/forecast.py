"""How well forecasts do on people that the weights have never seen, beside the baselines.

    files of a subject --read--> behind the chain --token by token--> moments   (moments, methods)
      moments --> sums of errors, intervals, phase                              (sums, phase)
      sums of a subject --> scores --> means over subjects, bootstrap           (scores)
      scores --> tables for terminal, page and card                             (tables)

Every recording runs through the live chain and the live model, token by token; every second a
forecast of each method is kept, and scored against what then came.  The first minute of a
recording warms the baselines up and does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtbci.config import PreprocessConfig
from rtbci.errors import BadInputError, SourceError
from rtbci.models.checkpoint import Checkpoint
from rtbci.models.config import ModelConfig
from rtbci.models.pretrain.corpus.read import read_raw, recordings_in
from rtbci.models.pretrain.corpus.recordings import RawRecording
from rtbci.models.pretrain.evaluation.moments import behind_chain, moments
from rtbci.models.pretrain.evaluation.phase import MuPhase, PhaseSums
from rtbci.models.pretrain.evaluation.scores import ForecastScores, SubjectScores, score_subject
from rtbci.models.pretrain.evaluation.sums import RecordingSums, SubjectSums
from rtbci.models.seen import trained_on
from rtbci.montage import normalise

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class EvaluationSettings:
    """What is scored, and how.

    Attributes
    ----------
    warm_up_s : float
        Start of each recording that is not scored, s.
    every_s : float
        From one scored forecast to the next, s.
    runs : int | None
        Newest recordings of each subject (the last by name); None for all.
    electrodes : tuple of str
        Those that recordings are cut down to; empty for all.
    rollout : bool
        Score the rollout, too.
    robust : bool
        Medians over segments, too.
    all_subjects : bool
        Score subjects that the weights were trained on, too.
    high_pass_hz : float | None
        Without weights: the chain's high-pass.  With weights theirs stands.
    device : str
        ``cpu`` or ``cuda``.
    """

    warm_up_s: float = 60.0
    every_s: float = 1.0
    runs: int | None = None
    electrodes: tuple[str, ...] = ()
    rollout: bool = False
    robust: bool = False
    all_subjects: bool = False
    high_pass_hz: float | None = None
    device: str = "cpu"


def evaluate_forecast(
    weights: Sequence[Checkpoint],
    data: Sequence[Path],
    settings: EvaluationSettings | None = None,
    progress: Progress | None = None,
) -> ForecastScores:
    """Score a model and the baselines on recordings.

    Parameters
    ----------
    weights : sequence of Checkpoint
        One, several folds to choose from, or none: then only the methods that need none.
    data : sequence of Path
        Recordings, or folders of them.
    settings : EvaluationSettings, optional
    progress : callable, optional
        Called with the share that is done and the file at hand.

    Raises
    ------
    BadInputError
        Where nothing is left to score, or the weights contradict one another.
    """
    settings = settings or EvaluationSettings()
    config = _config(weights, settings)
    files: dict[str, list[Path]] = {}
    for path, subject in recordings_in(data):
        files.setdefault(subject, []).append(path)
    chosen = {s: choose(weights, s, all_subjects=settings.all_subjects) for s in files}
    left_out = tuple(s for s, c in chosen.items() if weights and c is None)
    wanted = {s: sorted(files[s], key=lambda p: p.name) for s in files if s not in left_out}
    notes: list[str] = []
    subjects: list[SubjectScores] = []
    share = 0.0
    for subject, paths in wanted.items():
        checkpoint = chosen[subject]

        def tell(text: str, at: float, begun: float = share) -> None:
            if progress is not None:
                progress(begun + at / len(wanted), text)

        scored = _subject(subject, paths, config, checkpoint, settings, notes, tell)
        subjects += [scored] if scored is not None else []
        share += 1 / len(wanted)
    if not subjects:
        raise BadInputError(_nothing(files, left_out, notes, settings))
    return ForecastScores(
        model=_name(weights),
        high_pass_hz=config.preprocess.high_pass_hz,
        folds=len(weights),
        subjects=tuple(subjects),
        left_out=left_out,
        trusted=not any(c is not None and trained_on(c, s) for s, c in chosen.items()),
        notes=tuple(notes),
        every_s=settings.every_s,
        warm_up_s=settings.warm_up_s,
    )


def choose(
    weights: Sequence[Checkpoint], subject: str, *, all_subjects: bool = False
) -> Checkpoint | None:
    """The first weights that have not seen a subject; None where all have.

    With ``all_subjects`` the first of those that have is better than none.
    """
    unseen = [c for c in weights if not trained_on(c, subject)]
    return next(iter([*unseen, *(weights if all_subjects else ())]), None)


def _config(weights: Sequence[Checkpoint], settings: EvaluationSettings) -> ModelConfig:
    """Chain, hop and horizons that all weights share."""
    if not weights:
        high_pass_hz = settings.high_pass_hz
        chain = PreprocessConfig()
        if high_pass_hz is not None:
            chain = PreprocessConfig(high_pass_hz=high_pass_hz)
        return ModelConfig(preprocess=chain)
    config = weights[0].config
    if settings.high_pass_hz not in (None, config.preprocess.high_pass_hz):
        raise BadInputError(
            f"the weights were trained behind a high-pass of {config.preprocess.high_pass_hz:g} "
            f"Hz, so they can't be scored at {settings.high_pass_hz:g} Hz; leave --highpass out, "
            "name weights that were trained at it, or use --model ar."
        )
    for other in weights[1:]:
        for what in ("preprocess", "rate_hz", "hop_s", "window_s", "n_horizons"):
            if getattr(other.config, what) != getattr(config, what):
                raise BadInputError(
                    f"the folds {weights[0].name} and {other.name} differ in {what}, so their "
                    "scores can't stand in one table; name folds of one training."
                )
    return config


def _subject(
    subject: str,
    paths: Sequence[Path],
    config: ModelConfig,
    checkpoint: Checkpoint | None,
    settings: EvaluationSettings,
    notes: list[str],
    tell: Callable[[str, float], None],
) -> SubjectScores | None:
    """Score a subject's newest recordings; None where none can be scored."""
    montages: dict[tuple[str, ...], SubjectSums] = {}
    phase = PhaseSums()
    wanted = settings.runs or len(paths)
    done = 0
    for path in reversed(paths):
        if done == wanted:
            break
        tell(path.name, done / wanted)
        try:
            parts = [_cut(raw, settings.electrodes) for raw in read_raw(path, subject)]
        except (BadInputError, SourceError) as err:
            notes.append(str(err))
            continue
        scored = [
            _recording(raw, config, checkpoint, settings, montages, phase)
            for raw in parts
            if raw is not None
        ]
        if any(scored):
            done += 1
        else:
            notes.append(
                f"{path.name} is left out: nothing of it lies more than {settings.warm_up_s:g} s "
                "after its start or has the electrodes asked for."
            )
    if not done:
        return None
    identity = checkpoint.identity if checkpoint is not None else ""
    return score_subject(subject, identity, list(montages.values()), phase)


def _recording(
    raw: RawRecording,
    config: ModelConfig,
    checkpoint: Checkpoint | None,
    settings: EvaluationSettings,
    montages: dict[tuple[str, ...], SubjectSums],
    phase: PhaseSums,
) -> bool:
    """Run one stretch of signal and add what came out; whether anything was scored."""
    if len(raw.data) / raw.rate < settings.warm_up_s + config.n_horizons / config.rate_hz:
        return False
    stretch = behind_chain(raw, config)
    sums = RecordingSums(stretch, config.n_horizons, robust=settings.robust)
    mu = MuPhase(stretch, settings.warm_up_s)
    scored = False
    for some in moments(
        raw,
        stretch,
        config,
        checkpoint,
        warm_up_s=settings.warm_up_s,
        every_s=settings.every_s,
        rollout=settings.rollout,
        device=settings.device,
    ):
        sums.add(some)
        mu.add(some, phase)
        scored = True
    if scored:
        sums.finish(montages.setdefault(raw.electrodes, SubjectSums(raw.electrodes)))
    return scored


def _cut(raw: RawRecording, electrodes: Sequence[str]) -> RawRecording | None:
    """Leave only these electrodes; None where the recording has none of them."""
    if not electrodes:
        return raw
    columns = [i for i, e in enumerate(raw.electrodes) if normalise(e) in electrodes]
    if not columns:
        return None
    return replace(
        raw,
        electrodes=tuple(raw.electrodes[i] for i in columns),
        data=np.ascontiguousarray(raw.data[:, columns]),
    )


def _name(weights: Sequence[Checkpoint]) -> str:
    if not weights:
        return "no weights"
    if len(weights) == 1:
        return weights[0].name
    return f"{len(weights)} folds ({', '.join(c.name for c in weights)})"


def _nothing(
    files: dict[str, list[Path]],
    left_out: Sequence[str],
    notes: Sequence[str],
    settings: EvaluationSettings,
) -> str:
    """Why there is nothing to score."""
    if len(left_out) == len(files):
        return (
            "nothing to score: the weights were trained on everybody here, or do not say whom they "
            "were trained on; name recordings of others, a folder of folds (--model FOLDER), or "
            "score them all the same with --all-subjects."
        )
    many = f" ({len(left_out)} subjects are left out: the weights know them)" if left_out else ""
    first = f" {notes[0]}" if notes else ""
    return (
        f"nothing to score: no recording is readable and longer than {settings.warm_up_s:g} s, "
        f"which warm the baselines up{many}.{first}"
    )
