"""What a protocol is made of, and how it is read from TOML.

A file holds any of three parts; they come in this order::

    title = "Left or right hand, imagined"
    instructions = ["Sit still.", "..."]
    classes = ["left_hand", "right_hand"]

    [[steps]]                    # things to do for a while: the signal check
    label = "eyes_closed"
    say = "Close your eyes until the tone."
    seconds = 20

    [blocks]                     # cued trials, as many of each class in every block
    count = 2
    trials = 10

    [trial]
    cue_s = 1.0

    [no_control]                 # the feedback is on, and there are cues to ignore
    seconds = 180
"""

from __future__ import annotations

import importlib.resources
import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from rtbci.config import from_dict
from rtbci.errors import BadInputError

LONGEST_CUE_S = 1.25
"""A cue that stays is a target for the eyes, and then the eyes are what is decoded."""
LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
IGNORE = "ignore_"
"""Put before the label of a cue that is to be ignored, so that nobody takes it for a trial."""
BAD = "BAD_"
"""What the label of a span that nobody should use begins with, as in MNE."""
RELAX, BLOCK, NO_CONTROL = "relax", "block", "no_control"
"""Labels of the end of imagery, of a block, and of the time without control."""
RESERVED = (RELAX, BLOCK, NO_CONTROL)


@dataclass(frozen=True)
class TrialTiming:
    """One trial: fixation cross, cue, imagery, rest.

    Attributes
    ----------
    fixation_s : float
        The cross alone, before the cue.
    cue_s : float
        How long the cue is shown; at most :data:`LONGEST_CUE_S`.
    imagery_s : float
        Seconds of imagery after the cue has gone.
    rest_s : tuple of float
        Shortest and longest rest; each is drawn from between.
    """

    fixation_s: float = 2.0
    cue_s: float = 1.0
    imagery_s: float = 3.6
    rest_s: tuple[float, float] = (1.5, 2.5)


@dataclass(frozen=True)
class BlockConfig:
    """Blocks of cued trials.

    Attributes
    ----------
    count : int
    trials : int
        Of each class in every block.
    most_in_a_row : int
        No class comes more often than this without another in between.
    break_s : float
        Seconds between a block and the next.
    """

    count: int = 0
    trials: int = 10
    most_in_a_row: int = 3
    break_s: float = 20.0


@dataclass(frozen=True)
class StepConfig:
    """Something to do for a while.

    Attributes
    ----------
    label : str
        Of its marker.
    say : str
        What the user is told.
    seconds : float
    ready_s : float
        Seconds before it in which it is announced.
    prompts : tuple of str
        Labels that are shown by turns while it lasts (``look_left``, ``look_right``).
    prompt_s : float
        Seconds of each prompt.
    """

    label: str
    say: str
    seconds: float
    ready_s: float = 3.0
    prompts: tuple[str, ...] = ()
    prompt_s: float = 2.0


@dataclass(frozen=True)
class NoControlConfig:
    """Time in which the user wants nothing while the feedback is on.

    Attributes
    ----------
    seconds : float
        In all; 0 for none.
    ignore_s : tuple of float
        Shortest and longest time between cues that are to be ignored.
    """

    seconds: float = 0.0
    ignore_s: tuple[float, float] = (6.0, 12.0)


@dataclass(frozen=True)
class ProtocolConfig:
    """A protocol.

    Attributes
    ----------
    title : str
    instructions : tuple of str
        Lines that are shown first.
    instructions_s : float
        For how long, unless the user goes on before.
    classes : tuple of str
        Of the trials, and of the cues to ignore.
    trial, blocks, steps, no_control
        The parts; see the module.
    """

    title: str
    instructions: tuple[str, ...] = ()
    instructions_s: float = 15.0
    classes: tuple[str, ...] = ()
    trial: TrialTiming = field(default_factory=TrialTiming)
    blocks: BlockConfig = field(default_factory=BlockConfig)
    steps: tuple[StepConfig, ...] = ()
    no_control: NoControlConfig = field(default_factory=NoControlConfig)

    @property
    def needs_feedback(self) -> bool:
        """Whether a decoder must be there already."""
        return self.no_control.seconds > 0

    def scaled(self, blocks: int | None, trials: int | None) -> ProtocolConfig:
        """Give the same protocol with other numbers of blocks, and of trials of each class.

        Raises
        ------
        BadInputError
            Where a number is not positive, or there are no blocks to change.
        """
        if blocks is None and trials is None:
            return self
        if not self.blocks.count:
            raise BadInputError(
                f"{self.title!r} has no blocks of trials, so neither --blocks nor --trials says "
                "anything about it; leave them out."
            )
        wanted = replace(
            self.blocks,
            count=self.blocks.count if blocks is None else blocks,
            trials=self.blocks.trials if trials is None else trials,
        )
        return check(replace(self, blocks=wanted), "the protocol")


