"""What a calibration shows in the terminal: the cue first of all, and nothing that moves beside it.

    header      who, what, how long still         stands still while a trial runs
    stage       cross, cue, text, break, score
    progress    the block's trials so far
    quality     electrodes that are good, and what is wrong with the others

:func:`render` draws a :class:`Stage`, which knows nothing of the terminal.  It fits 80 x 24.
"""

from __future__ import annotations

from rich.align import Align
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rtbci.apps.conductor_state import Stage
from rtbci.apps.times import stop_watch
from rtbci.apps.view import BAD, FAINT, FAIR, GOOD, NOISY_SD_UV
from rtbci.calibration.protocol.machine import Phase
from rtbci.calibration.protocol.plan import Kind

STAGE_HEIGHT = 13
MOST_NAMES = 26
"""Electrodes that are shown by name; of larger caps only those with something wrong are."""
COLOURS = {
    "left_hand": "#56B4E9",
    "right_hand": "#E69F00",
    "rest": "#97a3b2",
    "feet": "#CC79A7",
    "both_feet": "#CC79A7",
    "tongue": "#009E73",
    "both_hands": "#F0E442",
}
"""Of the classes, as everywhere; safe for colour-blind eyes."""
SIGNS = {
    "left_hand": "←",
    "right_hand": "→",
    "rest": "○",
    "feet": "↓",
    "both_feet": "↓",
    "tongue": "↑",
    "both_hands": "↔",
}
CROSS = (
    "        █        ",
    "        █        ",
    "    ▄▄▄▄█▄▄▄▄    ",
    "        █        ",
    "        █        ",
)
ARROWS = {
    "←": (
        "  ▄█    █        ",
        "▄██     █        ",
        "████▄▄▄▄█▄▄▄▄    ",
        "▀██     █        ",
        "  ▀█    █        ",
    ),
    "→": (
        "        █    █▄  ",
        "        █     ██▄",
        "    ▄▄▄▄█▄▄▄▄████",
        "        █     ██▀",
        "        █    █▀  ",
    ),
    "↓": (
        "        █        ",
        "        █        ",
        "    ▄▄▄▄█▄▄▄▄    ",
        "     ▀█████▀     ",
        "       ▀█▀       ",
    ),
    "↑": (
        "       ▄█▄       ",
        "     ▄█████▄     ",
        "    ▀▀▀▀█▀▀▀▀    ",
        "        █        ",
        "        █        ",
    ),
    "○": (
        "    ▄▀▀▀█▀▀▀▄    ",
        "   █    █    █   ",
        "   █▄▄▄▄█▄▄▄▄█   ",
        "   █    █    █   ",
        "    ▀▄▄▄█▄▄▄▀    ",
    ),
    "↔": (
        "  ▄█    █    █▄  ",
        "▄██     █     ██▄",
        "████▄▄▄▄█▄▄▄▄████",
        "▀██     █     ██▀",
        "  ▀█    █    █▀  ",
    ),
}
"""The cross stays; the cue is what an arm of it becomes."""


def words(label: str) -> str:
    """A label as people read it."""
    return label.replace("_", " ")


def render(stage: Stage) -> RenderableType:
    """Draw the screen."""
    return Group(_header(stage), _middle(stage), _progress(stage), _quality(stage))


def _header(stage: Stage) -> RenderableType:
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    line.add_column(justify="right", no_wrap=True)
    section = stage.phase.section if stage.phase is not None else ""
    left = Text.assemble(
        (stage.subject, "bold"),
        (f"  {stage.title}", FAINT),
        (f"  {section}" if section != stage.title else ""),
    )
    left_s = f"{stop_watch(stage.remaining_s)} left" if stage.phase is not None else ""
    line.add_row(left, Text(left_s, style=FAINT))
    rec = f"[{BAD}]● rec[/] {_end_of(stage.recording)}" if stage.recording else "not yet recording"
    return Panel(
        line,
        title="rtbci calibrate" + (f" [{FAINT}]{_keys(stage)}" if stage.keys else ""),
        title_align="left",
        subtitle=rec,
        subtitle_align="left",
        border_style=FAINT,
    )


def _end_of(path: str, length: int = 60) -> str:
    return path if len(path) <= length else f"…{path[1 - length :]}"


def _keys(stage: Stage) -> str:
    phase = stage.phase
    if phase is not None and phase.paused:
        return "space goes on · r repeat · q stop"
    skip = "enter go on · " if phase is not None and phase.slot.skippable else ""
    return f"{skip}space pause · r repeat · q stop"


def _middle(stage: Stage) -> RenderableType:
    body: RenderableType
    if stage.phase is None:
        body = Text("waiting for the first rows ...", style=FAINT)
    elif stage.phase.paused:
        body = _text("Paused", "what was interrupted comes again", FAIR)
    else:
        body = _shown(stage, stage.phase)
    return Panel(Align.center(body, vertical="middle"), border_style=FAINT, height=STAGE_HEIGHT)


