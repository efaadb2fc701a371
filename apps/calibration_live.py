"""``rtbci calibrate`` without ``--from``: cues on the terminal, a recording, a profile.

    protocols that need no decoder ---> session ---> recording ---> fit ---> profile
    protocols with feedback (no control) ---> session with that profile ---> its thresholds

Nothing is lost: what is recorded when a session ends, however it ends, can be fitted later.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.live import Live

from rtbci.apps.calibration_score import BlockScorer
from rtbci.apps.calibration_screen import render, words
from rtbci.apps.commands_run import wants_window
from rtbci.apps.conductor import Conducted, Conductor, Presenter
from rtbci.apps.conductor_state import Stage
from rtbci.apps.host import run_session
from rtbci.apps.keys import Keys, single_keys
from rtbci.apps.printing import on_terminal, print_json, progress_bar
from rtbci.apps.settings import RunSettings, SourceSettings
from rtbci.calibration.protocol.config import ProtocolConfig, load_protocol
from rtbci.calibration.protocol.plan import Kind
from rtbci.calibration.protocol.rehearsal import SubjectSettings, class_map, rehearse
from rtbci.clock import MonotonicClock
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError, RtbciError
from rtbci.montage import parse_montage

if TYPE_CHECKING:
    from rtbci.calibration.signal_check import SignalCheck

TASK = "calibration"
STATUS_S = 0.25
SIGNAL_CHECK = "signal-check"
MODEL = "ar"
"""Forecasts are no part of a calibration, and this model costs least."""


@dataclass(frozen=True)
class LiveCalibration:
    """What was asked for.

    Attributes
    ----------
    subject : str
    source : SourceSettings
    protocols : tuple of str
        Names or files, in their order.
    blocks, trials : int | None
        In place of the protocol's own numbers.
    record : Path
        Folder of recordings.
    seed : int | None
        Of order and jitter; another one each time where None.
    montage, decoder
        As on the command line.
    session : SessionConfig
    permutations : int
        For the p-value of the score at the end.
    signal_check : bool | None
        Whether the signal is checked first; where None, in a window always, in the terminal where
        somebody sits at it and no protocol is ``named``.
    fine_tune : bool | None
        Whether fine-tuning goes on afterwards; where None, as
        :func:`rtbci.apps.fine_tuning.go_on` has it.
    as_json : bool
    """

    subject: str
    source: SourceSettings
    protocols: tuple[str, ...]
    record: Path
    blocks: int | None = None
    trials: int | None = None
    seed: int | None = None
    montage: str | None = None
    decoder: str = "auto"
    session: SessionConfig = field(default_factory=SessionConfig)
    permutations: int = 200
    signal_check: bool | None = None
    named: bool = False
    fine_tune: bool | None = None
    as_json: bool = False


def calibrate_live(wanted: LiveCalibration) -> None:
    """Conduct the session and fit the profile.

    Raises
    ------
    BadInputError
        On a protocol, a number or a name that can't be used; where a protocol shows feedback and
        there is no decoder that could give it; where the trials are not enough for a decoder.
    RtbciError
        What ended the session before its time.
    """
    # NB: imported here, since scikit-learn takes seconds that other commands need not wait for.
    from rtbci.calibration.profile import check_subject, find_profile

    check_subject(wanted.subject)
    seed = time.time_ns() % 2**31 if wanted.seed is None else wanted.seed
    console = Console()
    groups = split(load_all(wanted))
    if groups[0][0].needs_feedback and find_profile(wanted.subject) is None:
        raise BadInputError(
            f"{groups[0][0].title!r} shows feedback, but {wanted.subject} has no decoder yet; "
            "calibrate one before, as in --protocol graz-2 --protocol no-control."
        )
    fitted: Path | None = None
    for number, configs in enumerate(groups):
        folder, complete, looked = _record(wanted, configs, seed + number, console)
        if not complete:
            _say_how(wanted, folder, console, "ended early")
            break
        if any(c.blocks.count for c in configs):
            _fit(wanted, folder, looked, console)
            fitted = folder
        elif configs[0].needs_feedback:
            _tune(wanted, folder, console)
        else:
            _tell(wanted, console, {"event": "recorded", "recording": str(folder)})
    if fitted is not None:
        # NB: at the end, since it would be in the way of a session with feedback.
        _fine_tune(wanted, fitted, console)


def in_window(wanted: LiveCalibration, *, gui: bool, headless: bool) -> bool:
    """Whether it is guided by a window: where there is a display, and nobody says otherwise.

    A simulated subject at full speed sees no cues, and protocols that are named one by one are
    conducted in the terminal, in their order.

    Raises
    ------
    BadInputError
        Where a window is insisted on that can't be.
    """
    plain = wanted.as_json or not wanted.source.paced
    several = len(wanted.protocols) > 1
    if gui and (plain or several):
        what = "--json" if wanted.as_json else "--speed max" if plain else "several --protocol"
        raise BadInputError(
            f"--gui guides through a whole calibration in a window, and {what} is for the "
            "terminal; leave one of them out."
        )
    blocks = any(load_protocol(name).blocks.count for name in wanted.protocols)
    return wants_window(gui=gui, headless=headless or several or not blocks, as_text=plain)


def load_all(wanted: LiveCalibration) -> list[ProtocolConfig]:
    """Read the protocols; numbers of blocks and trials hold for those that have any."""
    configs = [load_protocol(name) for name in (*_before(wanted), *wanted.protocols)]
    blocks, trials = wanted.blocks, wanted.trials
    if (blocks, trials) != (None, None) and not any(c.blocks.count for c in configs):
        configs[-1].scaled(blocks, trials)  # says what is wrong with it
    return [c.scaled(blocks, trials) if c.blocks.count else c for c in configs]


def _before(wanted: LiveCalibration) -> tuple[str, ...]:
    """What comes before the protocols that were asked for."""
    asked = wanted.signal_check
    if asked is None:
        by_hand = on_terminal(as_json=wanted.as_json) and wanted.source.paced
        asked = by_hand and not wanted.named
    return (SIGNAL_CHECK,) if asked and SIGNAL_CHECK not in wanted.protocols else ()


def split(configs: Sequence[ProtocolConfig]) -> list[tuple[ProtocolConfig, ...]]:
    """Cut where a decoder is needed: it is fitted to what was recorded before."""
    groups: list[tuple[ProtocolConfig, ...]] = []
    for config in configs:
        if groups and groups[-1][0].needs_feedback == config.needs_feedback:
            groups[-1] = (*groups[-1], config)
        else:
            groups.append((config,))
    return groups


def _record(
    wanted: LiveCalibration, configs: tuple[ProtocolConfig, ...], seed: int, console: Console
) -> tuple[Path, bool, tuple[int, ...]]:
    """Record one session; gives its folder, whether to go on, and the looks at its score."""
    title = ", ".join(c.title for c in configs)
    source = replace(wanted.source, scripted=False)
    if source.simulated and not source.paced:
        if configs[0].needs_feedback:
            raise BadInputError(
                f"{title!r} shows feedback, which takes its time: leave out --speed max."
            )
        who = SubjectSettings(rate=source.rate, seed=source.seed, skill=source.skill)
        if wanted.montage is not None:
            who = replace(who, montage=parse_montage(wanted.montage))
        folder = rehearse(
            configs, wanted.record, who, seed=seed, subject=wanted.subject, config=wanted.session
        )
        return folder, True, ()
    classes = class_map(configs)
    settings = RunSettings(
        source=source,
        session=wanted.session,
        montage=wanted.montage,
        classes=",".join(f"{k}={v}" for k, v in classes.items()) or None,
        subject=wanted.subject,
        decodes=configs[0].needs_feedback,
        task=TASK,
        model=MODEL,
        record=str(wanted.record),
        status_s=STATUS_S,
    )
    stage = Stage(wanted.subject, title)
    cued = any(c.blocks.count for c in configs)
    on_screen = console.is_terminal and not wanted.as_json
    conductor = Conductor(
        configs,
        seed,
        stage,
        partial(_screen, console, stage) if on_screen else _lines(wanted, console),
        single_keys if on_screen else _no_keys,
        scorer=BlockScorer(wanted.subject, wanted.decoder, wanted.session) if cued else None,
        clock=MonotonicClock(),
    )
    summary, conducted = conduct(settings, conductor)
    return Path(summary["recording"]), conducted.complete or conducted.stopped, conducted.looked


def conduct(settings: RunSettings, conductor: Conductor) -> tuple[dict[str, Any], Conducted]:
    """Run session and conductor until both have ended.

    Raises
    ------
    RtbciError
        What ended the session before its time; with its recording, if there is one.
    """
    try:
        summary = run_session(settings, conductor.on_event, ready=conductor.ready)
    except RtbciError:
        with contextlib.suppress(RtbciError):  # the session's own reason says more
            conductor.finish()
        raise
    return summary, conductor.finish()


class _Screen:
    """Paints on the terminal."""

    def __init__(self, live: Live, console: Console) -> None:
        self._live = live
        self._console = console

    def show(self, stage: Stage, *, tone: bool) -> None:
        if tone:
            self._console.bell()
        self._live.update(render(stage), refresh=True)


@contextlib.contextmanager
def _screen(console: Console, stage: Stage) -> Iterator[Presenter]:
    with Live(render(stage), console=console, auto_refresh=False, screen=True) as live:
        yield _Screen(live, console)


class _Lines:
    """Says each phase in a line, where there is no terminal."""

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self._tell = tell
        self._last: object = None
        self._score: tuple[str, ...] = ()

    def show(self, stage: Stage, *, tone: bool) -> None:
        del tone
        phase = stage.phase
        if phase is not None and (phase.since, phase.paused) != self._last:
            self._last = (phase.since, phase.paused)
            kind = "paused" if phase.paused else phase.slot.kind.value
            shown = phase.slot.label if phase.slot.kind is not Kind.IMAGERY else ""
            self._tell({"event": "phase", "kind": kind, "label": shown, "say": phase.slot.say})
        if stage.score and stage.score != self._score:
            self._tell({"event": "score", "lines": list(stage.score)})
        self._score = stage.score


def _lines(
    wanted: LiveCalibration, console: Console
) -> Callable[[], AbstractContextManager[Presenter]]:
    return lambda: contextlib.nullcontext(_Lines(partial(_tell, wanted, console)))


def _no_keys() -> AbstractContextManager[Keys]:
    return contextlib.nullcontext(Keys())


def _tell(wanted: LiveCalibration, console: Console, event: dict[str, Any]) -> None:
    """One event: as JSON, or as a sentence."""
    if wanted.as_json:
        print_json(event)
    elif event["event"] == "phase":
        what = " ".join(filter(None, (event["kind"], words(event["label"]), event["say"])))
        console.print(what, soft_wrap=True, highlight=False, markup=False)
    elif event["event"] == "recorded":
        console.print(f"recorded: {event['recording']}", soft_wrap=True, highlight=False)
    else:
        for line in event["lines"]:
            console.print(line, soft_wrap=True, highlight=False, markup=False)


def _say_how(wanted: LiveCalibration, folder: Path, console: Console, what: str) -> None:
    """Say what there is after a session that gave no profile, and how to go on from it."""
    how = f"rtbci calibrate --from {folder} --subject {wanted.subject}"
    lines = [f"{what}; what was recorded is in {folder}.", f"Fit from it with: {how}"]
    _tell(wanted, console, {"event": "ended", "recording": str(folder), "lines": lines})


def _fit(wanted: LiveCalibration, folder: Path, looked: tuple[int, ...], console: Console) -> None:
    from rtbci.apps.assemble import limit_threads
    from rtbci.calibration.fit import calibrate

    limit_threads()
    try:
        with progress_bar(not wanted.as_json) as tell:
            report = calibrate(
                [folder],
                wanted.subject,
                decoder=wanted.decoder,
                config=wanted.session,
                permutations=wanted.permutations,
                looked=looked,
                progress=lambda text, share: tell(share, text),
            )
    except (RtbciError, KeyboardInterrupt):
        _say_how(wanted, folder, console, "not fitted")
        raise
    checked = _checked(folder)
    if wanted.as_json:
        told = {} if checked is None else {"check": checked.to_dict()}
        print_json({"event": "summary", "recording": str(folder), **report.to_dict(), **told})
        return
    typer.echo(f"recording: {folder}")
    for line in (*report.lines(), *([] if checked is None else ["", *checked.lines()])):
        typer.echo(line)


def _checked(folder: Path) -> SignalCheck | None:
    """What the recording's signal check shows; None where there is none."""
    from rtbci.calibration.signal.check_data import holds_check
    from rtbci.calibration.signal_check import evaluate_signal_check

    return evaluate_signal_check(folder) if holds_check(folder) else None


def _tune(wanted: LiveCalibration, folder: Path, console: Console) -> None:
    from rtbci.calibration.protocol.tuning import tune_thresholds

    lines = [f"recording: {folder}", *tune_thresholds(wanted.subject, folder).lines()]
    _tell(wanted, console, {"event": "thresholds", "recording": str(folder), "lines": lines})


def _fine_tune(wanted: LiveCalibration, folder: Path, console: Console) -> None:
    from rtbci.apps.fine_tuning import go_on
    from rtbci.calibration.offer import Job
    from rtbci.calibration.profile import load_profile

    job = Job((str(folder),), wanted.decoder, session=wanted.session)
    shown = on_terminal(as_json=wanted.as_json)
    said = go_on(load_profile(wanted.subject), job, wanted.fine_tune, shown=shown)
    if said:
        _tell(wanted, console, {"event": "fine_tuning", "lines": [said]})
