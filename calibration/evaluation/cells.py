"""Scores on file: what is there is not computed again, and a killed evaluation goes on.

One JSON object a line, appended as soon as it is known:

    {"command": ...}                 a command that has added scores
    {"session": ...}                 subject, task, its trials and a hash of which they are
    {"cell": ...}                    one decoder of one subject under one condition
    {"done": [subject, task, electrodes, protocol, decoder]}

Rows of a table stand beside each other only where they are of the same trials, so a session whose
trials differ from those that the file was begun with is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rtbci.calibration.evaluation.protocols import Protocol
from rtbci.calibration.reading.cohort import Trials
from rtbci.calibration.scoring.metrics import Metrics
from rtbci.errors import BadInputError

CONTROLS = "controls"
"""Stands for all of them among what is done."""


@dataclass(frozen=True)
class Cell:
    """One decoder of one subject under one condition.

    Attributes
    ----------
    protocol : Protocol
    task, electrodes, condition, decoder, subject : str
    metrics : Metrics | None
        Means over the condition's splits; None where there is no score.
    note : str
        Why there is none (``contaminated``, or the decoder's own sentence).
    chosen : tuple of str
        What ``auto`` chose, split by split.
    """

    protocol: Protocol
    task: str
    electrodes: str
    condition: str
    decoder: str
    subject: str
    metrics: Metrics | None
    note: str = ""
    chosen: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "protocol": self.protocol.value, "chosen": list(self.chosen)}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Cell:
        """Take plain values."""
        metrics = values["metrics"]
        return cls(
            **{
                **values,
                "protocol": Protocol(values["protocol"]),
                "metrics": None if metrics is None else Metrics(**metrics),
                "chosen": tuple(values["chosen"]),
            }
        )


@dataclass(frozen=True)
class Done:
    """What has been scored, whether there was a score or not."""

    subject: str
    task: str
    electrodes: str
    protocol: str
    decoder: str


@dataclass(frozen=True)
class Read:
    """Trials of one session.

    Attributes
    ----------
    subject, task : str
    trials, rejected : int
        Used and left out.
    which : str
        Hash of times, classes and reasons of all cues.
    """

    subject: str
    task: str
    trials: int
    rejected: int
    which: str

    @classmethod
    def of(cls, trials: Trials) -> Read:
        """Say which trials these are."""
        lost = sum(trials.rejected.values())
        seen = [(c.run, round(c.time, 3), c.wanted, bool(c.reason)) for c in trials.cues]
        which = hashlib.sha256(json.dumps([trials.classes, seen]).encode()).hexdigest()[:16]
        session = trials.session
        return cls(session.subject, session.task, len(trials.cues) - lost, lost, which)


@dataclass
class Scores:
    """Cells of an evaluation, and what they are of; kept in a file where there is one.

    Attributes
    ----------
    path : Path | None
    cells : list of Cell
    reads : dict of (subject, task) to Read
    done : set of Done
    commands : list of str
    """

    path: Path | None = None
    cells: list[Cell] = field(default_factory=list)
    reads: dict[tuple[str, str], Read] = field(default_factory=dict)
    done: set[Done] = field(default_factory=set)
    commands: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path | None) -> Scores:
        """Read what a file holds; nothing yet where it does not exist.

        Raises
        ------
        BadInputError
            Where it can't be read or is no such file.
        """
        made = cls(path)
        if path is None or not path.exists():
            return made
        try:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        except (OSError, UnicodeDecodeError) as err:
            raise BadInputError(f"scores {path} can't be read: {err}.") from err
        for number, line in enumerate(lines, 1):
            try:
                made._take(json.loads(line))
            except (ValueError, KeyError, TypeError) as err:
                if number == len(lines) and not line.endswith("\n"):
                    # A line that was cut off when the program was killed: its scores come again.
                    path.write_text("".join(lines[:-1]), encoding="utf-8")
                    break
                raise BadInputError(
                    f"scores {path} is no file of rtbci evaluate decode --cells (line {number}: "
                    f"{err}); name another one."
                ) from err
        return made

    def _take(self, values: Mapping[str, Any]) -> None:
        if "cell" in values:
            self.cells.append(Cell.of(values["cell"]))
        elif "done" in values:
            self.done.add(Done(*values["done"]))
        elif "session" in values:
            read = Read(**values["session"])
            self.reads[read.subject, read.task] = read
        else:
            self.commands.append(str(values["command"]))

    def note(self, command: str) -> None:
        """Say by which command the next scores come."""
        if command not in self.commands:
            self.commands.append(command)
            self._write([{"command": command}])

    def add(self, read: Read, cells: Sequence[Cell], done: Iterable[Done]) -> None:
        """Keep what was scored of a session.

        Raises
        ------
        BadInputError
            Where other trials of that session were scored before.
        """
        key = (read.subject, read.task)
        known = self.reads.setdefault(key, read)
        if known.which != read.which:
            raise BadInputError(
                f"{self.path} holds scores of {read.subject} ({read.task}) on {known.trials} "
                f"trials, and these are {read.trials} others; use the same data, --classes and "
                "--judged-on as for the scores that are there, or another file."
            )
        finished = set(done)
        # A killed run may have left some of these cells without their end.
        keys = {(d.subject, d.task, d.electrodes, d.protocol, d.decoder) for d in finished}
        fresh = {_key(c) for c in cells}
        self.cells = [
            c
            for c in self.cells
            if _key(c) not in fresh
            and (c.subject, c.task, c.electrodes, c.protocol.value, c.decoder) not in keys
        ]
        self.cells.extend(cells)
        self.done |= finished
        rows: list[dict[str, Any]] = [{"session": asdict(read)}]
        rows += [{"cell": c.to_dict()} for c in cells]
        rows += [{"done": list(asdict(d).values())} for d in finished]
        self._write(rows)

    def _write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if self.path is None:
            return
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(row) + "\n" for row in rows))
        except OSError as err:
            raise BadInputError(f"scores {self.path} can't be written: {err.strerror}.") from err

    def decoders(self) -> tuple[str, ...]:
        """Names of all that were scored, but for the controls, in the order in which they came."""
        named = {d.decoder for d in self.done} - {CONTROLS}
        return tuple(dict.fromkeys(c.decoder for c in self.cells if c.decoder in named))


def _key(cell: Cell) -> tuple[str, ...]:
    return (
        cell.subject,
        cell.task,
        cell.electrodes,
        cell.protocol.value,
        cell.condition,
        cell.decoder,
    )