def _shown(stage: Stage, phase: Phase) -> RenderableType:
    slot = phase.slot
    if slot.kind is Kind.CUE:
        return _cue(slot.label)
    if slot.kind in (Kind.FIXATION, Kind.IMAGERY):
        return _drawn(CROSS, "", "")
    if slot.kind is Kind.REST:
        return _text("", "rest · blink, swallow", FAINT)
    if slot.kind is Kind.STEP:
        return _text(words(slot.label), slot.say, GOOD)
    if slot.kind is Kind.READY:
        return _text("", f"in {stage.left_s:.0f} s:  {slot.say}", FAIR)
    if slot.kind is Kind.INSTRUCTIONS:
        lines = [Text(line) for line in slot.say.splitlines()]
        return Group(*lines, Text(f"\nbegins in {stage.left_s:.0f} s", style=FAINT))
    if slot.kind in (Kind.NO_CONTROL, Kind.IGNORE):
        return _feedback(stage, slot.label)
    if slot.kind is Kind.BREAK:
        return _break(stage, phase)
    return _text("Done", "the recording is complete", GOOD)


def _cue(label: str) -> RenderableType:
    sign, colour = SIGNS.get(label, ""), COLOURS.get(label, GOOD)
    if not sign:
        return _text(words(label), "", colour)
    return _drawn(ARROWS[sign], words(label), colour)


def _drawn(lines: tuple[str, ...], below: str, colour: str) -> RenderableType:
    art = [Text(line, style=colour) for line in lines]
    # NB: the line below is there even where it is empty: the cross must not move.
    return Group(*art, Text(""), Align.center(Text(below, style=f"bold {colour}"), width=17))


def _text(headline: str, below: str, colour: str) -> RenderableType:
    return Group(
        Align.center(Text(headline, style=f"bold {colour}")),
        Text(""),
        Align.center(Text(below, style=FAINT if headline else colour)),
    )


def _feedback(stage: Stage, ignore: str) -> RenderableType:
    """Class probabilities as bars, and a cue that is to be ignored."""
    decode = stage.status.get("decode")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", width=14)
    grid.add_column(width=30)
    shown = (decode or {}).get("classes", ())
    values = (decode or {}).get("p") or [0.0] * len(shown)
    for name, p in zip(shown, values, strict=True):
        colour = COLOURS.get(name, GOOD)
        bar = ProgressBar(total=1.0, completed=p, complete_style=colour, finished_style=colour)
        grid.add_row(Text(words(name), style=colour), bar)
    said = words((decode or {}).get("decision") or "") or "·"
    cue = f"{SIGNS.get(ignore, '')} {words(ignore)}" if ignore else ""
    return Group(
        Align.center(Text(f"{stop_watch(stage.remaining_s)}  want nothing", style=FAINT)),
        Text(""),
        Align.center(Text(said, style="bold")),
        grid,
        Text(""),
        Align.center(Text(cue, style=FAIR)),
    )


def _break(stage: Stage, phase: Phase) -> RenderableType:
    last = stage.remaining_s <= stage.left_s + 0.5
    what = "ends" if last else "goes on"
    head = f"{phase.section} is complete; {what} in {stage.left_s:.0f} s"
    scores = stage.score or ("its first score is being computed ...",)
    return Group(
        Align.center(Text(head, style="bold")),
        Text(""),
        *(
            Text(line, style=GOOD if i == 0 and stage.score else FAINT)
            for i, line in enumerate(scores)
        ),
    )


def _progress(stage: Stage) -> RenderableType:
    """Signs of the trials so far; what is to come is not told."""
    trials, done = (stage.phase.trials, stage.phase.done) if stage.phase is not None else (0, ())
    line = Text(no_wrap=True, overflow="ellipsis")
    for name in done:
        line.append(f"{SIGNS.get(name, '▪')} ", style=COLOURS.get(name, GOOD))
    line.append("· " * (trials - len(done)), style=FAINT)
    title = f"Trials [{FAINT}]{len(done)} of {trials}" if trials else f"[{FAINT}]no trials"
    return Panel(Align.center(line), title=title, title_align="left", border_style=FAINT)


def _quality(stage: Stage) -> RenderableType:
    status = stage.status
    left_out = status.get("left_out", {})
    names = status.get("electrodes", [])
    values = status.get("sd_uv", [0.0] * len(names))
    wrong = dict(left_out) | {
        n: f"{sd:.0f} µV"
        for n, sd in zip(names, values, strict=True)
        if sd > NOISY_SD_UV and n not in left_out
    }
    lines: list[RenderableType] = []
    if stage.message:
        lines.append(
            Text(
                stage.message, style=BAD if stage.alarm else FAIR, no_wrap=True, overflow="ellipsis"
            )
        )
    if wrong:
        said = " · ".join(f"{name}: {why}" for name, why in wrong.items())
        lines.append(Text(said, style=BAD, no_wrap=True, overflow="ellipsis"))
    elif not stage.message and len(names) <= MOST_NAMES:
        lines.append(Columns([Text(n, style=GOOD) for n in names], padding=(0, 1)))
    elif not stage.message:
        lines.append(Text("all electrodes are good", style=GOOD))
    good = len(names) - len(wrong)
    colour = GOOD if not wrong else FAIR
    title = f"Signal [{colour}]{good} of {len(names)} electrodes good"
    return Panel(Group(*lines), title=title, title_align="left", border_style=FAINT)
