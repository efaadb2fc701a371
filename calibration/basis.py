"""What a calibration stands on: recordings read once, their trials judged, decoders entered.

recordings -> follow, every view in one pass -> cues -> electrodes, bad trials -> contest
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rtbci.calibration.controls.control import control_views
from rtbci.calibration.decoders.catalogue import AUTO, AUTO_NAME, Recipe, Task, find_recipe
from rtbci.calibration.reading.checks import (
    check_alike,
    check_classes,
    check_counts,
    check_different,
    check_window,
    pick_electrodes,
)
from rtbci.calibration.reading.cohort import follow_all, judge_all, subject_of
from rtbci.calibration.reading.track import Track
from rtbci.calibration.reading.trials import Cue, TrialConfig, cut, find_cues
from rtbci.calibration.selection.contest import Contest, enter
from rtbci.calibration.signal.learned import Learned
from rtbci.calibration.signal.learning import learn_from
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.classes import parse_classes
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.playback import known_classes

Progress = Callable[[str, float], None]
"""Told what is going on and which share of it is done (0 to 1)."""


@dataclass(frozen=True)
class Data:
    """What the recordings gave.

    Attributes
    ----------
    tracks : list of Track
    cues : list of Cue
        Judged.
    names : tuple of str
        Classes.
    used, left_out : tuple of str
        Electrodes of the decoder, and those that are too bad for it.
    rejected : dict of str to int
        Trials left out, by reason.
    learned : Learned | None
        What a signal check showed of eyes and muscle.
    """

    tracks: list[Track]
    cues: list[Cue]
    names: tuple[str, ...]
    used: tuple[str, ...]
    left_out: tuple[str, ...]
    rejected: dict[str, int]
    learned: Learned | None = None


@dataclass(frozen=True)
class Basis:
    """Trials, and all decoders that may be fitted to them.

    Attributes
    ----------
    paths : tuple of Path
    recipes : dict of str to Recipe
        Simplest first.
    config : SessionConfig
    trial : TrialConfig
    data : Data
    task : Task
    contest : Contest
        Of those recipes that can be made for this task.
    refused : dict of str to str
        Why the others can't.
    """

    paths: tuple[Path, ...]
    recipes: dict[str, Recipe]
    config: SessionConfig
    trial: TrialConfig
    data: Data
    task: Task
    contest: Contest
    refused: dict[str, str]


def recipes_of(decoder: str, view: ViewConfig | None = None) -> dict[str, Recipe]:
    """Recipes that a calibration chooses among, simplest first.

    Parameters
    ----------
    decoder : str
        ``auto``, or the name of one.
    view : ViewConfig | None
        What every one of them sees; each one's own view where None.

    Raises
    ------
    BadInputError
        Where there is no such decoder.
    """
    names = AUTO if decoder == AUTO_NAME else (decoder,)
    found = {name: find_recipe(name) for name in names}
    if view is None:
        return found
    return {name: replace(recipe, view=view) for name, recipe in found.items()}


def read_basis(
    paths: Sequence[Path],
    subject: str,
    recipes: Mapping[str, Recipe],
    config: SessionConfig,
    tell: Progress,
    *,
    classes: str | None = None,
    montage: str | None = None,
    electrodes: Sequence[str] | None = None,
    signal_check: bool = True,
) -> Basis:
    """Run recordings through the causal chain, find their trials and judge them once.

    Parameters
    ----------
    paths : sequence of Path
        Of one subject, in the order in which they were made.
    subject : str
        Whose other trials no decoder may stand on.
    recipes : mapping of str to Recipe
        Simplest first.
    config : SessionConfig
    tell : callable
    classes, montage, electrodes, signal_check
        As :func:`rtbci.calibration.fit.calibrate` takes them.

    Raises
    ------
    BadInputError
        Where the recordings can't be read, don't fit each other, don't hold enough trials of two
        classes, or no decoder can be made for them.
    """
    maps = [known_classes(p) if classes is None else parse_classes(classes) for p in paths]
    trial = TrialConfig(trial_s=config.decode.trial_s)
    for recipe in recipes.values():
        check_window(recipe.view, trial)
    learned = learn_from(paths, montage, config) if signal_check else None
    data = _read(paths, recipes, maps, trial, config, montage, electrodes, tell, learned)
    task = Task(data.used, data.names, tuple({subject, *(subject_of(p) for p in paths)}))
    rate = config.preprocess.rate_hz
    entries, refused = enter(
        recipes,
        task,
        lambda view: cut(data.tracks, data.cues, data.used, trial, view.key, view, rate),
    )
    if not entries:
        raise BadInputError(next(iter(refused.values())))
    contest = Contest(entries, len(data.names))
    return Basis(tuple(paths), dict(recipes), config, trial, data, task, contest, refused)


def _read(
    paths: Sequence[Path],
    recipes: Mapping[str, Recipe],
    maps: Sequence[dict[str, str]],
    trial: TrialConfig,
    config: SessionConfig,
    montage: str | None,
    electrodes: Sequence[str] | None,
    tell: Progress,
    learned: Learned | None,
) -> Data:
    views = {v.key: v for r in recipes.values() for v in (r.view, r.view.raw)}
    tracks, base = follow_all(
        paths,
        {**views, **control_views({}, config.preprocess)},
        config,
        montage,
        lambda path: tell(f"reading {path.name}", paths.index(path) / len(paths)),
        learned,
    )
    check_different(tracks)
    check_alike(tracks)
    names = check_classes(tracks, maps)
    cues = find_cues(tracks, maps, names, trial, base.window_s)
    used, left_out = pick_electrodes(tracks, cues, electrodes)
    cues, rejected = judge_all(tracks, cues, used, base, config)
    check_counts(tracks, cues, names, rejected)
    return Data(tracks, cues, names, used, left_out, rejected, learned)
