"""``rtbci evaluate decode``: decoders side by side on the same trials of the same subjects.

    sessions (subject, task) x groups of decoders -> units, in this process or in several
        one pass a file -> for each set of electrodes -> score_session -> cells -> file
    -> means over subjects with intervals, and paired differences to the best classic decoder

Quick decoders share a unit, and with it what they have in common; every slow one has units of its
own, so that little is lost where the program ends before all is done.

Concurrency: workers are processes with one thread each, and know nothing of each other; this
process alone writes.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from threadpoolctl import threadpool_limits

from rtbci.calibration.controls import rows as control_rows
from rtbci.calibration.decoders.catalogue import (
    AUTO,
    AUTO_NAME,
    BUILT_IN,
    Recipe,
    find_recipe,
    is_quick,
)
from rtbci.calibration.evaluation.cells import CONTROLS, Cell, Done, Read, Scores
from rtbci.calibration.evaluation.decode import (
    BETTER,
    BIASED,
    CLASSIC,
    CONTAMINATED,
    MOTOR,
    Standing,
    electrode_set,
    score_session,
)
from rtbci.calibration.evaluation.protocols import Protocol
from rtbci.calibration.population.bank import BANK_VIEW
from rtbci.calibration.reading.cohort import Session, find_sessions, read_session
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError, RtbciError

Tell = Callable[[float, str], None]


@dataclass(frozen=True)
class Plan:
    """What is the same for all units.

    Attributes
    ----------
    protocols : tuple of Protocol
    electrodes : tuple of str
        Labels of the sets.
    judged_on : str
        Label of the set on which trials must be good as well; empty for none.
    classes, montage : str | None
        As on the command line.
    config : SessionConfig
    """

    protocols: tuple[Protocol, ...]
    electrodes: tuple[str, ...]
    judged_on: str
    classes: str | None
    montage: str | None
    config: SessionConfig


@dataclass(frozen=True)
class Unit:
    """One session and some decoders.

    Attributes
    ----------
    session : Session
    wanted : dict of str to tuple of str
        By set of electrodes: the decoders to score, :data:`CONTROLS` among them.
    """

    session: Session
    wanted: Mapping[str, tuple[str, ...]]

    @property
    def decoders(self) -> tuple[str, ...]:
        """All of them, over the sets of electrodes."""
        names = dict.fromkeys(n for part in self.wanted.values() for n in part)
        return tuple(n for n in names if n != CONTROLS)


@dataclass(frozen=True)
class Result:
    """What came of a unit."""

    read: Read
    cells: tuple[Cell, ...]
    done: tuple[Done, ...]


def evaluate_decode(
    data: Sequence[Path],
    *,
    protocols: Sequence[Protocol] = (Protocol.WITHIN,),
    decoders: Sequence[str] = (),
    electrodes: Sequence[str] = (MOTOR,),
    tasks: Sequence[str] = (),
    classes: str | None = None,
    montage: str | None = None,
    judged_on: str = "",
    config: SessionConfig | None = None,
    file: Path | None = None,
    command: str = "",
    jobs: int = 1,
    progress: Tell | None = None,
) -> Standing:
    """Score decoders under one protocol or several.

    Parameters
    ----------
    data : sequence of Path
        Recordings or folders of them.
    protocols : sequence of Protocol
        All on one pass over the files.
    decoders : sequence of str
        Names, ``auto`` among them if wanted, each also with
        :data:`rtbci.calibration.evaluation.decode.BIASED` behind it; the classic ones and
        ``auto`` where empty.
    electrodes : sequence of str
        Sets of them, each a table of its own: ``motor``, ``all``, a montage's name, or a list.
    tasks : sequence of str
        Parts of the names of the tasks that are wanted; all where empty.
    classes, montage : str | None
        As on the command line.
    judged_on : str
        A set of electrodes on which trials must be good beside those that are decoded from, so
        that rows with other sets, made before or after, are of the same trials.
    file : Path | None
        Keeps every score; what it holds is not computed again.
    command : str
        Noted in the file.
    jobs : int
        Processes.
    progress : callable | None
        Told the share that is done and what is being read.

    Raises
    ------
    BadInputError
        Where there is nothing to read, a decoder is unknown, no session can be scored, or the
        file holds scores on other trials.
    """
    names = tuple(decoders) or (*CLASSIC, AUTO_NAME)
    _recipes(names)  # refuses what there is not, before anything is read
    scores = Scores.open(file)
    sessions = [s for s in find_sessions(data) if _wanted_task(s.task, tasks)]
    if not sessions:
        raise BadInputError(
            f"no recording is of the task {', '.join(tasks)}; leave --task out for all there are."
        )
    for label in (*electrodes, *([judged_on] if judged_on else [])):
        electrode_set(label)
    plan = Plan(
        tuple(protocols), tuple(electrodes), judged_on, classes, montage, config or SessionConfig()
    )
    units = _units(plan, sessions, names, scores)
    if units and command:
        scores.note(command)
    tell = progress or (lambda _share, _what: None)
    for result in _in_turn(plan, units, tell) if jobs == 1 else _spread(plan, units, tell, jobs):
        scores.add(result.read, result.cells, result.done)
    if not scores.cells:
        needs = "; ".join(f"{p.value} needs {_NEEDS[p]}" for p in protocols)
        raise BadInputError(f"no subject has enough trials: {needs}.")
    return _standing(scores, plan, names, tasks)


_NEEDS = {
    Protocol.WITHIN: "at least 4 usable trials of each class",
    Protocol.FEW_SHOT: "at least 2 trials of each class among the first 30 % and in the rest",
    Protocol.LEAVE_ONE_SUBJECT_OUT: "two runs with 2 trials of each class",
}


def all_decoders() -> tuple[str, ...]:
    """Every built-in decoder, and ``auto``."""
    return (*BUILT_IN, AUTO_NAME)


def score_unit(plan: Plan, unit: Unit, at: Callable[[Path], None] | None = None) -> Result:
    """Read a session and score a unit's decoders on it."""
    sets = {label: electrode_set(label) for label in plan.electrodes}
    judged = [*sets.values(), *([electrode_set(plan.judged_on)] if plan.judged_on else [])]

    def wanted(there: Sequence[str]) -> tuple[str, ...]:
        return tuple(e for e in there if any(e in pick(there) for pick in judged))

    recipes = _recipes(unit.decoders)
    # NB: trials are judged over the longest window; with the bank's always among them they are
    # the same trials whichever decoders are scored.
    views = {BANK_VIEW.key: BANK_VIEW, **{r.view.key: r.view for r in recipes.values()}}
    trials = read_session(
        unit.session,
        {**views, **control_rows.views(plan.config.preprocess)},
        wanted,
        classes=plan.classes,
        montage=plan.montage,
        config=plan.config,
        progress=at,
    )
    who, task = unit.session.subject, unit.session.task
    cells: list[Cell] = []
    done: list[Done] = []
    for label, names in unit.wanted.items():
        pick = sets[label]
        chosen = tuple(e for e in trials.electrodes if e in pick(trials.tracks[0].electrodes))
        if len(chosen) < 2:
            continue
        shown = tuple(n for n in names if n != CONTROLS)
        standing = Standing(plan.protocols, shown)
        score_session(
            standing,
            trials,
            label,
            chosen,
            recipes or _recipes(CLASSIC[:1]),
            plan.config,
            with_controls=CONTROLS in names,
        )
        cells += standing.cells
        refused = {
            c.decoder for c in standing.cells if c.metrics is None and c.note != CONTAMINATED
        } - set(control_rows.NAMES)
        done += [
            Done(who, task, label, p.value, n)
            for p in plan.protocols
            for n in names
            if n not in refused
        ]
    return Result(Read.of(trials), tuple(cells), tuple(done))