def protocol_names() -> tuple[str, ...]:
    """Names of the protocols that come with the program."""
    folder = importlib.resources.files(__package__)
    return tuple(
        sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))
    )


def load_protocol(name: str) -> ProtocolConfig:
    """Read a protocol by name, or from a TOML file.

    Raises
    ------
    BadInputError
        Where there is none of that name, the file can't be read or is no TOML, or it holds an
        unknown key or a value that no session can run with.
    """
    if name in protocol_names():
        found = importlib.resources.files(__package__) / f"{name}.toml"
        return _read(found.read_bytes(), name)
    path = Path(name)
    if path.suffix != ".toml":
        raise BadInputError(
            f"there is no protocol {name!r}; there are {', '.join(protocol_names())}, and a "
            "file of your own is named with its ending, as in lab.toml."
        )
    try:
        return _read(path.read_bytes(), str(path))
    except OSError as err:
        raise BadInputError(f"protocol {path} can't be read: {err.strerror}.") from err


def _read(content: bytes, where: str) -> ProtocolConfig:
    try:
        values = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise BadInputError(f"protocol {where} is not valid TOML: {err}.") from err
    try:
        made = from_dict(ProtocolConfig, values, where)
    except TypeError as err:  # a key without which there is no protocol
        missing = ", ".join(re.findall(r"'(\w+)'", str(err)))
        raise BadInputError(f"protocol {where} does not say {missing}; add it.") from err
    return check(made, where)


def check(config: ProtocolConfig, where: str) -> ProtocolConfig:
    """Refuse what no session can run with; give the protocol back.

    Raises
    ------
    BadInputError
        With the setting, its value and what is allowed.
    """
    trial, blocks, no_control = config.trial, config.blocks, config.no_control
    wanted = [
        (
            0 < trial.cue_s <= LONGEST_CUE_S,
            "trial.cue_s",
            trial.cue_s,
            f"above 0, at most {LONGEST_CUE_S:g}: a cue that stays draws the eyes",
        ),
        (trial.fixation_s > 0, "trial.fixation_s", trial.fixation_s, "above 0"),
        (trial.imagery_s > 0, "trial.imagery_s", trial.imagery_s, "above 0"),
        _span(trial.rest_s, "trial.rest_s"),
        (blocks.count >= 0, "blocks.count", blocks.count, "0 or more"),
        (blocks.trials >= 1, "blocks.trials", blocks.trials, "at least 1"),
        (blocks.most_in_a_row >= 1, "blocks.most_in_a_row", blocks.most_in_a_row, "at least 1"),
        (blocks.break_s > 0, "blocks.break_s", blocks.break_s, "above 0"),
        (no_control.seconds >= 0, "no_control.seconds", no_control.seconds, "0 or more"),
        _span(no_control.ignore_s, "no_control.ignore_s"),
        (config.instructions_s > 0, "instructions_s", config.instructions_s, "above 0"),
    ]
    for i, step in enumerate(config.steps):
        at = f"steps[{i}]"
        wanted += [
            (step.seconds > 0, f"{at}.seconds", step.seconds, "above 0"),
            (step.ready_s >= 0, f"{at}.ready_s", step.ready_s, "0 or more"),
            (step.prompt_s > 0, f"{at}.prompt_s", step.prompt_s, "above 0"),
        ]
    for right, name, value, allowed in wanted:
        if not right:
            raise BadInputError(f"{where}: {name} is {value}, but must be {allowed}.")
    _check_labels(config, where)
    if not (blocks.count or config.steps or no_control.seconds):
        raise BadInputError(
            f"{where} asks for nothing; give it [[steps]], [blocks] with a count, or [no_control]."
        )
    if blocks.count and not config.classes:
        raise BadInputError(
            f'{where} has blocks but no classes; name them, as in classes = ["left_hand", "feet"].'
        )
    return config


def _span(value: tuple[float, float], name: str) -> tuple[bool, str, object, str]:
    low, high = value
    return 0 < low <= high, name, value, "two times above 0, the longer one last"


def _check_labels(config: ProtocolConfig, where: str) -> None:
    """Labels are markers: they must be words, and each must mean one thing."""
    labels = [*config.classes]
    for step in config.steps:
        labels += [step.label, *step.prompts]
    for label in labels:
        if not LABEL.fullmatch(label):
            raise BadInputError(
                f"{where}: {label!r} can't be a marker; use letters, digits and _, as in left_hand."
            )
        if label in RESERVED or label.startswith((IGNORE, BAD)):
            raise BadInputError(
                f"{where}: {label!r} has a meaning of its own in a recording; choose another word."
            )
    twice = [label for label, n in Counter(config.classes).items() if n > 1]
    if twice:
        raise BadInputError(f"{where}: class {twice[0]} is named twice; name each once.")
