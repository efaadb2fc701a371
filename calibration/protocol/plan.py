"""From a protocol to what is shown, slot by slot: order, jitter and markers, by a seed.

    section (instructions | step | block | no control)
      slot  slot  slot ...            each has a length, what is shown, and markers at its onset

A block of trials::

    + + + + | <- cue | + imagery + | rest | + + + + | ...    | break
    fixation  class                  relax
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from rtbci.calibration.protocol.config import (
    BLOCK,
    IGNORE,
    NO_CONTROL,
    RELAX,
    NoControlConfig,
    ProtocolConfig,
    StepConfig,
)


class Kind(StrEnum):
    """What is shown during a slot."""

    INSTRUCTIONS = "instructions"
    """Text; the user may go on before its end."""
    READY = "ready"
    """What comes next is announced."""
    STEP = "step"
    """Something to do for a while, perhaps at prompts."""
    FIXATION = "fixation"
    """The cross alone."""
    CUE = "cue"
    """The cross and which movement to imagine."""
    IMAGERY = "imagery"
    """The cross alone again, while the user imagines."""
    REST = "rest"
    """Nothing to do, until the next trial."""
    NO_CONTROL = "no control"
    """The feedback, while the user wants nothing."""
    IGNORE = "ignore"
    """The feedback and a cue that is to be ignored."""
    BREAK = "break"
    """Between blocks; the user may go on before its end."""
    DONE = "done"
    """Nothing more comes."""


ENGAGED = (Kind.CUE, Kind.IMAGERY)
"""Slots in which the user is at work on a trial that has been cued."""


@dataclass(frozen=True)
class Mark:
    """A marker at the onset of a slot.

    Attributes
    ----------
    label : str
    seconds : float
        How long what it names lasts, as planned; 0 for an instant.
    """

    label: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Slot:
    """A stretch of time in which one thing is shown.

    Attributes
    ----------
    kind : Kind
    seconds : float
    label : str
        The class or prompt that is shown; empty for none.
    say : str
        A sentence beside it; lines for instructions.
    marks : tuple of Mark
    trial : int
        Number of the trial in its block, from 1; 0 outside of trials.
    again : int
        Slot of the section at which it goes on after a pause in this one: a trial that was
        interrupted comes again as a whole.
    """

    kind: Kind
    seconds: float
    label: str = ""
    say: str = ""
    marks: tuple[Mark, ...] = ()
    trial: int = 0
    again: int = 0

    @property
    def skippable(self) -> bool:
        """Whether the user may go on before its end."""
        return self.kind in (Kind.INSTRUCTIONS, Kind.BREAK, Kind.READY)


@dataclass(frozen=True)
class Section:
    """Slots that belong together, and are repeated together.

    Attributes
    ----------
    name : str
        For people (``block 2 of 3``).
    slots : tuple of Slot
    trials : tuple of str
        Class of each of its trials.
    block : int
        Number of the block, from 1; 0 where it is none.
    """

    name: str
    slots: tuple[Slot, ...]
    trials: tuple[str, ...] = ()
    block: int = 0

    @property
    def seconds(self) -> float:
        """Length of all slots."""
        return sum(slot.seconds for slot in self.slots)


def balanced_order(
    classes: tuple[str, ...], trials: int, most_in_a_row: int, rng: np.random.Generator
) -> tuple[str, ...]:
    """Draw an order in which each class comes equally often, and none too often in a row.

    Parameters
    ----------
    classes : tuple of str
    trials : int
        Of each class.
    most_in_a_row : int
        Does not hold where there is one class only.
    """
    limit = most_in_a_row if len(classes) > 1 else trials
    while True:
        left = np.full(len(classes), trials)
        order: list[int] = []
        while left.any():
            weight = left.astype(float)
            tail = order[-limit:]
            if len(tail) == limit and len(set(tail)) == 1:
                weight[tail[0]] = 0.0
            if not weight.any():
                break  # only the forbidden class is left: draw anew
            order.append(int(rng.choice(len(classes), p=weight / weight.sum())))
            left[order[-1]] -= 1
        else:
            return tuple(classes[i] for i in order)


def make_section(config: ProtocolConfig, number: int, seed: int, take: int = 0) -> Section:
    """Plan one section of a protocol.

    Parameters
    ----------
    number : int
        Which, from 0 to :func:`n_sections` minus 1.
    seed : int
    take : int
        How often it has been begun before: a repeated block has another order.
    """
    rng = np.random.default_rng([seed, number, take])
    if config.instructions:
        if number == 0:
            say = "\n".join(config.instructions)
            slot = Slot(Kind.INSTRUCTIONS, config.instructions_s, say=say)
            return Section(config.title, (slot,))
        number -= 1
    if number < len(config.steps):
        return _step(config.steps[number])
    number -= len(config.steps)
    if number < config.blocks.count:
        return _block(config, number + 1, rng)
    return _no_control(config.no_control, config.classes, config.trial.cue_s, rng)


def n_sections(config: ProtocolConfig) -> int:
    """Count the sections of a protocol."""
    parts = (bool(config.instructions), len(config.steps), config.blocks.count)
    return sum(parts) + (config.no_control.seconds > 0)


def _step(step: StepConfig) -> Section:
    slots = []
    if step.ready_s:
        slots.append(Slot(Kind.READY, step.ready_s, say=step.say))
    whole = Mark(step.label, step.seconds)
    if not step.prompts:
        slots.append(Slot(Kind.STEP, step.seconds, step.label, step.say, (whole,)))
        return Section(step.label, tuple(slots))
    left, count = step.seconds, 0
    while left > 1e-9:
        seconds = min(step.prompt_s, left)
        prompt = step.prompts[count % len(step.prompts)]
        marks = (*((whole,) if count == 0 else ()), Mark(prompt, seconds))
        slots.append(Slot(Kind.STEP, seconds, prompt, step.say, marks))
        left -= seconds
        count += 1
    return Section(step.label, tuple(slots))


def _block(config: ProtocolConfig, number: int, rng: np.random.Generator) -> Section:
    timing, blocks = config.trial, config.blocks
    order = balanced_order(config.classes, blocks.trials, blocks.most_in_a_row, rng)
    rests = rng.uniform(*timing.rest_s, size=len(order))
    slots: list[Slot] = []
    for i, (name, rest) in enumerate(zip(order, rests, strict=True)):
        again, trial = len(slots), i + 1
        shown = (Mark(name, timing.cue_s),)
        slots += [
            Slot(Kind.FIXATION, timing.fixation_s, trial=trial, again=again),
            Slot(Kind.CUE, timing.cue_s, name, marks=shown, trial=trial, again=again),
            Slot(Kind.IMAGERY, timing.imagery_s, name, trial=trial, again=again),
            Slot(Kind.REST, float(rest), marks=(Mark(RELAX),), trial=trial, again=again + 3),
        ]
    seconds = sum(slot.seconds for slot in slots)
    slots[0] = replace(slots[0], marks=(Mark(BLOCK, seconds),))
    slots.append(Slot(Kind.BREAK, blocks.break_s, again=len(slots)))
    return Section(f"block {number} of {blocks.count}", tuple(slots), order, number)


def _no_control(
    config: NoControlConfig, classes: tuple[str, ...], cue_s: float, rng: np.random.Generator
) -> Section:
    say = "Want nothing. Ignore the cues, and whatever moves."
    slots = [Slot(Kind.READY, 3.0, say=say)]
    marks: tuple[Mark, ...] = (Mark(NO_CONTROL, config.seconds),)
    left = config.seconds
    while left > 1e-9:
        seconds = min(left, float(rng.uniform(*config.ignore_s)))
        slots.append(Slot(Kind.NO_CONTROL, seconds, say=say, marks=marks, again=len(slots)))
        left -= seconds
        if classes and left > cue_s:
            name = classes[int(rng.integers(len(classes)))]
            marks = (Mark(IGNORE + name, cue_s),)
            slots.append(Slot(Kind.IGNORE, cue_s, name, say, marks, again=len(slots)))
            left -= cue_s
        marks = ()
    return Section("no control", tuple(slots))