def _units(
    plan: Plan, sessions: Sequence[Session], names: Sequence[str], scores: Scores
) -> list[Unit]:
    """What is not on file, quick decoders first."""
    groups = _groups(names)
    units = []
    for group in groups:
        for session in sessions:

            def lacks(name: str, label: str, session: Session = session) -> bool:
                return any(
                    Done(session.subject, session.task, label, p.value, name) not in scores.done
                    for p in plan.protocols
                )

            wanted = {
                label: tuple(
                    n
                    for n in (*group, *([CONTROLS] if group is groups[0] else ()))
                    if lacks(n, label)
                )
                for label in plan.electrodes
            }
            wanted = {label: part for label, part in wanted.items() if part}
            if wanted:
                units.append(Unit(session, wanted))
    return units


def _groups(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Quick decoders together, each slow one alone with its biased copy."""
    made: dict[str, list[str]] = {}
    for name in names:
        plain = name.removesuffix(BIASED)
        quick = plain == AUTO_NAME or is_quick(plain)
        made.setdefault("" if quick else plain, []).append(name)
    first = [tuple(made.pop(""))] if "" in made else []
    return [*first, *(tuple(group) for group in made.values())]


def _in_turn(plan: Plan, units: Sequence[Unit], tell: Tell) -> Iterator[Result]:
    for i, unit in enumerate(units):

        def at(path: Path, share: float = i / len(units)) -> None:
            tell(share, path.name)

        yield score_unit(plan, unit, at)


def _spread(plan: Plan, units: Sequence[Unit], tell: Tell, jobs: int) -> Iterator[Result]:
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_begin)
    try:
        waiting = [pool.submit(score_unit, plan, unit) for unit in units]
        for i, future in enumerate(as_completed(waiting)):
            yield future.result()
            tell((i + 1) / len(units), f"{i + 1} of {len(units)}, {jobs} processes")
    except BrokenProcessPool as err:
        raise RtbciError(
            "a worker process was ended from outside, perhaps because memory ran out; what --cells "
            "holds stays: give the same command again, with fewer --jobs."
        ) from err
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Begin a worker: Ctrl-C is for its parent alone."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)
    torch.set_num_threads(1)


def _standing(scores: Scores, plan: Plan, names: Sequence[str], tasks: Sequence[str]) -> Standing:
    """Tables of all that is known: what was asked for first, then what else is on file."""
    rows = tuple(dict.fromkeys((*names, *(d for d in scores.decoders() if d != BETTER))))
    cells = [c for c in scores.cells if _wanted_task(c.task, tasks)]
    there = {c.protocol for c in cells}
    protocols = (*plan.protocols, *(p for p in Protocol if p in there - set(plan.protocols)))
    standing = Standing(protocols, rows, cells=cells, commands=tuple(scores.commands))
    for read in scores.reads.values():
        if _wanted_task(read.task, tasks):
            standing.trials[read.task] = standing.trials.get(read.task, 0) + read.trials
            standing.rejected[read.task] = standing.rejected.get(read.task, 0) + read.rejected
    return standing


def _recipes(names: Sequence[str]) -> dict[str, Recipe]:
    """Every decoder that has to be fitted: those named and those that ``auto`` chooses among."""
    plain = [n.removesuffix(BIASED) for n in names]
    own = [n for n in plain if n != AUTO_NAME]
    needed = dict.fromkeys([*own, *(AUTO if AUTO_NAME in plain else ())])
    return {name: find_recipe(name) for name in needed}


def _wanted_task(task: str, tasks: Sequence[str]) -> bool:
    return task != "rest" and (not tasks or any(t in task for t in tasks))
